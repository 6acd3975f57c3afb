/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The largest of a block of bf16 or f16 logits, and how many are above one, as integers; what stands for a logit before it is scaled. An
 * ISA with integers of 16 bits in its registers has LP_HALVES of them in one. */
#ifndef LP_CORE_HALVES_H
#define LP_CORE_HALVES_H
#include "core/block.h"
#include "core/count.h"
#include "kernels.h"

/* The levels of logits before they are scaled, for which as many are above, and not below, as for the scaled level afterwards. Products
 * are in the order of their factors, and several may be the same. */
typedef struct raw_level {
    float above, not_below;
} raw_level;

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

/* What the bits of a float have to be above as signed integers; or below as unsigned ones. */
typedef struct half_bound {
    int32_t bound;
    int below;
} half_bound;

/* for what is above the level, or not below it. Bits of floats that are not negative are in their order as signed integers, and above
 * those of negative ones. These are in the opposite order, as unsigned integers above all others. */
LP_INLINE half_bound half_bound_of(uint16_t level, int not_below)
{
    const half_bound negative = {level + not_below, 1}, other = {level - not_below, 0};
    return level >> 15 ? negative : other;
}

LP_INLINE half_bound half_above(float level, int dtype)
{
    return half_bound_of(half_bits(level + 0.0F, dtype), 0); /* +0 for -0 */
}

LP_INLINE half_bound half_not_below(float level, int dtype)
{
    const uint16_t bits = half_bits(level + 0.0F, dtype);
    /* not below either zero: above the negative float that is next to them */
    return bits == 0 ? half_bound_of(0x8001, 0) : half_bound_of(bits, 1);
}

/* counts what passes in a block */
LP_INLINE void half_compare(counters *k, const uint16_t *x, half_bound than)
{
    const vu b = v_halves_set1((uint16_t)than.bound);
    vu count[4];
    LP_UNROLL for (int c = 0; c < 4; c++)
    {
        count[c] = v_bits_zero();
    }
    for (size_t i = 0; i < LP_BLOCK_SIZE; i += (size_t)4 * LP_HALVES) {
        LP_UNROLL for (size_t c = 0; c < 4; c++)
        {
            const vu a = v_halves_load(x + i + c * LP_HALVES);
            count[c] = than.below ? v_halves_count_below(count[c], a, b) : v_halves_count_gt(count[c], a, b);
        }
    }
    LP_UNROLL for (int c = 0; c < 4; c++)
    {
        k->lanes[c] = v_halves_count_add(k->lanes[c], count[c]);
    }
}

/* how many pass of what a mask of one word a set allows */
LP_INLINE uint64_t half_allowed(const uint16_t *x, const uint32_t *allowed, half_bound than)
{
    const vu b = v_halves_set1((uint16_t)than.bound);
    uint64_t count = 0;
    for (size_t i = 0; i < LP_BLOCK_SIZE / LP_LANES; i++) {
        count += (uint64_t)__builtin_popcount(v_halves_mask(x + i * LP_LANES, b, than.below) & allowed[i]);
    }
    return count;
}

/* counts what passes in a block, or, under a mask, returns how many do */
LP_INLINE uint64_t half_count(counters *k, const uint16_t *x, const uint32_t *allowed, half_bound than)
{
    if (allowed != NULL) {
        return half_allowed(x, allowed, than);
    }
    half_compare(k, x, than);
    return 0;
}

LP_INLINE void half_rank(rank_counters *k, scan *job, const uint16_t *x, int dtype, float above, float not_below,
                         const uint32_t *allowed)
{
    if (job->rank & SCAN_ABOVE) {
        job->above += half_count(&k->above, x, allowed, half_above(above, dtype));
    }
    if (job->rank & SCAN_NOT_BELOW) {
        job->not_below += half_count(&k->not_below, x, allowed, half_not_below(not_below, dtype));
    }
}

/* Keys of the floats of a dtype, from -inf to inf, are in their order. */
LP_INLINE int32_t key_most(int dtype)
{
    return dtype == DTYPE_F32 ? 0x7F800000 : dtype == DTYPE_BF16 ? 0x7F80 : 0x7C00;
}

LP_INLINE int32_t key_of(float x, int dtype)
{
    const int32_t bits = dtype == DTYPE_F32 ? (int32_t)float_bits(x) : (int16_t)half_bits(x, dtype);
    return bits ^ ((bits >> 31) & (dtype == DTYPE_F32 ? 0x7FFFFFFF : 0x7FFF));
}

LP_INLINE float key_float(int32_t key, int dtype)
{
    const uint32_t bits = (uint32_t)(key ^ ((key >> 31) & (dtype == DTYPE_F32 ? 0x7FFFFFFF : 0x7FFF)));
    return dtype == DTYPE_F32 ? bits_float(bits) : half_float((uint16_t)bits, dtype);
}

LP_INLINE int level_passed(float x, float scale, float level, int above)
{
    const float y = x * scale;
    return above ? y > level : y >= level;
}

/* the lowest key whose float, scaled, is above the level, or not below it; one more than there are, where there is none */
LP_INLINE int32_t key_passing(float level, float scale, int dtype, int above)
{
    enum { NEAR = 4 };
    const int32_t most = key_most(dtype);
    int32_t low = -most - 1, high = most + 1;
    const float guess = level / scale;
    if (guess == guess) {
        const int32_t key = key_of(guess, dtype);
        if (key < most - NEAR && level_passed(key_float(key + NEAR, dtype), scale, level, above)) {
            high = key + NEAR;
        }
        if (key > -most + NEAR && !level_passed(key_float(key - NEAR, dtype), scale, level, above)) {
            low = key - NEAR;
        }
    }
    while (low < high) {
        const int32_t middle = (int32_t)(((int64_t)low + high) >> 1);
        if (level_passed(key_float(middle, dtype), scale, level, above)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static __attribute__((noinline)) raw_level raw_level_of(float level, float scale, int dtype)
{
    const raw_level r = {key_float(key_passing(level, scale, dtype, 1) - 1, dtype),
                         key_float(key_passing(level, scale, dtype, 0), dtype)};
    return r;
}
#endif
#endif
