/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One read of two rows: the sums of each, as a scan makes them, and what their comparison needs.
 *
 * The quick way takes both rows through the exponentials of core/block.h, block by block, with the same bits in the sums of
 * each row, and adds what depends on both. It gives up where a row is bad, or a block of it at a level beyond 256 that counts, and where
 * the rows are too far apart; the caller then goes the exact way, in double throughout.
 *
 * The largest elements of both rows, which may hold nearly all the mass, are taken again exactly, with the seven elements
 * that share their sum. What is left are many small terms with errors of either sign, or little mass; src/compare.c decides by
 * what the scan kept whether it is so. docs/adr/0014-comparing.md. */
#ifndef LP_CORE_COMPARE_H
#define LP_CORE_COMPARE_H
#include "core/exact.h"
#include "core/terms.h"

/* The blocks with the largest sums of a lane in their whole groups, and these sums: one block more than may hold a row's largest
 * element, or the other's. */
enum { PAIR_PEAKS = 3 };
typedef struct pair_peaks {
    double sum[PAIR_PEAKS];
    size_t offset[PAIR_PEAKS];
    float bound; /* the last of the sums */
} pair_peaks;

/* what a scan of each row keeps besides the row */
typedef struct pair_side {
    bound max;
    held_block held;
    pair_way way; /* of the held block */
    pair_peaks peaks;
} pair_side;

/* the state of a quick comparison */
typedef struct pair_state {
    pair_side p, q;
    pair_way way; /* of ordinary blocks */
    int careful,
        absent; /* the last block was not ordinary, or, but for that, had elements that are -inf. Costs, never bits */
    pair_vectors k;
    pair_floats f;
    double w_unit, v_unit; /* of the sums in f */
    block_groups a, b;
    double most, least, farthest; /* of d, and of |d - shift|: of what `k` does not have */
    float p_far, q_far;           /* the largest logit of blocks left out of the sums */
} pair_state;

static __attribute__((noinline)) void peaks_insert(pair_peaks *peaks, double sum, size_t offset)
{
    for (int i = 0; i < PAIR_PEAKS; i++) {
        if (sum > peaks->sum[i]) {
            const double next = peaks->sum[i];
            const size_t next_offset = peaks->offset[i];
            peaks->sum[i] = sum;
            peaks->offset[i] = offset;
            sum = next;
            offset = next_offset;
        }
    }
    peaks->bound = (float)peaks->sum[PAIR_PEAKS - 1];
}

/* the footing of a block whose elements are ordinary */
static footing footing_narrow(void)
{
    const footing on = {narrow_reference, 0, 1, 0, 1};
    return on;
}

static __attribute__((noinline)) void pair_hold(row *r, pair_side *side, const pair_way *way, size_t offset, size_t n,
                                                const raw_sum *raw)
{
    block_hold(r, &side->held, offset, n, (int32_t)offset, raw, NULL);
    if (side->held.offset == offset) {
        side->way = *way;
    }
}

/* a whole block of ordinary elements; peak: of its lanes */
LP_INLINE void pair_keep(row *r, pair_side *side, const block_groups *g, const pair_way *way, double s, vf peak,
                         size_t offset)
{
    raw_sum raw = {s, 0, __builtin_nanf(""), narrow_reference};
    if (s == 0) {
        return; /* all are -inf */
    }
    bound_update(&side->max, r->max);
    if (peak_reaches(peak, side->max.e)) {
        raw.m = block_max(g);
        pair_hold(r, side, way, offset, LP_BLOCK_SIZE, &raw);
    } else {
        block_wait(r, &side->held, &raw);
    }
    if (peak_exceeds(peak, side->peaks.bound)) {
        peaks_insert(&side->peaks, (double)v_max_lanes(peak), offset);
    }
}

/* The exact sums of up to 256 elements in the unit of exp_terms, which lacks EXP_FACTOR and takes ln 2 for EXP_LN2: e^x
 * comes out as that of x (1 - 2.7e-9). */
static pair_exact pair_elements(const float *a, const float *b, size_t n)
{
    pair_exact all = {0};
    exact_lanes s;
    exact_init(&s);
    exact_sets(&s, a, b, n, 0, 0, 1 - EXP_STRETCH);
    exact_finish(&all, &s, EXACT_LANES);
    return all;
}

/* the same of a lane's eight */
static pair_exact pair_lane(const float *a, const float *b)
{
    pair_exact all = {0};
    exact_lanes s;
    exact_init(&s);
    exact_step(&s, LP_SETS, a, b, 0, 0, 1 - EXP_STRETCH);
    exact_finish(&all, &s, LP_SETS);
    return all;
}

static void pair_add(pair_sums *sums, const pair_exact *e)
{
    const double unit = 1 / EXP_FACTOR;
    sums->w += e->w * unit;
    sums->v += e->v * unit;
    sums->forward += e->forward * unit;
    sums->reverse += e->reverse * unit;
    sums->cross += e->cross * unit;
}

