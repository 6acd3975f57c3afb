/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Finding the elements of a block that may be among the k best, and keeping their number small until they are sorted. */
#ifndef LP_CORE_TOP_H
#define LP_CORE_TOP_H
#include "core/block.h"
#include "core/reach.h"
#include "topk.h"

enum {
    TOP_BUFFER = 1024,           /* candidates that wait to be sorted */
    TOP_SELECT = TOP_BUFFER / 4, /* up to this k, all but the k best of them are dropped when there are too many */
    TOP_INSERT = 16,             /* so few are inserted into a list that is in order */
    LIST_VECTORS = 8,            /* ... and of up to so many vectors */
    TOP_PLACES = 64,             /* so many find their places in an empty list one by one */
    TOP_FEW = 16,                /* too few to be worth dropping before the last sort */
    TOP_ORDER = 16 * LP_WIDTH < 128 ? 16 * LP_WIDTH : 128 /* up to which candidates are ordered by counting */
};

typedef struct candidates {
    topk *list;
    size_t n;
    int crowded;      /* of how many blocks the sums of lanes are expected to say little of their elements */
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
    c->crowded = 0;
    if (list != NULL) {
        c->limit = list->limit;
        c->limit_id = list->limit_id;
    }
}

/* The place of a float in the order of all floats, and back. */
LP_INLINE int32_t float_order(float x)
{
    int32_t bits = (int32_t)float_bits(x);
    return bits ^ (int32_t)((uint32_t)(bits >> 31) >> 1);
}

LP_INLINE float float_at(int32_t place)
{
    return bits_float((uint32_t)(place ^ (int32_t)((uint32_t)(place >> 31) >> 1)));
}

/* how many of n floats reach each of three limits; n is a multiple of 32 */
LP_INLINE void count_reach(const float *x, size_t n, const float limit[3], size_t reach[3])
{
    vf l[3];
    vu count[3];
    LP_UNROLL for (int j = 0; j < 3; j++)
    {
        l[j] = v_set1(limit[j]);
        count[j] = v_bits_zero();
    }
    for (size_t i = 0; i < n; i += LP_WIDTH) {
        vf a = v_load(x + i);
        LP_UNROLL for (int j = 0; j < 3; j++)
        {
            count[j] = v_count_ge(count[j], a, l[j]);
        }
    }
    LP_UNROLL for (int j = 0; j < 3; j++)
    {
        reach[j] = v_count_sum(count[j]);
    }
}

/* Of n floats, none of them NaN, the k-th largest or a little less: at least k and, where there are not many ties, few more
 * reach it. Not below `least`, which the caller knows at least k to reach, or to be of no use. Up to a multiple of 32, -inf
 * follows. */
static float select_bound(const float *x, size_t n, size_t k, float least)
{
    const float inf = __builtin_inff();
    size_t end = (n + LP_LANES - 1) / LP_LANES * LP_LANES, reach[3];
    vf max = v_set1(-inf), min = v_set1(inf);
    for (size_t i = 0; i < end; i += LP_WIDTH) {
        vf a = v_load(x + i);
        max = v_max(max, a);
        min = v_min(min, a);
    }
    float low = v_min_lanes(min), high = v_max_lanes(max);
    low = least > low ? least : low;
    if (k == 1) {
        return high;
    }
    /* at least k reach low; which quarter of what lies between it and high comes next is as likely as not: no branch */
    for (int i = 0; i < 4 && high - low < FLT_MAX; i++) {
        const float step = (high - low) * 0.25F, limit[3] = {low + step, low + 2 * step, high - step};
        count_reach(x, end, limit, reach);
        float above = high;
        size_t reached = SIZE_MAX;
        LP_UNROLL for (int j = 0; j < 3; j++)
        {
            int enough = reach[j] >= k;
            low = enough ? limit[j] : low;
            reached = enough ? reach[j] : reached;
            above = enough ? above : limit[j] < above ? limit[j] : above;
        }
        high = above;
        if (reached - k <= k / 4) {
            return low;
        }
    }
    /* what is close together, or far apart: by halves of the floats that there are */
    int64_t from = float_order(low), to = float_order(high);
    while (from < to) {
        const int64_t half = from + (to - from + 1) / 2;
        const float limit = float_at((int32_t)half), limits[3] = {limit, limit, limit};
        count_reach(x, end, limits, reach);
        int enough = reach[0] >= k;
        from = enough ? half : from;
        to = enough ? to : half - 1;
        if (reach[0] - k <= k / 4) {
            break;
        }
    }
    return float_at((int32_t)from);
}

