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

/* e^m = e^(what is returned) * 2^k */
static double exp_argument(float m, int64_t *k)
{
    if (fabsf(m) >= 0x1p31F) {
        *k = ordered_position(m);
        return 0;
    }
    /* ln 2 in two parts: n * high is exact, and so is m - n * high, for all |n| < 2^32 */
    const double log2e = 0x1.71547652b82fep+0, high = 0x1.62e42p-1, low = 0x1.fdf473de6af28p-22;
    double n = (double)m * log2e;
    n = (n + 0x1.8p52) - 0x1.8p52;
    *k = (int64_t)n;
    return ((double)m - n * high) - n * low;
}

double row_exp_parts(float m, int64_t *k)
{
    return Sleef_cinz_expd1_u10purec(exp_argument(m, k));
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
static double spread(const row *r, int64_t k)
{
    const int simple = fabsf(r->max) < 0x1p24F;
    if (simple && r->s.top == LP_ACC_EMPTY && r->t.top == LP_ACC_EMPTY) { /* one block: see mass_of_others */
        const block_sum *b = &r->rest;
        const double sum = acc_scale(b->s, b->k - k), product = acc_scale((double)b->m * b->s + b->q, b->k - k);
        return (double)r->max * sum - product;
    }
    row all = *r;
    row_deposit(&all, &r->rest);
    double sum = acc_value(&all.s, k);
    if (simple) {
        return (double)r->max * sum - acc_value(&all.t, k);
    }
    /* max * s exactly: s as two doubles, the first of them cut in two */
    acc tail = all.s, difference = all.t;
    acc_add(&tail, -sum, k);
    row_add_product(&difference, -r->max, sum, 0, k);
    row_add_product(&difference, -r->max, acc_value(&tail, k), 0, k);
    return -acc_value(&difference, k);
}

static int has_results(const row *r)
{
    return !(r->flags & (ROW_NAN | ROW_INF)) && r->id >= 0;
}

static row_result without_results(const row *r)
{
    float nan = row_nan();
    int32_t status = r->flags & ROW_NAN ? LP_ERR_NAN : r->flags & ROW_INF ? LP_ERR_INF : LP_ERR_EMPTY;
    row_result out = {nan, nan, nan, nan, -1, status};
    return out;
}

/* the mass of all but the maximum in units of 2^k */
static double mass_of_others(const row *r, int64_t k)
{
    if (r->s.top == LP_ACC_EMPTY) { /* a row of one block needs no accumulator: one number comes out as it went in */
        return acc_scale(r->rest.s, r->rest.k - k);
    }
    acc s = r->s;
    acc_add(&s, r->rest.s, r->rest.k);
    return acc_value(&s, k);
}

/* what counts of that mass relative to the maximum's */
static double counted(double others)
{
    return others >= 0x1p-126 ? others : 0;
}

/* the results of a row whose maximum is top * 2^k; others, counted, and log_norm = ln(1 + others) */
static row_result results_of(const row *r, double top, int64_t k, double others, double log_norm)
{
    row_result out = {0, 0, r->max, (float)log_norm, r->id, LP_OK};
    if (others > 0 && r->flags & ROW_ENTROPY) {
        double d = spread(r, k) / top;
        out.entropy = (float)(log_norm + (d > 0 ? d : 0) / (1 + others));
    }
    out.logsumexp = (float)((double)r->max + log_norm);
    return out;
}

row_result row_finish(const row *r)
{
    if (!has_results(r)) {
        return without_results(r);
    }
    int64_t k;
    double top = row_exp_parts(r->max, &k), others = counted(mass_of_others(r, k) / top);
    return results_of(r, top, k, others, others > 0 ? Sleef_cinz_log1pd1_u10purec(others) : 0);
}

void row_finish_some(const row *rows, size_t n, const row_functions *functions, row_result *results)
{
    if (n == 1) {
        results[0] = row_finish(rows);
        return;
    }
    double top[ROW_SOME] = {0}, others[ROW_SOME] = {0}, log_norm[ROW_SOME];
    int64_t k[ROW_SOME];
    for (size_t i = 0; i < n; i++) {
        top[i] = has_results(rows + i) ? exp_argument(rows[i].max, k + i) : 0;
    }
    functions->exp(top);
    for (size_t i = 0; i < n; i++) {
        others[i] = has_results(rows + i) ? counted(mass_of_others(rows + i, k[i]) / top[i]) : 0;
    }
    memcpy(log_norm, others, sizeof log_norm);
    functions->log1p(log_norm);
    for (size_t i = 0; i < n; i++) {
        results[i] = has_results(rows + i) ? results_of(rows + i, top[i], k[i], others[i], log_norm[i])
                                           : without_results(rows + i);
    }
}
