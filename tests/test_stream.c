/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Streams give the bits of one call over the whole row, however it is cut and merged; and no damaged state is used. */
#include "forms.h"
#include "guard.h"
#include "rows.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a stream and a call over the whole row have to agree on. */
typedef struct answer {
    float value[5]; /* logsumexp, entropy, max_logit, log_norm, token_logprob */
    lp_status status;
    size_t k;
    float *logprob;
    int32_t *token;
} answer;

static answer answer_new(size_t k)
{
    answer a = {.k = k, .logprob = malloc((k + 1) * sizeof(float)), .token = malloc((k + 1) * sizeof(int32_t))};
    return a;
}

static void answer_free(answer *a)
{
    free(a->logprob);
    free(a->token);
}

static void one_shot(const lp_logits *in, int32_t token, answer *a)
{
    const lp_scores out = {
        .logsumexp = &a->value[0],
        .entropy = &a->value[1],
        .max_logit = &a->value[2],
        .log_norm = &a->value[3],
        .token_logprob = &a->value[4],
        .top_logprob = a->logprob,
        .top_token = a->token,
        .status = &a->status,
    };
    lp_score(in, &token, a->k, &out);
}

static void finish(const lp_stream *s, answer *a)
{
    lp_row row;
    memset(&row, 0xa5, sizeof row);
    a->status = lp_stream_finish(s, &row, a->logprob, a->token);
    EXPECT(a->status == row.status);
    EXPECT(row.reserved[0] == 0 && row.reserved[3] == 0);
    const float value[] = {row.logsumexp, row.entropy, row.max_logit, row.log_norm, row.token_logprob};
    memcpy(a->value, value, sizeof value);
}

static void expect_answer(const place *at, const answer *got, const answer *want)
{
    static const char *const name[] = {"logsumexp", "entropy", "max_logit", "log_norm", "token_logprob"};
    expect_status(at, got->status, want->status);
    for (size_t i = 0; i < COUNT(name); i++) {
        expect_bits(at, i, got->value[i], want->value[i], name[i]);
    }
    for (size_t i = 0; i < want->k; i++) {
        expect_int(at, i, got->token[i], want->token[i], "top token");
        expect_bits(at, i, got->logprob[i], want->logprob[i], "top logprob");
    }
}

/* Streams lie at an odd address and end at a guard page. */
typedef struct stream {
    guarded memory;
    size_t bytes;
    lp_stream *at;
} stream;

static stream stream_new(size_t k, int32_t first, int32_t token)
{
    stream s = {.bytes = lp_stream_size(k)};
    s.memory = guard_new(s.bytes, AT_END, 0);
    memset(s.memory.data, 0xa5, s.bytes);
    s.at = (lp_stream *)(void *)s.memory.data;
    EXPECT(lp_stream_init(s.at, s.bytes, k, first, token) == LP_OK);
    return s;
}

static void stream_free(stream *s)
{
    guard_free(&s->memory);
}

static void expect_valid(const stream *s)
{
    EXPECT(lp_stream_check(s->at, s->bytes) == LP_OK);
    EXPECT(lp_stream_used(s->at) <= s->bytes);
}

/* Pushes ids begin .. end - 1 of a row, the mask's bits moved to where the chunk begins. */
static lp_status push(stream *s, const lp_logits *in, size_t begin, size_t end)
{
    lp_logits chunk = *in;
    const size_t words = (end - begin + 31) / 32;
    guarded mask = guard_new(words * 4, AT_END, 0);
    chunk.data = (const unsigned char *)in->data + begin * dtype_size(in->dtype);
    chunk.vocab = end - begin;
    chunk.stride = 0;
    if (in->allowed != NULL) {
        memset(mask.data, 0xff, words * 4);
        uint32_t *word = (uint32_t *)(void *)mask.data;
        for (size_t i = begin; i < end; i++) {
            if (!(in->allowed[i / 32] >> i % 32 & 1)) {
                word[(i - begin) / 32] &= ~((uint32_t)1 << (i - begin) % 32);
            }
        }
        chunk.allowed = word;
        chunk.allowed_stride = 0;
    }
    const lp_status status = lp_stream_push(s->at, &chunk);
    guard_free(&mask);
    return status;
}

static size_t draw_size(rng *r, size_t longest)
{
    static const size_t some[] = {1, 2, 31, 32, 33, 63, 64, 65, LP_BLOCK - 1, LP_BLOCK, LP_BLOCK + 1, 3 * LP_BLOCK + 5};
    const size_t size = rng_below(r, 3) == 0 ? some[rng_below(r, COUNT(some))] : rng_below(r, (uint32_t)longest + 1);
    return size < longest ? size : longest;
}

/* All ids of [begin, end) in chunks of a size, 0: random ones, empty ones among them. */
static void push_all(stream *s, const lp_logits *in, size_t begin, size_t end, size_t size, rng *r)
{
    while (begin < end) {
        size_t n = size != 0 ? size : draw_size(r, end - begin);
        n = n < end - begin ? n : end - begin;
        EXPECT(push(s, in, begin, begin + n) == LP_OK);
        begin += n;
    }
}

static size_t draw_k(rng *r, size_t n)
{
    const size_t some[] = {0, 1, 5, 20, 100, n + 3};
    return some[rng_below(r, COUNT(some))];
}

static int32_t draw_id(rng *r, size_t n)
{
    return rng_below(r, 8) == 0 ? -1 - (int32_t)rng_below(r, 5) : (int32_t)rng_below(r, (uint32_t)n);
}

