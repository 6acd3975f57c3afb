/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Lists and ranks of rows of one block at most whose sums are known, some at a time: what is found of a list is a chain of short
 * steps, each of which waits for the one before. Nothing in it depends on the logits by a branch that cannot be predicted. */
#ifndef LP_CORE_PICK_H
#define LP_CORE_PICK_H
#include "core/scan.h"

enum {
    PICK_LANES = LP_GROUPS * LP_LANES, /* of a row, or twice as many halves of the only group's */
    PICK_MOST = 40,                    /* of more, more than TOP_PLACES are candidates */
    PICK_GROUPS = 2, /* up to so many are read as a whole again, of more only what reaches the bound */
    PICK_STEPS = 3   /* leave a 64th of the span between the lanes' largest elements */
};

/* at least k lanes reach low, or it is their lowest that is not -inf; fewer reach high, or none exceeds it */
typedef struct span {
    float low, high;
} span;

typedef struct short_list {
    const block_groups *g;
    span s;
    size_t n; /* candidates, of which there may be more than were kept */
    int few, different;
    unsigned char from[TOP_PLACES + 1];
    float x[TOP_PLACES + LP_LANES];
    int32_t id[TOP_PLACES + LP_LANES];
    _Alignas(64) float lanes[PICK_LANES];
} short_list;

/* The largest element of each lane, or half lane, of a row. Returns how many times 64 these are, -inf after the last. */
LP_INLINE size_t pick_lanes(short_list *p)
{
    const int whole = p->g->count > 1, sets = whole ? LP_SETS : LP_SETS / 2, parts = whole ? p->g->count : 2;
    vf min = v_set1(__builtin_inff()), max = v_set1(-__builtin_inff());
    for (int i = 0; i < parts; i++) {
        const float *x = whole ? p->g->at[i] : p->g->at[0] + i * (LP_GROUP / 2);
        LP_UNROLL for (int c = 0; c < LP_LANES; c += LP_WIDTH)
        {
            vf a = v_load(x + c);
            for (int j = 1; j < sets; j++) {
                a = v_max(a, v_load(x + c + j * LP_LANES));
            }
            v_store(p->lanes + i * LP_LANES + c, a);
            min = v_min(min, v_where_ge(a, v_set1(-FLT_MAX), a, min));
            max = v_max(max, a);
        }
    }
    if (parts % 2 != 0) {
        for (int c = 0; c < LP_LANES; c += LP_WIDTH) {
            v_store(p->lanes + parts * LP_LANES + c, v_set1(-__builtin_inff()));
        }
    }
    p->s.low = v_min_lanes(min);
    p->s.high = v_max_lanes(max);
    return (size_t)(parts + 1) / 2;
}

/* the quarter of the span that has the k-th largest of `words` times 64 lanes */
LP_INLINE void pick_quarter(short_list *p, size_t words, size_t k)
{
    const float low = p->s.low, high = p->s.high, step = (high - low) * 0.25F;
    const float limit[5] = {low, low + step, low + 2 * step, high - step, high};
    size_t enough = 0;
    LP_UNROLL for (int i = 1; i < 4; i++)
    {
        size_t reach = 0;
        for (size_t j = 0; j < words; j++) {
            const float *x = p->lanes + 64 * j;
            const uint64_t mask = set_mask(x, limit[i], 0) | (uint64_t)set_mask(x + LP_LANES, limit[i], 0) << LP_LANES;
            reach += (size_t)__builtin_popcountll(mask);
        }
        enough += reach >= k;
    }
    p->s.low = limit[enough];
    p->s.high = limit[enough + 1];
}

