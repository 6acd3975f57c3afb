/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* logsumexp, log_softmax and entropy against the high-precision reference, within the bounds that the header
 * publishes. */
#include "bounds.h"
#include "forms.h"
#include "oracle.h"
#include "rows.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

typedef struct errors {
    worst logsumexp, dense, top, entropy;
} errors;

static place at_function(const place *row, const char *function)
{
    place at = *row;
    at.function = function;
    return at;
}

static void check_logsumexp(const place *row, const oracle *o, float got, errors *e)
{
    const place at = at_function(row, "lp_logsumexp");
    const double ulp = ulp_of_larger((double)got, o->logsumexp);
    const double error = fabs((double)got - o->logsumexp);
    worst_note(&e->logsumexp, &at, 0, error - BOUND_ROUNDING_ULP * ulp, (double)got, o->logsumexp);
    if (!logsumexp_holds(o, got)) {
        fail_at(&at, 0, (double)got, o->logsumexp, "out of bounds");
    }
}

static void check_entropy(const place *row, const oracle *o, float got, errors *e)
{
    const place at = at_function(row, "lp_entropy");
    if (rest_vanishes(o) && got == 0) {
        return;
    }
    const double ulp = ulp_of_larger((double)got, o->entropy);
    const double error = fabs((double)got - o->entropy);
    worst_note(&e->entropy, &at, 0, (error - BOUND_ROUNDING_ULP * ulp) / o->entropy, (double)got, o->entropy);
    if (!entropy_holds(o, got)) {
        fail_at(&at, 0, (double)got, o->entropy, "out of bounds");
    }
}

static void check_logprob(const place *row, const oracle *o, size_t i, float x, float got, errors *e)
{
    const place at = at_function(row, "lp_log_softmax");
    const double exact = oracle_logprob(o, x);
    if (got > 0 || same_bits(got, -0.0f) || isnan(got) || (isinf(got) && exact > -(double)FLT_MAX)) {
        fail_at(&at, i, (double)got, exact, "not a logprob");
    }
    if (isinf(got) || (rest_vanishes(o) && got == 0)) {
        return;
    }
    const double error = fabs((double)got - exact), ulps = error / ulp_of_larger((double)got, exact);
    const bool top = exact > -0.6931471805599453;
    worst_note(top ? &e->top : &e->dense, &at, i, ulps, (double)got, exact);
    if (!(error <= BOUND_DENSE_ULP * ulp_of_larger((double)got, exact) + sum_slack(o))) {
        fail_at(&at, i, (double)got, exact, "out of bounds");
    }
    if (top && !(ulps <= BOUND_TOP_ULP)) {
        fail_at(&at, i, (double)got, exact, "top logprob out of bounds");
    }
}

/* One row, at a place in memory that varies, through the three functions. */
static void check_row(const char *values, const float *x, size_t n, size_t offset, errors *e)
{
    const place at = {"row", values, n, offset};
    matrix m = matrix_new(&forms[0], x, 1, n, (layout){.offset = 4 * offset, .side = AT_END}, 0);
    float logsumexp = 0, entropy = 0;
    guarded out = guard_new(4 * n, AT_END, 0);
    float *logprob = (float *)(void *)out.data;
    const oracle o = oracle_row(x, n);

    place f = at_function(&at, "lp_logsumexp");
    expect_status(&f, lp_logsumexp(&m.in, &logsumexp), LP_OK);
    check_logsumexp(&at, &o, logsumexp, e);
    f.function = "lp_entropy";
    expect_status(&f, lp_entropy(&m.in, &entropy), LP_OK);
    check_entropy(&at, &o, entropy, e);
    f.function = "lp_log_softmax";
    expect_status(&f, lp_log_softmax(&m.in, logprob, 0), LP_OK);
    for (size_t i = 0; i < n; i++) {
        check_logprob(&at, &o, i, x[i], logprob[i], e);
    }
    guard_free(&out);
    matrix_free(&m);
}

static void print_errors(const errors *e)
{
    worst_print(&e->logsumexp, "beyond 0.5 ulp", "absolute");
    worst_print(&e->dense, "p < 0.5", "ulp");
    worst_print(&e->top, "p >= 0.5", "ulp");
    worst_print(&e->entropy, "beyond 0.5 ulp", "relative");
}

static void check_shapes(const size_t *shape, size_t shapes, size_t step, const row_class *c, errors *e)
{
    for (size_t i = 0; i < shapes; i += step) {
        const size_t n = shape[i];
        float *x = malloc(n * sizeof *x);
        rng r = rng_for(c->name, n, 0);
        c->fill(x, n, &r);
        check_row(c->name, x, n, rng_below(&r, 16), e);
        free(x);
    }
}

START_TEST(small_rows)
{
    errors e = {0};
    for (size_t c = 0; c < row_class_finite; c++) {
        check_shapes(small_shapes, small_shape_count, test_quick() ? 9 : 1, &row_classes[c], &e);
    }
    print_errors(&e);
}
END_TEST

START_TEST(rows_of_blocks)
{
    errors e = {0};
    const size_t step = test_quick() ? 7 : 1;
    for (size_t c = 0; c < row_class_finite; c++) {
        check_shapes(block_shapes, block_shape_count, step, &row_classes[c], &e);
    }
    print_errors(&e);
}
END_TEST

START_TEST(vocabularies)
{
    static const char *const names[] = {"normal", "uniform_100", "one_above", "cliffs", "peak_bell", "zipf"};
    errors e = {0};
    for (size_t i = 0; i < COUNT(names) && !(test_quick() && i > 1); i++) {
        const row_class *c = row_class_named(names[i]);
        check_shapes(vocab_shapes, test_quick() ? 1 : vocab_shape_count, i < 2 ? 1 : 2, c, &e);
    }
    print_errors(&e);
}
END_TEST

/* p = 1 - 10^-k, whoever carries the rest: the error in ulps of a logprob of -10^-k itself. */
static void check_near_one(size_t n, int k, int carrier, rng *r, errors *e)
{
    float *x = malloc(n * sizeof *x);
    const float base = rng_bell(r) * 8;
    const float gap = (float)k * 2.3025851f;
    const size_t top = rng_below(r, (uint32_t)n), other = (top + 1 + rng_below(r, (uint32_t)n - 1)) % n;
    for (size_t i = 0; i < n; i++) {
        x[i] = carrier == 0 ? -INFINITY : carrier == 1 ? base - 200 : base - gap - logf((float)n) + rng_bell(r) * 0.1f;
    }
    if (carrier < 2) {
        x[other] = base - gap;
    }
    x[top] = base;
    check_row(carrier == 0   ? "1-10^-k, one other"
              : carrier == 1 ? "1-10^-k, one large"
                             : "1-10^-k, many",
              x, n, rng_below(r, 16), e);
    free(x);
}

START_TEST(near_one)
{
    errors e = {0};
    rng r = rng_for("near_one", 0, 0);
    const size_t sizes[] = {2, 3, 33, 700, LP_BLOCK + 5, 4 * LP_BLOCK};
    for (size_t i = 0; i < COUNT(sizes) - (test_quick() ? 2 : 0); i++) {
        for (int k = 0; k <= 36; k++) {
            for (int carrier = 0; carrier < 3; carrier++) {
                check_near_one(sizes[i], k, carrier, &r, &e);
            }
        }
    }
    print_errors(&e);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "row");
    tcase_add_test(tcase, small_rows);
    tcase_add_test(tcase, rows_of_blocks);
    tcase_add_test(tcase, vocabularies);
    tcase_add_test(tcase, near_one);
}

int main(void)
{
    return suite_main("row", add_cases);
}
