/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The loop that everybody writes first: maximum, sum of expf, then the answer; libm, float. */
#include "cases.h"
#include <math.h>

static float row_max(const float *x, size_t n)
{
    float m = -INFINITY;
    for (size_t i = 0; i < n; i++)
        m = x[i] > m ? x[i] : m;
    return m;
}

static float row_logsumexp(const float *x, size_t n)
{
    float m = row_max(x, n), s = 0;
    for (size_t i = 0; i < n; i++)
        s += expf(x[i] - m);
    return m + logf(s);
}

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

static void run_entropy(bench_job *job)
{
    for (size_t r = 0; r < job->rows; r++) {
        const float *x = job->data + r * job->vocab;
        float norm = row_logsumexp(x, job->vocab), h = 0;
        for (size_t i = 0; i < job->vocab; i++)
            h -= expf(x[i] - norm) * (x[i] - norm);
        job_results()->a[r] = h;
    }
}

static void run_kl(bench_job *job)
{
    const float *other = job_other(job);
    for (size_t r = 0; r < job->rows; r++) {
        const float *p = job->data + r * job->vocab, *q = other + r * job->vocab;
        float p_norm = row_logsumexp(p, job->vocab), q_norm = row_logsumexp(q, job->vocab), kl = 0;
        for (size_t i = 0; i < job->vocab; i++)
            kl += expf(p[i] - p_norm) * ((p[i] - p_norm) - (q[i] - q_norm));
        job_results()->a[r] = kl;
    }
}

void register_libm_peer(void)
{
    static const size_t one[] = {128256, 0};
    bench_job job = {.subject = "libm", .isa = peer_isa()};
    job.family = "logsumexp", job.run = run_logsumexp;
    job_add_vocabs(&job, VOCABS);
    job.family = "entropy", job.run = run_entropy;
    job_add_vocabs(&job, one);
    job.family = "kl", job.run = run_kl;
    job_add_vocabs(&job, one);
    job.family = "log_softmax", job.run = run_log_softmax, job.limit = LIMIT_MEMCPY;
    job_add_vocabs(&job, VOCABS);
}
