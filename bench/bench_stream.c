/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lp_stream_*: a row in chunks, and a row in shards that are merged; logsumexp, entropy, chosen token, top k. */
#include "cases.h"
#include <string.h>

enum { TILE = 4096, SMALL = 64, SHARDS = 4 };

/* A run of one row: `own` holds SHARDS states. */
static void *shard(bench_job *job, size_t i)
{
    return (char *)job->own + i * lp_stream_size(job->k);
}

static void open_stream(bench_job *job)
{
    job->own = bench_alloc(SHARDS * lp_stream_size(job->k));
}

/* the elements of a chunk are set at each push, the rest of it once */
static void push_chunk(bench_job *job, size_t state, lp_logits *chunk, size_t first, size_t n)
{
    chunk->data = job->data + first;
    chunk->vocab = n;
    need_ok(lp_stream_push(shard(job, state), chunk));
}

static void push(bench_job *job, size_t state, size_t first, size_t n)
{
    lp_logits chunk = job->in;
    chunk.rows = 1;
    push_chunk(job, state, &chunk, first, n);
}

static void start(bench_job *job, size_t state, size_t first)
{
    need_ok(lp_stream_init(shard(job, state), lp_stream_size(job->k), job->k, (int32_t)first, job->token[0]));
}

static void finish(bench_job *job)
{
    lp_row row;
    need_ok(lp_stream_finish(shard(job, 0), &row, job_results()->a, job_results()->i));
    bench_sink = row.logsumexp;
}

static void push_tiles(bench_job *job, size_t tile)
{
    lp_logits chunk = job->in;
    chunk.rows = 1;
    start(job, 0, 0);
    for (size_t at = 0; at < job->vocab; at += tile)
        push_chunk(job, 0, &chunk, at, job->vocab - at < tile ? job->vocab - at : tile);
    finish(job);
}

static void run_tiles(bench_job *job)
{
    push_tiles(job, TILE);
}

static void run_small(bench_job *job)
{
    push_tiles(job, SMALL);
}

/* What the stream gives, from one call over the whole row: what pushes cost is the ratio to this. */
static void run_whole(bench_job *job)
{
    const bench_results *r = job_results();
    lp_scores out = {.logsumexp = r->b, .entropy = r->c, .token_logprob = r->d, .top_logprob = r->a, .top_token = r->i};
    need_ok(lp_score(&job->in, job->token, job->k, &out));
}

/* Shards of equal size: with 128,256 tokens none of their bounds is a block's. */
static void run_shards(bench_job *job)
{
    for (size_t i = 0; i < SHARDS; i++) {
        size_t first = job->vocab * i / SHARDS, end = job->vocab * (i + 1) / SHARDS;
        start(job, i, first);
        push(job, i, first, end - first);
    }
    for (size_t i = 1; i < SHARDS; i++)
        lp_stream_merge(shard(job, 0), shard(job, i));
    finish(job);
}

static void run_check(bench_job *job)
{
    bench_sink = (float)lp_stream_check(job->own, lp_stream_size(job->k));
}

static void open_check(bench_job *job)
{
    open_stream(job);
    start(job, 0, 0);
    push(job, 0, 0, job->vocab - 3);
}

void register_stream_cases(void)
{
    static const size_t some[] = {4096, 32000, 128256, 262144, 0}, large[] = {128256, 0};
    lp_isa isa[4];
    for (size_t i = host_isas(isa); i-- > 0;) {
        bench_job job = {.subject = lp_isa_name(isa[i]), .isa = isa[i], .k = 20, .open = open_stream};
        job.family = "stream", job.run = run_tiles;
        job_add_vocabs(&job, some);
        job.note = "push64", job.run = run_small;
        job_add_vocabs(&job, large);
        job.note = "whole", job.run = run_whole;
        job_add_vocabs(&job, large);
        job.note = NULL;
        job.family = "stream_shards", job.run = run_shards;
        job_add_vocabs(&job, some);
        job.family = "stream_check", job.run = run_check, job.open = open_check, job.limit = LIMIT_NONE;
        job.vocab = 4096;
        job_add(&job);
    }
}
