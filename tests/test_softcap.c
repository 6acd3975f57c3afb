/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The softcap c * tanh(x / c) against the high-precision reference; infinities and zeros pass through it. */
#include "oracle.h"
#include "support.h"

#include <float.h>
#include <math.h>

/* Half an ulp each of the division and the product, one of tanh; ulps of neighbouring binades differ by two. */
static const double SOFTCAP_ULP = 4;

/* The capped logit is the maximum of a row of it and something far below. */
static float capped(float x, float cap, lp_status *status)
{
    const float row[] = {-INFINITY, x};
    const lp_logits in = {.data = row, .rows = 1, .vocab = 2, .softcap = cap};
    float max = NAN;
    *status = lp_score(&in, NULL, 0, &(lp_scores){.max_logit = &max});
    return max;
}

static void check(float x, float cap, worst *w)
{
    lp_status status;
    const float got = capped(x, cap, &status);
    const double exact = oracle_softcap(x, cap), ulps = fabs((double)got - exact) / ulp_of(exact);
    const place at = {"softcap", "c * tanh(x / c)", 2, 0};
    expect_status(&at, status, LP_OK);
    worst_note(w, &at, 0, ulps, (double)got, exact);
    if (!(ulps <= SOFTCAP_ULP) || !(fabsf(got) <= cap)) {
        fail_at(&at, 0, (double)got, exact, "out of bounds");
    }
}

START_TEST(accuracy)
{
    static const float caps[] = {30, 50, 15, 1, 7.3f, 1e-3f, 1e6f, 1e30f};
    rng r = rng_for("softcap", 0, 0);
    worst w = {0};
    for (size_t c = 0; c < COUNT(caps); c++) {
        for (int i = 0; i < (test_quick() ? 500 : 20000); i++) {
            check(rng_bell(&r) * caps[c] * (i % 2 ? 1 : 0.05f), caps[c], &w);
        }
        for (int exponent = -126; exponent < 127; exponent++) {
            const float x = ldexpf(1 + rng_unit(&r), exponent);
            check(x, caps[c], &w);
            check(-x, caps[c], &w);
        }
        check(FLT_MAX, caps[c], &w);
        check(-FLT_MAX, caps[c], &w);
        check(0, caps[c], &w);
    }
    worst_print(&w, "error", "ulp");
}
END_TEST

START_TEST(infinities)
{
    lp_status status;
    capped(-INFINITY, 30, &status);
    ck_assert_int_eq(status, LP_ERR_EMPTY); /* not unmasked to -30 */
    capped(INFINITY, 30, &status);
    ck_assert_int_eq(status, LP_ERR_INF);
    capped(NAN, 30, &status);
    ck_assert_int_eq(status, LP_ERR_NAN);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "softcap");
    tcase_add_test(tcase, accuracy);
    tcase_add_test(tcase, infinities);
}

int main(void)
{
    return suite_main("softcap", add_cases);
}
