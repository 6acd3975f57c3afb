/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One read of two rows: the sums of each, as a scan makes them, and what their comparison needs.
 *
 * The quick way takes both rows through the fast path of core/block.h, block by block, with the same bits in the sums of
 * each row, and adds what depends on both. It gives up where a block of either row is not ordinary, and the caller then
 * goes the exact way, in double throughout.
 *
 * Errors of the quick way, in units of 2^-24, of the terms w d + u of one element, w = e^a, v = e^b, d = a - b less the rows'
 * common difference, u = v - w, v brought to w's level:
 *   w and v              1.4 each (core/block.h)                      1.4 (w |d - kl| + w + v)
 *   d                    1, of |d|                                    w |d|
 *   u                    of two elements, as the difference of their sums: an addition each, one subtraction; then one more addition
 *   four fma, 1 addition 5, of the partial sums
 * The largest elements of both rows, which may hold nearly all the mass, are taken again exactly, with the seven elements
 * that share their sum. What is left are many small terms with errors of either sign, or little mass; src/compare.c decides by
 * what the scan kept whether it is so. docs/adr/0014-comparing.md. */
#ifndef LP_CORE_COMPARE_H
#define LP_CORE_COMPARE_H
#include "core/scan.h"

/* ---- e^x in double ------------------------------------------------------------------------------------------------ */

/* e^x for x in [-708, 709]: relative error 4e-16. 2^n from the low bits of n + 1.5 * 2^52; a Taylor polynomial whose next
 * term is 2e-16 at ln 2 / 2. No branches, so that compilers make vectors of it. */
LP_INLINE double exp_double(double x)
{
    const double magic = 0x1.8p52;
    double t = x * 0x1.71547652b82fep+0 + magic, n = t - magic;
    double r = (x - n * 0x1.62e42fefa0000p-1) - n * 0x1.cf79abc9e3b3ap-40;
    double r2 = r * r, r4 = r2 * r2;
    double p0 = 1 + r, p1 = 0x1p-1 + r * 0x1.5555555555555p-3, p2 = 0x1.5555555555555p-5 + r * 0x1.1111111111111p-7;
    double p3 = 0x1.6c16c16c16c17p-10 + r * 0x1.a01a01a01a01ap-13,
           p4 = 0x1.a01a01a01a01ap-16 + r * 0x1.71de3a556c734p-19;
    double p5 = 0x1.27e4fb7789f5cp-22 + r * 0x1.ae64567f544e4p-26, p6 = 0x1.1eed8eff8d898p-29;
    double e = (p0 + r2 * p1) + r4 * ((p2 + r2 * p3) + r4 * ((p4 + r2 * p5) + r4 * p6));
    return bits_double(double_bits(e) + (double_bits(t) << 52));
}

/* ---- the exact way ------------------------------------------------------------------------------------------------ */
enum { EXACT_LANES = 16 };

/* how many elements ahead of those at work to prefetch, of each row, into the first-level cache */
enum { PAIR_PREFETCH = 2560 };
typedef struct exact_lanes {
    double w[EXACT_LANES], v[EXACT_LANES], forward[EXACT_LANES], reverse[EXACT_LANES], cross[EXACT_LANES];
    double most[EXACT_LANES], fall[EXACT_LANES]; /* of d and of -d */
} exact_lanes;

/* a where a > b, else b: on bits, for a comparison of doubles may become a branch, and the loop around it then no vectors */
LP_INLINE double larger(double a, double b)
{
    uint64_t take = -(uint64_t)(a > b);
    return bits_double((double_bits(a) & take) | (double_bits(b) & ~take));
}

/* e^x, which below -708 is as good as 0 */
LP_INLINE double mass_of(double x)
{
    const double lowest = -708;
    return bits_double(double_bits(exp_double(larger(x, lowest))) & -(uint64_t)(x > lowest));
}

/* One element of each lane. True differences end at 1.4e39: where one of the two is -inf d counts as 1e40, which the sums can
 * bear, and the extremes show what the results are. Where both are, the difference is NaN, which is no extreme.
 * a - a_max is exact near the maximum, where the mass is, whatever lies between the rows. For the extremes a - b comes first,
 * which is exact where the rows are alike, whatever lies between the element and the maximum (a mask of -1e30, say), but
 * where the maxima are so far apart that it would lose bits of near ones. */
