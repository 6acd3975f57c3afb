/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fuzz target: every public function on logits and arguments drawn from the input, all ISAs of this machine against scalar,
 * bit by bit; and the functions against one another. Outputs lie in blocks of memory of exactly their size. */
#include "input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- outputs ------------------------------------------------------------------------------------------------------ */

enum { MAX_BLOCKS = 24, FILL = 0xa5 };
typedef struct outputs {
    unsigned char *at[MAX_BLOCKS];
    size_t bytes[MAX_BLOCKS], blocks;
    lp_status status;
} outputs;

static void *block(outputs *out, size_t count, size_t size)
{
    unsigned char *memory = room(count * size);
    memset(memory, FILL, count * size);
    out->at[out->blocks] = memory;
    out->bytes[out->blocks++] = count * size;
    return memory;
}

static void outputs_free(outputs *out)
{
    for (size_t i = 0; i < out->blocks; i++) {
        free(out->at[i]);
    }
    *out = (outputs){0};
}

static void expect_same(const outputs *got, const outputs *want, const char *name)
{
    expect(got->status == want->status && got->blocks == want->blocks, "the same status on every ISA", name);
    for (size_t i = 0; i < want->blocks; i++) {
        expect(got->bytes[i] == want->bytes[i] && memcmp(got->at[i], want->at[i], want->bytes[i]) == 0,
               "the same bits on every ISA", name);
    }
}

static void expect_untouched(const outputs *out, const char *name)
{
    for (size_t b = 0; b < out->blocks; b++) {
        for (size_t i = 0; i < out->bytes[b]; i++) {
            expect(out->at[b][i] == FILL, "a refused call writes nothing", name);
        }
    }
}

/* ---- the functions: each draws its arguments from a copy of the input, so that every ISA gets the same ------------- */

typedef struct subject {
    const drawn *p, *q;
    size_t rows, vocab; /* of p */
} subject;
typedef void trial(input in, const subject *s, outputs *out);

/* Ids: none, beyond the vocabulary, and valid ones. Not an output: an input that is not compared. */
static int32_t draw_token(input *in, size_t vocab)
{
    const size_t what = take_byte(in);
    if (what < 8) {
        return -1 - (int32_t)take_byte(in);
    }
    return (int32_t)(what < 16 || vocab == 0 ? vocab + take_byte(in)
                                             : (take_byte(in) | (size_t)take_byte(in) << 8) % vocab);
}

static int32_t *draw_tokens(input *in, size_t count, size_t vocab)
{
    int32_t *token = room(count * sizeof *token);
    for (size_t i = 0; i < count; i++) {
        token[i] = draw_token(in, vocab);
    }
    return token;
}

static size_t draw_k(input *in, size_t vocab)
{
    const size_t what = take_byte(in);
    return what < 64 ? what : what < 128 ? vocab : what < 192 ? vocab + what - 128 : take_below(in, 3000);
}

static void try_logsumexp(input in, const subject *s, outputs *out)
{
    (void)in;
    out->status = lp_logsumexp(&s->p->in, block(out, s->rows, 4));
}

static void try_entropy(input in, const subject *s, outputs *out)
{
    (void)in;
    out->status = lp_entropy(&s->p->in, block(out, s->rows, 4));
}

static size_t draw_out_stride(input *in, size_t vocab)
{
    return take_byte(in) % 4 == 1 ? vocab + take_byte(in) : 0;
}

/* A matrix of outputs that ends where its last row ends. */
static float *matrix_block(outputs *out, const subject *s, size_t stride)
{
    const size_t step = stride == 0 ? s->vocab : stride;
    return block(out, s->rows == 0 ? 0 : (s->rows - 1) * step + s->vocab, 4);
}

static void try_transform(input in, const subject *s, outputs *out)
{
    const size_t stride = draw_out_stride(&in, s->vocab);
    out->status = lp_transform(&s->p->in, matrix_block(out, s, stride), stride);
}

static void try_log_softmax(input in, const subject *s, outputs *out)
{
    const size_t stride = draw_out_stride(&in, s->vocab);
    out->status = lp_log_softmax(&s->p->in, matrix_block(out, s, stride), stride);
}

