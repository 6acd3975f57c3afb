/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lp_partial_entropy: the true entropy of whole rows is always inside, and the extremal distributions attain the bounds. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VOCAB = 5000 };

/* ---- whole distributions, in long double ------------------------------------------------------------------------- */
static long double logits[MAX_VOCAB], logprobs[MAX_VOCAB];

static int descending(const void *a, const void *b)
{
    const long double x = *(const long double *)a, y = *(const long double *)b;
    return (x < y) - (x > y);
}

/* logprobs[] from logits[], sorted downwards; the largest entry's last bits survive its being nearly certain */
static long double normalise(size_t vocab)
{
    qsort(logits, vocab, sizeof *logits, descending);
    long double rest = 0, entropy = 0;
    for (size_t i = vocab; i-- > 1;) {
        rest += expl(logits[i] - logits[0]);
    }
    for (size_t i = 0; i < vocab; i++) {
        logprobs[i] = (logits[i] - logits[0]) - log1pl(rest);
        entropy -= isinf(logprobs[i]) ? 0 : expl(logprobs[i]) * logprobs[i];
    }
    return entropy;
}

typedef void (*fill_logits)(size_t vocab, rng *r);

static void fill_bell(size_t vocab, rng *r)
{
    const long double scale = powl(10, -2 + 3.5L * (long double)rng_unit(r));
    for (size_t i = 0; i < vocab; i++) {
        logits[i] = scale * (long double)rng_bell(r);
    }
}

static void fill_even(size_t vocab, rng *r)
{
    (void)r;
    memset(logits, 0, vocab * sizeof *logits);
}

static void fill_zipf(size_t vocab, rng *r)
{
    const long double power = 0.5L + 3 * (long double)rng_unit(r);
    for (size_t i = 0; i < vocab; i++) {
        logits[i] = -power * logl((long double)(i + 1));
    }
}

static void fill_peak(size_t vocab, rng *r)
{
    const long double height = 100 * (long double)rng_unit(r);
    for (size_t i = 0; i < vocab; i++) {
        logits[i] = (long double)rng_unit(r);
    }
    logits[0] += height;
}

/* what a grammar mask or top-p leaves: most tokens have no mass at all */
static void fill_masked(size_t vocab, rng *r)
{
    fill_bell(vocab, r);
    for (size_t i = 1; i < vocab; i++) {
        logits[i] = rng_below(r, 3) ? -INFINITY : logits[i];
    }
}

/* few levels: ties at every k */
static void fill_steps(size_t vocab, rng *r)
{
    for (size_t i = 0; i < vocab; i++) {
        logits[i] = (long double)rng_below(r, 4);
    }
}

static const struct {
    const char *name;
    fill_logits fill;
} row_kinds[] = {{"bell", fill_bell}, {"even", fill_even},     {"zipf", fill_zipf},
                 {"peak", fill_peak}, {"masked", fill_masked}, {"steps", fill_steps}};

static void check_inside(const place *at, const float *x, size_t k, long double entropy)
{
    double lower, upper;
    expect_status(at, lp_partial_entropy(x, k, at->n, &lower, &upper), LP_OK);
    if (!((long double)lower <= entropy && entropy <= (long double)upper)) {
        fail_at(at, k, (long double)lower > entropy ? lower : upper, (double)entropy, "entropy outside, index is k");
    }
    ck_assert(lower >= 0 && upper <= log((double)at->n) * (1 + 1e-13));
}

