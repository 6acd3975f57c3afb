/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Adding up block sums and finishing a row: the only logarithms and exponentials outside the hot loop. */
#include "row.h"
#include "logprob.h"
#include "sleef.h"
#include <math.h>

void row_init(row *r, int entropy)
{
    memset(r, 0, sizeof *r);
    acc_init(&r->s);
    acc_init(&r->t);
    r->max = -INFINITY;
    r->id = -1;
    r->flags = entropy ? ROW_ENTROPY : 0;
}

/* A map from floats to integers 512 apart in the order of the floats. */
static int64_t ordered_position(float m)
{
    int32_t bits = (int32_t)float_bits(m);
    int64_t rank = bits < 0 ? -(int64_t)(bits & INT32_MAX) : bits;
    return rank * 512;
}

double row_exp_parts(float m, int64_t *k)
{
    if (fabsf(m) >= 0x1p31F) {
        *k = ordered_position(m);
        return 1;
    }
    /* ln 2 in two parts: n * high is exact, and so is m - n * high, for all |n| < 2^32 */
    const double log2e = 0x1.71547652b82fep+0, high = 0x1.62e42p-1, low = 0x1.fdf473de6af28p-22;
    double n = (double)m * log2e;
    n = (n + 0x1.8p52) - 0x1.8p52;
    *k = (int64_t)n;
    return Sleef_cinz_expd1_u10purec(((double)m - n * high) - n * low);
}

void row_hold(row *r, float m, int32_t id, const block_sum *full, const block_sum *rest)
{
    if (r->id >= 0) {
        row_deposit(r, &r->full);
    }
    r->full = *full;
    r->rest = *rest;
    r->max = m;
    r->id = id;
}

void row_merge(row *into, const row *from)
{
    acc_merge(&into->s, &from->s);
    acc_merge(&into->t, &from->t);
    into->flags |= from->flags & (ROW_NAN | ROW_INF);
    if (from->id < 0) {
        return;
    }
    if (row_is_better(into, from->max, from->id)) {
        row_hold(into, from->max, from->id, &from->full, &from->rest);
    } else {
        row_deposit(into, &from->full);
    }
}

/* D = sum over all but the maximum of e^(x - max) (max - x), in units of 2^k */
static double spread(const row *r, const acc *s, const acc *t, int64_t k)
{
    double sum = acc_value(s, k);
    if (fabsf(r->max) < 0x1p24F) {
        return (double)r->max * sum - acc_value(t, k);
    }
    /* max * s exactly: s as two doubles, the first of them cut in two */
    acc tail = *s, difference = *t;
    acc_add(&tail, -sum, k);
    row_add_product(&difference, -r->max, sum, 0, k);
    row_add_product(&difference, -r->max, acc_value(&tail, k), 0, k);
    return -acc_value(&difference, k);
}

row_result row_finish(const row *r)
{
    float nan = row_nan();
    row_result out = {nan, nan, nan, nan, -1, LP_OK};
    if (r->flags & (ROW_NAN | ROW_INF) || r->id < 0) {
        out.status = r->flags & ROW_NAN ? LP_ERR_NAN : r->flags & ROW_INF ? LP_ERR_INF : LP_ERR_EMPTY;
        return out;
    }
    int64_t k;
    double top = row_exp_parts(r->max, &k);
    int alone =
        r->s.top == LP_ACC_EMPTY; /* a row of one block needs no accumulator: one number comes out as it went in */
    acc s = r->s;
    if (!alone) {
        acc_add(&s, r->rest.s, r->rest.k);
    }
    double others = (alone ? acc_scale(r->rest.s, r->rest.k - k) : acc_value(&s, k)) / top;
    double log_norm = 0, entropy = 0;
    if (others >= 0x1p-126) {
        log_norm = Sleef_cinz_log1pd1_u10purec(others);
        if (r->flags & ROW_ENTROPY) {
            row all = *r;
            row_deposit(&all, &r->rest);
            double d = spread(r, &all.s, &all.t, k) / top;
            entropy = log_norm + (d > 0 ? d : 0) / (1 + others);
        }
    }
    out.max_logit = r->max;
    out.argmax = r->id;
    out.log_norm = (float)log_norm;
    out.logsumexp = (float)((double)r->max + log_norm);
    out.entropy = (float)entropy;
    return out;
}
