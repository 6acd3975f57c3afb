/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every public function that reads logits, behind one signature: what the ISA, guard, environment and golden
 * tests walk. */
#include "calls.h"

#include <math.h>
#include <string.h>

enum {
    GATHERED = 7,
    SCORED = 3,
    TOP = 20,
    TOP_STRIDE = 23,
    LABELS = 4,
    ALL_VOCAB = 6000,
    DERIVED_VOCAB = LP_BLOCK + 100
};
#define ANY_VOCAB SIZE_MAX

int32_t draw_token(rng *r, size_t vocab)
{
    const uint32_t what = rng_below(r, 16);
    if (what == 0) {
        return -1 - (int32_t)rng_below(r, 1000);
    }
    return (int32_t)(what == 1 || vocab == 0 ? vocab + rng_below(r, 3) : rng_below(r, (uint32_t)vocab));
}

static int32_t *draw_tokens(const lp_logits *in, uint64_t seed, size_t each, results *out)
{
    int32_t *token = results_take(out, "drawn tokens", KIND_I32, in->rows * each);
    for (size_t row = 0; row < in->rows; row++) {
        rng r = rng_seeded(seed + row);
        for (size_t i = 0; i < each; i++) {
            token[row * each + i] = draw_token(&r, in->vocab);
        }
    }
    return token;
}

static int32_t *take_status(results *out)
{
    return results_take(out, "returned", KIND_I32, 1);
}
static float *take_floats(results *out, const char *name, size_t count)
{
    return results_take(out, name, KIND_F32, count);
}
static int32_t *take_ints(results *out, const char *name, size_t count)
{
    return results_take(out, name, KIND_I32, count);
}

bool call_absent(const results *r)
{
    return *(const int32_t *)r->region[0].data == LP_ERR_ISA;
}

static void run_logsumexp(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    int32_t *status = take_status(out);
    *status = lp_logsumexp(in, take_floats(out, "out", in->rows));
}

static void run_entropy(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    int32_t *status = take_status(out);
    *status = lp_entropy(in, take_floats(out, "out", in->rows));
}

static void run_log_softmax(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    int32_t *status = take_status(out);
    *status = lp_log_softmax(in, take_floats(out, "out", in->rows * in->vocab), 0);
}

static void run_log_softmax_padded(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    const size_t stride = in->vocab + 5;
    int32_t *status = take_status(out);
    *status = lp_log_softmax(in, take_floats(out, "out", in->rows * stride), stride);
}

static void topk(const lp_logits *in, size_t k, results *out)
{
    int32_t *status = take_status(out);
    float *logprob = take_floats(out, "logprob", in->rows * k);
    int32_t *token = take_ints(out, "token", in->rows * k);
    *status = lp_topk(in, k, logprob, token);
}
static void run_topk_1(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    topk(in, 1, out);
}
static void run_topk_5(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    topk(in, 5, out);
}
static void run_topk_100(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    topk(in, 100, out);
}
static void run_topk_all(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    topk(in, in->vocab + 3, out);
}

static void run_gather(const lp_logits *in, uint64_t seed, results *out)
{
    int32_t *status = take_status(out);
    const int32_t *token = draw_tokens(in, seed, GATHERED, out);
    *status = lp_gather(in, token, GATHERED, take_floats(out, "logprob", in->rows * GATHERED));
}

static void run_score_all(const lp_logits *in, uint64_t seed, results *out)
{
    const size_t rows = in->rows;
    int32_t *status = take_status(out);
    const int32_t *token = draw_tokens(in, seed, SCORED, out);
    const lp_scores scores = {
        .logsumexp = take_floats(out, "logsumexp", rows),
        .entropy = take_floats(out, "entropy", rows),
        .max_logit = take_floats(out, "max_logit", rows),
        .log_norm = take_floats(out, "log_norm", rows),
        .tokens_per_row = SCORED,
        .token_logprob = take_floats(out, "token_logprob", rows * SCORED),
        .token_rank = take_ints(out, "token_rank", rows),
        .token_rank_ties = take_ints(out, "token_rank_ties", rows),
        .top_logprob = take_floats(out, "top_logprob", rows * TOP_STRIDE),
        .top_token = take_ints(out, "top_token", rows * TOP_STRIDE),
        .top_stride = TOP_STRIDE,
        .status = take_ints(out, "status", rows),
    };
    *status = lp_score(in, token, TOP, &scores);
}

static void run_score_sums(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    int32_t *status = take_status(out);
    const lp_scores scores = {
        .log_norm = take_floats(out, "log_norm", in->rows),
        .status = take_ints(out, "status", in->rows),
    };
    *status = lp_score(in, NULL, 0, &scores);
}

static void run_score_rank(const lp_logits *in, uint64_t seed, results *out)
{
    int32_t *status = take_status(out);
    const int32_t *token = draw_tokens(in, seed, 1, out);
    const lp_scores scores = {
        .token_rank = take_ints(out, "token_rank", in->rows),
        .token_rank_ties = take_ints(out, "token_rank_ties", in->rows),
    };
    *status = lp_score(in, token, 0, &scores);
}