LP_INLINE void exact_step(exact_lanes *s, const float *at_a, const float *at_b, double a_max, double b_max,
                          double scale)
{
    const double far = 1e40, shift = a_max - b_max;
    float a[EXACT_LANES], b[EXACT_LANES]; /* rows may lie at any byte */
    memcpy(a, at_a, sizeof a);
    memcpy(b, at_b, sizeof b);
    const int apart = shift > 0x1p20 || shift < -0x1p20;
    const double a_from = apart ? a_max : 0, b_from = apart ? b_max : 0, then = apart ? 0 : shift;
    for (int l = 0; l < EXACT_LANES; l++) {
        double x = (double)a[l] - a_max, y = (double)b[l] - b_max;
        double difference = (((double)a[l] - a_from) - ((double)b[l] - b_from)) - then;
        double w = mass_of(x * scale), v = mass_of(y * scale);
        x = larger(x, -far);
        y = larger(y, -far);
        s->w[l] += w;
        s->v[l] += v;
        s->forward[l] += w * (x - y);
        s->reverse[l] += v * (x - y);
        s->cross[l] += w * y;
        s->most[l] = larger(difference, s->most[l]);
        s->fall[l] = larger(-difference, s->fall[l]);
    }
}

static double lanes_total(const double *lane)
{
    double sum[EXACT_LANES];
    memcpy(sum, lane, sizeof sum);
    for (int apart = EXACT_LANES / 2; apart > 0; apart /= 2) {
        for (int l = 0; l < apart; l++) {
            sum[l] += sum[l + apart];
        }
    }
    return sum[0];
}

/* whether any of the 32 elements at x is above -inf */
LP_INLINE int set_present(const float *x)
{
    return set_mask(x, -__builtin_inff(), 1) != 0;
}

static void exact_block(exact_lanes *s, const float *a, const float *b, size_t n, double a_max, double b_max,
                        double scale)
{
    _Alignas(64) float last[2][LP_LANES];
    for (size_t i = 0; i < n; i += LP_LANES) {
        const float *at_a = a + i, *at_b = b + i;
        if (n - i < LP_LANES) {
            for (int l = 0; l < LP_LANES; l++) {
                last[0][l] = last[1][l] = -__builtin_inff();
            }
            memcpy(last[0], at_a, (n - i) * sizeof *a);
            memcpy(last[1], at_b, (n - i) * sizeof *b);
            at_a = last[0];
            at_b = last[1];
        }
        if (set_present(at_a) || set_present(at_b)) {
            for (int l = 0; l < LP_LANES; l += EXACT_LANES) {
                exact_step(s, at_a + l, at_b + l, a_max, b_max, scale);
            }
        }
    }
}

static void exact_init(exact_lanes *s)
{
    memset(s, 0, sizeof *s);
    for (int l = 0; l < EXACT_LANES; l++) {
        s->most[l] = s->fall[l] = -__builtin_inf();
    }
}

static void exact_finish(pair_exact *job, const exact_lanes *s)
{
    job->w = lanes_total(s->w);
    job->v = lanes_total(s->v);
    job->forward = lanes_total(s->forward);
    job->reverse = lanes_total(s->reverse);
    job->cross = lanes_total(s->cross);
    double most = s->most[0], fall = s->fall[0];
    for (int l = 1; l < EXACT_LANES; l++) {
        most = larger(s->most[l], most);
        fall = larger(s->fall[l], fall);
    }
    job->most = most;
    job->least = -fall;
}

/* two rows that both have mass, and no NaN or +inf */
static void compare_exact(pair_exact *job, const source *p, const source *q, size_t n)
{
    _Alignas(64) float buffer[2][LP_BLOCK_SIZE];
    exact_lanes s;
    exact_init(&s);
    for (size_t i = 0; i < n; i += LP_BLOCK_SIZE) {
        size_t size = n - i < LP_BLOCK_SIZE ? n - i : LP_BLOCK_SIZE;
        exact_block(&s, block_at(p, i, size, buffer[0]), block_at(q, i, size, buffer[1]), size, job->a_max, job->b_max,
                    1);
    }
    exact_finish(job, &s);
}

/* ---- the quick way ------------------------------------------------------------------------------------------------ */

/* sums of one group each, or of the groups of a block */
typedef struct pair_floats {
    group_sums w, v;
    _Alignas(64) float forward[LP_GROUPS * LP_LANES];
    float reverse[LP_GROUPS * LP_LANES];
    float cross[LP_GROUPS * LP_LANES];
} pair_floats;

