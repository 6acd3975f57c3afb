/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 32 virtual lanes on AVX-512: two zmm registers. */
#ifndef LP_AVX512_LANES_H
#define LP_AVX512_LANES_H
#include "core/lanes_x86.h"
#include "sleef.h"

enum { LP_WIDTH = 16 };
#define LP_EXACT_LIST 1 /* core/scan.h */
#ifdef __clang__
#define LP_AFTER(x, e)                                                                                                 \
    __asm__("" : "+v"(x) : "v"(e)) /* or differences are in the way of exponentials, which take longer */
#else
#define LP_SUMMED(v) __asm__ volatile("" : "+v"(v)) /* gcc would put these off, and copy what they are made of */
#endif
typedef __m512 vf;
typedef __m512i vu;

LP_INLINE vf v_set1(float x)
{
    return _mm512_set1_ps(x);
}
LP_INLINE vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
/* the elements of the lane at p, one a register lane, and zeros; put together in registers, for what is stored in parts and
 * loaded as a whole waits for the cache */
LP_INLINE vf v_load_lane(const float *p)
{
    return _mm512_zextps256_ps512(lane_of_floats(p));
}
LP_INLINE void v_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}
LP_INLINE vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
LP_INLINE vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
LP_INLINE vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
LP_INLINE vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
LP_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
LP_INLINE vf v_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}
LP_INLINE vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
LP_INLINE vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
LP_INLINE float v_first(vf x)
{
    return _mm512_cvtss_f32(x);
}
LP_INLINE vf v_exp_table(vf t)
{
    static const uint32_t table[8] = EXP_TABLE;
    __m512i entries = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)table));
    __m512i b = _mm512_castps_si512(t);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32(b, 20), _mm512_permutexvar_epi32(b, entries)));
}

LP_INLINE vu v_bits_or(vu acc, vf a, vf b)
{
    return _mm512_ternarylogic_epi32(acc, _mm512_castps_si512(a), _mm512_castps_si512(b), 0xFE);
}
/* the bits in which a and b differ, too */
LP_INLINE vu v_bits_unlike(vu acc, vf a, vf b)
{
    return _mm512_ternarylogic_epi32(acc, _mm512_castps_si512(a), _mm512_castps_si512(b), 0xF6);
}

/* e^x for the fast path by vscalef, which writes the exponent in one operation where shift and add are two. It floors its
 * exponent itself, so n is taken in units of 1/8, and t falls where n rises: an x below the window gives a t too large,
 * whose bits the test shows; an x above it gives e = inf, which the sum shows. Where neither happens the bits of e are those
 * of exp_terms: scaling by 2^n is exact, and the window ends at n = -96, before T r can be subnormal there. tests/test_exp.c
 * checks that for every float. */
#define LP_OWN_EXP_NARROW
#define NARROW_OUTSIDE (~0x498007FFU)
#define NARROW_LOWEST (-66.5F) /* where that window ends, but for its last bits */
LP_INLINE vf exp_narrow(vf x, vf *t)
{
    static const float table[8] = EXP_TABLE_REVERSED;
    const vf entries = _mm512_broadcast_f32x8(_mm256_loadu_ps(table)), magic = v_set1(0x1p20F + 1279 * 0.125F);
#ifndef __clang__
    __asm__ volatile("" : "+v"(x)); /* loaded once, and in this order: gcc would load it for each use */
#endif
    *t = v_fnma(x, v_set1(EXP_LOG2E / (8 * EXP_UNIT)), magic);
    vf n = v_sub(magic, *t);
    vf r = v_fnma(n, v_set1(EXP_LN2 * (8 * EXP_UNIT)), x);
    vf q = v_fma(r, v_set1(EXP_C3), v_set1(EXP_C2));
    q = v_fma(q, r, v_set1(EXP_C1));
    vf power = _mm512_permutexvar_ps(_mm512_castps_si512(*t), entries);
    return _mm512_scalef_ps(v_fma(v_mul(power, r), q, power), n);
}

#define LP_WIDENED(v) __asm__ volatile("" : "+v"(v))

/* Two at once, a step of each in turn, in this order whatever the compiler thinks: a Zen 4 core, whose registers of 512 bits take each
 * pipe twice, is slower when one follows the other (docs/performance.md). */
