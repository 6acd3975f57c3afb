/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 32 virtual lanes on AArch64 NEON: eight q registers. */
#ifndef LP_NEON_LANES_H
#define LP_NEON_LANES_H
#include "core/lanes_common.h"
#include "sleef.h"
#include <arm_neon.h>

enum { LP_WIDTH = 4 };
typedef float32x4_t vf;
typedef uint32x4_t vu;

LP_INLINE vf v_set1(float x)
{
    return vdupq_n_f32(x);
}
LP_INLINE vf v_load(const float *p)
{
    return vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)p)); /* bytes: no alignment is promised */
}
/* four consecutive elements of the lane at p, one a register lane */
LP_INLINE vf v_load_lane(const float *p)
{
    const float x[4] = {lane_at(p, 0), lane_at(p, 1), lane_at(p, 2), lane_at(p, 3)};
    return v_load(x);
}
LP_INLINE void v_store(float *p, vf x)
{
    vst1q_u8((uint8_t *)p, vreinterpretq_u8_f32(x));
}
LP_INLINE vf v_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
LP_INLINE vf v_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}
LP_INLINE vf v_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}
LP_INLINE vf v_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}
LP_INLINE vf v_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}
LP_INLINE vf v_fnma(vf a, vf b, vf c)
{
    return vfmsq_f32(c, a, b);
}
LP_INLINE vf v_max(vf a, vf b)
{
    return vmaxnmq_f32(a, b);
}
LP_INLINE vf v_min(vf a, vf b)
{
    return vminnmq_f32(a, b);
}
LP_INLINE float v_first(vf x)
{
    return vgetq_lane_f32(x, 0);
}
/* The table lies in planes, byte j of entry k at 8 j + k: the byte that has k among its bits is put into all four of a lane,
 * and the select makes an index of each, in one operation. Then the exponent is slid in above the 20 bits found. */
LP_INLINE vf v_exp_table(vf t)
{
    static const uint8_t planes[32] = EXP_TABLE_PLANES;
    const uint8x16_t spread = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
    uint8x16_t low_bits = vdupq_n_u8(7);
    __asm__("" : "+w"(low_bits)); /* a compiler that knows the mask makes two operations of the select */
    uint8x16_t b = vreinterpretq_u8_f32(t), plane = vreinterpretq_u8_u32(vdupq_n_u32(0x18100800U));
    uint8x16_t index = vbslq_u8(low_bits, vqtbl1q_u8(b, spread), plane);
    uint32x4_t low = vreinterpretq_u32_u8(vqtbl2q_u8(vld1q_u8_x2(planes), index));
    return vreinterpretq_f32_u32(vsliq_n_u32(low, vreinterpretq_u32_f32(t), 20));
}

/* The same operations as exp_terms. A multiply-add overwrites what it adds to, so a constant there has to be copied first;
 * read from memory each time, it comes through a load port, which is idle, and not through one that multiplies. */
#define LP_OWN_EXP_NARROW
#define NARROW_OUTSIDE EXP_OUTSIDE
#define NARROW_LOWEST EXP_LOWEST
static const volatile vf addends[3] = {
    {EXP_MAGIC, EXP_MAGIC, EXP_MAGIC, EXP_MAGIC}, {EXP_C2, EXP_C2, EXP_C2, EXP_C2}, {EXP_C1, EXP_C1, EXP_C1, EXP_C1}};
LP_INLINE vf exp_narrow(vf x, vf *t)
{
    vf factors = {EXP_LOG2E, EXP_LN2, EXP_C3, 0};
    __asm__("" : "+w"(factors)); /* three constants in one register */
    *t = vfmaq_laneq_f32(addends[0], x, factors, 0);
    vf n = v_sub(*t, v_set1(EXP_MAGIC));
    vf r = vfmsq_laneq_f32(x, n, factors, 1);
    vf q = vfmaq_laneq_f32(addends[1], r, factors, 2);
    q = v_fma(q, r, addends[2]);
    vf power = v_exp_table(*t);
    return v_fma(v_mul(power, r), q, power);
}

#define LP_LOOKS_FIRST 0 /* core/block.h: it saves subnormal numbers, which are known to be slow on x86 */

