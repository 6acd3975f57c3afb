/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Both ranks of lp_score against plain counting: 1 + how many are above, and how many are not below. */
#include "forms.h"
#include "rows.h"

#include <math.h>
#include <stdlib.h>

static void check_token(place at, const lp_logits *in, const float *x, int32_t token)
{
    int32_t above = 0, not_below = 0, rank = -7, ties = -7, alone = -7;
    for (size_t i = 0; i < in->vocab; i++) {
        above += x[i] > x[token];
        not_below += x[i] >= x[token];
    }
    const lp_scores both = {.token_rank = &rank, .token_rank_ties = &ties};
    expect_status(&at, lp_score(in, &token, 0, &both), LP_OK);
    expect_int(&at, (size_t)token, rank, 1 + above, "rank");
    expect_int(&at, (size_t)token, ties, not_below, "rank with ties");
    /* One of them alone, beside everything else, is the same. */
    float logsumexp, top_logprob[3];
    int32_t top_token[3];
    const lp_scores strict = {
        .token_rank = &alone, .logsumexp = &logsumexp, .top_logprob = top_logprob, .top_token = top_token};
    expect_status(&at, lp_score(in, &token, 3, &strict), LP_OK);
    expect_int(&at, (size_t)token, alone, rank, "rank beside top-k");
    /* and beside the entropy, for which the largest elements of a block's lanes are known */
    float entropy;
    const lp_scores with_entropy = {.token_rank = &alone, .token_rank_ties = &ties, .entropy = &entropy};
    expect_status(&at, lp_score(in, &token, 0, &with_entropy), LP_OK);
    expect_int(&at, (size_t)token, alone, rank, "rank beside the entropy");
    expect_int(&at, (size_t)token, ties, not_below, "rank with ties beside the entropy");
}

/* the first of the largest of `of` random tokens: of those above it, a block has a few */
static int32_t likely_token(const float *x, size_t n, size_t of, rng *r)
{
    size_t best = rng_below(r, (uint32_t)n);
    for (size_t i = 1; i < of; i++) {
        const size_t other = rng_below(r, (uint32_t)n);
        best = x[other] > x[best] ? other : best;
    }
    return (int32_t)best;
}

static void check_row(const row_class *c, size_t n, size_t tokens)
{
    rng r = rng_for(c->name, n, 4);
    float *x = malloc(n * sizeof *x);
    c->fill(x, n, &r);
    const size_t offset = rng_below(&r, 16);
    matrix m = matrix_new(&forms[0], x, 1, n, (layout){.offset = 4 * offset, .side = AT_END}, 0);
    const place at = {"lp_score", c->name, n, offset};
    size_t top = 0;
    for (size_t i = 1; i < n; i++) {
        top = x[i] > x[top] ? i : top;
    }
    check_token(at, &m.in, x, (int32_t)top);
    check_token(at, &m.in, x, 0);
    check_token(at, &m.in, x, (int32_t)n - 1);
    for (size_t i = 0; i < tokens; i++) {
        check_token(at, &m.in, x, (int32_t)rng_below(&r, (uint32_t)n));
    }
    for (size_t of = 8; of <= 2048; of *= 4) {
        check_token(at, &m.in, x, likely_token(x, n, of, &r));
    }
    matrix_free(&m);
    free(x);
}

START_TEST(all_classes)
{
    for (size_t c = 0; c < row_class_finite; c++) {
        for (size_t i = 0; i < small_shape_count; i += test_step(9)) {
            check_row(&row_classes[c], small_shapes[i], 3);
        }
        for (size_t i = 0; i < block_shape_count; i += test_step(7)) {
            check_row(&row_classes[c], block_shapes[i], 3);
        }
    }
}
END_TEST

START_TEST(vocabularies)
{
    check_row(row_class_named("normal"), vocab_shapes[0], 4);
    check_row(row_class_named("ties_coarse"), vocab_shapes[test_quick() ? 0 : 1], 4);
    check_row(row_class_named("masked_1_percent"), vocab_shapes[0], 4);
}
END_TEST

