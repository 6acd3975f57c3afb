/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 16-bit logits, softcap, temperature and mask give the bits of the plain f32 row that they stand for. */
#include "calls.h"
#include "forms.h"
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_form(const form *f, const row_class *c, size_t n, results *got, results *want)
{
    enum { ROWS = 2 };
    char what[100];
    rng r = rng_for(c->name, n, 7);
    float *x = malloc(ROWS * n * sizeof *x);
    c->fill(x, n, &r);
    c->fill(x + n, n, &r);
    const uint64_t seed = rng_next(&r);
    const size_t offset = rng_below(&r, 16);
    matrix m = matrix_new(
        f, x, ROWS, n, (layout){.stride = n + offset, .offset = offset, .side = offset % 2 ? AT_START : AT_END}, seed);
    for (size_t row = 0; row < ROWS; row++) {
        plain_row(&m.in, row, x + row * n);
    }
    const lp_logits plain = {.data = x, .rows = ROWS, .vocab = n};
    snprintf(what, sizeof what, "%s as %s", c->name, f->name);
    for (size_t i = 0; i < call_count; i++) {
        if (n <= calls[i].max_vocab) {
            const place at = {calls[i].name, what, n, offset};
            results_clear(got);
            results_clear(want);
            calls[i].run(&m.in, seed, got);
            calls[i].run(&plain, seed, want);
            results_expect_equal(got, want, &at);
        }
    }
    matrix_free(&m);
    free(x);
}

static void check_forms(const size_t *shape, size_t shapes, size_t step)
{
    results got, want;
    results_init(&got, PLACE_HEAP);
    results_init(&want, PLACE_HEAP);
    for (size_t f = 0; f < form_count; f++) {
        for (size_t c = 0; c < row_class_count; c++) {
            for (size_t i = (c + f) % step; i < shapes; i += step) {
                check_form(&forms[f], &row_classes[c], shape[i], &got, &want);
            }
        }
    }
    results_free(&got);
    results_free(&want);
}

START_TEST(small_rows)
{
    check_forms(small_shapes, small_shape_count, test_quick() ? 70 : 14);
}
END_TEST

START_TEST(rows_of_blocks)
{
    check_forms(block_shapes, block_shape_count, test_quick() ? 51 : 17);
}
END_TEST

START_TEST(vocabulary)
{
    results got, want;
    results_init(&got, PLACE_HEAP);
    results_init(&want, PLACE_HEAP);
    for (size_t f = 0; f < form_count; f += test_step(4)) {
        check_form(&forms[f], row_class_named("normal"), vocab_shapes[0], &got, &want);
    }
    results_free(&got);
    results_free(&want);
}
END_TEST

/* So many rows at once that they are written past the cache, from within a cache line on: the bits of each alone. */
START_TEST(past_cache)
{
    enum { VOCAB = 4099, ROWS = (16 << 20) / sizeof(float) / VOCAB + 1, OFFSET = 3 };
    const size_t n = (size_t)ROWS * VOCAB;
    rng r = rng_for("past_cache", VOCAB, 0);
    float *x = malloc(n * sizeof *x), *out = malloc((n + OFFSET) * sizeof *out), one[VOCAB];
    for (size_t i = 0; i < n; i++) {
        x[i] = i < 64 * VOCAB ? rng_bell(&r) : x[i - 64 * VOCAB];
    }
    for (size_t f = 0; f < form_count; f++) {
        if (forms[f].softcap != 0 || (forms[f].mask != MASK_NONE && test_quick())) {
            continue; /* capped ones are written as masked ones are */
        }
        matrix m = matrix_new(&forms[f], x, ROWS, VOCAB, (layout){.side = AT_END}, 5);
        lp_log_softmax(&m.in, out + OFFSET, VOCAB);
        for (size_t row = 0; row < ROWS; row++) {
            const float *got = out + OFFSET + row * VOCAB;
            const lp_logits alone = matrix_row(&m.in, row);
            lp_log_softmax(&alone, one, VOCAB);
            if (memcmp(got, one, sizeof one) != 0) {
                const place at = {"lp_log_softmax", forms[f].name, VOCAB, row};
                for (size_t i = 0; i < VOCAB; i++) {
                    expect_bits(&at, i, got[i], one[i], "logprob");
                }
            }
        }
        matrix_free(&m);
    }
    free(out);
    free(x);
}
END_TEST

