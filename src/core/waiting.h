/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Blocks that have been summed, and whose elements wait to be looked at for the list. Which blocks have some for it, and in how many lanes,
 * cannot be predicted: a branch that depends on it, taken once for several blocks, costs less. And the k-th largest of several blocks is a
 * better limit to begin with than that of the first one: fewer elements enter that others drive out again. */
#ifndef LP_CORE_WAITING_H
#define LP_CORE_WAITING_H
#include "core/top.h"

enum {
    WAIT_BLOCKS = 8,
    WAIT_LEAST = 4,                    /* blocks, where there is a limit */
    WAIT_LANES = LP_GROUPS * LP_LANES, /* of a block */
    WAIT_MOST = WAIT_LANES / 2 /* the longest list whose blocks wait: twice as many lanes' largest are at hand */
};

typedef struct waiting {
    float *high;              /* the largest element of each lane: of blocks that wait, and of the one at work */
    size_t lane[WAIT_BLOCKS]; /* the first of each block, of the row's lanes */
    int n;
    int32_t first; /* the row's first id */
    elements row;
    int on; /* whether blocks wait at all */
} waiting;

/* Whether the blocks of a row's n elements wait. Not where there is no list, or a long one, whose sorting takes the stack; nor where they are
 * few and the list has a limit, as a stream's has. Then there is only the one at work. */
LP_INLINE int waiting_is_on(const topk *list, size_t n)
{
    return list != NULL && list->k <= WAIT_MOST &&
           (n >= (size_t)WAIT_LEAST * LP_BLOCK_SIZE || list->limit == -__builtin_inff());
}

/* where the lanes' largest elements of the next block go */
LP_INLINE float *waiting_high(const waiting *w)
{
    return w->high + w->n * WAIT_LANES;
}

/* high: WAIT_BLOCKS times WAIT_LANES floats, or those of one block where none waits */
LP_INLINE void waiting_init(waiting *w, const topk *list, float *high, const unsigned char *x, size_t n, reading r,
                            int32_t first)
{
    const elements e = {NULL, x, r};
    w->high = high;
    w->n = 0;
    w->first = first;
    w->row = e;
    w->on = waiting_is_on(list, n);
}

/* the lanes of n blocks that have an element above the bound */
LP_INLINE lane_count waiting_reach(lane_words *words, const waiting *w, int n, float above)
{
    lane_count count = {0, 0};
    for (int i = 0; i < n; i++) {
        count = lanes_add(words, count, LP_GROUPS, w->high + i * WAIT_LANES, above, 1, w->lane[i]);
    }
    words_end(words, count.words);
    return count;
}

/* What at least k elements of n blocks reach: of lanes that are put together, one of each block, the k-th largest element. */
static float waiting_bound(const waiting *w, int n, size_t k, float least)
{
    _Alignas(64) float high[WAIT_LANES];
    for (size_t i = 0; i < WAIT_LANES; i += LP_WIDTH) {
        vf max = v_load(w->high + i);
        for (int j = 1; j < n; j++) {
            max = v_max(max, v_load(w->high + j * WAIT_LANES + i));
        }
        v_store(high + i, max);
    }
    return select_bound(high, WAIT_LANES, k, least);
}

/* Of blocks in which more lanes reach the limit than had to, for many elements are equal: one group after the other, and once k elements
 * came in only what exceeds the limit, for what equals it has these before it. */
static __attribute__((noinline)) void waiting_take_many(const waiting *w, candidates *c, int n, float above)
{
    const float limit = c->limit;
    size_t taken = 0;
    for (int i = 0; i < n * LP_GROUPS; i++) {
        const size_t first = w->lane[i / LP_GROUPS] + (size_t)(i % LP_GROUPS * LP_LANES);
        lane_words words;
        const lane_count none = {0, 0};
        const lane_count count = lanes_add(&words, none, 1, w->high + i * LP_LANES, above, 1, first);
        words_end(&words, count.words);
        taken += candidates_of_lanes(c, &w->row, &words, count.lanes, above, w->first);
        above = taken >= c->list->k ? limit : above;
    }
}

static __attribute__((noinline)) void waiting_take(waiting *w, candidates *c)
{
    const int n = w->n;
    const int begins = c->limit == -__builtin_inff();
    float above = entry_bound(c, lane_id(w->first, w->lane[0]));
    lane_words words;
    lane_count count = {0, 0};
    w->n = 0;
    if (!begins) {
        count = waiting_reach(&words, w, n, above);
    }
    if (begins || count.lanes > LANES_MOST) {
        const float bound = waiting_bound(w, n, c->list->k, c->limit);
        if (bound > c->limit) {
            above = next_below(bound);
            c->limit = bound; /* k elements that come in now reach it; later ones have higher ids */
            c->limit_id = -1;
        }
        count = waiting_reach(&words, w, n, above);
    }
    if (count.lanes > WAIT_LANES) {
        waiting_take_many(w, c, n, above);
    } else if (w->row.r.dtype == DTYPE_F32 && !w->row.r.scaled) {
        const elements plain = {NULL, w->row.x, reading_f32()}; /* constants, so that the loop converts nothing */
        candidates_of_lanes(c, &plain, &words, count.lanes, above, w->first);
    } else {
        candidates_of_lanes(c, &w->row, &words, count.lanes, above, w->first);
    }
    candidates_refresh(c);
}

/* before the list is asked for its limit, or given an element, by other ways */
LP_INLINE void waiting_settle(waiting *w, candidates *c)
{
    if (w->n != 0) {
        waiting_take(w, c);
    }
}

/* the block at `offset`, whose lanes' largest elements are where the next ones go, waits if it reaches the limit */
LP_INLINE void waiting_add(waiting *w, candidates *c, size_t offset, int reaches)
{
    w->lane[w->n] = offset / LP_SETS;
    w->n += reaches;
    if (w->n == WAIT_BLOCKS) {
        waiting_take(w, c);
    }
}
#endif
