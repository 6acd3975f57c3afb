/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Partial sets: lp_renormalize, lp_label_logprob and lp_exp against their definitions in long double. */
#include "support.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SET = 4096 };
#define FILL 0xa5

/* ---- the definitions ---------------------------------------------------------------------------------------------
 * long double has 11 bits more than double at least; the difference from 1 is taken before it can cancel. */
typedef struct exact {
    long double top, log_norm, kept, tail, log_kept;
    long double missed; /* 1 - e^top */
} exact;

static exact exact_of(const float *logprob, size_t n)
{
    size_t top = 0;
    for (size_t i = 1; i < n; i++) {
        top = logprob[i] > logprob[top] ? i : top;
    }
    exact e = {.top = (long double)logprob[top]};
    long double rest = 0, others = 0;
    for (size_t i = 0; i < n; i++) {
        if (i != top) {
            rest += expl((long double)logprob[i] - e.top);
            others += expl((long double)logprob[i]);
        }
    }
    e.log_norm = log1pl(rest);
    e.missed = -expm1l(e.top);
    e.tail = e.missed - others;
    e.kept = e.tail < 0.5L ? 1 - e.tail : expl(e.top) + others;
    e.log_kept = e.tail < 0.5L ? log1pl(-e.tail) : e.top + e.log_norm;
    if (e.tail <= 0) {
        e.tail = e.log_kept = 0;
        e.kept = 1;
    }
    return e;
}

/* ---- sets of every kind ------------------------------------------------------------------------------------------ */
typedef struct set_class {
    const char *name;
    void (*fill)(float *logprob, size_t n, rng *r);
} set_class;

static void shuffle(float *x, int32_t *with, size_t n, rng *r)
{
    for (size_t i = n; i > 1; i--) {
        const size_t j = rng_below(r, (uint32_t)i);
        const float t = x[i - 1];
        x[i - 1] = x[j];
        x[j] = t;
        if (with) {
            const int32_t l = with[i - 1];
            with[i - 1] = with[j];
            with[j] = l;
        }
    }
}

/* n of the logprobs of a larger row */
static void fill_part(float *x, size_t n, rng *r)
{
    const size_t vocab = n + rng_below(r, 1000);
    const double scale = 0.1 + 8 * (double)rng_unit(r);
    double sum = 0;
    for (size_t i = 0; i < vocab; i++) {
        const double logit = scale * (double)rng_bell(r);
        sum += exp(logit);
        if (i < n) {
            x[i] = (float)logit;
        }
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)((double)x[i] - log(sum));
    }
}

/* one entry at 1 - 10^-j, the rest inside what that leaves */
static void fill_peak(float *x, size_t n, rng *r)
{
    double left = pow(10, -30 * (double)rng_unit(r));
    x[0] = (float)log1p(-left);
    for (size_t i = 1; i < n; i++) {
        const double p = left * (double)rng_unit(r);
        left -= p;
        x[i] = (float)log(p);
    }
    shuffle(x, NULL, n, r);
}

/* each entry takes most of what is left: sums of 1 - 1e-3 to 1 - 1e-12 from probabilities of every size */
static void fill_nearly(float *x, size_t n, rng *r)
{
    const long double tail = powl(10, -3 - 9 * (long double)rng_unit(r));
    long double left = 1;
    for (size_t i = 0; i < n; i++) {
        long double p = (left - tail) * (0.3L + 0.6L * (long double)rng_unit(r));
        p = p > 0 ? p : 0;
        x[i] = (float)logl(p);
        left -= expl((long double)x[i]);
    }
    shuffle(x, NULL, n, r);
}

static void fill_low(float *x, size_t n, rng *r)
{
    const float base = -20 - 680 * rng_unit(r);
    for (size_t i = 0; i < n; i++) {
        x[i] = base - 60 * rng_unit(r);
    }
}

static void fill_gaps(float *x, size_t n, rng *r)
{
    fill_part(x, n, r);
    for (size_t i = 1; i < n; i++) {
        const uint32_t kind = rng_below(r, 4);
        x[i] = kind == 0 ? -INFINITY : kind == 1 ? x[i] - 1e30F * rng_unit(r) : x[i];
    }
}