#ifndef LP_OWN_FIRST
/* The first n lanes from memory, the others from `other`, and back; n may be more than there are. Not under AVX2's masks: QEMU 7
 * reads what they exclude, and faults at the end of a page, and Zen 3 stores under one in dozens of operations. */
LP_INLINE vf v_load_first(const float *p, size_t n, vf other)
{
    if (n >= LP_WIDTH) {
        return v_load(p);
    }
    float lane[LP_WIDTH];
    v_store(lane, other);
    for (size_t i = 0; i < n; i++) {
        memcpy(lane + i, p + i, sizeof *p);
    }
    return v_load(lane);
}

LP_INLINE void v_store_first(float *p, vf x, size_t n)
{
    if (n >= LP_WIDTH) {
        v_store(p, x);
        return;
    }
    float lane[LP_WIDTH];
    v_store(lane, x);
    for (size_t i = 0; i < n; i++) {
        memcpy(p + i, lane + i, sizeof *p);
    }
}
#endif

/* drops what does not reach the bound, in order */
LP_INLINE void candidates_keep(candidates *c, float bound)
{
    size_t kept = 0;
#ifdef LP_OWN_COMPRESS
    for (size_t i = 0; i < c->n; i += LP_WIDTH) {
        const vf x = v_load(c->x + i), id = v_load_first((const float *)(const void *)(c->id + i), c->n - i, v_set1(0));
        uint32_t mask = v_mask_ge(x, v_set1(bound)) & v_first_bits(c->n - i);
        /* what is stored behind these is overwritten, or lies where everything has been read */
        v_store((float *)(void *)(c->id + kept), v_compress(id, mask));
        v_store(c->x + kept, v_compress(x, mask));
        kept += (size_t)__builtin_popcount(mask);
    }
#else
    for (size_t i = 0; i < c->n; i++) {
        c->x[kept] = c->x[i];
        c->id[kept] = c->id[i];
        kept += c->x[i] >= bound;
    }
#endif
    c->n = kept;
}

/* Drops what k others exceed, and raises the limit. All candidates so far are of blocks before the next one's. */
static __attribute__((noinline)) void candidates_select(candidates *c)
{
    for (size_t i = c->n; i % LP_LANES != 0; i++) {
        c->x[i] = -__builtin_inff();
    }
    float bound = select_bound(c->x, c->n, c->list->k, c->limit);
    candidates_keep(c, bound);
    if (bound > c->limit) {
        c->limit = bound;
        c->limit_id = c->list->n == 0 ? -1 : INT32_MAX;
    }
}

/* how many of n elements exceed x; what follows the last up to a multiple of 32 is -inf */
LP_INLINE size_t count_above(const float *element, size_t n, float x)
{
    size_t above = 0;
    for (size_t i = 0; i < n; i += LP_LANES) {
        above += (size_t)__builtin_popcount(set_mask(element + i, x, 1));
    }
    return above;
}

/* The keys of few candidates, largest first: how many exceed one is where it belongs, and no step of this waits for another,
 * as those of a sort do. Ties go to the next place in the order of their ids. */
