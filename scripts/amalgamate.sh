#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Writes the library as two files, logprob.h and logprob.c, for projects that compile it among their own:
#   amalgamate.sh [FOLDER]          default build/amalgamation
# They are compiled by `cc -O2 -c logprob.c`, without flags for the CPU, and linked with -lsleef -lm: docs/embedding.md.
#
# src/core is compiled once for each ISA, and files of src may use the same word for things of their own. Here they are one
# file, so each part has its static names renamed by macros where another part has them too, and its macros removed at its
# end. A name that this script does not find is defined twice, which no compiler accepts.
set -eu
folder=${1:-}
case $folder in
'' | /*) ;;
*) folder=$PWD/$folder ;;
esac
cd "$(dirname "$0")/.."
folder=${folder:-$PWD/build/amalgamation}
mkdir -p "$folder"
cp include/logprob.h "$folder/logprob.h"

shared=$(printf '%s ' src/*.h src/core/accum.h src/core/constants.h)
awk -v shared="$shared" -v files="$(printf '%s ' src/*.c)" -f scripts/amalgamate.awk include/logprob.h >"$folder/logprob.c.new"
mv "$folder/logprob.c.new" "$folder/logprob.c"
echo "$folder/logprob.h $folder/logprob.c"
