#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The library in one file, compiled as a user would, without flags for the CPU: by gcc and clang for x86-64 and AArch64, the
# golden digests on every ISA; by musl's gcc, a program that runs on musl.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib.sh

work=$PWD/build/amalgamation-test
one=$work/one
rm -rf "$work"
mkdir -p "$work"
sh scripts/amalgamate.sh "$one"
warnings='-Wall -Wextra -Wpedantic -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror'

# compile NAME COMPILER...: the one file as NAME.o
compile() {
    name=$1
    shift
    say "$name: $* -O2 -c logprob.c"
    # shellcheck disable=SC2086 # a list of flags
    "$@" -O2 $warnings -c "$one/logprob.c" -o "$work/$name.o"
    nm -g --defined-only "$work/$name.o" | awk 'NF == 3 { print $3 }' | { ! grep -v '^lp_'; } || fail "names without lp_"
}

# golden NAME ISAS COMPILER...: the digests with NAME.o
golden() {
    name=$1
    isas=$2
    shift 2
    # shellcheck disable=SC2046 # a list of flags
    "$@" -std=c11 -O2 -ffp-contract=off -DGOLDEN_FILE='"tests/golden/digests.txt"' -I"$one" -Itests tests/test_golden.c \
        tests/support.c tests/guard.c tests/rows.c tests/results.c tests/calls.c tests/forms.c "$work/$name.o" \
        $(pkg-config --libs check) -lpthread -lsleef -lm -o "$work/golden-$name"
    for isa in $isas; do
        say "$name: golden digests, $isa"
        status=0
        CK_FORK=no LP_TEST_QUICK=2 LOGPROB_ISA=$isa $emulator "$work/golden-$name" || status=$?
        [ "$status" = 0 ] || [ "$status" = 77 ] || fail "$name: other bits on $isa"
    done
}

# docs/embedding.md's commands, where a project would have them
project=$work/project
mkdir "$project"
ln -s "$PWD" "$project/logprob"
cp examples/server_logprobs.c "$project"
awk '/^```sh one-file$/ { inside = 1; next } /^```$/ { inside = 0 } inside' docs/embedding.md >"$project/commands.sh"
grep -q amalgamate "$project/commands.sh" || fail "docs/embedding.md has no commands"
say "the commands of docs/embedding.md, and a plugin's copy"
(cd "$project" && sh -eux commands.sh && ./server) &
gcc -O0 -fPIC -shared '-DLP_API=__attribute__((visibility("hidden")))' "$one/logprob.c" -o "$work/plugin.so"
! nm -D --defined-only "$work/plugin.so" | grep lp_ || fail "LP_API does not hide the functions"
compile clang clang
wait $!
mv "$project/logprob.o" "$work/gcc.o"

emulator=
if [ "$(uname -m)" = x86_64 ]; then
    golden gcc 'scalar avx2 avx512' gcc
    golden clang 'scalar avx2 avx512' clang
    # gcc's FLT_EVAL_METHOD is 16 for such a CPU
    gcc -O2 -march=sapphirerapids -fsyntax-only "$one/logprob.c"
fi
for cc in gcc clang; do
    # shellcheck disable=SC2086 # a list of flags
    $cc -O2 -std=c11 -pedantic -fsyntax-only $warnings "$one/logprob.c"
done
for flag in -ffast-math -Ofast; do
    ! gcc $flag -fsyntax-only "$one/logprob.c" 2>/dev/null || fail "$flag is taken"
done

if [ "$(uname -m)" = aarch64 ] || have aarch64-linux-gnu-gcc; then
    [ "$(uname -m)" = aarch64 ] || emulator=qemu-aarch64
    PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig
    export PKG_CONFIG_LIBDIR
    compile aarch64-gcc aarch64-linux-gnu-gcc &
    compile aarch64-clang clang --target=aarch64-linux-gnu
    wait $!
    golden aarch64-gcc neon aarch64-linux-gnu-gcc &
    golden aarch64-clang neon clang --target=aarch64-linux-gnu
    wait $!
    emulator=
fi

# musl: SLEEF here is built for glibc. It needs so little of it that musl's loader, which answers for libc.so.6, can run it.
if have musl-gcc; then
    compile musl musl-gcc
    mkdir "$work/musl"
    ln -s "$(gcc -print-file-name=libsleef.so.3)" "$work/musl/"
    musl-gcc -std=c11 -I"$one" tests/consumer/consumer.c "$work/musl.o" "$work/musl/libsleef.so.3" -lm -o "$work/consumer-musl"
    LD_LIBRARY_PATH=$work/musl "$work/consumer-musl"
fi
