#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Installs what is missing, builds, runs all tests. Arguments go to ctest: sh scripts/test.sh -R topk
# The grids of shapes and values are thinned, so that this takes seconds; LP_TEST_QUICK=0 walks them whole, as .ci/run does.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

sh scripts/install-deps.sh test
say "building"
quietly build/test-configure.log cmake --preset release
quietly build/test-build.log cmake --build --preset release
export LP_TEST_QUICK="${LP_TEST_QUICK:-1}"
exec ctest --preset release -j "$(cpus)" "$@"
