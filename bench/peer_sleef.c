/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The three passes with SLEEF's vector expf: what a careful project has without a kernel of its own. */
#include "cases.h"
#include <math.h>

#if defined(__x86_64__)
#include <immintrin.h>
/* Declared here: <sleef.h> shows them only where the whole file is compiled for that ISA. */
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f")))
AVX2 __m256 Sleef_expf8_u10avx2(__m256);
AVX512 __m512 Sleef_expf16_u10avx512f(__m512);

AVX2 static float max_avx2(const float *x, size_t n)
{
    __m256 m = _mm256_set1_ps(-INFINITY);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        m = _mm256_max_ps(_mm256_loadu_ps(x + i), m);
    float lane[8], best = -INFINITY;
    _mm256_storeu_ps(lane, m);
    for (size_t j = 0; j < 8; j++)
        best = fmaxf(best, lane[j]);
    for (; i < n; i++)
        best = fmaxf(best, x[i]);
    return best;
}

AVX2 static float sum_avx2(const float *x, size_t n, float m)
{
    __m256 a = _mm256_setzero_ps(), b = a, shift = _mm256_set1_ps(m);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        a = _mm256_add_ps(a, Sleef_expf8_u10avx2(_mm256_sub_ps(_mm256_loadu_ps(x + i), shift)));
        b = _mm256_add_ps(b, Sleef_expf8_u10avx2(_mm256_sub_ps(_mm256_loadu_ps(x + i + 8), shift)));
    }
    float lane[8], sum = 0;
    _mm256_storeu_ps(lane, _mm256_add_ps(a, b));
    for (size_t j = 0; j < 8; j++)
        sum += lane[j];
    for (; i < n; i++)
        sum += expf(x[i] - m);
    return sum;
}

AVX512 static float max_avx512(const float *x, size_t n)
{
    __m512 m = _mm512_set1_ps(-INFINITY);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        m = _mm512_max_ps(_mm512_loadu_ps(x + i), m);
    float best = _mm512_reduce_max_ps(m);
    for (; i < n; i++)
        best = fmaxf(best, x[i]);
    return best;
}

AVX512 static float sum_avx512(const float *x, size_t n, float m)
{
    __m512 a = _mm512_setzero_ps(), b = a, shift = _mm512_set1_ps(m);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        a = _mm512_add_ps(a, Sleef_expf16_u10avx512f(_mm512_sub_ps(_mm512_loadu_ps(x + i), shift)));
        b = _mm512_add_ps(b, Sleef_expf16_u10avx512f(_mm512_sub_ps(_mm512_loadu_ps(x + i + 16), shift)));
    }
    float sum = _mm512_reduce_add_ps(_mm512_add_ps(a, b));
    for (; i < n; i++)
        sum += expf(x[i] - m);
    return sum;
}

static int wide; /* set once: asking the library for its ISAs may cost a CPUID, microseconds in a virtual machine */

static float row_logsumexp(const float *x, size_t n)
{
    if (wide) {
        float m = max_avx512(x, n);
        return m + logf(sum_avx512(x, n, m));
    }
    float m = max_avx2(x, n);
    return m + logf(sum_avx2(x, n, m));
}

static int usable(void)
{
    wide = peer_isa() == LP_ISA_AVX512;
    return lp_isa_supported(LP_ISA_AVX2);
}

#elif defined(__aarch64__)
#include <arm_neon.h>
float32x4_t Sleef_expf4_u10advsimd(float32x4_t);

static float row_logsumexp(const float *x, size_t n)
{
    float32x4_t m4 = vdupq_n_f32(-INFINITY), a = vdupq_n_f32(0), b = a;
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        m4 = vmaxq_f32(m4, vld1q_f32(x + i));
    float m = vmaxvq_f32(m4);
    for (; i < n; i++)
        m = fmaxf(m, x[i]);
    float32x4_t shift = vdupq_n_f32(m);
    for (i = 0; i + 8 <= n; i += 8) {
        a = vaddq_f32(a, Sleef_expf4_u10advsimd(vsubq_f32(vld1q_f32(x + i), shift)));
        b = vaddq_f32(b, Sleef_expf4_u10advsimd(vsubq_f32(vld1q_f32(x + i + 4), shift)));
    }
    float sum = vaddvq_f32(vaddq_f32(a, b));
    for (; i < n; i++)
        sum += expf(x[i] - m);
    return m + logf(sum);
}

static int usable(void)
{
    return 1;
}
#endif

static void run_logsumexp(bench_job *job)
{
    for (size_t r = 0; r < job->rows; r++)
        job_results()->a[r] = row_logsumexp(job->data + r * job->vocab, job->vocab);
}

static void run_log_softmax(bench_job *job)
{
    for (size_t r = 0; r < job->rows; r++) {
        const float *x = job->data + r * job->vocab;
        float *out = job->dense + r * job->vocab, norm = row_logsumexp(x, job->vocab);
        for (size_t i = 0; i < job->vocab; i++)
            out[i] = x[i] - norm;
    }
}

void register_sleef_peer(void)
{
    if (!usable())
        return;
    bench_job job = {.subject = peer_name("sleef"), .isa = peer_isa()};
    job.family = "logsumexp", job.run = run_logsumexp;
    job_add_vocabs(&job, VOCABS);
    job.cold = 1;
    job_add_vocabs(&job, COLD_VOCABS);
    job.family = "log_softmax", job.run = run_log_softmax, job.limit = LIMIT_MEMCPY;
    job_add_vocabs(&job, COLD_VOCABS);
    job.cold = 0;
    job_add_vocabs(&job, VOCABS);
}
