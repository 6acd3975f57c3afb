/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The sums of one block: sum of e^x and, for the entropy, of e^x (m - x), m the block's maximum.
 *
 * A block whose elements all lie between EXP_LOWEST and EXP_HIGHEST (or are -inf: absent) needs no reference: e^x is a
 * float. That is every block of ordinary logits. The fast path assumes it and collects the bits of the exponent sums t,
 * which show afterwards whether it held; where it did not, the careful path below decides from the block's content alone.
 *
 *   element  e = T (1 + w)                        relative error 9e-8: cubic 2e-8, table 3e-9, w 3e-9, rounding 6e-8
 *   group    8 sets, a tree of float additions    3 roundings
 *   block    8 groups, 32 lanes, in double        nothing
 *   ln 2            a float in the reduction      1.6e-8
 * so a block's sum is within 9e-8 + 1.6e-8 + 3 * 2^-24 = 2.8e-7 of the exact one, relative; all terms have one sign.
 *
 * The maximum is not known before all elements have been seen, and a lane's own is: with c the largest of a lane's eight elements in a
 * group, the lane's sum of e^x (m - x) is that of e^x (c - x), and (m - c) times that of e^x. No term has a sign, so nothing cancels:
 * as near to p = 1 as may be, the sum is as right, relative, as that of e^x, within 3 * 2^-24 more. */
#ifndef LP_CORE_BLOCK_H
#define LP_CORE_BLOCK_H
#include "core/prepare.h"
#include "dispatch.h"
#include "row.h"

/* how far ahead of the element at work to prefetch: elements, into the first-level cache */
enum { LP_PREFETCH = 1536 };

/* Where the logits of a group come from, and in what steps of bytes 16 of them lie there. A block that was widened into a
 * buffer is followed by others of its source: between the exponentials of this one is the time to fetch them. */
typedef struct origin {
    const unsigned char *at;
    size_t line;
} origin;

LP_INLINE origin origin_ahead(origin o, size_t elements)
{
    o.at += elements / 16 * o.line;
    return o;
}

#ifndef LP_FETCHES_REST
#define LP_FETCHES_REST 0
#endif

/* what is fetched from memory into the second-level cache while the elements of a group are at work: of each four lines the first,
 * and the rest: of 16 bits, and where the CPU needs none of it, lines that are being read (dispatch.h) */
typedef struct far_ahead {
    const unsigned char *first, *rest;
} far_ahead;

LP_INLINE size_t rest_ahead(int kind)
{
    return LP_FETCHES_REST ? far_ahead_of(kind) : 0;
}

LP_INLINE far_ahead far_of(origin from)
{
    const int halves = from.line < 64;
    const size_t first = LP_FETCHES_REST ? far_ahead_of(halves ? FAR_HALVES : FAR_FIRST) : LP_PREFETCH_FAR;
    const far_ahead far = {from.at + first, from.at + (halves ? 0 : rest_ahead(FAR_REST))};
    return far;
}

LP_INLINE void v_prefetch_rest(const unsigned char *p)
{
    if (LP_FETCHES_REST) {
        v_prefetch_far(p);
    }
}

/* the line `offset` bytes on */
LP_INLINE void far_fetch(const far_ahead *far, size_t offset, int first)
{
    if (first) {
        v_prefetch_far(far->first + offset);
    } else {
        v_prefetch_rest(far->rest + offset);
    }
}

/* a block narrower than this in sum goes the careful way: its terms could be subnormal, or could have overflowed */
#define NARROW_LEAST 0x1p-80
#define NARROW_MOST 0x1p126

/* how a block is shifted before its exponentials are taken: sum of e^x = f * 2^k * sum of e^(x - shift) 2^-n, n in magic */
typedef struct reference {
    float shift, magic, lowest; /* elements below lowest, after the shift, count as 0 */
    double f;
    int64_t k;
} reference;

static const reference narrow_reference = {0, EXP_MAGIC, EXP_LOWEST, 1, 0};

/* for a block whose elements do not fit the window of the exponent as they are: the window ends just above its maximum,
 * and elements below e^-60 of it, which 2048 times are 2^-76, are dropped */
static reference wide_reference(float m)
{
    reference ref = {0, EXP_MAGIC, 0, 1, 0};
    const int window = 88;
    if (__builtin_fabsf(m) <= 256) {
        ref.k = (int64_t)((double)m * 0x1.71547652b82fep+0 + (m < 0 ? -0.5 : 0.5));
        ref.magic = EXP_MAGIC - 8 * EXP_UNIT * (float)ref.k;
        ref.lowest = (float)((double)(ref.k - window) * 0x1.62e42fefa39efp-1);
    } else {
        /* exact where it matters: x > m - 61 is within a factor of 2 of m (Sterbenz) */
        ref.shift = m;
        ref.lowest = (float)(-window * 0x1.62e42fefa39efp-1);
        ref.f = row_exp_parts(m, &ref.k);
    }
    return ref;
}

/* of what is in the cache */
LP_INLINE origin origin_none(const float *x)
{
    const origin o = {(const unsigned char *)x, 0};
    return o;
}

typedef struct group_sums {
    _Alignas(64) float s[LP_GROUPS * LP_LANES];
    /* of e^x (c - x); c: the lane's largest element, or what stands for it where the lane is empty */
    float q[LP_GROUPS * LP_LANES];
} group_sums;

/* the number of groups rounded up to a power of two, those that were not there with sums of 0 */
static int sums_pad(group_sums *sums, int groups)
{
    int n = 1;
    while (n < groups) {
        n *= 2;
    }
    if (n != groups) {
        size_t missing = (size_t)(n - groups) * LP_LANES * sizeof(float);
        memset(sums->s + groups * LP_LANES, 0, missing);
        memset(sums->q + groups * LP_LANES, 0, missing);
    }
    return n;
}

