/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Blocks some of whose elements are -inf, and those of which a mask leaves little: only what exists is worked on.
 *
 * The result is that of block_careful, bit for bit: an absent element adds exactly 0 there. */
#ifndef LP_CORE_SPARSE_H
#define LP_CORE_SPARSE_H
#include "core/block.h"

enum {
    DENSE = LP_GROUP / 12, /* more elements in a group than this: its lanes are unlikely to hold two at most each */
    NEXT_PAGE = 1024,      /* elements ahead: a page of f32 */
    LOOK_NEAR = 2048       /* elements ahead, into the first-level cache, where lines are asked for */
};

/* what a block holds above -inf, NaN included */
typedef struct presence {
    uint64_t word[LP_BLOCK_SIZE / 64]; /* one bit an element */
    _Alignas(64) float max[LP_GROUPS * LP_LANES];
    size_t count;
    int none;      /* the block before held nothing: groups may, too */
    int sparse;    /* if not, the first group alone was looked at */
    uint32_t lone; /* one bit a group no lane of which holds more than one, and none a NaN */
} presence;

/* Looked at evenly, and quicker than memory is, rows are best left to some CPUs' own prefetchers, which stop where a page ends: the next
 * one is shown to them. What is asked for by line, as beside exponentials, would take the buffers that they fill. Others, of which
 * `far_ahead_of` says how far, want every line asked for. */
LP_INLINE void group_prefetch(origin from, size_t far)
{
    if (far == 0) {
        v_prefetch_far(origin_ahead(from, NEXT_PAGE).at);
        return;
    }
    const origin near = origin_ahead(from, LOOK_NEAR);
    for (size_t i = 0; i < LP_GROUP / 16; i++) {
        v_prefetch(near.at + i * near.line);
        v_prefetch_far(from.at + far + i * from.line);
    }
}

/* whether a group is -inf alone, which is sooner known than what it holds */
LP_INLINE int group_is_none(const float *x)
{
    const vf absent = v_set1(-__builtin_inff());
    vu unlike = v_bits_zero();
    for (size_t i = 0; i < LP_GROUP; i += (size_t)4 * LP_WIDTH) {
        LP_UNROLL for (size_t c = 0; c < (size_t)4 * LP_WIDTH; c += LP_WIDTH)
        {
            unlike = v_bits_unlike(unlike, v_load(x + i + c), absent);
        }
    }
    return !v_bits_test(unlike, UINT32_MAX);
}

LP_INLINE void group_presence(presence *p, const float *x, origin from, int group)
{
    const vf absent = v_set1(-__builtin_inff());
    vf max[LP_COLUMNS];
    uint64_t any = 0, twice = 0, shown = 0;
    group_prefetch(from, rest_ahead(FAR_LOOK));
    LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
    {
        max[c] = absent;
    }
    if (p->none && group_is_none(x)) {
        LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
        {
            v_store(p->max + group * LP_LANES + c * LP_WIDTH, max[c]);
        }
        memset(p->word + group * LP_SETS / 2, 0, LP_GROUP / 8);
        p->lone |= 1U << group;
        return;
    }
    LP_UNROLL for (int i = 0; i < LP_SETS / 2; i++)
    {
        const float *set = x + 2 * i * LP_LANES;
        const uint64_t pair = set_mask(set, -__builtin_inff(), OR_NAN) |
                              (uint64_t)set_mask(set + LP_LANES, -__builtin_inff(), OR_NAN) << LP_LANES;
        LP_UNROLL for (int c = 0; c < 2 * LP_COLUMNS; c++)
        {
            max[c % LP_COLUMNS] = v_max(max[c % LP_COLUMNS], v_load(set + c * LP_WIDTH));
        }
        twice |= any & pair;
        any |= pair;
        p->word[group * LP_SETS / 2 + i] = pair;
        p->count += (size_t)__builtin_popcountll(pair);
    }
    twice |= any & any >> LP_LANES;
    any |= any >> LP_LANES;
    LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
    {
        v_store(p->max + group * LP_LANES + c * LP_WIDTH, max[c]);
        shown |= (uint64_t)v_mask_gt(max[c], absent) << c * LP_WIDTH;
    }
    p->lone |= (uint32_t)(twice == 0 && shown == (any & UINT32_MAX)) << group;
}