/* What brings two rows together whose logits differ by more than a little on average, as those of different models do: a - b, which
 * is near `shift` then, is taken as (a - b) - shift, and v counts `ratio` times. Any values give the results; good ones give small
 * terms. */
typedef struct pair_centre {
    double shift;         /* a float; 0: nothing is subtracted, and both ratios are 1 */
    float ratio, inverse; /* e^shift, e^-shift, or nearly */
} pair_centre;

/* (a - b) - shift, rounded once where a - b is near shift */
LP_INLINE vf shifted_difference(vf a, vf b, vf shift)
{
    const vf d = v_sub(a, b), back = v_sub(d, a);                    /* -b, nearly */
    const vf lost = v_sub(v_sub(a, v_sub(d, back)), v_add(b, back)); /* what d lacks: exactly (Knuth 1969) */
    return v_add(v_sub(d, shift), lost);
}

/* what is kept in registers over the groups of a block */
typedef struct pair_vectors {
    vu bits;
    vf w_peak, v_peak, most, least;
} pair_vectors;

/* Where there are sixteen registers, compilers spill what the exponentials of two rows and the sums of both need at once: then
 * the exponentials of a group go through the first-level cache. */
enum { PAIR_SPLIT = LP_WIDTH == 8 };

typedef struct pair_terms {
    _Alignas(64) float w[LP_GROUP];
    float v[LP_GROUP];
} pair_terms;

LP_INLINE vf pair_exp(vf x, vf *t, int all)
{
    return all ? exp_terms(x, v_set1(EXP_MAGIC), t) : exp_narrow(x, t);
}

LP_INLINE void pair_exp_two(const vf x[2], vf magic, vf e[2], vu *bits, int all)
{
    if (all) {
        vf t[2];
        e[0] = exp_terms(x[0], magic, &t[0]);
        e[1] = exp_terms(x[1], magic, &t[1]);
        *bits = v_bits_or(*bits, t[0], t[1]);
    } else {
        exp_narrow_two(x, magic, e, bits);
    }
}

/* e^x of one group of one row; only where it is split */
LP_INLINE void pair_row_terms(float *e, const float *x, vu *bits, int all)
{
    vf magic = v_set1(EXP_MAGIC);
    LP_FINISH(magic);
    for (size_t i = 0; i < LP_GROUP; i += (size_t)4 * LP_WIDTH) {
        LP_UNROLL for (size_t c = 0; c < 4; c += 2)
        {
            const float *at = x + i + c * LP_WIDTH;
            vf two[2] = {v_load(at), v_load(at + LP_WIDTH)}, e2[2];
            LP_LOADED(two[0]);
            LP_LOADED(two[1]);
            v_prefetch(at + PAIR_PREFETCH); /* two vectors are a cache line */
            pair_exp_two(two, magic, e2, bits, all);
            v_store(e + i + c * LP_WIDTH, e2[0]);
            v_store(e + i + (c + 1) * LP_WIDTH, e2[1]);
        }
    }
}