/* each lane's q, relative to the block's maximum instead of its own, both less the shift */
LP_INLINE void lanes_settle(float *q, const float *s, const float *high, int groups, float top)
{
    const vf t = v_set1(top);
    for (int i = 0; i < groups * LP_LANES; i += LP_WIDTH) {
        v_store(q + i, v_fma(v_load(s + i), v_sub(t, v_load(high + i)), v_load(q + i)));
    }
}

/* An ISA with so many columns that a flat loop over them makes compilers spill says that it stays a loop; LP_FINISH asks for
 * a value now, so that no more is at work than the registers hold, LP_FOUND for the largest of a lane; LP_SUMMED alone for the sum of a
 * pair of elements that stay in registers until then. LP_AFTER(x, e) lets x be used when e is there. */
#ifndef LP_LOOP_COLUMNS
#define LP_LOOP_COLUMNS 0
#define LP_UNROLL_COLUMNS LP_UNROLL
#endif
#ifndef LP_FINISH
#define LP_FINISH(v)
#endif
#ifndef LP_FOUND
#define LP_FOUND(v) LP_FINISH(v)
#endif
#ifndef LP_AFTER
#define LP_AFTER(x, e)
#endif
#ifndef LP_SUMMED
#define LP_SUMMED(v)
#endif

/* asks for what was loaded to stay in a register, where a compiler would load it again for each use */
#ifndef LP_LOADED
#define LP_LOADED(v)
#endif

/* An ISA with registers to spare widens logits of 16 bits a pair or more before they are at work, and LP_WIDENED asks for them then: a
 * CPU's scheduler is full of what waits for them otherwise. */
#ifndef LP_WIDENED
#define LP_WIDENS_AHEAD 0
#define LP_WIDENED(v)
#else
#define LP_WIDENS_AHEAD 1
#endif

/* The sum of four pairs, two of which are added when they are there, so that one register holds them; an ISA with many has no
 * need of it, and copies more. */
LP_INLINE void pairs_join(vf pair[4], int p)
{
    if (!LP_LOOP_COLUMNS && p % 2 != 0) {
        pair[p - 1] = v_add(pair[p - 1], pair[p]);
    }
}

LP_INLINE vf pairs_sum(const vf pair[4])
{
    return LP_LOOP_COLUMNS ? v_add(v_add(pair[0], pair[1]), v_add(pair[2], pair[3])) : v_add(pair[0], pair[2]);
}

/* what is asked for beside pair p of column c of a group */
LP_INLINE void group_fetch(origin from, origin near, const far_ahead *far, int c, int p)
{
    if (LP_LOOP_COLUMNS) { /* each of 8 columns one set */
        if (p == 0) {
            v_prefetch(near.at + (size_t)(2 * c) * near.line);
            v_prefetch(near.at + (size_t)(2 * c + 1) * near.line);
            v_prefetch_far(far->first + (size_t)(2 * c) * from.line);
            v_prefetch_far(far->first + (size_t)(2 * c + 1) * from.line);
        }
    } else if (c * LP_WIDTH % 16 == 0) { /* once a cache line of f32 */
        const size_t line = (size_t)(4 * p + c * LP_WIDTH / 16);
        const int narrow = from.line < 64; /* two of its steps are one line, which is enough to ask for once */
        if (c == 0 || !narrow) {
            v_prefetch(near.at + line * near.line);
            v_prefetch(near.at + (line + 2) * near.line);
            far_fetch(far, line * from.line, c == 0 && (p % 2 == 0 || !narrow));
            far_fetch(far, (line + 2) * from.line, 0);
        }
    }
}

LP_INLINE vf largest_of_eight(const vf x[LP_SETS])
{
    return v_max(v_max(v_max(x[0], x[1]), v_max(x[2], x[3])), v_max(v_max(x[4], x[5]), v_max(x[6], x[7])));
}

/* the elements of column c of a group, which begins at element `at` */
LP_INLINE void lane_elements(vf x[LP_SETS], const void *group, size_t at, int c, reading r)
{
    LP_UNROLL for (int i = 0; i < LP_SETS; i++)
    {
        x[i] = column_logits(group, at + (size_t)i * LP_LANES, c, r);
    }
}

/* pair p of column c of a group, before it is at work */
LP_INLINE void pair_ahead(vf to[2], const void *group, int c, int p, reading r)
{
    const size_t at = (size_t)(2 * p * LP_LANES + c * LP_WIDTH);
    to[0] = column_logits(group, at, c, r);
    to[1] = column_logits(group, at + LP_LANES, c, r);
    LP_WIDENED(to[0]);
    LP_WIDENED(to[1]);
}

/* the largest of each lane's eight */
LP_INLINE vf lane_max(const float *group, size_t at)
{
    vf max = v_load(group + at);
    LP_UNROLL for (size_t i = 1; i < LP_SETS; i++)
    {
        max = v_max(max, v_load(group + at + i * LP_LANES));
    }
    return max;
}

/* where the sums of group i go, and the largest of each lane */
typedef struct lane_sums {
    float *s, *q, *high;
} lane_sums;

LP_INLINE lane_sums sums_of_group(group_sums *sums, float *high, int i)
{
    const lane_sums l = {sums->s + i * LP_LANES, sums->q + i * LP_LANES, high + i * LP_LANES};
    return l;
}

/* what a group's sums are made with: e^x alone; and each lane's largest element; and the entropy's, for which that is needed */
enum { SUMS_ALONE, SUMS_HIGH, SUMS_ENTROPY };