/* Eight columns of eight vectors: flat, they were spilled by every compiler tried. One column is a loop of its own, and in
 * it one pair of vectors is finished before the next one is loaded; the CPU overlaps them. bench/mca has the cycles. */
#define LP_LOOP_COLUMNS 1
#define LP_UNROLL_COLUMNS _Pragma("GCC unroll 1")
#define LP_FINISH(v) __asm__ volatile("" : "+w"(v) : : "memory")
LP_INLINE vu v_bits_zero(void)
{
    return vdupq_n_u32(0);
}
LP_INLINE vu v_bits_or(vu acc, vf a, vf b)
{
    acc = vorrq_u32(acc, vorrq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)));
    __asm__("" : "+w"(acc)); /* now, not gathered at the end of the loop */
    return acc;
}
/* the bits in which a and b differ, too */
LP_INLINE vu v_bits_unlike(vu acc, vf a, vf b)
{
    return vorrq_u32(acc, veorq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)));
}
LP_INLINE int v_bits_test(vu acc, uint32_t mask)
{
    return vmaxvq_u32(vandq_u32(acc, vdupq_n_u32(mask))) != 0;
}
LP_INLINE vf v_copysign(vf magnitude, vf sign)
{
    return vbslq_f32(vdupq_n_u32(0x80000000U), sign, magnitude);
}
LP_INLINE vf v_where_ge(vf a, vf b, vf yes, vf no)
{
    return vbslq_f32(vcgeq_f32(a, b), yes, no);
}
LP_INLINE vf v_zero_where_ge(vf a, vf b, vf x)
{
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), vcgeq_f32(a, b)));
}
LP_INLINE vf v_keep_bits(vf x, uint32_t bits, vf other)
{
    const uint32x4_t lane_bit = {1, 2, 4, 8};
    return vbslq_f32(vtstq_u32(vdupq_n_u32(bits), lane_bit), x, other);
}
LP_INLINE uint32x4_t lanes_allowed(const uint32_t *set, int c)
{
    const uint32x4_t lane_bit = {1, 2, 4, 8};
    return vtstq_u32(vdupq_n_u32(*set >> c * LP_WIDTH), lane_bit);
}
/* column c of a set: where the set's word of a mask has a bit the larger of both, else the first; x, else 0 */
LP_INLINE vf v_max_allowed(vf max, vf x, const uint32_t *set, int c)
{
    return v_max(max, vbslq_f32(lanes_allowed(set, c), x, max));
}
LP_INLINE vf v_allowed_else_0(vf x, const uint32_t *set, int c)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), lanes_allowed(set, c)));
}
LP_INLINE uint32_t mask_of(uint32x4_t lanes)
{
    const uint32x4_t lane_bit = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(lanes, lane_bit));
}
LP_INLINE uint32_t v_mask_ge(vf a, vf b)
{
    return mask_of(vcgeq_f32(a, b));
}
LP_INLINE uint32_t v_mask_gt(vf a, vf b)
{
    return mask_of(vcgtq_f32(a, b));
}
LP_INLINE uint32x4_t set_compare(vf a, vf limit, int strict)
{
    return strict == OR_NAN ? vmvnq_u32(vcleq_f32(a, limit)) : strict ? vcgtq_f32(a, limit) : vcgeq_f32(a, limit);
}
/* 32 comparisons narrowed to a byte each, and these to bits by adding up neighbours */
#define LP_OWN_SET_MASK
LP_INLINE uint32_t set_mask(const float *x, float limit, int strict)
{
    const uint8x16_t bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const vf l = v_set1(limit);
    uint16x8_t half[4];
    LP_UNROLL for (size_t i = 0; i < 4; i++)
    {
        const vf a = v_load(x + 2 * i * LP_WIDTH), b = v_load(x + (2 * i + 1) * LP_WIDTH);
        const uint32x4_t low = set_compare(a, l, strict), high = set_compare(b, l, strict);
        half[i] = vuzp1q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high));
    }
    const uint8x16_t low = vuzp1q_u8(vreinterpretq_u8_u16(half[0]), vreinterpretq_u8_u16(half[1]));
    const uint8x16_t high = vuzp1q_u8(vreinterpretq_u8_u16(half[2]), vreinterpretq_u8_u16(half[3]));
    uint8x16_t sum = vpaddq_u8(vandq_u8(low, bit), vandq_u8(high, bit));
    sum = vpaddq_u8(sum, sum);
    sum = vpaddq_u8(sum, sum);
    return vgetq_lane_u32(vreinterpretq_u32_u8(sum), 0);
}
/* above, or NaN */
LP_INLINE uint32_t v_mask_not_le(vf a, vf b)
{
    return mask_of(vmvnq_u32(vcleq_f32(a, b)));
}
/* where either is NaN */
LP_INLINE uint32_t v_mask_nan(vf a, vf b)
{
    return mask_of(vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b))));
}
LP_INLINE vu v_count_gt(vu acc, vf a, vf b)
{
    return vsubq_u32(acc, vcgtq_f32(a, b));
}
LP_INLINE vu v_count_ge(vu acc, vf a, vf b)
{
    return vsubq_u32(acc, vcgeq_f32(a, b));
}
LP_INLINE uint32_t v_count_sum(vu acc)
{
    return vaddvq_u32(acc);
}
LP_INLINE float v_max_lanes(vf a)
{
    return vmaxnmvq_f32(a);
}
LP_INLINE float v_min_lanes(vf a)
{
    return vminnmvq_f32(a);
}
/* x one lane on, and into the first the last of `before` */
LP_INLINE vf v_shift_in(vf before, vf x)
{
    return vextq_f32(before, x, LP_WIDTH - 1);
}
/* where (x, id) is ahead of (y, other) in a list: larger, or equal with a lower id */
LP_INLINE vf v_where_ahead(vf x, vf id, vf y, vf other, vf yes, vf no)
{
    const uint32x4_t lower = vcgtq_s32(vreinterpretq_s32_f32(other), vreinterpretq_s32_f32(id));
    return vbslq_f32(vorrq_u32(vcgtq_f32(x, y), vandq_u32(vceqq_f32(x, y), lower)), yes, no);
}
LP_INLINE vf v_load_bf16(const uint16_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8((const uint8_t *)p)), 16));
}
LP_INLINE vf v_load_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8((const uint8_t *)p)));
}
#define LP_HALVES 8 /* core/halves.h */
/* four elements of the lane at p */
LP_INLINE vf v_load_lane_halves(const uint16_t *p, int bf16)
{
    uint16_t x[4];
    LP_UNROLL for (size_t i = 0; i < 4; i++)
    {
        memcpy(x + i, p + i * LP_LANES, sizeof *x);
    }
    return bf16 ? v_load_bf16(x) : v_load_f16(x);
}
LP_INLINE vu v_halves_load(const uint16_t *p)
{
    return vreinterpretq_u32_u8(vld1q_u8((const uint8_t *)p)); /* at any byte */
}
LP_INLINE vu v_halves_set1(uint16_t x)
{
    return vreinterpretq_u32_u16(vdupq_n_u16(x));
}
LP_INLINE vu v_halves_max(vu a, vu b)
{
    return vreinterpretq_u32_s16(vmaxq_s16(vreinterpretq_s16_u32(a), vreinterpretq_s16_u32(b)));
}
LP_INLINE vu v_halves_min(vu a, vu b)
{
    return vreinterpretq_u32_s16(vminq_s16(vreinterpretq_s16_u32(a), vreinterpretq_s16_u32(b)));
}
LP_INLINE vu v_halves_count_gt(vu acc, vu a, vu b)
{
    const uint16x8_t above = vcgtq_s16(vreinterpretq_s16_u32(a), vreinterpretq_s16_u32(b));
    return vreinterpretq_u32_u16(vsubq_u16(vreinterpretq_u16_u32(acc), above));
}
LP_INLINE vu v_halves_count_below(vu acc, vu a, vu b)
{
    const uint16x8_t below = vcltq_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b));
    return vreinterpretq_u32_u16(vsubq_u16(vreinterpretq_u16_u32(acc), below));
}
/* a bit for each of a set that is above the bound; or below it, as unsigned integers */
LP_INLINE uint32_t v_halves_mask(const uint16_t *set, vu bound, int below)
{
    const uint8x16_t place = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const int16x8_t than = vreinterpretq_s16_u32(bound);
    uint8x8_t passed[4];
    LP_UNROLL for (int i = 0; i < 4; i++)
    {
        const vu a = v_halves_load(set + i * 8);
        passed[i] = vmovn_u16(below ? vcltq_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(bound))
                                    : vcgtq_s16(vreinterpretq_s16_u32(a), than));
    }
    uint8x16_t bytes = vpaddq_u8(vandq_u8(vcombine_u8(passed[0], passed[1]), place),
                                 vandq_u8(vcombine_u8(passed[2], passed[3]), place));
    bytes = vpaddq_u8(bytes, bytes);
    bytes = vpaddq_u8(bytes, bytes);
    return vgetq_lane_u32(vreinterpretq_u32_u8(bytes), 0);
}
LP_INLINE vu v_halves_count_add(vu acc, vu halves)
{
    return vpadalq_u16(acc, vreinterpretq_u16_u32(halves));
}
LP_INLINE int32_t v_halves_extreme(vu a, int smallest)
{
    return smallest ? vminvq_s16(vreinterpretq_s16_u32(a)) : vmaxvq_s16(vreinterpretq_s16_u32(a));
}
LP_INLINE float v_f16_float(uint16_t bits)
{
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(bits))), 0);
}
LP_INLINE uint16_t v_f16_bits(float x)
{
    return vget_lane_u16(vreinterpret_u16_f16(vcvt_f16_f32(vdupq_n_f32(x))), 0);
}
LP_INLINE void v_prefetch(const void *p)
{
    __builtin_prefetch(p);
}
LP_INLINE void v_prefetch_far(const void *p)
{
    __builtin_prefetch(p, 0, 2);
}
LP_INLINE void v_store_past_cache(float *p, vf x)
{
    v_store(p, x);
}
LP_INLINE void v_fence(void)
{
}