static void check_row(const char *name, fill_logits fill, size_t vocab, uint32_t trial)
{
    static float x[MAX_VOCAB];
    rng r = rng_for(name, vocab, trial);
    fill(vocab, &r);
    const long double entropy = normalise(vocab);
    const place at = {"lp_partial_entropy", name, vocab, 0};
    for (size_t i = 0; i < vocab; i++) {
        x[i] = (float)logprobs[i];
    }
    for (size_t k = 0; k <= vocab; k += k < 25 ? 1 : 1 + rng_below(&r, (uint32_t)vocab)) {
        if (k == 0 || !isinf(x[0])) {
            check_inside(&at, x, k, entropy);
        }
    }
    check_inside(&at, x, vocab, entropy);
    /* logprobs as far off as the header allows: all up, all down, at random */
    for (int way = 0; way < 3; way++) {
        for (size_t i = 0; i < vocab; i++) {
            const long double off = 2.3e-7L * fabsl(logprobs[i]) - 3.9e-7L * expm1l(logprobs[0]);
            const long double sign = way == 2 ? 2 * (long double)rng_unit(&r) - 1 : way ? 1 : -1;
            x[i] = (float)(isinf(logprobs[i])
                               ? logprobs[i]
                               : logprobs[i] + sign * (off - 0.6L * (long double)ulp_of((double)logprobs[i])));
        }
        /* the smallest of the given ones must stay so: others are its cap only before rounding */
        for (size_t k = 1; k <= vocab; k += 1 + k / 2) {
            check_inside(&at, x, k, entropy);
        }
    }
}

START_TEST(true_entropy_inside)
{
    static const size_t shapes[] = {1, 2, 3, 4, 5, 8, 17, 50, 300, MAX_VOCAB};
    for (size_t c = 0; c < COUNT(row_kinds); c++) {
        for (size_t s = 0; s < COUNT(shapes); s++) {
            const uint32_t trials = (uint32_t)(shapes[s] < 20 ? 400 : 1 + 6000 / shapes[s]);
            for (uint32_t t = 0; t < (test_quick() ? 1 + trials / 40 : trials); t++) {
                check_row(row_kinds[c].name, row_kinds[c].fill, shapes[s], t);
            }
        }
    }
}
END_TEST

/* ---- sharpness --------------------------------------------------------------------------------------------------- */

static long double term(long double p)
{
    return p > 0 ? -p * logl(p) : 0;
}

/* Completes the k given entries in the two extreme ways and compares. Built from the floats that are given, so that the
 * slack is all that may differ. */
static void check_attained(const place *at, const float *x, size_t k, worst *lowest, worst *highest)
{
    long double others = 0, entropy = 0, cap = 1;
    for (size_t i = 1; i < k; i++) {
        others += expl((long double)x[i]);
    }
    for (size_t i = 0; i < k; i++) {
        entropy -= expl((long double)x[i]) * (long double)x[i];
        cap = expl((long double)x[i]) < cap ? expl((long double)x[i]) : cap;
    }
    const long double missing = (long double)(at->n - k);
    long double tail = -expm1l((long double)x[0]) - others;
    tail = tail < 0 ? 0 : tail > missing * cap ? missing * cap : tail;
    const long double full = floorl(tail / cap);
    const long double least = entropy + full * term(cap) + term(tail - full * cap);
    const long double most = entropy + (tail > 0 ? tail * logl(missing / tail) : 0);
    double lower, upper;
    expect_status(at, lp_partial_entropy(x, k, at->n, &lower, &upper), LP_OK);
    const long double unit = 1e-6L * (20 + logl((long double)at->n / cap)), floor = 1e-34L;
    worst_note(lowest, at, k, (double)(fabsl((long double)lower - least) / (unit * least + floor)), lower,
               (double)least);
    worst_note(highest, at, k, (double)(fabsl((long double)upper - most) / (unit * most + floor)), upper, (double)most);
    if (fabsl((long double)lower - least) > unit * least + floor) {
        fail_at(at, k, lower, (double)least, "lower bound not attained, index is k");
    }
    if (fabsl((long double)upper - most) > unit * most + floor) {
        fail_at(at, k, upper, (double)most, "upper bound not attained, index is k");
    }
}

