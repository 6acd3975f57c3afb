/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One formula: every function that returns a logprob returns the same bits for the same id, fl(fl(x - max) - log_norm). */
#include "forms.h"
#include "rows.h"

#include <math.h>
#include <stdlib.h>

static void check_row(const row_class *c, size_t n)
{
    rng r = rng_for(c->name, n, 5);
    float *x = malloc(n * sizeof *x), *dense = malloc(n * sizeof *dense), *gathered = malloc(n * sizeof *gathered);
    float *scored = malloc(n * sizeof *scored);
    int32_t *token = malloc(n * sizeof *token);
    c->fill(x, n, &r);
    const size_t first = rng_below(&r, (uint32_t)n), offset = rng_below(&r, 16);
    for (size_t i = 0; i < n; i++) {
        token[i] = (int32_t)((i + first) % n);
    }
    matrix m = matrix_new(&forms[0], x, 1, n, (layout){.offset = 4 * offset, .side = AT_START}, 0);
    place at = {"lp_log_softmax", c->name, n, offset};
    expect_status(&at, lp_log_softmax(&m.in, dense, 0), LP_OK);
    at.function = "lp_gather";
    expect_status(&at, lp_gather(&m.in, token, n, gathered), LP_OK);
    float logsumexp, entropy, max_logit, log_norm;
    const lp_scores scores = {.logsumexp = &logsumexp,
                              .entropy = &entropy,
                              .max_logit = &max_logit,
                              .log_norm = &log_norm,
                              .tokens_per_row = n,
                              .token_logprob = scored};
    at.function = "lp_score";
    expect_status(&at, lp_score(&m.in, token, 0, &scores), LP_OK);
    for (size_t i = 0; i < n; i++) {
        const float by_formula = ((x[token[i]] - max_logit) - log_norm) + 0.0f; /* 0 has one sign */
        at.function = "lp_gather";
        expect_bits(&at, i, gathered[i], dense[token[i]], "logprob");
        at.function = "lp_score";
        expect_bits(&at, i, scored[i], dense[token[i]], "token_logprob");
        expect_bits(&at, i, by_formula, dense[token[i]], "max_logit and log_norm");
    }
    float alone;
    at.function = "lp_logsumexp";
    expect_status(&at, lp_logsumexp(&m.in, &alone), LP_OK);
    expect_bits(&at, 0, alone, logsumexp, "logsumexp of lp_score");
    at.function = "lp_entropy";
    expect_status(&at, lp_entropy(&m.in, &alone), LP_OK);
    expect_bits(&at, 0, alone, entropy, "entropy of lp_score");
    matrix_free(&m);
    free(x);
    free(dense);
    free(gathered);
    free(scored);
    free(token);
}

START_TEST(all_classes)
{
    for (size_t c = 0; c < row_class_finite; c++) {
        for (size_t i = 0; i < small_shape_count; i += test_step(9)) {
            check_row(&row_classes[c], small_shapes[i]);
        }
        for (size_t i = 0; i < block_shape_count; i += test_step(7)) {
            check_row(&row_classes[c], block_shapes[i]);
        }
        check_row(&row_classes[c], vocab_shapes[0]);
    }
}
END_TEST

/* max_logit is the largest logit, and never -0. */
START_TEST(max_logit)
{
    for (size_t c = 0; c < row_class_finite; c++) {
        for (size_t i = 0; i < small_shape_count; i++) {
            float x[70], got, want = -INFINITY;
            const size_t n = small_shapes[i];
            rng r = rng_for(row_classes[c].name, n, 6);
            row_classes[c].fill(x, n, &r);
            for (size_t j = 0; j < n; j++) {
                want = x[j] > want ? x[j] : want;
            }
            const lp_logits in = {.data = x, .rows = 1, .vocab = n};
            const place at = {"lp_score", row_classes[c].name, n, 0};
            expect_status(&at, lp_score(&in, NULL, 0, &(lp_scores){.max_logit = &got}), LP_OK);
            expect_bits(&at, 0, got, want + 0.0f, "max_logit");
        }
    }
}
END_TEST

/* Ids may repeat, be none (< 0) or lie beyond the vocabulary: NaN for that id alone. */
START_TEST(special_ids)
{
    const float x[] = {1, 2, 3, -INFINITY, /* */ 5, 5, 5, 5};
    const int32_t token[] = {2, 2, -1, INT32_MIN, 3, 0, /* */ 4, 1, INT32_MAX, -1, 0, 0};
    const lp_logits in = {.data = x, .rows = 2, .vocab = 4};
    const place at = {"lp_gather", "by hand", 4, 0};
    float dense[8], got[12];
    ck_assert_int_eq(lp_log_softmax(&in, dense, 0), LP_OK);
    expect_status(&at, lp_gather(&in, token, 6, got), LP_ERR_TOKEN);
    for (size_t i = 0; i < 12; i++) {
        const bool valid = token[i] >= 0 && token[i] < 4;
        const float want = valid ? dense[i / 6 * 4 + (size_t)token[i]] : float_from_bits(NAN_BITS);
        expect_bits(&at, i, got[i], want, "logprob");
    }
    const lp_logits first = {.data = x, .rows = 1, .vocab = 4};
    expect_status(&at, lp_gather(&first, token, 6, got), LP_OK);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "gather");
    tcase_add_test(tcase, all_classes);
    tcase_add_test(tcase, max_logit);
    tcase_add_test(tcase, special_ids);
}

int main(void)
{
    return suite_main("gather", add_cases);
}