/* ---- chunks ------------------------------------------------------------------------------------------------------- */

static void check_chunks(const row_class *c, const form *f, size_t n, size_t size)
{
    rng r = rng_for(c->name, n, size);
    float *x = malloc(n * sizeof *x);
    c->fill(x, n, &r);
    matrix m = matrix_new(f, x, 1, n, (layout){.offset = rng_below(&r, 4), .side = AT_END}, rng_next(&r));
    const size_t k = draw_k(&r, n);
    const int32_t token = draw_id(&r, n);
    answer want = answer_new(k), got = answer_new(k);
    stream s = stream_new(k, 0, token);
    const place at = {f->name, c->name, n, size};
    one_shot(&m.in, token, &want);
    push_all(&s, &m.in, 0, n, size, &r);
    expect_valid(&s);
    finish(s.at, &got);
    expect_answer(&at, &got, &want);
    stream_free(&s);
    answer_free(&want);
    answer_free(&got);
    matrix_free(&m);
    free(x);
}

static void check_shapes(const size_t *shape, size_t shapes, size_t size)
{
    for (size_t f = 0; f < form_count; f++) {
        for (size_t c = 0; c < row_class_count; c++) {
            const size_t step = (f == 0 ? 3U : 11U) * test_step(5);
            for (size_t i = (c + f) % step; i < shapes; i += step) {
                check_chunks(&row_classes[c], &forms[f], shape[i], size);
            }
        }
    }
}

START_TEST(one_element_at_a_time)
{
    check_shapes(small_shapes, small_shape_count, 1);
    check_chunks(row_class_named("normal"), &forms[0], 3 * LP_BLOCK + 17, 1);
    check_chunks(row_class_named("ties_coarse"), &forms[1], LP_BLOCK + 1, 1);
}
END_TEST

START_TEST(random_chunks)
{
    check_shapes(small_shapes, small_shape_count, 0);
    check_shapes(block_shapes, block_shape_count, 0);
}
END_TEST

START_TEST(tiles)
{
    static const size_t size[] = {64, 1000, LP_BLOCK, 4096, 5003};
    for (size_t i = 0; i < COUNT(size); i++) {
        check_shapes(block_shapes, block_shape_count, size[i]);
    }
}
END_TEST

START_TEST(vocabularies)
{
    static const size_t size[] = {4096, 64, 0, 262144};
    const size_t shapes = test_quick() ? 1 : vocab_shape_count;
    for (size_t i = 0; i < COUNT(size); i++) {
        for (size_t c = 0; c < row_class_count; c += test_step(9)) {
            check_chunks(&row_classes[c], &forms[0], vocab_shapes[(c + i) % shapes], size[i]);
        }
        check_chunks(row_class_named("normal"), &forms[1 + i], vocab_shapes[i % shapes], size[i]);
    }
}
END_TEST

/* What was not pushed counts as -inf: ids from 1000 on are a row with -inf before. */
START_TEST(ids_from_first_token)
{
    const size_t n = 3 * LP_BLOCK + 700;
    const size_t first[] = {1, 63, 1000, LP_BLOCK - 1, LP_BLOCK, LP_BLOCK + 1, 2 * LP_BLOCK + 5, 3 * LP_BLOCK + 690};
    for (size_t c = 0; c < row_class_count; c++) {
        for (size_t i = c % 3; i < COUNT(first); i += test_quick() ? 6 : 3) {
            rng r = rng_for(row_classes[c].name, first[i], 7);
            float *x = malloc(n * sizeof *x);
            row_classes[c].fill(x, n, &r);
            for (size_t j = 0; j < first[i]; j++) {
                x[j] = -INFINITY;
            }
            const lp_logits in = {.data = x, .rows = 1, .vocab = n};
            const int32_t token = (int32_t)(first[i] + rng_below(&r, (uint32_t)(n - first[i])));
            answer want = answer_new(20), got = answer_new(20);
            stream s = stream_new(20, (int32_t)first[i], token);
            one_shot(&in, token, &want);
            push_all(&s, &in, first[i], n, i % 2 == 0 ? 64 : 0, &r);
            expect_valid(&s);
            finish(s.at, &got);
            expect_answer(&(place){"first_token", row_classes[c].name, n, first[i]}, &got, &want);
            stream_free(&s);
            answer_free(&want);
            answer_free(&got);
            free(x);
        }
    }
}
END_TEST

/* A row may be filled up with -inf to a multiple of LP_BLOCK, so that no fragment is left to be sent. */
START_TEST(filled_up_with_minus_infinity)
{
    const size_t shape[] = {1, 255, LP_BLOCK - 1, LP_BLOCK, LP_BLOCK + 1280, 3 * LP_BLOCK + 7};
    for (size_t c = 0; c < row_class_count; c++) {
        for (size_t i = 0; i < COUNT(shape); i++) {
            rng r = rng_for(row_classes[c].name, shape[i], 11);
            const size_t n = shape[i], full = (n + LP_BLOCK - 1) / LP_BLOCK * LP_BLOCK;
            float *x = malloc(full * sizeof *x);
            row_classes[c].fill(x, n, &r);
            for (size_t j = n; j < full; j++) {
                x[j] = -INFINITY;
            }
            lp_logits in = {.data = x, .rows = 1, .vocab = n};
            answer want = answer_new(20), got = answer_new(20);
            stream s = stream_new(20, 0, 0);
            one_shot(&in, 0, &want);
            push_all(&s, &in, 0, full, 4096, &r);
            ck_assert_uint_eq(lp_stream_used(s.at),
                              LP_STREAM_SIZE(20) - LP_STREAM_FRAGMENTS * LP_BLOCK * sizeof(float));
            finish(s.at, &got);
            expect_answer(&(place){"-inf after", row_classes[c].name, n, full}, &got, &want);
            stream_free(&s);
            answer_free(&want);
            answer_free(&got);
            free(x);
        }
    }
}
END_TEST

