/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lp_sequence_score is lp_gather, lp_topk and lp_sequence_sum put together, and reads no row that is not kept. */
#include "forms.h"
#include "guard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 12, SHORT = 300, LONG = 3 * LP_BLOCK + 19 }; /* short rows are scored some at a time */

typedef struct batch {
    matrix m;
    size_t vocab;
    float x[ROWS * LONG];
    int32_t token[ROWS];
} batch;

/* Rows with ties for the top in several blocks; every second token is its row's greedy one. */
static batch *batch_new(size_t vocab, uint64_t salt)
{
    batch *b = calloc(1, sizeof *b);
    rng r = rng_for("sequence_score", salt, 0);
    b->vocab = vocab;
    for (size_t i = 0; i < ROWS * vocab; i++) {
        b->x[i] = floorf(rng_bell(&r) * 2);
    }
    for (size_t row = 0; row < ROWS; row++) {
        const float *x = b->x + row * vocab;
        size_t best = 0;
        for (size_t i = 1; i < vocab; i++) {
            best = x[i] > x[best] ? i : best;
        }
        b->token[row] = (int32_t)(row % 2 ? rng_below(&r, (uint32_t)vocab) : best);
    }
    b->m = matrix_new(&forms[0], b->x, ROWS, vocab, (layout){.stride = vocab + 3, .side = AT_END}, 0);
    return b;
}

static void batch_free(batch *b)
{
    matrix_free(&b->m);
    free(b);
}

static bool same_double(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void check_sequences(batch *b, const uint8_t *keep, const size_t *offset, size_t n, const char *what)
{
    const place at = {"lp_sequence_score", what, b->vocab, 0};
    float logprob[ROWS], gathered[ROWS], top_logprob[ROWS];
    int32_t top[ROWS];
    lp_sequence got[ROWS], want[ROWS];
    ck_assert_int_eq(lp_gather(&b->m.in, b->token, 1, gathered), LP_OK);
    ck_assert_int_eq(lp_topk(&b->m.in, 1, top_logprob, top), LP_OK);
    uint8_t kept[ROWS]; /* no token is as good as not kept */
    for (size_t i = 0; i < ROWS; i++) {
        kept[i] = (!keep || keep[i]) && b->token[i] >= 0;
    }
    ck_assert_int_eq(lp_sequence_sum(gathered, kept, offset, n, want), LP_OK);
    expect_status(&at, lp_sequence_score(&b->m.in, b->token, keep, offset, n, got, logprob), LP_OK);
    for (size_t i = 0; i < n; i++) {
        int32_t greedy = 1;
        for (size_t row = offset[i]; row < offset[i + 1]; row++) {
            if (kept[row]) {
                greedy = greedy && b->token[row] == top[row];
                expect_bits(&at, row, logprob[row], gathered[row], "token_logprob");
            }
        }
        expect_int(&at, i, got[i].greedy, greedy, "greedy");
        expect_int(&at, i, (int64_t)got[i].tokens, (int64_t)want[i].tokens, "tokens");
        expect_int(&at, i, (int64_t)got[i].argmin, (int64_t)want[i].argmin, "argmin");
        expect_int(&at, i, got[i].status, want[i].status, "status");
        expect_bits(&at, i, got[i].min, want[i].min, "min");
        if (!same_double(got[i].logprob, want[i].logprob) || !same_double(got[i].mean, want[i].mean) ||
            !same_double(got[i].perplexity, want[i].perplexity)) {
            fail_at(&at, i, got[i].logprob, want[i].logprob, "sums");
        }
    }
}

START_TEST(ragged)
{
    const size_t uneven[] = {0, 1, 4, 4, 5, 11, 12};
    const size_t inner[] = {2, 3, 9}; /* rows outside every sequence */
    const size_t one[] = {0, 12};
    for (int i = 0; i < 2; i++) {
        batch *b = batch_new(i == 0 ? SHORT : LONG, 1);
        check_sequences(b, NULL, uneven, COUNT(uneven) - 1, "ragged");
        check_sequences(b, NULL, inner, COUNT(inner) - 1, "inner rows");
        check_sequences(b, NULL, one, COUNT(one) - 1, "one sequence");
        batch_free(b);
    }
}
END_TEST

START_TEST(keep_masks)
{
    rng r = rng_for("keep", 0, 0);
    const size_t offset[] = {0, 3, 7, 12};
    for (uint64_t round = 0; round < 40; round++) {
        batch *b = batch_new(round % 2 ? SHORT : LONG, round / 2);
        uint8_t keep[ROWS];
        for (size_t i = 0; i < ROWS; i++) {
            keep[i] = (uint8_t)(rng_below(&r, 2) * (1 + rng_below(&r, 255)));
        }
        check_sequences(b, keep, offset, COUNT(offset) - 1, "keep masks");
        batch_free(b);
    }
}
END_TEST

START_TEST(no_token)
{
    const size_t offset[] = {0, 6, 12};
    for (int i = 0; i < 2; i++) {
        batch *b = batch_new(i == 0 ? SHORT : LONG, 2);
        b->token[1] = -1;
        b->token[7] = INT32_MIN;
        check_sequences(b, NULL, offset, 2, "negative tokens");
        batch_free(b);
    }
}
END_TEST

/* Rows that are not kept, or lie outside every sequence, are never read: their pages fault. */
START_TEST(rows_not_kept)
{
    const size_t page = guard_page(), width = page / 4;
    guarded g = guard_new(2 * page, AT_START, 0);
    float *x = (float *)(void *)g.data;
    for (size_t i = 0; i < 2 * width; i++) {
        x[i] = (float)(i % width % 5);
    }
    /* Rows 0 and 3 are guard pages. */
    const lp_logits in = {.data = g.data - page, .rows = 4, .vocab = width};
    const int32_t token[] = {1, 4, 4, 1};
    const uint8_t keep[] = {0, 1, 1, 0};
    const size_t all[] = {0, 4}, inner[] = {1, 3};
    lp_sequence s;
    ck_assert_int_eq(lp_sequence_score(&in, token, keep, all, 1, &s, NULL), LP_OK);
    ck_assert_uint_eq(s.tokens, 2);
    ck_assert_int_eq(lp_sequence_score(&in, token, NULL, inner, 1, &s, NULL), LP_OK);
    ck_assert_uint_eq(s.tokens, 2);
    ck_assert_uint_eq(s.argmin, 1);
    guard_free(&g);
}
END_TEST

START_TEST(empty_sequence)
{
    const lp_logits in = {.data = (const float[]){1, 2}, .rows = 1, .vocab = 2};
    const int32_t token[] = {0};
    const size_t offset[] = {0, 0, 1};
    lp_sequence s[2];
    ck_assert_int_eq(lp_sequence_score(&in, token, NULL, offset, 2, s, NULL), LP_OK);
    ck_assert(s[0].logprob == 0 && s[0].tokens == 0 && s[0].greedy == 1 && s[0].status == LP_OK);
    ck_assert(isnan(s[0].mean) && isnan(s[0].perplexity) && isnan(s[0].min));
    ck_assert(s[0].argmin == UINT64_MAX);
    ck_assert(s[1].tokens == 1 && s[1].greedy == 0 && s[1].argmin == 0);
}
END_TEST

/* A bad row is its sequence's status; the other sequences are right. */
START_TEST(bad_rows)
{
    const float x[] = {1, 2, /* */ NAN, 1, /* */ 3, 1, /* */ 1, 1};
    const lp_logits in = {.data = x, .rows = 4, .vocab = 2};
    const int32_t token[] = {0, 0, 0, 5};
    const size_t offset[] = {0, 1, 2, 3, 4};
    const lp_status want[] = {LP_OK, LP_ERR_NAN, LP_OK, LP_ERR_TOKEN};
    lp_sequence s[4];
    float logprob[4];
    ck_assert_int_eq(lp_sequence_score(&in, token, NULL, offset, 4, s, logprob), LP_ERR_NAN);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(s[i].status, want[i]);
        ck_assert_int_eq(isnan(s[i].logprob) != 0, want[i] != LP_OK);
    }
}
END_TEST

