/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the machine allows: a read-only scan for the maximum, in the vector width of each ISA. */
#ifndef LP_BENCH_MAX_SCAN_H
#define LP_BENCH_MAX_SCAN_H
#include <logprob.h>
#include <stddef.h>

/* The largest of n f32 values: 8 accumulators, so that loads, not the latency of max, are what is timed. */
typedef float (*max_scan)(const float *x, size_t n);

/* The scan in the width that `isa` may use; the portable one for scalar and for what this build does not know. */
max_scan limit_scan(lp_isa isa);

#endif