/* the elements of few groups that reach the bound */
LP_INLINE void pick_elements(short_list *p)
{
    size_t n = 0;
    for (int i = 0; i < p->g->count; i++) {
        const float *x = p->g->at[i];
#ifdef LP_OWN_COMPRESS
        const vf least = v_set1(p->s.low);
        size_t at = n < TOP_PLACES ? n : TOP_PLACES;
        LP_UNROLL for (int j = 0; j < LP_GROUP; j += LP_WIDTH)
        {
            const vf a = v_load(x + j);
            const uint32_t some = v_mask_ge(a, least);
            v_store(p->x + at, v_compress(a, some));
            v_store((float *)(void *)(p->id + at), v_compress(v_ids(i * LP_GROUP + j), some));
            n += (size_t)__builtin_popcount(some);
            at = n < TOP_PLACES ? n : TOP_PLACES;
        }
#else
        for (int j = 0; j < LP_GROUP; j += 64) {
            const uint64_t mask = set_mask(x + j, p->s.low, 0) | (uint64_t)set_mask(x + j + LP_LANES, p->s.low, 0)
                                                                     << LP_LANES;
            n = take_each(p->x, p->id, n, TOP_PLACES, x + j, mask, i * LP_GROUP + j);
        }
#endif
    }
    p->n = n;
}

/* those of more groups: of the lanes whose largest element does */
LP_INLINE void pick_of_lanes(short_list *p)
{
    const elements e = elements_of_groups(p->g);
    lane_words w;
    const lane_count n = lanes_reach(&w, p->g->count, p->lanes, p->s.low, 0);
    lane_walk walk = walk_begin(&w);
    p->n = n.lanes > TOP_PLACES
               ? n.lanes
               : lanes_take(p->x, p->id, 0, TOP_PLACES, &e, &w, &walk, n.lanes, next_below(p->s.low), 0);
}

static __attribute__((noinline)) void pick_otherwise(topk *top, const block_groups *g)
{
    candidates c;
    candidates_init(&c, top);
    top_of_block(&c, g, NULL, 0);
    candidates_end(&c);
}

static __attribute__((noinline)) void pick_lists(scan *job, const block_groups *g, size_t count, int groups)
{
    short_list p[ROW_SOME];
    const size_t k = job->top->k;
    if (k == 1 || k > PICK_MOST) {
        for (size_t i = 0; i < count; i++) {
            pick_otherwise(job[i].top, g + i);
        }
        return;
    }
    size_t words = 1;
    for (size_t i = 0; i < count; i++) {
        p[i].g = g + i;
        words = pick_lanes(p + i);
    }
    for (int step = 0; step < PICK_STEPS; step++) {
        for (size_t i = 0; i < count; i++) {
            if (groups == 1) {
                pick_quarter(p + i, 1, k);
            } else {
                pick_quarter(p + i, words, k);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (groups <= PICK_GROUPS) {
            pick_elements(p + i);
        } else {
            pick_of_lanes(p + i);
        }
    }
    for (size_t i = 0; i < count; i++) {
        p[i].few = p[i].n >= k && p[i].n <= TOP_PLACES;
        p[i].different = p[i].few && places_of(p[i].from, p[i].x, p[i].id, p[i].n);
    }
    for (size_t i = 0; i < count; i++) {
        if (p[i].different) {
            places_fill(job[i].top, p[i].from, p[i].x, p[i].id, p[i].n);
        } else if (p[i].few) {
            place_equal(job[i].top, p[i].x, p[i].id, p[i].n);
        } else {
            pick_otherwise(job[i].top, g + i);
        }
    }
}

/* of rows that all want a list of as many, or none of them */
static void pick_short(scan *job, const source *from, size_t count, size_t n)
{
    block_groups g[ROW_SOME];
    size_t cut = 0;
    do {
        block_cut(g + cut, (const float *)(const void *)from[cut].data, n);
    } while (++cut < count); /* there is one */
    if (job->top != NULL) {
        pick_lists(job, g, count, (int)((n + LP_GROUP - 1) / LP_GROUP));
    }
    for (size_t i = 0; i < count; i++) {
        if (job[i].rank) {
            rank_counters k;
            rank_begin(&k);
            rank_count(&k, job + i, g + i, NULL, job[i].token_logit, job[i].token_logit);
            rank_end(&k, job + i);
        }
    }
}
#endif