/* the largest of each lane's eight that a mask of one word a set allows */
LP_INLINE vf largest_allowed(const vf x[LP_SETS], const uint32_t *allowed, int c)
{
    vf high = v_set1(-__builtin_inff());
    LP_UNROLL for (int i = 0; i < LP_SETS; i++)
    {
        high = v_max_allowed(high, x[i], allowed + i, c);
    }
    return high;
}

/* Fast path of one group, all of whose 256 elements exist, or, with `absent`, may be -inf, or, with `allowed`, are masked: these add
 * exactly 0, but the bits say of masked ones, too, whether they are in the window. `peak` keeps the
 * largest sum of a lane, which no element of the group exceeds: most blocks show by it that they hold no new maximum, without a
 * maximum being taken. Where the lanes' largest elements are found, `peak` keeps the largest of these instead. */
LP_INLINE void group_fast(const void *x, reading r, origin from, lane_sums to, vf magic, vf *peak, vu *bits, int what,
                          int absent, const uint32_t *allowed)
{
    const int entropy = what == SUMS_ENTROPY;
    const int ahead = LP_WIDENS_AHEAD && r.dtype != DTYPE_F32;
    const vf none = v_set1(-__builtin_inff());
    const origin near = origin_ahead(from, LP_PREFETCH);
    const far_ahead far = far_of(from);
    vf eight[LP_SETS]; /* of this column, and, where they are done with, of the next one */
    vf next[2];
    if (ahead && !entropy) {
        pair_ahead(next, x, 0, 0, r);
    }
    LP_UNROLL_COLUMNS for (int c = 0; c < LP_COLUMNS; c++)
    {
        vf pair[4], pair_q[4], high = none;
        if (entropy) {
            if (!ahead || c == 0) {
                lane_elements(eight, x, (size_t)(c * LP_WIDTH), c, r);
            }
            high = allowed != NULL ? largest_allowed(eight, allowed, c) : largest_of_eight(eight);
            if (absent || allowed != NULL) { /* of a lane that is empty, some number: times 0 */
                high = v_max(high, v_set1(EXP_LOWEST));
            }
            LP_FOUND(high);
        }
        LP_UNROLL for (int p = 0; p < 4; p++)
        {
            const size_t at = (size_t)(2 * p * LP_LANES + c * LP_WIDTH);
            /* again, where that is a load and no more and registers are few: an ISA of many columns has many */
            const int kept = entropy && (LP_LOOP_COLUMNS || r.dtype != DTYPE_F32 || r.scaled);
            vf x1[2] = {kept    ? eight[2 * p]
                        : ahead ? next[0]
                                : column_logits(x, at, c, r),
                        kept    ? eight[2 * p + 1]
                        : ahead ? next[1]
                                : column_logits(x, at + LP_LANES, c, r)};
            if (ahead && !entropy && c + p / 3 < LP_COLUMNS) {
                pair_ahead(next, x, c + p / 3, (p + 1) % 4, r);
            }
            if (!entropy) {
                LP_LOADED(x1[0]);
                LP_LOADED(x1[1]);
            }
            if (what == SUMS_HIGH) {
                if (allowed != NULL) {
                    high = v_max_allowed(high, x1[0], allowed + 2 * p, c);
                    high = v_max_allowed(high, x1[1], allowed + 2 * p + 1, c);
                } else {
                    const vf two = v_max(x1[0], x1[1]);
                    high = p == 0 ? two : v_max(high, two);
                }
            }
            /* e^0 instead, which is taken back: NaN, which no comparison holds for, stays and shows in the bits */
            const vf x2[2] = {absent ? v_zero_where_ge(none, x1[0], x1[0]) : x1[0],
                              absent ? v_zero_where_ge(none, x1[1], x1[1]) : x1[1]};
            vf e[2];
            vf d[2] = {x2[0], x2[1]};
            if (entropy && LP_LOOP_COLUMNS) {
                d[0] = v_sub(high, d[0]);
                d[1] = v_sub(high, d[1]);
                LP_FINISH(d[0]);
                LP_FINISH(d[1]);
            }
            exp_narrow_two(x2, magic, e, bits);
            if (absent) {
                e[0] = v_zero_where_ge(none, x1[0], e[0]);
                e[1] = v_zero_where_ge(none, x1[1], e[1]);
            }
            if (allowed != NULL) {
                e[0] = v_allowed_else_0(e[0], allowed + 2 * p, c);
                e[1] = v_allowed_else_0(e[1], allowed + 2 * p + 1, c);
            }
            if (entropy && !LP_LOOP_COLUMNS) { /* few registers: the differences only now */
                LP_FINISH(e[0]);
                LP_FINISH(e[1]);
                LP_AFTER(d[0], e[0]);
                LP_AFTER(d[1], e[1]);
                d[0] = v_sub(high, d[0]);
                d[1] = v_sub(high, d[1]);
            }
            pair[p] = v_add(e[0], e[1]);
            LP_FINISH(pair[p]);
            if (kept) {
                LP_SUMMED(pair[p]);
            }
            if (entropy) {
                pair_q[p] = v_fma(e[1], d[1], v_mul(e[0], d[0]));
                LP_FINISH(pair_q[p]);
                if (kept) {
                    LP_SUMMED(pair_q[p]);
                }
            }
            pairs_join(pair, p);
            if (entropy) {
                pairs_join(pair_q, p);
                if (ahead && c + 1 < LP_COLUMNS) {
                    pair_ahead(eight + 2 * p, x, c + 1, p, r);
                }
            }
            /* last: between the loads and the exponentials, gcc spills more with few registers */
            group_fetch(from, near, &far, c, p);
        }
        vf sum = pairs_sum(pair);
        v_store(to.s + c * LP_WIDTH, sum);
        if (what != SUMS_ALONE) {
            v_store(to.high + c * LP_WIDTH, high);
        }
        if (entropy) {
            v_store(to.q + c * LP_WIDTH, pairs_sum(pair_q));
        }
        *peak = v_max(*peak, what == SUMS_ALONE ? sum : high);
    }
}

