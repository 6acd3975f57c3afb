/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lp_compare: both divergences, cross-entropy, the largest difference and both tops of two models' rows. */
#include "cases.h"

static void run_compare(bench_job *job)
{
    static double kl[BATCH], reverse[BATCH], cross[BATCH];
    const bench_results *r = job_results();
    lp_logits other = job->in;
    other.data = job_other(job);
    lp_divergence out = {.kl = kl,
                         .reverse_kl = reverse,
                         .cross_entropy = cross,
                         .max_abs_diff = r->a,
                         .p_token_logprob = r->b,
                         .q_token_logprob = r->c,
                         .p_top = r->i,
                         .q_top = r->j};
    need_ok(lp_compare(&job->in, &other, job->token, &out));
}

static void run_kl(bench_job *job)
{
    static double kl[BATCH];
    lp_logits other = job->in;
    other.data = job_other(job);
    lp_divergence out = {.kl = kl};
    need_ok(lp_compare(&job->in, &other, NULL, &out));
}

/* The scan reads one of the two matrices: a ratio of 2 is this family's floor. */
void register_compare_cases(void)
{
    lp_isa isa[4];
    for (size_t i = host_isas(isa); i-- > 0;) {
        bench_job job = {.subject = lp_isa_name(isa[i]), .isa = isa[i]};
        job.family = "compare", job.run = run_compare;
        job_add_vocabs(&job, VOCABS);
        job.family = "kl", job.run = run_kl;
        job_add_vocabs(&job, VOCABS);
        job.cold = 1;
        job_add_vocabs(&job, COLD_VOCABS);
    }
}