/* Column c of one group of both rows. w and v are added as group_fast adds them. */
LP_INLINE void pair_column(pair_floats *f, size_t to, const float *a, const float *b, const pair_terms *e, int c,
                           pair_vectors *k, const pair_centre *centre, int want, int all)
{
    vf w4[2], v4[2], forward[2], reverse[2], cross[2];
    LP_UNROLL for (int h = 0; h < 2; h++)
    {
        const size_t start = (size_t)(4 * h * LP_LANES + c * LP_WIDTH);
        vf w[4], v[4], ta, tb;
        LP_UNROLL for (size_t j = 0; j < 4; j++)
        {
            const size_t at = start + j * LP_LANES;
            if (PAIR_SPLIT) {
                w[j] = v_load(e->w + at);
                v[j] = v_load(e->v + at);
            } else {
                v_prefetch(a + at + PAIR_PREFETCH);
                v_prefetch(b + at + PAIR_PREFETCH);
                w[j] = pair_exp(v_load(a + at), &ta, all);
                v[j] = pair_exp(v_load(b + at), &tb, all);
                k->bits = v_bits_or(k->bits, ta, tb);
            }
        }
        const vf w2[2] = {v_add(w[0], w[1]), v_add(w[2], w[3])}, v2[2] = {v_add(v[0], v[1]), v_add(v[2], v[3])};
        w4[h] = v_add(w2[0], w2[1]);
        v4[h] = v_add(v2[0], v2[1]);
        if (centre == NULL) {
            forward[h] = reverse[h] = v_add(v_sub(v2[0], w2[0]), v_sub(v2[1], w2[1]));
        } else {
            const vf ratio = v_set1(centre->ratio), inverse = v_set1(centre->inverse), none = v_set1(0);
            forward[h] = v_add(v_fma(v2[0], ratio, v_sub(none, w2[0])), v_fma(v2[1], ratio, v_sub(none, w2[1])));
            reverse[h] = v_add(v_fnma(w2[0], inverse, v2[0]), v_fnma(w2[1], inverse, v2[1]));
        }
        LP_UNROLL for (size_t j = 0; j < 4; j++)
        {
            const vf x = v_load(a + start + j * LP_LANES), y = v_load(b + start + j * LP_LANES);
            const vf d = centre == NULL ? v_sub(x, y) : shifted_difference(x, y, v_set1((float)centre->shift));
            if (want & PAIR_SPREAD) {
                k->most = v_max(k->most, d);
                k->least = v_min(k->least, d);
            }
            forward[h] = v_fma(w[j], d, forward[h]);
            if (want & PAIR_REVERSE) {
                reverse[h] = v_fma(v[j], d, reverse[h]);
            }
            if (want & PAIR_CROSS) {
                cross[h] = j == 0 ? v_mul(w[j], y) : v_fma(w[j], y, cross[h]);
            }
        }
    }
    vf sum_w = v_add(w4[0], w4[1]), sum_v = v_add(v4[0], v4[1]);
    k->w_peak = v_max(k->w_peak, sum_w);
    k->v_peak = v_max(k->v_peak, sum_v);
    v_store(f->w.s + to + c * LP_WIDTH, sum_w);
    v_store(f->v.s + to + c * LP_WIDTH, sum_v);
    v_store(f->forward + to + c * LP_WIDTH, v_add(forward[0], forward[1]));
    if (want & PAIR_REVERSE) {
        v_store(f->reverse + to + c * LP_WIDTH, v_add(reverse[0], reverse[1]));
    }
    if (want & PAIR_CROSS) {
        v_store(f->cross + to + c * LP_WIDTH, v_add(cross[0], cross[1]));
    }
}

/* One group of both rows; centre: NULL where that is of 0. The window of exp_narrow differs between ISAs, so where it does not hold
 * the group is taken again through that of exp_terms, which all share: `all` is set then. */
LP_INLINE void pair_group(pair_floats *f, size_t to, const float *a, const float *b, pair_vectors *k,
                          const pair_centre *centre, int want, int all)
{
    pair_terms e;
    if (PAIR_SPLIT) {
        pair_row_terms(e.w, a, &k->bits, all);
        pair_row_terms(e.v, b, &k->bits, all);
    }
    if (LP_COLUMNS > 2) { /* flat, the registers would not do */
        _Pragma("GCC unroll 1") for (int c = 0; c < LP_COLUMNS; c++)
        {
            pair_column(f, to, a, b, &e, c, k, centre, want, all);
        }
    } else {
        LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
        {
            pair_column(f, to, a, b, &e, c, k, centre, want, all);
        }
    }
}

/* The blocks with the largest sums of a lane in their whole groups, and these sums: one block more than may hold a row's largest
 * element, or the other's. */
enum { PAIR_PEAKS = 3 };
typedef struct pair_peaks {
    float sum[PAIR_PEAKS];
    size_t offset[PAIR_PEAKS];
} pair_peaks;

/* what a scan of each row keeps besides the row */
typedef struct pair_side {
    bound max;
    held_block held;
    pair_centre centre; /* of the held block */
    pair_peaks peaks;
} pair_side;

static __attribute__((noinline)) void peaks_insert(pair_peaks *peaks, float sum, size_t offset)
{
    for (int i = 0; i < PAIR_PEAKS; i++) {
        if (sum > peaks->sum[i]) {
            const float next = peaks->sum[i];
            const size_t next_offset = peaks->offset[i];
            peaks->sum[i] = sum;
            peaks->offset[i] = offset;
            sum = next;
            offset = next_offset;
        }
    }
}