/* fast path of a row's last group, of which only n < 256 elements exist; what is missing adds exactly 0 */
LP_INLINE void group_fast_last(const float *x, size_t n, lane_sums to, vf *peak, vu *bits, int entropy)
{
    const vf zero = v_set1(0), lowest = v_set1(EXP_LOWEST);
    int sets = (int)((n + LP_LANES - 1) / LP_LANES);
    uint32_t last = UINT32_MAX >> (32 * sets - (int)n);
    for (int c = 0; c < LP_COLUMNS; c++) {
        vf e[LP_SETS], d[LP_SETS], pair[4], pair_q[4];
        /* what is missing is -inf in its padding; some number for the largest of none */
        const vf high = entropy ? v_max(lane_max(x, (size_t)(c * LP_WIDTH)), lowest) : zero;
        for (int i = 0; i < LP_SETS; i++) {
            e[i] = d[i] = zero;
        }
        for (int i = 0; i < sets; i++) {
            uint32_t exists = (i == sets - 1 ? last : UINT32_MAX) >> (c * LP_WIDTH % 32);
            vf a = v_keep_bits(v_load(x + i * LP_LANES + c * LP_WIDTH), exists, zero), t;
            e[i] = v_keep_bits(exp_narrow(a, &t), exists, zero);
            d[i] = entropy ? v_sub(high, a) : zero;
            *bits = v_bits_or(*bits, t, t);
        }
        for (int p = 0; p < 4; p++) {
            pair[p] = v_add(e[2 * p], e[2 * p + 1]);
            pair_q[p] = v_fma(e[2 * p + 1], d[2 * p + 1], v_mul(e[2 * p], d[2 * p]));
        }
        vf sum = v_add(v_add(pair[0], pair[1]), v_add(pair[2], pair[3]));
        v_store(to.s + c * LP_WIDTH, sum);
        *peak = v_max(*peak, entropy ? high : sum);
        if (entropy) {
            v_store(to.q + c * LP_WIDTH, v_add(v_add(pair_q[0], pair_q[1]), v_add(pair_q[2], pair_q[3])));
            v_store(to.high + c * LP_WIDTH, high);
        }
    }
}

/* Careful path of one group: elements that are -inf or below the reference's window count as exactly 0; `all` says that there are
 * none. */
LP_INLINE void group_careful(const float *x, const float *largest, lane_sums to, const reference *ref, int all,
                             int entropy)
{
    const vf shift = v_set1(ref->shift), lowest = v_set1(ref->lowest), magic = v_set1(ref->magic);
    /* what is dropped is computed as e^0: e^lowest could be subnormal, which takes the CPU a hundred cycles */
    const vf zero = v_set1(0);
    /* not flat: the registers would not do */
    _Pragma("GCC unroll 1") for (int c = 0; c < LP_COLUMNS; c++)
    {
        vf pair[4], pair_q[4], high = zero;
        if (entropy) { /* subtraction keeps the order, so the largest after it is the largest's difference */
            high = v_sub(v_load(largest + c * LP_WIDTH), shift);
            high = all ? high : v_max(high, lowest);
        }
        LP_UNROLL for (int p = 0; p < 4; p++)
        {
            vf e[2], d[2], t;
            LP_UNROLL for (int i = 0; i < 2; i++)
            {
                const vf a = v_sub(v_load(x + (2 * p + i) * LP_LANES + c * LP_WIDTH), shift);
                const vf inside = all ? a : v_where_ge(a, lowest, a, zero);
                e[i] = exp_terms(inside, magic, &t);
                e[i] = all ? e[i] : v_where_ge(a, lowest, e[i], zero);
                d[i] = v_sub(high, inside);
            }
            pair[p] = v_add(e[0], e[1]);
            pair_q[p] = v_fma(e[1], d[1], v_mul(e[0], d[0]));
        }
        v_store(to.s + c * LP_WIDTH, v_add(v_add(pair[0], pair[1]), v_add(pair[2], pair[3])));
        if (entropy) {
            v_store(to.q + c * LP_WIDTH, v_add(v_add(pair_q[0], pair_q[1]), v_add(pair_q[2], pair_q[3])));
            v_store(to.high + c * LP_WIDTH, high);
        }
    }
}

/* the same of a block's groups */
LP_INLINE void groups_careful(group_sums *sums, float *high, const float *const group[], const float *lanes, int groups,
                              const reference *ref, int all, int entropy)
{
    for (int g = 0; g < groups; g++) {
        group_careful(group[g], entropy ? lanes + g * LP_LANES : NULL, sums_of_group(sums, high, g), ref, all, entropy);
    }
}

/* functions of their own, for their constants and their stack; lanes: each lane's largest element, for the entropy */
typedef void careful_function(group_sums *sums, float *high, const float *const group[], const float *lanes, int groups,
                              const reference *ref);

static __attribute__((noinline)) void careful_some(group_sums *sums, float *high, const float *const group[],
                                                   const float *lanes, int groups, const reference *ref)
{
    groups_careful(sums, high, group, lanes, groups, ref, 0, 0);
}

