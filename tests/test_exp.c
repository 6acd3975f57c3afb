/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The exponential of the hot loop, element by element: where its window ends, that every ISA's own form of it has the same
 * bits there, and how far it and the softcap's tanh are from the exact values. */
#include "core/constants.h"
#include "exp_check.h"
#include "support.h"
#include <math.h>
#include <stdio.h>

static const exp_check *active(void)
{
    switch (lp_isa_active()) {
#ifdef EXP_CHECK_AVX2
    case LP_ISA_AVX2:
        return &exp_check_avx2;
    case LP_ISA_AVX512:
        return &exp_check_avx512;
#endif
#ifdef EXP_CHECK_NEON
    case LP_ISA_NEON:
        return &exp_check_neon;
#endif
    default:
        return &exp_check_scalar;
    }
}

/* every step-th float from `first` on, by bits */
static void check_floats(uint32_t first, uint64_t count, uint32_t step)
{
    const exp_check *check = active();
    float x[EXP_CHECK_MOST];
    for (uint64_t i = 0; i < count; i += EXP_CHECK_MOST) {
        for (size_t j = 0; j < EXP_CHECK_MOST; j++) {
            x[j] = float_from_bits(first + (uint32_t)((i + j) * step));
        }
        size_t at = 0, broken = check->window(x, EXP_CHECK_MOST, &at);
        if (broken != 0) {
            ck_abort_msg("%s: x = %a (bits %08x) is taken for what it is not, or e^x has other bits; and %zu more",
                         lp_isa_name(lp_isa_active()), (double)x[at], (unsigned)float_bits(x[at]), broken - 1);
        }
    }
}

/* all floats where that takes seconds, else every 4099th, and all near the ends of the window, of the exponent and of 0 */
START_TEST(window)
{
    lp_isa isa = lp_isa_active();
#if defined(__OPTIMIZE__)
    int all = !test_quick() && (isa == LP_ISA_AVX2 || isa == LP_ISA_AVX512);
#else
    int all = 0;
#endif
    if (all) {
        check_floats(0, (uint64_t)1 << 32, 1);
    } else {
        const float near[] = {EXP_LOWEST, EXP_HIGHEST, -0x1.62e43p+6F, 0x1.62e43p+6F, 0, -0.0F, INFINITY, -INFINITY,
                              1,          -1};
        check_floats(0, ((uint64_t)1 << 32) / 4099, 4099);
        for (size_t i = 0; i < COUNT(near); i++) {
            check_floats(float_bits(near[i]) - 8192, 16384, 1);
        }
    }
    printf("%s: %s\n", lp_isa_name(isa), all ? "all 2^32 floats" : "every 4099th float");
}
END_TEST

typedef struct widest {
    double error;
    float x, got;
    long double want;
} widest;

static void worst_of(widest *w, double error, float x, float got, long double want)
{
    if (!(error <= w->error)) {
        *w = (widest){error, x, got, want};
    }
}

static void worst_show(const char *what, const widest *w, const char *unit, double bound)
{
    printf("%s: %.3g %s at x = %a, got %a, want %La\n", what, w->error, unit, (double)w->x, (double)w->got, w->want);
    ck_assert_msg(w->error <= bound, "%s: %.4g %s at x = %a is beyond %g", what, w->error, unit, (double)w->x, bound);
}

static uint32_t stride(void)
{
    return test_quick() ? 100003 : 313;
}

/* From 2^-120 on, for below T r is subnormal and its rounding, 2^-150, counts: the fast path demands sums of 2^-80. Up to where
 * e^x times the table's scale is a float. What the block undoes is undone here: that scale, and the error of ln 2 as a float. */
START_TEST(exp_accuracy)
{
    widest w = {0, 0, 0, 0};
    for (int sign = 0; sign < 2; sign++) {
        float end = sign ? -84.0F /* below, T r is subnormal and rounds to 2^-150 */ : 0x1.6266p+6F;
        uint32_t first = float_bits(sign ? -0x1p-30F : 0x1p-30F), last = float_bits(end);
        for (uint32_t b = first; b <= last - EXP_CHECK_MOST * stride(); b += EXP_CHECK_MOST * stride()) {
            float x[EXP_CHECK_MOST], e[EXP_CHECK_MOST], n[EXP_CHECK_MOST];
            for (uint32_t j = 0; j < EXP_CHECK_MOST; j++) {
                x[j] = float_from_bits(last - (b - first) - j * stride());
            }
            active()->terms(x, e, n, EXP_CHECK_MOST);
            for (size_t j = 0; j < EXP_CHECK_MOST; j++) {
                double y = (double)n[j] / 8 * EXP_LN2_ERROR;
                double got = (double)e[j] * EXP_FACTOR * (1 + y * (1 + y / 2));
                long double want = expl((long double)x[j]);
                worst_of(&w, (double)fabsl((got - want) / want), x[j], e[j], want);
            }
        }
    }
    worst_show("e^x", &w, "relative", 9e-8);
}
END_TEST

START_TEST(tanh_accuracy)
{
    widest w = {0, 0, 0, 0};
    uint32_t first = float_bits(0x1p-13F), last = float_bits(10.0F), step = test_quick() ? 10007 : 31;
    for (uint32_t b = first; b <= last; b += EXP_CHECK_MOST * step) {
        float x[EXP_CHECK_MOST], got[EXP_CHECK_MOST];
        for (uint32_t j = 0; j < EXP_CHECK_MOST; j++) {
            x[j] = float_from_bits(b + j * step);
        }
        active()->softcap(x, 1, got, EXP_CHECK_MOST);
        for (size_t j = 0; j < EXP_CHECK_MOST; j++) {
            long double want = tanhl((long double)x[j]);
            worst_of(&w, (double)fabsl(got[j] - want) / ulp_of((double)want), x[j], got[j], want);
        }
    }
    worst_show("tanh", &w, "ulp", 3);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "exp");
    tcase_add_test(tcase, window);
    tcase_add_test(tcase, exp_accuracy);
    tcase_add_test(tcase, tanh_accuracy);
}

int main(void)
{
    return suite_main("exp", add_cases);
}
