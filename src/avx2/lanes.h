/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 32 virtual lanes on AVX2 with FMA and F16C: four ymm registers. */
#ifndef LP_AVX2_LANES_H
#define LP_AVX2_LANES_H
#include "core/lanes_x86.h"
#include "sleef.h"

enum { LP_WIDTH = 8 };
#define LP_EXACT_LIST 10 /* core/scan.h */
typedef __m256 vf;
typedef __m256i vu;

LP_INLINE vf v_set1(float x)
{
    return _mm256_set1_ps(x);
}
LP_INLINE vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
LP_INLINE vf v_load_lane(const float *p)
{
    return lane_of_floats(p);
}
LP_INLINE void v_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}
LP_INLINE vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
LP_INLINE vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
LP_INLINE vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
LP_INLINE vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
LP_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
LP_INLINE vf v_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
LP_INLINE vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
LP_INLINE vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
LP_INLINE float v_first(vf x)
{
    return _mm256_cvtss_f32(x);
}
LP_INLINE vf v_exp_table(vf t)
{
    static const uint32_t table[8] = EXP_TABLE;
    __m256i entries = _mm256_loadu_si256((const __m256i *)table);
    __m256i b = _mm256_castps_si256(t);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32(b, 20), _mm256_permutevar8x32_epi32(entries, b)));
}
/* the additions of a pair when it is done: both compilers would keep them, and their spilled terms, for later */
#define LP_FINISH(v) __asm__ volatile("" : "+x"(v))
#ifdef __clang__
#define LP_FOUND(v) /* it has a better order */
#else               /* clang does so where that is better */
#define LP_LOADED(v) __asm__("" : "+x"(v))
#endif

LP_INLINE vu v_bits_zero(void)
{
    return _mm256_setzero_si256();
}
LP_INLINE vu v_bits_or(vu acc, vf a, vf b)
{
    acc = _mm256_or_si256(acc, _mm256_castps_si256(a));
    acc = _mm256_or_si256(acc, _mm256_castps_si256(b));
    /* here and now: gcc gathers the operations of a whole group at its end and spills every t until then */
    __asm__("" : "+x"(acc));
    return acc;
}
/* the bits in which a and b differ, too */
LP_INLINE vu v_bits_unlike(vu acc, vf a, vf b)
{
    return _mm256_or_si256(acc, _mm256_castps_si256(_mm256_xor_ps(a, b)));
}
LP_INLINE int v_bits_test(vu acc, uint32_t mask)
{
    return !_mm256_testz_si256(acc, _mm256_set1_epi32((int)mask));
}
LP_INLINE vf v_copysign(vf magnitude, vf sign)
{
    __m256 bit = _mm256_set1_ps(-0.0F);
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}
LP_INLINE vf v_where_ge(vf a, vf b, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GE_OQ));
}
LP_INLINE vf v_zero_where_ge(vf a, vf b, vf x)
{
    return _mm256_andnot_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ), x);
}
LP_INLINE vf v_keep_bits(vf x, uint32_t bits, vf other)
{
    const __m256i lane_bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)bits), lane_bit), lane_bit);
    return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(set));
}
/* a table's entries, of(0) to of(255) */
#define OF_4(of, b) of(b), of((b) + 1), of((b) + 2), of((b) + 3)
#define OF_16(of, b) OF_4(of, b), OF_4(of, (b) + 4), OF_4(of, (b) + 8), OF_4(of, (b) + 12)
#define OF_64(of, b) OF_16(of, b), OF_16(of, (b) + 16), OF_16(of, (b) + 32), OF_16(of, (b) + 48)
#define OF_EACH_BYTE(of) OF_64(of, 0), OF_64(of, 64), OF_64(of, 128), OF_64(of, 192)
/* all bits of the lanes that a byte does not name: loaded, where making them of the byte is two operations for each use */
#define ABSENT(byte, lane) ((byte) >> (lane)&1 ? 0 : -1)
#define ABSENT_OF(b)                                                                                                   \
    {                                                                                                                  \
        ABSENT(b, 0), ABSENT(b, 1), ABSENT(b, 2), ABSENT(b, 3), ABSENT(b, 4), ABSENT(b, 5), ABSENT(b, 6), ABSENT(b, 7) \
    }