#define LP_OWN_EXP_NARROW_TWO
#define BOTH(to, value)                                                                                                \
    LP_UNROLL for (int i = 0; i < 2; i++)                                                                              \
    {                                                                                                                  \
        (to)[i] = value;                                                                                               \
        __asm__ volatile("" : "+v"((to)[i]));                                                                          \
    }
LP_INLINE void exp_narrow_two(const vf in[2], vf unused, vf e[2], vu *bits)
{
    static const float table[8] = EXP_TABLE_REVERSED;
    const vf entries = _mm512_broadcast_f32x8(_mm256_loadu_ps(table)), magic = v_set1(0x1p20F + 1279 * 0.125F);
    vf x[2], t[2], n[2], r[2], q[2], power[2];
    (void)unused;
    BOTH(x, in[i]);
    BOTH(t, v_fnma(x[i], v_set1(EXP_LOG2E / (8 * EXP_UNIT)), magic));
    BOTH(n, v_sub(magic, t[i]));
    BOTH(r, v_fnma(n[i], v_set1(EXP_LN2 * (8 * EXP_UNIT)), x[i]));
    *bits = v_bits_or(*bits, t[0], t[1]);
    BOTH(power, _mm512_permutexvar_ps(_mm512_castps_si512(t[i]), entries));
    BOTH(q, v_fma(r[i], v_set1(EXP_C3), v_set1(EXP_C2)));
    BOTH(q, v_fma(q[i], r[i], v_set1(EXP_C1)));
    BOTH(r, v_mul(power[i], r[i]));
    BOTH(e, v_fma(r[i], q[i], power[i]));
    e[0] = _mm512_scalef_ps(e[0], n[0]);
    e[1] = _mm512_scalef_ps(e[1], n[1]);
}
#undef BOTH

LP_INLINE vu v_bits_zero(void)
{
    return _mm512_setzero_si512();
}
LP_INLINE int v_bits_test(vu acc, uint32_t mask)
{
    return _mm512_test_epi32_mask(acc, _mm512_set1_epi32((int)mask)) != 0;
}
LP_INLINE vf v_copysign(vf magnitude, vf sign)
{
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_set1_epi32(0x7FFFFFFF), _mm512_castps_si512(magnitude),
                                                         _mm512_castps_si512(sign), 0xCA));
}
LP_INLINE vf v_where_ge(vf a, vf b, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GE_OQ), no, yes);
}
LP_INLINE vf v_zero_where_ge(vf a, vf b, vf x)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_NGE_UQ), x);
}
LP_INLINE vf v_keep_bits(vf x, uint32_t bits, vf other)
{
    return _mm512_mask_mov_ps(other, (__mmask16)bits, x);
}
/* column c of a set: where the set's word of a mask has a bit the larger of both, else the first; x, else 0 */
LP_INLINE vf v_max_allowed(vf max, vf x, const uint32_t *set, int c)
{
    return _mm512_mask_max_ps(max, (__mmask16)(*set >> c * LP_WIDTH), x, max);
}
LP_INLINE vf v_allowed_else_0(vf x, const uint32_t *set, int c)
{
    return _mm512_maskz_mov_ps((__mmask16)(*set >> c * LP_WIDTH), x);
}
LP_INLINE uint32_t v_mask_ge(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
LP_INLINE uint32_t v_mask_gt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
/* above, or NaN */
LP_INLINE uint32_t v_mask_not_le(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_NLE_UQ);
}
/* where either is NaN */
LP_INLINE uint32_t v_mask_nan(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q);
}
LP_INLINE vu v_count_gt(vu acc, vf a, vf b)
{
    /* gcc copies the counter first, where the operation itself may change it */
    const __mmask16 k = _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
    __asm__("vpaddd %2, %0, %0 %{%1%}" : "+v"(acc) : "Yk"(k), "v"(_mm512_set1_epi32(1)));
    return acc;
}
LP_INLINE vu v_count_ge(vu acc, vf a, vf b)
{
    return _mm512_mask_add_epi32(acc, _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ), acc, _mm512_set1_epi32(1));
}
LP_INLINE uint32_t v_count_sum(vu acc)
{
    return (uint32_t)_mm512_reduce_add_epi32(acc);
}
LP_INLINE float v_max_lanes(vf a)
{
    return _mm512_reduce_max_ps(a);
}
LP_INLINE float v_min_lanes(vf a)
{
    return _mm512_reduce_min_ps(a);
}
#define LP_OWN_COMPRESS /* core/top.h; in registers: into memory it is microcode on Zen 4 */
LP_INLINE uint32_t v_first_bits(size_t n)
{
    return n < LP_WIDTH ? (1U << n) - 1 : 0xFFFF;
}
LP_INLINE vf v_compress(vf x, uint32_t mask)
{
    return _mm512_maskz_compress_ps((__mmask16)mask, x);
}
/* first, first + 1 ... as the bits of floats */
LP_INLINE vf v_ids(int32_t first)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_set1_epi32(first), lane));
}
/* What a lane has above the bound, and the ids, of which the first element's is given, one after another; what follows them is overwritten.
 * Returns how many. */