/* peak: of the block's lanes; whole: of those in whole groups */
LP_INLINE void pair_keep(row *r, pair_side *side, const block_groups *g, const pair_centre *centre, double s, vf peak,
                         vf whole, size_t offset, size_t n)
{
    raw_sum raw = {s, 0, __builtin_nanf(""), narrow_reference};
    bound_update(&side->max, r->max);
    if (peak_reaches(peak, side->max.e)) {
        raw.m = block_max(g);
        block_hold(r, &side->held, offset, n, (int32_t)offset, &raw);
        if (side->held.offset == offset) {
            side->centre = *centre;
        }
    } else {
        block_wait(r, &side->held, &raw);
    }
    if (peak_exceeds(whole, side->peaks.sum[PAIR_PEAKS - 1])) {
        peaks_insert(&side->peaks, v_max_lanes(whole), offset);
    }
}

/* The exact sums of up to 256 elements in the unit of exp_terms, which lacks EXP_FACTOR and takes ln 2 for EXP_LN2: e^x
 * comes out as that of x (1 - 2.7e-9). */
static pair_exact pair_elements(const float *a, const float *b, size_t n)
{
    pair_exact all = {0};
    exact_lanes s;
    exact_init(&s);
    exact_block(&s, a, b, n, 0, 0, 1 - EXP_STRETCH);
    exact_finish(&all, &s);
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

/* the state of a quick comparison */
typedef struct pair_state {
    pair_side p, q;
    pair_centre centre;
    pair_vectors k;
    pair_floats f;
    block_groups a, b;
    double most, least, farthest; /* of d, and of |d - shift|: of what `k` does not have */
} pair_state;

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
    const pair_centre none = {0, 1, 1};
    st->centre = st->p.centre = st->q.centre = none;
    st->k.most = v_set1(-inf);
    st->k.least = v_set1(inf);
    st->most = -__builtin_inf();
    st->least = __builtin_inf();
    st->farthest = 0;
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
        extremes_join(st, most + st->centre.shift, least + st->centre.shift);
    }
    st->k.most = v_set1(-inf);
    st->k.least = v_set1(inf);
}

/* The last group of a row, where it is not whole: its elements exactly, and the sums of each row's block as block_fast makes
 * them. 0 where an element is not ordinary. */
static __attribute__((noinline)) int pair_padded(pair_scan *job, pair_state *st, size_t n, double *w, double *v)
{
    const float *a = st->a.padded, *b = st->b.padded, inf = __builtin_inff();
    const float *const both[2] = {a, b};
    const extent all = groups_extent(both, 2, LP_GROUP);
    if (all.nan || all.max > EXP_HIGHEST || all.min < EXP_LOWEST) {
        return 0;
    }
    pair_exact e = pair_elements(a, b, n);
    if (e.most == inf || e.least == -inf) {
        return 0;
    }
    pair_add(&job->sums, &e);
    extremes_join(st, e.most, e.least);
    size_t to = (size_t)st->a.whole * LP_LANES;
    group_careful(a, st->f.w.s + to, st->f.w.q + to, 0, &narrow_reference);
    group_careful(b, st->f.v.s + to, st->f.v.q + to, 0, &narrow_reference);
    for (int c = 0; c < LP_COLUMNS; c++) {
        st->k.w_peak = v_max(st->k.w_peak, v_load(st->f.w.s + to + c * LP_WIDTH));
        st->k.v_peak = v_max(st->k.v_peak, v_load(st->f.v.s + to + c * LP_WIDTH));
    }
    int groups = sums_pad(&st->f.w, st->a.count);
    sums_pad(&st->f.v, st->a.count);
    *w = v_sum_groups(st->f.w.s, groups);
    *v = v_sum_groups(st->f.v.s, groups);
    return 1;
}

/* zeros for the groups that a block has not, up to a power of two */
static int pair_pad(pair_floats *f, int groups)
{
    size_t whole = (size_t)groups * LP_LANES, missing = (LP_GROUPS * LP_LANES - whole) * sizeof(float);
    memset(f->forward + whole, 0, missing);
    memset(f->reverse + whole, 0, missing);
    memset(f->cross + whole, 0, missing);
    sums_pad(&f->w, groups);
    return sums_pad(&f->v, groups);
}

