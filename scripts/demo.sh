#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# From a bare Debian to a scored text: installs what is missing, builds, scores the sample that comes with the project.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

sh scripts/install-deps.sh build
say "building"
quietly build/demo-configure.log cmake -S . -B build/demo -G Ninja -DCMAKE_BUILD_TYPE=Release -DLOGPROB_TESTS=OFF
quietly build/demo-build.log cmake --build build/demo

set -- build/demo/tools/logprob score tests/data/story-logits.npy --tokens tests/data/story-tokens.npy \
    --shift --vocab bytes "$@"
say "$*"
start=$(date +%s%N)
"$@"
end=$(date +%s%N)
say "scored in $(((end - start) / 1000000)) ms, loading and printing included"