LP_INLINE void presence_begin(presence *p, int none)
{
    p->none = none;
    p->count = 0;
    p->lone = 0;
    p->sparse = 1;
}

LP_INLINE int first_is_sparse(const presence *p)
{
    return p->count <= DENSE || p->count >= LP_GROUP;
}

LP_INLINE void block_presence(presence *p, const block_groups *g, origin from)
{
    group_presence(p, g->at[0], from, 0);
    p->sparse = first_is_sparse(p);
    for (int i = 1; p->sparse && i < g->count; i++) {
        group_presence(p, g->at[i], origin_ahead(from, (size_t)i * LP_GROUP), i);
    }
}

/* The largest element of each lane of a group but one. Returns whether that one and this are all that the lanes hold, and none is NaN:
 * that could hide another, or stand twice for one. */
LP_INLINE int group_second(float second[LP_LANES], const float *x, const uint64_t *word)
{
    const vf absent = v_set1(-__builtin_inff());
    int there = 0, found = 0;
    uint32_t nan = 0;
    for (int i = 0; i < LP_GROUP / 64; i++) {
        there += __builtin_popcountll(word[i]);
    }
    if (there > DENSE) {
        return 0;
    }
    _Pragma("GCC unroll 1") for (int c = 0; c < LP_COLUMNS; c++)
    {
        vf first = absent, next = absent;
        LP_UNROLL for (int i = 0; i < LP_SETS; i += 2)
        {
            const vf a = v_load(x + i * LP_LANES + c * LP_WIDTH), b = v_load(x + (i + 1) * LP_LANES + c * LP_WIDTH);
            nan |= v_mask_nan(a, b);
            next = v_max(next, v_min(first, a));
            first = v_max(first, a);
            next = v_max(next, v_min(first, b));
            first = v_max(first, b);
        }
        found += __builtin_popcount(v_mask_gt(first, absent)) + __builtin_popcount(v_mask_gt(next, absent));
        v_store(second + c * LP_WIDTH, next);
    }
    return found == there && nan == 0;
}

/* The sums of a group whose lanes hold one element at most, or, where `second` is not NULL, two: whatever pairs the order of eight
 * makes, two elements among zeros are added once, and the larger one adds 0 to the entropy's. */
LP_INLINE void group_few(const float *max, const float *second, lane_sums to, vf *peak, vu *bits, int entropy)
{
    const vf lowest = v_set1(EXP_LOWEST), zero = v_set1(0);
    LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
    {
        const vf a = v_load(max + c * LP_WIDTH), high = v_max(a, lowest);
        vf ta, e = exp_present(a, &ta), q = zero;
        *bits = v_bits_or(*bits, ta, ta);
        if (second != NULL) {
            const vf b = v_load(second + c * LP_WIDTH);
            vf tb, less = exp_present(b, &tb);
            *bits = v_bits_or(*bits, tb, tb);
            e = v_add(e, less);
            q = v_mul(less, v_sub(high, v_max(b, lowest)));
        }
        v_store(to.s + c * LP_WIDTH, e);
        *peak = v_max(*peak, entropy ? high : e);
        if (entropy) {
            v_store(to.q + c * LP_WIDTH, q);
            v_store(to.high + c * LP_WIDTH, high);
        }
    }
}

LP_INLINE int group_is_empty(const presence *p, int group)
{
    uint64_t any = 0;
    for (int i = 0; i < LP_GROUP / 64; i++) {
        any |= p->word[group * LP_SETS / 2 + i];
    }
    return any == 0;
}

/* the sums of a group that is -inf alone, as group_few makes them */
LP_INLINE void group_none(lane_sums to, vf *peak, int entropy)
{
    const vf lowest = v_set1(EXP_LOWEST), zero = v_set1(0);
    LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
    {
        v_store(to.s + c * LP_WIDTH, zero);
        if (entropy) {
            v_store(to.q + c * LP_WIDTH, zero);
            v_store(to.high + c * LP_WIDTH, lowest);
        }
    }
    *peak = v_max(*peak, entropy ? lowest : zero);
}