START_TEST(bounds_attained)
{
    static float x[MAX_VOCAB];
    worst lowest = {0}, highest = {0};
    for (size_t c = 0; c < COUNT(row_kinds); c++) {
        for (uint32_t t = 0; t < (test_quick() ? 20U : 1000U); t++) {
            rng r = rng_for("attained", c, t);
            const size_t vocab = 2 + rng_below(&r, 400), k = 1 + rng_below(&r, (uint32_t)vocab);
            row_kinds[c].fill(vocab, &r);
            normalise(vocab);
            for (size_t i = 0; i < k; i++) {
                x[i] = (float)logprobs[i];
            }
            if (!isinf(x[k - 1])) {
                const place at = {"lp_partial_entropy", row_kinds[c].name, vocab, 0};
                check_attained(&at, x, k, &lowest, &highest);
            }
        }
    }
    worst_print(&lowest, "lower, slack", "of what is published");
    worst_print(&highest, "upper, slack", "of what is published");
}
END_TEST

/* by hand: two entries of 0.4 and 0.25 of four tokens; the missing 0.35 as 0.25 + 0.1, or as 0.175 twice */
START_TEST(by_hand)
{
    const float x[] = {(float)logl(0.4L), (float)logl(0.25L)};
    double lower, upper;
    ck_assert_int_eq(lp_partial_entropy(x, 2, 4, &lower, &upper), LP_OK);
    const double known = (double)(term(0.4L) + term(0.25L));
    ck_assert_double_eq_tol(lower, known + (double)(term(0.25L) + term(0.1L)), 3e-6);
    ck_assert_double_eq_tol(upper, known + 2 * (double)term(0.175L), 3e-6);
    /* the first entry alone caps the others at 0.4 */
    ck_assert_int_eq(lp_partial_entropy(x, 1, 4, &lower, &upper), LP_OK);
    ck_assert_double_eq_tol(lower, (double)(2 * term(0.4L) + term(0.2L)), 3e-6);
    ck_assert_double_eq_tol(upper, (double)(term(0.4L) + 3 * term(0.2L)), 3e-6);
    double alone;
    ck_assert_int_eq(lp_partial_entropy(x, 1, 4, &alone, NULL), LP_OK);
    ck_assert(memcmp(&alone, &lower, sizeof alone) == 0);
    ck_assert_int_eq(lp_partial_entropy(x, 1, 4, NULL, &alone), LP_OK);
    ck_assert(memcmp(&alone, &upper, sizeof alone) == 0);
    ck_assert_int_eq(lp_partial_entropy(x, 1, 4, NULL, NULL), LP_OK);
}
END_TEST

START_TEST(any_order)
{
    for (uint32_t t = 0; t < 200; t++) {
        rng r = rng_for("order", t, 0);
        const size_t vocab = 2 + rng_below(&r, 100), k = 1 + rng_below(&r, (uint32_t)vocab);
        float x[101];
        row_kinds[t % COUNT(row_kinds)].fill(vocab, &r);
        normalise(vocab);
        for (size_t i = 0; i < k; i++) {
            x[i] = (float)logprobs[i];
        }
        double bound[2], again[2];
        ck_assert_int_eq(lp_partial_entropy(x, k, vocab, &bound[0], &bound[1]), LP_OK);
        for (size_t i = k; i > 1; i--) {
            const size_t j = rng_below(&r, (uint32_t)i);
            const float swap = x[i - 1];
            x[i - 1] = x[j];
            x[j] = swap;
        }
        ck_assert_int_eq(lp_partial_entropy(x, k, vocab, &again[0], &again[1]), LP_OK);
        ck_assert_mem_eq(bound, again, sizeof bound);
    }
}
END_TEST

static void expect_bounds(const float *x, size_t n, size_t vocab, lp_status status, double lower, double upper)
{
    double got[2];
    memset(got, 0xa5, sizeof got);
    ck_assert_int_eq(lp_partial_entropy(x, n, vocab, &got[0], &got[1]), status);
    if (status == LP_ERR_ARG) {
        unsigned char untouched[sizeof got];
        memset(untouched, 0xa5, sizeof untouched);
        ck_assert_mem_eq(got, untouched, sizeof got);
    } else if (status != LP_OK) {
        const double nan = (double)float_from_bits(NAN_BITS);
        ck_assert(memcmp(&got[0], &nan, sizeof nan) == 0 && memcmp(&got[1], &nan, sizeof nan) == 0);
    } else {
        const double slack = 1e-6 * (20 + log((double)vocab));
        ck_assert_double_eq_tol(got[0], lower, slack);
        ck_assert_double_eq_tol(got[1], upper, slack);
        ck_assert(!signbit(got[0]) && !signbit(got[1]));
    }
}