/* A masked id ranks behind every finite one, and together with all the masked: the definition. */
START_TEST(minus_inf)
{
    enum { N = LP_BLOCK + 100 };
    float x[N];
    for (size_t i = 0; i < N; i++) {
        x[i] = i % 3 == 0 ? (float)(i % 7) : -INFINITY;
    }
    const lp_logits in = {.data = x, .rows = 1, .vocab = N};
    const place at = {"lp_score", "two thirds -inf", N, 0};
    int32_t token = 1, rank = 0, ties = 0;
    float logprob = 0;
    const lp_scores scores = {.token_logprob = &logprob, .token_rank = &rank, .token_rank_ties = &ties};
    expect_status(&at, lp_score(&in, &token, 0, &scores), LP_OK);
    expect_int(&at, 1, rank, (N + 2) / 3 + 1, "rank");
    expect_int(&at, 1, ties, N, "rank with ties");
    expect_bits(&at, 1, logprob, -INFINITY, "logprob");
}
END_TEST

/* Scaled logits are compared as they are, with a level that stands for the token's: products that are the same, that underflow and
 * that overflow must fall on its right side. */
START_TEST(scaled)
{
    static const float scales[] = {0.3F, 1.0F / 3, 3, 0.01F, 1000, 1e-30F, 0x1p-120F, 1e-44F, 0x1p100F, 3e38F, 1};
    static const lp_dtype dtypes[] = {LP_F32, LP_BF16, LP_F16};
    static const char *const rows[] = {"normal", "ties_coarse", "signed_zeros"};
    enum { N = 2 * LP_BLOCK + 300, TOKENS = 24 };
    float x[N];
    for (size_t c = 0; c < COUNT(rows); c++) {
        for (size_t s = 0; s < COUNT(scales); s++) {
            for (size_t d = 0; d < COUNT(dtypes); d++) {
                rng r = rng_for(rows[c], s, d);
                const form f = {"scaled", dtypes[d], scales[s], 0, MASK_NONE, false};
                row_class_named(rows[c])->fill(x, N, &r);
                matrix m = matrix_new(&f, x, 1, N, (layout){.offset = 4 * d, .side = AT_END}, 0);
                plain_row(&m.in, 0, x);
                bool finite = true;
                for (size_t i = 0; i < N; i++) {
                    finite = finite && x[i] < INFINITY;
                }
                const place at = {"lp_score, scaled", rows[c], s, d};
                for (size_t i = 0; finite && i < TOKENS; i++) {
                    check_token(at, &m.in, x, (int32_t)rng_below(&r, N));
                }
                matrix_free(&m);
            }
        }
    }
}
END_TEST

/* Ranks belong to the first token of each row; no token has rank 0. */
START_TEST(batch_of_tokens)
{
    const float x[] = {3, 1, 2, 2, /* */ 0, 0, 0, 0, /* */ 1, 2, 3, 4, /* */ 1, 2, 3, 4};
    const int32_t token[] = {2, 0, /* */ 3, -1, /* */ -1, 2, /* */ 4, 0};
    const int32_t want_rank[] = {2, 1, 0, 0}, want_ties[] = {3, 4, 0, 0};
    const lp_logits in = {.data = x, .rows = 4, .vocab = 4};
    const place at = {"lp_score", "by hand", 4, 0};
    int32_t rank[4], ties[4];
    lp_status status[4];
    const lp_scores scores = {.tokens_per_row = 2, .token_rank = rank, .token_rank_ties = ties, .status = status};
    expect_status(&at, lp_score(&in, token, 0, &scores), LP_ERR_TOKEN);
    for (size_t i = 0; i < 3; i++) {
        expect_int(&at, i, rank[i], want_rank[i], "rank");
        expect_int(&at, i, ties[i], want_ties[i], "rank with ties");
        expect_int(&at, i, status[i], LP_OK, "status");
    }
    expect_int(&at, 3, status[3], LP_ERR_TOKEN, "status");
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "rank");
    tcase_add_test(tcase, all_classes);
    tcase_add_test(tcase, vocabularies);
    tcase_add_test(tcase, minus_inf);
    tcase_add_test(tcase, scaled);
    tcase_add_test(tcase, batch_of_tokens);
}

int main(void)
{
    return suite_main("rank", add_cases);
}