/* block_fast of a block some of whose elements are -inf. What a group holds is found, unless it is known, just before its sums are
 * made: the row is read evenly, which one that comes from memory needs. */
LP_INLINE int block_absent(presence *p, const block_groups *g, origin start, int known, raw_sum *raw, group_sums *sums,
                           float *high, vf *peak, int what)
{
    const int entropy = what == SUMS_ENTROPY;
    vu bits = v_bits_zero();
    vf magic = v_set1(EXP_MAGIC);
    LP_FINISH(magic);
    _Pragma("GCC unroll 1") for (int i = 0; i < g->count; i++)
    {
        const origin from = origin_ahead(start, (size_t)i * LP_GROUP);
        const lane_sums to = sums_of_group(sums, high, i);
        _Alignas(64) float second[LP_LANES];
        if (!known && p->sparse) {
            group_presence(p, g->at[i], from, i);
            p->sparse = i != 0 || first_is_sparse(p);
        }
        const float *max = p->max + i * LP_LANES;
        if (p->lone >> i & 1) {
            if (group_is_empty(p, i)) {
                group_none(to, peak, entropy);
            } else {
                group_few(max, NULL, to, peak, &bits, entropy);
            }
        } else if (p->sparse && group_second(second, g->at[i], p->word + i * LP_SETS / 2)) {
            group_few(max, second, to, peak, &bits, entropy);
        } else {
            group_fast(g->at[i], reading_f32(), from, to, magic, peak, &bits, what, 1, NULL);
        }
    }
    return groups_add_up(sums, high, g->count, bits, peak_max(*peak, what), raw, 0, entropy, 0);
}

/* Picks of a block: at most; so few that they are quicker than lanes of which most are empty. */
enum { PICKS = 64, FEW = 12 };

/* the elements of a block that are there, in the order of their ids */
typedef struct picks {
    size_t n;
    _Alignas(64) float x[PICKS + LP_LANES];
    uint16_t at[PICKS + LP_LANES];
} picks;

/* which of the lane sums of a block the element goes into */
LP_INLINE size_t group_lane(size_t at)
{
    return at / LP_GROUP * LP_LANES + at % LP_LANES;
}

/* The set bits of n / 64 words, in order, and how many there are; only that where they are more than PICKS. Which words have
 * any is found without branches, and most that have any have one: a loop over every word would mispredict at each. The elements
 * at x, if that is given, are taken along: a loop of their own would mispredict its end. */
LP_INLINE size_t pick_bits(picks *p, const uint64_t *word, size_t n, const float *x)
{
    uint16_t some[LP_BLOCK_SIZE / 64 + 1];
    size_t words = 0, count = 0;
    for (size_t w = 0; w < n / 64; w++) {
        some[words] = (uint16_t)w;
        words += word[w] != 0;
        count += (size_t)__builtin_popcountll(word[w]);
    }
    p->n = 0;
    if (count > PICKS) {
        return count;
    }
    for (size_t i = 0; i < words; i++) {
        uint64_t mask = word[some[i]];
        const size_t first = (size_t)some[i] * 64;
        do {
            const size_t at = first + first_bit(mask);
            if (x != NULL) {
                memcpy(p->x + p->n, x + at, sizeof *x);
            }
            p->at[p->n++] = (uint16_t)at;
            mask &= mask - 1;
        } while (mask != 0);
    }
    return count;
}

static void pick_block(picks *p, const presence *there, const block_groups *g)
{
    pick_bits(p, there->word, (size_t)g->count * LP_GROUP, NULL);
    for (size_t i = 0; i < p->n; i++) {
        memcpy(p->x + i, g->at[p->at[i] / LP_GROUP] + p->at[i] % LP_GROUP, sizeof *p->x);
    }
}

/* one bit each of the picks from i on that there are, of a register's width */
LP_INLINE uint32_t picks_there(const picks *p, size_t i)
{
    const size_t n = i < p->n ? p->n - i : 0;
    return (uint32_t)((UINT64_C(1) << (n < LP_WIDTH ? n : LP_WIDTH)) - 1);
}

