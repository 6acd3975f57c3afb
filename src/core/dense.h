/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Log-probabilities of all of a row, of which the logsumexp is known. */
#ifndef LP_CORE_DENSE_H
#define LP_CORE_DENSE_H
#include "core/block.h"

LP_INLINE void dense_ends(float *out, const float *x, size_t n, float max, float log_norm)
{
    for (size_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, x + i, sizeof value);
        value = row_logprob(value, max, log_norm);
        memcpy(out + i, &value, sizeof value);
    }
}

LP_INLINE void dense_sets(float *out, const float *x, size_t n, float max, float log_norm, int past_cache)
{
    const vf m = v_set1(row_subtrahend(max)), norm = v_set1(log_norm);
    /* from the end: what was read last is still in a cache that has not room for the row */
    for (size_t i = n; i > 0;) {
        i -= LP_LANES;
        LP_UNROLL for (size_t c = 0; c < LP_LANES; c += LP_WIDTH)
        {
            vf y = v_sub(v_sub(v_load(x + i + c), m), norm);
            if (past_cache) {
                v_store_past_cache(out + i + c, y);
            } else {
                v_store(out + i + c, y);
            }
        }
    }
}

static void dense_plain(float *out, const float *x, size_t n, float max, float log_norm, int past_cache)
{
    size_t head = 0;
    if (past_cache && (uintptr_t)out % sizeof *out == 0) {
        head = (size_t)(-((uintptr_t)out / sizeof *out)) % 16; /* to the next cache line */
        head = head < n ? head : n;
    } else {
        past_cache = 0;
    }
    size_t whole = (n - head) / LP_LANES * LP_LANES;
    dense_ends(out, x, head, max, log_norm);
    if (past_cache) {
        dense_sets(out + head, x + head, whole, max, log_norm, 1);
        v_fence();
    } else {
        dense_sets(out + head, x + head, whole, max, log_norm, 0);
    }
    dense_ends(out + head + whole, x + head + whole, n - head - whole, max, log_norm);
}

static void dense_row(float *out, const source *from, size_t n, float max, float log_norm, int past_cache)
{
    if (from->plain) {
        dense_plain(out, (const float *)(const void *)from->data, n, max, log_norm, past_cache);
        return;
    }
    _Alignas(64) float buffer[LP_BLOCK_SIZE];
    for (size_t end = n; end > 0;) {
        size_t size = end % LP_BLOCK_SIZE != 0 ? end % LP_BLOCK_SIZE : LP_BLOCK_SIZE;
        end -= size;
        source part = source_at(from, end);
        prepare(buffer, &part, size);
        dense_plain(out + end, buffer, size, max, log_norm, past_cache);
    }
}
#endif
