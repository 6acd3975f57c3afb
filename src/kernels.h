/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The table of kernels that each ISA fills: everything that reads a row of logits. */
#ifndef LP_KERNELS_H
#define LP_KERNELS_H
#include "logprob.h"
#include "pair.h"
#include "row.h"
#include "topk.h"

/* consecutive logits of one row and what is applied to them while they are read */
typedef struct source {
    const unsigned char *data;
    const uint32_t *allowed; /* bit i of the row; NULL: all */
    size_t allowed_bit;      /* index in `allowed` of data[0] */
    float scale, softcap;    /* 1 and 0: none */
    int32_t dtype;
    int32_t plain; /* f32 without any transform: read where it lies */
} source;

enum { SCAN_ABOVE = 1, SCAN_NOT_BELOW = 2 };

/* what to take from a row besides its sums */
typedef struct scan {
    row *row;
    topk *top; /* or NULL */
    int rank;  /* which to count: the elements above, those not below `token_logit` */
    float token_logit;
    uint64_t above, not_below;
} scan;

struct state; /* of a stream: stream_state.h */

typedef struct kernels {
    int32_t isa;
    /* n elements whose first has the id `first`, a multiple of LP_BLOCK */
    void (*scan)(scan *job, const source *from, size_t n, int32_t first);
    /* `count` <= ROW_SOME plain rows of n elements each, 0 < n <= LP_BLOCK: initialises each and scans it */
    void (*scan_short)(row *rows, const source *from, size_t count, size_t n, int entropy);
    /* what a scan takes of such rows besides their sums */
    void (*pick_short)(scan *jobs, const source *from, size_t count, size_t n);
    /* out[i] = row_logprob of element i; past_cache: the caller knows that out will not stay in the cache */
    void (*dense)(float *out, const source *from, size_t n, float max, float log_norm, int past_cache);
    /* out[i] = element i as float, transforms applied: n <= LP_BLOCK, out has room for n rounded up to 32 */
    void (*prepare)(float *out, const source *from, size_t n);
    /* two rows of n > 0 elements in one read; 0, and sums of no use, where it takes compare_exact (core/compare.h) */
    int (*compare_quick)(pair_scan *job, const source *p, const source *q, size_t n);
    /* any two rows that have mass, and neither NaN nor +inf */
    void (*compare_exact)(pair_exact *job, const source *p, const source *q, size_t n);
    /* whether the elements from a level up have many different values; 0 also where these elements are few */
    int (*values_vary)(const source *from, size_t n, float level);
    /* lp_stream_push: neither is NULL (core/push.h) */
    lp_status (*push)(struct state *s, const lp_logits *chunk);
    row_functions functions;
} kernels;

extern const kernels kernels_scalar, kernels_avx2, kernels_avx512, kernels_neon;

static inline size_t source_width(const source *from)
{
    return from->dtype == 0 ? sizeof(float) : sizeof(uint16_t);
}

/* logits that are f32 and final already */
static inline source source_plain(const unsigned char *logits)
{
    const source s = {logits, NULL, 0, 1, 0, LP_F32, 1};
    return s;
}

/* the part of a source that begins at element i */
static inline source source_at(const source *from, size_t i)
{
    source s = *from;
    s.data += i * source_width(from);
    s.allowed_bit += i;
    return s;
}
#endif
