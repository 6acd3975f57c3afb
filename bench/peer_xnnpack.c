/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* XNNPACK's three-pass softmax operator. The library exports no kernels and has no log-softmax: what is timed gives
 * probabilities, and the pass that takes their logarithms would come on top. */
#include "cases.h"
#include <stdio.h>
#include <stdlib.h>
#include <xnnpack.h>

static void need(enum xnn_status status, const char *what)
{
    if (status == xnn_status_success)
        return;
    fprintf(stderr, "bench: XNNPACK: %s: status %d\n", what, (int)status);
    exit(1);
}

static void open_softmax(bench_job *job)
{
    xnn_operator_t softmax;
    need(xnn_create_softmax_nc_f32(job->vocab, job->vocab, job->vocab, 0, &softmax), "softmax");
    job->own = softmax;
}

static void run_softmax(bench_job *job)
{
    need(xnn_setup_softmax_nc_f32(job->own, job->rows, job->data, job->dense, NULL), "setup");
    need(xnn_run_operator(job->own, NULL), "run");
}

/* Its choice of ISA cannot be held to less, so the AVX2 run leaves it out. */
void register_xnnpack_peer(void)
{
    lp_isa isa[4];
    if (xnn_initialize(NULL) != xnn_status_success || peer_isa() != isa[host_isas(isa) - 1])
        return;
    bench_job job = {.family = "log_softmax",
                     .subject = "xnnpack_softmax",
                     .isa = peer_isa(),
                     .limit = LIMIT_MEMCPY,
                     .open = open_softmax,
                     .run = run_softmax};
    job_add_vocabs(&job, VOCABS);
    job.cold = 1;
    job_add_vocabs(&job, COLD_VOCABS);
}
