/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What this core allows and what the library takes: for each function the vector operations that its row needs (bound_loops.h), and
 * the function. In cycles: a chain of additions takes one each. A bound is no promise that it can be reached. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "bound_loops.h"
#include "max_scan.h"
#include "workload.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { K = 20, TOKENS = 101, MOST_ROUNDS = 100000, CHAIN = 10000 };

static struct {
    size_t vocab;
    max_scan scan;
    float *x, *y, *out;
    uint16_t *f16, *bf16;
    int32_t likely, any;
} in;

static volatile float sink;

static lp_logits logits(const void *data, lp_dtype dtype)
{
    lp_logits l = {.data = data, .rows = 1, .vocab = in.vocab, .dtype = dtype};
    return l;
}

static void run_scan(void)
{
    sink = in.scan(in.x, in.vocab);
}

static void run_logsumexp(void)
{
    const lp_logits l = logits(in.x, LP_F32);
    float lse;
    need_ok(lp_logsumexp(&l, &lse));
    sink = lse;
}

static void run_log_softmax(void)
{
    const lp_logits l = logits(in.x, LP_F32);
    need_ok(lp_log_softmax(&l, in.out, in.vocab));
    sink = in.out[0];
}

static void score(const void *data, lp_dtype dtype, int32_t token)
{
    const lp_logits l = logits(data, dtype);
    float lse, entropy, logprob, top_logprob[K];
    int32_t rank, top_token[K];
    lp_scores to = {.logsumexp = &lse,
                    .entropy = &entropy,
                    .token_logprob = &logprob,
                    .token_rank = &rank,
                    .top_logprob = top_logprob,
                    .top_token = top_token};
    need_ok(lp_score(&l, &token, K, &to));
    sink = logprob;
}

static void run_likely(void)
{
    score(in.x, LP_F32, in.likely);
}

static void run_any(void)
{
    score(in.x, LP_F32, in.any);
}

static void run_f16(void)
{
    score(in.f16, LP_F16, in.any);
}

static void run_bf16(void)
{
    score(in.bf16, LP_BF16, in.any);
}

static void run_kl(void)
{
    const lp_logits p = logits(in.x, LP_F32), q = logits(in.y, LP_F32);
    double kl;
    const lp_divergence to = {.kl = &kl};
    need_ok(lp_compare(&p, &q, NULL, &to));
    sink = (float)kl;
}

static void run_compare(void)
{
    const lp_logits p = logits(in.x, LP_F32), q = logits(in.y, LP_F32);
    double kl, reverse_kl, cross_entropy;
    float difference, p_logprob, q_logprob;
    int32_t p_top, q_top;
    const lp_divergence to = {.kl = &kl,
                              .reverse_kl = &reverse_kl,
                              .cross_entropy = &cross_entropy,
                              .max_abs_diff = &difference,
                              .p_token_logprob = &p_logprob,
                              .q_token_logprob = &q_logprob,
                              .p_top = &p_top,
                              .q_top = &q_top};
    need_ok(lp_compare(&p, &q, &in.any, &to));
    sink = (float)kl;
}

/* a function, and the loop of its operations for AVX-512 and AVX2; `copies`: writes as much as it reads, besides */
typedef struct job {
    const char *name;
    void (*run)(void);
    void (*loop[2])(size_t columns);
    int copies;
} job;

static const job jobs[] = {
    {"lp_logsumexp", run_logsumexp, {logsumexp_512, logsumexp_256}, 0},
    {"lp_log_softmax", run_log_softmax, {logsumexp_512, logsumexp_256}, 1},
    {"lp_score, a likely token", run_likely, {likely_512, likely_256}, 0},
    {"lp_score, any token", run_any, {any_512, any_256}, 0},
    {"lp_score, any token, bf16", run_bf16, {bf16_512, bf16_256}, 0},
    {"lp_score, any token, f16", run_f16, {f16_512, f16_256}, 0},
    {"lp_compare, KL alone", run_kl, {kl_512, kl_256}, 0},
    {"lp_compare, all results", run_compare, {compare_512, compare_256}, 0},
};
enum { JOBS = sizeof jobs / sizeof *jobs, SCAN = 2 * JOBS, COPY, TIMES };

/* Nanoseconds. Not cpu_seconds: that asks the system, which takes a part of a scan. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_logit(const void *a, const void *b)
{
    const float x = in.x[*(const int32_t *)a], y = in.x[*(const int32_t *)b];
    return (x > y) - (x < y);
}

/* the one with the middle logit: how long a rank takes depends on it */
static int32_t middle_of(int32_t token[TOKENS])
{
    qsort(token, TOKENS, sizeof *token, by_logit);
    return token[TOKENS / 2];
}

/* nanoseconds of CHAIN additions, each waiting for the one before: a cycle each (of a constant some CPUs make several at once) */
static double chain(void)
{
    const double start = now();
    uint64_t a = 1;
    for (int i = 0; i < CHAIN / 10; i++)
        __asm__ volatile("add %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\t"
                         "add %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0"
                         : "+r"(a));
    return now() - start;
}

