#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Counts the instructions per element of the main row functions on AArch64, under qemu with the plugin beside this file, and
# compares them with the recorded ones.
#
#   sh bench/arm-count/count.sh                         build, count, compare (2% tolerance): gcc; CC=clang for clang
#   sh bench/arm-count/count.sh --record "the reason"   build, count, write the record; the reason stays in it
#   sh bench/arm-count/count.sh --program P --compiler gcc-12 --config Release      what ctest runs
#
# Exit: 0 within tolerance, 1 not, 77 cannot count here (no qemu with plugins, no record, not a Release build).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
program='' compiler='' config=Release reason=''
while [ $# -gt 0 ]; do
    case $1 in
    --program) program=$2 ;;
    --compiler) compiler=$2 ;;
    --config) config=$2 ;;
    --record) reason=${2:?--record needs a reason} ;;
    *) sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
skip() {
    echo "arm-count: $*, nothing counted"
    exit 77
}

command -v qemu-aarch64 >/dev/null || skip "no qemu-aarch64 here"
qemu-aarch64 --help | grep -q -- -plugin || skip "this qemu-aarch64 was built without plugins"
host_cc=$(command -v cc || command -v gcc || command -v clang) || skip "no compiler for the plugin"
[ "$config" = Release ] || skip "only Release builds are counted, this one is ${config:-without a build type}"

if [ -z "$program" ]; then
    preset=arm
    [ "${CC-gcc}" != clang ] || preset=arm-clang
    build=$root/build/arm-count-$preset
    (cd "$root" && cmake --preset "$preset" -B "$build" && cmake --build "$build" --target logprob_arm_count) >/dev/null
    program=$build/arm-count/logprob_arm_count
    compiler=$(cat "$build/arm-count/compiler.txt")
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$host_cc" -O2 -shared -fPIC -fvisibility=hidden "$here/insn_count.c" -o "$work/insn_count.so"
env -u LOGPROB_ISA -u QEMU_CPU qemu-aarch64 -plugin "$work/insn_count.so" "$program" >"$work/names" 2>"$work/marks" ||
    { cat "$work/marks" >&2; exit 1; }
awk 'NR == FNR {if ($1 == "mark") at[$2] = $3; next}
    {printf "%s %.4f\n", $2, (at[2 * $1 + 2] - at[2 * $1 + 1]) / $3}' "$work/marks" "$work/names" >"$work/counts"
[ -s "$work/counts" ] || { echo "arm-count: the plugin counted nothing" >&2; exit 1; }

record=$here/$compiler.txt
if [ -n "$reason" ]; then
    {
        echo "# Instructions per element on AArch64, 32000 elements, $compiler. Written by bench/arm-count/count.sh --record."
        [ ! -f "$record" ] || sed -n '/^# [0-9-]*: /p' "$record"
        echo "# $(date +%Y-%m-%d): $reason"
        cat "$work/counts"
    } >"$work/record"
    mv "$work/record" "$record"
    cat "$record"
    exit 0
fi
[ -f "$record" ] || skip "no record for $compiler"
awk 'NR == FNR {if ($1 != "#") old[$1] = $2; next}
    {
        change = $1 in old ? 100 * ($2 / old[$1] - 1) : 100
        off = change > 2 || change < -2
        bad += off
        printf "%-16s %8.4f recorded %8.4f  %+6.2f%%%s\n", $1, $2, old[$1], change, off ? "  <-- beyond 2%" : ""
        delete old[$1]
    }
    END {
        for (name in old) bad++
        exit bad > 0
    }' "$record" "$work/counts" && exit 0
echo "arm-count: if the change is meant: sh bench/arm-count/count.sh --record \"why\""
exit 1
