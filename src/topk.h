/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The k largest (logit, id) of what was seen, in the caller's memory: largest first, ties lowest id first.
 *
 * Candidates come a block at a time, as 64-bit keys that sort like the pairs. While fewer than k were seen they are only
 * appended; then the list is kept sorted and each block's sorted candidates are merged into it. */
#ifndef LP_TOPK_H
#define LP_TOPK_H
#include "bits.h"
#include "names.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct topk {
    unsigned char *logit, *id; /* k floats and k int32, at any alignment */
    size_t k, n;
    float limit;      /* the k-th best once there are k, else -inf */
    int32_t limit_id; /* its id */
    int sorted;
} topk;

/* Larger float, then lower id, gives the larger key. Both zeros give one key. */
static inline uint64_t topk_key(float x, int32_t id)
{
    uint32_t b = float_bits(x + 0.0F);
    b ^= (uint32_t)((int32_t)b >> 31) | 0x80000000U;
    return (uint64_t)b << 32 | (uint32_t)~id;
}

static inline float topk_key_logit(uint64_t key)
{
    uint32_t b = (uint32_t)(key >> 32);
    b ^= b & 0x80000000U ? 0x80000000U : 0xFFFFFFFFU;
    return bits_float(b);
}

static inline int32_t topk_key_id(uint64_t key)
{
    return (int32_t) ~(uint32_t)key;
}

/* an empty list; by value, for what a call writes in parts and its caller copies as a whole waits for the cache */
static inline topk topk_new(void *logit, void *id, size_t k)
{
    topk t = {logit, id, k, 0, -__builtin_inff(), INT32_MAX, 1};
    return t;
}

/* Offers keys, in any order (they are sorted in place; scratch has as many). Keys that do not get in are dropped. */
void topk_offer(topk *t, uint64_t *key, uint64_t *scratch, size_t n);

/* The same of keys that are sorted, largest first. */
void topk_offer_sorted(topk *t, const uint64_t *key, size_t n);

/* Sorts what is there. */
void topk_sort(topk *t);
#endif
