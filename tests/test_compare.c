/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lp_compare on scalar against the definitions in long double, within the bounds that the header publishes; the same bits on
 * every ISA, whatever else is wanted, and as the functions of one row give them. */
#include "forms.h"
#include "rows.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The published bounds. Beyond 2^23 nats doubles themselves are coarser. */
static const double KL_ABSOLUTE = 3e-7, CROSS_ABSOLUTE = 1e-5, DIFF_ABSOLUTE = 1e-6, DOUBLE_RELATIVE = 4e-15;

typedef struct figures {
    double kl, reverse_kl, cross_entropy;
    float max_abs_diff, p_token_logprob, q_token_logprob;
    int32_t p_top, q_top;
    lp_status status, returned;
} figures;

/* ---- the definitions --------------------------------------------------------------------------------------------- */
typedef struct truth {
    long double kl, reverse_kl, cross_entropy, max_abs_diff;
} truth;

static float max_of(const float *x, size_t n)
{
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        max = x[i] > max ? x[i] : max;
    }
    return max;
}

/* a row's largest logit, its elements' e^(x - max), and their sum: each exponential once */
typedef struct masses {
    float max;
    long double sum, *each;
} masses;

static masses masses_of(const float *x, size_t n)
{
    masses m = {.max = max_of(x, n), .each = malloc(n * sizeof *m.each)};
    ck_assert_ptr_nonnull(m.each);
    for (size_t i = 0; i < n; i++) {
        m.each[i] = expl((long double)x[i] - (long double)m.max);
        m.sum += m.each[i];
    }
    return m;
}

/* sum of p ln(p / q) and of p ln q over one element: nothing where the logit is -inf, infinite where only the other's is */
static long double term(const masses *m, size_t i, long double logprob, long double factor)
{
    return isinf(logprob) ? 0 : isinf(factor) ? INFINITY : m->each[i] / m->sum * factor;
}

static truth truth_of(const float *a, const float *b, size_t n)
{
    truth t = {0};
    const masses of_a = masses_of(a, n), of_b = masses_of(b, n);
    const float a_max = of_a.max, b_max = of_b.max;
    const long double a_norm = logl(of_a.sum), b_norm = logl(of_b.sum);
    for (size_t i = 0; i < n; i++) {
        if (isinf(a[i]) && isinf(b[i])) {
            continue;
        }
        const long double p = ((long double)a[i] - (long double)a_max) - a_norm;
        const long double q = ((long double)b[i] - (long double)b_max) - b_norm;
        const long double shift = (long double)a_max - (long double)b_max,
                          alike = (long double)a[i] - (long double)b[i];
        const long double d = fabsl(shift) < 0x1p20L ? (alike - shift) - (a_norm - b_norm) : p - q;
        t.kl += term(&of_a, i, p, d);
        t.reverse_kl += term(&of_b, i, q, -d);
        t.cross_entropy += term(&of_a, i, p, -q);
        t.max_abs_diff = fmaxl(t.max_abs_diff, fabsl(d));
    }
    free(of_a.each);
    free(of_b.each);
    return t;
}

/* ---- one pair of rows -------------------------------------------------------------------------------------------- */
static figures compared(const lp_logits *p, const lp_logits *q, int32_t token)
{
    figures f;
    memset(&f, 0x5a, sizeof f);
    const lp_divergence out = {.kl = &f.kl,
                               .reverse_kl = &f.reverse_kl,
                               .cross_entropy = &f.cross_entropy,
                               .max_abs_diff = &f.max_abs_diff,
                               .p_token_logprob = &f.p_token_logprob,
                               .q_token_logprob = &f.q_token_logprob,
                               .p_top = &f.p_top,
                               .q_top = &f.q_top,
                               .status = &f.status};
    f.returned = lp_compare(p, q, &token, &out);
    return f;
}

static bool same_figures(const figures *a, const figures *b)
{
    return memcmp(&a->kl, &b->kl, 3 * sizeof(double)) == 0 && memcmp(&a->max_abs_diff, &b->max_abs_diff, 3 * 4) == 0 &&
           a->p_top == b->p_top && a->q_top == b->q_top && a->status == b->status && a->returned == b->returned;
}

static void expect_same(const place *at, const figures *got, const figures *want, const char *what)
{
    if (!same_figures(got, want)) {
        fail_at(at, 0, got->kl, want->kl, what);
    }
}

typedef struct errors {
    worst kl, reverse_kl, cross_entropy, max_abs_diff;
} errors;

static void check_value(const place *at, worst *w, size_t index, double got, long double want, double bound,
                        const char *what)
{
    if (isinf(want) || isinf(got)) {
        if (got != (double)want) {
            fail_at(at, index, got, (double)want, what);
        }
        return;
    }
    const double error = fabs((double)((long double)got - want));
    const double slack = (DOUBLE_RELATIVE + REFERENCE_ERROR) * fabs((double)want);
    worst_note(w, at, index, error - slack, got, (double)want);
    if (!(error <= bound + slack) || signbit(got)) {
        fail_at(at, index, got, (double)want, what);
    }
}

