#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Checks the symbols of both libraries in a build folder:  symbols.sh BUILD-FOLDER
#   shared: exports exactly the functions of the header; its SONAME is the header's major version
#   static: every global symbol starts with lp_, so that it cannot clash with a user's
#   command: as hard to misuse as compiler and linker make it
#   both: nothing that allocates, locks, prints, aborts or reads a file is called, and none of libm's functions whose
#   bits differ between systems
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib.sh

build=$1
work=$build/symbols
mkdir -p "$work"

gcc -E -P include/logprob.h | grep -oE '\<lp_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >"$work/declared"
nm -D --defined-only "$build/liblogprob.so" | awk '{ print $3 }' | sort -u >"$work/exported"
diff "$work/declared" "$work/exported" >&2 || fail "declared (<) and exported (>) functions differ"

nm -g --defined-only "$build/liblogprob.a" | awk 'NF == 3 { print $3 }' | sort -u >"$work/global"
! grep -v '^lp_' "$work/global" >&2 || fail "global symbols of the static library lack the prefix lp_"

nm -D --undefined-only "$build/liblogprob.so" | awk '{ print $NF }' | sed 's/@.*//' | sort -u >"$work/imported"
forbidden='(m|c|re)alloc|free|aligned_alloc|posix_memalign|(f|d|s|sn|v|vf|vsn)?printf|puts|putchar|fwrite|write|open|fopen'
forbidden="$forbidden|abort|exit|_exit|__assert_fail|pthread_.*|mtx_.*|(exp|log|exp2|log2|log10|log1p|expm1|tanh|pow)f?l?"
! grep -xE "$forbidden" "$work/imported" >&2 || fail "the library calls what it must not call"

major=$(awk '/^#define LP_VERSION_MAJOR/ { print $3 }' include/logprob.h)
objdump -p "$build/liblogprob.so" | grep -q "SONAME *liblogprob.so.$major\$" || fail "SONAME is not liblogprob.so.$major"
command=$build/tools/logprob
hardened() { # WHAT PATTERN: in what readelf says of the command
    readelf --wide --file-header --program-headers --dynamic --dyn-syms "$command" | grep -qE "$2" || fail "the command has no $1"
}
hardened 'address of its own choosing (PIE)' 'Type: +DYN'
hardened 'relocations that are read-only' 'GNU_RELRO'
hardened 'symbols that are bound at once' 'BIND_NOW|FLAGS.*NOW'
hardened 'stack without execution' 'GNU_STACK.* RW '
hardened 'stack protector' '__stack_chk_fail'
hardened 'checked copies (_FORTIFY_SOURCE)' '__(mem|str|v?sn?|f)[a-z]*_chk'

echo "$(wc -l <"$work/exported") functions declared and exported; imports: $(paste -sd' ' "$work/imported")"
