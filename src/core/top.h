/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Finding the elements of a block that may be among the k best, and keeping their number small until they are sorted. */
#ifndef LP_CORE_TOP_H
#define LP_CORE_TOP_H
#include "core/block.h"
#include "topk.h"

enum {
    TOP_BUFFER = 1024,          /* candidates that wait to be sorted */
    TOP_SELECT = TOP_BUFFER / 4 /* up to this k, all but the k best of them are dropped when there are too many */
};

typedef struct candidates {
    topk *list;
    size_t n;
    float limit;      /* what a candidate must exceed */
    int32_t limit_id; /* ... or equal, with a lower id */
    union {
        struct {
            float x[TOP_BUFFER];
            int32_t id[TOP_BUFFER];
        };
        uint64_t scratch[TOP_BUFFER]; /* for sorting them, once they are copied out */
    };
} candidates;

static void candidates_init(candidates *c, topk *list)
{
    c->list = list;
    c->n = 0;
    if (list != NULL) {
        c->limit = list->limit;
        c->limit_id = list->limit_id;
    }
}

/* Of n floats, the k-th largest or a little less: at least k and, where there are not many ties, few more reach it.
 * x is readable, and may be overwritten with -inf, up to a multiple of 32. */
static float select_bound(float *x, size_t n, size_t k)
{
    const float inf = __builtin_inff();
    for (size_t i = n; i % LP_LANES != 0; i++) {
        x[i] = -inf;
    }
    /* bit by bit on the floats' order as integers, until few enough reach */
    int32_t low = INT32_MIN;
    float bound = -inf;
    for (uint32_t step = 1U << 31; step != 0; step >>= 1) {
        int32_t at = (int32_t)((uint32_t)low + step);
        float limit = bits_float((uint32_t)(at ^ (int32_t)((uint32_t)(at >> 31) >> 1)));
        if (limit != limit) {
            continue; /* no float between here and infinity reaches it */
        }
        const vf l = v_set1(limit);
        vu count = v_bits_zero();
        for (size_t i = 0; i < n; i += LP_WIDTH) {
            count = v_count_ge(count, v_load(x + i), l);
        }
        size_t reach = v_count_sum(count);
        int enough = reach >= k; /* as likely as not: no branch */
        low = enough ? at : low;
        bound = enough ? limit : bound;
        if (enough && reach <= k + k / 8) {
            break;
        }
    }
    return bound;
}

/* Drops what k others exceed, and raises the limit. All candidates so far are of blocks before the next one's. */
static void candidates_select(candidates *c)
{
    size_t kept = 0;
    float bound = select_bound(c->x, c->n, c->list->k);
    for (size_t i = 0; i < c->n; i++) {
        c->x[kept] = c->x[i];
        c->id[kept] = c->id[i];
        kept += c->x[i] >= bound;
    }
    c->n = kept;
    if (bound > c->limit) {
        c->limit = bound;
        c->limit_id = c->list->n == 0 ? -1 : INT32_MAX;
    }
}

/* sorts what waits into the list */
static __attribute__((noinline)) void candidates_flush(candidates *c)
{
    uint64_t key[TOP_BUFFER];
    for (size_t i = 0; i < c->n; i++) {
        key[i] = topk_key(c->x[i], c->id[i]);
    }
    topk_offer(c->list, key, c->scratch, c->n);
    c->n = 0;
    c->limit = c->list->limit;
    c->limit_id = c->list->limit_id;
}

static void candidates_end(candidates *c)
{
    if (c->n > c->list->k && c->list->k <= TOP_SELECT) {
        candidates_select(c);
    }
    candidates_flush(c);
}

/* between blocks: keeps the limit fresh, so that few elements come in which others will drive out again */
LP_INLINE void candidates_refresh(candidates *c)
{
    size_t k = c->list->k;
    if (k <= TOP_SELECT && c->n > 2 * k + 24) {
        candidates_select(c);
    }
}

/* room for n more */
static void candidates_room(candidates *c, size_t n)
{
    if (c->n + n > TOP_BUFFER && c->n > c->list->k && c->list->k <= TOP_SELECT) {
        candidates_select(c);
    }
    if (c->n + n > TOP_BUFFER) {
        candidates_flush(c);
    }
}

LP_INLINE void candidates_add(candidates *c, float x, int32_t id)
{
    c->x[c->n] = x;
    c->id[c->n++] = id;
}