/* a whole row: 1 up to rounding, on either side */
static void fill_whole(float *x, size_t n, rng *r)
{
    const double scale = 0.1 + 8 * (double)rng_unit(r);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(scale * (double)rng_bell(r));
        sum += exp((double)x[i]);
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)((double)x[i] - log(sum));
    }
}

static const set_class set_classes[] = {{"part of a row", fill_part}, {"peak", fill_peak},
                                        {"nearly all", fill_nearly},  {"low", fill_low},
                                        {"gaps", fill_gaps},          {"whole row", fill_whole}};

static void each_set(void (*check)(const place *at, const float *x, size_t n, rng *r), uint32_t trials)
{
    static float x[MAX_SET];
    static const size_t shapes[] = {1, 2, 3, 5, 8, 20, 33, 100, 1000, MAX_SET};
    for (size_t c = 0; c < COUNT(set_classes); c++) {
        for (size_t s = 0; s < COUNT(shapes); s++) {
            const size_t n = shapes[s];
            const uint32_t share = (uint32_t)(n < 20 ? trials : 1 + 20 * trials / n);
            for (uint32_t t = 0; t < (test_quick() ? 1 + share / 50 : share); t++) {
                rng r = rng_for(set_classes[c].name, n, t);
                set_classes[c].fill(x, n, &r);
                const place at = {"lp_renormalize", set_classes[c].name, n, 0};
                check(&at, x, n, &r);
            }
        }
    }
}

/* ---- lp_renormalize ---------------------------------------------------------------------------------------------- */
static worst worst_out, worst_tail, worst_kept, worst_log_kept;

static void note(worst *w, const place *at, size_t i, long double got, long double want, long double unit, double bound)
{
    const double error = (double)(fabsl(got - want) / unit),
                 slack = (double)(REFERENCE_ERROR * (1 + fabsl(want / unit)));
    worst_note(w, at, i, error, (double)got, (double)want);
    if (!(error <= bound + slack)) {
        fail_at(at, i, (double)got, (double)want, "error beyond the published bound");
    }
}

static void check_accuracy(const place *at, const float *x, size_t n, rng *r)
{
    (void)r;
    static float out[MAX_SET];
    lp_mass mass;
    expect_status(at, lp_renormalize(x, n, out, &mass), LP_OK);
    const exact e = exact_of(x, n);
    for (size_t i = 0; i < n; i++) {
        const long double want = ((long double)x[i] - e.top) - e.log_norm;
        if (isinf(x[i])) {
            expect_bits(at, i, out[i], -INFINITY, "out");
        } else {
            ck_assert(out[i] <= 0);
            note(&worst_out, at, i, (long double)out[i], want, (long double)ulp_of((double)want), 0.5 + 0x1p-22);
        }
    }
    ck_assert(mass.tail >= 0 && mass.tail <= 1 && mass.kept >= 0 && mass.kept <= 1 && mass.log_kept <= 0);
    ck_assert(mass.reserved[0] == 0 && mass.reserved[1] == 0);
    if (e.missed > 0) {
        note(&worst_tail, at, n, (long double)mass.tail, e.tail, e.missed, 4.5e-16);
    }
    note(&worst_kept, at, n, (long double)mass.kept, e.kept, e.kept + 0x1p-1022L, 1e-15);
    note(&worst_log_kept, at, n, (long double)mass.log_kept, e.log_kept, 1 + fabsl(e.log_kept) + logl((long double)n),
         1e-15);
}

START_TEST(accuracy)
{
    each_set(check_accuracy, 2000);
    worst_print(&worst_out, "out", "ulp");
    worst_print(&worst_tail, "tail", "(1 - e^max)");
    worst_print(&worst_kept, "kept", "relative");
    worst_print(&worst_log_kept, "log_kept", "(1 + |log_kept| + ln n)");
}
END_TEST

