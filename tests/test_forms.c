/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 16-bit logits, softcap, temperature and mask give the bits of the plain f32 row that they stand for. */
#include "calls.h"
#include "forms.h"
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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
    for (size_t f = 0; f < form_count; f += test_quick() ? 4 : 1) {
        check_form(&forms[f], row_class_named("normal"), vocab_shapes[0], &got, &want);
    }
    results_free(&got);
    results_free(&want);
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
    tcase_add_test(tcase, every_half);
    tcase_add_test(tcase, masked_positions);
    tcase_add_test(tcase, faulty_transforms);
}

int main(void)
{
    return suite_main("forms", add_cases);
}
