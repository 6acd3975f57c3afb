/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rows of one block at most, some at a time. What follows a short row's exponentials is a chain of latencies longer than the
 * exponentials take: each step is done for all the rows before the next one, so that the CPU has other rows to go on with.
 * The steps, and with them the bits, are those of a scan. */
#ifndef LP_CORE_SHORT_H
#define LP_CORE_SHORT_H
#include "core/scan.h"

typedef struct short_row {
    int fast;
    raw_sum raw;
    size_t at; /* of the maximum */
    block_groups groups;
} short_row;

/* 0 where the row is not ordinary */
LP_INLINE int short_sums(short_row *r, const source *from, size_t n, int entropy)
{
    const origin here = {from->data, LP_LANES / 2 * sizeof(float)};
    group_sums sums;
    _Alignas(64) float high[LP_GROUPS * LP_LANES];
    const int what = entropy ? SUMS_ENTROPY : SUMS_ALONE;
    vf peak = peak_none(what);
    if (n >= LP_LANES && floats_are_wide((const float *)(const void *)from->data)) {
        return 0;
    }
    block_cut(&r->groups, (const float *)(const void *)from->data, n);
    const int fast = block_fast(&r->groups, here, &r->raw, &sums, high, &peak, 0, what);
    if (!entropy) {
        r->raw.m = block_max(&r->groups);
    }
    return fast;
}

/* block_rest of each fast row: their lanes side by side, an exponential for two rows or more and a sum for all */
LP_INLINE void short_rests(const short_row *r, size_t count, block_sum rest[ROW_SOME])
{
    const vf lowest = v_set1(EXP_LOWEST), magic = v_set1(EXP_MAGIC), zero = v_set1(0);
    _Alignas(64) float e[LP_SETS * ROW_SOME];
    float with[ROW_SOME], without[ROW_SOME];
    for (size_t i = 0; i < ROW_SOME; i++) {
        const float *x = i < count && r[i].fast ? r[i].groups.at[r[i].at / LP_GROUP] + r[i].at % LP_LANES : NULL;
        LP_UNROLL for (size_t j = 0; j < LP_SETS; j++)
        {
            e[j * ROW_SOME + i] = x != NULL ? lane_at(x, j) : 0;
        }
    }
    LP_UNROLL for (int i = 0; i < LP_SETS * ROW_SOME; i += LP_WIDTH)
    {
        vf a = v_load(e + i), t;
        v_store(e + i, v_where_ge(a, lowest, exp_terms(v_where_ge(a, lowest, a, zero), magic, &t), zero));
    }
    for (int i = 0; i < ROW_SOME; i++) {
        with[i] = lane_sum(e + i, ROW_SOME);
    }
    for (size_t i = 0; i < count; i++) {
        e[(r[i].fast ? r[i].at % LP_GROUP / LP_LANES : 0) * ROW_SOME + i] = 0;
    }
    for (int i = 0; i < ROW_SOME; i++) {
        without[i] = lane_sum(e + i, ROW_SOME);
    }
    for (size_t i = 0; i < count; i++) {
        if (r[i].fast) {
            raw_sum exchanged;
            rest[i] = rest_exchange(&exchanged, &r[i].raw, with[i], without[i])
                          ? block_scale(&exchanged)
                          : rest_again(&r[i].groups, r[i].at, &r[i].raw);
        }
    }
}

static __attribute__((noinline)) void short_otherwise(row *r, const source *from, size_t n, int entropy)
{
    scan job = {r, NULL, 0, 0, 0, 0};
    row_init(r, entropy);
    r->wide_hint = ROW_UNKNOWN;
    scan_row(&job, from, n, 0);
}

/* A row alone: nothing is kept in memory that is soon read again in other parts. */
LP_INLINE void short_one(row *r, const source *from, size_t n, int entropy)
{
    short_row one;
    if (!short_sums(&one, from, n, entropy)) {
        short_otherwise(r, from, n, entropy);
        return;
    }
    one.at = block_find(&one.groups, one.raw.m, 0);
    const block_sum rest = block_rest(&one.groups, one.at, &one.raw), full = block_scale(&one.raw);
    row_of_block(r, entropy, one.raw.m, (int32_t)one.at, &full, &rest);
}

LP_INLINE void short_rows(row *rows, const source *from, size_t count, size_t n, int entropy)
{
    if (count == 1) {
        short_one(rows, from, n, entropy);
        return;
    }
    short_row r[ROW_SOME];
    block_sum rest[ROW_SOME];
    for (size_t i = 0; i < count; i++) {
        r[i].fast = short_sums(r + i, from + i, n, entropy);
    }
    for (size_t i = 0; i < count; i++) {
        if (r[i].fast) {
            r[i].at = block_find(&r[i].groups, r[i].raw.m, 0);
        }
    }
    short_rests(r, count, rest);
    for (size_t i = 0; i < count; i++) {
        if (r[i].fast) {
            const block_sum full = block_scale(&r[i].raw);
            row_of_block(rows + i, entropy, r[i].raw.m, (int32_t)r[i].at, &full, rest + i);
        } else {
            short_otherwise(rows + i, from + i, n, entropy);
        }
    }
}

static __attribute__((noinline)) void short_rows_sums(row *rows, const source *from, size_t count, size_t n)
{
    short_rows(rows, from, count, n, 0);
}

static __attribute__((noinline)) void short_rows_entropy(row *rows, const source *from, size_t count, size_t n)
{
    short_rows(rows, from, count, n, 1);
}

static void scan_short(row *rows, const source *from, size_t count, size_t n, int entropy)
{
    (entropy ? short_rows_entropy : short_rows_sums)(rows, from, count, n);
}
#endif
