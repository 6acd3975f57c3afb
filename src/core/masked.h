/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a mask allows of a block, and blocks of which it allows little: only that is read. */
#ifndef LP_CORE_MASKED_H
#define LP_CORE_MASKED_H
#include "core/scan_block.h"

enum { ALLOWS_SOME, ALLOWS_ALL, SCANNED };

/* the source of a row without its mask */
LP_INLINE source source_unmasked(const source *from)
{
    source s = *from;
    s.allowed = NULL;
    s.plain = s.dtype == DTYPE_F32 && s.scale == 1 && s.softcap == 0;
    return s;
}

/* the picks of the block at `data`, widened and transformed */
static void pick_prepared(picks *p, const source *from, const unsigned char *data)
{
    _Alignas(64) unsigned char raw[(PICKS + LP_LANES) * sizeof(float)];
    size_t width = source_width(from);
    memset(raw + p->n * width, 0, LP_LANES * sizeof(float)); /* a constant size, no call */
    for (size_t i = 0; i < p->n; i++) {
        if (width == sizeof(float)) {
            memcpy(raw + i * sizeof(float), data + p->at[i] * sizeof(float), sizeof(float));
        } else {
            memcpy(raw + i * sizeof(uint16_t), data + p->at[i] * sizeof(uint16_t), sizeof(uint16_t));
        }
    }
    source packed = *from;
    packed.data = raw;
    packed.allowed = NULL;
    /* what lies behind the last one is not looked at */
    prepare(p->x, &packed, (p->n + LP_LANES - 1) / LP_LANES * LP_LANES);
}

/* A block under a mask. Where the mask allows little, only that is read, and the block is done; else `allowed` is what it allows, a
 * word a set: where the mask lies, or in `words`. */
static __attribute__((noinline)) int scan_allowed(scan *job, scan_state *st, const source *from, size_t offset,
                                                  size_t n, int32_t first, uint32_t words[LP_BLOCK_SIZE / LP_LANES],
                                                  const uint32_t **allowed)
{
    const size_t bit = from->allowed_bit + offset, pairs = (n + 63) / 64;
    const uint32_t *set = words;
    if (bit % 32 == 0 && n % 64 == 0) {
        set = from->allowed + bit / 32;
    } else {
        for (size_t i = 0; i < pairs * 64; i += LP_LANES) {
            const size_t size = i >= n ? 0 : n - i < LP_LANES ? n - i : LP_LANES;
            words[i / LP_LANES] =
                size == 0 ? 0 : mask_bits(from->allowed, bit + i, size) & (UINT32_MAX >> (LP_LANES - size));
        }
    }
    *allowed = set;
    uint64_t pair[LP_BLOCK_SIZE / 64], all = UINT64_MAX;
    for (size_t i = 0; i < pairs; i++) {
        pair[i] = set[2 * i] | (uint64_t)set[2 * i + 1] << 32;
        all &= pair[i];
    }
    if (all == UINT64_MAX) {
        return ALLOWS_ALL;
    }
    picks p;
    const unsigned char *data = from->data + offset * source_width(from);
    const int plain = source_unmasked(from).plain;
    if (pick_bits(&p, pair, pairs * 64, plain ? (const float *)(const void *)data : NULL) > PICKS) {
        return ALLOWS_SOME;
    }
    if (!plain) {
        pick_prepared(&p, from, data);
    }
    scan_picks(job, st, &p, offset, n, first);
    return SCANNED;
}
#endif