static void check_truth(const place *at, const float *a, const float *b, size_t n, const figures *f, errors *e)
{
    const truth t = truth_of(a, b, n);
    check_value(at, &e->kl, 0, f->kl, t.kl, KL_ABSOLUTE, "kl");
    check_value(at, &e->reverse_kl, 0, f->reverse_kl, t.reverse_kl, KL_ABSOLUTE, "reverse_kl");
    check_value(at, &e->cross_entropy, 0, f->cross_entropy, t.cross_entropy, CROSS_ABSOLUTE, "cross_entropy");
    const double largest = t.max_abs_diff > (long double)FLT_MAX ? (double)INFINITY : (double)t.max_abs_diff;
    check_value(at, &e->max_abs_diff, 0, (double)f->max_abs_diff, (long double)largest,
                isinf(largest) ? 0 : 1.5 * ulp_of(largest) + DIFF_ABSOLUTE, "max_abs_diff");
}

/* both tops and both logprobs are those of lp_topk and lp_gather */
static void check_alike(const place *at, const lp_logits *p, const lp_logits *q, int32_t token, const figures *f)
{
    float logprob, top_logprob;
    int32_t top;
    expect_status(at, lp_gather(p, &token, 1, &logprob), LP_OK);
    expect_bits(at, (size_t)token, f->p_token_logprob, logprob, "p_token_logprob against lp_gather");
    expect_status(at, lp_gather(q, &token, 1, &logprob), LP_OK);
    expect_bits(at, (size_t)token, f->q_token_logprob, logprob, "q_token_logprob against lp_gather");
    expect_status(at, lp_topk(p, 1, &top_logprob, &top), LP_OK);
    expect_int(at, 0, f->p_top, top, "p_top against lp_topk");
    expect_status(at, lp_topk(q, 1, &top_logprob, &top), LP_OK);
    expect_int(at, 0, f->q_top, top, "q_top against lp_topk");
}

/* each result alone has the bits that it has beside all others */
static void check_alone(const place *at, const lp_logits *p, const lp_logits *q, const figures *all)
{
    const char *const what = "depends on what else is wanted";
    figures f = *all;
    lp_compare(p, q, NULL, &(lp_divergence){.kl = &f.kl});
    lp_compare(p, q, NULL, &(lp_divergence){.reverse_kl = &f.reverse_kl});
    lp_compare(p, q, NULL, &(lp_divergence){.cross_entropy = &f.cross_entropy});
    lp_compare(p, q, NULL, &(lp_divergence){.max_abs_diff = &f.max_abs_diff});
    expect_same(at, &f, all, what);
    lp_compare(p, q, NULL, &(lp_divergence){.kl = &f.kl, .reverse_kl = &f.reverse_kl});
    expect_same(at, &f, all, what);
}

/* Scalar's results are held to the definitions, whose exponentials are most of what this takes; every other ISA's to scalar's bits. */
static void check_pair(const char *values, const float *a, const float *b, size_t n, rng *r, errors *e)
{
    const size_t offset = rng_below(r, 16);
    const place at = {"lp_compare", values, n, offset};
    const layout where = {.offset = 4 * offset, .side = rng_below(r, 2) ? AT_END : AT_START};
    matrix p = matrix_new(&forms[0], a, 1, n, where, 0),
           q = matrix_new(&forms[0], b, 1, n, (layout){.side = AT_END}, 0);
    const int32_t token = (int32_t)rng_below(r, (uint32_t)n);
    const lp_isa isa = lp_isa_active();
    const figures f = compared(&p.in, &q.in, token);
    expect_status(&at, f.returned, LP_OK);
    check_alike(&at, &p.in, &q.in, token, &f);
    check_alone(&at, &p.in, &q.in, &f);
    if (isa == LP_ISA_SCALAR) {
        check_truth(&at, a, b, n, &f, e);
    } else {
        ck_assert_int_eq(lp_isa_select(LP_ISA_SCALAR), LP_OK);
        const figures scalar = compared(&p.in, &q.in, token);
        ck_assert_int_eq(lp_isa_select(isa), LP_OK);
        expect_same(&at, &f, &scalar, "other bits than scalar's");
    }
    const figures equal = compared(&p.in, &p.in, token);
    if (equal.kl != 0 || equal.reverse_kl != 0 || equal.max_abs_diff != 0) {
        fail_at(&at, 0, equal.kl, 0, "equal rows");
    }
    matrix_free(&p);
    matrix_free(&q);
}

/* ---- partners of a row ------------------------------------------------------------------------------------------- */
typedef struct partner {
    const char *name;
    void (*make)(float *b, const float *a, size_t n, rng *r);
} partner;

