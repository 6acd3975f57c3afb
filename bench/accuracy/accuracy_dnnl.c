/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* oneDNN's log-softmax primitive (C API of version 2). */
#include "accuracy.h"
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void need(dnnl_status_t status)
{
    if (status != dnnl_success) {
        fprintf(stderr, "oneDNN: status %d\n", (int)status);
        exit(EXIT_FAILURE);
    }
}

void dense_dnnl(float *out, const float *x, size_t n)
{
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t softmax;
    dnnl_primitive_desc_t kernel;
    dnnl_memory_t row;
    dnnl_memory_desc_t shape;
    dnnl_softmax_v2_desc_t description;
    dnnl_dims_t size = {1, (dnnl_dim_t)n};
    memcpy(out, x, n * sizeof *x); /* in place: its handles are not const */
    need(dnnl_engine_create(&engine, dnnl_cpu, 0));
    need(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    need(dnnl_memory_desc_init_by_tag(&shape, 2, size, dnnl_f32, dnnl_ab));
    need(dnnl_softmax_v2_forward_desc_init(&description, dnnl_forward_inference, dnnl_softmax_log, &shape, &shape, 1));
    need(dnnl_primitive_desc_create(&kernel, &description, NULL, engine, NULL));
    need(dnnl_primitive_create(&softmax, kernel));
    need(dnnl_memory_create(&row, &shape, engine, out));
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, row}, {DNNL_ARG_DST, row}};
    need(dnnl_primitive_execute(softmax, stream, 2, arguments));
    need(dnnl_stream_wait(stream));
    need(dnnl_memory_destroy(row));
    need(dnnl_primitive_destroy(softmax));
    need(dnnl_primitive_desc_destroy(kernel));
    need(dnnl_stream_destroy(stream));
    need(dnnl_engine_destroy(engine));
}