/* kept = 1 - 1e-9 gives tail 1e-9 to 1e-6 relative, however the mass lies */
START_TEST(tail_of_nearly_everything)
{
    worst w = {0};
    for (uint32_t t = 0; t < (test_quick() ? 200U : 20000U); t++) {
        rng r = rng_for("tail", t, 0);
        float x[40];
        const size_t n = 1 + rng_below(&r, 40);
        const long double first = (long double)rng_unit(&r);
        long double left = 1;
        for (size_t i = 0; i < n; i++) {
            const long double p = (left - 1e-9L) * (i == 0 && n > 1 ? first : i + 1 == n ? 1 : 0.9L);
            x[i] = (float)logl(p > 0 ? p : 0);
            left = i == 0 ? -expm1l((long double)x[0]) : left - expl((long double)x[i]);
        }
        const exact e = exact_of(x, n);
        if (e.tail < 5e-10L || e.tail > 2e-9L) {
            continue; /* floats could not say it */
        }
        const place at = {"lp_renormalize", "kept 1 - 1e-9", n, 0};
        lp_mass mass;
        expect_status(&at, lp_renormalize(x, n, NULL, &mass), LP_OK);
        note(&w, &at, 0, (long double)mass.tail, e.tail, e.tail, 1e-6);
    }
    ck_assert_ptr_nonnull(w.at.function);
    worst_print(&w, "tail of 1e-9", "relative");
    lp_mass mass;
    const float alone = -1e-9F;
    ck_assert_int_eq(lp_renormalize(&alone, 1, NULL, &mass), LP_OK);
    ck_assert_double_eq_tol(mass.tail / 1e-9, 1, 1e-7);
    ck_assert_double_eq_tol(mass.log_kept / -1e-9, 1, 1e-7);
}
END_TEST

static void check_order(const place *at, const float *x, size_t n, rng *r)
{
    static float y[MAX_SET], out[MAX_SET], again[MAX_SET];
    static int32_t from[MAX_SET];
    lp_mass mass, other;
    for (size_t i = 0; i < n; i++) {
        y[i] = x[i];
        from[i] = (int32_t)i;
    }
    shuffle(y, from, n, r);
    expect_status(at, lp_renormalize(x, n, out, &mass), LP_OK);
    expect_status(at, lp_renormalize(y, n, again, &other), LP_OK);
    ck_assert_mem_eq(&mass, &other, sizeof mass);
    for (size_t i = 0; i < n; i++) {
        expect_bits(at, i, again[i], out[from[i]], "out in another order");
    }
    expect_status(at, lp_renormalize(y, n, y, NULL), LP_OK);
    ck_assert_mem_eq(y, again, n * sizeof *y);
    expect_status(at, lp_renormalize(x, n, NULL, NULL), LP_OK);
}

START_TEST(order_and_place)
{
    each_set(check_order, 100);
}
END_TEST

/* sums above 1: clamped up to LP_MASS_EXCESS, refused beyond it with nothing written */
START_TEST(excess)
{
    for (int i = -400; i <= 400; i++) {
        const double kept = 1 + LP_MASS_EXCESS * (1 + i * 1e-4);
        const float x[2] = {(float)log(0.7 * kept), (float)log(0.3 * kept)};
        const long double over = expl((long double)x[0]) + expl((long double)x[1]) - 1 - LP_MASS_EXCESS;
        unsigned char untouched[sizeof(lp_mass)];
        float renormalized[2];
        lp_mass m;
        memset(untouched, FILL, sizeof untouched);
        memset(renormalized, FILL, sizeof renormalized);
        memset(&m, FILL, sizeof m);
        const lp_status status = lp_renormalize(x, 2, renormalized, &m);
        const place at = {"lp_renormalize", "above 1", 2, 0};
        expect_status(&at, status, over > 0 ? LP_ERR_ARG : LP_OK);
        if (over > 0) {
            ck_assert_mem_eq(renormalized, untouched, sizeof renormalized);
            ck_assert_mem_eq(&m, untouched, sizeof m);
        } else {
            ck_assert(m.kept == 1 && m.tail == 0 && m.log_kept == 0 && !signbit(m.log_kept));
            ck_assert_double_eq_tol(exp((double)renormalized[0]) + exp((double)renormalized[1]), 1, 1e-7);
        }
    }
    const float small_excess[] = {1e-4F}, logit[] = {1}, large[] = {3e38F, -1}, twice[] = {0, 0};
    lp_mass mass;
    float out;
    ck_assert_int_eq(lp_renormalize(small_excess, 1, &out, &mass), LP_OK);
    expect_bits(&(place){"lp_renormalize", "1e-4", 1, 0}, 0, out, 0, "out");
    ck_assert(mass.kept == 1 && mass.tail == 0 && mass.log_kept == 0);
    ck_assert_int_eq(lp_renormalize(logit, 1, NULL, &mass), LP_ERR_ARG);
    ck_assert_int_eq(lp_renormalize(large, 2, NULL, &mass), LP_ERR_ARG);
    ck_assert_int_eq(lp_renormalize(twice, 2, NULL, &mass), LP_ERR_ARG);
}
END_TEST