static void add_noise(float *b, const float *a, size_t n, rng *r, float scale, float shift)
{
    for (size_t i = 0; i < n; i++) {
        const float x = a[i] + rng_bell(r) * scale + shift;
        b[i] = isinf(x) ? a[i] : x;
    }
}
static void nearly(float *b, const float *a, size_t n, rng *r)
{
    add_noise(b, a, n, r, 0x1p-10f, 0);
}
static void close_by(float *b, const float *a, size_t n, rng *r)
{
    add_noise(b, a, n, r, 0.25f, 0.1f);
}
static void far(float *b, const float *a, size_t n, rng *r)
{
    add_noise(b, a, n, r, 2, -0.7f);
}
static void shifted(float *b, const float *a, size_t n, rng *r)
{
    add_noise(b, a, n, r, 0.125f, 1000);
}
/* as another model's logits lie: anywhere */
static void elsewhere(float *b, const float *a, size_t n, rng *r)
{
    add_noise(b, a, n, r, 0.25f, rng_unit(r) * 80 - 40);
}
static void flatter(float *b, const float *a, size_t n, rng *r)
{
    const float factor = 0.5f + rng_unit(r);
    for (size_t i = 0; i < n; i++) {
        const float x = a[i] * factor;
        b[i] = isinf(x) ? a[i] : x;
    }
}
static void as_bf16(float *b, const float *a, size_t n, rng *r)
{
    (void)r;
    for (size_t i = 0; i < n; i++) {
        b[i] = float_from_bits(float_bits(a[i]) & 0xffff0000U);
    }
}
static void unrelated(float *b, const float *a, size_t n, rng *r)
{
    (void)a;
    row_class_named("normal")->fill(b, n, r);
}
static void turned(float *b, const float *a, size_t n, rng *r)
{
    const size_t by = rng_below(r, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        b[i] = a[(i + by) % n];
    }
}
static void masked(float *b, const float *a, size_t n, rng *r)
{
    const float max = max_of(a, n);
    for (size_t i = 0; i < n; i++) {
        b[i] = rng_below(r, 3) || a[i] == max ? a[i] : -INFINITY;
    }
}
static void other_top(float *b, const float *a, size_t n, rng *r)
{
    add_noise(b, a, n, r, 0.25f, 0);
    const float top = max_of(a, n) + 3;
    b[rng_below(r, (uint32_t)n)] = isinf(top) ? FLT_MAX : top;
}
static const partner partners[] = {
    {"nearly", nearly},       {"close", close_by},      {"far", far},
    {"shifted", shifted},     {"flatter", flatter},     {"bf16", as_bf16},
    {"unrelated", unrelated}, {"turned", turned},       {"masked", masked},
    {"other top", other_top}, {"elsewhere", elsewhere},
};

static void check_shape(const row_class *c, size_t n, size_t step, errors *e)
{
    float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
    for (size_t k = rng_below(&(rng){{n, 1, 2, 3}}, (uint32_t)step); k < COUNT(partners); k += step) {
        static char names[40][COUNT(partners)][40];
        char *name = names[c - row_classes][k];
        rng r = rng_for(c->name, n, k);
        c->fill(a, n, &r);
        partners[k].make(b, a, n, &r);
        snprintf(name, sizeof names[0][0], "%s, %s", c->name, partners[k].name);
        check_pair(name, a, b, n, &r, e);
        check_pair(name, b, a, n, &r, e);
    }
    free(a);
    free(b);
}

static void print_errors(const errors *e)
{
    if (lp_isa_active() != LP_ISA_SCALAR) {
        return; /* no truth was asked */
    }
    worst_print(&e->kl, "kl", "absolute");
    worst_print(&e->reverse_kl, "reverse_kl", "absolute");
    worst_print(&e->cross_entropy, "cross_entropy", "absolute");
    worst_print(&e->max_abs_diff, "max_abs_diff", "absolute");
}

START_TEST(small_rows)
{
    errors e = {0};
    for (size_t c = 0; c < row_class_finite; c += test_smallest() ? 4 : 1) {
        for (size_t i = 0; i < small_shape_count; i += test_step(9)) {
            check_shape(&row_classes[c], small_shapes[i], test_quick() ? 3 : 1, &e);
        }
    }
    print_errors(&e);
}
END_TEST

START_TEST(rows_of_blocks)
{
    errors e = {0};
    for (size_t c = 0; c < row_class_finite; c += test_smallest() ? 4 : 1) {
        for (size_t i = 0; i < block_shape_count; i += test_step(9)) {
            check_shape(&row_classes[c], block_shapes[i], test_quick() ? 7 : 3, &e);
        }
    }
    print_errors(&e);
}
END_TEST

START_TEST(vocabularies)
{
    static const char *const names[] = {"normal", "one_above", "uniform_100", "peak_bell", "zipf", "ties_coarse"};
    errors e = {0};
    for (size_t i = 0; i < COUNT(names) && !(test_quick() && i > 0); i++) {
        for (size_t v = 0; v < (test_quick() ? 1 : 2); v++) {
            check_shape(row_class_named(names[i]), vocab_shapes[v], test_quick() ? 7 : 3, &e);
        }
    }
    print_errors(&e);
}
END_TEST

