/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What has been learnt of a row so far: the sums of its blocks, with the block of the maximum held out.
 *
 * Plain arithmetic in double, the same on every CPU. The kernels make block_sums; this file adds them up without regard
 * to their order. The block that holds the maximum (ties: lowest id) is not deposited while it is the best: its sums are
 * kept twice, with and without that element, so that the mass of everything else is known relative to the maximum to full
 * relative precision however small it is. A better block deposits the old one's full sums. */
#ifndef LP_ROW_H
#define LP_ROW_H
#include "core/accum.h"
#include "names.h"
#include <stddef.h>
#include <stdint.h>

typedef struct block_sum {
    double s; /* sum of e^x is s * 2^k */
    double q; /* sum of e^x (x - m) is q * 2^k; only where the entropy is wanted */
    int64_t k;
    float m; /* a maximum: the reference of q */
    float unused;
} block_sum;

enum { ROW_NAN = 1, ROW_INF = 2, ROW_ENTROPY = 4 };

typedef struct row {
    acc s, t; /* sums of e^x and of e^x x over the blocks that are not held */
    block_sum full, rest;
    float max; /* -inf: no mass yet */
    int32_t id;
    uint32_t flags;
    uint32_t wide_hint; /* why the last block left the fast path, or 0. Costs, never bits */
} row;
/* for -inf; for values beyond the path's window, of which the next one has some, too; for one of these or both */
enum { ROW_ABSENT = 1, ROW_WIDE = 2, ROW_UNKNOWN = 3 };

void row_init(row *r, int entropy);

/* e^m = f * 2^k, f in [0.7, 1.5]. For |m| >= 2^31, where different floats are at least 256 apart, k only orders them. */
double row_exp_parts(float m, int64_t *k);

/* t += m * s * 2^k without losing bits: from |m| of 2^24 on, the rounding of the product would be seen in the entropy */
static inline void row_add_product(acc *t, float m, double s, double q, int64_t k)
{
    if ((m < 0 ? -m : m) < 0x1p24F) {
        acc_add(t, (double)m * s + q, k);
        return;
    }
    double head = bits_double(double_bits(s) & ~(uint64_t)0x7FFFFFF);
    acc_add(t, (double)m * head, k);
    acc_add(t, (double)m * (s - head), k);
    acc_add(t, q, k);
}

/* adds a block's sums for good */
static inline void row_deposit(row *r, const block_sum *b)
{
    acc_add(&r->s, b->s, b->k);
    if (r->flags & ROW_ENTROPY) {
        row_add_product(&r->t, b->m, b->s, b->q, b->k);
    }
}

/* makes the block with maximum m at id the held one, if it is better than the present one, else deposits it */
static inline int row_is_better(const row *r, float m, int32_t id)
{
    return m > r->max || (m == r->max && id < r->id) || r->id < 0;
}
void row_hold(row *r, float m, int32_t id, const block_sum *full, const block_sum *rest);

/* a row of one block, its maximum at id */
static inline void row_of_block(row *r, int entropy, float m, int32_t id, const block_sum *full, const block_sum *rest)
{
    acc_init(&r->s);
    acc_init(&r->t);
    r->full = *full;
    r->rest = *rest;
    r->max = m;
    r->id = id;
    r->flags = entropy ? ROW_ENTROPY : 0;
    r->wide_hint = 0;
}

void row_merge(row *into, const row *from);

typedef struct row_result {
    float logsumexp, entropy, max_logit, log_norm; /* all NaN where the row has none */
    int32_t argmax;
    int32_t status; /* LP_OK, LP_ERR_NAN, LP_ERR_INF, LP_ERR_EMPTY */
} row_result;
row_result row_finish(const row *r);

/* The same of n <= ROW_SOME rows at once. Each function takes eight numbers to their exponentials, or to ln(1 + x), with the bits
 * of SLEEF's scalar ones: its deterministic functions have the same at every width. */
enum { ROW_SOME = 8 };
typedef struct row_functions {
    void (*exp)(double x[ROW_SOME]);
    void (*log1p)(double x[ROW_SOME]);
} row_functions;
void row_finish_some(const row *rows, size_t n, const row_functions *functions, row_result *results);

/* what the maximum is subtracted as: with -0 for 0, either zero minus it is +0, so that a logprob of 0 has one sign */
static inline float row_subtrahend(float max)
{
    return max == 0 ? -0.0F : max;
}

/* the one formula of every log-probability: two roundings, never above 0 */
static inline float row_logprob(float x, float max, float log_norm)
{
    return (x - row_subtrahend(max)) - log_norm;
}

/* the NaN of every result */
static inline float row_nan(void)
{
    return bits_float(0x7FC00000U);
}
#endif