/* The terms of a block's picks, followed by 0 up to whole sets. */
typedef struct pick_terms {
    _Alignas(64) float e[PICKS + LP_LANES];
    float a[PICKS + LP_LANES], q[PICKS + LP_LANES]; /* x, and e (m - x), both less the shift */
    float top, lowest;                              /* m, and the lowest that counts, less the shift */
    size_t n;                                       /* of whole sets */
    int exact;                                      /* sums of e and of q are exact in double, in any order */
} pick_terms;

/* Whether the sum of floats of one sign, not more than 64, between these bounds is exact in double: all are multiples of what the last
 * bit of the least is worth, and together fewer than 2^53 of that. */
LP_INLINE int bounds_exact(vf least, vf most)
{
    return v_max_lanes(most) < v_min_lanes(least) * 0x1p22F;
}

LP_INLINE void pick_terms_make(pick_terms *t, const picks *p, const reference *ref, float m)
{
    const vf shift = v_set1(ref->shift), lowest = v_set1(ref->lowest), magic = v_set1(ref->magic);
    const vf top = v_set1(m - ref->shift), zero = v_set1(0), any = v_set1(0x1p-149F), none = v_set1(0x1p100F);
    t->top = m - ref->shift;
    t->lowest = ref->lowest;
    vf most = any, least = none, most_q = any, least_q = none; /* of those that are not 0 */
    t->n = (p->n + LP_LANES - 1) / LP_LANES * LP_LANES;
    for (size_t i = 0; i < t->n; i += LP_WIDTH) {
        const vf a = v_sub(v_load(p->x + i), shift), inside = v_where_ge(a, lowest, a, zero);
        vf bits, e = v_where_ge(a, lowest, exp_terms(inside, magic, &bits), zero);
        e = v_keep_bits(e, picks_there(p, i), zero);
        const vf q = v_mul(e, v_sub(top, inside));
        v_store(t->e + i, e);
        v_store(t->a + i, a);
        v_store(t->q + i, q);
        most = v_max(most, e);
        least = v_min(least, v_where_ge(e, any, e, none));
        most_q = v_max(most_q, q);
        least_q = v_min(least_q, v_where_ge(q, any, q, none));
    }
    t->exact = bounds_exact(least, most) && bounds_exact(least_q, most_q);
}

/* a lane of a group that holds more than one element: as the group kernels add it, and the terms one by one */
typedef struct shared_lane {
    float s, q;
    double terms, terms_q;
} shared_lane;

static shared_lane shared_lane_of(const picks *p, const pick_terms *t, size_t lane)
{
    float le[LP_SETS] = {0}, la[LP_SETS] = {0}, ld[LP_SETS], pair[4], pair_q[4], high = t->lowest;
    shared_lane sum = {0, 0, 0, 0};
    for (size_t i = 0; i < p->n; i++) {
        __asm__(""); /* gcc would make scatters of the next lines */
        if (group_lane(p->at[i]) == lane) {
            le[p->at[i] % LP_GROUP / LP_LANES] = t->e[i];
            la[p->at[i] % LP_GROUP / LP_LANES] = t->a[i] > t->lowest ? t->a[i] : t->lowest;
            high = t->a[i] > high ? t->a[i] : high;
            sum.terms += (double)t->e[i];
            sum.terms_q += (double)t->q[i];
        }
    }
    for (int i = 0; i < LP_SETS; i++) {
        ld[i] = high - la[i];
    }
    for (int i = 0; i < 4; i++) {
        pair[i] = le[2 * i] + le[2 * i + 1];
        pair_q[i] = v_first(v_fma(v_set1(le[2 * i + 1]), v_set1(ld[2 * i + 1]), v_set1(le[2 * i] * ld[2 * i])));
    }
    sum.s = (pair[0] + pair[1]) + (pair[2] + pair[3]);
    sum.q = (pair_q[0] + pair_q[1]) + (pair_q[2] + pair_q[3]);
    sum.q = v_first(v_fma(v_set1(sum.s), v_set1(t->top - high), v_set1(sum.q)));
    return sum;
}

/* The lanes of elements that are not the first of theirs, and how many; held is set to 1 for each lane that holds any: bytes, for none
 * of them waits for another's. */