/* p nearly 1, of either model, at the same place or another */
START_TEST(peaks)
{
    errors e = {0};
    const size_t sizes[] = {2, 40, 256, 700, LP_BLOCK + 5, 3 * LP_BLOCK};
    rng r = rng_for("peaks", 0, 0);
    static float a[3 * LP_BLOCK], b[3 * LP_BLOCK];
    for (size_t i = 0; i < COUNT(sizes) - (test_quick() ? 3 : 0); i++) {
        for (int k = 0; k < 60; k++) {
            const size_t n = sizes[i], top = rng_below(&r, (uint32_t)n);
            for (size_t j = 0; j < n; j++) {
                a[j] = rng_bell(&r);
                b[j] = a[j] + rng_bell(&r) * (k % 3 ? 0.01f : 1.0f);
            }
            a[top] = (float)k * 0.7f;
            b[k % 4 ? top : (top + 1) % n] = (float)k * 0.7f + rng_bell(&r) * 0.3f;
            check_pair("peak", a, b, n, &r, &e);
        }
    }
    print_errors(&e);
}
END_TEST

/* where e^x as the kernels have it is too small or too large by 8e-8, in turn, in each unit interval */
static const float worst_exponents[] = {
    -0x1.65aa28p+2f, -0x1.64e9d4p+2f, -0x1.0cf14p+2f, -0x1.388d4ep+2f, -0x1.c12974p+1f, -0x1.bf9fb2p+1f,
    -0x1.686ffp+1f,  -0x1.66e6a6p+1f, -0x1.6dfc1p+0f, -0x1.6abff8p+0f, -0x1.7913fp-1f,  -0x1.72ee08p-1f,
    0x1.4cb35p-1f,   0x1.536f8cp-1f,  0x1.57cbcp+0f,  0x1.5adf44p+0f,  0x1.049f34p+1f,  0x1.5ee1bap+1f,
    0x1.b61104p+1f,  0x1.b79ac6p+1f,  0x1.076508p+2f, 0x1.348206p+2f,  0x1.601e38p+2f,  0x1.60de8cp+2f};

/* two or three pairs of such values, in runs or mixed, each as often as it happens */
static void draw_worst(float *a, float *b, size_t n, rng *r)
{
    const size_t values = 2 + rng_below(r, 2), runs = rng_below(r, 2);
    float x[3], y[3], often[3], all = 0;
    for (size_t i = 0; i < values; i++) {
        const uint32_t at = rng_below(r, COUNT(worst_exponents)), step = rng_below(r, 5);
        x[i] = worst_exponents[at];
        y[i] = worst_exponents[at >= step ? at - step : at + step];
        often[i] = expf(rng_unit(r) * -8);
        all += often[i];
    }
    for (size_t i = 0; i < n; i++) {
        float left = (runs ? ((float)i + 0.5f) / (float)n : rng_unit(r)) * all;
        size_t k = 0;
        while (k < values - 1 && left > often[k]) {
            left -= often[k++];
        }
        a[i] = x[k];
        b[i] = y[k];
    }
}

/* Rows of few different logits: the errors of as few exponentials, which each row's elements have in common and do not cancel. `heavy`
 * of the elements have them, or all; a common one comes from the same place in both rows, or each row draws its own. */
enum { FEW_VALUES = 6 };
static void draw_few(float *a, float *b, size_t n, size_t heavy, rng *r)
{
    const float spread = expf(rng_unit(r) * 3 - 2), apart = expf(rng_unit(r) * 5 - 4), low = -4 - rng_unit(r) * 20;
    const size_t values = 1 + rng_below(r, FEW_VALUES);
    const int common = rng_below(r, 2) != 0;
    const int apart_too = rng_below(r, 2) != 0;
    const float a_offset = apart_too ? rng_unit(r) * 140 - 70 : 0, b_offset = apart_too ? rng_unit(r) * 140 - 70 : 0;
    float x[FEW_VALUES], y[FEW_VALUES];
    for (size_t i = 0; i < values; i++) {
        x[i] = rng_bell(r) * spread;
        y[i] = x[i] + rng_bell(r) * apart;
    }
    for (size_t i = 0; i < n; i++) {
        a[i] = low + rng_bell(r);
        b[i] = a[i] + rng_bell(r) * apart;
    }
    for (size_t i = 0; i < (heavy != 0 ? heavy : n); i++) {
        const size_t at = heavy != 0 ? rng_below(r, (uint32_t)n) : i, k = rng_below(r, (uint32_t)values);
        a[at] = x[k];
        b[at] = y[common ? k : rng_below(r, (uint32_t)values)];
    }
    for (size_t i = 0; i < n; i++) {
        a[i] += a_offset;
        b[i] += b_offset;
    }
}

