/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rows of logits of every kind that has broken such a kernel: made from integers, so the same on every
 * machine. */
#include "rows.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const float ln2 = 0.6931472f, ln10 = 2.3025851f;

static int bit_length(size_t n)
{
    int bits = 0;
    for (; n > 0; n >>= 1) {
        bits++;
    }
    return bits;
}

static void fill_value(float *x, size_t n, float value)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = value;
    }
}

static void fill_bell(float *x, size_t n, rng *r, float scale, float shift)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_bell(r) * scale + shift;
    }
}

static size_t any_index(size_t n, rng *r)
{
    return rng_below(r, (uint32_t)n);
}

static void normal(float *x, size_t n, rng *r)
{
    fill_bell(x, n, r, 3, 0);
}
static void uniform_100(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_unit(r) * 200 - 100;
    }
}
static void offset_1e3(float *x, size_t n, rng *r)
{
    fill_bell(x, n, r, 3, 1e3f);
}
static void offset_minus_1e3(float *x, size_t n, rng *r)
{
    fill_bell(x, n, r, 3, -1e3f);
}
static void offset_1e6(float *x, size_t n, rng *r)
{
    fill_bell(x, n, r, 3, 1e6f);
}
static void offset_minus_1e6(float *x, size_t n, rng *r)
{
    fill_bell(x, n, r, 3, -1e6f);
}
/* Around the magnitudes at which a kernel changes its ways: 256, and 2^31, where floats are 256 apart. */
static void offset_threshold(float *x, size_t n, rng *r)
{
    static const float shifts[] = {250, 256, 262, -256, 0x1p20f, 0x1p30f, 0x1p31f, -0x1p31f, 0x1p32f, -0x1p60f};
    const float shift = shifts[rng_below(r, COUNT(shifts))];
    fill_bell(x, n, r, fabsf(shift) >= 0x1p30f ? 256 : 3, shift);
}
static void all_equal(float *x, size_t n, rng *r)
{
    fill_value(x, n, rng_bell(r) * 20);
}
static void one_above(float *x, size_t n, rng *r) /* where float sums lose nats */
{
    fill_value(x, n, 0.1f);
    x[any_index(n, r)] = 0.2f;
}
/* p of the peak from 0.5 to 1 - 1e-36: the rest sums to about 10^-k of the peak, spread evenly ... */
static float peak_gap(size_t n, rng *r)
{
    return (float)rng_below(r, 37) * ln10 + (float)(bit_length(n) - 1) * ln2;
}
static void peak_even(float *x, size_t n, rng *r)
{
    const float base = rng_bell(r) * 4;
    fill_value(x, n, base - peak_gap(n, r));
    x[any_index(n, r)] = base;
}
static void peak_bell(float *x, size_t n, rng *r)
{
    const float top = rng_bell(r) * 4;
    fill_bell(x, n, r, 0.5f, top - peak_gap(n, r) - 1);
    x[any_index(n, r)] = top;
}
/* ... or carried by one other element. */
static void peak_pair(float *x, size_t n, rng *r)
{
    const float base = rng_bell(r) * 4;
    fill_value(x, n, rng_below(r, 2) ? -INFINITY : base - 140);
    const float value = base - (float)rng_below(r, 37) * ln10;
    x[any_index(n, r)] = value;
    x[any_index(n, r)] = base;
}
static void one_finite(float *x, size_t n, rng *r)
{
    fill_value(x, n, -INFINITY);
    const float value = rng_bell(r) * 30;
    x[any_index(n, r)] = value;
}
static void half_minus_inf(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_below(r, 2) ? rng_bell(r) * 3 : -INFINITY;
    }
    x[any_index(n, r)] = 1;
}
static void masked_1_percent(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_below(r, 100) == 0 ? rng_bell(r) * 3 : -INFINITY;
    }
    x[any_index(n, r)] = -2;
}
/* Stretches of about a block, whole or cut, at a level of their own. */
static void stretches(float *x, size_t n, rng *r, const float *levels, uint32_t count)
{
    for (size_t i = 0; i < n;) {
        const size_t length = rng_below(r, 2) ? LP_BLOCK : 1 + rng_below(r, 2 * LP_BLOCK);
        const float level = levels[rng_below(r, count)];
        for (size_t j = 0; j < length && i < n; j++, i++) {
            x[i] = rng_bell(r) * 3 + level;
        }
    }
}
static void masks_1e9(float *x, size_t n, rng *r)
{
    static const float levels[] = {0, 0, -1e9f, -3e38f, -INFINITY};
    stretches(x, n, r, levels, COUNT(levels));
    x[any_index(n, r)] = 3;
}
static void cliffs(float *x, size_t n, rng *r)
{
    static const float levels[] = {0, -80, -88, -104, -150, -250, -256, -262, 90, 250, 262, 600};
    stretches(x, n, r, levels, COUNT(levels));
}
/* Blocks at both ends of the exponents that a float can hold, and around the sums at which a kernel may change its ways. */
static void exponent_edges(float *x, size_t n, rng *r)
{
    static const float levels[] = {-104, -88.05f, -87.4f, -86, -62.4f, -55.5f, 80, 87, 88.8f, 89.36f, 90};
    const float level = levels[rng_below(r, COUNT(levels))];
    for (size_t i = 0; i < n; i++) {
        if (i % LP_BLOCK == 0 || level < -50) {
            x[i] = level + rng_bell(r) * 0.25f;
        } else {
            const float below = rng_unit(r); /* one draw a statement: C leaves the order within one open */
            x[i] = level - below * (rng_below(r, 2) ? 178 : 8);
        }
    }
}
static void signed_zeros(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_below(r, 2) ? 0.0f : -0.0f;
    }
}
static void minus_zeros(float *x, size_t n, rng *r)
{
    (void)r;
    fill_value(x, n, -0.0f);
}
static void zeros_below(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_below(r, 3) ? rng_unit(r) * -4 : -0.0f;
    }
}
static void subnormals(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = float_from_bits((uint32_t)(rng_next(r) & 0x807fffff));
    }
}
static void ascending(float *x, size_t n, rng *r)
{
    (void)r;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)i * 0x1p-12f - 7;
    }
}
static void descending(float *x, size_t n, rng *r)
{
    (void)r;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(n - i) * 0x1p-12f + 3;
    }
}
static void ties_three(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)rng_below(r, 3);
    }
}
static void ties_coarse(float *x, size_t n, rng *r) /* as bf16 logits are */
{
    for (size_t i = 0; i < n; i++) {
        x[i] = float_from_bits(float_bits(rng_bell(r) * 5) & 0xffff0000);
    }
}
static void zipf(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        const float zipf = (float)bit_length(rng_below(r, (uint32_t)n) + 1U) * -ln2;
        x[i] = zipf + rng_unit(r);
    }
}
static void float_max(float *x, size_t n, rng *r)
{
    (void)r;
    fill_value(x, n, FLT_MAX);
}
static void float_max_signs(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_below(r, 2) ? FLT_MAX : -FLT_MAX;
    }
}
static void float_lowest(float *x, size_t n, rng *r)
{
    fill_value(x, n, -FLT_MAX);
    const float value = rng_below(r, 2) ? -FLT_MAX : -3e38f;
    x[any_index(n, r)] = value;
}
static void wide(float *x, size_t n, rng *r) /* any finite bits */
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)rng_next(r);
        x[i] = (bits & 0x7f800000) == 0x7f800000 ? 0 : float_from_bits(bits);
    }
}
static void wide_below(float *x, size_t n, rng *r) /* the same below 1, so that more than one element counts */
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)rng_next(r) | 0x80000000;
        x[i] = (bits & 0x7f800000) == 0x7f800000 ? -INFINITY : float_from_bits(bits);
    }
    const size_t at = any_index(n, r);
    x[at] = rng_unit(r);
}
static void one_nan(float *x, size_t n, rng *r)
{
    normal(x, n, r);
    x[any_index(n, r)] = NAN;
}
static void nan_payloads(float *x, size_t n, rng *r)
{
    normal(x, n, r);
    for (int i = 0; i < 3; i++) {
        const uint32_t payload = (uint32_t)rng_next(r) & 0x807fffff;
        x[any_index(n, r)] = float_from_bits(0x7f800000 | payload | 1);
    }
}
static void one_inf(float *x, size_t n, rng *r)
{
    normal(x, n, r);
    x[any_index(n, r)] = INFINITY;
}
static void nan_and_inf(float *x, size_t n, rng *r)
{
    normal(x, n, r);
    x[any_index(n, r)] = INFINITY;
    x[any_index(n, r)] = -INFINITY;
    x[any_index(n, r)] = NAN;
}
static void nan_in_minus_inf(float *x, size_t n, rng *r)
{
    fill_value(x, n, -INFINITY);
    x[any_index(n, r)] = float_from_bits(0xffc00001);
}
static void no_mass(float *x, size_t n, rng *r)
{
    (void)r;
    fill_value(x, n, -INFINITY);
}
static void any_bits(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = float_from_bits((uint32_t)rng_next(r));
    }
}