/* the whole groups of a block; 0 where an element lies outside the window */
LP_INLINE int pair_groups(pair_state *st, const float *a, const float *b, int groups, const pair_centre *centre,
                          int want, int all)
{
    pair_vectors k = st->k;
    k.bits = v_bits_zero();
    k.w_peak = k.v_peak = v_set1(0);
    for (int i = 0; i < groups; i++) {
        pair_group(&st->f, (size_t)i * LP_LANES, a + i * LP_GROUP, b + i * LP_GROUP, &k, centre, want, all);
    }
    st->k = k;
    return !v_bits_test(k.bits, all ? EXP_OUTSIDE : NARROW_OUTSIDE);
}

enum { PAIR_ALL = PAIR_REVERSE | PAIR_CROSS | PAIR_SPREAD };

static __attribute__((noinline)) int pair_centred(pair_state *st, const float *a, const float *b, int groups)
{
    const pair_centre centre = st->centre;
    return pair_groups(st, a, b, groups, &centre, PAIR_ALL, 0);
}

static __attribute__((noinline)) int pair_again(pair_state *st, const float *a, const float *b, int groups)
{
    const pair_centre centre = st->centre;
    return pair_groups(st, a, b, groups, &centre, PAIR_ALL, 1);
}

#ifdef LP_OWN_EXP_NARROW
enum { PAIR_HAS_OTHER_WINDOW = 1 };
#else
enum { PAIR_HAS_OTHER_WINDOW = 0 };
#endif

LP_INLINE int pair_groups_of(pair_state *st, const float *a, const float *b, int groups, int want)
{
    const int fits =
        st->centre.shift == 0 ? pair_groups(st, a, b, groups, NULL, want, 0) : pair_centred(st, a, b, groups);
    return fits || (PAIR_HAS_OTHER_WINDOW && pair_again(st, a, b, groups));
}

/* ln x, give or take 1/256 */
static double rough_log(double x)
{
    const uint64_t bits = double_bits(x), mantissa = (bits & 0xFFFFFFFFFFFFFU) | 0x3FF0000000000000U;
    double y = ((double)((int64_t)(bits >> 52) - 1023) + (bits_double(mantissa) - 1)) * 0x1.62e42fefa39efp-1;
    y += x * exp_double(-y) - 1;
    return y;
}

/* Whether the centre is where the rows' sums so far, w and v, are. */
static inline int centre_holds(const pair_centre *centre, double w, double v)
{
    const double near = v * (double)centre->ratio;
    return w <= near * 1.25 && w >= near * 0.8;
}

/* 0 where that is so far away that products with a ratio might overflow */
static __attribute__((noinline)) int centre_move(pair_centre *centre, double w, double v)
{
    const double most = 64;
    centre->shift = (rough_log(w / v) + 0x1.8p48) - 0x1.8p48; /* in steps of 1/16 */
    centre->ratio = (float)exp_double(centre->shift);
    centre->inverse = (float)exp_double(-centre->shift);
    return centre->shift <= most && centre->shift >= -most;
}

/* what the lanes' sums of a row's w and v, and of the terms that are small, say of the sums of w d and of v d */
static inline void pair_terms_add(pair_sums *sums, const pair_centre *centre, double w, double v, double forward,
                                  double reverse)
{
    sums->forward += forward + (w - v * (double)centre->ratio) + w * centre->shift;
    sums->reverse += reverse - (v - w * (double)centre->inverse) + v * centre->shift;
}