static void pair_subtract(pair_sums *sums, const pair_sums *was)
{
    sums->w -= was->w;
    sums->v -= was->v;
    sums->forward -= was->forward;
    sums->reverse -= was->reverse;
    sums->cross -= was->cross;
}

static void pair_begin(pair_state *st)
{
    const float inf = __builtin_inff();
    memset(&st->p.peaks, 0, sizeof st->p.peaks);
    memset(&st->q.peaks, 0, sizeof st->q.peaks);
    st->p.max.level = st->q.max.level = __builtin_nanf("");
    held_init(&st->p.held);
    held_init(&st->q.held);
    st->way.centre = centre_none;
    st->way.a = st->way.b = footing_narrow();
    st->way.ragged = 0;
    st->careful = st->absent = 0;
    st->k.most = st->k.raw_most = v_set1(-inf);
    st->k.least = st->k.raw_least = v_set1(inf);
    st->most = -__builtin_inf();
    st->least = __builtin_inf();
    st->farthest = 0;
    st->p_far = st->q_far = -inf;
}

static void extremes_join(pair_state *st, double most, double least)
{
    st->most = most > st->most ? most : st->most;
    st->least = least < st->least ? least : st->least;
}

/* takes what the lanes have of the extremes out of them, before the centre moves and at the end */
static void extremes_collect(pair_state *st)
{
    const float inf = __builtin_inff();
    const double most = (double)v_max_lanes(st->k.most), least = (double)v_min_lanes(st->k.least);
    if (most >= least) { /* there are some */
        const double far = most > -least ? most : -least;
        st->farthest = far > st->farthest ? far : st->farthest;
        extremes_join(st, most + st->way.centre.shift, least + st->way.centre.shift);
    }
    st->k.most = v_set1(-inf);
    st->k.least = v_set1(inf);
}

/* ... and of what is -inf in one row alone */
static void extremes_finish(pair_state *st)
{
    extremes_collect(st);
    st->most = v_max_lanes(st->k.raw_most) == __builtin_inff() ? __builtin_inf() : st->most;
    st->least = v_min_lanes(st->k.raw_least) == -__builtin_inff() ? -__builtin_inf() : st->least;
}

enum { PAIR_ALL = PAIR_REVERSE | PAIR_CROSS | PAIR_SPREAD };

/* whether all of a group are -inf, in both rows */
LP_INLINE int group_is_absent(const float *a, const float *b)
{
    const vf absent = v_set1(-__builtin_inff());
    for (size_t i = 0; i < LP_GROUP; i += LP_WIDTH) {
        if ((v_mask_not_le(v_load(a + i), absent) | v_mask_not_le(v_load(b + i), absent)) != 0) {
            return 0; /* seldom far from the first */
        }
    }
    return 1;
}

static void group_clear(pair_floats *f, size_t to)
{
    const size_t size = LP_LANES * sizeof(float);
    memset(f->w.s + to, 0, size);
    memset(f->v.s + to, 0, size);
    memset(f->forward + to, 0, size);
    memset(f->reverse + to, 0, size);
    memset(f->cross + to, 0, size);
}

/* the whole groups of a block; 0 where an element lies outside the window */
LP_INLINE int pair_groups(pair_state *st, const pair_way *way, int groups, int want, int form)
{
    const int ragged = form == PAIR_ABSENT || form == PAIR_RAGGED;
    const float *a = st->a.at[0], *b = st->b.at[0];
    pair_vectors k;
    k.bits = v_bits_zero();
    k.w_peak = k.v_peak = v_set1(0);
    k.most = st->k.most;
    k.least = st->k.least;
    if (ragged) {
        k.raw_most = st->k.raw_most;
        k.raw_least = st->k.raw_least;
        k.low = v_set1(__builtin_inff());
    }
    for (int i = 0; i < groups; i++, a += LP_GROUP, b += LP_GROUP) {
        const size_t to = (size_t)i * LP_LANES;
        if (ragged && group_is_absent(a, b)) {
            group_clear(&st->f, to);
            k.low = v_set1(-__builtin_inff());
        } else {
            pair_group(&st->f, to, a, b, &k, way, want, form);
        }
    }
    st->k.w_peak = k.w_peak;
    st->k.v_peak = k.v_peak;
    st->k.most = k.most;
    st->k.least = k.least;
    if (ragged) {
        st->k.raw_most = k.raw_most;
        st->k.raw_least = k.raw_least;
        st->k.low = k.low;
    }
    return form >= PAIR_EVEN || !v_bits_test(k.bits, NARROW_OUTSIDE);
}

static __attribute__((noinline)) void pair_plain(pair_state *st, int groups)
{
    pair_groups(st, NULL, groups, PAIR_ALL, PAIR_PLAIN);
}

static __attribute__((noinline)) int pair_centred(pair_state *st, int groups)
{
    const pair_way way = st->way;
    return pair_groups(st, &way, groups, PAIR_ALL, PAIR_CENTRED);
}