static __attribute__((noinline)) void careful_all(group_sums *sums, float *high, const float *const group[],
                                                  const float *lanes, int groups, const reference *ref)
{
    groups_careful(sums, high, group, lanes, groups, ref, 1, 0);
}

static __attribute__((noinline)) void careful_some_entropy(group_sums *sums, float *high, const float *const group[],
                                                           const float *lanes, int groups, const reference *ref)
{
    groups_careful(sums, high, group, lanes, groups, ref, 0, 1);
}

static __attribute__((noinline)) void careful_all_entropy(group_sums *sums, float *high, const float *const group[],
                                                          const float *lanes, int groups, const reference *ref)
{
    groups_careful(sums, high, group, lanes, groups, ref, 1, 1);
}

/* largest element, smallest one above -inf, and what else there is */
typedef struct extent {
    float max, min;
    int nan, absent;
} extent;

/* the smallest above -inf */
static float least_present(const float *const group[], int groups, size_t n)
{
    const vf absent = v_set1(-__builtin_inff()), never = v_set1(__builtin_inff());
    vf low = never;
    for (int g = 0; g < groups; g++) {
        for (size_t i = 0; i < n; i += LP_WIDTH) {
            const vf a = v_load(group[g] + i);
            low = v_min(low, v_where_ge(absent, a, never, a));
        }
    }
    return v_min_lanes(low);
}

/* Of groups of n elements each, a multiple of 32, that come from `start` on. `lanes`, if it is not NULL, takes each lane's largest
 * element; of no use where there is NaN. */
LP_INLINE extent groups_extent(const float *const group[], int groups, size_t n, origin start, float *lanes)
{
    enum { TURNS = LP_COLUMNS > 1 ? 2 : 1 };
    const float inf = __builtin_inff();
    vf high = v_set1(-inf), low[TURNS];
    uint32_t nan = 0;
    for (int t = 0; t < TURNS; t++) {
        low[t] = v_set1(inf);
    }
    for (int g = 0; g < groups; g++) {
        const origin from = origin_ahead(start, (size_t)g * n), near = origin_ahead(from, LP_PREFETCH);
        const far_ahead far = far_of(from);
        vf lane[LP_COLUMNS];
        for (int c = 0; c < LP_COLUMNS; c++) {
            lane[c] = v_set1(-inf);
        }
        for (size_t i = 0; i < n; i += LP_LANES) {
            const size_t line = i / 16 * from.line; /* 32 elements are two of its steps */
            v_prefetch(near.at + line);
            v_prefetch(near.at + line + from.line);
            far_fetch(&far, line, i % (4 * LP_LANES) == 0);
            far_fetch(&far, line + from.line, 0);
            LP_UNROLL for (int c = 0; c < LP_COLUMNS; c += TURNS)
            {
                const float *x = group[g] + i + c * LP_WIDTH;
                nan |= v_mask_nan(v_load(x), v_load(x + (TURNS - 1) * LP_WIDTH));
                LP_UNROLL for (int t = 0; t < TURNS; t++)
                {
                    const vf a = v_load(x + t * LP_WIDTH);
                    lane[c + t] = v_max(lane[c + t], a);
                    low[t] = v_min(low[t], a);
                }
            }
        }
        LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
        {
            high = v_max(high, lane[c]);
            if (lanes != NULL) {
                v_store(lanes + g * LP_LANES + c * LP_WIDTH, lane[c]);
            }
        }
    }
    const float least = v_min_lanes(v_min(low[0], low[TURNS - 1]));
    const int absent = least == -inf;
    extent e = {v_max_lanes(high) + 0.0F, absent ? least_present(group, groups, n) : least, nan != 0, absent};
    return e;
}

/* of whole groups, some of which may be padded */
static __attribute__((noinline)) extent block_extent(const float *const group[], int groups, origin from, float *lanes)
{
    return groups_extent(group, groups, LP_GROUP, from, lanes);
}

/* whether some of the elements rule the fast paths out */
static inline int extent_is_beyond(const extent *all)
{
    return !(all->max <= EXP_HIGHEST && all->min >= NARROW_LOWEST);
}

/* whether the elements may be taken as they are, of which their sum has the last word: 2048 e^-66 is less than NARROW_LEAST */
static inline int extent_is_narrow(const extent *all)
{
    return all->max <= EXP_HIGHEST && all->max >= -66 && all->min >= EXP_LOWEST;
}

/* whether all of them count */
static inline int extent_counts(const extent *all, const reference *ref)
{
    return !all->absent && all->min - ref->shift >= ref->lowest;
}

/* a block's sums in the units of its reference */
typedef struct raw_sum {
    double s, q;
    float m;
    reference ref;
} raw_sum;

/* undoes what the exponential leaves: the scale of its table, the reference, and the error of ln 2 as a float, which
 * multiplies e^x by 1 - 1.9e-9 n; the bulk of a block's sum comes from exponents a little below that of the sum */
static block_sum block_scale(const raw_sum *raw)
{
    int64_t n = (int64_t)(double_bits(raw->s) >> 52) - 1023 - 3;
    if (raw->ref.shift == 0) {
        n += raw->ref.k;
    }
    /* the square of what it undoes is left out: at most 380 powers of two, 2.6e-13 */
    const double unit = EXP_FACTOR * raw->ref.f, factor = unit + (double)n * (unit * EXP_LN2_ERROR);
    block_sum b = {raw->s * factor, raw->q * factor, raw->ref.k, raw->m, 0};
    return b;
}

static inline int narrow_holds(double s)
{
    return s >= NARROW_LEAST && s < NARROW_MOST; /* false for NaN */
}