/* One block of both rows; 0 where it is not ordinary. Where the block moves the centre it is taken again. */
LP_INLINE int pair_block(pair_scan *job, pair_state *st, const float *a, const float *b, size_t offset, size_t n,
                         int full, int want)
{
    block_cut(&st->a, a, n);
    block_cut(&st->b, b, n);
    int groups = full ? LP_GROUPS : st->a.whole;
    const vf most = st->k.most, least = st->k.least;
    if (!pair_groups_of(st, a, b, groups, want)) {
        return 0;
    }
    int count = full ? LP_GROUPS : pair_pad(&st->f, groups);
    double w = v_sum_groups(st->f.w.s, count), v = v_sum_groups(st->f.v.s, count);
    if (groups != 0 && !centre_holds(&st->centre, job->sums.w + w, job->sums.v + v)) {
        if (!narrow_holds(w) || !narrow_holds(v)) {
            return 0;
        }
        st->k.most = most;
        st->k.least = least;
        extremes_collect(st);
        if (!centre_move(&st->centre, job->sums.w + w, job->sums.v + v)) {
            return 0;
        }
        pair_again(st, a, b, groups);
    }
    const vf w_whole = st->k.w_peak, v_whole = st->k.v_peak;
    job->sums.w += w;
    job->sums.v += v;
    pair_terms_add(&job->sums, &st->centre, w, v, v_sum_groups(st->f.forward, count),
                   want & PAIR_REVERSE ? v_sum_groups(st->f.reverse, count) : 0);
    if (want & PAIR_CROSS) {
        job->sums.cross += v_sum_groups(st->f.cross, count);
    }
    if (!full && groups < st->a.count && !pair_padded(job, st, n % LP_GROUP, &w, &v)) {
        return 0;
    }
    if (!narrow_holds(w) || !narrow_holds(v)) {
        return 0;
    }
    pair_keep(&job->p, &st->p, &st->a, &st->centre, w, st->k.w_peak, w_whole, offset, n);
    pair_keep(&job->q, &st->q, &st->b, &st->centre, v, st->k.v_peak, v_whole, offset, n);
    return 1;
}

static __attribute__((noinline)) int pair_last(pair_scan *job, pair_state *st, const float *a, const float *b,
                                               size_t offset, size_t n)
{
    return pair_block(job, st, a, b, offset, n, 0, PAIR_ALL);
}

/* The sums of the eight elements that share a lane with element id, which is among the largest: exact instead of what was
 * added. */
static void pair_refine(pair_scan *job, const source *p, const source *q, size_t n, size_t id,
                        const pair_centre *centre, pair_sums *taken)
{
    _Alignas(64) float buffer[2][LP_GROUP];
    size_t group = id / LP_GROUP * LP_GROUP, lane = id % LP_LANES;
    if (group + LP_GROUP > n) {
        return; /* is exact already */
    }
    const float *a = block_at(p, group, LP_GROUP, buffer[0]), *b = block_at(q, group, LP_GROUP, buffer[1]);
    pair_floats f;
    pair_vectors k = {v_bits_zero(), v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    float x[LP_SETS], y[LP_SETS];
    pair_group(&f, 0, a, b, &k, centre, PAIR_REVERSE | PAIR_CROSS, 1);
    for (size_t i = 0; i < LP_SETS; i++) {
        memcpy(x + i, a + i * LP_LANES + lane, sizeof *x);
        memcpy(y + i, b + i * LP_LANES + lane, sizeof *y);
    }
    pair_exact e = pair_elements(x, y, LP_SETS);
    pair_add(&job->sums, &e);
    pair_add(taken, &e);
    pair_sums was = {(double)f.w.s[lane], (double)f.v.s[lane], 0, 0, (double)f.cross[lane]};
    pair_terms_add(&was, centre, was.w, was.v, (double)f.forward[lane], (double)f.reverse[lane]);
    pair_subtract(&job->sums, &was);
}

/* ---- what may lie in few elements --------------------------------------------------------------------------------------- */

static inline float greater(float a, float b)
{
    return a > b ? a : b;
}

static inline float lesser(float a, float b)
{
    return a < b ? a : b;
}

/* the largest sum of a lane outside two blocks */
static float peaks_outside(const pair_peaks *peaks, const size_t block[2])
{
    float most = 0;
    for (int i = 0; i < PAIR_PEAKS; i++) {
        const int outside = peaks->offset[i] != block[0] && peaks->offset[i] != block[1];
        most = outside ? greater(most, peaks->sum[i]) : most;
    }
    return most;
}

/* that of a block, or a bound on it */
static float peaks_of(const pair_peaks *peaks, size_t offset)
{
    float sum = peaks->sum[PAIR_PEAKS - 1];
    for (int i = 0; i < PAIR_PEAKS; i++) {
        sum = peaks->offset[i] == offset ? greater(sum, peaks->sum[i]) : sum;
    }
    return sum;
}

/* the largest of the lanes of n whole groups, but for those of elements that lie at `top` in the block, if they do */
static float lanes_rest(float *sums, size_t n, size_t offset, const size_t top[2])
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
    return v_max_lanes(most);
}