/* finish at any time gives the row so far, and leaves the stream as it was */
START_TEST(progressive_results)
{
    const size_t n = 2 * LP_BLOCK + 300;
    float *x = malloc(n * sizeof *x);
    rng r = rng_for("progressive", n, 0);
    row_class_named("normal")->fill(x, n, &r);
    lp_logits in = {.data = x, .rows = 1, .vocab = n};
    answer want = answer_new(20), got = answer_new(20);
    stream s = stream_new(20, 0, 40);
    finish(s.at, &got);
    ck_assert_int_eq(got.status, LP_ERR_EMPTY);
    ck_assert(got.token[0] == -1 && float_bits(got.logprob[19]) == NAN_BITS && float_bits(got.value[0]) == NAN_BITS);
    unsigned char *before = malloc(s.bytes);
    for (size_t at = 0; at < n;) {
        const size_t step = 1 + rng_below(&r, 200), end = at + step < n ? at + step : n;
        ck_assert_int_eq(push(&s, &in, at, end), LP_OK);
        at = end;
        memcpy(before, s.at, s.bytes);
        guard_freeze(&s.memory);
        finish(s.at, &got);
        guard_thaw(&s.memory);
        ck_assert(memcmp(before, s.at, s.bytes) == 0);
        in.vocab = end;
        one_shot(&in, end > 40 ? 40 : -1, &want);
        expect_answer(&(place){"finish", "normal", n, end}, &got, &want);
        in.vocab = n;
    }
    free(before);
    stream_free(&s);
    answer_free(&want);
    answer_free(&got);
    free(x);
}
END_TEST

/* ---- merges ------------------------------------------------------------------------------------------------------- */

enum { MOST_SHARDS = 40 };

static void draw_cuts(rng *r, size_t n, size_t shards, size_t *cut)
{
    cut[0] = 0;
    cut[shards] = n;
    for (size_t i = 1; i < shards; i++) {
        const size_t at = rng_below(r, (uint32_t)n + 1);
        cut[i] = rng_below(r, 4) == 0 ? at / LP_BLOCK * LP_BLOCK : at;
        for (size_t j = i; j > 1 && cut[j] < cut[j - 1]; j--) {
            const size_t swap = cut[j];
            cut[j] = cut[j - 1];
            cut[j - 1] = swap;
        }
    }
}

/* Merges two of the states that are left, drawn at random, until one is left. 0 where there was no room: then `into` must be
 * as before. */
static bool merge_at_random(stream *s, size_t shards, rng *r, lp_status expected)
{
    for (size_t left = shards; left > 1; left--) {
        const size_t a = rng_below(r, (uint32_t)left), b = (a + 1 + rng_below(r, (uint32_t)left - 1)) % left;
        unsigned char *before = malloc(s[a].bytes);
        memcpy(before, s[a].at, s[a].bytes);
        guard_freeze(&s[b].memory);
        const lp_status status = lp_stream_merge(s[a].at, s[b].at);
        guard_thaw(&s[b].memory);
        if (status != LP_OK) {
            ck_assert_int_eq(status, expected);
            ck_assert(memcmp(before, s[a].at, s[a].bytes) == 0);
            free(before);
            return false;
        }
        free(before);
        expect_valid(&s[a]);
        const stream swap = s[0];
        s[0] = s[a];
        s[a] = swap;
        const size_t gone = b == 0 ? a : b;
        const stream dead = s[gone];
        s[gone] = s[left - 1];
        s[left - 1] = dead;
    }
    return true;
}

/* true where everything was merged */
static bool check_shards(const row_class *c, const form *f, size_t n, size_t shards, uint64_t round)
{
    rng r = rng_for(c->name, n * 64 + shards, round);
    float *x = malloc(n * sizeof *x);
    c->fill(x, n, &r);
    matrix m = matrix_new(f, x, 1, n, (layout){.side = AT_END}, rng_next(&r));
    const size_t k = draw_k(&r, n);
    const int32_t token = draw_id(&r, n);
    size_t cut[MOST_SHARDS + 1];
    stream s[MOST_SHARDS];
    draw_cuts(&r, n, shards, cut);
    for (size_t i = 0; i < shards; i++) {
        s[i] = stream_new(k, (int32_t)cut[i], token);
        push_all(&s[i], &m.in, cut[i], cut[i + 1], round % 2 == 0 ? 0 : 4096, &r);
    }
    const bool merged = merge_at_random(s, shards, &r, LP_ERR_SPACE);
    if (merged) {
        answer want = answer_new(k), got = answer_new(k);
        one_shot(&m.in, token, &want);
        finish(s[0].at, &got);
        expect_answer(&(place){f->name, c->name, n, shards}, &got, &want);
        answer_free(&want);
        answer_free(&got);
    }
    for (size_t i = 0; i < shards; i++) {
        stream_free(&s[i]);
    }
    matrix_free(&m);
    free(x);
    return merged;
}

