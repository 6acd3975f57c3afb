/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Blocks of bf16 or f16 logits to which nothing is applied, where no entropy is wanted: summed, searched and counted as they lie.
 * Widening them into a buffer first is bound by its stores; only one much of which a list may take is. Beside the entropy, which
 * needs the maximum first, nothing is gained (docs/performance.md). An ISA with integers of 16 bits in its registers has LP_HALVES
 * of them in one. */
#ifndef LP_CORE_HALF_H
#define LP_CORE_HALF_H
#include "core/block.h"
#include "kernels.h"

#ifdef LP_HALVES
LP_INLINE float half_float(uint16_t bits, int dtype)
{
    return dtype == DTYPE_BF16 ? bits_float((uint32_t)bits << 16) : v_f16_float(bits);
}

/* of a float that is one of them */
LP_INLINE uint16_t half_bits(float x, int dtype)
{
    return dtype == DTYPE_BF16 ? (uint16_t)(float_bits(x) >> 16) : v_f16_bits(x);
}

LP_INLINE int32_t half_extreme(const uint16_t *x, int smallest)
{
    vu most[4];
    LP_UNROLL for (size_t c = 0; c < 4; c++)
    {
        most[c] = v_halves_load(x + c * LP_HALVES);
    }
    for (size_t i = (size_t)4 * LP_HALVES; i < LP_BLOCK_SIZE; i += (size_t)4 * LP_HALVES) {
        LP_UNROLL for (size_t c = 0; c < 4; c++)
        {
            const vu a = v_halves_load(x + i + c * LP_HALVES);
            most[c] = smallest ? v_halves_min(most[c], a) : v_halves_max(most[c], a);
        }
    }
    LP_UNROLL for (int c = 1; c < 4; c++)
    {
        most[0] = smallest ? v_halves_min(most[0], most[c]) : v_halves_max(most[0], most[c]);
    }
    return v_halves_extreme(most[0], smallest);
}

static __attribute__((noinline)) int32_t half_smallest(const uint16_t *x)
{
    return half_extreme(x, 1);
}

/* The largest of a block that has no NaN. As signed integers, the largest bits are its, where one is not negative; where all are,
 * the smallest bits are those of the smallest magnitude. */
LP_INLINE float half_max(const uint16_t *x, int dtype)
{
    int32_t most = half_extreme(x, 0);
    if (most < 0) {
        most = half_smallest(x);
    }
    return half_float((uint16_t)most, dtype) + 0.0F;
}

/* block_fast of a whole block */
LP_INLINE int half_fast(const uint16_t *x, int dtype, raw_sum *raw, group_sums *sums, float *maxima, vf *peak)
{
    const float open = __builtin_nanf(""); /* the maximum, as in block_fast */
    const origin start = {(const unsigned char *)x, 16 * sizeof *x};
    vu bits = v_bits_zero();
    vf magic = v_set1(EXP_MAGIC);
    LP_FINISH(magic);
    for (int i = 0; i < LP_GROUPS; i++) {
        const origin from = origin_ahead(start, (size_t)i * LP_GROUP);
        float *s = sums->s + i * LP_LANES;
        group_fast(x + i * LP_GROUP, dtype, from, s, NULL, maxima != NULL ? maxima + i * LP_LANES : NULL, v_set1(open),
                   magic, peak, &bits, 0, 0, NULL, 0, AHEAD_NOTHING);
    }
    return groups_add_up(sums, LP_GROUPS, bits, open, raw, 1, 0);
}

/* how many of a block's bits, some of them flipped, are above the bound as signed integers, or below it */
LP_INLINE uint64_t half_compare(const uint16_t *x, int32_t bound, int below)
{
    const vu b = v_halves_set1((uint16_t)bound), sign = v_halves_set1(0x8000);
    vu count[4];
    LP_UNROLL for (int c = 0; c < 4; c++)
    {
        count[c] = v_bits_zero();
    }
    for (size_t i = 0; i < LP_BLOCK_SIZE; i += (size_t)4 * LP_HALVES) {
        LP_UNROLL for (size_t c = 0; c < 4; c++)
        {
            const vu a = v_halves_load(x + i + c * LP_HALVES);
            count[c] =
                below ? v_halves_count_gt(count[c], b, v_halves_xor(a, sign)) : v_halves_count_gt(count[c], a, b);
        }
    }
    return (uint64_t)v_halves_count_sum(count[0]) + v_halves_count_sum(count[1]) + v_halves_count_sum(count[2]) +
           v_halves_count_sum(count[3]);
}

/* How many of a block are above the level, or not below it. Bits of floats that are not negative are in their order as signed
 * integers, and above those of negative ones. These are in the opposite order, as unsigned integers above all others. */
LP_INLINE uint64_t half_count(const uint16_t *x, uint16_t level, int not_below)
{
    return level >> 15 ? half_compare(x, (level & 0x7FFF) + not_below, 1) : half_compare(x, level - not_below, 0);
}

static __attribute__((noinline)) void half_rank(scan *job, const uint16_t *x, int dtype)
{
    const uint16_t level = half_bits(job->token_logit + 0.0F, dtype); /* +0 for -0 */
    if (job->rank & SCAN_ABOVE) {
        job->above += half_count(x, level, 0);
    }
    if (job->rank & SCAN_NOT_BELOW) {
        /* not below either zero: above the negative float that is next to them */
        job->not_below += level == 0 ? half_count(x, 0x8001, 0) : half_count(x, level, 1);
    }
}
#endif
#endif
