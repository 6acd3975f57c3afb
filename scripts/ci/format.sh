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
find . \( -name build -o -name .git \) -prune -o -type f \( -name '*.[ch]' -o -name '*.cc' \) -exec clang-format-14 "$@" {} +