static void expect_mass(const lp_mass *m, double log_kept, double kept, double tail)
{
    const lp_mass want = {log_kept, kept, tail, {0, 0}};
    ck_assert_mem_eq(m, &want, sizeof want);
}

START_TEST(edges)
{
    const place at = {"lp_renormalize", "edges", 3, 0};
    const double nan = (double)float_from_bits(NAN_BITS);
    const float none = -INFINITY, payload = float_from_bits(0xffc12345U);
    lp_mass mass;
    memset(&mass, FILL, sizeof mass);
    ck_assert_int_eq(lp_renormalize(NULL, 0, NULL, &mass), LP_ERR_EMPTY);
    expect_mass(&mass, -INFINITY, 0, 1);
    ck_assert_int_eq(lp_renormalize(NULL, 0, NULL, NULL), LP_ERR_EMPTY);
    ck_assert_int_eq(lp_renormalize(NULL, 1, NULL, &mass), LP_ERR_ARG);
    const struct {
        float x[3];
        lp_status status;
        double log_kept, kept, tail;
    } rows[] = {
        {{none, none, none}, LP_ERR_EMPTY, -INFINITY, 0, 1}, {{-1, payload, -2}, LP_ERR_NAN, nan, nan, nan},
        {{payload, INFINITY, 5}, LP_ERR_NAN, nan, nan, nan}, {{INFINITY, payload, 5}, LP_ERR_NAN, nan, nan, nan},
        {{5, INFINITY, none}, LP_ERR_INF, nan, nan, nan},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        float out[3];
        memset(&mass, FILL, sizeof mass);
        expect_status(&at, lp_renormalize(rows[i].x, 3, out, &mass), rows[i].status);
        expect_mass(&mass, rows[i].log_kept, rows[i].kept, rows[i].tail);
        for (size_t j = 0; j < 3; j++) {
            expect_bits(&at, j, out[j], float_from_bits(NAN_BITS), "out");
        }
    }
    const float certain[3] = {-0.0F, none, none};
    float out[3];
    expect_status(&at, lp_renormalize(certain, 3, out, &mass), LP_OK);
    expect_mass(&mass, 0, 1, 0);
    expect_bits(&at, 0, out[0], 0, "certain");
    expect_bits(&at, 1, out[1], none, "without mass");
}
END_TEST

/* ---- lp_exp ------------------------------------------------------------------------------------------------------ */
START_TEST(exp_accuracy)
{
    static float x[1 << 16], out[1 << 16];
    worst w = {0};
    const uint32_t step = test_quick() ? 600011 : 1009;
    size_t n = 0;
    for (uint32_t bits = 0x80000000U; bits < 0xc2d20000U || n > 0; bits += step) { /* -0 .. -105 */
        if (n < COUNT(x) && bits < 0xc2d20000U) {
            x[n++] = float_from_bits(bits);
            continue;
        }
        const place at = {"lp_exp", "every so many floats", n, 0};
        expect_status(&at, lp_exp(x, n, out), LP_OK);
        for (size_t i = 0; i < n; i++) {
            const long double want = expl((long double)x[i]);
            note(&w, &at, i, (long double)out[i], want, (long double)ulp_of((double)want), 0.5 + 0x1p-27);
            ck_assert(out[i] >= 0 && out[i] <= 1);
        }
        n = 0;
    }
    worst_print(&w, "", "ulp");
}
END_TEST

