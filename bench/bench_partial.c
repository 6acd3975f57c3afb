/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lp_renormalize, lp_label_logprob, lp_partial_entropy and lp_exp on the n log-probabilities that an API returned. */
#include "cases.h"
#include <math.h>

enum { LABELS = 4, FULL_VOCAB = 128256 };

typedef struct partial {
    float *logprob;
    int32_t *label;
} partial;

/* log-probabilities of the n most probable tokens, by Zipf's law, which together hold most of the mass */
static void open_partial(bench_job *job)
{
    partial *p = bench_alloc(sizeof *p);
    p->logprob = bench_alloc(job->vocab * sizeof *p->logprob);
    p->label = bench_alloc(job->vocab * sizeof *p->label);
    double mass = 0;
    for (size_t i = 0; i < job->vocab; i++)
        mass += 1 / (double)(i + 1);
    for (size_t i = 0; i < job->vocab; i++) {
        p->logprob[i] = (float)-log((double)(i + 1) * mass * 1.05);
        p->label[i] = (int32_t)(i % (LABELS + 1)) - 1;
    }
    job->own = p;
}

static void run_renormalize(bench_job *job)
{
    lp_mass mass;
    need_ok(lp_renormalize(((partial *)job->own)->logprob, job->vocab, job_results()->a, &mass));
    bench_sink = (float)mass.tail;
}

static void run_label(bench_job *job)
{
    const partial *p = job->own;
    need_ok(lp_label_logprob(p->logprob, p->label, job->vocab, LABELS, job_results()->a));
}

static void run_partial_entropy(bench_job *job)
{
    double lower, upper;
    need_ok(lp_partial_entropy(((partial *)job->own)->logprob, job->vocab, FULL_VOCAB, &lower, &upper));
    bench_sink = (float)upper;
}

static void run_exp(bench_job *job)
{
    need_ok(lp_exp(((partial *)job->own)->logprob, job->vocab, job_results()->a));
}

void register_partial_cases(void)
{
    static const size_t few[] = {20, 100, 0}, many[] = {4096, 128256, 0};
    lp_isa isa[4];
    for (size_t i = host_isas(isa); i-- > 0;) {
        bench_job job = {.subject = lp_isa_name(isa[i]), .isa = isa[i], .limit = LIMIT_NONE, .open = open_partial};
        job.family = "renormalize", job.run = run_renormalize;
        job_add_vocabs(&job, few);
        job.family = "label_logprob", job.run = run_label;
        job_add_vocabs(&job, few);
        job.family = "partial_entropy", job.run = run_partial_entropy;
        job_add_vocabs(&job, few);
        job.family = "exp", job.run = run_exp;
        job_add_vocabs(&job, few);
        job.limit = LIMIT_MEMCPY;
        job_add_vocabs(&job, many);
    }
}
