/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every public function that reads logits, behind one signature: what the ISA, guard, environment and golden
 * tests walk. */
#include "calls.h"
#include "forms.h"

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

static void run_transform(const lp_logits *in, uint64_t seed, results *out)
{
    (void)seed;
    int32_t *status = take_status(out);
    float *x = take_floats(out, "out", in->rows * in->vocab);
    *status = lp_transform(in, x, 0);
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

/* ---- two models: the other one's logits depend on the seed alone, and are made of bits, whatever the rounding mode -- */
/* A value of a size from 0.5 to 8; f16 in the low half. */
static uint32_t draw_logit(lp_dtype dtype, rng *r)
{
    const uint32_t bits = (uint32_t)rng_next(r), sign = bits >> 31;
    switch (dtype) {
    case LP_F32:
        return sign << 31 | (0x3f000000 + (bits & 0x1ffffff));
    case LP_BF16:
        return sign << 15 | (0x3f00 + (bits & 0x1ff));
    default:
        return sign << 15 | (0x3800 + (bits & 0xfff));
    }
}

/* One row of eight is any bits, one has many -inf. */
static void draw_row(lp_dtype dtype, unsigned char *to, size_t n, rng *r)
{
    static const uint32_t minus_inf[] = {0xff800000, 0xff80, 0xfc00};
    const uint32_t what = rng_below(r, 8);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = what == 0 ? (uint32_t)rng_next(r) : draw_logit(dtype, r);
        if (what == 1 && rng_below(r, 4) == 0) {
            bits = minus_inf[dtype];
        }
        const uint16_t half = (uint16_t)bits;
        memcpy(to + i * dtype_size(dtype), dtype == LP_F32 ? (const void *)&bits : &half, dtype_size(dtype));
    }
}

/* Rows of whole 32-bit words, the padding of an odd row of halves first, so that each ends where its words end. */
static void draw_logits(lp_logits *q, uint64_t seed, results *out)
{
    const size_t size = dtype_size(q->dtype), words = (q->vocab * size + 3) / 4;
    unsigned char *memory =
        results_take(out, "drawn logits", size == 2 ? KIND_U16 : KIND_I32, q->rows * words * 4 / size);
    const size_t padding = words * 4 - q->vocab * size;
    for (size_t row = 0; row < q->rows; row++) {
        rng r = rng_seeded(seed + row);
        draw_row(q->dtype, memory + row * words * 4 + padding, q->vocab, &r);
    }
    q->data = memory + padding;
    q->stride = words * 4 / size;
}

/* Each row allows everything, or three ids of four. */
static void draw_mask(lp_logits *q, uint64_t seed, results *out)
{
    const size_t words = (q->vocab + 31) / 32;
    int32_t *mask = take_ints(out, "drawn mask", q->rows * words);
    for (size_t row = 0; row < q->rows; row++) {
        rng r = rng_seeded(~(seed + row));
        const uint32_t always = rng_below(&r, 2) ? UINT32_MAX : 0;
        for (size_t i = 0; i < words; i++) {
            mask[row * words + i] = (int32_t)((uint32_t)rng_next(&r) | (uint32_t)rng_next(&r) | always);
        }
    }
    q->allowed = (const uint32_t *)(const void *)mask;
}

static void compare_all(const lp_logits *p, const lp_logits *q, uint64_t seed, int32_t *status, results *out)
{
    const size_t rows = p->rows;
    const int32_t *token = draw_tokens(p, seed, 1, out);
    const lp_divergence divergence = {
        .kl = results_take(out, "kl", KIND_F64, rows),
        .reverse_kl = results_take(out, "reverse_kl", KIND_F64, rows),
        .cross_entropy = results_take(out, "cross_entropy", KIND_F64, rows),
        .max_abs_diff = take_floats(out, "max_abs_diff", rows),
        .p_token_logprob = take_floats(out, "p_token_logprob", rows),
        .q_token_logprob = take_floats(out, "q_token_logprob", rows),
        .p_top = take_ints(out, "p_top", rows),
        .q_top = take_ints(out, "q_top", rows),
        .status = take_ints(out, "status", rows),
    };
    *status = lp_compare(p, q, token, &divergence);
}

static void run_compare_self(const lp_logits *in, uint64_t seed, results *out)
{
    compare_all(in, in, seed, take_status(out), out);
}

static void run_compare_f32(const lp_logits *in, uint64_t seed, results *out)
{
    lp_logits q = {.rows = in->rows, .vocab = in->vocab, .dtype = LP_F32};
    int32_t *status = take_status(out);
    draw_logits(&q, seed, out);
    compare_all(in, &q, seed, status, out);
}

static void run_compare_bf16(const lp_logits *in, uint64_t seed, results *out)
{
    lp_logits q = {.rows = in->rows, .vocab = in->vocab, .dtype = LP_BF16, .inv_temperature = 0.8f};
    int32_t *status = take_status(out);
    draw_logits(&q, seed, out);
    draw_mask(&q, seed, out);
    compare_all(in, &q, seed, status, out);
}