LP_INLINE size_t v_lane_take(float *x, int32_t *id, vf lane, vf bound, int32_t first)
{
    const __m256i set = _mm256_setr_epi32(0, LP_LANES, 2 * LP_LANES, 3 * LP_LANES, 4 * LP_LANES, 5 * LP_LANES,
                                          6 * LP_LANES, 7 * LP_LANES);
    const __m256 a = _mm512_castps512_ps256(lane);
    const __m256i ids = _mm256_add_epi32(_mm256_set1_epi32(first), set);
    const __mmask8 mask = _mm256_cmp_ps_mask(a, _mm512_castps512_ps256(bound), _CMP_GT_OQ);
    _mm256_storeu_ps(x, _mm256_maskz_compress_ps(mask, a));
    _mm256_storeu_si256((__m256i *)(void *)id, _mm256_maskz_compress_epi32(mask, ids));
    return (size_t)__builtin_popcount(mask);
}
#define LP_OWN_FIRST /* core/top.h */
LP_INLINE __mmask16 first_lanes(size_t n)
{
    return (__mmask16)v_first_bits(n);
}
LP_INLINE vf v_load_first(const float *p, size_t n, vf other)
{
    return _mm512_mask_loadu_ps(other, first_lanes(n), p);
}
LP_INLINE void v_store_first(float *p, vf x, size_t n)
{
    if (n >= LP_WIDTH) {
        v_store(p, x); /* what is written under a mask cannot be read again until it has reached the cache */
    } else {
        _mm512_mask_storeu_ps(p, first_lanes(n), x);
    }
}
#define LP_OWN_CELL /* core/push.h */
LP_INLINE uint64_t v_cell_put(unsigned char *to, const unsigned char *from)
{
    const __m512i a = _mm512_loadu_si512(from), b = _mm512_loadu_si512(from + 64);
    const __m512i c = _mm512_loadu_si512(from + 128), d = _mm512_loadu_si512(from + 192);
    _mm512_storeu_si512(to, a);
    _mm512_storeu_si512(to + 64, b);
    _mm512_storeu_si512(to + 128, c);
    _mm512_storeu_si512(to + 192, d);
    const __m512i all = _mm512_add_epi64(_mm512_add_epi64(a, b), _mm512_add_epi64(c, d));
    const __m256i half = _mm256_add_epi64(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two)));
}
#define LP_OWN_PICK /* core/top.h: of 32 floats those that the bytes number */
LP_INLINE vf v_pick(const float *x, const unsigned char *from)
{
    const __m512i at = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
    return _mm512_permutex2var_ps(_mm512_loadu_ps(x), at, _mm512_loadu_ps(x + 16));
}
/* x one lane on, and into the first the last of `before` */
LP_INLINE vf v_shift_in(vf before, vf x)
{
    return _mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(x), _mm512_castps_si512(before), LP_WIDTH - 1));
}
/* where (x, id) is ahead of (y, other) in a list: larger, or equal with a lower id */
LP_INLINE vf v_where_ahead(vf x, vf id, vf y, vf other, vf yes, vf no)
{
    __mmask16 equal = _mm512_cmp_ps_mask(x, y, _CMP_EQ_OQ);
    __mmask16 lower = _mm512_mask_cmplt_epi32_mask(equal, _mm512_castps_si512(id), _mm512_castps_si512(other));
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_GT_OQ) | lower, no, yes);
}
LP_INLINE vf v_load_bf16(const uint16_t *p)
{
    /* into the upper half of each lane, zeros below it: one operation where extending and shifting are two */
    static const uint16_t place[32] = {0, 0, 0, 1, 0, 2,  0, 3,  0, 4,  0, 5,  0, 6,  0, 7,
                                       0, 8, 0, 9, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15};
    __m512i half = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)p));
    __mmask32 upper = 0xAAAAAAAA;
    __asm__("" : "+k"(upper)); /* clang, which knows the mask, makes two operations of this again */
    return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(upper, _mm512_loadu_si512(place), half));
}
LP_INLINE vf v_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
/* Every other element of a set of bf16 as floats, from the first or the second on: one operation on every CPU. */
#define LP_WOVEN 1
LP_INLINE vf v_load_woven(const uint16_t *set, int second)
{
    const vu two = _mm512_loadu_si512(set);
    return _mm512_castsi512_ps(second ? _mm512_and_epi32(two, _mm512_set1_epi32(-65536)) : _mm512_slli_epi32(two, 16));
}
#define LP_HALVES 32 /* core/halves.h */
LP_INLINE vf v_load_lane_halves(const uint16_t *p, int bf16)
{
    return _mm512_zextps256_ps512(lane_of_halves(p, bf16));
}
LP_INLINE vu v_halves_load(const uint16_t *p)
{
    return _mm512_loadu_si512(p);
}
LP_INLINE vu v_halves_set1(uint16_t x)
{
    return _mm512_set1_epi16((int16_t)x);
}
LP_INLINE vu v_halves_max(vu a, vu b)
{
    return _mm512_max_epi16(a, b);
}
LP_INLINE vu v_halves_min(vu a, vu b)
{
    return _mm512_min_epi16(a, b);
}
/* clang makes a register of the mask, and subtracts that */
LP_INLINE vu halves_count(vu acc, __mmask32 k)
{
    __asm__("vpaddw %2, %0, %0 %{%1%}" : "+v"(acc) : "Yk"(k), "v"(_mm512_set1_epi16(1)));
    return acc;
}
LP_INLINE vu v_halves_count_gt(vu acc, vu a, vu b)
{
    return halves_count(acc, _mm512_cmpgt_epi16_mask(a, b));
}
LP_INLINE vu v_halves_count_below(vu acc, vu a, vu b)
{
    return halves_count(acc, _mm512_cmplt_epu16_mask(a, b));
}
/* a bit for each of a set that is above the bound; or below it, as unsigned integers */
LP_INLINE uint32_t v_halves_mask(const uint16_t *set, vu bound, int below)
{
    const vu a = v_halves_load(set);
    return below ? _mm512_cmplt_epu16_mask(a, bound) : _mm512_cmpgt_epi16_mask(a, bound);
}
LP_INLINE vu v_halves_count_add(vu acc, vu halves)
{
    return _mm512_add_epi32(acc, _mm512_madd_epi16(halves, _mm512_set1_epi16(1)));
}
/* the largest or the smallest of signed integers, by the instruction for the smallest unsigned one of eight */
LP_INLINE int32_t v_halves_extreme(vu a, int smallest)
{
    const __m128i flip = _mm_set1_epi16((int16_t)(smallest ? 0x8000 : 0x7FFF));
    const vu b = _mm512_xor_si512(a, _mm512_broadcastd_epi32(flip));
    const __m256i half = _mm256_min_epu16(_mm512_castsi512_si256(b), _mm512_extracti64x4_epi64(b, 1));
    const __m128i least =
        _mm_minpos_epu16(_mm_min_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
    return (int16_t)_mm_cvtsi128_si32(_mm_xor_si128(least, flip));
}
LP_INLINE void v_store_past_cache(float *p, vf x)
{
    _mm512_stream_ps(p, x);
}

/* n = 1, 2, 4 or 8 of them */
LP_INLINE __m512d groups_sum(__m512d g[8], int n)
{
    LP_UNROLL for (int i = 0; i < 4; i++)
    {
        g[i] = 2 * i + 1 < n ? _mm512_add_pd(g[2 * i], g[2 * i + 1]) : g[2 * i];
    }
    g[0] = n > 2 ? _mm512_add_pd(g[0], g[1]) : g[0];
    return n > 4 ? _mm512_add_pd(g[0], _mm512_add_pd(g[2], g[3])) : g[0];
}

/* lanes 0 and 4, 1 and 5 ... of eight, then those sums in the same way */
LP_INLINE __m128d lanes_fold(__m512d a)
{
    const __m256d b = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    return _mm_add_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));
}