START_TEST(arguments)
{
    const lp_logits in = {.data = (const float[]){1, 2, 3, 4}, .rows = 2, .vocab = 2};
    const int32_t token[] = {0, 1};
    const size_t offset[] = {0, 2}, down[] = {2, 0}, beyond[] = {0, 3};
    lp_sequence s = {.logprob = 7};
    ck_assert_int_eq(lp_sequence_score(NULL, token, NULL, offset, 1, &s, NULL), LP_ERR_ARG);
    ck_assert_int_eq(lp_sequence_score(&in, NULL, NULL, offset, 1, &s, NULL), LP_ERR_ARG);
    ck_assert_int_eq(lp_sequence_score(&in, token, NULL, NULL, 1, &s, NULL), LP_ERR_ARG);
    ck_assert_int_eq(lp_sequence_score(&in, token, NULL, offset, 1, NULL, NULL), LP_ERR_ARG);
    ck_assert_int_eq(lp_sequence_score(&in, token, NULL, down, 1, &s, NULL), LP_ERR_ARG);
    ck_assert_int_eq(lp_sequence_score(&in, token, NULL, beyond, 1, &s, NULL), LP_ERR_ARG);
    ck_assert(s.logprob == 7);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "sequence_score");
    tcase_add_test(tcase, ragged);
    tcase_add_test(tcase, keep_masks);
    tcase_add_test(tcase, no_token);
    tcase_add_test(tcase, rows_not_kept);
    tcase_add_test(tcase, empty_sequence);
    tcase_add_test(tcase, bad_rows);
    tcase_add_test(tcase, arguments);
}

int main(void)
{
    return suite_main("sequence_score", add_cases);
}
