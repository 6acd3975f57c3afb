#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Checks every shell script of the project.
set -eu
cd "$(dirname "$0")/../.."
find . \( -name build -o -name .git \) -prune -o -type f \( -name '*.sh' -o -path ./.ci/run \) -exec shellcheck -x {} +