static __attribute__((noinline)) int pair_absent(pair_state *st)
{
    const int ordinary = pair_groups(st, NULL, LP_GROUPS, PAIR_ALL, PAIR_ABSENT);
    st->absent = v_min_lanes(st->k.low) == -__builtin_inff();
    return ordinary;
}

static __attribute__((noinline)) void pair_even(pair_state *st, const pair_way *in)
{
    const pair_way way = *in;
    pair_groups(st, &way, st->a.whole, PAIR_ALL, PAIR_EVEN);
}

static __attribute__((noinline)) void pair_ragged(pair_state *st, const pair_way *in)
{
    const pair_way way = *in;
    pair_groups(st, &way, st->a.whole, PAIR_ALL, PAIR_RAGGED);
}

/* ln x, give or take 1/256 */
static double rough_log(double x)
{
    const uint64_t bits = double_bits(x), mantissa = (bits & 0xFFFFFFFFFFFFFU) | 0x3FF0000000000000U;
    double y = ((double)((int64_t)(bits >> 52) - 1023) + (bits_double(mantissa) - 1)) * 0x1.62e42fefa39efp-1;
    y += x * exp_double(-y) - 1;
    return y;
}

/* whether logits whose e^x sum up to v are near enough to a level that one last bit of their distance is none of what is promised */
static int level_holds(float level, double v)
{
    const double far = 0x1p46, at = level == 0 ? v : v * exp_double(-(double)level); /* e^32 */
    return at <= far && at >= 1 / far;
}

static inline int shift_holds(const pair_centre *c, double w, double v)
{
    const double near = v * (double)c->ratio;
    return w <= near * 1.25 && w >= near * 0.8;
}

/* Whether the centre is where the rows' sums so far, w and v, are; where one has none it does not matter. */
static inline int centre_holds(const pair_centre *c, double w, double v, int want)
{
    return w == 0 || v == 0 || (shift_holds(c, w, v) && (!(want & PAIR_CROSS) || level_holds(c->level, v)));
}

/* moves what of it is elsewhere; 0 where that is so far away that products with a ratio might overflow */
static __attribute__((noinline)) int centre_move(pair_state *st, double w, double v, int want)
{
    const double most = 64, whole = 0x1.8p52, sixteenths = 0x1.8p48;
    pair_centre *c = &st->way.centre;
    extremes_collect(st);
    if (!shift_holds(c, w, v)) {
        c->shift = (rough_log(w / v) + sixteenths) - sixteenths;
        c->ratio = (float)exp_double(c->shift);
        c->inverse = (float)exp_double(-c->shift);
    }
    if (want & PAIR_CROSS && !level_holds(c->level, v)) {
        c->level = level_holds(0, v) ? 0 : (float)((rough_log(v) + whole) - whole);
    }
    return c->shift <= most && c->shift >= -most;
}

/* Back to no shift, which is quicker, where the rows turn out to be close: a first block of few elements need not be. */
static inline void centre_returns(pair_state *st, double w, double v)
{
    pair_centre *c = &st->way.centre;
    if (c->shift != 0 && w <= v * 1.125 && w >= v * 0.875) {
        extremes_collect(st);
        c->shift = 0;
        c->ratio = c->inverse = 1;
    }
}

/* what the lanes' sums of a row's w and v, and of the terms that are small, say of all sums */
LP_INLINE void pair_terms_add(pair_sums *sums, const pair_centre *centre, double w_unit, double v_unit, double w,
                              double v, double forward, double reverse, double cross)
{
    sums->w += w * w_unit;
    sums->v += v * v_unit;
    sums->forward += (forward + (w - v * (double)centre->ratio) + w * centre->shift) * w_unit;
    sums->reverse += (reverse - (v - w * (double)centre->inverse) + v * centre->shift) * v_unit;
    sums->cross += (cross + w * (double)centre->level) * w_unit;
}

/* ---- blocks with elements that are -inf, or beyond the window ----------------------------------------------------------- */

static void footing_widen(footing *on, float max)
{
    on->ref = wide_reference(max);
    on->unit = bits_double((uint64_t)(on->ref.k + 1023) << 52);
    on->may_widen = 0;
}

/* as block_careful does; 0 where it would need a shift, or where a row is bad */
static int footing_of(footing *on, const extent *all)
{
    *on = footing_narrow();
    if (all->nan || all->max == __builtin_inff() ||
        (all->max != -__builtin_inff() && __builtin_fabsf(all->max) > 256)) {
        return 0;
    }
    on->present = all->max != -__builtin_inff();
    if (!on->present) {
        return 1;
    }
    on->inside = all->max;
    if (extent_is_narrow(all)) {
        on->may_widen = 1;
    } else {
        footing_widen(on, all->max);
    }
    return 1;
}

/* whether the sum shows that the narrow reference does not hold */
static int footing_fails(footing *on, double s, float max)
{
    if (!on->may_widen || narrow_holds(s)) {
        return 0;
    }
    footing_widen(on, max);
    return 1;
}