static void candidates_order(candidates *c, uint64_t *key)
{
    for (size_t i = c->n; i % LP_LANES != 0; i++) {
        c->x[i] = -__builtin_inff();
    }
    memset(key, 0, c->n * sizeof *key);
    for (size_t i = 0; i < c->n; i++) {
        size_t at = count_above(c->x, c->n, c->x[i]);
        uint64_t own = topk_key(c->x[i], c->id[i]);
        for (; key[at] != 0; at++) {
            uint64_t there = key[at];
            key[at] = there > own ? there : own;
            own = there > own ? own : there;
        }
        key[at] = own;
    }
}

/* sorts what waits into the list */
static __attribute__((noinline)) void candidates_sort(candidates *c)
{
    uint64_t key[TOP_BUFFER];
    if (c->n <= TOP_ORDER && c->list->sorted && c->list->n + c->n >= c->list->k) {
        candidates_order(c, key);
        topk_offer_sorted(c->list, key, c->n);
    } else {
        for (size_t i = 0; i < c->n; i++) {
            key[i] = topk_key(c->x[i], c->id[i]);
        }
        topk_offer(c->list, key, c->scratch, c->n);
    }
}

/* The candidates into a list that is in order, which registers hold meanwhile: each entry either stays, or takes the candidate,
 * or takes the entry before it. Nothing depends on where that is, so nothing is predicted, stored or read again. Ids are moved as
 * floats: bits are. */
LP_INLINE void list_insert(topk *t, const candidates *c, int vectors)
{
    const size_t k = t->k, n = t->n + c->n < k ? t->n + c->n : k;
    const vf absent = v_set1(-__builtin_inff()), first = v_set1(__builtin_inff());
    float *logit = (float *)(void *)t->logit, *id = (float *)(void *)t->id; /* at any byte */
    vf x[LIST_VECTORS], name[LIST_VECTORS];
    LP_UNROLL for (int v = 0; v < LIST_VECTORS; v++)
    {
        if (v >= vectors) {
            continue; /* clang leaves a loop as one whose end is known only after inlining */
        }
        const size_t at = (size_t)v * LP_WIDTH, there = t->n > at ? t->n - at : 0;
        x[v] = v_load_first(logit + at, there, absent);
        name[v] = v_load_first(id + at, there, absent);
    }
    for (size_t i = 0; i < c->n; i++) {
        const vf own = v_set1(c->x[i] + 0.0F), own_name = v_set1(bits_float((uint32_t)c->id[i]));
        vf last = first, name_last = first;
        LP_UNROLL for (int v = 0; v < LIST_VECTORS; v++)
        {
            if (v >= vectors) {
                continue;
            }
            const vf stays = x[v], name_stays = name[v];
            const vf before = v_shift_in(last, stays), name_before = v_shift_in(name_last, name_stays);
            const vf moved = v_where_ahead(before, name_before, own, own_name, own, before);
            const vf name_moved = v_where_ahead(before, name_before, own, own_name, own_name, name_before);
            x[v] = v_where_ahead(stays, name_stays, own, own_name, stays, moved);
            name[v] = v_where_ahead(stays, name_stays, own, own_name, name_stays, name_moved);
            last = stays;
            name_last = name_stays;
        }
    }
    LP_UNROLL for (int v = 0; v < LIST_VECTORS; v++)
    {
        if (v >= vectors) {
            continue;
        }
        const size_t at = (size_t)v * LP_WIDTH, there = n > at ? n - at : 0;
        v_store_first(logit + at, x[v], there);
        v_store_first(id + at, name[v], there);
        if (there != 0 && there <= LP_WIDTH) {
            float last[LP_WIDTH], last_name[LP_WIDTH];
            v_store(last, x[v]);
            v_store(last_name, name[v]);
            t->limit = n == k ? last[there - 1] : t->limit;
            t->limit_id = n == k ? (int32_t)float_bits(last_name[there - 1]) : t->limit_id;
        }
    }
    t->n = n;
}

/* Few candidates straight into a short list: streams bring some with each chunk. Returns 0 where there are more, or the list is
 * not short, or not in order, or begins and will not be full: what topk_offer only appends is the same on every ISA. */