START_TEST(exp_edges)
{
    const float x[] = {0, -0.0F, -INFINITY, -1e30F, 1e-3F, 88.72F, 88.73F, 3e38F};
    const float want[] = {1, 1, 0, 0, 0x1.00419p0F, 0x1.ff4a96p127F, INFINITY, INFINITY};
    float out[COUNT(x)];
    const place at = {"lp_exp", "edges", COUNT(x), 0};
    expect_status(&at, lp_exp(x, COUNT(x), out), LP_OK);
    for (size_t i = 0; i < COUNT(x); i++) {
        expect_bits(&at, i, out[i], i == 4 || i == 5 ? (float)expl((long double)x[i]) : want[i], "exp");
    }
    float bad[] = {-1, INFINITY, float_from_bits(0xff800001U), -2};
    expect_status(&at, lp_exp(bad, 4, bad), LP_ERR_INF);
    expect_bits(&at, 0, bad[0], (float)expl(-1), "exp");
    expect_bits(&at, 1, bad[1], float_from_bits(NAN_BITS), "of +inf");
    expect_bits(&at, 2, bad[2], float_from_bits(NAN_BITS), "of NaN");
    expect_bits(&at, 3, bad[3], (float)expl(-2), "exp");
    expect_status(&at, lp_exp(bad + 1, 2, out), LP_ERR_NAN);
    expect_status(&at, lp_exp(NULL, 0, NULL), LP_OK);
    expect_status(&at, lp_exp(NULL, 1, out), LP_ERR_ARG);
    expect_status(&at, lp_exp(x, 1, NULL), LP_ERR_ARG);
}
END_TEST

/* ---- lp_label_logprob -------------------------------------------------------------------------------------------- */

/* every label against lp_renormalize over its entries alone */
static void expect_labels(const place *at, const float *x, const int32_t *label, size_t n, size_t labels,
                          const float *out)
{
    static float part[MAX_SET];
    for (size_t l = 0; l < labels; l++) {
        size_t m = 0;
        for (size_t i = 0; i < n; i++) {
            if (label[i] == (int32_t)l) {
                part[m++] = x[i];
            }
        }
        lp_mass mass;
        lp_renormalize(part, m, NULL, &mass);
        expect_bits(at, l, out[l], (float)mass.log_kept, "label");
    }
}

static void check_labels(const place *where, const float *x, size_t n, rng *r)
{
    static float y[MAX_SET], out[100], again[100];
    static int32_t label[MAX_SET];
    place at = *where;
    at.function = "lp_label_logprob";
    const size_t labels = 1 + rng_below(r, 100);
    for (size_t i = 0; i < n; i++) {
        y[i] = x[i];
        label[i] = (int32_t)rng_below(r, (uint32_t)labels + 1) - 1;
    }
    expect_status(&at, lp_label_logprob(y, label, n, labels, out), LP_OK);
    expect_labels(&at, y, label, n, labels, out);
    shuffle(y, label, n, r);
    expect_status(&at, lp_label_logprob(y, label, n, labels, again), LP_OK);
    ck_assert_mem_eq(out, again, labels * sizeof *out);
}

START_TEST(labels_of_sets)
{
    each_set(check_labels, 100);
}
END_TEST

static worst worst_label;

static void check_one_label(const place *where, const float *x, size_t n, rng *r)
{
    (void)r;
    static const int32_t zero[MAX_SET];
    place at = *where;
    at.function = "lp_label_logprob";
    float out;
    expect_status(&at, lp_label_logprob(x, zero, n, 1, &out), LP_OK);
    const long double want = exact_of(x, n).log_kept;
    const long double slack = (1e-15L + REFERENCE_ERROR) * (1 + fabsl(want) + logl((long double)n));
    const double error = (double)((fabsl((long double)out - want) - slack) / (long double)ulp_of((double)want));
    worst_note(&worst_label, &at, 0, error, (double)out, (double)want);
    if (!(error <= 0.5)) {
        fail_at(&at, 0, (double)out, (double)want, "error beyond the published bound");
    }
}

