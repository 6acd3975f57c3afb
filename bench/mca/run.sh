#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Writes results.md: what llvm-mca predicts for the inner loops of the row kernels on ARM and x86 CPUs, and, on x86, the
# measured time beside it.   sh bench/mca/run.sh [CPU CORE to measure on, default 1]
#
# Needs llvm-mca-19, Python 3, and of these compilers those it finds: gcc, clang, clang-19, aarch64-linux-gnu-gcc.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
core=${1-1}
work=$root/build/mca-loops
mkdir -p "$work"
command -v llvm-mca-19 >/dev/null || { echo "mca: llvm-mca-19 is not installed (Debian: llvm-19)" >&2; exit 77; }

# compile COMPILER ISA OUTPUT FLAGS... : loops.c with the flags of a release build
compile() {
    compiler=$1 isa=$2 output=$3
    shift 3
    case $isa in
    avx2) set -- -mavx2 -mfma -mf16c "$@" ;;
    avx512) set -- -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512 "$@" ;;
    esac
    # shellcheck disable=SC2086 # a compiler may come with its target
    $compiler -O3 -DNDEBUG -std=c11 -fno-fast-math -ffp-contract=off -fPIC -w "-DLANES=\"$isa/lanes.h\"" \
        -I"$root/src" -I"$root/include" "$@" "$here/loops.c" -o "$output" 2>"$work/errors"
}

# row LABEL MODEL WIDTH ASSEMBLY [TIMES]: the table lines of one compiled file, one a loop
row() {
    python3 "$here/mca.py" "$4" "$2" "$3" >"$work/counts" || return 1
    awk -v label="$1" -v model="$2" -v times="${5-}" '
        BEGIN {
            while (times != "" && (getline line < times) > 0) {
                split(line, f, " ")
                ns[f[1]] = f[2]
            }
        }
        {
            for (i = 2; i <= NF; i++) {
                split($i, f, "=")
                v[f[1]] = f[2]
            }
            measured = times == "" ? "" : sprintf(" %.1f | %.2f |", ns[$1] * ns["clock"] * 32, ns[$1] * ns["clock"] * 32 / v["cycles"])
            printf "%s | %s | %s | %.1f | %.3f | %.1f | %.2f | %.1f | %.0f | %.0f | %d | %d | %.0f |%s\n", $1, model, label,
                v["cycles"], v["cycles"] / 32 / 3, v["ports"], v["cycles"] / v["ports"], v["float_ports"],
                v["uops"], v["instructions"], v["stack"], v["lane_moves"], v["copies"], measured
        }' "$work/counts" >>"$work/rows"
}

head_of() {
    echo "| CPU model | compiler | cycles per 32 | ns/element at 3 GHz | FMA ports | cycles / that | float ops alone | uops | instructions | stack accesses | lane moves | copies |$1"
    echo "|---|---|---|---|---|---|---|---|---|---|---|---|$2"
}

# table HEAD RULE: the rows collected, a table a loop
table() {
    for loop in logsumexp entropy dense max; do
        printf '\n### %s\n' "$loop"
        head_of "$1" "$2"
        sed -n "s/^$loop | /| /p" "$work/rows"
    done
}

: >"$work/rows"
for model in neoverse-n1 neoverse-n2 neoverse-v1 neoverse-v2; do
    for compiler in aarch64-linux-gnu-gcc clang clang-19; do
        command -v "$compiler" >/dev/null || continue
        target=$compiler
        case $compiler in clang*) target="$compiler --target=aarch64-linux-gnu" ;; esac
        version=$($compiler -dumpversion | sed 's/\..*//')
        name=$(echo "$compiler" | sed 's/aarch64-linux-gnu-//; s/-[0-9]*$//')
        # What the library's build makes, for any AArch64; and for this CPU, where the compiler knows it.
        for cpu in generic "$model"; do
            if ! compile "$target" neon "$work/neon.s" -S "-mcpu=$cpu"; then
                [ "$cpu" != generic ] || { cat "$work/errors" >&2; exit 1; }
                continue
            fi
            label="$name $version"
            [ "$cpu" = generic ] || label="$label -mcpu"
            row "$label" "$model" 4 "$work/neon.s"
        done
    done
done
table "" "" >"$work/arm.md"

: >"$work/rows"
if [ "$(uname -m)" = x86_64 ]; then
    # llvm's models end before the newest CPUs: the nearest that it has, by what the CPU can do.
    model=skylake-avx512
    ! grep -qm1 avx512_bitalg /proc/cpuinfo || model=icelake-server
    ! grep -qm1 avx512_bf16 /proc/cpuinfo || model=sapphirerapids
    ! grep -qm1 AuthenticAMD /proc/cpuinfo || model=znver3
    ! { grep -qm1 AuthenticAMD /proc/cpuinfo && grep -qm1 avx512f /proc/cpuinfo; } || model=znver4
    for isa in avx2 avx512; do
        width=8
        [ $isa = avx2 ] || width=16
        grep -qm1 "$isa" /proc/cpuinfo || continue
        for compiler in gcc clang; do
            command -v $compiler >/dev/null || continue
            compile "$compiler" "$isa" "$work/x86.s" -S
            $compiler -O2 -std=c11 -c "$here/time.c" -o "$work/time.o"
            compile "$compiler" "$isa" "$work/loops.o" -c
            $compiler "$work/time.o" "$work/loops.o" -o "$work/time" -lm
            taskset -c "$core" "$work/time" >"$work/times"
            row "$compiler $($compiler -dumpversion | sed 's/\..*//') $isa" "$model" "$width" "$work/x86.s" "$work/times"
        done
    done
    table " measured cycles | measured / predicted |" "---|---|" >"$work/x86.md"
fi

{
    cat "$here/method.md"
    printf '\n## AArch64: predicted\n'
    cat "$work/arm.md"
    if [ -s "$work/x86.md" ]; then
        printf '\n## x86-64: predicted and measured\n'
        printf '%s, core %s.\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$core"
        cat "$work/x86.md"
    fi
} >"$here/results.md"
echo "written: ${here#"$root"/}/results.md"