LP_INLINE vf lanes_absent(const uint32_t *set, int c)
{
    static const _Alignas(64) int32_t absent[256][LP_WIDTH] = {OF_EACH_BYTE(ABSENT_OF)};
    return _mm256_load_ps((const float *)(const void *)absent[((const unsigned char *)set)[c]]);
}
/* column c of a set: where the set's word of a mask has a bit the larger of both, else the first; x, else 0 */
LP_INLINE vf v_max_allowed(vf max, vf x, const uint32_t *set, int c)
{
    /* all bits are NaN, instead of which the instruction takes its second operand */
    return _mm256_max_ps(_mm256_or_ps(x, lanes_absent(set, c)), max);
}
LP_INLINE vf v_allowed_else_0(vf x, const uint32_t *set, int c)
{
    return _mm256_andnot_ps(lanes_absent(set, c), x);
}
LP_INLINE uint32_t v_mask_ge(vf a, vf b)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ));
}
LP_INLINE uint32_t v_mask_gt(vf a, vf b)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ));
}
/* above, or NaN */
LP_INLINE uint32_t v_mask_not_le(vf a, vf b)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NLE_UQ));
}
/* where either is NaN */
LP_INLINE uint32_t v_mask_nan(vf a, vf b)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_UNORD_Q));
}
LP_INLINE vu v_count_gt(vu acc, vf a, vf b)
{
    return _mm256_sub_epi32(acc, _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GT_OQ)));
}
LP_INLINE vu v_count_ge(vu acc, vf a, vf b)
{
    return _mm256_sub_epi32(acc, _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GE_OQ)));
}
LP_INLINE uint32_t v_count_sum(vu acc)
{
    __m128i a = _mm_add_epi32(_mm256_castsi256_si128(acc), _mm256_extracti128_si256(acc, 1));
    a = _mm_add_epi32(a, _mm_shuffle_epi32(a, _MM_SHUFFLE(1, 0, 3, 2)));
    a = _mm_add_epi32(a, _mm_shuffle_epi32(a, _MM_SHUFFLE(2, 3, 0, 1)));
    return (uint32_t)_mm_cvtsi128_si32(a);
}
LP_INLINE float v_max_lanes(vf x)
{
    __m128 a = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    a = _mm_max_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_max_ss(a, _mm_movehdup_ps(a)));
}
LP_INLINE float v_min_lanes(vf x)
{
    __m128 a = _mm_min_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    a = _mm_min_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_min_ss(a, _mm_movehdup_ps(a)));
}
#define LP_OWN_COMPRESS /* core/top.h: by a table of permutations */
LP_INLINE uint32_t v_first_bits(size_t n)
{
    return n < LP_WIDTH ? (1U << n) - 1 : 0xFF;
}
/* the lanes that a mask names, in order, three bits each from the lowest on */
#define NAMED(mask, lane) ((mask) >> (lane)&1 ? (lane) << 3 * NAMED_BELOW(mask, lane) : 0)
#define NAMED_BELOW(mask, lane) BITS_OF_8((mask) & ((1 << (lane)) - 1))
#define BITS_OF_8(b) (BITS_OF_4(b) + BITS_OF_4((b) >> 4))
#define BITS_OF_4(b) ((b) % 2 + ((b) >> 1) % 2 + ((b) >> 2) % 2 + ((b) >> 3) % 2)
#define NAMED_OF(m)                                                                                                    \
    (NAMED(m, 0) | NAMED(m, 1) | NAMED(m, 2) | NAMED(m, 3) | NAMED(m, 4) | NAMED(m, 5) | NAMED(m, 6) | NAMED(m, 7))
LP_INLINE vf v_compress(vf x, uint32_t mask)
{
    static const int32_t named[256] = {OF_EACH_BYTE(NAMED_OF)};
    const __m256i shift = _mm256_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21);
    return _mm256_permutevar8x32_ps(x, _mm256_srlv_epi32(_mm256_set1_epi32(named[mask]), shift));
}
/* first, first + 1 ... as the bits of floats */
LP_INLINE vf v_ids(int32_t first)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_set1_epi32(first), lane));
}
/* What a lane has above the bound, and the ids, of which the first element's is given, one after another; what follows them is overwritten.
 * Returns how many. */