#define FINITE(f)                                                                                                      \
    {                                                                                                                  \
#f, f, ROW_FINITE                                                                                              \
    }
#define BAD(f)                                                                                                         \
    {                                                                                                                  \
#f, f, ROW_BAD                                                                                                 \
    }
const row_class row_classes[] = {
    FINITE(normal),
    FINITE(uniform_100),
    FINITE(offset_1e3),
    FINITE(offset_minus_1e3),
    FINITE(offset_1e6),
    FINITE(offset_minus_1e6),
    FINITE(offset_threshold),
    FINITE(all_equal),
    FINITE(one_above),
    FINITE(peak_even),
    FINITE(peak_bell),
    FINITE(peak_pair),
    FINITE(one_finite),
    FINITE(half_minus_inf),
    FINITE(masked_1_percent),
    FINITE(masks_1e9),
    FINITE(cliffs),
    FINITE(exponent_edges),
    FINITE(signed_zeros),
    FINITE(minus_zeros),
    FINITE(zeros_below),
    FINITE(subnormals),
    FINITE(ascending),
    FINITE(descending),
    FINITE(ties_three),
    FINITE(ties_coarse),
    FINITE(zipf),
    FINITE(float_max),
    FINITE(float_max_signs),
    FINITE(float_lowest),
    FINITE(wide),
    FINITE(wide_below),
    BAD(one_nan),
    BAD(nan_payloads),
    BAD(one_inf),
    BAD(nan_and_inf),
    BAD(nan_in_minus_inf),
    BAD(no_mass),
    BAD(any_bits),
};
const size_t row_class_count = COUNT(row_classes);
const size_t row_class_finite = 32;

const row_class *row_class_named(const char *name)
{
    for (size_t i = 0; i < row_class_count; i++) {
        if (strcmp(row_classes[i].name, name) == 0) {
            return &row_classes[i];
        }
    }
    ck_abort_msg("no row class is called %s", name);
    return NULL;
}

#define TEN(d) d, d + 1, d + 2, d + 3, d + 4, d + 5, d + 6, d + 7, d + 8, d + 9
const size_t small_shapes[] = {TEN(1), TEN(11), TEN(21), TEN(31), TEN(41), TEN(51), TEN(61)};
const size_t small_shape_count = COUNT(small_shapes);
#define AROUND(n) (n) - 1, (n), (n) + 1
const size_t block_shapes[] = {
    AROUND(LP_BLOCK / 2), AROUND(LP_BLOCK), AROUND(2 * LP_BLOCK), AROUND(3 * LP_BLOCK), 4095, 4096, 4097,
    LP_BLOCK + 33,        5 * LP_BLOCK};
const size_t block_shape_count = COUNT(block_shapes);
const size_t vocab_shapes[] = {32000, 128256, 151936, 262144};
const size_t vocab_shape_count = COUNT(vocab_shapes);
