/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lp_sequence_score over 64 rows in 4 sequences, and lp_sequence_sum over the logprobs of n tokens. */
#include "cases.h"

enum { SEQUENCES = 4 };

static lp_sequence sequence[SEQUENCES];

static void run_score(bench_job *job)
{
    static const size_t offset[] = {0, 10, 16, 40, BATCH};
    need_ok(lp_sequence_score(&job->in, job->token, NULL, offset, SEQUENCES, sequence, job_results()->a));
}

/* The case's row stands for the token logprobs; its values do not change the work. */
static void run_sum(bench_job *job)
{
    const size_t offset[] = {0, job->vocab / 8, job->vocab / 4, job->vocab / 2, job->vocab};
    need_ok(lp_sequence_sum(job->data, NULL, offset, SEQUENCES, sequence));
}

static void run_sum_kept(bench_job *job)
{
    const size_t offset[] = {0, job->vocab / 8, job->vocab / 4, job->vocab / 2, job->vocab};
    need_ok(lp_sequence_sum(job->data, job->own, offset, SEQUENCES, sequence));
}

static void open_keep(bench_job *job)
{
    uint8_t *keep = bench_alloc(job->vocab);
    for (size_t i = 0; i < job->vocab; i++)
        keep[i] = i % 3 != 0;
    job->own = keep;
}

void register_sequence_cases(void)
{
    static const size_t tokens[] = {256, 4096, 0}, small[] = {256, 4096, 0};
    lp_isa isa[4];
    for (size_t i = host_isas(isa); i-- > 0;) {
        bench_job job = {.subject = lp_isa_name(isa[i]), .isa = isa[i], .rows = BATCH};
        job.family = "sequence_score", job.run = run_score;
        job_add_vocabs(&job, small);
        job.cold = 1;
        job_add_vocabs(&job, COLD_VOCABS);
        job.cold = 0, job.rows = 1;
        job.family = "sequence_sum", job.run = run_sum;
        job_add_vocabs(&job, tokens);
        job.note = "keep", job.run = run_sum_kept, job.open = open_keep;
        job_add_vocabs(&job, tokens);
    }
}
