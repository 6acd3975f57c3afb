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
    vf peak = v_set1(0);
    block_cut(&r->groups, (const float *)(const void *)from->data, n);
    const float m = block_max(&r->groups);
    return block_fast(&r->groups, here, m, &r->raw, &sums, &peak, 0, entropy);
}

LP_INLINE void short_rows(row *rows, const source *from, size_t count, size_t n, int entropy)
{
    short_row r[ROW_SOME];
    for (size_t i = 0; i < count; i++) {
        r[i].fast = short_sums(r + i, from + i, n, entropy);
    }
    for (size_t i = 0; i < count; i++) {
        if (r[i].fast) {
            r[i].at = block_find(&r[i].groups, r[i].raw.m);
        }
    }
    for (size_t i = 0; i < count; i++) {
        row_init(rows + i, entropy);
        if (r[i].fast) {
            const block_sum full = block_scale(&r[i].raw), rest = block_rest(&r[i].groups, r[i].at, &r[i].raw);
            row_hold(rows + i, r[i].raw.m, (int32_t)r[i].at, &full, &rest);
        } else {
            scan job = {rows + i, NULL, 0, 0, 0, 0};
            scan_row(&job, from + i, n, 0);
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
