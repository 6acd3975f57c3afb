/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Runs each main kernel once between two callgrind requests, so that its instructions can be counted exactly. */
#include "workload.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

enum { VOCAB = 32000, TOP = 20, SHORT = 256, ROWS = VOCAB / SHORT };

typedef struct job {
    const char *name;
    lp_dtype dtype;
    void (*run)(const lp_logits *in);
    const float *row, *second; /* of 32-bit logits; a second model's */
} job;

/* the second models' rows: like the first one's, at another level, unrelated: so far apart that the values have to be many */
static float bell[VOCAB], like[VOCAB], apart[VOCAB], unrelated[VOCAB];
static float absent[VOCAB], absent_like[VOCAB]; /* every other logit -inf */
static float beyond[VOCAB];                     /* at a level for which two models are compared in double */
static float frequent[VOCAB], frequent_like[VOCAB], normal[VOCAB], low[VOCAB], low_like[VOCAB], equal[VOCAB];
static float sections[VOCAB], sections_like[VOCAB], padded[VOCAB], padded_like[VOCAB], wide_absent[VOCAB];
static float grammar[VOCAB];
static float *dense, top[ROWS * TOP], one[4], of_row[3][ROWS];
static const float *second;
static int32_t id[ROWS * TOP], rank, ranks[ROWS], token = 4711, tokens[ROWS];
static uint32_t *allowed;
static void *stream;

static void run_logsumexp(const lp_logits *in)
{
    need_ok(lp_logsumexp(in, one));
}

static void run_log_softmax(const lp_logits *in)
{
    need_ok(lp_log_softmax(in, dense, 0));
}

static void run_entropy(const lp_logits *in)
{
    need_ok(lp_entropy(in, one));
}

static void run_topk(const lp_logits *in)
{
    need_ok(lp_topk(in, TOP, top, id));
}

static void run_gather(const lp_logits *in)
{
    need_ok(lp_gather(in, &token, 1, one));
}

static void run_score(const lp_logits *in)
{
    lp_scores out = {.logsumexp = one,
                     .entropy = one + 1,
                     .token_logprob = one + 2,
                     .token_rank = &rank,
                     .top_logprob = top,
                     .top_token = id};
    need_ok(lp_score(in, &token, TOP, &out));
}

static void run_masked(const lp_logits *in)
{
    lp_logits masked = *in;
    masked.allowed = allowed;
    run_score(&masked);
}

/* the same logits as rows of a label classifier, all in one call */
static void run_score_short(const lp_logits *in)
{
    lp_logits rows = *in;
    lp_scores out = {.logsumexp = of_row[0],
                     .entropy = of_row[1],
                     .token_logprob = of_row[2],
                     .token_rank = ranks,
                     .top_logprob = top,
                     .top_token = id};
    rows.rows = ROWS;
    rows.vocab = SHORT;
    need_ok(lp_score(&rows, tokens, TOP, &out));
}

static void run_stream(const lp_logits *in)
{
    lp_row row;
    need_ok(lp_stream_init(stream, lp_stream_size(TOP), TOP, 0, token));
    for (size_t at = 0; at < VOCAB; at += 5000) {
        lp_logits chunk = {
            .data = (const float *)in->data + at, .rows = 1, .vocab = VOCAB - at < 5000 ? VOCAB - at : 5000};
        need_ok(lp_stream_push(stream, &chunk));
    }
    need_ok(lp_stream_finish(stream, &row, top, id));
}

static void run_kl(const lp_logits *in)
{
    double kl;
    lp_logits q = *in;
    q.data = second;
    lp_divergence out = {.kl = &kl};
    need_ok(lp_compare(in, &q, NULL, &out));
}

static void run_kl_short(const lp_logits *in)
{
    static double kl[ROWS];
    lp_logits p = *in;
    p.rows = ROWS;
    p.vocab = SHORT;
    lp_logits q = p;
    q.data = second;
    lp_divergence out = {.kl = kl};
    need_ok(lp_compare(&p, &q, NULL, &out));
}