static __attribute__((noinline)) int candidates_insert(candidates *c)
{
    topk *t = c->list;
    const size_t vectors = (t->k + LP_WIDTH - 1) / LP_WIDTH;
    const int begins = t->n == 0 && c->n < t->k;
    if (c->n > TOP_INSERT || vectors > LIST_VECTORS || !t->sorted || begins || t->k == 0) {
        return 0;
    }
    switch (vectors) {
    case 1:
        list_insert(t, c, 1);
        break;
    case 2:
        list_insert(t, c, 2);
        break;
    case 3:
        list_insert(t, c, 3);
        break;
    case 4:
        list_insert(t, c, 4);
        break;
    default:
        list_insert(t, c, LIST_VECTORS);
    }
    return 1;
}

static void candidates_flush(candidates *c)
{
    if (c->n != 0 && !candidates_insert(c)) {
        candidates_sort(c);
    }
    c->n = 0;
    c->limit = c->list->limit;
    c->limit_id = c->list->limit_id;
}

/* how many of n elements exceed each of them; returns their sum */
LP_INLINE uint32_t places_count(int32_t *above, const float *x, int n)
{
    const int some = n % LP_LANES == 0 ? LP_LANES : LP_LANES / 2;
    uint32_t sum = 0;
    for (int i = 0; i < n; i += some) {
        vf a[LP_COLUMNS];
        vu count[LP_COLUMNS];
        LP_UNROLL for (int v = 0; v < LP_COLUMNS; v++)
        {
            a[v] = v_load(x + i + v * LP_WIDTH % some);
            count[v] = v_bits_zero();
        }
        for (int j = 0; j < n; j++) {
            const vf other = v_set1(x[j]);
            LP_UNROLL for (int v = 0; v < some / LP_WIDTH; v++)
            {
                count[v] = v_count_gt(count[v], other, a[v]);
            }
        }
        LP_UNROLL for (int v = 0; v < some / LP_WIDTH; v++)
        {
            memcpy(above + i + v * LP_WIDTH, &count[v], sizeof count[v]);
            sum += v_count_sum(count[v]);
        }
    }
    return sum;
}

/* Which of n candidates, of which `own` are not -inf, is how many down: as many as others exceed it. Returns 0 where some are equal. */
LP_INLINE int places_find(unsigned char *from, const float *x, size_t n, size_t own)
{
    _Alignas(64) int32_t above[TOP_PLACES];
    const uint32_t sum = places_count(above, x, (int)n);
    LP_UNROLL for (size_t i = 0; i < n; i++)
    {
        from[above[i]] = (unsigned char)i;
    }
    return sum == own * (own - 1) / 2 + (n - own) * own;
}

/* Equal ones in the order of their ids. What does not get in is written as well, elsewhere: whether it does cannot be predicted. */
static __attribute__((noinline)) void place_equal(topk *t, const float *x, const int32_t *ids, size_t n)
{
    const size_t k = t->k;
    int32_t name[TOP_PLACES];
    unsigned char elsewhere[sizeof(float)];
    uint64_t taken = 0;
    for (size_t i = 0; i < n; i++) {
        const float logit = x[i] + 0.0F;
        int32_t id = ids[i];
        size_t at = count_above(x, n, x[i]);
        for (; taken >> at & 1; at++) {
            if (name[at] > id) {
                const int32_t later = name[at];
                name[at] = id;
                memcpy(at < k ? t->id + at * sizeof id : elsewhere, &id, sizeof id);
                id = later;
            }
        }
        taken |= UINT64_C(1) << at;
        name[at] = id;
        memcpy(at < k ? t->id + at * sizeof id : elsewhere, &id, sizeof id);
        memcpy(at < k ? t->logit + at * sizeof logit : elsewhere, &logit, sizeof logit);
    }
    t->n = k;
    memcpy(&t->limit, t->logit + (k - 1) * sizeof t->limit, sizeof t->limit);
    memcpy(&t->limit_id, t->id + (k - 1) * sizeof t->limit_id, sizeof t->limit_id);
}

