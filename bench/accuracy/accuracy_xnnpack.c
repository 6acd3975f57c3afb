/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* XNNPACK's softmax operator and libm's logf after it: the library has no log-softmax. */
#include "accuracy.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <xnnpack.h>

static void need(enum xnn_status status)
{
    if (status != xnn_status_success) {
        fprintf(stderr, "XNNPACK: status %d\n", (int)status);
        exit(EXIT_FAILURE);
    }
}

void dense_xnnpack(float *out, const float *x, size_t n)
{
    xnn_operator_t softmax;
    need(xnn_initialize(NULL));
    need(xnn_create_softmax_nc_f32(n, n, n, 0, &softmax));
    need(xnn_setup_softmax_nc_f32(softmax, 1, x, out, NULL));
    need(xnn_run_operator(softmax, NULL));
    need(xnn_delete_operator(softmax));
    for (size_t i = 0; i < n; i++) {
        out[i] = logf(out[i]);
    }
}