/* The members of n sequences, one region each. */
static void take_sequences(const lp_sequence *s, size_t n, results *out)
{
    double *sums = results_take(out, "logprob, mean, perplexity", KIND_F64, 3 * n);
    uint64_t *counts = results_take(out, "tokens, argmin", KIND_U64, 2 * n);
    float *min = take_floats(out, "min", n);
    int32_t *flags = take_ints(out, "greedy, status", 2 * n);
    for (size_t i = 0; i < n; i++) {
        sums[3 * i] = s[i].logprob;
        sums[3 * i + 1] = s[i].mean;
        sums[3 * i + 2] = s[i].perplexity;
        counts[2 * i] = s[i].tokens;
        counts[2 * i + 1] = s[i].argmin;
        min[i] = s[i].min;
        flags[2 * i] = s[i].greedy;
        flags[2 * i + 1] = s[i].status;
    }
}

static void run_sequence_score(const lp_logits *in, uint64_t seed, results *out)
{
    int32_t *status = take_status(out);
    const int32_t *token = draw_tokens(in, seed, 1, out);
    const size_t offset[] = {0, in->rows / 2, in->rows};
    lp_sequence sequence[2];
    memset(sequence, RESULTS_FILL, sizeof sequence);
    *status = lp_sequence_score(in, token, NULL, offset, 2, sequence, take_floats(out, "token_logprob", in->rows));
    take_sequences(sequence, 2, out);
}

static void run_sequence_sum(const lp_logits *in, uint64_t seed, results *out)
{
    int32_t *status = take_status(out);
    const int32_t *token = draw_tokens(in, seed, GATHERED, out);
    float *logprob = take_floats(out, "token_logprob", in->rows * GATHERED);
    lp_gather(in, token, GATHERED, logprob);
    const size_t offset[] = {0, in->rows * 3, in->rows * GATHERED};
    lp_sequence sequence[2];
    memset(sequence, RESULTS_FILL, sizeof sequence);
    *status = lp_sequence_sum(logprob, NULL, offset, 2, sequence);
    take_sequences(sequence, 2, out);
}

/* The top logprobs of row 0, as an API returns them, and what clients make of them. */
static size_t take_top(const lp_logits *in, results *out, float **logprob)
{
    int32_t *token = take_ints(out, "top_token", in->rows * TOP);
    *logprob = take_floats(out, "top_logprob", in->rows * TOP);
    lp_topk(in, TOP, *logprob, token);
    size_t count = 0;
    while (in->rows > 0 && count < TOP && token[count] >= 0) {
        count++;
    }
    return count;
}

static void run_renormalize(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    float *logprob;
    int32_t *status = take_status(out);
    const size_t n = take_top(in, out, &logprob);
    lp_mass mass = {0};
    *status = lp_renormalize(logprob, n, take_floats(out, "renormalized", n), &mass);
    double *members = results_take(out, "log_kept, kept, tail", KIND_F64, 3);
    members[0] = mass.log_kept;
    members[1] = mass.kept;
    members[2] = mass.tail;
}

static void run_label_logprob(const lp_logits *in, uint64_t seed, results *out)
{
    float *logprob;
    int32_t *status = take_status(out);
    const size_t n = take_top(in, out, &logprob);
    int32_t *label = take_ints(out, "drawn labels", n);
    rng r = rng_seeded(seed);
    for (size_t i = 0; i < n; i++) {
        label[i] = (int32_t)rng_below(&r, LABELS + 1) - 1;
    }
    *status = lp_label_logprob(logprob, label, n, LABELS, take_floats(out, "label_logprob", LABELS));
}

static void run_partial_entropy(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    float *logprob;
    int32_t *status = take_status(out);
    const size_t n = take_top(in, out, &logprob);
    double *bounds = results_take(out, "lower, upper", KIND_F64, 2);
    *status = lp_partial_entropy(logprob, n, in->vocab, &bounds[0], &bounds[1]);
}

static void run_exp(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    int32_t *status = take_status(out);
    const size_t n = in->rows * in->vocab;
    float *logprob = take_floats(out, "logprob", n);
    lp_log_softmax(in, logprob, 0);
    *status = lp_exp(logprob, n, take_floats(out, "prob", n));
}

#define CALL(f, max_vocab, by_row)                                                                                     \
    {                                                                                                                  \
#f, run_##f, max_vocab, by_row, false                                                                          \
    }
#define DERIVED(f, by_row)                                                                                             \
    {                                                                                                                  \
#f, run_##f, DERIVED_VOCAB, by_row, true                                                                       \
    }
const call calls[] = {
    CALL(logsumexp, ANY_VOCAB, true),
    CALL(log_softmax, ANY_VOCAB, true),
    CALL(log_softmax_padded, ANY_VOCAB, true),
    CALL(entropy, ANY_VOCAB, true),
    CALL(topk_1, ANY_VOCAB, true),
    CALL(topk_5, ALL_VOCAB, true),
    CALL(topk_100, ANY_VOCAB, true),
    CALL(topk_all, ALL_VOCAB, true),
    CALL(gather, ANY_VOCAB, true),
    CALL(score_all, ANY_VOCAB, true),
    CALL(score_sums, ALL_VOCAB, true),
    CALL(score_rank, ANY_VOCAB, true),
    CALL(sequence_score, ALL_VOCAB, false),
    DERIVED(sequence_sum, false),
    DERIVED(renormalize, false),
    DERIVED(label_logprob, false),
    DERIVED(partial_entropy, false),
    DERIVED(exp, true),
};
const size_t call_count = COUNT(calls);