START_TEST(label_accuracy)
{
    each_set(check_one_label, 1000);
    worst_print(&worst_label, "less 1e-15 (1 + |out| + ln n)", "ulp");
}
END_TEST

START_TEST(label_edges)
{
    const place at = {"lp_label_logprob", "edges", 5, 0};
    const float nan = float_from_bits(NAN_BITS);
    const float x[] = {-1, nan, -INFINITY, -2, INFINITY};
    float out[40];
    const int32_t skip_bad[] = {2, -1, 1, 2, -7};
    expect_status(&at, lp_label_logprob(x, skip_bad, 5, 4, out), LP_OK);
    expect_bits(&at, 0, out[0], -INFINITY, "absent");
    expect_bits(&at, 1, out[1], -INFINITY, "only -inf");
    expect_bits(&at, 2, out[2], (float)logl(expl(-1) + expl(-2)), "pooled");
    expect_bits(&at, 3, out[3], -INFINITY, "absent");

    const int32_t both_bad[] = {0, 35, 36, 37, 1};
    expect_status(&at, lp_label_logprob(x, both_bad, 5, 40, out), LP_ERR_INF); /* the lowest bad label's */
    expect_bits(&at, 0, out[0], -1, "single");
    expect_bits(&at, 1, out[1], nan, "+inf");
    expect_bits(&at, 35, out[35], nan, "NaN");
    expect_bits(&at, 37, out[37], -2, "single");
    const int32_t together[] = {0, 0, 0, 0, 0};
    expect_status(&at, lp_label_logprob(x, together, 5, 1, out), LP_ERR_NAN);
    expect_bits(&at, 0, out[0], nan, "NaN and +inf");

    expect_status(&at, lp_label_logprob(NULL, NULL, 0, 2, out), LP_OK);
    expect_bits(&at, 1, out[1], -INFINITY, "n = 0");
    expect_status(&at, lp_label_logprob(NULL, NULL, 0, 0, NULL), LP_OK);
    expect_status(&at, lp_label_logprob(NULL, together, 1, 1, out), LP_ERR_ARG);
    expect_status(&at, lp_label_logprob(x, NULL, 1, 1, out), LP_ERR_ARG);
    expect_status(&at, lp_label_logprob(x, together, 1, 1, NULL), LP_ERR_ARG);
    expect_status(&at, lp_label_logprob(x, together, 1, 0, out), LP_ERR_ARG); /* label 0 of none */
    const int32_t off = INT32_MIN;
    expect_status(&at, lp_label_logprob(x, &off, 1, 0, NULL), LP_OK);
}
END_TEST

/* faults are found before the first label is written, in the last group too */
START_TEST(label_faults)
{
    const place at = {"lp_label_logprob", "faults", 3, 0};
    for (size_t labels = 1; labels <= 100; labels++) {
        float out[100];
        unsigned char untouched[sizeof out];
        memset(out, FILL, sizeof out);
        memset(untouched, FILL, sizeof untouched);
        const float twice[] = {-1, -0.1F, -0.2F};
        const int32_t last = (int32_t)labels - 1, over[] = {0, last, last}, beyond[] = {0, last + 1, last};
        expect_status(&at, lp_label_logprob(twice, over, 3, labels, out), LP_ERR_ARG);
        expect_status(&at, lp_label_logprob(twice, beyond, 3, labels, out), LP_ERR_ARG);
        ck_assert_mem_eq(out, untouched, sizeof out);
        const float rounded[] = {-2, -0.6931F, -0.6931F};
        expect_status(&at, lp_label_logprob(rounded, (int32_t[]){-1, last, last}, 3, labels, out), LP_OK);
        expect_bits(&at, labels - 1, out[labels - 1], 0, "clamped");
        ck_assert(labels == 100 || memcmp(&out[labels], untouched, sizeof *out) == 0);
    }
}
END_TEST

/* ---- what answer extraction from chat responses needs ------------------------------------------------------------
 * The options of LM Deluge's extract_prob: the sampled token alone or the top logprobs, normalised over them or not, the
 * complement of what was found instead (yes/no questions), at any position. */