START_TEST(few_values)
{
    static const size_t sizes[] = {256, 300, 512, 1500, LP_BLOCK, 2 * LP_BLOCK};
    static float a[2 * LP_BLOCK], b[2 * LP_BLOCK];
    errors e = {0};
    rng r = rng_for("few_values", 0, 0);
    for (size_t k = 0; k < (test_quick() ? test_few(500) : 20000); k++) {
        const size_t n = sizes[rng_below(&r, COUNT(sizes))];
        if (k % 2 == 0) {
            draw_worst(a, b, n, &r);
        } else {
            draw_few(a, b, n, k % 3 == 0 ? 2 + rng_below(&r, 40) : 0, &r);
        }
        check_pair("few values", a, b, n, &r, &e);
    }
    print_errors(&e);
}
END_TEST

/* what masks write: -inf, or a number far below any logit, into elements of one row or of both, here and there or from a token on */
static void mask_some(float *a, float *b, size_t n, rng *r)
{
    static const float values[] = {-INFINITY, -INFINITY, -INFINITY, -1e4f, -1e9f, -FLT_MAX};
    static const float rates[] = {0.02f, 0.5f, 0.97f, 1};
    const float value = values[rng_below(r, COUNT(values))], rate = rates[rng_below(r, COUNT(rates))];
    const uint32_t rows = rng_below(r, 4);
    const size_t from = rng_below(r, 3) == 0 ? rng_below(r, (uint32_t)n) : 0;
    const float a_kept = max_of(a, n), b_kept = max_of(b, n);
    for (size_t i = from; i < n; i++) {
        const int both = rng_unit(r) < rate, stray = rng_below(r, 64) == 0;
        a[i] = both && rows != 1 && !(stray && rows == 3) ? value : a[i];
        b[i] = both && rows != 2 ? value : b[i];
    }
    a[0] = max_of(a, n) == -INFINITY ? a_kept : a[0];
    b[n - 1] = max_of(b, n) == -INFINITY ? b_kept : b[n - 1];
}

/* pairs that lie anywhere, near each other or not, with masks or without */
START_TEST(masks_and_levels)
{
    static const size_t sizes[] = {40, 256, 300, 1500, LP_BLOCK, LP_BLOCK + 300, 3 * LP_BLOCK};
    static float a[3 * LP_BLOCK], b[3 * LP_BLOCK];
    errors e = {0};
    rng r = rng_for("masks_and_levels", 0, 0);
    for (size_t k = 0; k < (test_quick() ? test_few(600) : 20000); k++) {
        const size_t n = sizes[rng_below(&r, COUNT(sizes))];
        if (k % 3 == 0) {
            draw_few(a, b, n, rng_below(&r, 2) != 0 ? 2 + rng_below(&r, 40) : 0, &r);
        } else {
            const float spread = expf(rng_unit(&r) * 3 - 2);
            for (size_t i = 0; i < n; i++) {
                a[i] = rng_bell(&r) * spread;
            }
            partners[k % COUNT(partners)].make(b, a, n, &r);
        }
        const float wide = rng_below(&r, 2) != 0 ? 480 : 140, level = (rng_unit(&r) - 0.5f) * wide;
        const float other = rng_below(&r, 2) != 0 ? level + rng_bell(&r) * 3 : (rng_unit(&r) - 0.5f) * wide;
        for (size_t i = 0; i < n; i++) {
            a[i] += level;
            b[i] += other;
        }
        if (k % 5 != 0) {
            mask_some(a, b, n, &r);
        }
        check_pair("masks and levels", a, b, n, &r, &e);
    }
    print_errors(&e);
}
END_TEST

/* Blocks that neither row has mass in, for what stands in them lies far below: just too little for that, or just enough, or by all that
 * a float is; before or after those that have, and different in either row. */
START_TEST(far_blocks)
{
    static const float below[] = {-8, -200, -300, -500, -511, -513, -530, -800, -1e4f, -1e9f, -FLT_MAX, -INFINITY};
    static const float levels[] = {0, 200, 260, -200, -250, -260};
    static float a[4 * LP_BLOCK], b[4 * LP_BLOCK];
    errors e = {0};
    rng r = rng_for("far_blocks", 0, 0);
    for (size_t k = 0; k < (test_quick() ? test_few(60) : 1500); k++) {
        const size_t n = 2 * LP_BLOCK + rng_below(&r, test_quick() ? LP_BLOCK : 2 * LP_BLOCK + 1);
        const uint32_t has_mass = 1 + rng_below(&r, 14); /* a bit for each block: some have, some not */
        const float p_far = below[rng_below(&r, COUNT(below))];
        const float q_far = rng_below(&r, 2) ? p_far : below[rng_below(&r, COUNT(below))];
        const float level = levels[rng_below(&r, COUNT(levels))], spread = rng_unit(&r) * 4;
        const float noise = rng_below(&r, 2) ? 0 : 0.25f;
        for (size_t i = 0; i < n; i++) {
            const float x = rng_bell(&r) * spread + level, y = x + rng_bell(&r) * 0.3f;
            const float u = rng_bell(&r) * noise, v = rng_bell(&r) * noise;
            const int mass = (has_mass >> i / LP_BLOCK & 1) || i == 0;
            a[i] = mass ? x : p_far <= -1e9f ? p_far : level + p_far + u;
            b[i] = mass ? y : q_far <= -1e9f ? q_far : level + q_far + v;
        }
        check_pair("far blocks", a, b, n, &r, &e);
    }
    print_errors(&e);
}
END_TEST