static const job JOBS[] = {
    {"logsumexp/f32", LP_F32, run_logsumexp, bell, NULL},
    {"logsumexp/bf16", LP_BF16, run_logsumexp, NULL, NULL},
    {"logsumexp/f16", LP_F16, run_logsumexp, NULL, NULL},
    {"log_softmax/f32", LP_F32, run_log_softmax, bell, NULL},
    {"entropy/f32", LP_F32, run_entropy, bell, NULL},
    {"topk/f32", LP_F32, run_topk, bell, NULL},
    {"gather/f32", LP_F32, run_gather, bell, NULL},
    {"score/f32", LP_F32, run_score, bell, NULL},
    {"score_allow50/f32", LP_F32, run_masked, bell, NULL},
    {"stream/f32", LP_F32, run_stream, bell, NULL},
    {"kl/f32", LP_F32, run_kl, bell, like},
    {"kl_apart/f32", LP_F32, run_kl, bell, apart},
    {"kl_frequent/f32", LP_F32, run_kl, frequent, frequent_like},
    {"kl_unrelated/f32", LP_F32, run_kl, bell, unrelated},
    {"kl_absent/f32", LP_F32, run_kl, absent, absent_like},
    {"kl_low/f32", LP_F32, run_kl, low, low_like},
    {"kl_exact/f32", LP_F32, run_kl, beyond, beyond},
    {"topk_normal/f32", LP_F32, run_topk, normal, NULL},
    {"topk_equal/f32", LP_F32, run_topk, equal, NULL},
    {"score_normal/f32", LP_F32, run_score, normal, NULL},
    {"score_low/f32", LP_F32, run_score, low, NULL},
    {"logsumexp_sections/f32", LP_F32, run_logsumexp, sections, NULL},
    {"kl_sections/f32", LP_F32, run_kl, sections, sections_like},
    {"kl_padded/f32", LP_F32, run_kl, padded, padded_like},
    {"logsumexp_wide_absent/f32", LP_F32, run_logsumexp, wide_absent, NULL},
    {"logsumexp_masked/f32", LP_F32, run_logsumexp, grammar, NULL},
    {"score_allow50/bf16", LP_BF16, run_masked, NULL, NULL},
    {"score_short/f32", LP_F32, run_score_short, normal, NULL},
    {"kl_short/f32", LP_F32, run_kl_short, bell, like},
};

/* The first call is not counted: it may resolve symbols and choose the kernels. */
static void count(const job *j, const lp_logits *in)
{
    char name[64];
    j->run(in);
    snprintf(name, sizeof name, "%s/%s", lp_isa_name(lp_isa_active()), j->name);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    j->run(in);
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
}

int main(void)
{
    uint16_t *narrow[3] = {NULL, bench_alloc(VOCAB * 2), bench_alloc(VOCAB * 2)};
    row_fill(bell, VOCAB, ROW_BELL, 1);
    row_fill(unrelated, VOCAB, ROW_BELL, 2);
    row_fill(frequent, VOCAB, ROW_FREQUENT, 5);
    row_fill(low, VOCAB, ROW_LOW, 7);
    row_second(like, bell, VOCAB, 0.05F, 0, 6);
    row_second(apart, bell, VOCAB, 0.5F, -7.3F, 6);
    row_second(frequent_like, frequent, VOCAB, 0.05F, 0, 6);
    row_fill(sections, VOCAB, ROW_SECTIONS, 8);
    row_fill(padded, VOCAB, ROW_PADDED, 1);
    row_fill(wide_absent, VOCAB, ROW_WIDE, 10);
    row_fill(grammar, VOCAB, ROW_MASKED, 11);
    for (int32_t i = 0; i < ROWS; i++)
        tokens[i] = i;
    for (size_t i = 0; i < VOCAB; i++)
        wide_absent[i] = i % 10 ? -INFINITY : wide_absent[i];
    row_second(sections_like, sections, VOCAB, 0.05F, 0, 6);
    for (size_t i = 0; i < VOCAB; i++)
        padded_like[i] = padded[i] == -1e4F ? -1e4F : like[i];
    row_second(low_like, low, VOCAB, 0.05F, 0, 6);
    row_second(beyond, bell, VOCAB, 0, -300, 6);
    for (size_t i = 0; i < VOCAB; i++)
        absent[i] = i % 2 ? -INFINITY : bell[i];
    row_second(absent_like, absent, VOCAB, 0.05F, 0, 6);
    row_fill(normal, VOCAB, ROW_NORMAL, 4);
    row_narrow(narrow[LP_BF16], bell, VOCAB, LP_BF16);
    row_narrow(narrow[LP_F16], bell, VOCAB, LP_F16);
    dense = bench_alloc(VOCAB * sizeof *dense);
    allowed = bench_alloc((VOCAB + 31) / 32 * sizeof *allowed);
    mask_fill(allowed, VOCAB, 50, 3);
    stream = bench_alloc(lp_stream_size(TOP));
    printf("elements %d\n", VOCAB);
    for (lp_isa isa = LP_ISA_SCALAR; isa <= LP_ISA_NEON; isa++) {
        if (lp_isa_select(isa) != LP_OK)
            continue;
        for (size_t i = 0; i < sizeof JOBS / sizeof *JOBS; i++) {
            lp_logits in = {.data = JOBS[i].dtype == LP_F32 ? (const void *)JOBS[i].row : narrow[JOBS[i].dtype],
                            .rows = 1,
                            .vocab = VOCAB,
                            .dtype = JOBS[i].dtype};
            second = JOBS[i].second;
            count(&JOBS[i], &in);
        }
    }
    return 0;
}