static size_t shared_lanes(const picks *p, uint16_t lanes[PICKS + 1], uint8_t held[LP_GROUPS * LP_LANES])
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        const size_t lane = group_lane(p->at[i]);
        lanes[n] = (uint16_t)lane;
        n += held[lane];
        held[lane] = 1;
    }
    return n;
}

/* The sums of a block's lanes in the order of group kernels, without the lanes: one after the other where that order says nothing,
 * and then what the lanes that hold more than one element would have rounded away. */
static void pick_sum(const picks *p, const pick_terms *t, raw_sum *raw)
{
    const int sets = t->n > LP_LANES ? 2 : 1;
    uint8_t held[LP_GROUPS * LP_LANES] = {0};
    uint16_t shared[PICKS + 1];
    const size_t n = shared_lanes(p, shared, held);
    raw->s = v_sum_groups(t->e, sets);
    raw->q = v_sum_groups(t->q, sets);
    for (size_t i = 0; i < n; i++) {
        if (held[shared[i]] != 0) { /* once, also where there are three */
            const shared_lane lane = shared_lane_of(p, t, shared[i]);
            raw->s += (double)lane.s - lane.terms;
            raw->q += (double)lane.q - lane.terms_q;
            held[shared[i]] = 0;
        }
    }
}

/* the same by all lanes */
static __attribute__((noinline)) void pick_sum_lanes(const picks *p, const pick_terms *t, raw_sum *raw)
{
    const vf zero = v_set1(0);
    group_sums sums;
    uint8_t held[LP_GROUPS * LP_LANES] = {0};
    uint16_t shared[PICKS + 1];
    const size_t n = shared_lanes(p, shared, held);
    for (size_t i = 0; i < LP_GROUPS * LP_LANES; i += LP_WIDTH) {
        __asm__(""); /* or gcc makes a memset of it, which at this size is `rep stos`, and slower */
        v_store(sums.s + i, zero);
        v_store(sums.q + i, zero);
    }
    for (size_t i = 0; i < p->n; i++) {
        const size_t lane = group_lane(p->at[i]);
        sums.s[lane] = t->e[i];
        sums.q[lane] = t->q[i];
    }
    for (size_t i = 0; i < n; i++) {
        const shared_lane lane = shared_lane_of(p, t, shared[i]);
        sums.s[shared[i]] = lane.s;
        sums.q[shared[i]] = lane.q;
    }
    raw->s = v_sum_groups(sums.s, LP_GROUPS);
    raw->q = v_sum_groups(sums.q, LP_GROUPS);
}

static void sparse_sum(const picks *p, const reference *ref, raw_sum *raw, int entropy)
{
    pick_terms t;
    pick_terms_make(&t, p, ref, raw->m);
    (t.exact ? pick_sum : pick_sum_lanes)(p, &t, raw);
    raw->q = entropy ? 0 - raw->q : 0;
    raw->ref = *ref;
}

/* as block_careful, of picks */
static int block_sparse(row *r, picks *p, raw_sum *raw)
{
    const float inf = __builtin_inff();
    const vf more =
        v_set1(p->n != 0 ? p->x[0] : -inf); /* whole vectors; what is added changes neither maximum nor minimum */
    LP_UNROLL for (int i = 0; i < LP_LANES; i += LP_WIDTH)
    {
        v_store(p->x + p->n + i, more);
    }
    const float *const x = p->x;
    const extent all =
        groups_extent(&x, 1, p->n == 0 ? LP_LANES : (p->n + LP_LANES - 1) / LP_LANES * LP_LANES, origin_none(x), NULL);
    float max = all.max, min = all.min;
    r->wide_hint = ROW_ABSENT;
    r->flags |= all.nan ? ROW_NAN : max == inf ? ROW_INF : 0;
    if (all.nan || max == inf || max == -inf) {
        return 0;
    }
    raw->m = max + 0.0F;
    int narrow = max <= EXP_HIGHEST && min >= EXP_LOWEST;
    if (narrow) {
        sparse_sum(p, &narrow_reference, raw, (r->flags & ROW_ENTROPY) != 0);
        narrow = narrow_holds(raw->s);
    }
    if (!narrow) {
        reference wide = wide_reference(raw->m);
        sparse_sum(p, &wide, raw, (r->flags & ROW_ENTROPY) != 0);
    }
    return 1;
}
#endif