/* A ratio between units. One that is too small does not matter, and one that is too large only where a row's block has not the level
 * of the row; where a row has none, its unit says nothing, and the other's terms need no company. */
static float ratio_between(double ratio)
{
    const double most = 0x1p126;
    return (float)(ratio > most ? most : ratio < 1 / most ? 0 : ratio);
}

static pair_centre centre_between(const pair_centre *centre, const footing *a, const footing *b)
{
    const double quotient = b->unit / a->unit;
    pair_centre c = *centre;
    c.ratio = a->present ? ratio_between((double)c.ratio * quotient) : 0;
    c.inverse = b->present ? ratio_between((double)c.inverse / quotient) : 0;
    return c;
}

/* whether all elements count, and are ordinary besides */
static int footing_is_plain(const footing *on, const extent *all)
{
    return extent_counts(all, &on->ref) && on->unit == 1 && all->min >= NARROW_LOWEST;
}

/* the whole groups of a block, in the plainest way that what they hold allows */
static void pair_take(pair_state *st, pair_way *way, const extent *a, const extent *b)
{
    way->ragged = !extent_counts(a, &way->a.ref) || !extent_counts(b, &way->b.ref);
    if (way->ragged) {
        pair_ragged(st, way);
    } else if (!footing_is_plain(&way->a, a) || !footing_is_plain(&way->b, b) || way->centre.level != 0) {
        pair_even(st, way);
    } else if (way->centre.shift != 0) {
        pair_centred(st, st->a.whole);
    } else {
        pair_plain(st, st->a.whole);
    }
    st->w_unit = way->a.unit;
    st->v_unit = way->b.unit;
}

/* Rows of f32 lie where the block does; a block that was widened is in a buffer, and what is asked for behind it of no use. */
static origin pair_origin(const block_groups *g)
{
    const origin o = {(const unsigned char *)g->at[0], 64};
    return o;
}

/* what a block holds, and apart from that, what its whole groups do */
static extent extent_of(const block_groups *g, extent *whole)
{
    *whole = groups_extent(g->at, g->whole, LP_GROUP, pair_origin(g), NULL);
    if (g->whole == g->count) {
        return *whole;
    }
    const extent last = groups_extent(g->at + g->whole, 1, LP_GROUP, origin_none(g->padded), NULL);
    const extent all = {whole->max > last.max ? whole->max : last.max, whole->min < last.min ? whole->min : last.min,
                        whole->nan | last.nan, 1};
    return all;
}

/* zeros for the groups that a block has not, up to a power of two, which is returned */
static int pair_pad(pair_floats *f, int groups)
{
    size_t whole = (size_t)groups * LP_LANES, missing = (LP_GROUPS * LP_LANES - whole) * sizeof(float);
    memset(f->forward + whole, 0, missing);
    memset(f->reverse + whole, 0, missing);
    memset(f->cross + whole, 0, missing);
    sums_pad(&f->w, groups);
    return sums_pad(&f->v, groups);
}

/* the sum of a row's exponentials, with those of the last group, if that is not whole */
static double row_total(group_sums *sums, const block_groups *g, const footing *on)
{
    if (g->whole < g->count) {
        group_sums last;
        _Alignas(64) float high[LP_LANES];
        careful_some(&last, high, g->at + g->whole, NULL, 1, &on->ref);
        memcpy(sums->s + (size_t)g->whole * LP_LANES, last.s, LP_LANES * sizeof(float));
    }
    return v_sum_groups(sums->s, sums_pad(sums, g->count));
}

static void pair_keep_careful(row *r, pair_side *side, const pair_way *way, const footing *on, double s, vf peak,
                              size_t offset, size_t n)
{
    if (s == 0) {
        return; /* all are -inf */
    }
    raw_sum raw = {s, 0, on->inside, on->ref};
    pair_hold(r, side, way, offset, n, &raw);
    const double most = (double)v_max_lanes(peak) * on->unit;
    if (most > side->peaks.sum[PAIR_PEAKS - 1]) {
        peaks_insert(&side->peaks, most, offset);
    }
}

/* What logits have that stand for none, in padding or under a mask: -10,000, or the lowest float. Where a row has them in place of -inf a
 * block of nothing else is common. e^x of what lies FAR_BELOW its row's largest element is lost in every sum of it, as is any float
 * times that: if both rows' are so, only the extremes of a - b are left. It shows at the end whether they are. */
enum { FAR_LEVEL = -256, FAR_BELOW = 512 };

static int far_is_likely(const extent *all)
{
    return !all->nan && all->max < FAR_LEVEL;
}

