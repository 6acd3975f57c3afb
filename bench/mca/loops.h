/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The inner loops, as functions for the timing program. */
#ifndef BENCH_MCA_LOOPS_H
#define BENCH_MCA_LOOPS_H
#include <stddef.h>
#include <stdint.h>

/* groups of 256 elements; sums has room for 768 */
uint32_t loop_logsumexp(const float *x, size_t groups, float *sums);
uint32_t loop_entropy(const float *x, size_t groups, float *sums);
void loop_dense(float *out, const float *x, size_t n, float max, float log_norm);
/* of one block, 2048 elements */
float loop_max(const float *x);
#endif