/* two lanes in double over n = 1, 2, 4 or 8 groups */
LP_INLINE float64x2_t sum_lanes(const float *groups, int n)
{
    float64x2_t g[8];
    LP_UNROLL for (int i = 0; i < 8; i++)
    {
        g[i] = i < n ? vcvt_f64_f32(vld1_f32(groups + i * LP_LANES)) : vdupq_n_f64(0);
    }
    LP_UNROLL for (int i = 0; i < 4; i++)
    {
        g[i] = 2 * i + 1 < n ? vaddq_f64(g[2 * i], g[2 * i + 1]) : g[2 * i];
    }
    g[0] = n > 2 ? vaddq_f64(g[0], g[1]) : g[0];
    return n > 4 ? vaddq_f64(g[0], vaddq_f64(g[2], g[3])) : g[0];
}

LP_INLINE double v_sum_groups(const float *groups, int n)
{
    float64x2_t s[8];
    LP_UNROLL for (int i = 0; i < 8; i++)
    {
        s[i] = vaddq_f64(sum_lanes(groups + 2 * i, n), sum_lanes(groups + 16 + 2 * i, n));
    }
    LP_UNROLL for (int i = 0; i < 4; i++)
    {
        s[i] = vaddq_f64(s[i], s[i + 4]);
    }
    float64x2_t a = vaddq_f64(vaddq_f64(s[0], s[2]), vaddq_f64(s[1], s[3]));
    return vgetq_lane_f64(a, 0) + vgetq_lane_f64(a, 1);
}

SLEEF_VECTOR float64x2_t Sleef_cinz_expd2_u10advsimdnofma(float64x2_t x);
SLEEF_VECTOR float64x2_t Sleef_cinz_log1pd2_u10advsimdnofma(float64x2_t x);

enum { LP_DOUBLES = 2 };
LP_INLINE void v_exp_doubles(double *x)
{
    vst1q_f64(x, Sleef_cinz_expd2_u10advsimdnofma(vld1q_f64(x)));
}
LP_INLINE void v_log1p_doubles(double *x)
{
    vst1q_f64(x, Sleef_cinz_log1pd2_u10advsimdnofma(vld1q_f64(x)));
}
#endif