LP_INLINE size_t v_lane_take(float *x, int32_t *id, vf lane, vf bound, int32_t first)
{
    const __m256i set = _mm256_setr_epi32(0, LP_LANES, 2 * LP_LANES, 3 * LP_LANES, 4 * LP_LANES, 5 * LP_LANES,
                                          6 * LP_LANES, 7 * LP_LANES);
    const vf ids = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_set1_epi32(first), set));
    const uint32_t mask = v_mask_gt(lane, bound);
    v_store(x, v_compress(lane, mask));
    v_store((float *)(void *)id, v_compress(ids, mask));
    return (size_t)__builtin_popcount(mask);
}
/* x one lane on, and into the first the last of `before` */
LP_INLINE vf v_shift_in(vf before, vf x)
{
    const __m256i low = _mm256_castps_si256(_mm256_permute2f128_ps(before, x, 0x21));
    return _mm256_castsi256_ps(_mm256_alignr_epi8(_mm256_castps_si256(x), low, 12));
}
/* where (x, id) is ahead of (y, other) in a list: larger, or equal with a lower id */
LP_INLINE vf v_where_ahead(vf x, vf id, vf y, vf other, vf yes, vf no)
{
    const vf lower = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_castps_si256(other), _mm256_castps_si256(id)));
    const vf equal = _mm256_and_ps(_mm256_cmp_ps(x, y, _CMP_EQ_OQ), lower);
    return _mm256_blendv_ps(no, yes, _mm256_or_ps(_mm256_cmp_ps(x, y, _CMP_GT_OQ), equal));
}
LP_INLINE vf v_load_bf16(const uint16_t *p)
{
    /* all eight to both halves of the register, which the load does, then each into the upper half of its lane */
    const __m256i place = _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7, -1, -1, 8, 9, -1, -1,
                                           10, 11, -1, -1, 12, 13, -1, -1, 14, 15);
    __m128i half = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm256_castsi256_ps(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(half), place));
}
LP_INLINE vf v_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
#define LP_HALVES 16 /* core/halves.h */
LP_INLINE vf v_load_lane_halves(const uint16_t *p, int bf16)
{
    return lane_of_halves(p, bf16);
}
LP_INLINE vu v_halves_load(const uint16_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
LP_INLINE vu v_halves_set1(uint16_t x)
{
    return _mm256_set1_epi16((int16_t)x);
}
LP_INLINE vu v_halves_max(vu a, vu b)
{
    return _mm256_max_epi16(a, b);
}
LP_INLINE vu v_halves_min(vu a, vu b)
{
    return _mm256_min_epi16(a, b);
}
/* Unsigned integers as signed ones in their order. clang, if it knew, would take the larger of two and compare that. */
LP_INLINE vu halves_flip(vu a)
{
    vu sign = v_halves_set1(0x8000);
    __asm__("" : "+x"(sign));
    return _mm256_xor_si256(a, sign);
}
LP_INLINE vu v_halves_count_gt(vu acc, vu a, vu b)
{
    return _mm256_sub_epi16(acc, _mm256_cmpgt_epi16(a, b));
}
LP_INLINE vu v_halves_count_below(vu acc, vu a, vu b)
{
    return v_halves_count_gt(acc, halves_flip(b), halves_flip(a));
}
/* a bit for each of a set that is above the bound; or below it, as unsigned integers */
LP_INLINE uint32_t v_halves_mask(const uint16_t *set, vu bound, int below)
{
    vu passed[2];
    LP_UNROLL for (int i = 0; i < 2; i++)
    {
        const vu a = v_halves_load(set + i * 16);
        passed[i] = below ? _mm256_cmpgt_epi16(halves_flip(bound), halves_flip(a)) : _mm256_cmpgt_epi16(a, bound);
    }
    const vu bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(passed[0], passed[1]), _MM_SHUFFLE(3, 1, 2, 0));
    return (uint32_t)_mm256_movemask_epi8(bytes);
}
LP_INLINE vu v_halves_count_add(vu acc, vu halves)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(halves, _mm256_set1_epi16(1)));
}
/* the largest or the smallest of signed integers, by the instruction for the smallest unsigned one of eight */
LP_INLINE int32_t v_halves_extreme(vu a, int smallest)
{
    const __m128i flip = _mm_set1_epi16((int16_t)(smallest ? 0x8000 : 0x7FFF));
    const __m128i low = _mm_xor_si128(_mm256_castsi256_si128(a), flip);
    const __m128i least = _mm_minpos_epu16(_mm_min_epu16(low, _mm_xor_si128(_mm256_extracti128_si256(a, 1), flip)));
    return (int16_t)_mm_cvtsi128_si32(_mm_xor_si128(least, flip));
}
LP_INLINE void v_store_past_cache(float *p, vf x)
{
    _mm256_stream_ps(p, x);
}

