#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Counts the instructions per element of the main kernels under callgrind and compares them with the recorded ones.
#
#   sh bench/count/count.sh                       build, count, compare (2% tolerance)
#   sh bench/count/count.sh --record "the reason" build, count, write the record; the reason stays in it
#   sh bench/count/count.sh --program P --compiler gcc-12 --config Release     what ctest runs
#
# Exit: 0 within tolerance, 1 not, 77 cannot count here (no valgrind, no record for this compiler, not a Release build).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
program='' compiler='' config=Release reason='' record=''
while [ $# -gt 0 ]; do
    case $1 in
    --program) program=$2 ;;
    --compiler) compiler=$2 ;;
    --config) config=$2 ;;
    --record) record=1 reason=$2 ;;
    *) sed -n '3,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done

if ! command -v valgrind >/dev/null; then
    echo "count: no valgrind here, nothing counted"
    exit 77
fi
if [ -z "$program" ]; then
    build=${BENCH_BUILD:-$root/build/bench}
    cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DLOGPROB_BENCH=ON >"/dev/null"
    cmake --build "$build" --target logprob_count >/dev/null
    program=$build/bench/logprob_count
    compiler=$(cat "$build/bench/count_compiler.txt")
fi
if [ "$config" != Release ]; then
    echo "count: only Release builds are counted, this one is ${config:-without a build type}"
    exit 77
fi
machine=$(uname -m)
file=$here/$machine-$compiler.txt
if [ -z "$record" ] && [ ! -f "$file" ]; then
    echo "count: no record for $machine, $compiler ($file)"
    exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
env -u LOGPROB_ISA valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file="$work/out" \
    "$program" >"$work/stdout" 2>"$work/stderr" || { cat "$work/stderr" >&2; exit 1; }
elements=$(sed -n 's/^elements //p' "$work/stdout")

# One dump per kernel: its name in "desc: Trigger: Client Request: <name>", its instructions in "totals:".
for dump in "$work"/out.*; do
    awk -v n="$elements" '/^desc: Trigger: Client Request: /{name = $5} /^totals:/{total = $2}
        END {if (name != "") printf "%s %.4f\n", name, total / n}' "$dump"
done | LC_ALL=C sort >"$work/counts"
[ -s "$work/counts" ] || { echo "count: callgrind wrote no counts" >&2; exit 1; }

if [ -n "$record" ]; then
    [ -n "$reason" ] || { echo "count: --record needs a reason" >&2; exit 2; }
    {
        echo "# Instructions per element, $elements elements, counted by callgrind. Written by bench/count/count.sh --record."
        [ ! -f "$file" ] || sed -n '/^# [0-9-]*: /p' "$file"
        echo "# $(date +%Y-%m-%d): $reason"
        cat "$work/counts"
    } >"$work/record"
    mv "$work/record" "$file"
    echo "count: recorded in ${file#"$root"/}"
    exit 0
fi
awk 'NR == FNR {if ($1 != "#") old[$1] = $2; next}
    {now[$1] = $2}
    END {
        for (name in old) {
            if (!(name in now)) {
                printf "%-32s %10s recorded %10.4f  not counted on this machine\n", name, "-", old[name]
                continue
            }
            change = 100 * (now[name] / old[name] - 1)
            off = change > 2 || change < -2
            bad += off
            printf "%-32s %10.4f recorded %10.4f  %+6.2f%%%s\n", name, now[name], old[name], change, off ? "  <-- beyond 2%" : ""
        }
        for (name in now)
            if (!(name in old)) {
                printf "%-32s %10.4f  not recorded\n", name, now[name]
                bad++
            }
        exit bad > 0
    }' "$file" "$work/counts" >"$work/verdict" && status=0 || status=1
LC_ALL=C sort "$work/verdict"
[ "$status" = 0 ] || echo "count: if the change is meant: sh bench/count/count.sh --record \"why\""
exit "$status"
