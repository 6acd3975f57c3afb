/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Row results: NaN and +inf in every lane and in the tail, rows without mass, their order of precedence, whole rows NaN. */
#include "calls.h"
#include "forms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Every float of the results is the one NaN, every id -1, ranks 0, the status as wanted. */
static void check_bad_row(const place *at, const results *r, lp_status want)
{
    expect_status(at, *(const int32_t *)r->region[0].data, want);
    for (size_t i = 1; i < r->regions; i++) {
        const region *out = &r->region[i];
        for (size_t j = 0; j < out->count; j++) {
            const bool padding = at->function && strcmp(at->function, "log_softmax_padded") == 0 && j >= at->n;
            if (out->kind == KIND_F32 && !padding) {
                expect_int(at, j, float_bits(((const float *)out->data)[j]), NAN_BITS, out->name);
            } else if (strcmp(out->name, "token") == 0) {
                expect_int(at, j, ((const int32_t *)out->data)[j], -1, out->name);
            } else if (strncmp(out->name, "token_rank", 10) == 0) {
                expect_int(at, j, ((const int32_t *)out->data)[j], 0, out->name);
            } else if (strcmp(out->name, "status") == 0) {
                expect_int(at, j, ((const int32_t *)out->data)[j], want, out->name);
            }
        }
    }
}

static void check_calls(results *r, float *x, size_t n, const char *values, size_t index, lp_status want)
{
    static const char *const names[] = {"logsumexp", "log_softmax", "entropy", "topk_5", "score_sums", "score_rank"};
    const lp_logits in = {.data = x, .rows = 1, .vocab = n};
    for (size_t c = 0; c < call_count; c++) {
        for (size_t i = 0; i < COUNT(names); i++) {
            if (strcmp(calls[c].name, names[i]) == 0) {
                results_clear(r);
                calls[c].run(&in, index, r);
                const place at = {calls[c].name, values, n, index};
                check_bad_row(&at, r, want);
            }
        }
    }
}

static float *bell_row(size_t n)
{
    float *x = malloc(n * sizeof *x);
    rng r = rng_for("status", n, 0);
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_bell(&r);
    }
    return x;
}

static void check_position(results *r, float *x, size_t n, size_t i)
{
    const float was = x[i], beside = x[(i + 1) % n];
    x[i] = NAN;
    check_calls(r, x, n, "one NaN", i, LP_ERR_NAN);
    x[i] = float_from_bits(0xff800001);
    check_calls(r, x, n, "one negative signalling NaN", i, LP_ERR_NAN);
    if (n > 1) {
        x[(i + 1) % n] = INFINITY;
        check_calls(r, x, n, "NaN before +inf", i, LP_ERR_NAN);
        x[(i + 1) % n] = beside;
    }
    x[i] = INFINITY;
    check_calls(r, x, n, "one +inf", i, LP_ERR_INF);
    x[i] = was;
}

START_TEST(every_lane)
{
    results r;
    results_init(&r, PLACE_HEAP);
    for (size_t n = 1; n <= 70; n += test_step(23)) {
        float *x = bell_row(n);
        for (size_t i = 0; i < n; i++) {
            check_position(&r, x, n, i);
        }
        free(x);
    }
    results_free(&r);
}
END_TEST

START_TEST(every_place_of_a_block)
{
    const size_t shapes[] = {LP_BLOCK, 2 * LP_BLOCK + 45};
    results r;
    results_init(&r, PLACE_HEAP);
    for (size_t s = 0; s < COUNT(shapes); s++) {
        const size_t n = shapes[s];
        float *x = bell_row(n);
        for (size_t i = 0; i < n; i += (n - i < 100 ? 1U : 13U) * test_step(17)) {
            check_position(&r, x, n, i);
        }
        free(x);
    }
    results_free(&r);
}
END_TEST

/* A NaN must be seen even where a block would be skipped: among -inf, or far below the maximum. */
START_TEST(nan_in_skipped_blocks)
{
    enum { N = 3 * LP_BLOCK + 9 };
    static float x[N];
    const float levels[] = {-INFINITY, -1e9f, -300, -3e38f};
    results r;
    results_init(&r, PLACE_HEAP);
    for (size_t level = 0; level < COUNT(levels); level++) {
        for (size_t i = 0; i < N; i += 61) {
            for (size_t j = 0; j < N; j++) {
                x[j] = j / LP_BLOCK == 1 ? 1 : levels[level];
            }
            x[i] = float_from_bits(0x7fc00000 | (uint32_t)i);
            check_calls(&r, x, N, "NaN beside a high block", i, LP_ERR_NAN);
            x[i] = INFINITY;
            check_calls(&r, x, N, "+inf beside a high block", i, LP_ERR_INF);
        }
    }
    results_free(&r);
}
END_TEST

