/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Gives each case its rows, its limits and its name, and hands it to Google Benchmark. */
#include "cases.h"
#include "gbench_shim.h"
#include "max_scan.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VOCAB = 262144, WARM_BYTES = 1 << 21, WARM_MEMORY = WARM_BYTES + 4 * MOST_VOCAB, MOST_COLD_MIB = 1024 };

const size_t VOCABS[] = {256, 4096, 32000, 128256, 151936, MOST_VOCAB, 0};
const size_t COLD_VOCABS[] = {32000, 128256, 151936, MOST_VOCAB, 0};

volatile float bench_sink;

size_t host_isas(lp_isa out[4])
{
    size_t count = 0;
    for (lp_isa isa = LP_ISA_SCALAR; isa <= LP_ISA_NEON; isa++)
        if (lp_isa_supported(isa))
            out[count++] = isa;
    return count;
}

static int peers_held_to_avx2(void)
{
    const char *text = getenv("LOGPROB_BENCH_PEER_ISA");
    return text && strcmp(text, "avx2") == 0 && lp_isa_supported(LP_ISA_AVX2);
}

lp_isa peer_isa(void)
{
    lp_isa isa[4];
    return peers_held_to_avx2() ? LP_ISA_AVX2 : isa[host_isas(isa) - 1];
}

const char *peer_name(const char *name)
{
    static char text[64];
    snprintf(text, sizeof text, peers_held_to_avx2() ? "%s-avx2" : "%s", name);
    return text;
}