static void sum_careful(const float *const group[LP_GROUPS], const float *lanes, int groups, const reference *ref,
                        const extent *all, raw_sum *raw, int entropy)
{
    static careful_function *const ways[2][2] = {{careful_some, careful_some_entropy},
                                                 {careful_all, careful_all_entropy}};
    group_sums sums;
    _Alignas(64) float high[LP_GROUPS * LP_LANES];
    ways[extent_counts(all, ref)][entropy](&sums, high, group, lanes, groups, ref);
    if (entropy) {
        lanes_settle(sums.q, sums.s, high, groups, raw->m - ref->shift);
    }
    int n = sums_pad(&sums, groups);
    raw->s = v_sum_groups(sums.s, n);
    raw->q = entropy ? 0 - v_sum_groups(sums.q, n) : 0;
    raw->ref = *ref;
}

/* Any block, of which it is known what it holds: returns 0, and marks the row, where there is no finite maximum. `lanes`: each lane's
 * largest element. */
static int extent_careful(row *r, const extent *of, const float *const group[LP_GROUPS], int groups, raw_sum *raw,
                          const float *lanes)
{
    const float inf = __builtin_inff();
    const extent all = *of;
    const int entropy = (r->flags & ROW_ENTROPY) != 0;
    r->flags |= all.nan ? ROW_NAN : all.max == inf ? ROW_INF : 0;
    if (all.nan || all.max == inf || all.max == -inf) {
        r->wide_hint = ROW_ABSENT;
        return 0;
    }
    raw->m = all.max;
    int narrow = extent_is_narrow(&all);
    if (narrow) {
        sum_careful(group, lanes, groups, &narrow_reference, &all, raw, entropy);
        narrow = narrow_holds(raw->s);
    }
    if (all.absent) {
        r->wide_hint = extent_is_beyond(&all) ? ROW_UNKNOWN : ROW_ABSENT;
    } else {
        r->wide_hint = !narrow || all.min < NARROW_LOWEST ? ROW_WIDE : 0;
    }
    if (!narrow) {
        reference wide = wide_reference(all.max);
        sum_careful(group, lanes, groups, &wide, &all, raw, entropy);
    }
    return 1;
}

/* the same of one of which it is not; `lanes` takes each lane's largest element */
static int block_careful(row *r, const float *const group[LP_GROUPS], int groups, origin from, raw_sum *raw,
                         float *lanes)
{
    const extent all = block_extent(group, groups, from, lanes);
    return extent_careful(r, &all, group, groups, raw, lanes);
}

/* the groups of a block of n elements: whole ones as they lie, the rest padded with -inf */
typedef struct block_groups {
    const float *at[LP_GROUPS];
    int whole, count;
    size_t rest; /* elements of the padded one */
    _Alignas(64) float padded[LP_GROUP];
} block_groups;

LP_INLINE void block_cut(block_groups *g, const float *x, size_t n)
{
    g->whole = g->count = (int)(n / LP_GROUP);
    for (int i = 0; i < g->whole; i++) {
        g->at[i] = x + i * LP_GROUP;
    }
    size_t rest = n % LP_GROUP;
    g->rest = rest;
    if (rest != 0) {
        memcpy(g->padded, x + g->whole * LP_GROUP, rest * sizeof *x);
        for (size_t i = rest; i < LP_GROUP; i++) {
            g->padded[i] = -__builtin_inff();
        }
        g->at[g->count++] = g->padded;
    }
}

/* the block's largest element, and in `lanes`, if it is not NULL, that of each lane of its groups */
LP_INLINE float block_maxima(const block_groups *g, float *lanes)
{
    enum { TURNS = LP_COLUMNS > 1 ? 2 : 1 };
    vf max[2];
    max[0] = max[1] = v_set1(-__builtin_inff());
    for (int i = 0; i < g->count; i++) {
        LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
        {
            const vf lane = lane_max(g->at[i], (size_t)(c * LP_WIDTH));
            if (lanes != NULL) {
                v_store(lanes + i * LP_LANES + c * LP_WIDTH, lane);
            }
            max[c % TURNS] = v_max(max[c % TURNS], lane);
        }
    }
    return v_max_lanes(v_max(max[0], max[1])) + 0.0F;
}

LP_INLINE float block_max(const block_groups *g)
{
    return block_maxima(g, NULL);
}

#ifndef LP_OWN_SUM_BLOCK
/* v_sum_groups of a whole block, of floats without a sign; of others the result is no sum, and at least NARROW_MOST where one is
 * infinite or NaN. Of woven lanes the even ones come first. */
LP_INLINE double v_sum_block(const float *groups, int woven)
{
    (void)woven;
    return v_sum_groups(groups, LP_GROUPS);
}

/* the same of q, which is settled before */
LP_INLINE double v_sum_settled(float *q, const float *s, const float *high, float top, int woven)
{
    (void)woven;
    lanes_settle(q, s, high, LP_GROUPS, top);
    return v_sum_groups(q, LP_GROUPS);
}
#endif

/* A block's sums from those of its groups; 0 where the bits or the sum show that the fast path did not hold. `m` is the block's
 * maximum, or NaN where that is left open, which is not so beside the entropy. Only a full one may be woven. */
LP_INLINE int groups_add_up(group_sums *sums, const float *high, int groups, vu bits, float m, raw_sum *raw, int full,
                            int entropy, int woven)
{
    if (v_bits_test(bits, NARROW_OUTSIDE)) {
        return 0;
    }
    raw->m = m;
    raw->ref = narrow_reference;
    if (full) {
        raw->s = v_sum_block(sums->s, woven);
        raw->q = entropy ? 0 - v_sum_settled(sums->q, sums->s, high, m, woven) : 0;
    } else {
        if (entropy) {
            lanes_settle(sums->q, sums->s, high, groups, m);
        }
        const int n = sums_pad(sums, groups);
        raw->s = v_sum_groups(sums->s, n);
        raw->q = entropy ? 0 - v_sum_groups(sums->q, n) : 0;
    }
    return narrow_holds(raw->s);
}