/* Up to 8 shards in any order, with any boundaries, never lack room. */
START_TEST(shards_in_any_order)
{
    static const size_t shape[] = {50, LP_BLOCK + 3, 5 * LP_BLOCK, 9 * LP_BLOCK + 77, 32000};
    for (size_t c = 0; c < row_class_count; c++) {
        for (size_t i = 0; i < COUNT(shape); i += test_step(3)) {
            for (size_t shards = 2 + (c + i) % 3; shards <= 8; shards += 3) {
                const form *f = &forms[(c + shards) % 3 == 0 ? (c * 5 + i) % form_count : 0];
                ck_assert(check_shards(&row_classes[c], f, shape[i], shards, c + i));
            }
        }
    }
}
END_TEST

START_TEST(many_shards)
{
    size_t merged = 0, refused = 0;
    for (size_t i = 0; i < (test_quick() ? 10 : 60); i++) {
        const size_t n = i % 2 == 0 ? 20 * LP_BLOCK + 9 : 200, shards = 9 + i % (MOST_SHARDS - 8);
        *(check_shards(&row_classes[i % row_class_count], &forms[0], n, shards, i) ? &merged : &refused) += 1;
    }
    printf("of rows in 9 to %d shards, %zu merged in the order drawn, %zu had no room\n", MOST_SHARDS, merged, refused);
    ck_assert(refused > 0);
}
END_TEST

/* Neighbours merged in order need two fragments, however many there are. */
START_TEST(neighbours_never_lack_room)
{
    enum { N = 10 * LP_BLOCK + 1, SHARDS = 200 };
    float *x = malloc(N * sizeof *x);
    rng r = rng_for("neighbours", N, 0);
    row_class_named("normal")->fill(x, N, &r);
    const lp_logits in = {.data = x, .rows = 1, .vocab = N};
    answer want = answer_new(20), got = answer_new(20);
    for (int down = 0; down < 2; down++) {
        stream all = stream_new(20, down ? INT32_MAX : 0, 77);
        for (size_t i = 0; i < SHARDS; i++) {
            const size_t at = down ? SHARDS - 1 - i : i;
            const size_t begin = N * at / SHARDS, end = N * (at + 1) / SHARDS;
            stream one = stream_new(20, (int32_t)begin, 77);
            push_all(&one, &in, begin, end, 50, &r);
            EXPECT(lp_stream_merge(all.at, one.at) == LP_OK);
            expect_valid(&all);
            stream_free(&one);
        }
        one_shot(&in, 77, &want);
        finish(all.at, &got);
        expect_answer(&(place){"neighbours", "normal", N, SHARDS}, &got, &want);
        stream_free(&all);
    }
    answer_free(&want);
    answer_free(&got);
    free(x);
}
END_TEST

/* ---- states that travel ------------------------------------------------------------------------------------------- */

/* The bytes in use are the same on every ISA, and are all that has to be sent. */
START_TEST(bytes_that_are_sent)
{
    const lp_isa isa = lp_isa_active();
    const size_t shape[] = {700, LP_BLOCK, 4 * LP_BLOCK + 600, 32000};
    for (size_t c = 0; c < row_class_count; c++) {
        for (size_t i = c % 2; i < COUNT(shape); i += 2) {
            rng r = rng_for(row_classes[c].name, shape[i], 3);
            const size_t n = shape[i], half = rng_below(&r, (uint32_t)n), k = draw_k(&r, n);
            float *x = malloc(n * sizeof *x);
            row_classes[c].fill(x, n, &r);
            const lp_logits in = {.data = x, .rows = 1, .vocab = n};
            stream a = stream_new(k, 0, 5), b = stream_new(k, 0, 5), far = stream_new(k, 0, -1);
            push_all(&a, &in, 0, half, 1000, &r);
            ck_assert_int_eq(lp_isa_select(LP_ISA_SCALAR), LP_OK);
            push_all(&b, &in, 0, half, 1000, &r);
            const size_t used = lp_stream_used(a.at);
            ck_assert_uint_eq(used, lp_stream_used(b.at));
            ck_assert(memcmp(a.at, b.at, used) == 0);
            memset(far.at, 0x5a, far.bytes);
            memcpy(far.at, b.at, used);
            expect_valid(&far);
            push_all(&far, &in, half, n, 0, &r);
            ck_assert_int_eq(lp_isa_select(isa), LP_OK);
            answer want = answer_new(k), got = answer_new(k);
            one_shot(&in, n > 5 ? 5 : -1, &want);
            finish(far.at, &got);
            expect_answer(&(place){"sent", row_classes[c].name, n, half}, &got, &want);
            answer_free(&want);
            answer_free(&got);
            stream_free(&a);
            stream_free(&b);
            stream_free(&far);
            free(x);
        }
    }
}
END_TEST

START_TEST(odd_addresses)
{
    enum { N = 2 * LP_BLOCK + 100 };
    float *x = malloc(N * sizeof *x);
    rng r = rng_for("odd", N, 0);
    row_class_named("normal")->fill(x, N, &r);
    const lp_logits in = {.data = x, .rows = 1, .vocab = N};
    answer want = answer_new(5), got = answer_new(5);
    one_shot(&in, 9, &want);
    for (size_t gap = 1; gap < 64; gap += 6) {
        const size_t bytes = lp_stream_size(5);
        guarded g = guard_new(bytes, AT_START, gap);
        stream s = {.memory = g, .bytes = bytes, .at = (lp_stream *)(void *)g.data};
        ck_assert_int_eq(lp_stream_init(s.at, bytes, 5, 0, 9), LP_OK);
        push_all(&s, &in, 0, N, 0, &r);
        finish(s.at, &got);
        expect_answer(&(place){"odd address", "normal", N, gap}, &got, &want);
        stream_free(&s);
    }
    answer_free(&want);
    answer_free(&got);
    free(x);
}
END_TEST