static __attribute__((noinline)) void pair_far(pair_state *st, const extent *a, const extent *b)
{
    const pair_way way = st->way;
    pair_vectors k = st->k;
    for (int g = 0; g < st->a.count; g++) {
        for (size_t i = 0; i < LP_GROUP; i += LP_WIDTH) {
            pair_difference(v_load(st->a.at[g] + i), v_load(st->b.at[g] + i), &way, &k, PAIR_ALL, PAIR_RAGGED);
        }
    }
    st->k = k;
    st->p_far = a->max > st->p_far ? a->max : st->p_far;
    st->q_far = b->max > st->q_far ? b->max : st->q_far;
    st->careful = 1;
}

static int far_was_right(const row *r, float far)
{
    return far <= r->max - FAR_BELOW;
}

/* Any block, which is cut already: the same sums as the exact way would have them for each row, with what is dropped there. 0 where
 * a row is bad, or its level beyond 256. The last group of a row, where it is not whole, is taken exactly. */
static __attribute__((noinline)) int pair_careful(pair_scan *job, pair_state *st, size_t offset, size_t n)
{
    extent a_whole, b_whole;
    const extent a = extent_of(&st->a, &a_whole), b = extent_of(&st->b, &b_whole);
    pair_way way;
    if (far_is_likely(&a) && far_is_likely(&b)) {
        pair_far(st, &a, &b);
        return 1;
    }
    if (!footing_of(&way.a, &a) || !footing_of(&way.b, &b)) {
        return 0;
    }
    const vf most = st->k.most, least = st->k.least;
    double w, v, w_all, v_all;
    int groups, again, moved = 0;
    do {
        way.centre = centre_between(&st->way.centre, &way.a, &way.b);
        pair_take(st, &way, &a_whole, &b_whole);
        w_all = row_total(&st->f.w, &st->a, &way.a);
        v_all = row_total(&st->f.v, &st->b, &way.b);
        groups = pair_pad(&st->f, st->a.whole);
        w = v_sum_groups(st->f.w.s, groups);
        v = v_sum_groups(st->f.v.s, groups);
        again = footing_fails(&way.a, w_all, a.max) | footing_fails(&way.b, v_all, b.max);
        const double w_so_far = job->sums.w + w * way.a.unit, v_so_far = job->sums.v + v * way.b.unit;
        if (!again && !moved && !centre_holds(&st->way.centre, w_so_far, v_so_far, job->want)) {
            again = moved = 1;
            st->k.most = most;
            st->k.least = least;
            if (!centre_move(st, w_so_far, v_so_far, job->want)) {
                return 0;
            }
        }
    } while (again);
    pair_terms_add(&job->sums, &way.centre, way.a.unit, way.b.unit, w, v, v_sum_groups(st->f.forward, groups),
                   v_sum_groups(st->f.reverse, groups), v_sum_groups(st->f.cross, groups));
    if (st->a.whole < st->a.count) {
        const pair_exact e = pair_elements(st->a.padded, st->b.padded, st->a.rest);
        pair_add(&job->sums, &e);
        extremes_join(st, e.most, e.least);
    }
    pair_keep_careful(&job->p, &st->p, &way, &way.a, w_all, st->k.w_peak, offset, n);
    pair_keep_careful(&job->q, &st->q, &way, &way.b, v_all, st->k.v_peak, offset, n);
    centre_returns(st, job->sums.w, job->sums.v);
    st->absent = a.absent || b.absent;
    st->careful = a.min < NARROW_LOWEST || b.min < NARROW_LOWEST || way.a.unit != 1 || way.b.unit != 1 ||
                  st->way.centre.level != 0 || (st->way.centre.shift != 0 && st->absent);
    return 1;
}

/* ---- blocks of ordinary elements ---------------------------------------------------------------------------------------- */

/* A whole block in one of the ways for ordinary elements, and the sums of its e^x; 0 where it has others. */
LP_INLINE int ordinary_block(pair_state *st, double *w, double *v, int want)
{
    const int moved =
        st->way.centre.shift != 0; /* the level has not, or the block before would have been taken carefully */
    const vf most = st->k.most, least = st->k.least;
    int fits = 0;
    if (st->careful || floats_are_wide(st->a.at[0]) || floats_are_wide(st->b.at[0])) {
        return 0;
    }
    if (moved || !st->absent) {
        fits = moved ? pair_centred(st, LP_GROUPS) : pair_groups(st, NULL, LP_GROUPS, want, PAIR_PLAIN);
    }
    if (!fits && !moved) {
        st->k.most = most;
        st->k.least = least;
        fits = pair_absent(st);
    }
    if (fits) {
        *w = v_sum_block(st->f.w.s, 0);
        *v = v_sum_block(st->f.v.s, 0);
        fits = (narrow_holds(*w) || *w == 0) && (narrow_holds(*v) || *v == 0);
    }
    return fits;
}

