/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What lanes.h of AVX2 and of AVX-512 share: instructions that have nothing to do with a register's width. */
#ifndef LP_CORE_LANES_X86_H
#define LP_CORE_LANES_X86_H
#include "core/lanes_common.h"
#include <immintrin.h>

LP_INLINE float v_f16_float(uint16_t bits)
{
    return _cvtsh_ss(bits);
}
LP_INLINE uint16_t v_f16_bits(float x)
{
    return _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT);
}
/* Consecutive elements of the lane at p. Loads and blends: what is stored in parts and loaded as a whole waits for the cache, and
 * insertions and shuffles have one port, which comparisons and compressions need. */
LP_INLINE __m256 lane_all(const float *p, size_t set)
{
    __m256 x = _mm256_set1_ps(lane_at(p, set));
#ifdef __clang__
    __asm__("" : "+v"(x)); /* or it makes insertions or gathers of these */
#endif
    return x;
}
LP_INLINE __m256 lane_of_floats(const float *p)
{
    const __m256 a = _mm256_blend_ps(lane_all(p, 0), lane_all(p, 1), 0xAA);
    const __m256 b = _mm256_blend_ps(lane_all(p, 2), lane_all(p, 3), 0xAA);
    const __m256 c = _mm256_blend_ps(lane_all(p, 4), lane_all(p, 5), 0xAA);
    const __m256 d = _mm256_blend_ps(lane_all(p, 6), lane_all(p, 7), 0xAA);
    return _mm256_blend_ps(_mm256_blend_ps(a, b, 0xCC), _mm256_blend_ps(c, d, 0xCC), 0xF0);
}
/* the 16-bit elements of the lane at p; of each other one its neighbour is read, too, for that is a load and no more */
LP_INLINE __m128i lane_halves(const uint16_t *p)
{
    __m128i two[4];
    LP_UNROLL for (size_t i = 0; i < 4; i++)
    {
        int16_t second;
        memcpy(&second, p + (2 * i + 1) * LP_LANES, sizeof second);
        two[i] = _mm_insert_epi16(_mm_loadu_si32(p + 2 * i * LP_LANES), second, 1);
    }
    return _mm_unpacklo_epi64(_mm_unpacklo_epi32(two[0], two[1]), _mm_unpacklo_epi32(two[2], two[3]));
}
/* ... as floats */
LP_INLINE __m256 lane_of_halves(const uint16_t *p, int bf16)
{
    const __m128i x = lane_halves(p);
    return bf16 ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16)) : _mm256_cvtph_ps(x);
}
LP_INLINE void v_prefetch(const void *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T0);
}
LP_INLINE void v_prefetch_far(const void *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T1);
}
#define LP_FETCHES_REST 1 /* core/block.h */
LP_INLINE void v_fence(void)
{
    _mm_sfence();
}
#endif
