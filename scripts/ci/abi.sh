#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Compares the binary interface and the result bits with the recorded ones of the last version:  abi.sh [--record]
#   functions, their arguments, sizes and members of structs: a change needs a new LP_VERSION_MINOR; a function that is gone,
#   or a struct of another size, a new LP_VERSION_MAJOR, which is the SOVERSION
#   a golden digest that changes: another LP_NUMERICS
# --record writes tests/abi/VERSION: when a version is made, and until then whenever the interface grows.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib.sh

have abidiff || { echo "abidiff (abigail-tools) is not installed"; exit 77; }
version=$(awk '/^#define LP_VERSION_(MAJOR|MINOR|PATCH) / { v = v dot $3; dot = "." } END { print v }' include/logprob.h)
library=build/abi/liblogprob.so
mkdir -p build/abi

# Scalar kernels are enough: the interface is the same everywhere, and so are compilers and their options.
# shellcheck disable=SC2046 # a list of flags
gcc -std=c11 -g -shared -fPIC -fvisibility=hidden -DLP_BUILD_SHARED -Iinclude -Isrc src/*.c src/scalar/kernels.c \
    -o "$library" "-Wl,-soname,liblogprob.so.${version%%.*}" $(pkg-config --libs sleef) -lm

describe() { # what the interface is, as XML without anything of this machine
    abidw --no-show-locs --no-corpus-path --no-comp-dir-path --no-elf-needed --drop-private-types \
        --headers-dir include "$library"
}

if [ "${1-}" = --record ]; then
    mkdir -p "tests/abi/$version"
    describe >"tests/abi/$version/interface.abi"
    cp tests/golden/digests.txt "tests/abi/$version/digests.txt"
    say "recorded tests/abi/$version"
    exit 0
fi

recorded=$(find tests/abi -mindepth 1 -maxdepth 1 -type d | sort -V | tail -n 1)
before=${recorded##*/}
[ "$(printf '%s\n%s\n' "$before" "$version" | sort -V | tail -n 1)" = "$version" ] ||
    fail "version $version is older than the recorded one, $before"

# 4: something changed, 8: incompatibly; 1 and 2: it could not be compared
set +e
abidiff "$recorded/interface.abi" "$library" >build/abi/report
status=$?
set -e
[ $((status & 3)) = 0 ] || fail "abidiff cannot compare with $recorded"
needs=nothing
[ $((status & 4)) = 0 ] || needs=minor
if [ $((status & 8)) != 0 ] || grep -qE '^ *type size changed' build/abi/report; then
    needs=major
fi
has=nothing
[ "${version%.*}" = "${before%.*}" ] || has=minor
[ "${version%%.*}" = "${before%%.*}" ] || has=major
case $needs-$has in
nothing-* | minor-minor | minor-major | major-major) ;;
*)
    cat build/abi/report >&2
    fail "the interface is no longer that of $before: it needs a new $needs version (the header says $version)"
    ;;
esac

numerics() { awk '/^LP_NUMERICS/ { print $2 }' "$1"; }
digests() { grep -v '^#\|^LP_NUMERICS' "$1" | sort; }
digests "$recorded/digests.txt" >build/abi/digests-before
digests tests/golden/digests.txt >build/abi/digests-now
if [ "$(numerics "$recorded/digests.txt")" = "$(numerics tests/golden/digests.txt)" ] &&
    ! comm -23 build/abi/digests-before build/abi/digests-now | awk '{ print } END { exit NR > 0 }' >&2; then
    fail "these digests of $before changed or are gone, but LP_NUMERICS is the same"
fi
echo "version $version: the interface needs $needs beyond $before; $(wc -l <build/abi/digests-now) digests, \
$(wc -l <build/abi/digests-before) of them recorded"