/* eight lanes in double over n = 1, 2, 4 or 8 groups; the load converts, which saves the shuffle that a register source
 * would need */
LP_INLINE __m512d sum_lanes(const float *groups, int n)
{
    __m512d g[8];
    LP_UNROLL for (int i = 0; i < 8; i++)
    {
        g[i] = i < n ? _mm512_cvtps_pd(_mm256_loadu_ps(groups + i * LP_LANES)) : _mm512_setzero_pd();
    }
    return groups_sum(g, n);
}

LP_INLINE double v_sum_groups(const float *groups, int n)
{
    __m512d a = _mm512_add_pd(sum_lanes(groups, n), sum_lanes(groups + 16, n));
    __m512d b = _mm512_add_pd(sum_lanes(groups + 8, n), sum_lanes(groups + 24, n));
    const __m128d d = lanes_fold(_mm512_add_pd(a, b));
    return _mm_cvtsd_f64(_mm_add_sd(d, _mm_unpackhi_pd(d, d)));
}

/* That of a whole block, without conversions: these take the additions' pipes on Zen 4, products of integers do not. A float's bits
 * times 2^29 are those of a double that is 2^896 times smaller. */
#define LP_OWN_SUM_BLOCK
/* even and odd ones of sixteen lanes; where `s` is given, settled as lanes_settle does it */
LP_INLINE void sum_halves(const float *groups, const float *s, const float *high, float top, __m512d sum[2])
{
    __m512d g[2][8];
    __m512i up = _mm512_set1_epi64(INT64_C(1) << 29);
    __asm__("" : "+v"(up)); /* or clang makes shifts of it */
    LP_UNROLL for (int i = 0; i < 8; i++)
    {
        __m512 x = v_load(groups + i * LP_LANES);
        if (s != NULL) {
            x = v_fma(v_load(s + i * LP_LANES), v_sub(v_set1(top), v_load(high + i * LP_LANES)), x);
        }
        g[0][i] = _mm512_castsi512_pd(_mm512_mul_epu32(_mm512_castps_si512(x), up));
        g[1][i] = _mm512_castsi512_pd(_mm512_mul_epu32(_mm512_castps_si512(_mm512_movehdup_ps(x)), up));
    }
    sum[0] = groups_sum(g[0], 8);
    sum[1] = groups_sum(g[1], 8);
    __asm__ volatile("" ::: "memory"); /* or gcc keeps what was loaded here, on the stack, for who loads it again */
}