/* The only outputs that may be inputs. */
static void try_in_place(input in, const subject *s, outputs *out)
{
    lp_logits logits = s->p->in;
    if (logits.dtype != LP_F32 || logits.data != s->p->memory + s->p->offset || s->p->offset % 4 != 0 ||
        s->p->shape.dtype != LP_F32 || s->p->bytes < s->p->offset) {
        return;
    }
    float *x = block(out, (s->p->bytes - s->p->offset) / 4, 4);
    memcpy(x, s->p->memory + s->p->offset, out->bytes[0]);
    logits.data = x;
    lp_status (*function)(const lp_logits *, float *, size_t) = take_byte(&in) % 2 ? lp_log_softmax : lp_transform;
    out->status = function(&logits, x, logits.stride);
    if (out->status == LP_ERR_ARG) {
        memset(x, FILL, out->bytes[0]);
    }
    for (size_t row = 0; row + 1 < s->rows && logits.stride > s->vocab; row++) { /* another one on each ISA */
        memset(x + row * logits.stride + s->vocab, FILL, (logits.stride - s->vocab) * 4);
    }
}

static void try_topk(input in, const subject *s, outputs *out)
{
    const size_t k = draw_k(&in, s->vocab);
    float *logprob = block(out, s->rows * k, 4);
    out->status = lp_topk(&s->p->in, k, logprob, block(out, s->rows * k, 4));
}

static void try_gather(input in, const subject *s, outputs *out)
{
    const size_t n = take_below(&in, 20);
    int32_t *token = draw_tokens(&in, s->rows * n, s->vocab);
    out->status = lp_gather(&s->p->in, token, n, block(out, s->rows * n, 4));
    free(token);
}

static void *wanted(uint32_t bit, uint32_t want, outputs *out, size_t count, size_t size)
{
    return want >> bit & 1 ? block(out, count, size) : NULL;
}

static void try_score(input in, const subject *s, outputs *out)
{
    const uint32_t want = ~(uint32_t)(take_byte(&in) | take_byte(&in) << 8); /* 0: everything */
    const size_t k = draw_k(&in, s->vocab), each = take_below(&in, 5), tokens = each == 0 ? 1 : each;
    const size_t more = take_byte(&in), top_stride = more % 4 == 1 ? k + more : 0;
    const size_t tops = s->rows * (top_stride == 0 ? k : top_stride);
    int32_t *token = draw_tokens(&in, s->rows * tokens, s->vocab);
    const lp_scores scores = {
        .logsumexp = wanted(0, want, out, s->rows, 4),
        .entropy = wanted(1, want, out, s->rows, 4),
        .max_logit = wanted(2, want, out, s->rows, 4),
        .log_norm = wanted(3, want, out, s->rows, 4),
        .tokens_per_row = each,
        .token_logprob = wanted(4, want, out, s->rows * tokens, 4),
        .token_rank = wanted(5, want, out, s->rows, 4),
        .token_rank_ties = wanted(6, want, out, s->rows, 4),
        .top_logprob = wanted(7, want, out, tops, 4),
        .top_token = wanted(7, want, out, tops, 4),
        .top_stride = top_stride,
        .status = wanted(8, want, out, s->rows, 4),
    };
    out->status = lp_score(&s->p->in, token, k, &scores);
    free(token);
}

/* Sequences one after the other, with gaps, and bytes that say what is kept. */
static size_t *draw_offsets(input *in, size_t n, size_t rows)
{
    size_t *offset = room((n + 1) * sizeof *offset);
    offset[0] = 0;
    for (size_t i = 1; i <= n; i++) {
        const size_t more = take_byte(in) % 8;
        offset[i] = offset[i - 1] + more < rows ? offset[i - 1] + more : rows;
    }
    return offset;
}

static uint8_t *draw_keep(input *in, size_t rows)
{
    uint8_t *keep = room(rows);
    for (size_t i = 0; i < rows; i++) {
        keep[i] = take_byte(in) & 3;
    }
    return keep;
}