enum { TOP = 4 };
typedef struct position {
    const char *token[TOP]; /* token[0] was sampled, and is in the list */
    float logprob[TOP];
} position;
typedef struct options {
    bool use_top, normalize, complement;
} options;

static bool is_spelling(const char *token, const char *const *spellings)
{
    for (; *spellings; spellings++) {
        if (strcmp(token, *spellings) == 0) {
            return true;
        }
    }
    return false;
}

static double extract(const position *at, const char *const *spellings, options o)
{
    float set[TOP], pool;
    int32_t label[TOP];
    const size_t n = o.use_top ? TOP : 1;
    memcpy(set, at->logprob, sizeof set);
    if (o.use_top && o.normalize) {
        ck_assert_int_eq(lp_renormalize(set, n, set, NULL), LP_OK);
    }
    for (size_t i = 0; i < n; i++) {
        label[i] = is_spelling(at->token[i], spellings) ? 0 : -1;
    }
    ck_assert_int_eq(lp_label_logprob(set, label, n, 1, &pool), LP_OK);
    lp_mass found, sampled;
    lp_renormalize(&pool, 1, NULL, &found);
    lp_renormalize(at->logprob, 1, NULL, &sampled);
    if (pool > -INFINITY || !o.complement || (o.use_top && o.normalize)) {
        return found.kept;
    }
    return o.use_top ? found.tail : sampled.tail;
}

/* the same, written out in double */
static double extract_plainly(const position *at, const char *const *spellings, options o)
{
    if (!o.use_top) {
        const double p = exp((double)at->logprob[0]);
        return is_spelling(at->token[0], spellings) ? p : o.complement ? 1 - p : 0;
    }
    double all = 0, found = 0;
    for (size_t i = 0; i < TOP; i++) {
        all += exp((double)at->logprob[i]);
        found += is_spelling(at->token[i], spellings) ? exp((double)at->logprob[i]) : 0;
    }
    return o.normalize ? found / all : found > 0 || !o.complement ? found : 1 - found;
}

START_TEST(extract_prob)
{
    const position response[] = {
        {{"Answer", "The", "It", "I"}, {-0.1F, -2.5F, -5, -7}},
        {{"Yes", "No", " yes", "maybe"}, {-0.5F, -1.5F, -3, -4}},
        {{"No", " no", "NO", "nope"}, {-1e-9F, -30, -31, -32}},
    };
    static const char *const yes[] = {"Yes", " yes", "YES", NULL}, *const no[] = {"No", " no", "NO", NULL};
    for (int i = 0; i < 3 * 2 * 8; i++) {
        const position *at = &response[i / 16];
        const char *const *answer = i & 1 ? yes : no;
        const options o = {i & 2, i & 4, i & 8};
        ck_assert_double_eq_tol(extract(at, answer, o), extract_plainly(at, answer, o), 2e-7);
    }
    /* the complement keeps its digits, where 1 - expf(-1e-9f) is 0 */
    ck_assert_double_eq_tol(extract(&response[2], yes, (options){.complement = true}) / 1e-9, 1, 1e-7);

    /* all positions at once: labels numbered by position, then over each position's labels */
    float flat[12], pool[6];
    int32_t label[12];
    for (int i = 0; i < 12; i++) {
        const char *token = response[i / 4].token[i % 4];
        flat[i] = response[i / 4].logprob[i % 4];
        label[i] = -1;
        for (int s = 0; s < 3; s++) {
            label[i] = strcmp(token, yes[s]) == 0 ? i / 4 * 2 : strcmp(token, no[s]) == 0 ? i / 4 * 2 + 1 : label[i];
        }
    }
    ck_assert_int_eq(lp_label_logprob(flat, label, 12, 6, pool), LP_OK);
    ck_assert(pool[0] == -INFINITY && pool[1] == -INFINITY && pool[4] == -INFINITY);
    const double pooled = exp(-0.5) + exp(-3), tiny = 2e-7;
    ck_assert_double_eq_tol(exp((double)pool[2]), pooled, tiny);
    float binary[2];
    ck_assert_int_eq(lp_renormalize(&pool[2], 2, binary, NULL), LP_OK);
    ck_assert_double_eq_tol(exp((double)binary[0]), pooled / (pooled + exp(-1.5)), tiny);
}
END_TEST

