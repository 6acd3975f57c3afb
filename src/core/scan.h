/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One read of a row: its sums, its top-k and a token's rank, block by block. */
#ifndef LP_CORE_SCAN_H
#define LP_CORE_SCAN_H
#include "core/block.h"
#include "core/prepare.h"

/* one bit an element of the set at x: a >= limit, or a > limit */
LP_INLINE uint32_t set_mask(const float *x, float limit, int strict)
{
    const vf l = v_set1(limit);
    uint32_t mask = 0;
    for (int c = 0; c < LP_COLUMNS; c++) {
        vf a = v_load(x + c * LP_WIDTH);
        mask |= (strict ? v_mask_gt(a, l) : v_mask_ge(a, l)) << (c * LP_WIDTH % 32);
    }
    return mask;
}

/* Keys of the elements above (or not below) the limit, at most `most` of them: returns how many, most + 1 for more. */
static size_t collect(uint64_t *key, size_t most, const float *x, size_t n, int32_t first, float limit, int strict)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i += LP_LANES) {
        uint32_t mask;
        if (n - i >= LP_LANES) {
            mask = set_mask(x + i, limit, strict);
        } else {
            _Alignas(64) float last[LP_LANES];
            for (size_t j = 0; j < LP_LANES; j++) {
                last[j] = i + j < n ? x[i + j] : -__builtin_inff();
            }
            mask = set_mask(last, limit, strict) & ((1U << (n - i)) - 1);
        }
        for (; mask != 0; mask &= mask - 1) {
            if (count == most) {
                return most + 1;
            }
            size_t at = i + (size_t)__builtin_ctz(mask);
            float value;
            memcpy(&value, x + at, sizeof value);
            key[count++] = topk_key(value, first + (int32_t)at);
        }
    }
    return count;
}

/* The k-th largest of the 128 maxima over 8 elements each, which no element outside the top k of a whole block exceeds. */
static float block_bound(const float *x, size_t k)
{
    float maxima[LP_GROUPS * LP_LANES];
    for (int g = 0; g < LP_GROUPS; g++) {
        for (int c = 0; c < LP_COLUMNS; c++) {
            const float *at = x + g * LP_GROUP + c * LP_WIDTH;
            vf max = v_load(at);
            for (int i = 1; i < LP_SETS; i++) {
                max = v_max(max, v_load(at + i * LP_LANES));
            }
            v_store(maxima + g * LP_LANES + c * LP_WIDTH, max);
        }
    }
    if (k <= LP_LANES) {
        for (int c = 0; c < LP_LANES; c++) {
            for (int g = 1; g < LP_GROUPS; g++) {
                float other = maxima[g * LP_LANES + c];
                maxima[c] = other > maxima[c] ? other : maxima[c];
            }
        }
        return topk_bound(maxima, LP_LANES, k);
    }
    return topk_bound(maxima, sizeof maxima / sizeof *maxima, k);
}

/* offers the block's elements that may be among the k best; m is the block's maximum */
static void block_top(topk *t, const float *x, size_t n, int32_t first, float m)
{
    int strict = first > t->limit_id || t->n < t->k;
    if (strict ? !(m > t->limit) : !(m >= t->limit)) {
        return;
    }
    uint64_t key[LP_BLOCK_SIZE], scratch[LP_BLOCK_SIZE];
    enum { BOUND_MOST = LP_GROUPS * LP_LANES };
    size_t most = LP_BLOCK_SIZE, count;
    if (t->k <= BOUND_MOST && n == LP_BLOCK_SIZE) {
        most = t->k < 16 ? 32 : 2 * t->k;
    }
    count = collect(key, most, x, n, first, t->limit, strict);
    if (count > most) {
        /* many candidates (the first block, ascending rows): raise the limit before looking at each. Elements equal to
         * the bound are wanted, unless it is the old limit. */
        float bound = block_bound(x, t->k);
        count = bound > t->limit ? collect(key, LP_BLOCK_SIZE, x, n, first, bound, 0)
                                 : collect(key, LP_BLOCK_SIZE, x, n, first, t->limit, strict);
    }
    topk_offer(t, key, scratch, count);
}

static void block_rank(scan *job, const float *x, size_t n)
{
    const vf token = v_set1(job->token_logit);
    vu above = v_bits_zero(), not_below = v_bits_zero();
    size_t whole = n - n % LP_LANES;
    for (size_t i = 0; i < whole; i += LP_WIDTH) {
        vf a = v_load(x + i);
        above = v_count_gt(above, a, token);
        not_below = v_count_ge(not_below, a, token);
    }
    job->above += v_count_sum(above);
    job->not_below += v_count_sum(not_below);
    for (size_t i = whole; i < n; i++) {
        float value;
        memcpy(&value, x + i, sizeof value);
        job->above += value > job->token_logit;
        job->not_below += value >= job->token_logit;
    }
}

/* the bounds on a block's lane sums below which the block needs no second look */
typedef struct bounds {
    float level, level_e; /* a new maximum, or a place among the top k */
    float token_e;        /* an element not below the ranked token */
} bounds;