/* what `peak` begins with */
LP_INLINE vf peak_none(int what)
{
    return v_set1(what == SUMS_ALONE ? 0 : -__builtin_inff());
}

/* the block's maximum, where the peak is of elements, or NaN */
LP_INLINE float peak_max(vf peak, int what)
{
    return what == SUMS_ENTROPY ? v_max_lanes(peak) + 0.0F : __builtin_nanf("");
}

#ifndef LP_LOOKS_FIRST
#define LP_LOOKS_FIRST 1
#endif

/* Whether an element of the set at x, -inf apart, lies beyond the window of e^x, and with it its block beyond the fast path. That would
 * find out, too, but where e^x is subnormal each register of it takes some CPUs 150 cycles. */
LP_INLINE int set_is_wide(const void *x, reading r)
{
    const vf highest = v_set1(EXP_HIGHEST), lowest = v_set1(NARROW_LOWEST), absent = v_set1(-__builtin_inff());
    vf a[LP_COLUMNS] = {load_logits(x, 0, r)}, high = a[0], low = a[0];
    LP_UNROLL for (size_t c = 1; c < LP_COLUMNS; c++)
    {
        a[c] = load_logits(x, c * LP_WIDTH, r);
        high = v_max(high, a[c]);
        low = v_min(low, a[c]);
    }
    if ((v_mask_gt(high, highest) | v_mask_gt(lowest, low)) == 0) {
        return 0;
    }
    uint32_t beyond = 0;
    for (size_t c = 0; c < LP_COLUMNS; c++) {
        beyond |= v_mask_gt(a[c], highest) | (v_mask_gt(lowest, a[c]) & v_mask_gt(a[c], absent));
    }
    return beyond != 0;
}

static __attribute__((noinline)) int set_of_floats_is_wide(const float *x)
{
    return set_is_wide(x, reading_f32());
}

LP_INLINE int floats_are_wide(const float *x)
{
    return LP_LOOKS_FIRST && set_of_floats_is_wide(x);
}

/* The fast path: 0 where the block's content rules it out. Beside the entropy the block's maximum is found; without it that is left
 * open (NaN), and `peak` bounds every element, or its e^x. */
LP_INLINE int block_fast(const block_groups *g, origin start, raw_sum *raw, group_sums *sums, float *high, vf *peak,
                         int full, int what)
{
    vu bits = v_bits_zero();
    vf magic = v_set1(EXP_MAGIC);
    LP_FINISH(magic);
    int groups = full ? LP_GROUPS : g->whole;
    for (int i = 0; i < groups; i++) {
        const origin from = origin_ahead(start, (size_t)i * LP_GROUP);
        group_fast(g->at[i], reading_f32(), from, sums_of_group(sums, high, i), magic, peak, &bits, what, 0, NULL);
    }
    if (!full && groups < g->count) {
        group_fast_last(g->padded, g->rest, sums_of_group(sums, high, groups), peak, &bits, what == SUMS_ENTROPY);
        groups++;
    }
    return groups_add_up(sums, high, groups, bits, peak_max(*peak, what), raw, full, what == SUMS_ENTROPY, 0);
}

#ifndef LP_OWN_SET_MASK
/* one bit an element of the set at x: a > limit, or a >= limit, or not a <= limit */
LP_INLINE uint32_t set_mask(const float *x, float limit, int strict)
{
    const vf l = v_set1(limit);
    uint32_t mask = 0;
    LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
    {
        vf a = v_load(x + c * LP_WIDTH);
        mask |= (strict == OR_NAN ? v_mask_not_le(a, l)
                 : strict         ? v_mask_gt(a, l)
                                  : v_mask_ge(a, l))
                << (c * LP_WIDTH % 32);
    }
    return mask;
}
#endif

/* the first of the groups that has m, the largest element, by the largest of its lanes; no branch depends on which */
static __attribute__((noinline)) int group_of_max(const float *lanes, int groups, float m)
{
    int at = 0;
    for (int i = groups - 1; i >= 0; i--) {
        at = set_mask(lanes + i * LP_LANES, m, 0) != 0 ? i : at;
    }
    return at;
}

/* the index in the block of the first element that equals m, which one of them does, and none before the given group; no branch depends
 * on where in its group, for that cannot be predicted */
static size_t block_find(const block_groups *g, float m, int group)
{
    for (int i = group;; i++) {
        uint64_t hit = 0;
        size_t at = 0;
        for (size_t j = LP_SETS; j > 0; j -= 2) {
            const float *x = g->at[i] + (j - 2) * LP_LANES;
            uint64_t pair = set_mask(x, m, 0) | (uint64_t)set_mask(x + LP_LANES, m, 0) << LP_LANES;
            at = pair != 0 ? (j - 2) * LP_LANES : at;
            hit = pair != 0 ? pair : hit;
        }
        if (hit != 0) {
            return (size_t)i * LP_GROUP + at + first_bit(hit);
        }
    }
}

/* the sum of a lane's elements, `step` apart, as group_fast adds them */
LP_INLINE float lane_sum(const float *e, int step)
{
    return ((e[0] + e[step]) + (e[2 * step] + e[3 * step])) +
           ((e[4 * step] + e[5 * step]) + (e[6 * step] + e[7 * step]));
}

