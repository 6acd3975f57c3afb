/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* oneDNN's log-softmax primitive (C API of version 2), forward inference, one thread. */
#include "cases.h"
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct primitive {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t softmax;
    dnnl_memory_t in, out;
} primitive;

static void need(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return;
    fprintf(stderr, "bench: oneDNN: %s: status %d\n", what, (int)status);
    exit(1);
}

static void open_log_softmax(bench_job *job)
{
    primitive *p = bench_alloc(sizeof *p);
    dnnl_dims_t shape = {(dnnl_dim_t)job->rows, (dnnl_dim_t)job->vocab};
    dnnl_memory_desc_t matrix;
    dnnl_memory_desc_t logprobs;
    dnnl_softmax_v2_desc_t description;
    dnnl_primitive_desc_t kernel;
    need(dnnl_engine_create(&p->engine, dnnl_cpu, 0), "engine");
    need(dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags), "stream");
    const dnnl_data_type_t type = job->dtype == LP_BF16 ? dnnl_bf16 : dnnl_f32;
    need(dnnl_memory_desc_init_by_tag(&matrix, 2, shape, type, dnnl_ab), "shape");
    need(dnnl_memory_desc_init_by_tag(&logprobs, 2, shape, dnnl_f32, dnnl_ab), "shape");
    need(dnnl_softmax_v2_forward_desc_init(&description, dnnl_forward_inference, dnnl_softmax_log, &matrix, &logprobs,
                                           1),
         "log-softmax");
    need(dnnl_primitive_desc_create(&kernel, &description, NULL, p->engine, NULL), "kernel");
    need(dnnl_primitive_create(&p->softmax, kernel), "primitive");
    need(dnnl_memory_create(&p->in, &matrix, p->engine, DNNL_MEMORY_NONE), "input");
    need(dnnl_memory_create(&p->out, &logprobs, p->engine, DNNL_MEMORY_NONE), "output");
    dnnl_primitive_desc_destroy(kernel);
    job->own = p;
}

/* The handle is not const in oneDNN; the primitive only reads its input. */
static void *writable(const void *data)
{
    union {
        const void *in;
        void *out;
    } u = {.in = data};
    return u.out;
}

static void run_log_softmax(bench_job *job)
{
    primitive *p = job->own;
    need(dnnl_memory_set_data_handle(p->in, writable(job->in.data)), "input");
    need(dnnl_memory_set_data_handle(p->out, job->dense), "output");
    dnnl_exec_arg_t argument[] = {{DNNL_ARG_SRC, p->in}, {DNNL_ARG_DST, p->out}};
    need(dnnl_primitive_execute(p->softmax, p->stream, 2, argument), "execute");
    need(dnnl_stream_wait(p->stream), "wait");
}

void register_dnnl_peer(void)
{
    bench_job job = {.family = "log_softmax",
                     .subject = peer_name("onednn"),
                     .isa = peer_isa(),
                     .limit = LIMIT_MEMCPY,
                     .open = open_log_softmax,
                     .run = run_log_softmax};
    if (peer_isa() == LP_ISA_AVX2)
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    job_add_vocabs(&job, VOCABS);
    if (peer_isa() == LP_ISA_AVX512) { /* with less it has no bf16 */
        job.dtype = LP_BF16;           /* bf16 in, float out, as lp_log_softmax */
        job_add_vocabs(&job, COLD_VOCABS);
        job.dtype = LP_F32;
    }
    job.cold = 1;
    job_add_vocabs(&job, COLD_VOCABS);
}
