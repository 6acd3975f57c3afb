/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 32 virtual lanes on AVX-512: two zmm registers. */
#ifndef LP_AVX512_LANES_H
#define LP_AVX512_LANES_H
#include "core/lanes_common.h"
#include <immintrin.h>

enum { LP_WIDTH = 16 };
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
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_slli_epi32(b, 20), _mm512_permutexvar_epi32(b, entries)));
}
LP_INLINE vu v_bits_zero(void)
{
    return _mm512_setzero_si512();
}
LP_INLINE vu v_bits_or(vu acc, vf a, vf b)
{
    return _mm512_ternarylogic_epi32(acc, _mm512_castps_si512(a), _mm512_castps_si512(b), 0xFE);
}
LP_INLINE int v_bits_test(vu acc, uint32_t mask)
{
    return _mm512_test_epi32_mask(acc, _mm512_set1_epi32((int)mask)) != 0;
}
LP_INLINE vf v_copysign(vf magnitude, vf sign)
{
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_set1_epi32(0x7FFFFFFF),
                                                         _mm512_castps_si512(magnitude),
                                                         _mm512_castps_si512(sign), 0xCA));
}
LP_INLINE vf v_zero_unless_ge(vf value, vf x, vf limit)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_GE_OQ), value);
}
LP_INLINE vf v_keep_bits(vf x, uint32_t bits, vf other)
{
    return _mm512_mask_mov_ps(other, (__mmask16)bits, x);
}
LP_INLINE uint32_t v_mask_ge(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
LP_INLINE uint32_t v_mask_gt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
LP_INLINE uint32_t v_mask_nan(vf a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}
LP_INLINE vu v_count_gt(vu acc, vf a, vf b)
{
    return _mm512_mask_add_epi32(acc, _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), acc, _mm512_set1_epi32(1));
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
LP_INLINE vf v_load_bf16(const uint16_t *p)
{
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p)), 16));
}
LP_INLINE vf v_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
LP_INLINE void v_prefetch(const void *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T0);
}
LP_INLINE void v_store_past_cache(float *p, vf x)
{
    _mm512_stream_ps(p, x);
}
LP_INLINE void v_fence(void)
{
    _mm_sfence();
}

/* eight lanes in double over n groups; the load converts, which saves the shuffle that a register source would need */
LP_INLINE __m512d sum_eight(const float *groups, int n)
{
    __m512d a = _mm512_cvtps_pd(_mm256_loadu_ps(groups));
    if (n == 1) {
        return a;
    }
    a = _mm512_add_pd(a, _mm512_cvtps_pd(_mm256_loadu_ps(groups + LP_LANES)));
    if (n == 2) {
        return a;
    }
    __m512d b = _mm512_cvtps_pd(_mm256_loadu_ps(groups + 2 * LP_LANES));
    if (n == 4) {
        b = _mm512_add_pd(b, _mm512_cvtps_pd(_mm256_loadu_ps(groups + 3 * LP_LANES)));
    }
    return _mm512_add_pd(a, b);
}

LP_INLINE double v_sum_groups(const float *groups, int n)
{
    __m512d a = _mm512_add_pd(sum_eight(groups, n), sum_eight(groups + 16, n));
    __m512d b = _mm512_add_pd(sum_eight(groups + 8, n), sum_eight(groups + 24, n));
    a = _mm512_add_pd(a, b);
    __m256d c = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d d = _mm_add_pd(_mm256_castpd256_pd128(c), _mm256_extractf128_pd(c, 1));
    return _mm_cvtsd_f64(_mm_add_sd(d, _mm_unpackhi_pd(d, d)));
}
#endif