/* two each of a and of b */
LP_INLINE __m128d fold_two(__m512d a, __m512d b)
{
    const __m128d c = lanes_fold(a), d = lanes_fold(b);
    return _mm_add_pd(_mm_unpacklo_pd(c, d), _mm_unpackhi_pd(c, d));
}

/* Of woven lanes these are 0, 4, 8 ..., 2, 6 ...; 1, 5 ..., 3, 7 ...: what is added first is in one register, not in two. */
LP_INLINE double fold_halves(const __m512d first[2], const __m512d second[2], int woven)
{
    const __m128d even = woven ? fold_two(first[0], first[1]) : lanes_fold(_mm512_add_pd(first[0], second[0]));
    const __m128d odd = woven ? fold_two(second[0], second[1]) : lanes_fold(_mm512_add_pd(first[1], second[1]));
    const __m128d c = _mm_add_pd(_mm_unpacklo_pd(even, odd), _mm_unpackhi_pd(even, odd));
    return 0x1p896 * _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
}

LP_INLINE double v_sum_block(const float *groups, int woven)
{
    __m512d first[2], second[2];
    sum_halves(groups, NULL, NULL, 0, first);
    sum_halves(groups + 16, NULL, NULL, 0, second);
    return fold_halves(first, second, woven);
}

LP_INLINE double v_sum_settled(const float *q, const float *s, const float *tops, float top, int woven)
{
    __m512d first[2], second[2];
    sum_halves(q, s, tops, top, first);
    sum_halves(q + 16, s + 16, tops + 16, top, second);
    return fold_halves(first, second, woven);
}

SLEEF_VECTOR __m512d Sleef_cinz_expd8_u10avx512fnofma(__m512d x);
SLEEF_VECTOR __m512d Sleef_cinz_log1pd8_u10avx512fnofma(__m512d x);

enum { LP_DOUBLES = 8 };
LP_INLINE void v_exp_doubles(double *x)
{
    _mm512_storeu_pd(x, Sleef_cinz_expd8_u10avx512fnofma(_mm512_loadu_pd(x)));
}
LP_INLINE void v_log1p_doubles(double *x)
{
    _mm512_storeu_pd(x, Sleef_cinz_log1pd8_u10avx512fnofma(_mm512_loadu_pd(x)));
}
#endif
