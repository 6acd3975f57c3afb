/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Runs each main kernel once between two callgrind requests, so that its instructions can be counted exactly. */
#include "workload.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

enum { VOCAB = 32000, TOP = 20 };

typedef struct job {
    const char *name;
    lp_dtype dtype;
    void (*run)(const lp_logits *in);
} job;

static float *dense, like[VOCAB], apart[VOCAB], unrelated[VOCAB], frequent[VOCAB], normal[VOCAB], low[VOCAB], top[TOP],
    one[4];
static int32_t id[TOP], rank, token = 4711;
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

/* logits so close together that sums of lanes say little of their elements */
static void run_topk_normal(const lp_logits *in)
{
    lp_logits close = *in;
    close.data = normal;
    run_topk(&close);
}

static void run_score_normal(const lp_logits *in)
{
    lp_logits close = *in;
    close.data = normal;
    run_score(&close);
}

static void run_score_low(const lp_logits *in)
{
    lp_logits far = *in;
    far.data = low;
    run_score(&far);
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

static void compare(const float *p_row, const float *q_row)
{
    double kl;
    lp_logits p = {.data = p_row, .rows = 1, .vocab = VOCAB}, q = p;
    q.data = q_row;
    lp_divergence out = {.kl = &kl};
    need_ok(lp_compare(&p, &q, NULL, &out));
}

static void run_kl(const lp_logits *in)
{
    compare(in->data, like);
}

/* of a model whose logits lie at another level */
static void run_kl_apart(const lp_logits *in)
{
    compare(in->data, apart);
}

/* so far apart that the values have to be many */
static void run_kl_unrelated(const lp_logits *in)
{
    compare(in->data, unrelated);
}

/* in double, for a logit is -inf */
static void run_kl_exact(const lp_logits *in)
{
    static float masked[VOCAB];
    memcpy(masked, in->data, sizeof masked);
    masked[VOCAB / 2] = -INFINITY;
    compare(masked, like);
}

/* most of the mass in one block */
static void run_kl_frequent(const lp_logits *in)
{
    (void)in;
    static float second[VOCAB];
    if (second[0] == 0)
        row_second(second, frequent, VOCAB, 0.05F, 0, 6);
    compare(frequent, second);
}

static const job JOBS[] = {
    {"logsumexp/f32", LP_F32, run_logsumexp},
    {"logsumexp/bf16", LP_BF16, run_logsumexp},
    {"logsumexp/f16", LP_F16, run_logsumexp},
    {"log_softmax/f32", LP_F32, run_log_softmax},
    {"entropy/f32", LP_F32, run_entropy},
    {"topk/f32", LP_F32, run_topk},
    {"gather/f32", LP_F32, run_gather},
    {"score/f32", LP_F32, run_score},
    {"score_allow50/f32", LP_F32, run_masked},
    {"stream/f32", LP_F32, run_stream},
    {"kl/f32", LP_F32, run_kl},
    {"kl_apart/f32", LP_F32, run_kl_apart},
    {"kl_frequent/f32", LP_F32, run_kl_frequent},
    {"kl_unrelated/f32", LP_F32, run_kl_unrelated},
    {"kl_exact/f32", LP_F32, run_kl_exact},
    {"topk_normal/f32", LP_F32, run_topk_normal},
    {"score_normal/f32", LP_F32, run_score_normal},
    {"score_low/f32", LP_F32, run_score_low},
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
    float *row = bench_alloc(VOCAB * sizeof *row);
    uint16_t *narrow[3] = {NULL, bench_alloc(VOCAB * 2), bench_alloc(VOCAB * 2)};
    row_fill(row, VOCAB, ROW_BELL, 1);
    row_fill(unrelated, VOCAB, ROW_BELL, 2);
    row_fill(frequent, VOCAB, ROW_FREQUENT, 5);
    row_fill(low, VOCAB, ROW_LOW, 7);
    row_second(like, row, VOCAB, 0.05F, 0, 6);
    row_second(apart, row, VOCAB, 0.5F, -7.3F, 6);
    row_fill(normal, VOCAB, ROW_NORMAL, 4);
    row_narrow(narrow[LP_BF16], row, VOCAB, LP_BF16);
    row_narrow(narrow[LP_F16], row, VOCAB, LP_F16);
    dense = bench_alloc(VOCAB * sizeof *dense);
    allowed = bench_alloc((VOCAB + 31) / 32 * sizeof *allowed);
    mask_fill(allowed, VOCAB, 50, 3);
    stream = bench_alloc(lp_stream_size(TOP));
    printf("elements %d\n", VOCAB);
    for (lp_isa isa = LP_ISA_SCALAR; isa <= LP_ISA_NEON; isa++) {
        if (lp_isa_select(isa) != LP_OK)
            continue;
        for (size_t i = 0; i < sizeof JOBS / sizeof *JOBS; i++) {
            lp_logits in = {.data = JOBS[i].dtype == LP_F32 ? (const void *)row : narrow[JOBS[i].dtype],
                            .rows = 1,
                            .vocab = VOCAB,
                            .dtype = JOBS[i].dtype};
            count(&JOBS[i], &in);
        }
    }
    return 0;
}
