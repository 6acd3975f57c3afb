#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Configures and builds a preset and runs its tests:  suite.sh PRESET [ctest arguments]
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib.sh

preset=$1
shift
cmake --preset "$preset"
cmake --build --preset "$preset"
ctest --preset "$preset" -j "$(cpus)" "$@"
