/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The lanes of a block that may hold an element above a bound: found by what is known of each lane, and walked. */
#ifndef LP_CORE_REACH_H
#define LP_CORE_REACH_H
#include "core/block.h"

enum { LANE_WORDS = 8 * LP_GROUPS / 2 }; /* of up to eight blocks */

/* Of 64 lanes a bit each, those of two groups; words that have none are left out, and two of 0 follow the last. */
typedef struct lane_words {
    uint64_t word[LANE_WORDS + 2];
    size_t at[LANE_WORDS + 2]; /* the first of the 64 */
} lane_words;

/* how many words and lanes there are: apart from them, so that compilers keep these in registers */
typedef struct lane_count {
    size_t words, lanes;
} lane_count;

LP_INLINE void words_add(lane_words *w, lane_count *n, uint64_t word, size_t at)
{
    w->word[n->words] = word;
    w->at[n->words] = at;
    n->words += word != 0;
    n->lanes += (size_t)__builtin_popcountll(word);
}

LP_INLINE void words_end(lane_words *w, size_t words)
{
    w->word[words] = w->word[words + 1] = 0;
}

/* more of them: of a block whose first lane is `first` those whose value is above the bound, or not below it */
LP_INLINE lane_count lanes_add(lane_words *w, lane_count n, int groups, const float *value, float bound, int strict,
                               size_t first)
{
    for (int i = 0; i < groups; i += 2) {
        const float *x = value + i * LP_LANES;
        uint64_t lanes = set_mask(x, bound, strict);
        lanes |= i + 1 < groups ? (uint64_t)set_mask(x + LP_LANES, bound, strict) << LP_LANES : 0;
        words_add(w, &n, lanes, first + (size_t)i * LP_LANES);
    }
    return n;
}

/* the lanes of one block */
LP_INLINE lane_count lanes_reach(lane_words *w, int groups, const float *value, float bound, int strict)
{
    const lane_count none = {0, 0}, n = lanes_add(w, none, groups, value, bound, strict, 0);
    words_end(w, n.words);
    return n;
}

/* the lanes of a group that have an element above the bound */
LP_INLINE uint64_t group_reaches(const float *x, float bound)
{
    const vf l = v_set1(bound);
    uint32_t lanes = 0;
    LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
    {
        lanes |= v_mask_gt(lane_max(x, (size_t)(c * LP_WIDTH)), l) << (c * LP_WIDTH % 32);
    }
    return lanes;
}

/* Of lanes that reach a bound by the sum of their eight, as many do where logits are close together, those that have an element
 * above it. */
static __attribute__((noinline)) lane_count lanes_narrow(lane_words *w, const block_groups *g, size_t words,
                                                         float bound)
{
    lane_count n = {0, 0};
    for (size_t i = 0; i < words; i++) {
        const size_t at = w->at[i];
        const float *const *group = g->at + at / LP_LANES;
        uint64_t lanes = w->word[i];
        if ((uint32_t)lanes != 0) {
            lanes &= group_reaches(group[0], bound) | ~(uint64_t)UINT32_MAX;
        }
        if (lanes >> LP_LANES != 0) {
            lanes &= group_reaches(group[1], bound) << LP_LANES | UINT32_MAX;
        }
        words_add(w, &n, lanes, at);
    }
    words_end(w, n.words);
    return n;
}

/* All ones for 0, else 0. What is chosen by it costs no branch, which compilers would make of a condition, and which could not
 * be predicted. */
LP_INLINE uint64_t zero_mask(uint64_t x)
{
    uint64_t mask = -(uint64_t)(x == 0);
    __asm__("" : "+r"(mask));
    return mask;
}

typedef struct lane_walk {
    uint64_t word, next;
    size_t now;
} lane_walk;

LP_INLINE lane_walk walk_begin(const lane_words *w)
{
    lane_walk walk = {w->word[0], w->word[1], 0};
    return walk;
}

/* the next of the block's lanes; called no more often than there are some */
LP_INLINE size_t walk_next(lane_walk *walk, const lane_words *w)
{
    const size_t lane = w->at[walk->now] + first_bit(walk->word);
    const uint64_t rest = walk->word & (walk->word - 1), empty = zero_mask(rest);
    walk->word = rest | (walk->next & empty);
    walk->now += empty & 1;
    walk->next = w->word[walk->now + 1]; /* long before it is needed */
    return lane;
}
#endif