/* ---- the same bits everywhere ------------------------------------------------------------------------------------ */
static uint64_t digest_of_everything(void)
{
    uint64_t hash = HASH_START;
    rng r = rng_seeded(7);
    for (int t = 0; t < 2000; t++) {
        float x[20], out[20], prob[20], pool[3];
        int32_t label[20];
        double bound[2] = {0, 0};
        lp_mass mass;
        for (size_t i = 0; i < 20; i++) { /* sums below 20 e^-3 < 1, or a peak and 19 e^-21 < 2^-25 */
            x[i] = -3 - (float)rng_below(&r, 1 << 20) * 0x1p-16F;
            x[i] = t % 2 ? (i == 0 ? -0x1p-47F * (float)(1 + rng_below(&r, 1 << 20)) : x[i] - 18) : x[i];
            label[i] = (int32_t)rng_below(&r, 4) - 1;
        }
        ck_assert_int_eq(lp_renormalize(x, 20, out, &mass), LP_OK);
        ck_assert_int_eq(lp_label_logprob(x, label, 20, 3, pool), LP_OK);
        ck_assert_int_eq(lp_exp(x, 20, prob), LP_OK);
        const lp_status status = lp_partial_entropy(x, 20, 2000000000, &bound[0], &bound[1]);
        ck_assert(status == LP_OK || status == LP_ERR_ARG); /* a tail too large for its cap */
        hash = hash_values(hash, out, COUNT(out), sizeof *out);
        hash = hash_values(hash, (const double[]){mass.log_kept, mass.kept, mass.tail}, 3, sizeof(double));
        hash = hash_values(hash, mass.reserved, COUNT(mass.reserved), sizeof *mass.reserved);
        hash = hash_values(hash, pool, COUNT(pool), sizeof *pool);
        hash = hash_values(hash, prob, COUNT(prob), sizeof *prob);
        hash = hash_values(hash, bound, COUNT(bound), sizeof *bound);
    }
    return hash;
}

START_TEST(same_bits_everywhere)
{
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (size_t i = 0; i < COUNT(modes); i++) {
        ck_assert_int_eq(fesetround(modes[i]), 0);
        feclearexcept(FE_ALL_EXCEPT);
        float x = -1;
        (void)lp_exp(&x, 1, &x);
        const int raised = fetestexcept(FE_ALL_EXCEPT);
        const int mode = fegetround();
        fesetround(FE_TONEAREST);
        ck_assert_int_eq(mode, modes[i]);
        ck_assert_int_eq(raised, 0);
        expect_bits(&(place){"lp_exp", "rounding mode", 1, i}, 0, x, (float)expl(-1), "exp");
    }
    const uint64_t digest = digest_of_everything();
    fesetround(FE_UPWARD);
    const uint64_t upward = digest_of_everything();
    fesetround(FE_TONEAREST);
    printf("digest 0x%016llx\n", (unsigned long long)digest);
    ck_assert_uint_eq(upward, digest);
    ck_assert_uint_eq(digest, UINT64_C(11158390590206245331)); /* changes only with LP_NUMERICS */
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *renormalize = add_case(suite, "renormalize");
    tcase_add_test(renormalize, accuracy);
    tcase_add_test(renormalize, tail_of_nearly_everything);
    tcase_add_test(renormalize, order_and_place);
    tcase_add_test(renormalize, excess);
    tcase_add_test(renormalize, edges);
    TCase *exponential = add_case(suite, "exp");
    tcase_add_test(exponential, exp_accuracy);
    tcase_add_test(exponential, exp_edges);
    TCase *label = add_case(suite, "label");
    tcase_add_test(label, labels_of_sets);
    tcase_add_test(label, label_accuracy);
    tcase_add_test(label, label_edges);
    tcase_add_test(label, label_faults);
    tcase_add_test(label, extract_prob);
    TCase *bits = add_case(suite, "bits");
    tcase_add_test(bits, same_bits_everywhere);
}

int main(void)
{
    return suite_main("partial", add_cases);
}
