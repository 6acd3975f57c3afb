#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The API reference, build/doxygen/html/index.html. Doxygen's warnings are errors; no function may lack its documentation.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib.sh

VERSION=$(awk '/^#define LP_VERSION_(MAJOR|MINOR|PATCH)/ { version = version point $3; point = "." } END { print version }' include/logprob.h)
OUTPUT=build/doxygen
export VERSION OUTPUT
rm -rf "$OUTPUT"
mkdir -p "$OUTPUT"
doxygen docs/Doxyfile

awk '/<memberdef kind="function"/ { name = ""; brief = 0 }
    /<name>/ && name == "" { name = $0; gsub(/ *<\/?name>/, "", name) }
    /<briefdescription>/ { brief = 1; next }
    brief == 1 && /<para>/ { print name; brief = 0 }
    /<\/briefdescription>/ { brief = 0 }' "$OUTPUT/xml/logprob_8h.xml" | grep '^lp_' | sort -u >"$OUTPUT/documented"
gcc -E -P include/logprob.h | grep -oE '\<lp_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >"$OUTPUT/declared"
diff "$OUTPUT/declared" "$OUTPUT/documented" >&2 || fail "declared (<) and documented (>) functions differ"
echo "$(wc -l <"$OUTPUT/documented") functions documented: $OUTPUT/html/index.html"