/* One whole block of both rows; 0 where the quick way ends. */
LP_INLINE int pair_block(pair_scan *job, pair_state *st, const float *a, const float *b, size_t offset, int want)
{
    const vf most = st->k.most, least = st->k.least;
    double w, v;
    block_cut(&st->a, a, LP_BLOCK_SIZE);
    block_cut(&st->b, b, LP_BLOCK_SIZE);
    if (!ordinary_block(st, &w, &v, want)) {
        st->k.most = most;
        st->k.least = least;
        return pair_careful(job, st, offset, LP_BLOCK_SIZE);
    }
    const double w_so_far = job->sums.w + w, v_so_far = job->sums.v + v;
    if (!centre_holds(&st->way.centre, w_so_far, v_so_far, job->want)) {
        st->k.most = most;
        st->k.least = least;
        if (!centre_move(st, w_so_far, v_so_far, job->want)) {
            return 0;
        }
        if (st->absent || st->way.centre.level != 0) {
            return pair_careful(job, st, offset, LP_BLOCK_SIZE);
        }
        pair_centred(st, LP_GROUPS);
    }
    st->w_unit = st->v_unit = 1;
    pair_terms_add(&job->sums, &st->way.centre, 1, 1, w, v, v_sum_groups(st->f.forward, LP_GROUPS),
                   want & PAIR_REVERSE ? v_sum_groups(st->f.reverse, LP_GROUPS) : 0,
                   want & PAIR_CROSS ? v_sum_groups(st->f.cross, LP_GROUPS) : 0);
    st->way.ragged = st->absent; /* which of a block that is not taken so is 0 */
    pair_keep(&job->p, &st->p, &st->a, &st->way, w, st->k.w_peak, offset);
    pair_keep(&job->q, &st->q, &st->b, &st->way, v, st->k.v_peak, offset);
    centre_returns(st, job->sums.w, job->sums.v);
    return 1;
}

/* the lanes of one register's width of a group, as they were added */
LP_INLINE void column_again(pair_floats *f, const float *a, const float *b, const pair_way *way, int c, int form)
{
    pair_vectors k;
    pair_terms e;
    k.bits = v_bits_zero();
    k.w_peak = k.v_peak = k.most = k.least = k.raw_most = k.raw_least = v_set1(0);
    if (PAIR_SPLIT) {
        pair_column_terms(e.w, a, c, &way->a, form);
        pair_column_terms(e.v, b, c, &way->b, form);
    }
    pair_column(f, 0, a, b, &e, c, &k, way, PAIR_ALL, form);
}

static __attribute__((noinline)) void column_even(pair_floats *f, const float *a, const float *b, const pair_way *way,
                                                  int c)
{
    column_again(f, a, b, way, c, PAIR_EVEN);
}

static __attribute__((noinline)) void column_ragged(pair_floats *f, const float *a, const float *b, const pair_way *way,
                                                    int c)
{
    column_again(f, a, b, way, c, PAIR_RAGGED);
}

/* The sums of the eight elements that share a lane with element id, which is among the largest: exact instead of what was
 * added. */
static void pair_refine(pair_scan *job, const source *p, const source *q, size_t n, size_t id, const pair_way *way,
                        pair_sums *taken)
{
    _Alignas(64) float buffer[2][LP_GROUP];
    size_t group = id / LP_GROUP * LP_GROUP, lane = id % LP_LANES;
    if (group + LP_GROUP > n) {
        return; /* is exact already */
    }
    const float *a = block_at(p, group, LP_GROUP, buffer[0]), *b = block_at(q, group, LP_GROUP, buffer[1]);
    pair_floats f;
    float x[LP_SETS], y[LP_SETS];
    (way->ragged ? column_ragged : column_even)(&f, a, b, way, (int)(lane / LP_WIDTH));
    for (size_t i = 0; i < LP_SETS; i++) {
        memcpy(x + i, a + i * LP_LANES + lane, sizeof *x);
        memcpy(y + i, b + i * LP_LANES + lane, sizeof *y);
    }
    const pair_exact e = pair_lane(x, y);
    pair_add(&job->sums, &e);
    pair_add(taken, &e);
    pair_sums was = {0, 0, 0, 0, 0};
    pair_terms_add(&was, &way->centre, way->a.unit, way->b.unit, (double)f.w.s[lane], (double)f.v.s[lane],
                   (double)f.forward[lane], (double)f.reverse[lane], (double)f.cross[lane]);
    pair_subtract(&job->sums, &was);
}

/* ---- what may lie in few elements --------------------------------------------------------------------------------------- */

static inline double greater(double a, double b)
{
    return a > b ? a : b;
}

static inline double lesser(double a, double b)
{
    return a < b ? a : b;
}

/* the largest sum of a lane outside two blocks */
static double peaks_outside(const pair_peaks *peaks, const size_t block[2])
{
    double most = 0;
    for (int i = 0; i < PAIR_PEAKS; i++) {
        const int outside = peaks->offset[i] != block[0] && peaks->offset[i] != block[1];
        most = outside ? greater(most, peaks->sum[i]) : most;
    }
    return most;
}

/* that of a block, or a bound on it */
static double peaks_of(const pair_peaks *peaks, size_t offset)
{
    double sum = peaks->sum[PAIR_PEAKS - 1];
    for (int i = 0; i < PAIR_PEAKS; i++) {
        sum = peaks->offset[i] == offset ? greater(sum, peaks->sum[i]) : sum;
    }
    return sum;
}