/* Padding inside the struct is not a result. */
static void put_sequences(outputs *out, const lp_sequence *s, size_t n)
{
    for (size_t i = 0; i < n && out->status != LP_ERR_ARG; i++) {
        const double sums[] = {s[i].logprob, s[i].mean, s[i].perplexity, (double)s[i].min};
        const uint64_t counts[] = {s[i].tokens, s[i].argmin, (uint64_t)s[i].greedy, (uint64_t)s[i].status};
        memcpy(out->at[0] + i * 64, sums, 32);
        memcpy(out->at[0] + i * 64 + 32, counts, 32);
    }
}

static void try_sequence_score(input in, const subject *s, outputs *out)
{
    const size_t n = take_below(&in, 4);
    size_t *offset = draw_offsets(&in, n, s->rows);
    uint8_t *keep = draw_keep(&in, s->rows);
    int32_t *token = draw_tokens(&in, s->rows, s->vocab);
    lp_sequence *sequence = room(n * sizeof *sequence);
    block(out, n, 64);
    out->status = lp_sequence_score(&s->p->in, token, take_byte(&in) % 2 ? keep : NULL, offset, n, sequence,
                                    block(out, s->rows, 4));
    put_sequences(out, sequence, n);
    free(sequence);
    free(token);
    free(keep);
    free(offset);
}

static float *draw_floats(input *in, size_t n)
{
    float *x = room(n * sizeof *x);
    const size_t how = take_byte(in);
    for (size_t i = 0; i < n; i++) {
        x[i] = how % 4 == 0 ? take_float(in) : -(float)take_byte(in) / (float)(1 + how % 64) - (float)(how % 3);
    }
    return x;
}

static void try_sequence_sum(input in, const subject *s, outputs *out)
{
    (void)s;
    const size_t rows = take_below(&in, 100), n = take_below(&in, 12);
    size_t *offset = draw_offsets(&in, n, rows);
    uint8_t *keep = draw_keep(&in, rows);
    float *logprob = draw_floats(&in, rows);
    lp_sequence *sequence = room(n * sizeof *sequence);
    block(out, n, 64);
    out->status = lp_sequence_sum(logprob, take_byte(&in) % 2 ? keep : NULL, offset, n, sequence);
    put_sequences(out, sequence, n);
    free(sequence);
    free(logprob);
    free(keep);
    free(offset);
}

/* what a comparison gave, got alone */
static void compare_alone(const subject *s, const lp_divergence *all)
{
    const void *const given[] = {all->kl, all->reverse_kl, all->cross_entropy, all->max_abs_diff};
    const size_t size[] = {sizeof(double), sizeof(double), sizeof(double), sizeof(float)};
    for (size_t i = 0; i < COUNT(given); i++) {
        if (given[i] == NULL) {
            continue;
        }
        void *alone = room(s->rows * size[i]);
        const lp_divergence one = {.kl = i == 0 ? alone : NULL,
                                   .reverse_kl = i == 1 ? alone : NULL,
                                   .cross_entropy = i == 2 ? alone : NULL,
                                   .max_abs_diff = i == 3 ? alone : NULL};
        lp_compare(&s->p->in, &s->q->in, NULL, &one);
        expect(memcmp(alone, given[i], s->rows * size[i]) == 0, "bits depend on what else is wanted", "lp_compare");
        free(alone);
    }
}

static void try_compare(input in, const subject *s, outputs *out)
{
    const uint32_t want = ~(uint32_t)take_byte(&in);
    int32_t *token = draw_tokens(&in, s->rows, s->vocab);
    const lp_divergence divergence = {
        .kl = wanted(0, want, out, s->rows, 8),
        .reverse_kl = wanted(1, want, out, s->rows, 8),
        .cross_entropy = wanted(2, want, out, s->rows, 8),
        .max_abs_diff = wanted(3, want, out, s->rows, 4),
        .p_token_logprob = wanted(4, want, out, s->rows, 4),
        .q_token_logprob = wanted(5, want, out, s->rows, 4),
        .p_top = wanted(6, want, out, s->rows, 4),
        .q_top = wanted(6, want, out, s->rows, 4),
        .status = wanted(7, want, out, s->rows, 4),
    };
    out->status = lp_compare(&s->p->in, &s->q->in, token, &divergence);
    if (out->status != LP_ERR_ARG) {
        compare_alone(s, &divergence);
    }
    free(token);
}