/* The k-th largest of the maxima of eight elements each: at least k elements of the block reach it. */
static float block_bound(const block_groups *g, size_t k)
{
    _Alignas(64) float maxima[LP_GROUPS * LP_LANES];
    size_t n = (size_t)g->count * LP_LANES;
    if (k > n) {
        return -__builtin_inff();
    }
    for (int i = 0; i < g->count; i++) {
        LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
        {
            const float *at = g->at[i] + c * LP_WIDTH;
            vf max = v_load(at);
            for (int j = 1; j < LP_SETS; j++) {
                max = v_max(max, v_load(at + j * LP_LANES));
            }
            v_store(maxima + i * LP_LANES + c * LP_WIDTH, max);
        }
    }
    return select_bound(maxima, n, k);
}

/* every element of the block against the limit, raised first to what k of its own elements reach */
static void top_of_block(candidates *c, const block_groups *g, int32_t first)
{
    size_t k = c->list->k;
    float limit = c->limit, bound = k <= TOP_SELECT ? block_bound(g, k) : -__builtin_inff();
    int strict = first > c->limit_id || limit == -__builtin_inff();
    if (bound > limit) {
        limit = bound;
        strict = 0;
    }
    for (int i = 0; i < g->count; i++) {
        for (int j = 0; j < LP_SETS; j++) {
            const float *x = g->at[i] + j * LP_LANES;
            uint32_t mask = set_mask(x, limit, strict);
            if (mask != 0) {
                candidates_room(c, LP_LANES);
            }
            for (; mask != 0; mask &= mask - 1) {
                int at = __builtin_ctz(mask);
                float value;
                memcpy(&value, x + at, sizeof value);
                candidates_add(c, value, first + (i * LP_SETS + j) * LP_LANES + at);
            }
        }
    }
    if (bound > c->limit) {
        c->limit = bound; /* k elements that came in reach it; later ones have higher ids */
        c->limit_id = -1;
    }
}

/* x > the result means x >= limit: the next float below, for a limit that is not -inf */
static inline float next_below(float limit)
{
    int32_t bits = (int32_t)float_bits(limit + 0.0F);
    return bits_float((uint32_t)(bits == 0 ? INT32_MIN + 1 : bits - 1 + 2 * (bits < 0)));
}

/* Only the lanes of a group whose sum of e^x reaches that of the limit: their eight elements each. Returns 0 where too many
 * do for that to be quicker, as all do in a row's first block. Which lanes these are, and which of their elements are
 * candidates, cannot be predicted: the only branch that depends on it is the loop over their number. */
static int top_of_lanes(candidates *c, const block_groups *g, const group_sums *sums, float limit_e, int32_t first)
{
    enum { MOST = 48, PAIRS = LP_GROUPS / 2 };
    uint64_t pair[PAIRS + 1]; /* of groups, one bit a lane: those that have any */
    int at_pair[PAIRS + 1], pairs = 0, count = 0;
    if (c->limit == -__builtin_inff()) {
        return 0;
    }
    for (int i = 0; i < g->count; i += 2) {
        const float *s = sums->s + i * LP_LANES;
        uint64_t lanes = set_mask(s, limit_e, 0);
        lanes |= i + 1 < g->count ? (uint64_t)set_mask(s + LP_LANES, limit_e, 0) << LP_LANES : 0;
        pair[pairs] = lanes;
        at_pair[pairs] = i;
        pairs += lanes != 0;
        count += __builtin_popcountll(lanes);
    }
    pair[pairs] = 0;
    if (count > MOST) {
        return 0;
    }
    candidates_room(c, (size_t)MOST * LP_SETS);
    const float above = first > c->limit_id ? c->limit : next_below(c->limit);
    uint64_t lanes = pair[0];
    size_t n = c->n;
    for (int now = 0, i = 0; i < count; i++) {
        int at = __builtin_ctzll(lanes), group = at_pair[now] + at / LP_LANES;
        const float *x = g->at[group] + at % LP_LANES;
        int32_t id = first + group * LP_GROUP + at % LP_LANES;
        LP_UNROLL for (int j = 0; j < LP_SETS; j++)
        {
            float value;
            memcpy(&value, x + j * LP_LANES, sizeof value);
            c->x[n] = value;
            c->id[n] = id + j * LP_LANES;
            n += (size_t)(value > above);
        }
        lanes &= lanes - 1;
        now += lanes == 0;
        lanes = lanes == 0 ? pair[now] : lanes;
    }
    c->n = n;
    return 1;
}
#endif
