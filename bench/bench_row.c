/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lp_logsumexp, lp_log_softmax, lp_entropy, lp_topk, lp_gather, lp_score and lp_transform, on every ISA of the host. */
#include "cases.h"

enum { GATHERED = 20 };

static void run_logsumexp(bench_job *job)
{
    need_ok(lp_logsumexp(&job->in, job_results()->a));
}

static void run_log_softmax(bench_job *job)
{
    need_ok(lp_log_softmax(&job->in, job->dense, 0));
}

static void run_transform(bench_job *job)
{
    need_ok(lp_transform(&job->in, job->dense, 0));
}

static void run_entropy(bench_job *job)
{
    need_ok(lp_entropy(&job->in, job_results()->a));
}

static void run_topk(bench_job *job)
{
    need_ok(lp_topk(&job->in, job->k, job_results()->a, job_results()->i));
}

static void run_gather(bench_job *job)
{
    need_ok(lp_gather(&job->in, job->own, job->k, job_results()->a));
}

/* What a server's logprobs response needs: logsumexp, entropy, the chosen token's logprob and rank, the top k. */
static void run_score(bench_job *job)
{
    const bench_results *r = job_results();
    lp_scores out = {.logsumexp = r->a,
                     .entropy = r->b,
                     .token_logprob = r->c,
                     .token_rank = r->i,
                     .top_logprob = r->d,
                     .top_token = r->j};
    need_ok(lp_score(&job->in, job->token, job->k, &out));
}

static void open_gather(bench_job *job)
{
    int32_t *token = bench_alloc(job->rows * job->k * sizeof *token);
    for (size_t i = 0; i < job->rows * job->k; i++)
        token[i] = (int32_t)((i * 7919 + 13) % job->vocab);
    job->own = token;
}

static void open_mask(bench_job *job, unsigned percent)
{
    uint32_t *allowed = bench_alloc((job->vocab + 31) / 32 * sizeof *allowed);
    mask_fill(allowed, job->vocab, percent, 5);
    job->in.allowed = allowed;
}

static void open_mask_1(bench_job *job)
{
    open_mask(job, 1);
}

static void open_mask_50(bench_job *job)
{
    open_mask(job, 50);
}

static void open_temperature(bench_job *job)
{
    job->in.inv_temperature = 1.25f;
}

static void open_softcap(bench_job *job)
{
    job->in.softcap = 30.0f;
}

/* The plain rows: every vocabulary warm, the large ones cold too, the small ones in batches. */
static void add_everywhere(bench_job job)
{
    static const size_t small[] = {256, 4096, 0};
    job_add_vocabs(&job, VOCABS);
    job.rows = BATCH;
    job_add_vocabs(&job, small);
    job.cold = 1;
    job_add_vocabs(&job, COLD_VOCABS);
}

static void add_dtypes(bench_job job)
{
    static const size_t some[] = {32000, 128256, 0}, one[] = {128256, 0};
    for (job.dtype = LP_BF16; job.dtype <= LP_F16; job.dtype++) {
        job.cold = 0;
        job_add_vocabs(&job, some);
        job.cold = 1;
        job_add_vocabs(&job, one);
    }
}

static void add_score_rows(bench_job job)
{
    job.vocab = 128256;
    for (job.kind = ROW_ZIPF; job.kind <= ROW_ASCENDING; job.kind++)
        job_add(&job);
    job.kind = ROW_BELL;
    static const size_t tops[] = {1, 5, 100, 128256};
    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
        job.k = tops[i];
        job_add(&job);
    }
    static const struct {
        const char *note;
        void (*open)(bench_job *);
    } transform[] = {{"allow1", open_mask_1},
                     {"allow50", open_mask_50},
                     {"temperature", open_temperature},
                     {"softcap", open_softcap}};
    job.k = 20;
    for (size_t i = 0; i < sizeof transform / sizeof *transform; i++) {
        job.note = transform[i].note;
        job.open = transform[i].open;
        job_add(&job);
    }
}

static void register_isa(lp_isa isa)
{
    bench_job job = {.subject = lp_isa_name(isa), .isa = isa};
    job.family = "logsumexp", job.run = run_logsumexp;
    add_everywhere(job);
    add_dtypes(job);
    job.family = "entropy", job.run = run_entropy;
    add_everywhere(job);
    job.family = "score", job.run = run_score, job.k = 20;
    add_everywhere(job);
    add_dtypes(job);
    add_score_rows(job);
    job.family = "topk", job.run = run_topk;
    add_everywhere(job);
    job.family = "gather", job.run = run_gather, job.k = GATHERED, job.open = open_gather;
    add_everywhere(job);
    job.family = "log_softmax", job.run = run_log_softmax, job.k = 0, job.open = NULL, job.limit = LIMIT_MEMCPY;
    add_everywhere(job);
    add_dtypes(job);
    job.family = "transform", job.run = run_transform;
    add_everywhere(job);
    add_dtypes(job);
}

void register_row_cases(void)
{
    lp_isa isa[4];
    for (size_t i = host_isas(isa); i-- > 0;)
        register_isa(isa[i]);
}