static void try_partial(input in, const subject *s, outputs *out)
{
    (void)s;
    const size_t n = take_below(&in, 300), labels = take_below(&in, 70), which = take_below(&in, 4);
    float *logprob = draw_floats(&in, n);
    int32_t *label = draw_tokens(&in, n, labels);
    lp_mass mass = {0};
    double *bound;
    switch (which) {
    case 0:
        out->status = lp_renormalize(logprob, n, block(out, n, 4), &mass);
        if (out->status != LP_ERR_ARG) {
            memcpy(block(out, 1, sizeof mass), &mass, sizeof mass);
        }
        break;
    case 1:
        out->status = lp_label_logprob(logprob, label, n, labels, block(out, labels, 4));
        break;
    case 2:
        bound = block(out, 2, sizeof *bound);
        out->status = lp_partial_entropy(logprob, n, n + take_word(&in) / 2, &bound[0], &bound[1]);
        break;
    default:
        out->status = lp_exp(logprob, n, block(out, n, 4));
        break;
    }
    free(label);
    free(logprob);
}

/* ---- one function against the others ------------------------------------------------------------------------------ */

static bool same(const float *a, const float *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* The list of a good row: in order, and each entry what the row has at its id. */
static void expect_top(const float *x, const float *row, size_t vocab, const float *logprob, const int32_t *token,
                       size_t k)
{
    const char *const where = "lp_score and lp_log_softmax";
    size_t mass = 0;
    for (size_t id = 0; id < vocab; id++) {
        mass += row[id] > -INFINITY;
    }
    for (size_t i = 0; i < k; i++) {
        if (token[i] < 0) {
            /* a logit may have so little that its logprob is -inf, but not the other way round */
            expect(i >= mass && token[i] == -1 && logprob[i] == -INFINITY, "the list has what the row has", where);
            continue;
        }
        expect((size_t)token[i] < vocab && same(&logprob[i], &row[token[i]]), "the list has the row's bits", where);
        expect(logprob[i] <= 0 && !(logprob[i] == 0 && signbit(logprob[i])), "never above 0, never -0", where);
        if (i > 0) {
            const float before = x[token[i - 1]], here = x[token[i]];
            expect(here < before || (here == before && token[i] > token[i - 1]), "best first, ties lowest id first",
                   where);
        }
    }
}

/* Rank, largest and status from the processed row, one element at a time. */
static void expect_row(const float *x, size_t vocab, int32_t token, const lp_scores *got, size_t i)
{
    const char *const where = "lp_score and lp_transform";
    bool nan = false, inf = false;
    float most = -INFINITY;
    for (size_t id = 0; id < vocab; id++) {
        nan |= x[id] != x[id];
        inf |= x[id] == INFINITY;
        most = x[id] > most ? x[id] : most;
    }
    const lp_status status = nan ? LP_ERR_NAN : inf ? LP_ERR_INF : most == -INFINITY ? LP_ERR_EMPTY : LP_OK;
    const bool valid = token >= 0 && (size_t)token < vocab;
    expect(got->status[i] == (status == LP_OK && token >= 0 && !valid ? LP_ERR_TOKEN : status), "the row's status",
           where);
    int32_t above = 0, not_below = 0;
    for (size_t id = 0; id < vocab && status == LP_OK && valid; id++) {
        above += x[id] > x[token];
        not_below += x[id] >= x[token];
    }
    const bool ranked = status == LP_OK && valid;
    expect(got->token_rank[i] == (ranked ? above + 1 : 0), "the rank", where);
    expect(got->token_rank_ties[i] == not_below, "the rank with ties", where);
    expect(status == LP_OK ? got->max_logit[i] == most : got->max_logit[i] != got->max_logit[i], "the maximum", where);
}

static void try_agreement(input in, const subject *s, outputs *out)
{
    const size_t rows = s->rows, vocab = s->vocab, k = draw_k(&in, vocab);
    int32_t *token = draw_tokens(&in, rows, vocab);
    float *x = block(out, rows * vocab, 4), *row = block(out, rows * vocab, 4);
    float *sum = block(out, rows, 4), *entropy = block(out, rows, 4), *gathered = block(out, rows, 4);
    const lp_scores got = {
        .logsumexp = block(out, rows, 4),
        .entropy = block(out, rows, 4),
        .max_logit = block(out, rows, 4),
        .log_norm = block(out, rows, 4),
        .token_logprob = block(out, rows, 4),
        .token_rank = block(out, rows, 4),
        .token_rank_ties = block(out, rows, 4),
        .top_logprob = block(out, rows * k, 4),
        .top_token = block(out, rows * k, 4),
        .status = block(out, rows, 4),
    };
    out->status = lp_score(&s->p->in, token, k, &got);
    if (out->status != LP_ERR_ARG) {
        lp_transform(&s->p->in, x, 0);
        lp_log_softmax(&s->p->in, row, 0);
        lp_logsumexp(&s->p->in, sum);
        lp_entropy(&s->p->in, entropy);
        lp_gather(&s->p->in, token, 1, gathered);
    }
    for (size_t i = 0; i < rows && out->status != LP_ERR_ARG; i++) {
        expect(same(&sum[i], &got.logsumexp[i]) && same(&entropy[i], &got.entropy[i]) &&
                   same(&gathered[i], &got.token_logprob[i]),
               "the bits of the single functions", "lp_score");
        expect_row(x + i * vocab, vocab, token[i], &got, i);
        if (got.status[i] == LP_OK) {
            expect_top(x + i * vocab, row + i * vocab, vocab, got.top_logprob + i * k, got.top_token + i * k, k);
            expect(token[i] < 0 || same(&got.token_logprob[i], &row[i * vocab + (size_t)token[i]]), "the row's bits",
                   "lp_score and lp_log_softmax");
        }
    }
    free(token);
}

static const struct {
    const char *name;
    trial *run;
} trials[] = {
    {"lp_score against the others", try_agreement},
    {"lp_score", try_score},
    {"lp_logsumexp", try_logsumexp},
    {"lp_entropy", try_entropy},
    {"lp_transform", try_transform},
    {"lp_log_softmax", try_log_softmax},
    {"in place", try_in_place},
    {"lp_topk", try_topk},
    {"lp_gather", try_gather},
    {"lp_sequence_score", try_sequence_score},
    {"lp_sequence_sum", try_sequence_sum},
    {"lp_compare", try_compare},
    {"partial sets", try_partial},
};

static void run_on(lp_isa isa, size_t which, const input *in, const subject *s, outputs *out)
{
    expect(lp_isa_select(isa) == LP_OK, "a supported ISA can be selected", trials[which].name);
    trials[which].run(*in, s, out);
    if (out->status == LP_ERR_ARG) {
        expect_untouched(out, trials[which].name);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    const size_t which = take_below(&in, COUNT(trials)), rows = 1 + take_below(&in, 8) % 5, vocab = take_size(&in);
    drawn p = drawn_new(&in, rows == 5 ? 0 : rows, vocab, DRAW_ROWS | DRAW_INVALID);
    drawn q = {0};
    if (trials[which].run == try_compare) {
        q = drawn_new(&in, p.shape.rows, vocab, DRAW_ROWS);
    }
    const subject s = {&p, &q, p.shape.rows, vocab};
    outputs want = {0};
    run_on(LP_ISA_SCALAR, which, &in, &s, &want);
    for (lp_isa isa = LP_ISA_AVX2; isa <= LP_ISA_NEON; isa++) {
        if (!lp_isa_supported(isa)) {
            continue;
        }
        outputs got = {0};
        drawn_change_unread(&p, (uint8_t)(0x55 + 0x2a * isa));
        const uint64_t before = drawn_hash(&p);
        run_on(isa, which, &in, &s, &got);
        expect(drawn_hash(&p) == before, "inputs are never written", trials[which].name);
        expect_same(&got, &want, trials[which].name);
        outputs_free(&got);
    }
    outputs_free(&want);
    drawn_free(&p);
    drawn_free(&q);
    return 0;
}