/* Frequent tokens have the lowest ids, so that most of the mass may lie in one block. */
START_TEST(frequent_first)
{
    static float a[8 * LP_BLOCK], b[8 * LP_BLOCK];
    const size_t n = COUNT(a);
    errors e = {0};
    rng r = rng_for("frequent_first", 0, 0);
    for (size_t k = 0; k < (test_quick() ? COUNT(partners) : 12 * COUNT(partners)); k++) {
        const float spread = rng_unit(&r) * 3;
        for (size_t i = 0; i < n; i++) {
            a[i] = rng_bell(&r) * spread - 1.2f * logf((float)i + 10);
        }
        partners[k % COUNT(partners)].make(b, a, n, &r);
        check_pair("frequent first", a, b, n, &r, &e);
    }
    print_errors(&e);
}
END_TEST

/* ---- what the functions of one row do, done to two ------------------------------------------------------------------ */

/* forms that differ between the models give what their plain rows give */
START_TEST(all_forms)
{
    enum { ROWS = 3 };
    const size_t n = LP_BLOCK + 77;
    float *a = malloc(ROWS * n * sizeof *a), *b = malloc(ROWS * n * sizeof *b), *plain = malloc(2 * n * sizeof *plain);
    rng r = rng_for("forms", 0, 0);
    row_class_named("normal")->fill(a, ROWS * n, &r);
    close_by(b, a, ROWS * n, &r);
    for (size_t f = 0; f < form_count; f += test_smallest() ? 3 : 1) {
        for (size_t g = 0; g < form_count; g += test_step(5)) {
            matrix p = matrix_new(&forms[f], a, ROWS, n, (layout){.stride = n + 3, .offset = 2}, 1);
            matrix q = matrix_new(&forms[g], b, ROWS, n, (layout){.offset = 6, .side = AT_END}, 2);
            const place at = {"lp_compare", forms[f].name, n, g};
            for (size_t i = 0; i < ROWS; i++) {
                const lp_logits p_row = matrix_row(&p.in, i), q_row = matrix_row(&q.in, i);
                plain_row(&p.in, i, plain);
                plain_row(&q.in, i, plain + n);
                const lp_logits x = {.data = plain, .rows = 1, .vocab = n},
                                y = {.data = plain + n, .rows = 1, .vocab = n};
                const figures got = compared(&p_row, &q_row, 7), want = compared(&x, &y, 7);
                expect_same(&at, &got, &want, "not as the plain rows");
            }
            matrix_free(&p);
            matrix_free(&q);
        }
    }
    free(a);
    free(b);
    free(plain);
}
END_TEST

/* each output alone, and any batch, has the bits that all together have */
START_TEST(wanted_outputs)
{
    enum { ROWS = 8 };
    static const size_t sizes[] = {1, 33, 300, LP_BLOCK + 300, 3 * LP_BLOCK};
    static float a[ROWS * 3 * LP_BLOCK], b[ROWS * 3 * LP_BLOCK];
    for (size_t s = 0; s < COUNT(sizes); s++) {
        const size_t n = sizes[s];
        rng r = rng_for("wanted", n, 0);
        int32_t token[ROWS];
        figures all[ROWS];
        for (size_t i = 0; i < ROWS; i++) {
            row_classes[rng_below(&r, (uint32_t)row_class_count)].fill(a + i * n, n, &r);
            partners[rng_below(&r, COUNT(partners))].make(b + i * n, a + i * n, n, &r);
            token[i] = (int32_t)rng_below(&r, (uint32_t)n + 2) - 1;
            const lp_logits p = {.data = a + i * n, .rows = 1, .vocab = n},
                            q = {.data = b + i * n, .rows = 1, .vocab = n};
            all[i] = compared(&p, &q, token[i]);
        }
        const lp_logits p = {.data = a, .rows = ROWS, .vocab = n}, q = {.data = b, .rows = ROWS, .vocab = n};
        for (unsigned want = 0; want < 512; want += (1 + rng_below(&r, 9)) * (test_smallest() ? 8 : 1)) {
            double kl[ROWS], reverse[ROWS], cross[ROWS];
            float diff[ROWS], p_logprob[ROWS], q_logprob[ROWS];
            int32_t p_top[ROWS], q_top[ROWS];
            lp_status status[ROWS], first = LP_OK;
            const lp_divergence out = {.kl = want & 1 ? kl : NULL,
                                       .reverse_kl = want & 2 ? reverse : NULL,
                                       .cross_entropy = want & 4 ? cross : NULL,
                                       .max_abs_diff = want & 8 ? diff : NULL,
                                       .p_token_logprob = want & 16 ? p_logprob : NULL,
                                       .q_token_logprob = want & 32 ? q_logprob : NULL,
                                       .p_top = want & 64 ? p_top : NULL,
                                       .q_top = want & 128 ? q_top : NULL,
                                       .status = want & 256 ? status : NULL};
            const lp_status returned = lp_compare(&p, &q, token, &out);
            const place at = {"lp_compare", "some outputs", n, want};
            for (size_t i = 0; i < ROWS; i++) {
                figures f = all[i];
                f.kl = want & 1 ? kl[i] : f.kl;
                f.reverse_kl = want & 2 ? reverse[i] : f.reverse_kl;
                f.cross_entropy = want & 4 ? cross[i] : f.cross_entropy;
                f.max_abs_diff = want & 8 ? diff[i] : f.max_abs_diff;
                f.p_token_logprob = want & 16 ? p_logprob[i] : f.p_token_logprob;
                f.q_token_logprob = want & 32 ? q_logprob[i] : f.q_token_logprob;
                f.p_top = want & 64 ? p_top[i] : f.p_top;
                f.q_top = want & 128 ? q_top[i] : f.q_top;
                f.status = want & 256 ? status[i] : f.status;
                expect_same(&at, &f, &all[i], "depends on what else is wanted");
                first = first == LP_OK ? all[i].returned : first;
            }
            expect_status(&at, returned, first);
        }
    }
}
END_TEST