/* The caller's rounding mode changes nothing. */
START_TEST(rounding_modes)
{
    enum { N = 3 * LP_BLOCK + 100 };
    static const int mode[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    float *x = malloc(N * sizeof *x);
    rng r = rng_for("rounding", N, 0);
    row_class_named("subnormals")->fill(x, N, &r);
    row_class_named("normal")->fill(x + N / 2, N - N / 2, &r);
    answer want = answer_new(20), got = answer_new(20);
    for (size_t f = 0; f < form_count; f++) {
        matrix m = matrix_new(&forms[f], x, 1, N, (layout){.side = AT_END}, 5);
        one_shot(&m.in, 9, &want);
        for (size_t i = 0; i < COUNT(mode); i++) {
            stream s = stream_new(20, 0, 9), t = stream_new(20, N / 3, 9);
            fesetround(mode[i]);
            for (size_t at = 0; at < N / 3; at += 100) {
                push(&s, &m.in, at, at + 100 < N / 3 ? at + 100 : N / 3);
            }
            push(&t, &m.in, N / 3, N);
            const lp_status status = lp_stream_merge(s.at, t.at);
            finish(s.at, &got);
            fesetround(FE_TONEAREST);
            ck_assert_int_eq(status, LP_OK);
            expect_answer(&(place){"rounding", forms[f].name, N, i}, &got, &want);
            stream_free(&s);
            stream_free(&t);
        }
        matrix_free(&m);
    }
    answer_free(&want);
    answer_free(&got);
    free(x);
}
END_TEST

/* ---- errors ------------------------------------------------------------------------------------------------------- */

START_TEST(sizes)
{
    static unsigned char room[LP_STREAM_SIZE(20)];
    const size_t k[] = {0, 1, 7, 8, 9, 20, 1000, 128256};
    for (size_t i = 0; i < COUNT(k); i++) {
        ck_assert_uint_eq(lp_stream_size(k[i]), LP_STREAM_SIZE(k[i]));
    }
    ck_assert_uint_eq(sizeof room, lp_stream_size(20));
    ck_assert_uint_eq(lp_stream_size(SIZE_MAX), 0);
    ck_assert_uint_eq(lp_stream_size(SIZE_MAX / 2), 0);
    ck_assert_uint_eq(lp_stream_size(SIZE_MAX / 8), 0);
    memset(room, 7, sizeof room);
    ck_assert_int_eq(lp_stream_init(NULL, sizeof room, 20, 0, 0), LP_ERR_ARG);
    ck_assert_int_eq(lp_stream_init(room, sizeof room, 20, -1, 0), LP_ERR_ARG);
    ck_assert_int_eq(lp_stream_init(room, sizeof room, SIZE_MAX, 0, 0), LP_ERR_ARG);
    ck_assert_int_eq(lp_stream_init(room, sizeof room - 1, 20, 0, 0), LP_ERR_SPACE);
    ck_assert_int_eq(lp_stream_init(room, sizeof room, 25, 0, 0), LP_ERR_SPACE);
    for (size_t i = 0; i < sizeof room; i++) {
        ck_assert(room[i] == 7);
    }
    ck_assert_int_eq(lp_stream_check(NULL, 5), LP_ERR_ARG);
    ck_assert_int_eq(lp_stream_check(room, sizeof room), LP_ERR_STATE);
    ck_assert_int_eq(lp_stream_init(room, sizeof room, 20, INT32_MAX, INT32_MAX), LP_OK);
    ck_assert_int_eq(lp_stream_check(room, sizeof room), LP_OK);
    for (size_t bytes = 0; bytes < sizeof room; bytes += bytes < 600 ? 1 : 4001) {
        ck_assert_int_eq(lp_stream_check(room, bytes), LP_ERR_STATE);
    }
    ck_assert_uint_eq(lp_stream_used(NULL), 0);
}
END_TEST

/* the call refuses, and leaves the stream as it was */
static void expect_refused(const stream *s, const lp_logits *chunk, lp_status want)
{
    unsigned char *before = malloc(s->bytes);
    memcpy(before, s->at, s->bytes);
    EXPECT(lp_stream_push(s->at, chunk) == want);
    EXPECT(memcmp(before, s->at, s->bytes) == 0);
    free(before);
}

START_TEST(pushes_that_are_refused)
{
    static const float x[3000];
    static const uint32_t all[100] = {0xffffffff};
    const float half[2] = {0.5f, 0.5f};
    for (size_t pushed = 0; pushed < 3; pushed++) {
        const lp_logits good = {.data = x, .rows = 1, .vocab = 100};
        stream s = stream_new(4, 0, 7);
        expect_refused(&s, NULL, LP_ERR_ARG);
        ck_assert_int_eq(lp_stream_push(NULL, &good), LP_ERR_ARG);
        for (size_t i = 0; i < pushed; i++) {
            ck_assert_int_eq(lp_stream_push(s.at, &good), LP_OK);
        }
        lp_logits c = good;
        c.rows = 2;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.data = NULL;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.flags = 1;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.reserved[2] = x;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.dtype = 3;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.inv_temperature = -1;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.softcap = NAN;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.stride = 99;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.vocab = INT32_MAX, c.stride = INT32_MAX;
        if (pushed > 0) {
            expect_refused(&s, &c, LP_ERR_ARG); /* more ids than there are */
        }
        for (size_t rows = 0; rows < 2; rows++) {
            c = good, c.rows = rows, c.vocab = rows == 0 ? 5 : 0, c.data = NULL, c.dtype = LP_BF16;
            if (rows == 1) {
                expect_refused(&s, &c, LP_OK);
            } else {
                c.data = x;
                expect_refused(&s, &c, LP_OK);
            }
        }
        if (pushed == 0) {
            stream_free(&s);
            continue;
        }
        c = good, c.dtype = LP_F16;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.inv_temperature = 0.5f;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.row_inv_temperature = half;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.softcap = 30;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.allowed = all;
        expect_refused(&s, &c, LP_ERR_ARG);
        c = good, c.inv_temperature = 1, c.stride = 3000;
        ck_assert_int_eq(lp_stream_push(s.at, &c), LP_OK); /* the same in other words */
        stream_free(&s);
    }
    stream end = stream_new(0, INT32_MAX - 50, -1);
    const lp_logits fifty = {.data = x, .rows = 1, .vocab = 50}, more = {.data = x, .rows = 1, .vocab = 51};
    expect_refused(&end, &more, LP_ERR_ARG);
    ck_assert_int_eq(lp_stream_push(end.at, &fifty), LP_OK);
    expect_valid(&end);
    expect_refused(&end, &more, LP_ERR_ARG);
    stream_free(&end);
}
END_TEST

static void expect_no_merge(const stream *into, const stream *from, lp_status want)
{
    unsigned char *before = malloc(into->bytes);
    memcpy(before, into->at, into->bytes);
    EXPECT(lp_stream_merge(into->at, from->at) == want);
    EXPECT(memcmp(before, into->at, into->bytes) == 0);
    free(before);
}

static stream stream_of(size_t k, int32_t first, int32_t token, const float *x, size_t n)
{
    const lp_logits in = {.data = x, .rows = 1, .vocab = n};
    stream s = stream_new(k, first, token);
    ck_assert_int_eq(lp_stream_push(s.at, &in), LP_OK);
    return s;
}

START_TEST(merges_that_are_refused)
{
    static const float x[3 * LP_BLOCK];
    stream a = stream_of(4, 100, 7, x, 3000);
    ck_assert_int_eq(lp_stream_merge(NULL, a.at), LP_ERR_ARG);
    ck_assert_int_eq(lp_stream_merge(a.at, NULL), LP_ERR_ARG);
    const struct {
        stream s;
        lp_status want;
    } other[] = {
        {stream_of(5, 4000, 7, x, 10), LP_ERR_STATE},        /* k */
        {stream_of(4, 4000, 8, x, 10), LP_ERR_STATE},        /* token */
        {stream_of(4, 3099, 7, x, 10), LP_ERR_STATE},        /* one id twice */
        {stream_of(4, 0, 7, x, 101), LP_ERR_STATE},          /* the same in front */
        {stream_of(4, 500, 7, x, 10), LP_ERR_STATE},         /* within */
        {stream_of(4, 0, 7, x, 3 * LP_BLOCK), LP_ERR_STATE}, /* around */
    };
    for (size_t i = 0; i < COUNT(other); i++) {
        expect_no_merge(&a, &other[i].s, other[i].want);
        stream s = other[i].s;
        stream_free(&s);
    }
    expect_no_merge(&a, &a, LP_ERR_STATE);
    lp_logits warm = {.data = x, .rows = 1, .vocab = 10, .inv_temperature = 0.5f};
    stream t = stream_new(4, 4000, 7);
    ck_assert_int_eq(lp_stream_push(t.at, &warm), LP_OK);
    expect_no_merge(&a, &t, LP_ERR_STATE);
    stream_free(&t);

    /* a state that was merged into takes no more logits, but more merges; one without logits changes nothing else */
    stream empty = stream_new(4, 0, 7), next = stream_of(4, 3100, 7, x, 10);
    lp_logits chunk = {.data = x, .rows = 1, .vocab = 10};
    ck_assert_int_eq(lp_stream_merge(a.at, empty.at), LP_OK);
    expect_refused(&a, &chunk, LP_ERR_STATE);
    ck_assert_int_eq(lp_stream_merge(a.at, next.at), LP_OK);
    expect_refused(&a, &chunk, LP_ERR_STATE);
    chunk.vocab = 0;
    expect_refused(&a, &chunk, LP_ERR_STATE);
    lp_row row;
    ck_assert_int_eq(lp_stream_finish(a.at, &row, NULL, NULL), LP_OK);
    ck_assert_uint_eq(row.count, 3010);
    ck_assert_uint_eq(float_bits(row.token_logprob), NAN_BITS); /* id 7 was not pushed */
    ck_assert_int_eq(lp_stream_merge(empty.at, a.at), LP_OK);
    expect_valid(&empty);
    stream_free(&empty);
    stream_free(&next);
    stream_free(&a);
}
END_TEST

START_TEST(capacity)
{
    static const float x[LP_BLOCK];
    /* single ids, each in a block of its own: fragments run out; in one block: ranges do */
    const struct {
        int32_t step;
        size_t fit;
    } way[] = {{LP_BLOCK, LP_STREAM_FRAGMENTS}, {2, LP_STREAM_RANGES}};
    for (size_t w = 0; w < COUNT(way); w++) {
        stream all = stream_new(4, 0, -1);
        for (size_t i = 0; i <= way[w].fit; i++) {
            stream one = stream_of(4, (int32_t)i * way[w].step + 1, -1, x, 1);
            if (i < way[w].fit) {
                EXPECT(lp_stream_merge(all.at, one.at) == LP_OK);
                expect_valid(&all);
            } else {
                expect_no_merge(&all, &one, LP_ERR_SPACE);
            }
            stream_free(&one);
        }
        stream_free(&all);
    }
}
END_TEST

START_TEST(finishes_that_are_refused)
{
    static const float x[50];
    stream s = stream_of(3, 0, 2, x, 50);
    lp_row row;
    float logprob[3];
    int32_t token[3];
    ck_assert_int_eq(lp_stream_finish(NULL, &row, logprob, token), LP_ERR_ARG);
    ck_assert_int_eq(lp_stream_finish(s.at, NULL, logprob, token), LP_ERR_ARG);
    ck_assert_int_eq(lp_stream_finish(s.at, &row, logprob, NULL), LP_ERR_ARG);
    ck_assert_int_eq(lp_stream_finish(s.at, &row, NULL, token), LP_ERR_ARG);
    ck_assert_int_eq(lp_stream_finish(s.at, &row, logprob, token), LP_OK);
    ck_assert(token[0] == 0 && token[1] == 1 && token[2] == 2 && row.count == 50);
    stream_free(&s);
}
END_TEST

/* ---- damage ------------------------------------------------------------------------------------------------------- */

/* what all calls make of a damaged state */
static void expect_found(stream *s, stream *other, size_t byte, size_t head)
{
    lp_row row, untouched;
    float logprob[6] = {0};
    int32_t token[6] = {0};
    memset(&row, 0xa5, sizeof row);
    memset(&untouched, 0xa5, sizeof untouched);
    if (lp_stream_check(s->at, s->bytes) != LP_ERR_STATE) {
        ck_abort_msg("a changed byte %zu was not found", byte);
    }
    EXPECT(lp_stream_finish(s->at, &row, logprob, token) == LP_ERR_STATE);
    EXPECT(memcmp(&row, &untouched, sizeof row) == 0 && token[0] == 0);
    expect_no_merge(other, s, LP_ERR_STATE);
    expect_no_merge(s, other, LP_ERR_STATE);
    lp_stream_used(s->at);
    if (byte % 3 != 0 && byte > head) {
        return;
    }
    /* pushing may go unnoticed, but then finish notices */
    static const float x[LP_BLOCK];
    const size_t size[] = {1, 64, LP_BLOCK};
    unsigned char *before = malloc(s->bytes);
    memcpy(before, s->at, s->bytes);
    for (size_t i = 0; i < COUNT(size); i++) {
        const lp_logits in = {.data = x, .rows = 1, .vocab = size[i]};
        const lp_status status = lp_stream_push(s->at, &in);
        if (byte < head && status == LP_OK && lp_stream_finish(s->at, &row, logprob, token) != LP_ERR_STATE) {
            ck_abort_msg("byte %zu changed, %zu logits pushed: nothing was found", byte, size[i]);
        }
        memcpy(s->at, before, s->bytes);
    }
    free(before);
}

static void damage_every_byte(stream *s, stream *other)
{
    enum { HEAD = 512 };
    unsigned char *bytes = s->memory.data;
    const size_t used = lp_stream_used(s->at);
    for (size_t i = 0; i < used; i++) {
        const unsigned char was = bytes[i];
        const int flips = i < HEAD ? 8 : 1;
        for (int f = 0; f < flips; f++) {
            bytes[i] = was ^ (unsigned char)(1U << (f + (int)i) % 8);
            expect_found(s, other, i, HEAD);
        }
        bytes[i] = (unsigned char)~was;
        expect_found(s, other, i, HEAD);
        bytes[i] = was;
        i += test_quick() && i >= HEAD ? 37 : 0;
    }
    expect_valid(s);
    if (used < s->bytes) {
        bytes[used] ^= 0xff; /* not a part of the state */
        expect_valid(s);
    }
}

START_TEST(every_byte_damaged)
{
    enum { N = 2 * LP_BLOCK + 200 };
    float *x = malloc(N * sizeof *x);
    rng r = rng_for("damage", N, 0);
    row_class_named("normal")->fill(x, N, &r);
    stream other = stream_of(6, 9 * LP_BLOCK, 3, x, 10);
    stream fresh = stream_new(6, 0, 3), open = stream_of(6, 0, 3, x, LP_BLOCK + 300);
    stream whole = stream_of(6, 0, 3, x, 2 * LP_BLOCK), few = stream_of(6, 500, 3, x, 3);
    stream merged = stream_of(6, LP_BLOCK - 10, 3, x, LP_BLOCK + 20), part = stream_of(6, 4 * LP_BLOCK + 3, 3, x, 5);
    EXPECT(lp_stream_merge(merged.at, part.at) == LP_OK);
    stream *all[] = {&fresh, &open, &whole, &few, &merged};
    for (size_t i = 0; i < COUNT(all); i++) {
        damage_every_byte(all[i], &other);
        stream_free(all[i]);
    }
    stream_free(&part);
    stream_free(&other);
    free(x);
}
END_TEST

/* Bytes at random, and parts of one state in another: nothing is read or written outside, nothing overflows. */
START_TEST(states_at_random)
{
    static const float x[4 * LP_BLOCK];
    rng r = rng_for("states", 0, 0);
    stream good = stream_of(6, 7, 3, x, 3 * LP_BLOCK), other = stream_of(6, 5 * LP_BLOCK + 9, 3, x, 3000),
           s = stream_new(6, 0, 3);
    lp_row row;
    float logprob[6];
    int32_t token[6];
    for (int i = 0; i < (test_quick() ? 300 : 5000); i++) {
        memcpy(s.at, i % 2 == 0 ? good.at : other.at, s.bytes);
        const size_t at = rng_below(&r, 800), n = 1 + rng_below(&r, 200);
        for (size_t j = at; j < at + n; j++) {
            s.memory.data[j] = i % 3 == 0 ? (unsigned char)rng_next(&r) : other.memory.data[j];
        }
        if (memcmp(s.at, good.at, 800) == 0 || memcmp(s.at, other.at, 800) == 0) {
            continue;
        }
        EXPECT(lp_stream_check(s.at, s.bytes) == LP_ERR_STATE);
        EXPECT(lp_stream_finish(s.at, &row, logprob, token) == LP_ERR_STATE);
        expect_no_merge(&good, &s, LP_ERR_STATE);
        const lp_logits in = {.data = x, .rows = 1, .vocab = 1 + rng_below(&r, 5000)};
        lp_stream_push(s.at, &in);
    }
    stream_free(&good);
    stream_free(&other);
    stream_free(&s);
}
END_TEST

/* The place that short pushes go to is kept twice: who forges both gets no access outside of the state. */
START_TEST(places_that_are_forged)
{
    enum { PLACE = 464, AGAIN = 504 };
    static const float x[LP_BLOCK];
    static const uint32_t marks[] = {1, 0x1f01, 0xff, 0xff00ff, 0x1f00ff, UINT32_MAX};
    static const size_t k[] = {0, 6, 1000}, cells[] = {1, 2, 31};
    for (size_t i = 0; i < COUNT(k); i++) {
        const uint32_t size = (uint32_t)lp_stream_size(k[i]);
        const uint32_t at[] = {0,        511,  8000,      size - 256,       size - 255,
                               size - 8, size, INT32_MAX, UINT32_MAX - 255, UINT32_MAX};
        for (size_t j = 0; j < COUNT(at) * COUNT(marks) * COUNT(cells); j++) {
            stream s = stream_of(k[i], 0, -1, x, 64);
            const uint32_t to[] = {at[j % COUNT(at)], marks[j / COUNT(at) % COUNT(marks)]};
            memcpy(s.memory.data + PLACE, to, sizeof to);
            memcpy(s.memory.data + AGAIN, to, sizeof to);
            EXPECT(lp_stream_check(s.at, s.bytes) == LP_ERR_STATE);
            const lp_logits in = {.data = x, .rows = 1, .vocab = 64 * cells[j / COUNT(at) / COUNT(marks)]};
            lp_stream_push(s.at, &in);
            stream_free(&s);
        }
    }
}
END_TEST

/* Cells of 64 in any number, from any cell on, up to the token, over it and up to the end of the block. */
START_TEST(whole_cells)
{
    enum { CELL = 64, N = 3 * LP_BLOCK };
    float *x = malloc(N * sizeof *x);
    rng r = rng_for("cells", N, 0);
    row_class_named("normal")->fill(x, N, &r);
    for (int32_t token = -1; token < N; token += token < 0 ? 1 : 327) {
        const lp_logits in = {.data = x, .rows = 1, .vocab = N};
        const uint32_t many = 1 + rng_below(&r, 2 * LP_BLOCK / CELL);
        answer want = answer_new(9), got = answer_new(9);
        stream s = stream_new(9, 0, token);
        for (size_t at = 0; at < N;) {
            const uint32_t most = (uint32_t)((N - at) / CELL), cells = 1 + rng_below(&r, many < most ? many : most);
            EXPECT(push(&s, &in, at, at + cells * CELL) == LP_OK);
            at += cells * CELL;
            expect_valid(&s);
        }
        one_shot(&in, token, &want);
        finish(s.at, &got);
        expect_answer(&(place){"normal", "whole cells", N, 0}, &got, &want);
        answer_free(&want);
        answer_free(&got);
        stream_free(&s);
    }
    free(x);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "stream");
    tcase_add_test(tcase, one_element_at_a_time);
    tcase_add_test(tcase, random_chunks);
    tcase_add_test(tcase, tiles);
    tcase_add_test(tcase, whole_cells);
    tcase_add_test(tcase, vocabularies);
    tcase_add_test(tcase, ids_from_first_token);
    tcase_add_test(tcase, filled_up_with_minus_infinity);
    tcase_add_test(tcase, progressive_results);
    tcase_add_test(tcase, shards_in_any_order);
    tcase_add_test(tcase, many_shards);
    tcase_add_test(tcase, neighbours_never_lack_room);
    tcase_add_test(tcase, bytes_that_are_sent);
    tcase_add_test(tcase, odd_addresses);
    tcase_add_test(tcase, rounding_modes);
    tcase_add_test(tcase, sizes);
    tcase_add_test(tcase, pushes_that_are_refused);
    tcase_add_test(tcase, merges_that_are_refused);
    tcase_add_test(tcase, capacity);
    tcase_add_test(tcase, finishes_that_are_refused);
    tcase_add_test(tcase, every_byte_damaged);
    tcase_add_test(tcase, states_at_random);
    tcase_add_test(tcase, places_that_are_forged);
}

int main(void)
{
    return suite_main("stream", add_cases);
}