/* the largest of the lanes of n whole groups, but for those of elements that lie at `top` in the block, if they do */
static double lanes_rest(float *sums, double unit, size_t n, size_t offset, const size_t top[2])
{
    vf most = v_set1(0);
    for (int t = 0; t < 2; t++) {
        if (top[t] - offset < n * LP_GROUP) {
            sums[(top[t] - offset) / LP_GROUP * LP_LANES + top[t] % LP_LANES] = 0;
        }
    }
    for (size_t i = 0; i < n * LP_LANES; i += LP_WIDTH) {
        most = v_max(most, v_load(sums + i));
    }
    return (double)v_max_lanes(most) * unit;
}

/* Whether shares as large as these, of sums, are small enough for one of the divergences, that of the row `own` to the other
 * (src/compare.c), with room for roughness. */
static int shares_do(double divergence, double own, double other)
{
    const double most = divergence < QUICK_KL - 0.1 ? QUICK_MOST : QUICK_MOST_VARIED;
    return pair_weight(divergence, own, other) <= most - 0.05;
}

/* the lanes' sums of a block that was taken before */
static void pair_look(pair_state *st, const float *a, const float *b, size_t n)
{
    extent a_whole, b_whole;
    pair_way way;
    block_cut(&st->a, a, n);
    block_cut(&st->b, b, n);
    const extent a_all = extent_of(&st->a, &a_whole), b_all = extent_of(&st->b, &b_whole);
    footing_of(&way.a, &a_all);
    footing_of(&way.b, &b_all);
    way.centre = centre_between(&st->way.centre, &way.a, &way.b);
    pair_take(st, &way, &a_whole, &b_whole);
}

/* of each row, the most that is in a lane, without those that were taken exactly; most: outside of the two blocks */
static pair_share lanes_share(pair_state *st, const source *p, const source *q, size_t n, const size_t top[2],
                              const size_t block[2], pair_share most, float buffer[2][LP_BLOCK_SIZE])
{
    const size_t last = (n - 1) / LP_BLOCK_SIZE * LP_BLOCK_SIZE;
    for (int t = 0; t < (block[0] == block[1] ? 1 : 2); t++) {
        const size_t size = n - block[t] < LP_BLOCK_SIZE ? n - block[t] : LP_BLOCK_SIZE, groups = size / LP_GROUP;
        if (t != 0 || block[0] != last) { /* those of the last one are there still */
            pair_look(st, block_at(p, block[t], size, buffer[0]), block_at(q, block[t], size, buffer[1]), size);
        }
        most.w = greater(most.w, lanes_rest(st->f.w.s, st->w_unit, groups, block[t], top));
        most.v = greater(most.v, lanes_rest(st->f.v.s, st->v_unit, groups, block[t], top));
    }
    return most;
}

/* What may lie in few elements. In the blocks of those that were taken exactly it is not known: it is no more than with them, nor than
 * what they left of all. Where that does not do, and only there, all lanes are looked at once more: for each divergence apart, so that
 * its bits do not depend on whether the other is wanted. */
static void pair_shares(pair_scan *job, pair_state *st, const source *p, const source *q, size_t n, const size_t top[2],
                        const pair_sums *taken, float buffer[2][LP_BLOCK_SIZE])
{
    const size_t block[2] = {top[0] / LP_BLOCK_SIZE * LP_BLOCK_SIZE, top[1] / LP_BLOCK_SIZE * LP_BLOCK_SIZE};
    const pair_sums *sums = &job->sums;
    const double shift = rough_log(sums->v / sums->w);
    const pair_share left = {sums->w - taken->w, sums->v - taken->v};
    const pair_share outside = {peaks_outside(&st->p.peaks, block), peaks_outside(&st->q.peaks, block)};
    pair_share most = outside;
    for (int t = 0; t < 2; t++) {
        most.w = greater(most.w, lesser(peaks_of(&st->p.peaks, block[t]), left.w));
        most.v = greater(most.v, lesser(peaks_of(&st->q.peaks, block[t]), left.v));
    }
    job->left = left;
    job->forward_share = job->reverse_share = most;
    const double w = most.w / sums->w, v = most.v / sums->v;
    const int forward_does = shares_do(sums->forward / sums->w + shift, w, v);
    const int reverse_does = !(job->want & PAIR_REVERSE) || shares_do(-sums->reverse / sums->v - shift, v, w);
    if (!forward_does || !reverse_does) {
        most = lanes_share(st, p, q, n, top, block, outside, buffer);
        job->forward_share = forward_does ? job->forward_share : most;
        job->reverse_share = reverse_does ? job->reverse_share : most;
    }
}

