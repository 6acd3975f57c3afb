/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A library that computes log-softmax of one row of floats, as its users call it. */
#ifndef LP_BENCH_ACCURACY_H
#define LP_BENCH_ACCURACY_H
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void dense_function(float *out, const float *x, size_t n);
dense_function dense_dnnl, dense_torch, dense_xnnpack;

/* the ids of the k largest */
void top_torch(int *id, size_t k, const float *x, size_t n);

#ifdef __cplusplus
}
#endif
#endif
