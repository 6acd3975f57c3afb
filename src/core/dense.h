/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Log-probabilities of all of a row, of which the logsumexp is known. Logits are read as they lie, unless they are capped or masked. */
#ifndef LP_CORE_DENSE_H
#define LP_CORE_DENSE_H
#include "core/block.h"

/* fewer elements than a set */
LP_INLINE void dense_few(float *out, const source *from, size_t n, float max, float log_norm)
{
    float prepared[LP_LANES];
    const unsigned char *x = from->data;
    if (!from->plain && n != 0) {
        prepare(prepared, from, n);
        x = (const unsigned char *)prepared;
    }
    for (size_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, x + i * sizeof value, sizeof value);
        value = row_logprob(value, max, log_norm);
        memcpy(out + i, &value, sizeof value);
    }
}

LP_INLINE void dense_sets(float *out, const source *from, size_t n, float max, float log_norm, int past_cache,
                          int dtype, int scaled)
{
    const reading r = {dtype, scaled, 0, v_set1(from->scale)};
    const vf m = v_set1(row_subtrahend(max)), norm = v_set1(log_norm);
    const unsigned char *x = from->data;
    /* from the end: what was read last is still in a cache that has not room for the row */
    for (size_t i = n; i > 0;) {
        i -= LP_LANES;
        LP_UNROLL for (size_t c = 0; c < LP_LANES; c += LP_WIDTH)
        {
            vf y = v_sub(v_sub(load_logits(x, i + c, r), m), norm);
            if (past_cache) {
                v_store_past_cache(out + i + c, y);
            } else {
                v_store(out + i + c, y);
            }
        }
    }
}

LP_INLINE void dense_direct(float *out, const source *from, size_t n, float max, float log_norm, int past_cache,
                            int dtype, int scaled)
{
    size_t head = 0;
    if (past_cache && (uintptr_t)out % sizeof *out == 0) {
        head = (size_t)(-((uintptr_t)out / sizeof *out)) % 16; /* to the next cache line */
        head = head < n ? head : n;
    } else {
        past_cache = 0;
    }
    const size_t whole = (n - head) / LP_LANES * LP_LANES;
    const source sets = source_at(from, head), rest = source_at(from, head + whole);
    dense_few(out, from, head, max, log_norm);
    if (past_cache) {
        dense_sets(out + head, &sets, whole, max, log_norm, 1, dtype, scaled);
        v_fence();
    } else {
        dense_sets(out + head, &sets, whole, max, log_norm, 0, dtype, scaled);
    }
    dense_few(out + head + whole, &rest, n - head - whole, max, log_norm);
}

static void dense_f32(float *out, const source *from, size_t n, float max, float log_norm, int past_cache)
{
    dense_direct(out, from, n, max, log_norm, past_cache, DTYPE_F32, 0);
}

static void dense_bf16(float *out, const source *from, size_t n, float max, float log_norm, int past_cache)
{
    dense_direct(out, from, n, max, log_norm, past_cache, DTYPE_BF16, 0);
}

static void dense_f16(float *out, const source *from, size_t n, float max, float log_norm, int past_cache)
{
    dense_direct(out, from, n, max, log_norm, past_cache, DTYPE_F16, 0);
}

static void dense_f32_scaled(float *out, const source *from, size_t n, float max, float log_norm, int past_cache)
{
    dense_direct(out, from, n, max, log_norm, past_cache, DTYPE_F32, 1);
}

static void dense_bf16_scaled(float *out, const source *from, size_t n, float max, float log_norm, int past_cache)
{
    dense_direct(out, from, n, max, log_norm, past_cache, DTYPE_BF16, 1);
}

static void dense_f16_scaled(float *out, const source *from, size_t n, float max, float log_norm, int past_cache)
{
    dense_direct(out, from, n, max, log_norm, past_cache, DTYPE_F16, 1);
}

/* a block at a time through a buffer */
static void dense_prepared(float *out, const source *from, size_t n, float max, float log_norm, int past_cache)
{
    _Alignas(64) float buffer[LP_BLOCK_SIZE];
    for (size_t end = n; end > 0;) {
        const size_t size = end % LP_BLOCK_SIZE != 0 ? end % LP_BLOCK_SIZE : LP_BLOCK_SIZE;
        end -= size;
        const source part = source_at(from, end);
        prepare(buffer, &part, size);
        const source prepared = source_plain((const unsigned char *)buffer);
        dense_f32(out + end, &prepared, size, max, log_norm, past_cache);
    }
}

static void dense_row(float *out, const source *from, size_t n, float max, float log_norm, int past_cache)
{
    typedef void dense_function(float *, const source *, size_t, float, float, int);
    static dense_function *const direct[][3] = {{dense_f32, dense_bf16, dense_f16},
                                                {dense_f32_scaled, dense_bf16_scaled, dense_f16_scaled}};
    const int prepared = from->softcap != 0 || from->allowed != NULL;
    (prepared ? dense_prepared : direct[from->scale != 1][from->dtype])(out, from, n, max, log_norm, past_cache);
}
#endif
