#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Times logprob against the machine's limits and against the peers found here, and writes bench/results/<cpu>-<date>.*:
# the repetitions (.json), tables (.md) and pictures (-vocab and -peers, .svg and .png).
#
#   sh bench/run.sh                 everything, about ten minutes
#   sh bench/run.sh --quick         the main jobs, fewer repetitions: a minute or two
#
# Installs nothing. Environment: BENCH_CORE (the last core), BENCH_ROUNDS (3 processes) of BENCH_REPS (3) repetitions of
# BENCH_MIN_TIME (0.02 s), BENCH_FILTER (a regular expression on case names), BENCH_BUILD (build/bench), BENCH_OUT
# (bench/results), CC, CXX.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
build=${BENCH_BUILD:-$root/build/bench}
out=${BENCH_OUT:-$here/results}
rounds=${BENCH_ROUNDS:-3}
reps=${BENCH_REPS:-3}
seconds=${BENCH_MIN_TIME:-0.02}
filter=${BENCH_FILTER:-.}
case ${1-} in
'') ;;
--quick)
    rounds=${BENCH_ROUNDS:-2}
    filter=${BENCH_FILTER:-'^(scan|memcpy|logsumexp|log_softmax|score)/[^/]+/f32/(4096|128256)(/k20)?(/cold)?$'}
    ;;
*) sed -n '3,11s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

generator=
[ -f "$build/CMakeCache.txt" ] || ! command -v ninja >/dev/null || generator='-G Ninja'
# shellcheck disable=SC2086
cmake -S "$root" -B "$build" $generator -DCMAKE_BUILD_TYPE=Release -DLOGPROB_BENCH=ON
cmake --build "$build" --target logprob_bench
program=$build/bench/logprob_bench

export LOGPROB_BENCH_CORE="${BENCH_CORE:-$(($(getconf _NPROCESSORS_ONLN) - 1))}"
export OMP_NUM_THREADS=1
unset LOGPROB_ISA LOGPROB_BENCH_PEER_ISA
raw=$(mktemp -d)
trap 'rm -rf "$raw"' EXIT

# Random interleaving: repetitions of ours and of the peers alternate, so that a slow minute hits all of them. Several
# processes, because where memory happens to lie changes times more than repetitions within one process show.
measure() {
    "$program" --benchmark_filter="$2" --benchmark_repetitions="$reps" --benchmark_min_time="$seconds" \
        --benchmark_enable_random_interleaving=true --benchmark_out="$raw/$1.json" --benchmark_out_format=json \
        >/dev/null 2>"$raw/stderr" || { cat "$raw/stderr" >&2; exit 1; }
}

# Where the best ISA is AVX-512, the peers once more, held to AVX2, beside our AVX2 kernels. Their libraries read these
# variables when they are loaded, hence another process.
held() (
    export LOGPROB_BENCH_PEER_ISA=avx2 ATEN_CPU_CAPABILITY=avx2 DNNL_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX2
    "$program" --benchmark_list_tests --benchmark_filter="$filter" | grep -E '^[^/]+/([^/]+-)?avx2/f32/' |
        grep -E '^(scan|logsumexp|log_softmax|score|topk|entropy|kl)/' >"$raw/held" || :
    [ ! -s "$raw/held" ] || measure "$1" "^($(paste -sd '|' "$raw/held"))\$"
)

round=1
while [ "$round" -le "$rounds" ]; do
    echo "run.sh: core $LOGPROB_BENCH_CORE, round $round of $rounds, $reps repetitions of $seconds s" >&2
    measure "round$round" "$filter"
    if "$program" --benchmark_list_tests | grep -q /avx512/; then
        held "round$round-held"
    fi
    round=$((round + 1))
done

python3 "$here/report.py" --out "$out" "$raw"/*.json