/* Each of the 65536 bit patterns, alone in its row: max_logit shows what it was widened to. */
static void check_widening(lp_dtype dtype)
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const uint16_t half = (uint16_t)bits;
        const lp_logits in = {.data = &half, .rows = 1, .vocab = 1, .dtype = dtype};
        const float want = widened(dtype, &half);
        const place at = {"lp_score", dtype == LP_BF16 ? "every bf16" : "every f16", 1, bits};
        float max = 0;
        const lp_status status = lp_score(&in, NULL, 0, &(lp_scores){.max_logit = &max});
        if (isnan(want)) {
            expect_status(&at, status, LP_ERR_NAN);
        } else if (isinf(want)) {
            expect_status(&at, status, want > 0 ? LP_ERR_INF : LP_ERR_EMPTY);
        } else {
            expect_bits(&at, 0, max, want + 0.0f, "widened");
        }
    }
}

START_TEST(every_half)
{
    check_widening(LP_BF16);
    check_widening(LP_F16);
}
END_TEST

/* What is searched and counted by the bits of 16-bit logits: rows with few different values, of one sign, of both, with either zero;
 * each value's token is ranked. */
enum { SIGNED = 2 * LP_BLOCK + 100, SIGNED_TOP = 30 };
typedef struct signed_result {
    float logsumexp, entropy, max_logit, token_logprob, top_logprob[SIGNED_TOP];
    int32_t rank, ties, top_token[SIGNED_TOP];
} signed_result;

static signed_result score_signed(const lp_logits *in, int32_t token, int entropy)
{
    signed_result r;
    memset(&r, 0, sizeof r);
    const lp_scores out = {.logsumexp = &r.logsumexp,
                           .entropy = entropy ? &r.entropy : NULL,
                           .max_logit = &r.max_logit,
                           .token_logprob = &r.token_logprob,
                           .token_rank = &r.rank,
                           .token_rank_ties = &r.ties,
                           .top_logprob = r.top_logprob,
                           .top_token = r.top_token};
    ck_assert_int_eq(lp_score(in, &token, SIGNED_TOP, &out), LP_OK);
    return r;
}

static void check_signed(lp_dtype dtype, const float *value, size_t values)
{
    static float x[SIGNED];
    static uint16_t half[SIGNED];
    rng r = rng_for("signed", values, (uint64_t)dtype);
    for (size_t i = 0; i < SIGNED; i++) {
        /* the first block without the last value, so that the second one may have a larger maximum */
        const size_t which = rng_below(&r, (uint32_t)(values - (i < LP_BLOCK && values > 1)));
        narrow(dtype, value[which], half + i);
        x[i] = widened(dtype, half + i);
    }
    const lp_logits plain = {.data = x, .rows = 1, .vocab = SIGNED};
    const lp_logits in = {.data = half, .rows = 1, .vocab = SIGNED, .dtype = dtype};
    for (int32_t i = 0; i < 60; i++) {
        const int32_t token = i < 30 ? i : SIGNED - i;
        const signed_result got = score_signed(&in, token, i % 2), want = score_signed(&plain, token, i % 2);
        int32_t above = 0, not_below = 0;
        for (size_t j = 0; j < SIGNED; j++) {
            above += x[j] > x[token];
            not_below += x[j] >= x[token];
        }
        ck_assert_int_eq(got.rank, above + 1);
        ck_assert_int_eq(got.ties, not_below);
        ck_assert_mem_eq(&got, &want, sizeof got);
    }
}

