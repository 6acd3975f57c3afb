/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the machine allows: a read-only scan for the maximum, in the vector width of each ISA. */
#include "max_scan.h"
#include <math.h>

static float larger(float a, float b)
{
    return a > b ? a : b;
}

static float scan_tail(const float *x, size_t n, float best)
{
    for (size_t i = 0; i < n; i++)
        best = larger(x[i], best);
    return best;
}

/* 32 independent maxima: the compiler holds them in 8 registers of the baseline's 4 lanes. */
static float scan_portable(const float *x, size_t n)
{
    float lane[32], best = -INFINITY;
    size_t i = 0;
    for (size_t j = 0; j < 32; j++)
        lane[j] = -INFINITY;
    for (; i + 32 <= n; i += 32)
        for (size_t j = 0; j < 32; j++)
            lane[j] = larger(x[i + j], lane[j]);
    for (size_t j = 0; j < 32; j++)
        best = larger(lane[j], best);
    return scan_tail(x + i, n - i, best);
}

#if defined(__x86_64__)
#include <immintrin.h>

/* `lanes` reduces one vector; the eight of them are first reduced to it as a tree, so that short rows are not all tail. */
#define SCAN_BODY(suffix, vector, width, load, set, max, lanes)                                                        \
    static float scan_##suffix(const float *x, size_t n)                                                               \
    {                                                                                                                  \
        vector a[8];                                                                                                   \
        for (int j = 0; j < 8; j++)                                                                                    \
            a[j] = set(-INFINITY);                                                                                     \
        size_t i = 0;                                                                                                  \
        for (; i + 8 * width <= n; i += 8 * width) {                                                                   \
            a[0] = max(load(x + i), a[0]);                                                                             \
            a[1] = max(load(x + i + width), a[1]);                                                                     \
            a[2] = max(load(x + i + 2 * width), a[2]);                                                                 \
            a[3] = max(load(x + i + 3 * width), a[3]);                                                                 \
            a[4] = max(load(x + i + 4 * width), a[4]);                                                                 \
            a[5] = max(load(x + i + 5 * width), a[5]);                                                                 \
            a[6] = max(load(x + i + 6 * width), a[6]);                                                                 \
            a[7] = max(load(x + i + 7 * width), a[7]);                                                                 \
        }                                                                                                              \
        for (; i + width <= n; i += width)                                                                             \
            a[0] = max(load(x + i), a[0]);                                                                             \
        vector b = max(max(max(a[0], a[1]), max(a[2], a[3])), max(max(a[4], a[5]), max(a[6], a[7])));                  \
        return scan_tail(x + i, n - i, lanes(b));                                                                      \
    }

__attribute__((target("avx2"))) static float lanes_avx2(__m256 v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* clang-format off */
__attribute__((target("avx2")))
SCAN_BODY(avx2, __m256, 8, _mm256_loadu_ps, _mm256_set1_ps, _mm256_max_ps, lanes_avx2)

__attribute__((target("avx512f")))
SCAN_BODY(avx512, __m512, 16, _mm512_loadu_ps, _mm512_set1_ps, _mm512_max_ps, _mm512_reduce_max_ps)
/* clang-format on */
#endif

        max_scan limit_scan(lp_isa isa)
{
#if defined(__x86_64__)
    if (isa == LP_ISA_AVX512)
        return scan_avx512;
    if (isa == LP_ISA_AVX2)
        return scan_avx2;
#endif
    (void)isa;
    return scan_portable; /* NEON is the baseline of its processor */
}