/* ---- by hand --------------------------------------------------------------------------------------------------------- */
static void expect_bad(const float *a, const float *b, size_t n, int32_t token, lp_status want)
{
    const lp_logits p = {.data = a, .rows = 1, .vocab = n}, q = {.data = b, .rows = 1, .vocab = n};
    const place at = {"lp_compare", "bad row", n, 0};
    const figures f = compared(&p, &q, token);
    expect_status(&at, f.returned, want);
    expect_status(&at, f.status, want);
    ck_assert(isnan(f.kl) && isnan(f.reverse_kl) && isnan(f.cross_entropy));
    const float nan = float_from_bits(NAN_BITS);
    expect_bits(&at, 0, f.max_abs_diff, nan, "max_abs_diff");
    expect_bits(&at, 0, f.p_token_logprob, nan, "p_token_logprob");
    expect_bits(&at, 0, f.q_token_logprob, nan, "q_token_logprob");
    ck_assert(f.p_top == -1 && f.q_top == -1);
}

START_TEST(statuses)
{
    const float inf = INFINITY;
    static const float good[] = {1, 2}, nan[] = {1, NAN}, none[] = {-INFINITY, -INFINITY};
    const float infinite[] = {inf, 0};
    expect_bad(nan, good, 2, 0, LP_ERR_NAN);
    expect_bad(good, nan, 2, 0, LP_ERR_NAN);
    expect_bad(good, infinite, 2, 0, LP_ERR_INF);
    expect_bad(none, good, 2, 0, LP_ERR_EMPTY);
    expect_bad(good, none, 2, 5, LP_ERR_EMPTY);
    expect_bad(infinite, nan, 2, 0, LP_ERR_NAN);
    expect_bad(nan, infinite, 2, 0, LP_ERR_NAN);
    expect_bad(none, infinite, 2, 9, LP_ERR_INF);
    expect_bad(none, nan, 2, 0, LP_ERR_NAN);
    expect_bad(NULL, NULL, 0, 0, LP_ERR_EMPTY);
}
END_TEST

START_TEST(tokens)
{
    static const float a[] = {1, 2}, b[] = {3, 1};
    const lp_logits p = {.data = a, .rows = 1, .vocab = 2}, q = {.data = b, .rows = 1, .vocab = 2};
    const figures good = compared(&p, &q, 1), beyond = compared(&p, &q, 2), absent = compared(&p, &q, -1);
    ck_assert(good.returned == LP_OK && good.p_top == 1 && good.q_top == 0);
    ck_assert(beyond.returned == LP_ERR_TOKEN && beyond.status == LP_ERR_TOKEN && beyond.kl == good.kl);
    ck_assert(isnan(beyond.p_token_logprob) && isnan(beyond.q_token_logprob) && beyond.p_top == 1);
    ck_assert(absent.returned == LP_OK && isnan(absent.p_token_logprob) && absent.kl == good.kl);
    lp_status status = -1;
    ck_assert_int_eq(lp_compare(&p, &q, NULL, &(lp_divergence){.status = &status}), LP_OK);
    ck_assert_int_eq(status, LP_OK);
}
END_TEST