START_TEST(halves_of_each_sign)
{
    static const float below[] = {-9, -4.5f, -3, -0.25f, -6.5f}, above[] = {0.5f, 1, 7, 3.25f, 9};
    static const float not_above[] = {-2, -0.0f, -8, -1e-7f, -0.0f}, zeros[] = {-0.0f, 0};
    static const float not_below[] = {2, -0.0f, 0, 6e-8f, 5}, both[] = {-1, -0.0f, 0, 1, -5, 6e-8f, -6e-8f, 4};
    static const float zero_later[] = {-2, -8, -3, -0.0f};
    static const float one[] = {-3.5f}, unlikely[] = {-20, -30, -INFINITY, -25, -10};
    for (lp_dtype dtype = LP_BF16; dtype <= LP_F16; dtype++) {
        check_signed(dtype, below, COUNT(below));
        check_signed(dtype, above, COUNT(above));
        check_signed(dtype, not_above, COUNT(not_above));
        check_signed(dtype, zeros, COUNT(zeros));
        check_signed(dtype, not_below, COUNT(not_below));
        check_signed(dtype, both, COUNT(both));
        check_signed(dtype, zero_later, COUNT(zero_later));
        check_signed(dtype, one, COUNT(one));
        check_signed(dtype, unlikely, COUNT(unlikely));
    }
}
END_TEST

/* A masked position is -inf whatever lies there, and bits beyond the vocabulary mean nothing. */
START_TEST(masked_positions)
{
    const float x[] = {1, NAN, INFINITY, 2, -INFINITY};
    const uint32_t none = 0xffffffe0, finite = 0xffffffe9, with_inf = 5, with_nan = 0xffffffe7;
    lp_logits in = {.data = x, .rows = 1, .vocab = 5, .allowed = &finite};
    const int32_t token[] = {1, 3};
    float logprob[2], top[5];
    int32_t rank = 0, ties = 0, id[5];
    const lp_scores scores = {.tokens_per_row = 2,
                              .token_logprob = logprob,
                              .token_rank = &rank,
                              .token_rank_ties = &ties,
                              .top_logprob = top,
                              .top_token = id};
    ck_assert_int_eq(lp_score(&in, token, 5, &scores), LP_OK);
    ck_assert(same_bits(logprob[0], -INFINITY) && logprob[1] < 0);
    ck_assert_int_eq(rank, 3); /* allowed finite tokens + 1 */
    ck_assert_int_eq(ties, 5);
    const int32_t want_id[] = {3, 0, -1, -1, -1};
    ck_assert_mem_eq(id, want_id, sizeof id);
    ck_assert(same_bits(top[0], logprob[1]) && same_bits(top[2], -INFINITY));
    in.allowed = &none;
    ck_assert_int_eq(lp_score(&in, token, 5, &scores), LP_ERR_EMPTY);
    in.allowed = &with_inf;
    ck_assert_int_eq(lp_score(&in, token, 5, &scores), LP_ERR_INF);
    in.allowed = &with_nan;
    ck_assert_int_eq(lp_score(&in, token, 5, &scores), LP_ERR_NAN);
}
END_TEST

START_TEST(faulty_transforms)
{
    const float x[4] = {0}, temperature[][2] = {{1, NAN}, {INFINITY, 1}, {1, -1}}, good[] = {0, 2};
    const uint32_t allowed[4] = {15, 15, 15, 15};
    float out[2] = {7, 7};
    lp_logits in = {.data = x, .rows = 2, .vocab = 2};
    for (size_t i = 0; i < COUNT(temperature); i++) {
        in.row_inv_temperature = temperature[i];
        ck_assert_int_eq(lp_logsumexp(&in, out), LP_ERR_ARG);
    }
    in.row_inv_temperature = NULL;
    const lp_logits short_mask = {.data = x, .rows = 2, .vocab = 65, .allowed = allowed, .allowed_stride = 2};
    ck_assert_int_eq(lp_logsumexp(&short_mask, out), LP_ERR_ARG);
    ck_assert(out[0] == 7 && out[1] == 7);
    in.row_inv_temperature = good;
    ck_assert_int_eq(lp_logsumexp(&in, out), LP_OK);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "forms");
    tcase_add_test(tcase, small_rows);
    tcase_add_test(tcase, rows_of_blocks);
    tcase_add_test(tcase, vocabulary);
    tcase_add_test(tcase, past_cache);
    tcase_add_test(tcase, every_half);
    tcase_add_test(tcase, halves_of_each_sign);
    tcase_add_test(tcase, masked_positions);
    tcase_add_test(tcase, faulty_transforms);
}

int main(void)
{
    return suite_main("forms", add_cases);
}
