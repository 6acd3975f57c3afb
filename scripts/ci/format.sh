#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Checks the layout of the sources, or rewrites them:  format.sh [--fix]
set -eu
cd "$(dirname "$0")/../.."

if [ "${1-}" = --fix ]; then
    set -- -i
else
    set -- --dry-run -Werror
fi
find include src tests tools examples bench \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -exec clang-format-14 "$@" {} +