/* n candidates, k <= n <= TOP_PLACES, to places in a list; returns 0 where some are equal. Room for 32 more is behind them: how many
 * there are cannot be predicted, and what all exceed fills up. */
LP_INLINE int places_of(unsigned char from[TOP_PLACES + 1], float *x, int32_t *id, size_t n)
{
    for (size_t i = n; i < n + LP_LANES; i += LP_WIDTH) {
        v_store(x + i, v_set1(-__builtin_inff()));
        v_store((float *)(void *)(id + i), v_set1(0));
    }
    memset(from, 0, TOP_PLACES + 1);
    switch ((n + 15) / 16) {
    case 1:
        return places_find(from, x, 16, n);
    case 2:
        return places_find(from, x, 32, n);
    case 3:
        return places_find(from, x, 48, n);
    default:
        return places_find(from, x, TOP_PLACES, n);
    }
}

/* the candidates in their places as an empty list's first k */
LP_INLINE void places_fill(topk *t, const unsigned char *from, const float *x, const int32_t *id, size_t n)
{
    const size_t k = t->k;
    unsigned char *const logit_at = t->logit, *const id_at = t->id;
    t->n = k;
    t->limit = x[from[k - 1]] + 0.0F;
    t->limit_id = id[from[k - 1]];
    (void)n;
#ifdef LP_OWN_PICK
    if (n > 1 && n <= 32) {
        for (size_t i = 0; i < k; i += LP_WIDTH) {
            v_store_first((float *)(void *)logit_at + i, v_add(v_pick(x, from + i), v_set1(0)), k - i);
            v_store_first((float *)(void *)id_at + i, v_pick((const float *)(const void *)id, from + i), k - i);
        }
        return;
    }
#endif
    for (size_t i = 0; i < k; i++) {
        const size_t at = from[i];
        const float logit = x[at] + 0.0F;
        memcpy(logit_at + i * sizeof logit, &logit, sizeof logit);
        memcpy(id_at + i * sizeof *id, id + at, sizeof *id);
    }
}

/* few candidates, where they are all there are and fill the list; else returns 0 */
static __attribute__((noinline)) int candidates_place(candidates *c)
{
    unsigned char from[TOP_PLACES + 1] = {0};
    if (c->list->n != 0 || c->n < c->list->k || c->n > TOP_PLACES) {
        return 0;
    }
    if (c->n == 1 || places_of(from, c->x, c->id, c->n)) {
        places_fill(c->list, from, c->x, c->id, c->n);
    } else {
        place_equal(c->list, c->x, c->id, c->n);
    }
    return 1;
}

static void candidates_end(candidates *c)
{
    if (c->n > c->list->k + TOP_FEW && c->list->k <= TOP_SELECT) {
        candidates_select(c);
    }
    if (!candidates_place(c)) {
        candidates_flush(c);
    }
}

