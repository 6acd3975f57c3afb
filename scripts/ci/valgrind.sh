#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Runs the smallest suites, the recorded fuzz inputs and the command under valgrind:  valgrind.sh BUILD-FOLDER
# Left out: AVX-512, which valgrind does not know; suites whose reference is long double, which it computes in double; and the
# one that looks at stacks of threads that have ended. No suppressions.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib.sh

build=$1
export CK_FORK=no LP_TEST_QUICK=2
have valgrind || { echo "valgrind is not installed"; exit 77; }
read -ra check <<<"valgrind --quiet --error-exitcode=9 --leak-check=full"

for isa in scalar avx2; do
    for target in kernels streams; do
        echo "LOGPROB_ISA=$isa ${check[*]} $build/tests/fuzz/replay_$target tests/fuzz/corpus/$target/*"
    done
    for suite in args gather rank sequence sequence_score topk; do
        echo "LOGPROB_ISA=$isa ${check[*]} --leak-check=no $build/tests/test_$suite"
    done
done >"$build/valgrind-jobs"
cat >>"$build/valgrind-jobs" <<EOT
${check[*]} $build/tests/fuzz/replay_parsers tests/fuzz/corpus/parsers/*
${check[*]} $build/tools/logprob score tests/data/story/story-logits.npy --tokens tests/data/story/story-tokens.npy --shift
${check[*]} $build/tools/logprob read --labels 'yes|Yes,no|No' tests/data/responses/yesno.json
EOT

one() { # its output in one piece, where it failed
    local log
    log=$(mktemp)
    echo "$1" | cut -c -100
    if ! eval "$1" >"$log" 2>&1; then
        tail -n 60 "$log"
        exit 1
    fi
    rm "$log"
}
export -f one
# shellcheck disable=SC2016 # expanded by the shell of the job
xargs -d '\n' -P "$(cpus)" -I{} bash -c 'one "$1"' job {} <"$build/valgrind-jobs"