/* Whether shares as large as these, of sums, are small enough for either divergence (src/compare.c), with room for roughness. */
static int shares_do(const pair_sums *sums, float w_most, float v_most)
{
    const double shift = rough_log(sums->v / sums->w), w = (double)w_most / sums->w, v = (double)v_most / sums->v;
    const double kl = sums->forward / sums->w + shift, reverse = -sums->reverse / sums->v - shift;
    const double limit = QUICK_KL - 0.1, most = (kl < limit && reverse < limit ? QUICK_MOST : QUICK_MOST_VARIED) - 0.05;
    return pair_weight(kl, w, v) <= most && pair_weight(reverse, v, w) <= most;
}

/* Of each row, the most that is in a lane, without those that were taken exactly. In the blocks of these it is not known: it is no
 * more than with them, nor than what they left of all. Where that does not do, and only there, all lanes are looked at once more. */
static void pair_shares(pair_scan *job, pair_state *st, const source *p, const source *q, size_t n, const size_t top[2],
                        const pair_sums *taken, float buffer[2][LP_BLOCK_SIZE])
{
    const size_t block[2] = {top[0] / LP_BLOCK_SIZE * LP_BLOCK_SIZE, top[1] / LP_BLOCK_SIZE * LP_BLOCK_SIZE};
    const size_t last = (n - 1) / LP_BLOCK_SIZE * LP_BLOCK_SIZE;
    const float w_left = (float)(job->sums.w - taken->w), v_left = (float)(job->sums.v - taken->v);
    const float w_outside = peaks_outside(&st->p.peaks, block), v_outside = peaks_outside(&st->q.peaks, block);
    float w = w_outside, v = v_outside;
    for (int t = 0; t < 2; t++) {
        w = greater(w, lesser(peaks_of(&st->p.peaks, block[t]), w_left));
        v = greater(v, lesser(peaks_of(&st->q.peaks, block[t]), v_left));
    }
    if (!shares_do(&job->sums, w, v)) {
        w = w_outside;
        v = v_outside;
        for (int t = 0; t < (block[0] == block[1] ? 1 : 2); t++) {
            const size_t size = n - block[t] < LP_BLOCK_SIZE ? n - block[t] : LP_BLOCK_SIZE, groups = size / LP_GROUP;
            if (t != 0 || block[0] != last) { /* those of the last one are there still */
                pair_again(st, block_at(p, block[t], size, buffer[0]), block_at(q, block[t], size, buffer[1]),
                           (int)groups);
            }
            w = greater(w, lanes_rest(st->f.w.s, groups, block[t], top));
            v = greater(v, lanes_rest(st->f.v.s, groups, block[t], top));
        }
    }
    job->p_left = w_left;
    job->q_left = v_left;
    job->p_share = w;
    job->q_share = v;
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
        if (!pair_block(job, &st, a, b, i, LP_BLOCK_SIZE, 1, want)) {
            return 0;
        }
    }
    if (i < n && !pair_last(job, &st, block_at(p, i, n - i, buffer[0]), block_at(q, i, n - i, buffer[1]), i, n - i)) {
        return 0;
    }
    pair_settle(&job->p, &st.p.held, &st.a, block_at(p, st.p.held.offset, st.p.held.n, buffer[0]));
    pair_settle(&job->q, &st.q.held, &st.b, block_at(q, st.q.held.offset, st.q.held.n, buffer[1]));
    const size_t top[2] = {(size_t)job->p.id, (size_t)job->q.id};
    pair_sums taken = {0, 0, 0, 0, 0};
    pair_refine(job, p, q, n, top[0], &st.p.centre, &taken);
    if (top[0] / LP_GROUP != top[1] / LP_GROUP || top[0] % LP_LANES != top[1] % LP_LANES) {
        pair_refine(job, p, q, n, top[1], &st.q.centre, &taken);
    }
    extremes_collect(&st);
    pair_shares(job, &st, p, q, n, top, &taken, buffer);
    job->most = st.most;
    job->least = st.least;
    job->farthest = st.farthest;
    return 1;
}

/* job: zeros but for `want`, and the rows initialised; n > 0. 0 where a block of either row is not ordinary. */
static int compare_quick(pair_scan *job, const source *p, const source *q, size_t n)
{
    if (job->want == 0) {
        return pair_blocks(job, p, q, n, 0);
    }
    if (job->want == PAIR_REVERSE) {
        return pair_blocks(job, p, q, n, PAIR_REVERSE);
    }
    return pair_blocks(job, p, q, n, PAIR_ALL);
}
#endif