LP_INLINE void bounds_update(bounds *b, const scan *job)
{
    float level = job->row->max;
    if (job->top != NULL && !(job->top->limit > level)) {
        level = job->top->limit;
    }
    if (level != b->level) {
        b->level = level;
        b->level_e = level_bound(level);
    }
}

LP_INLINE void scan_block(scan *job, bounds *b, held_block *held, const float *x, size_t offset, size_t n, int32_t first,
                          int full_size, int entropy)
{
    row *r = job->row;
    block_groups g;
    raw_sum raw;
    vf peak = v_set1(0);
    block_cut(&g, x, n);
    int fast = !r->wide_hint && block_fast(&g, &raw, &peak, full_size, entropy);
    if (!fast && !block_careful(r, g.at, g.count, &raw)) {
        return;
    }
    block_sum full = block_scale(&raw);
    int open = fast && !entropy; /* the maximum has not been taken */
    if (open && !peak_reaches(peak, b->level_e)) {
        row_deposit(r, &full);
    } else {
        if (open) {
            raw.m = block_max(&g);
        }
        block_hold(r, held, offset, n, first, &raw, &full);
        if (job->top != NULL) {
            block_top(job->top, x, n, first, raw.m);
        }
        bounds_update(b, job);
    }
    if (job->rank && (open ? peak_reaches(peak, b->token_e) : raw.m >= job->token_logit)) {
        block_rank(job, x, n);
    }
}

/* the row's last block, where it is not whole: out of the loop's way */
static __attribute__((noinline)) void scan_last(scan *job, bounds *b, held_block *held, const float *x, size_t offset,
                                                size_t n, int32_t first)
{
    if (job->row->flags & ROW_ENTROPY) {
        scan_block(job, b, held, x, offset, n, first, 0, 1);
    } else {
        scan_block(job, b, held, x, offset, n, first, 0, 0);
    }
}

/* the block of n elements at `offset`: where it lies, or prepared in the buffer */
LP_INLINE const float *block_at(const source *from, size_t offset, size_t n, float *buffer)
{
    if (from->plain) {
        return (const float *)(const void *)from->data + offset;
    }
    source part = source_at(from, offset);
    prepare(buffer, &part, n);
    return buffer;
}

LP_INLINE void scan_blocks(scan *job, const source *from, size_t n, int32_t first, int entropy)
{
    _Alignas(64) float buffer[LP_BLOCK_SIZE];
    bounds b = {__builtin_nanf(""), 0, job->rank ? level_bound(job->token_logit) : 0};
    held_block held;
    held.any = 0;
    bounds_update(&b, job);
    size_t i = 0;
    for (; i + LP_BLOCK_SIZE <= n; i += LP_BLOCK_SIZE) {
        const float *x = block_at(from, i, LP_BLOCK_SIZE, buffer);
        scan_block(job, &b, &held, x, i, LP_BLOCK_SIZE, first + (int32_t)i, 1, entropy);
    }
    if (i < n) {
        scan_last(job, &b, &held, block_at(from, i, n - i, buffer), i, n - i, first + (int32_t)i);
    }
    if (held.any) {
        block_settle(job->row, &held, block_at(from, held.offset, held.n, buffer));
    }
}

static void scan_row(scan *job, const source *from, size_t n, int32_t first)
{
    if (job->row->flags & ROW_ENTROPY) {
        scan_blocks(job, from, n, first, 1);
    } else {
        scan_blocks(job, from, n, first, 0);
    }
}

static void dense_plain(float *out, const float *x, size_t n, float max, float log_norm)
{
    const vf m = v_set1(row_subtrahend(max)), norm = v_set1(log_norm);
    size_t i = 0;
    for (; i + LP_LANES <= n; i += LP_LANES) {
        for (size_t c = 0; c < LP_LANES; c += LP_WIDTH) {
            v_store(out + i + c, v_sub(v_sub(v_load(x + i + c), m), norm));
        }
    }
    for (; i < n; i++) {
        float value;
        memcpy(&value, x + i, sizeof value);
        value = row_logprob(value, max, log_norm);
        memcpy(out + i, &value, sizeof value);
    }
}

static void dense_row(float *out, const source *from, size_t n, float max, float log_norm)
{
    if (from->plain) {
        dense_plain(out, (const float *)(const void *)from->data, n, max, log_norm);
        return;
    }
    _Alignas(64) float buffer[LP_BLOCK_SIZE];
    for (size_t i = 0; i < n; i += LP_BLOCK_SIZE) {
        size_t size = n - i < LP_BLOCK_SIZE ? n - i : LP_BLOCK_SIZE;
        source part = source_at(from, i);
        prepare(buffer, &part, size);
        dense_plain(out + i, buffer, size, max, log_norm);
    }
}

#define LP_KERNELS(name, isa) const kernels kernels_##name = {isa, scan_row, dense_row, prepare}
#endif
