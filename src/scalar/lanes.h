/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 32 virtual lanes in plain C: one lane at a time. The reference that every other ISA equals bit for bit. */
#ifndef LP_SCALAR_LANES_H
#define LP_SCALAR_LANES_H
#include "bits.h"
#include "core/lanes_common.h"
#include "sleef.h"
#include <math.h>

enum { LP_WIDTH = 1 };
typedef float vf;
typedef uint32_t vu;

/* fma with one rounding on any CPU. Without the instruction: the product of two floats is exact in double, and rounding the
 * sum twice, to double and to float, differs from once only where the double lies half-way between two floats, or where
 * the float is subnormal and half-way lies elsewhere. There the sum is rounded to odd first (53 >= 2 * 24 + 2). */
static inline float fused(float a, float b, float c)
{
#if defined(__FP_FAST_FMAF)
    return __builtin_fmaf(a, b, c);
#else
    double product = (double)a * b;
    double sum = product + c;
    uint64_t u;
    memcpy(&u, &sum, sizeof u);
    /* |sum| < 2^-126, not by a comparison for either sign: half of those come true, and cannot be predicted */
    if (__builtin_expect((u & 0x1FFFFFFF) == 0x10000000 || u << 1 < UINT64_C(0x381) << 53, 0)) {
        double part = sum - product;
        double error = (product - (sum - part)) + (c - part);
        if (error != 0 && (u & 1) == 0) {
            u += (error > 0) == (sum > 0) ? 1 : (uint64_t)-1;
            memcpy(&sum, &u, sizeof sum);
        }
    }
    return (float)sum;
#endif
}