/* The drawn model is p. */
static void run_compare_f16(const lp_logits *in, uint64_t seed, results *out)
{
    lp_logits p = {.rows = in->rows, .vocab = in->vocab, .dtype = LP_F16, .softcap = 5};
    int32_t *status = take_status(out);
    draw_logits(&p, seed, out);
    compare_all(&p, in, seed, status, out);
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */
/* Ids begin .. end - 1 of a row of one as a chunk; its mask's bits are moved to `mask`, at its end. */
static lp_logits chunk_of(const lp_logits *row, size_t begin, size_t end, uint32_t *mask)
{
    lp_logits chunk = *row;
    const size_t n = end - begin, words = (n + 31) / 32;
    chunk.data = (const unsigned char *)row->data + begin * dtype_size(row->dtype);
    chunk.vocab = n;
    chunk.stride = 0;
    chunk.allowed_stride = 0;
    if (row->allowed) {
        uint32_t *to = mask + ((row->vocab + 31) / 32 - words);
        memset(to, 0xff, words * 4); /* what lies beyond the chunk is ignored */
        for (size_t i = 0; i < n; i++) {
            const uint32_t bit = row->allowed[(begin + i) / 32] >> ((begin + i) % 32) & 1;
            to[i / 32] &= ~((uint32_t)!bit << (i % 32));
        }
        chunk.allowed = to;
    }
    return chunk;
}

/* Pushes ids begin .. end - 1, cut anywhere: one chunk of four may be longer than a block. */
static lp_status push_ragged(lp_stream *s, const lp_logits *row, size_t begin, size_t end, uint32_t *mask, rng *r)
{
    lp_status status = LP_OK;
    while (begin < end && status == LP_OK) {
        const size_t most = rng_below(r, 4) == 0 ? 2 * LP_BLOCK : 100, n = 1 + rng_below(r, (uint32_t)most);
        const size_t to = n < end - begin ? begin + n : end;
        const lp_logits chunk = chunk_of(row, begin, to, mask);
        status = lp_stream_push(s, &chunk);
        begin = to;
    }
    return status;
}

typedef struct stream_memory {
    void *state[2];
    uint32_t *mask;
} stream_memory;

/* A row in one stream, or in two shards of which either is merged into the other; the answer is in state[0]. */
static lp_status stream_row(const lp_logits *row, int32_t token, bool sharded, const stream_memory *at, rng *r)
{
    const size_t n = row->vocab, cut = sharded ? rng_below(r, (uint32_t)n + 1) : n, bytes = lp_stream_size(TOP);
    const size_t into = sharded ? rng_below(r, 2) : 0; /* which shard */
    for (size_t i = 0; i < (sharded ? 2 : 1); i++) {
        void *state = at->state[i ^ into];
        lp_status status = lp_stream_init(state, bytes, TOP, (int32_t)(i * cut), token);
        if (status == LP_OK) {
            status = push_ragged(state, row, i * cut, i == 0 ? cut : n, at->mask, r);
        }
        if (status != LP_OK || lp_stream_check(state, bytes) != LP_OK) {
            return status != LP_OK ? status : LP_ERR_STATE;
        }
    }
    return sharded ? lp_stream_merge(at->state[0], at->state[1]) : LP_OK;
}

static void stream_all(const lp_logits *in, uint64_t seed, bool sharded, results *out)
{
    const size_t rows = in->rows;
    int32_t *status = take_status(out);
    const int32_t *token = draw_tokens(in, seed, 1, out);
    float *values = take_floats(out, "logsumexp, entropy, max_logit, log_norm, token_logprob", 5 * rows);
    uint64_t *counts = results_take(out, "count, bytes used", KIND_U64, 2 * rows);
    int32_t *each = take_ints(out, "status", rows);
    float *top_logprob = take_floats(out, "top_logprob", rows * TOP);
    int32_t *top_token = take_ints(out, "top_token", rows * TOP);
    /* Memory that is watched during the call, but no result. */
    const size_t regions = out->regions, used = out->used, words = lp_stream_size(TOP) / 4;
    const stream_memory at = {
        .state = {take_ints(out, "state", words), take_ints(out, "other state", words)},
        .mask = (uint32_t *)(void *)take_ints(out, "chunk's mask", (in->vocab + 31) / 32),
    };
    *status = LP_OK;
    for (size_t i = 0; i < rows; i++) {
        const lp_logits row = matrix_row(in, i);
        rng r = rng_seeded(seed + i);
        lp_row result = {0};
        each[i] = stream_row(&row, token[i], sharded, &at, &r);
        counts[2 * i + 1] = lp_stream_used(at.state[0]);
        if (each[i] == LP_OK) {
            each[i] = lp_stream_finish(at.state[0], &result, top_logprob + i * TOP, top_token + i * TOP);
        }
        memcpy(
            values + 5 * i,
            (const float[]){result.logsumexp, result.entropy, result.max_logit, result.log_norm, result.token_logprob},
            5 * sizeof *values);
        counts[2 * i] = result.count;
        *status = *status == LP_OK ? each[i] : *status;
    }
    out->regions = regions;
    out->used = used;
}

static void run_stream(const lp_logits *in, uint64_t seed, results *out)
{
    stream_all(in, seed, false, out);
}

static void run_stream_shards(const lp_logits *in, uint64_t seed, results *out)
{
    stream_all(in, seed, true, out);
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
    CALL(transform, ANY_VOCAB, true),
    CALL(compare_self, ANY_VOCAB, true),
    CALL(compare_f32, ANY_VOCAB, true),
    CALL(compare_bf16, ALL_VOCAB, true),
    CALL(compare_f16, ALL_VOCAB, true),
    {"stream", run_stream, ANY_VOCAB, true, true},
    {"stream_shards", run_stream_shards, ALL_VOCAB, true, true},
};
const size_t call_count = COUNT(calls);
