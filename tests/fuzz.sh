#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Fuzzes each target for some seconds, starting from the recorded inputs and from what earlier runs found:
#   fuzz.sh SECONDS [TARGET...]    kernels, streams, parsers; what is found stays in build/fuzz/found/TARGET
#   fuzz.sh --record [TARGET...]   replaces the recorded inputs, tests/fuzz/corpus/TARGET, by the fewest of all that take
#                                  every branch that they take together; those with a name, what once broke, stay
# An input that breaks something stops its target and is build/fuzz/found/TARGET-crash-...; again: build/asan-clang/tests/fuzz/fuzz_TARGET FILE
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

[ $# -gt 0 ] || fail "how many seconds for each target? sh tests/fuzz.sh SECONDS [TARGET...]"
seconds=$1
shift
[ $# -gt 0 ] || set -- kernels streams parsers
found=$PWD/build/fuzz/found
most=4096 # bytes of an input

sh scripts/install-deps.sh fuzz
say "building"
quietly build/fuzz-configure.log cmake --preset asan-clang
# shellcheck disable=SC2046 # one name a target
quietly build/fuzz-build.log cmake --build --preset asan-clang --target $(printf 'fuzz_%s ' "$@")

record() { # TARGET: its recorded inputs anew
    recorded=tests/fuzz/corpus/$1
    old=$(mktemp -d)
    mkdir -p "$recorded"
    find "$recorded" -type f ! -name '*-*' -exec mv {} "$old" \;
    quietly "build/fuzz/$1-record.log" "build/asan-clang/tests/fuzz/fuzz_$1" -merge=1 -use_counters=0 -max_len=$most \
        "$recorded" "$old" "$found/$1"
    rm -r "$old"
    say "$1: $(find "$recorded" -type f | wc -l) inputs recorded"
}

run() { # TARGET
    log=build/fuzz/$1.log
    say "$1: $seconds s"
    if ! "build/asan-clang/tests/fuzz/fuzz_$1" -max_total_time="$seconds" -max_len=$most -timeout=25 -print_final_stats=1 \
        -artifact_prefix="$found/$1-" "$found/$1" "tests/fuzz/corpus/$1" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        fail "the target $1 found something; its whole output is in $log"
    fi
    grep -E '^#[0-9]+.*cov:' "$log" | tail -n 1
    grep -E '^stat::number_of_executed_units' "$log"
}

for target in "$@"; do
    mkdir -p "$found/$target"
    if [ "$seconds" = --record ]; then
        record "$target"
    else
        run "$target"
    fi
done