START_TEST(edges)
{
    const float none = -INFINITY, nan = float_from_bits(0x7f800001U);
    expect_bounds(NULL, 0, 1, LP_OK, 0, 0);
    expect_bounds(NULL, 0, 1000, LP_OK, 0, log(1000));
    expect_bounds(NULL, 0, 0, LP_ERR_EMPTY, 0, 0);
    expect_bounds(NULL, 1, 2, LP_ERR_ARG, 0, 0);
    expect_bounds((float[]){0}, 1, 1, LP_OK, 0, 0);
    expect_bounds((float[]){-0.0F}, 1, 128256, LP_OK, 0, 0);
    expect_bounds((float[]){0, none}, 2, 128256, LP_OK, 0, 0);
    expect_bounds((float[]){0, none, none}, 3, 3, LP_OK, 0, 0);
    expect_bounds((float[]){-0.6931472F, -0.6931472F}, 2, 128256, LP_OK, log(2), log(2));
    expect_bounds((float[]){-0.6931472F}, 1, 2, LP_OK, log(2), log(2));          /* exactly at the cap */
    expect_bounds((float[]){-0.69313F, -0.69313F}, 2, 2, LP_OK, log(2), log(2)); /* 1.00003: no tail */
    expect_bounds((float[]){-1, -2}, 3, 2, LP_ERR_ARG, 0, 0);                    /* more than the vocabulary */
    expect_bounds((float[]){-1}, 1, (size_t)INT32_MAX + 1, LP_ERR_ARG, 0, 0);
    expect_bounds((float[]){-0.1F, -0.2F}, 2, 10, LP_ERR_ARG, 0, 0); /* 1.7 */
    expect_bounds((float[]){-1.2F}, 1, 2, LP_ERR_ARG, 0, 0);         /* 0.7 for one, at most 0.3 */
    expect_bounds((float[]){-1, none}, 2, 100, LP_ERR_ARG, 0, 0);    /* 0.63 for tokens of no mass */
    expect_bounds((float[]){-1, -1}, 2, 2, LP_ERR_ARG, 0, 0);        /* 0.26 for no token */
    expect_bounds((float[]){none, none}, 2, 5, LP_ERR_EMPTY, 0, 0);
    expect_bounds((float[]){none, none}, 2, 2, LP_ERR_EMPTY, 0, 0);
    expect_bounds((float[]){-1, nan, INFINITY}, 3, 5, LP_ERR_NAN, 0, 0);
    expect_bounds((float[]){-1, INFINITY, 4}, 3, 5, LP_ERR_INF, 0, 0);
}
END_TEST

/* sums slightly above 1: still ordered, still at most ln vocab */
START_TEST(above_one)
{
    for (size_t n = 1; n <= 1000; n += 1 + n / 4) {
        for (int i = 0; i < 20; i++) {
            static float x[1000];
            for (size_t j = 0; j < n; j++) {
                x[j] = (float)(-log((double)n) + i * 4.8e-5);
            }
            for (size_t vocab = n; vocab < 4 * n; vocab += n) {
                double lower, upper;
                ck_assert_int_eq(lp_partial_entropy(x, n, vocab, &lower, &upper), LP_OK);
                ck_assert(0 <= lower && lower <= upper && upper <= log((double)vocab) * (1 + 1e-13));
            }
        }
    }
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *bounds = add_case(suite, "bounds");
    tcase_add_test(bounds, true_entropy_inside);
    tcase_add_test(bounds, bounds_attained);
    tcase_add_test(bounds, by_hand);
    tcase_add_test(bounds, any_order);
    tcase_add_test(bounds, above_one);
    tcase_add_test(bounds, edges);
}

int main(void)
{
    return suite_main("partial_entropy", add_cases);
}