const bench_results *job_results(void)
{
    static bench_results r;
    if (!r.a) {
        r.a = bench_alloc(MOST_VOCAB * sizeof(float));
        r.b = bench_alloc(MOST_VOCAB * sizeof(float));
        r.c = bench_alloc(MOST_VOCAB * sizeof(float));
        r.d = bench_alloc(MOST_VOCAB * sizeof(float));
        r.i = bench_alloc(MOST_VOCAB * sizeof(int32_t));
        r.j = bench_alloc(MOST_VOCAB * sizeof(int32_t));
    }
    return &r;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */
static size_t arena_bytes(void)
{
    const char *text = getenv("LOGPROB_BENCH_COLD_MIB");
    size_t most = text ? strtoull(text, NULL, 10) : MOST_COLD_MIB;
    size_t bytes = cold_bytes(most << 20), least = 2 * (size_t)BATCH * MOST_VOCAB * sizeof(float);
    return bytes > least ? bytes : least;
}

/* Rows of 4,096 lie end to end, so that a window of any length holds a peak every few thousand elements. The second half are the
 * logits of a second model, which differ a little from the first one's. */
static const void *cold_arena(lp_dtype dtype)
{
    static void *arena[3];
    if (arena[dtype])
        return arena[dtype];
    size_t n = arena_bytes() / (dtype == LP_F32 ? 1 : 2) / dtype_size(dtype), step = 4096;
    arena[dtype] = bench_alloc(n * dtype_size(dtype));
    float row[4096], change[4096];
    for (size_t at = 0; at + step <= n; at += step) {
        size_t first = at < n / 2 ? at : at - n / 2;
        row_fill(row, step, ROW_BELL, first);
        if (first != at) {
            row_fill(change, step, ROW_BELL, first + 1);
            for (size_t i = 0; i < step; i++)
                row[i] += 0.04f * change[i];
        }
        if (dtype == LP_F32)
            memcpy((float *)arena[dtype] + at, row, sizeof row);
        else
            row_narrow((uint16_t *)arena[dtype] + at, row, step, dtype);
    }
    return arena[dtype];
}

static float *dense_arena(void)
{
    static float *arena;
    if (!arena)
        arena = bench_alloc(arena_bytes());
    return arena;
}

/* One warm matrix for all: each case fills it anew, so that all read the same, already mapped, pages. */
static const void *warm_rows(const bench_job *job)
{
    static char *memory;
    static const bench_job *filled;
    if (!memory)
        memory = bench_alloc(WARM_MEMORY);
    if (filled == job)
        return memory;
    float *row = bench_alloc(job->vocab * sizeof *row);
    for (size_t r = 0; r < job->rows; r++) {
        row_fill(row, job->vocab, job->kind, r + 1);
        void *to = memory + r * job->vocab * dtype_size(job->dtype);
        if (job->dtype == LP_F32)
            memcpy(to, row, job->vocab * sizeof *row);
        else
            row_narrow(to, row, job->vocab, job->dtype);
    }
    free(row);
    filled = job;
    return memory;
}

static size_t job_elements(const bench_job *job)
{
    return job->rows * job->vocab;
}

static size_t job_bytes(const bench_job *job)
{
    return job_elements(job) * dtype_size(job->dtype);
}

/* Cold cases walk through the first half of the arena; the other half belongs to the second model. */
static size_t cold_steps(const bench_job *job)
{
    return arena_bytes() / 2 / job_bytes(job);
}

static void set_data(bench_job *job, const void *data)
{
    job->in.data = data;
    job->data = job->dtype == LP_F32 ? data : NULL;
}

static void advance(bench_job *job)
{
    static size_t step; /* shared: the case before has just read its own matrix */
    if (!job->cold)
        return;
    size_t at = step++ % cold_steps(job);
    set_data(job, (const char *)cold_arena(job->dtype) + at * job_bytes(job));
    job->dense = dense_arena() + at * job_elements(job);
}

const float *job_other(const bench_job *job)
{
    static float *warm;
    static const bench_job *filled;
    if (job->cold)
        return job->data + arena_bytes() / 2 / sizeof(float);
    if (!warm)
        warm = bench_alloc(WARM_MEMORY);
    if (filled != job) {
        row_second(warm, job->data, job_elements(job), 0.04F, 0, 4711);
        filled = job;
    }
    return warm;
}

/* ---- what Google Benchmark calls ---------------------------------------------------------------------------------- */
static void setup(void *argument)
{
    bench_job *job = argument;
    if (lp_isa_supported(job->isa))
        lp_isa_select(job->isa);
    if (job->cold) {
        advance(job);
    } else {
        set_data(job, warm_rows(job));
        job->dense = dense_arena();
    }
    job->in.rows = job->rows;
    job->in.vocab = job->vocab;
    job->in.dtype = job->dtype;
    for (size_t r = 0; r < BATCH; r++)
        job->token[r] = (int32_t)((r * 7919 + 13) % job->vocab);
    if (job->open) {
        job->open(job);
        job->open = NULL;
    }
}

static void run(void *argument)
{
    bench_job *job = argument;
    advance(job);
    job->run(job);
}

/* 16-bit rows are scanned as half as many floats: the bytes bind, not the values. */
static void scan(void *argument)
{
    bench_job *job = argument;
    advance(job);
    max_scan scan_row = limit_scan(job->isa);
    size_t floats = job->vocab * dtype_size(job->dtype) / sizeof(float);
    for (size_t r = 0; r < job->rows; r++)
        bench_sink = scan_row((const float *)job->in.data + r * floats, floats);
}

static void copy(void *argument)
{
    bench_job *job = argument;
    advance(job);
    memcpy(job->dense, job->in.data, job_bytes(job));
}

static void job_name(const bench_job *job, char *out, size_t bytes)
{
    char k[24] = "", kind[24] = "", note[48] = "";
    if (job->k)
        snprintf(k, sizeof k, "/k%zu", job->k);
    if (job->kind != ROW_BELL)
        snprintf(kind, sizeof kind, "/%s", row_kind_name(job->kind));
    if (job->note)
        snprintf(note, sizeof note, "/%s", job->note);
    snprintf(out, bytes, "%s/%s/%s/%zu%s%s%s%s%s", job->family, job->subject, dtype_name(job->dtype), job->vocab, k,
             kind, note, !job->cold && job->rows == BATCH ? "/batch64" : "", job->cold ? "/cold" : "");
}

/* Scalar is bound by arithmetic, warm or cold, and takes 64 rows a long time: cold only where it is all there is. */
static int tedious(const bench_job *job)
{
    lp_isa isa[4];
    return job->cold && strcmp(job->subject, "scalar") == 0 && host_isas(isa) > 1 && strcmp(job->family, "scan") != 0;
}

void job_add(const bench_job *job)
{
    if (tedious(job))
        return;
    bench_job *own = bench_alloc(sizeof *own);
    char name[200], *subject = bench_alloc(strlen(job->subject) + 1);
    *own = *job;
    own->subject = strcpy(subject, job->subject);
    if (own->rows == 0)
        own->rows = own->cold ? BATCH : 1;
    if (!own->cold && job_bytes(own) > WARM_BYTES)
        abort(); /* a warm matrix that is no longer warm */
    job_name(own, name, sizeof name);
    gbench_case c = {.name = name,
                     .setup = setup,
                     .run = run,
                     .argument = own,
                     .items = (double)job_elements(own),
                     .bytes = (double)job_bytes(own),
                     .scan = own->limit == LIMIT_NONE ? NULL : scan,
                     .limit = own->limit == LIMIT_MEMCPY ? copy : NULL};
    gbench_register(&c);
}

void job_add_vocabs(const bench_job *job, const size_t *vocab)
{
    bench_job one = *job;
    for (; *vocab; vocab++) {
        one.vocab = *vocab;
        if (one.k <= one.vocab)
            job_add(&one);
    }
}

/* ---- the limits as results of their own ----------------------------------------------------------------------------- */
static void run_scan(bench_job *job)
{
    max_scan scan_row = limit_scan(job->isa);
    for (size_t r = 0; r < job->rows; r++)
        bench_sink = scan_row(job->data + r * job->vocab, job->vocab);
}

static void run_memcpy(bench_job *job)
{
    memcpy(job->dense, job->in.data, job_bytes(job));
}

void register_limit_cases(void)
{
    lp_isa isa[4];
    for (size_t i = host_isas(isa); i-- > 0;) {
        bench_job job = {.family = "scan", .subject = lp_isa_name(isa[i]), .isa = isa[i], .run = run_scan};
        job_add_vocabs(&job, VOCABS);
        job.cold = 1;
        job_add_vocabs(&job, COLD_VOCABS);
    }
    bench_job job = {.family = "memcpy", .subject = "libc", .isa = peer_isa(), .run = run_memcpy};
    job_add_vocabs(&job, VOCABS);
    job.cold = 1;
    job_add_vocabs(&job, COLD_VOCABS);
}
