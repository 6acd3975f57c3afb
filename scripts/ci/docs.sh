#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The documentation: docs/README.md names every page, the manual page every function, links lead to files, and the API
# reference (Doxygen's, in build/doxygen/html/index.html) is made without warnings and lacks no function.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib.sh

for page in docs/*.md; do
    name=${page#docs/}
    [ "$name" = README.md ] || grep -qF "($name)" docs/README.md || fail "docs/README.md does not name $name"
done

dead=$(git ls-files '*.md' | while read -r page; do
    { grep -oE '\]\([^)# ]+' "$page" || true; } | sed 's/^](//' | grep -vE '^[a-z]+:' | while read -r link; do
        [ -e "$(dirname "$page")/$link" ] || echo "$page: $link"
    done
done)
[ -z "$dead" ] || fail "links that lead nowhere:
$dead"

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
while read -r function; do
    grep -qE "[ *]$function\(" docs/logprob.3 || fail "docs/logprob.3 does not name $function"
done <"$OUTPUT/declared"
for page in docs/logprob.3 tools/logprob.1; do
    man --warnings -l "$page" 2>"$OUTPUT/man" >/dev/null
    [ ! -s "$OUTPUT/man" ] || fail "$(cat "$OUTPUT/man")"
done
echo "$(wc -l <"$OUTPUT/documented") functions documented: $OUTPUT/html/index.html"