START_TEST(no_mass)
{
    results r;
    results_init(&r, PLACE_HEAP);
    for (size_t n = 1; n <= 3 * LP_BLOCK; n = n < 70 ? n + 1 : n * 2 - 31) {
        float *x = malloc(n * sizeof *x);
        for (size_t i = 0; i < n; i++) {
            x[i] = -INFINITY;
        }
        check_calls(&r, x, n, "all -inf", 0, LP_ERR_EMPTY);
        free(x);
    }
    results_free(&r);
}
END_TEST

/* The lowest bad row decides what is returned; the other rows are right. */
START_TEST(rows_beside_each_other)
{
    enum { N = 5, ROWS = 6 };
    const float x[ROWS * N] = {
        1,         2,         3,         4,         5,         /* fine, but the token is not */
        1,         2,         NAN,       4,         INFINITY,  /* NaN first */
        -INFINITY, 2,         3,         4,         INFINITY,  /* +inf */
        -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY, /* no mass, and a token beyond */
        0,         0,         0,         0,         -INFINITY, /* fine */
        5,         4,         3,         2,         1,         /* fine */
    };
    const int32_t token[ROWS] = {9, 0, 0, 9, 4, 0};
    const lp_status want[ROWS] = {LP_ERR_TOKEN, LP_ERR_NAN, LP_ERR_INF, LP_ERR_EMPTY, LP_OK, LP_OK};
    float logsumexp[ROWS], logprob[ROWS], single;
    lp_status status[ROWS];
    const lp_scores scores = {.logsumexp = logsumexp, .token_logprob = logprob, .status = status};
    for (size_t first = 0; first < ROWS; first++) {
        const lp_logits in = {.data = x + first * N, .rows = ROWS - first, .vocab = N};
        const place at = {"lp_score", "rows beside each other", N, first};
        expect_status(&at, lp_score(&in, token + first, 0, &scores), want[first]);
        for (size_t i = 0; i < ROWS - first; i++) {
            expect_int(&at, i, status[i], want[first + i], "status of the row");
            const lp_logits one = {.data = x + (first + i) * N, .rows = 1, .vocab = N};
            lp_logsumexp(&one, &single);
            expect_bits(&at, i, logsumexp[i], single, "logsumexp");
        }
        expect_status(&at, lp_logsumexp(&in, logsumexp), first == 0 ? LP_ERR_NAN : want[first]);
    }
}
END_TEST

/* A bad token spoils its own logprob only. */
START_TEST(token_beyond)
{
    const float x[] = {0, 0};
    const int32_t token[] = {1, 2, -1};
    const lp_logits in = {.data = x, .rows = 1, .vocab = 2};
    float logprob[3], logsumexp, top_logprob;
    int32_t top_token;
    const lp_scores scores = {.logsumexp = &logsumexp,
                              .tokens_per_row = 3,
                              .token_logprob = logprob,
                              .top_logprob = &top_logprob,
                              .top_token = &top_token};
    const place at = {"lp_score", "two zeros", 2, 0};
    expect_status(&at, lp_score(&in, token, 1, &scores), LP_ERR_TOKEN);
    expect_bits(&at, 0, logprob[0], -0x1.62e43p-1f, "logprob");
    expect_int(&at, 1, float_bits(logprob[1]), NAN_BITS, "beyond");
    expect_int(&at, 2, float_bits(logprob[2]), NAN_BITS, "none");
    expect_bits(&at, 0, logsumexp, 0x1.62e43p-1f, "logsumexp");
    expect_int(&at, 0, top_token, 0, "top token");
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "status");
    tcase_add_test(tcase, every_lane);
    tcase_add_test(tcase, every_place_of_a_block);
    tcase_add_test(tcase, nan_in_skipped_blocks);
    tcase_add_test(tcase, no_mass);
    tcase_add_test(tcase, rows_beside_each_other);
    tcase_add_test(tcase, token_beyond);
}

int main(void)
{
    return suite_main("status", add_cases);
}