START_TEST(infinities)
{
    const float inf = INFINITY;
    const float all[] = {0, 0, 0}, two[] = {0, 0, -inf}, other[] = {-inf, 0, 0};
    const lp_logits a = {.data = all, .rows = 1, .vocab = 3}, b = {.data = two, .rows = 1, .vocab = 3};
    const lp_logits c = {.data = other, .rows = 1, .vocab = 3};
    figures f = compared(&a, &b, 2);
    ck_assert(f.status == LP_OK && f.kl == INFINITY && f.cross_entropy == INFINITY && f.max_abs_diff == inf);
    ck_assert_double_eq_tol(f.reverse_kl, log(1.5), 1e-15);
    ck_assert(f.q_token_logprob == -inf);
    f = compared(&b, &a, 2);
    ck_assert(f.status == LP_OK && f.reverse_kl == INFINITY && f.max_abs_diff == inf);
    ck_assert_double_eq_tol(f.kl, log(1.5), 1e-15);
    ck_assert_double_eq_tol(f.cross_entropy, log(3), 1e-15);
    f = compared(&b, &c, 0);
    ck_assert(f.kl == INFINITY && f.reverse_kl == INFINITY);
    f = compared(&b, &b, 2); /* -inf against -inf is 0 */
    ck_assert(f.kl == 0 && f.reverse_kl == 0 && f.max_abs_diff == 0);
}
END_TEST

/* Of the second block p has nothing, and q, whose level is 41 nats higher, little: at p's level its e^x are no normal floats. */
START_TEST(stray_elements)
{
    enum { SHARED = 1573, STRAY = 36 };
    static float a[2 * LP_BLOCK], b[2 * LP_BLOCK];
    for (size_t i = 0; i < COUNT(a); i++) {
        a[i] = i < SHARED ? -0x1.8b086p+6f : -INFINITY;
        b[i] = i < SHARED || (i >= LP_BLOCK && i < LP_BLOCK + 32 * STRAY && i % 32 == 0) ? -0x1.ce5ebp+5f : -INFINITY;
    }
    errors e = {0};
    rng r = rng_for("stray_elements", 0, 0);
    check_pair("stray elements", a, b, COUNT(a), &r, &e);
    check_pair("stray elements", b, a, COUNT(a), &r, &e);
    print_errors(&e);
}
END_TEST

START_TEST(arguments)
{
    static const float x[12] = {0};
    const lp_logits good = {.data = x, .rows = 2, .vocab = 3}, none = {.data = x, .rows = 0, .vocab = 3};
    lp_logits wrong = good;
    double kl[2] = {7, 7};
    float logprob[2];
    const int32_t token[2] = {0, 0};
    lp_divergence out = {.kl = kl};
    ck_assert_int_eq(lp_compare(NULL, &good, token, &out), LP_ERR_ARG);
    ck_assert_int_eq(lp_compare(&good, NULL, token, &out), LP_ERR_ARG);
    ck_assert_int_eq(lp_compare(&good, &good, token, NULL), LP_ERR_ARG);
    wrong.rows = 3;
    ck_assert_int_eq(lp_compare(&good, &wrong, token, &out), LP_ERR_ARG);
    ck_assert_int_eq(lp_compare(&none, &good, token, &out), LP_ERR_ARG);
    wrong = good;
    wrong.vocab = 4;
    ck_assert_int_eq(lp_compare(&wrong, &good, token, &out), LP_ERR_ARG);
    wrong = good;
    wrong.inv_temperature = -1;
    ck_assert_int_eq(lp_compare(&good, &wrong, token, &out), LP_ERR_ARG);
    ck_assert_int_eq(lp_compare(&good, &good, NULL, &(lp_divergence){.q_token_logprob = logprob}), LP_ERR_ARG);
    for (size_t i = 0; i < COUNT(out.reserved); i++) {
        lp_divergence used = out;
        used.reserved[i] = logprob;
        ck_assert_int_eq(lp_compare(&good, &good, token, &used), LP_ERR_ARG);
    }
    ck_assert_int_eq(lp_compare(&none, &none, NULL, &out), LP_OK);
    ck_assert(kl[0] == 7 && kl[1] == 7);
    ck_assert_int_eq(lp_compare(&good, &good, NULL, &(lp_divergence){0}), LP_OK);
    ck_assert_int_eq(lp_compare(&good, &good, token, &out), LP_OK);
    ck_assert(kl[0] == 0 && kl[1] == 0);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "compare");
    tcase_add_test(tcase, small_rows);
    tcase_add_test(tcase, rows_of_blocks);
    tcase_add_test(tcase, vocabularies);
    tcase_add_test(tcase, peaks);
    tcase_add_test(tcase, few_values);
    tcase_add_test(tcase, masks_and_levels);
    tcase_add_test(tcase, far_blocks);
    tcase_add_test(tcase, frequent_first);
    tcase_add_test(tcase, all_forms);
    tcase_add_test(tcase, wanted_outputs);
    tcase_add_test(tcase, statuses);
    tcase_add_test(tcase, tokens);
    tcase_add_test(tcase, infinities);
    tcase_add_test(tcase, stray_elements);
    tcase_add_test(tcase, arguments);
}

int main(void)
{
    return suite_main("compare", add_cases);
}
