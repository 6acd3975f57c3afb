#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# From a bare Debian to a scored text: installs what is missing, builds, scores the sample that comes with the project.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

sh scripts/install-deps.sh build
say "building"
quietly build/demo-configure.log cmake -S . -B build/demo -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DLOGPROB_TESTS=OFF -DLOGPROB_EXAMPLES=OFF
quietly build/demo-build.log cmake --build build/demo

story=tests/data/story
set -- build/demo/tools/logprob score $story/story-logits.npy --tokens $story/story-tokens.npy \
    --shift --vocab bytes --time "$@"
say "$*"
exec "$@"