/* between blocks: keeps the limit fresh, so that few elements come in which others will drive out again */
LP_INLINE void candidates_refresh(candidates *c)
{
    size_t k = c->list->k;
    if (k <= TOP_SELECT && c->n > k + k / 2 + 32) {
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

/* The elements that the bits of a mask name, of 64 whose first has the id `first`, to x and id from the `end`-th on: one after another, and
 * from the most-th on over one another. Returns how many there are then. */
LP_INLINE size_t take_each(float *x, int32_t *id, size_t end, size_t most, const float *from, uint64_t mask,
                           int32_t first)
{
    for (; mask != 0; mask &= mask - 1, end++) {
        const size_t i = first_bit(mask), at = end < most ? end : most;
        memcpy(x + at, from + i, sizeof *x);
        id[at] = first + (int32_t)i;
    }
    return end;
}

#ifdef LP_OWN_COMPRESS
/* the same, `most` apart, in as many steps whatever the mask is; up to a register's width behind them is overwritten */
LP_INLINE size_t take_masked(float *x, int32_t *id, size_t n, const float *from, uint64_t mask, int32_t first)
{
    LP_UNROLL for (int i = 0; i < 64; i += LP_WIDTH)
    {
        const uint32_t some = (uint32_t)(mask >> i) & ((1U << LP_WIDTH) - 1);
        v_store(x + n, v_compress(v_load(from + i), some));
        v_store((float *)(void *)(id + n), v_compress(v_ids(first + i), some));
        n += (size_t)__builtin_popcount(some);
    }
    return n;
}
#endif

/* those of 64 elements that the bits of a mask name; the first of them has the id `first` */
LP_INLINE void candidates_take(candidates *c, const float *x, uint64_t mask, int32_t first)
{
    if (c->n + 64 > TOP_BUFFER) {
        candidates_room(c, 64);
    }
#ifdef LP_OWN_COMPRESS
    enum { TAKE_SPARSE = 3 }; /* up to so many are taken one by one */
    if (__builtin_popcountll(mask) > TAKE_SPARSE) {
        c->n = take_masked(c->x, c->id, c->n, x, mask, first);
        return;
    }
#endif
    c->n = take_each(c->x, c->id, c->n, SIZE_MAX, x, mask, first);
}

/* The k-th largest of the maxima of eight elements each: at least k elements of the block reach it. */
static float block_bound(const block_groups *g, const float *maxima, size_t k, float limit)
{
    _Alignas(64) float own[LP_GROUPS * LP_LANES];
    size_t n = (size_t)g->count * LP_LANES;
    if (k > n) {
        return -__builtin_inff();
    }
    if (maxima == NULL) {
        block_maxima(g, own);
    }
    return select_bound(maxima != NULL ? maxima : own, n, k, limit);
}

/* x > the result means x >= limit: the next float below, for a limit that is not -inf */
static inline float next_below(float limit)
{
    int32_t bits = (int32_t)float_bits(limit + 0.0F);
    return bits_float((uint32_t)(bits == 0 ? INT32_MIN + 1 : bits - 1 + 2 * (bits < 0)));
}

/* what an element of a block that begins at the id `first` must exceed to be a candidate */
LP_INLINE float entry_bound(const candidates *c, int32_t first)
{
    return first > c->limit_id || c->limit == -__builtin_inff() ? c->limit : next_below(c->limit);
}

/* every element of the block against the limit, raised first to what k of its own elements reach */
static void top_of_block(candidates *c, const block_groups *g, const float *maxima, int32_t first)
{
    size_t k = c->list->k;
    float limit = c->limit, bound = k <= TOP_SELECT ? block_bound(g, maxima, k, limit) : -__builtin_inff();
    int strict = first > c->limit_id || limit == -__builtin_inff();
    size_t taken = 0;
    if (bound > limit) {
        limit = bound;
        strict = 0;
    }
    for (int i = 0; i < g->count; i++) {
        for (int j = 0; j < LP_GROUP; j += 64) {
            const float *x = g->at[i] + j;
            uint64_t mask = set_mask(x, limit, strict) | (uint64_t)set_mask(x + LP_LANES, limit, strict) << LP_LANES;
            candidates_take(c, x, mask, first + i * LP_GROUP + j);
            taken += (size_t)__builtin_popcountll(mask);
            strict |= taken >= k; /* what equals the limit has k elements before it */
        }
    }
    if (bound > c->limit) {
        c->limit = bound; /* k elements that came in reach it; later ones have higher ids */
        c->limit_id = -1;
    }
}

enum {
    LANES_MOST = 96, /* of a block are looked at one by one */
    LANES_FEW = 12,  /* are, though the sums of their elements are all that is known */
    CROWDED = 16     /* blocks that are summed with their lanes' largest elements where that was not so */
};

/* the id of a lane's first element */
LP_INLINE int32_t lane_id(int32_t first, size_t lane)
{
    return first + (int32_t)(lane / LP_LANES * LP_GROUP + lane % LP_LANES);
}

/* a block's elements: floats of its groups, or logits as they lie, from x on */
typedef struct elements {
    const block_groups *g;
    const unsigned char *x;
    reading r;
} elements;

LP_INLINE elements elements_of_groups(const block_groups *g)
{
    const elements e = {g, NULL, reading_f32()};
    return e;
}

/* a register of the elements of a lane, from the one in set `set` on */
LP_INLINE vf lane_load(const elements *e, size_t lane, size_t set)
{
    if (e->x != NULL) {
        const size_t at = lane / LP_LANES * LP_GROUP + lane % LP_LANES + set * LP_LANES;
#ifdef LP_HALVES
        const vf x = e->r.dtype == DTYPE_F32
                         ? v_load_lane((const float *)(const void *)e->x + at)
                         : v_load_lane_halves((const uint16_t *)(const void *)e->x + at, e->r.dtype == DTYPE_BF16);
#else
        const vf x = v_load_lane((const float *)(const void *)e->x + at);
#endif
        return e->r.scaled ? v_mul(x, e->r.scale) : x;
    }
    return v_load_lane(e->g->at[lane / LP_LANES] + lane % LP_LANES + set * LP_LANES);
}

/* of the elements of a lane from set `first` on a bit each, those that a mask of one word a set allows */
LP_INLINE uint32_t lane_allowed(const uint32_t *allowed, size_t lane, size_t first)
{
    enum { SOME = (int)LP_WIDTH < (int)LP_SETS ? (int)LP_WIDTH : (int)LP_SETS };
    const uint32_t *set = allowed + lane / LP_LANES * LP_SETS + first;
    uint32_t bits = 0;
    LP_UNROLL for (int i = 0; i < SOME; i++)
    {
        bits |= (set[i] >> lane % LP_LANES & 1) << i;
    }
    return bits;
}

/* how many elements of n lanes are above the level, and not below it; if a mask is given, of those that it allows */
LP_INLINE void count_lanes(const elements *e, const lane_words *w, size_t n, const uint32_t *allowed, float level,
                           uint64_t *above, uint64_t *not_below)
{
    const vf l = v_set1(level);
    lane_walk walk = walk_begin(w);
    for (size_t i = 0; i < n; i++) {
        const size_t lane = lane_of_place(walk_next(&walk, w), e->r);
        LP_UNROLL for (size_t j = 0; j < LP_SETS; j += LP_WIDTH)
        {
            const vf x = lane_load(e, lane, j);
            const uint32_t whole = (int)LP_WIDTH > (int)LP_SETS ? (1U << LP_SETS) - 1 : UINT32_MAX;
            const uint32_t there = allowed != NULL ? lane_allowed(allowed, lane, j) : whole;
            *above += (uint64_t)__builtin_popcount(v_mask_gt(x, l) & there);
            *not_below += (uint64_t)__builtin_popcount(v_mask_ge(x, l) & there);
        }
    }
}

/* The elements of the walk's next n lanes, up to LANES_MOST, that are above the bound, to x and id from the `end`-th on: one after another, and from the most-th on over
 * one another. What a lane has beside them is written as well, and overwritten. Returns how many there are then. */
#ifdef LP_OWN_COMPRESS
LP_INLINE size_t lanes_take(float *x, int32_t *id, size_t end, size_t most, const elements *e, const lane_words *w,
                            lane_walk *walk, size_t n, float above, int32_t first)
{
    const vf bound = v_set1(above);
    for (size_t i = 0; i < n; i++) {
        const size_t lane = lane_of_place(walk_next(walk, w), e->r), at = end < most ? end : most;
        end += v_lane_take(x + at, id + at, lane_load(e, lane, 0), bound, lane_id(first, lane));
    }
    return end;
}
#else
LP_INLINE size_t lanes_take(float *x, int32_t *id, size_t end, size_t most, const elements *e, const lane_words *w,
                            lane_walk *walk, size_t n, float above, int32_t first)
{
    enum { AT_ONCE = 64 / LP_SETS };
    _Alignas(64) float value[(LANES_MOST + AT_ONCE) * LP_SETS]; /* the lanes' elements one after the other */
    int32_t lane_first[LANES_MOST];
    for (size_t i = 0; i < n; i++) {
        const size_t lane = lane_of_place(walk_next(walk, w), e->r);
        lane_first[i] = lane_id(first, lane);
        LP_UNROLL for (size_t j = 0; j < LP_SETS; j += LP_WIDTH)
        {
            v_store(value + i * LP_SETS + j, lane_load(e, lane, j));
        }
    }
    for (size_t i = 0; i < n; i += AT_ONCE) {
        const float *set = value + i * LP_SETS;
        uint64_t mask = set_mask(set, above, 1) | (uint64_t)set_mask(set + LP_LANES, above, 1) << LP_LANES;
        mask &= n - i < AT_ONCE ? (UINT64_C(1) << (n - i) * LP_SETS) - 1 : UINT64_MAX;
        for (; mask != 0; mask &= mask - 1, end++) {
            const size_t from = first_bit(mask), at = end < most ? end : most;
            x[at] = set[from];
            id[at] = lane_first[i + from / LP_SETS] + (int32_t)(from % LP_SETS * LP_LANES);
        }
    }
    return end;
}
#endif

/* What n lanes have above the bound. Which of their elements these are cannot be predicted: branches that depend on it are taken once
 * for several lanes, or not at all. Returns how many. */
LP_INLINE size_t candidates_of_lanes(candidates *c, const elements *e, const lane_words *w, size_t n, float above,
                                     int32_t first)
{
    lane_walk walk = walk_begin(w);
    size_t taken = 0;
    while (n != 0) {
        const size_t some = n < LANES_MOST ? n : LANES_MOST;
        candidates_room(c, some * LP_SETS);
        taken -= c->n;
        c->n = lanes_take(c->x, c->id, c->n, SIZE_MAX, e, w, &walk, some, above, first);
        taken += c->n;
        n -= some;
    }
    return taken;
}

/* the same of a block's; returns 0 where they are too many for that to be quicker than a pass over the block */
LP_INLINE int candidates_of_few(candidates *c, const elements *e, const lane_words *w, size_t n, float above,
                                int32_t first)
{
    if (n > LANES_MOST) {
        return 0;
    }
    candidates_of_lanes(c, e, w, n, above, first);
    return 1;
}

/* Only the lanes of a block that may have a candidate, by their largest elements: their eight elements each. Returns 0 where too many
 * do, as all do in a row's first block. */
LP_INLINE int top_by_maxima(candidates *c, const elements *e, int groups, const float *maxima, int32_t first)
{
    lane_words there;
    if (c->limit == -__builtin_inff()) {
        return 0;
    }
    const float above = entry_bound(c, first);
    const lane_count n = lanes_reach(&there, groups, maxima, above, 1);
    return candidates_of_few(c, e, &there, n.lanes, above, first);
}

/* the same by the sums of e^x, which have to reach that of the limit */
LP_INLINE int top_by_sums(candidates *c, const block_groups *g, const float *sums, float limit_e, int32_t first)
{
    const elements e = elements_of_groups(g);
    lane_words there;
    if (c->limit == -__builtin_inff()) {
        return 0;
    }
    const float above = entry_bound(c, first);
    lane_count n = lanes_reach(&there, g->count, sums, limit_e, 0);
    if (n.lanes > LANES_FEW) {
        n = lanes_narrow(&there, g, n.words, above);
        c->crowded = CROWDED;
    }
    return candidates_of_few(c, &e, &there, n.lanes, above, first);
}

/* by either: `maxima` are the lanes' largest elements, or NULL */
static int top_of_lanes(candidates *c, const block_groups *g, const group_sums *sums, const float *maxima,
                        float limit_e, int32_t first)
{
    const elements e = elements_of_groups(g);
    return maxima != NULL ? top_by_maxima(c, &e, g->count, maxima, first) : top_by_sums(c, g, sums->s, limit_e, first);
}
#endif