/* Exchanges, in double, the one lane sum that has the maximum for that of its seven others; good as long as what remains is not
 * lost in the rounding of the whole: 2^-50 of it against the 2^-20 demanded. */
LP_INLINE int rest_exchange(raw_sum *rest, const raw_sum *raw, float with, float without)
{
    *rest = *raw;
    rest->s = (raw->s - (double)with) + (double)without;
    return rest->s >= 0x1p-20 * raw->s && rest->s >= NARROW_LEAST;
}

/* the maximum is nearly all there is: sums again without it */
static block_sum rest_again(const block_groups *g, size_t at, const raw_sum *raw)
{
    _Alignas(64) float copy[LP_GROUP];
    const float *group[LP_GROUPS];
    for (int i = 0; i < g->count; i++) {
        group[i] = g->at[i];
    }
    memcpy(copy, group[at / LP_GROUP], sizeof copy);
    copy[at % LP_GROUP] = -__builtin_inff();
    group[at / LP_GROUP] = copy;
    _Alignas(64) float lanes[LP_GROUPS * LP_LANES];
    row scratch;
    raw_sum rest = *raw;
    block_sum none = {0, 0, raw->ref.k, raw->m, 0};
    scratch.flags = ROW_ENTROPY; /* or not: then its sum is not looked at */
    return block_careful(&scratch, group, g->count, origin_none(copy), &rest, lanes) ? block_scale(&rest) : none;
}

/* the block's sums without its maximum, which lies at `at` */
LP_INLINE block_sum block_rest(const block_groups *g, size_t at, const raw_sum *raw)
{
    enum { ROOM = (int)LP_WIDTH > (int)LP_SETS ? (int)LP_WIDTH : (int)LP_SETS };
    const vf shift = v_set1(raw->ref.shift), lowest = v_set1(raw->ref.lowest), magic = v_set1(raw->ref.magic);
    const vf zero = v_set1(0);
    const float *x = g->at[at / LP_GROUP] + at % LP_LANES;
    _Alignas(64) float e[ROOM];
    LP_UNROLL for (int i = 0; i < LP_SETS; i += LP_WIDTH)
    {
        vf a = v_sub(v_load_lane(x + i * LP_LANES), shift), t;
        v_store(e + i, v_where_ge(a, lowest, exp_terms(v_where_ge(a, lowest, a, zero), magic, &t), zero));
    }
    const float with = lane_sum(e, 1);
    e[at % LP_GROUP / LP_LANES] = 0;
    raw_sum rest;
    return rest_exchange(&rest, raw, with, lane_sum(e, 1)) ? block_scale(&rest) : rest_again(g, at, raw);
}

/* What no lane sum below can hold: an element of at least `level` has e^x above this. Errors of e^x and of the sums are far
 * below 2^-20. Levels below the fast path's window, -inf and NaN among them, are never ruled out. */
LP_INLINE float level_bound(float level)
{
    vf t;
    if (!(level > -60)) {
        return 0;
    }
    return level > EXP_HIGHEST ? FLT_MAX : v_first(exp_terms(v_set1(level), v_set1(EXP_MAGIC), &t)) * (1 - 0x1p-20F);
}

LP_INLINE int peak_reaches(vf peak, float bound)
{
    return v_mask_ge(peak, v_set1(bound)) != 0;
}

LP_INLINE int peak_exceeds(vf peak, float bound)
{
    return v_mask_gt(peak, v_set1(bound)) != 0;
}

/* The block that became the held one during a scan. Where its maximum lies and what is left without it is needed only of
 * the last such block: it is settled when the scan ends. Until then row.id is the block's first id, which orders blocks. */
typedef struct held_block {
    int any, group; /* before which its maximum is not */
    size_t offset, n;
    raw_sum raw;
    /* The sums of the last block that did not become it, s = 0 where there are none: they are deposited one block later. Sum,
     * scale and deposit are one long chain, which would have to end before the next exponentials can begin. */
    raw_sum waiting;
} held_block;

LP_INLINE void held_init(held_block *held)
{
    held->any = 0;
    held->waiting.s = 0;
}

/* deposits what waits */
LP_INLINE void held_flush(row *r, const held_block *held)
{
    if (held->waiting.s != 0) {
        block_sum full = block_scale(&held->waiting);
        row_deposit(r, &full);
    }
}

LP_INLINE void block_wait(row *r, held_block *held, const raw_sum *raw)
{
    held_flush(r, held);
    held->waiting = *raw;
}

/* lanes: each lane's largest element, if they are known, or NULL */
LP_INLINE void block_hold(row *r, held_block *held, size_t offset, size_t n, int32_t first, const raw_sum *raw,
                          const float *lanes)
{
    if (r->id >= 0 && !(raw->m > r->max || (raw->m == r->max && first < r->id))) {
        block_wait(r, held, raw);
        return;
    }
    if (r->id >= 0) {
        row_deposit(r, &r->full);
    }
    r->full = block_scale(raw);
    r->max = raw->m;
    r->id = first;
    held->any = 1;
    held->group = lanes != NULL ? group_of_max(lanes, (int)((n + LP_GROUP - 1) / LP_GROUP), raw->m) : 0;
    held->offset = offset;
    held->n = n;
    held->raw = *raw;
}

static void block_settle_groups(row *r, const held_block *held, const block_groups *g)
{
    size_t at = block_find(g, held->raw.m, held->group);
    r->rest = block_rest(g, at, &held->raw);
    r->id += (int32_t)at;
}

static void block_settle(row *r, const held_block *held, const float *x)
{
    block_groups g;
    block_cut(&g, x, held->n);
    block_settle_groups(r, held, &g);
}
#endif