/* four lanes in double over n = 1, 2, 4 or 8 groups */
LP_INLINE __m256d sum_lanes(const float *groups, int n)
{
    __m256d g[4];
    LP_UNROLL for (int i = 0; i < 4; i++)
    {
        const float *at = groups + 2 * i * LP_LANES;
        g[i] = 2 * i < n ? _mm256_cvtps_pd(_mm_loadu_ps(at)) : _mm256_setzero_pd();
        g[i] = 2 * i + 1 < n ? _mm256_add_pd(g[i], _mm256_cvtps_pd(_mm_loadu_ps(at + LP_LANES))) : g[i];
    }
    g[0] = n > 2 ? _mm256_add_pd(g[0], g[1]) : g[0];
    g[0] = n > 4 ? _mm256_add_pd(g[0], _mm256_add_pd(g[2], g[3])) : g[0];
    /* here and now: gcc converts all groups of all lanes first and spills them */
    __asm__ volatile("" : "+x"(g[0]) : : "memory");
    return g[0];
}

LP_INLINE double v_sum_groups(const float *groups, int n)
{
    __m256d s[4];
    LP_UNROLL for (int i = 0; i < 4; i++)
    {
        s[i] = _mm256_add_pd(sum_lanes(groups + 4 * i, n), sum_lanes(groups + 16 + 4 * i, n));
    }
    __m256d a = _mm256_add_pd(_mm256_add_pd(s[0], s[2]), _mm256_add_pd(s[1], s[3]));
    __m128d d = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(d, _mm_unpackhi_pd(d, d)));
}

/* One bit an element of the 32 at x: a > limit, or a >= limit, or not a <= limit. Packed first: a mask of bytes is one operation, one of four
 * times eight floats ten. */
#define LP_OWN_SET_MASK
LP_INLINE uint32_t set_mask(const float *x, float limit, int strict)
{
    const __m256 l = v_set1(limit);
    __m256i bits[4];
    LP_UNROLL for (int c = 0; c < 4; c++)
    {
        __m256 a = v_load(x + 8 * c);
        bits[c] = _mm256_castps_si256(strict == OR_NAN ? _mm256_cmp_ps(a, l, _CMP_NLE_UQ)
                                      : strict         ? _mm256_cmp_ps(a, l, _CMP_GT_OQ)
                                                       : _mm256_cmp_ps(a, l, _CMP_GE_OQ));
    }
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(bits[0], bits[1]), _mm256_packs_epi32(bits[2], bits[3]));
    /* packing leaves the halves of the registers apart */
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    return (uint32_t)_mm256_movemask_epi8(bytes);
}

SLEEF_VECTOR __m256d Sleef_cinz_expd4_u10avx(__m256d x);
SLEEF_VECTOR __m256d Sleef_cinz_log1pd4_u10avx(__m256d x);

enum { LP_DOUBLES = 4 };
LP_INLINE void v_exp_doubles(double *x)
{
    _mm256_storeu_pd(x, Sleef_cinz_expd4_u10avx(_mm256_loadu_pd(x)));
}
LP_INLINE void v_log1p_doubles(double *x)
{
    _mm256_storeu_pd(x, Sleef_cinz_log1pd4_u10avx(_mm256_loadu_pd(x)));
}
#define LP_OWN_CELL /* core/push.h */
LP_INLINE uint64_t v_cell_put(unsigned char *to, const unsigned char *from)
{
    __m256i sum = _mm256_setzero_si256();
    LP_UNROLL for (int i = 0; i < 256; i += 32)
    {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(from + i));
        _mm256_storeu_si256((__m256i *)(void *)(to + i), x);
        sum = i == 0 ? x : _mm256_add_epi64(sum, x);
    }
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two)));
}
#endif