static void run(size_t which, int narrow)
{
    const size_t elements = (size_t)8 * (narrow ? 8 : 16);
    if (which < JOBS)
        jobs[which].run();
    else if (which < SCAN)
        jobs[which - JOBS].loop[narrow](in.vocab / elements);
    else if (which == SCAN)
        run_scan();
    else
        (narrow ? copy_256 : copy_512)(in.out, in.x, in.vocab);
}

/* Cycles of each: of so many tries by turns the quickest one, and the quickest chain. Others have used the cache before. */
static void measure(double result[TIMES], size_t rounds, int narrow)
{
    double least_chain = INFINITY;
    for (size_t which = 0; which < TIMES; which++)
        result[which] = INFINITY;
    for (size_t r = 0; r < rounds; r++)
        for (size_t which = 0; which < TIMES; which++) {
            const double one = chain();
            least_chain = one < least_chain ? one : least_chain;
            run(which, narrow);
            const double start = now();
            run(which, narrow);
            const double time = now() - start;
            result[which] = time < result[which] ? time : result[which];
        }
    for (size_t which = 0; which < TIMES; which++)
        result[which] *= CHAIN / least_chain;
}

static void table(lp_isa isa, size_t rounds)
{
    double c[TIMES];
    need_ok(lp_isa_select(isa));
    in.scan = limit_scan(isa);
    measure(c, rounds, isa == LP_ISA_AVX2);
    printf("\n%s: the scan takes %.0f cycles, copying the row %.0f\n", lp_isa_name(isa), c[SCAN], c[COPY]);
    printf("| a row of %zu | operations allow, cycles | measured | of that | scans allowed | scans |\n", in.vocab);
    printf("|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < JOBS; i++) {
        const double bound = c[JOBS + i] + (jobs[i].copies ? c[COPY] : 0);
        printf("| %s | %.0f | %.0f | %.2f | %.2f | %.2f |\n", jobs[i].name, bound, c[i], c[i] / bound, bound / c[SCAN],
               c[i] / c[SCAN]);
    }
}

static int usage(FILE *to)
{
    fputs("logprob_bound [--isa avx512 | --isa avx2] [--vocab 128256] [--rounds 2000] [--core N]\n"
          "For each function, cycles of the vector operations that its row needs, where none waits for another, and "
          "cycles of\n"
          "the function; both also as ratios to the read-only max scan. Without --isa: both, where the CPU has them.\n",
          to);
    return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    size_t rounds = 2000;
    int core = -1;
    const char *only = "";
    in.vocab = 128256;
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value == NULL)
            return usage(strcmp(argv[i], "--help") == 0 ? stdout : stderr);
        if (strcmp(argv[i], "--isa") == 0)
            only = value;
        else if (strcmp(argv[i], "--vocab") == 0)
            in.vocab = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--core") == 0)
            core = atoi(value);
        else
            return usage(stderr);
    }
    if (in.vocab < 4096 || in.vocab > INT32_MAX || rounds < 1 || rounds > MOST_ROUNDS)
        return fprintf(stderr, "logprob_bound: --vocab from 4096, --rounds up to %d\n", MOST_ROUNDS), 2;
    core = pin_to_core(core);
    const size_t bytes = in.vocab * sizeof(float);
    uint64_t state = 1;
    in.x = bench_alloc(bytes), in.y = bench_alloc(bytes), in.out = bench_alloc(bytes);
    in.f16 = bench_alloc(bytes / 2), in.bf16 = bench_alloc(bytes / 2);
    row_fill(in.x, in.vocab, ROW_BELL, 1);
    row_second(in.y, in.x, in.vocab, 0.02F, 0, 3); /* a little noise, as a quantised model's logits have */
    row_narrow(in.f16, in.x, in.vocab, LP_F16);
    row_narrow(in.bf16, in.x, in.vocab, LP_BF16);
    int32_t token[TOKENS];
    row_draw(token, 1, TOKENS, in.x, in.vocab, &state);
    in.likely = middle_of(token);
    for (size_t i = 0; i < TOKENS; i++)
        token[i] = (int32_t)(i * 7919 % in.vocab);
    in.any = middle_of(token);
    printf("%s, %s, logprob %s, core %d, %zu rounds\n", cpu_model(), compiler_name(), lp_version(), core, rounds);
    int measured = 0;
    for (lp_isa isa = LP_ISA_AVX512; isa >= LP_ISA_AVX2; isa--)
        if (lp_isa_supported(isa) && (only[0] == 0 || strcmp(only, lp_isa_name(isa)) == 0)) {
            table(isa, rounds);
            measured = 1;
        }
    if (!measured)
        fprintf(stderr, "logprob_bound: --isa avx512 or avx2, one of this CPU's\n");
    return measured ? 0 : 2;
}