static inline vf v_set1(float x)
{
    return x;
}
static inline vf v_load(const float *p)
{
    float x;
    memcpy(&x, p, sizeof x);
    return x;
}
/* one element of the lane at p */
static inline vf v_load_lane(const float *p)
{
    return lane_at(p, 0);
}
static inline void v_store(float *p, vf x)
{
    memcpy(p, &x, sizeof x);
}
static inline vf v_add(vf a, vf b)
{
    return a + b;
}
static inline vf v_sub(vf a, vf b)
{
    return a - b;
}
static inline vf v_mul(vf a, vf b)
{
    return a * b;
}
static inline vf v_div(vf a, vf b)
{
    return a / b;
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return fused(a, b, c);
}
static inline vf v_fnma(vf a, vf b, vf c)
{
    return fused(-a, b, c);
}
static inline vf v_max(vf a, vf b)
{
    return a > b ? a : b;
}
static inline vf v_min(vf a, vf b)
{
    return a < b ? a : b;
}
static inline float v_first(vf x)
{
    return x;
}
static inline vf v_exp_table(vf t)
{
    static const uint32_t table[8] = EXP_TABLE;
    uint32_t b = float_bits(t);
    return bits_float((b << 20) + table[b & 7]);
}
static inline vu v_bits_zero(void)
{
    return 0;
}
static inline vu v_bits_or(vu acc, vf a, vf b)
{
    return acc | float_bits(a) | float_bits(b);
}
/* the bits in which a and b differ, too */
static inline vu v_bits_unlike(vu acc, vf a, vf b)
{
    return acc | (float_bits(a) ^ float_bits(b));
}
static inline int v_bits_test(vu acc, uint32_t mask)
{
    return (acc & mask) != 0;
}
static inline vf v_copysign(vf magnitude, vf sign)
{
    return bits_float((float_bits(magnitude) & 0x7FFFFFFFU) | (float_bits(sign) & 0x80000000U));
}
static inline vf v_where_ge(vf a, vf b, vf yes, vf no)
{
    return a >= b ? yes : no;
}
/* 0 where a >= b */
static inline vf v_zero_where_ge(vf a, vf b, vf x)
{
    return a >= b ? 0 : x;
}
static inline vf v_keep_bits(vf x, uint32_t bits, vf other)
{
    return bits & 1 ? x : other;
}
/* column c of a set: where the set's word of a mask has a bit the larger of both, else the first; x, else 0 */
static inline vf v_max_allowed(vf max, vf x, const uint32_t *set, int c)
{
    return *set >> c & 1 ? v_max(x, max) : max;
}
static inline vf v_allowed_else_0(vf x, const uint32_t *set, int c)
{
    return *set >> c & 1 ? x : 0;
}
static inline uint32_t v_mask_ge(vf a, vf b)
{
    return a >= b;
}
static inline uint32_t v_mask_gt(vf a, vf b)
{
    return a > b;
}
/* above, or NaN */
static inline uint32_t v_mask_not_le(vf a, vf b)
{
    return !(a <= b);
}
/* where either is NaN */
static inline uint32_t v_mask_nan(vf a, vf b)
{
    return a != a || b != b;
}
static inline vu v_count_gt(vu acc, vf a, vf b)
{
    return acc + (a > b);
}
static inline vu v_count_ge(vu acc, vf a, vf b)
{
    return acc + (a >= b);
}
static inline uint32_t v_count_sum(vu acc)
{
    return acc;
}
static inline float v_max_lanes(vf a)
{
    return a;
}
static inline float v_min_lanes(vf a)
{
    return a;
}
/* x one lane on, and into the first the last of `before` */
static inline vf v_shift_in(vf before, vf x)
{
    (void)x;
    return before;
}
/* where (x, id) is ahead of (y, other) in a list: larger, or equal with a lower id */
static inline vf v_where_ahead(vf x, vf id, vf y, vf other, vf yes, vf no)
{
    return x > y || (x == y && (int32_t)float_bits(id) < (int32_t)float_bits(other)) ? yes : no;
}
static inline vf v_load_bf16(const uint16_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return bits_float((uint32_t)h << 16);
}
/* exact: subnormals are normalised, infinities and NaN payloads keep their mantissa */
static inline vf v_load_f16(const uint16_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    uint32_t sign = (uint32_t)(h & 0x8000U) << 16, exponent = h >> 10 & 0x1FU, mantissa = h & 0x3FFU;
    if (exponent == 0) {
        float tiny = (float)mantissa * 0x1p-24F;
        return bits_float(float_bits(tiny) | sign);
    }
    exponent = exponent == 31 ? 255 : exponent + 112;
    return bits_float(sign | exponent << 23 | mantissa << 13);
}
static inline void v_prefetch(const void *p)
{
    (void)p;
}
static inline void v_prefetch_far(const void *p)
{
    (void)p;
}
static inline void v_store_past_cache(float *p, vf x)
{
    v_store(p, x);
}
static inline void v_fence(void)
{
}

/* sum over 32 lanes and n = 1, 2, 4 or 8 groups in double: groups first, neighbours pairwise; then lanes 16, 8, 4, 2, 1
 * apart */
static inline double v_sum_groups(const float *groups, int n)
{
    double lane[LP_LANES];
    for (int l = 0; l < LP_LANES; l++) {
        double g[LP_GROUPS];
        for (int i = 0; i < n; i++) {
            g[i] = (double)groups[i * LP_LANES + l];
        }
        for (int left = n / 2; left > 0; left /= 2) {
            for (int i = 0; i < left; i++) {
                g[i] = g[2 * i] + g[2 * i + 1];
            }
        }
        lane[l] = g[0];
    }
    for (int apart = LP_LANES / 2; apart > 0; apart /= 2) {
        for (int l = 0; l < apart; l++) {
            lane[l] += lane[l + apart];
        }
    }
    return lane[0];
}

enum { LP_DOUBLES = 1 };
static inline void v_exp_doubles(double *x)
{
    *x = Sleef_cinz_expd1_u10purec(*x);
}
static inline void v_log1p_doubles(double *x)
{
    *x = Sleef_cinz_log1pd1_u10purec(*x);
}
#endif