/* how many of the elements at x and of those 32 further on reach the level, both of a pair, and how many pairs of these are equal */
LP_INLINE void pairs_count(const float *x, float level, size_t *pairs, size_t *equal)
{
    const vf l = v_set1(level);
    LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
    {
        const vf one = v_load(x + c * LP_WIDTH), next = v_load(x + LP_LANES + c * LP_WIDTH);
        const uint32_t both = v_mask_ge(one, l) & v_mask_ge(next, l);
        *pairs += (size_t)__builtin_popcount(both);
        *equal += (size_t)__builtin_popcount(both & v_mask_ge(one, next) & v_mask_ge(next, one));
    }
}

/* Whether the elements from a level up have many different values: neighbours in a lane are seldom equal. Of a long row, some blocks
 * are looked at. */
static int values_vary(const source *from, size_t n, float level)
{
    enum { ENOUGH = 128, SELDOM = 16, BLOCKS = 16 };
    const size_t step = (n / LP_BLOCK_SIZE / BLOCKS + 1) * LP_BLOCK_SIZE;
    _Alignas(64) float buffer[LP_BLOCK_SIZE];
    size_t pairs = 0, equal = 0;
    for (size_t i = 0; i + LP_GROUP <= n; i += step) {
        const size_t size = (n - i < LP_BLOCK_SIZE ? n - i : LP_BLOCK_SIZE) / LP_GROUP * LP_GROUP;
        const float *x = block_at(from, i, size, buffer);
        for (size_t j = 0; j + LP_LANES < size; j += LP_LANES) {
            pairs_count(x + j, level, &pairs, &equal);
        }
    }
    return pairs >= ENOUGH && equal * SELDOM <= pairs;
}

/* finds the maximum of the block that has it, and what the block has without it */
static void pair_settle(row *r, const held_block *held, block_groups *g, const float *x)
{
    held_flush(r, held);
    block_cut(g, x, held->n);
    block_settle_groups(r, held, g);
}

LP_INLINE int pair_blocks(pair_scan *job, const source *p, const source *q, size_t n, int want)
{
    _Alignas(64) float buffer[2][LP_BLOCK_SIZE];
    pair_state st;
    size_t i = 0;
    pair_begin(&st);
    for (; i + LP_BLOCK_SIZE <= n; i += LP_BLOCK_SIZE) {
        const float *a = block_at(p, i, LP_BLOCK_SIZE, buffer[0]), *b = block_at(q, i, LP_BLOCK_SIZE, buffer[1]);
        if (!pair_block(job, &st, a, b, i, want)) {
            return 0;
        }
    }
    if (i < n) {
        block_cut(&st.a, block_at(p, i, n - i, buffer[0]), n - i);
        block_cut(&st.b, block_at(q, i, n - i, buffer[1]), n - i);
        if (!pair_careful(job, &st, i, n - i)) {
            return 0;
        }
    }
    if (!st.p.held.any || !st.q.held.any) {
        return 0; /* a row of -inf alone */
    }
    if (!far_was_right(&job->p, st.p_far) || !far_was_right(&job->q, st.q_far)) {
        return 0;
    }
    pair_settle(&job->p, &st.p.held, &st.a, block_at(p, st.p.held.offset, st.p.held.n, buffer[0]));
    pair_settle(&job->q, &st.q.held, &st.b, block_at(q, st.q.held.offset, st.q.held.n, buffer[1]));
    const size_t top[2] = {(size_t)job->p.id, (size_t)job->q.id};
    pair_sums taken = {0, 0, 0, 0, 0};
    pair_refine(job, p, q, n, top[0], &st.p.way, &taken);
    if (top[0] / LP_GROUP != top[1] / LP_GROUP || top[0] % LP_LANES != top[1] % LP_LANES) {
        pair_refine(job, p, q, n, top[1], &st.q.way, &taken);
    }
    extremes_finish(&st);
    pair_shares(job, &st, p, q, n, top, &taken, buffer);
    job->most = st.most;
    job->least = st.least;
    job->farthest = st.farthest;
    return 1;
}

/* functions of their own, so that a call has the stack of one */
static __attribute__((noinline)) int pair_blocks_kl(pair_scan *job, const source *p, const source *q, size_t n)
{
    return pair_blocks(job, p, q, n, 0);
}

static __attribute__((noinline)) int pair_blocks_both(pair_scan *job, const source *p, const source *q, size_t n)
{
    return pair_blocks(job, p, q, n, PAIR_REVERSE);
}

static __attribute__((noinline)) int pair_blocks_all(pair_scan *job, const source *p, const source *q, size_t n)
{
    return pair_blocks(job, p, q, n, PAIR_ALL);
}

/* job: zeros but for `want`, and the rows initialised; n > 0. 0 where a row is bad, or where they are so far apart, or from 0, that
 * floats do not do. */
static int compare_quick(pair_scan *job, const source *p, const source *q, size_t n)
{
    return (job->want == 0              ? pair_blocks_kl
            : job->want == PAIR_REVERSE ? pair_blocks_both
                                        : pair_blocks_all)(job, p, q, n);
}
#endif
