/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The terms w d + u that two rows have in a group, w = e^a, v = e^b, d = a - b less the rows' common difference, u = v - w, v brought
 * to w's level; each is at least 0.
 *
 * Errors, in units of 2^-24, of those of one element:
 *   w and v              1.4 each (core/block.h)                      1.4 (w |d - kl| + w + v)
 *   d                    1, of |d|                                    w |d|
 *   u                    of two elements, as the difference of their sums: an addition each, one subtraction; then one more addition
 *   four fma, 1 addition 5, of the partial sums */
#ifndef LP_CORE_TERMS_H
#define LP_CORE_TERMS_H
#include "core/block.h"
#include "pair.h"

/* how many elements ahead of those at work to prefetch, of each row, into the first-level cache */
enum { PAIR_PREFETCH = 2560 };

/* sums of one group each, or of the groups of a block */
typedef struct pair_floats {
    group_sums w, v;
    _Alignas(64) float forward[LP_GROUPS * LP_LANES];
    float reverse[LP_GROUPS * LP_LANES];
    float cross[LP_GROUPS * LP_LANES];
} pair_floats;

/* What brings two rows together whose logits differ by more than a little on average, as those of different models do: a - b, which
 * is near `shift` then, is taken as (a - b) - shift, and v counts `ratio` times; b counts from `level`. Any values give the results;
 * good ones give small terms. */
typedef struct pair_centre {
    double shift;         /* a float */
    float ratio, inverse; /* e^shift, e^-shift, or nearly */
    float level;          /* for the cross-entropy alone: nothing else depends on it, nor on whether that is wanted */
} pair_centre;

static const pair_centre centre_none = {0, 1, 1, 0};

/* (a - b) - shift, rounded once where a - b is near shift */
LP_INLINE vf shifted_difference(vf a, vf b, vf shift)
{
    const vf d = v_sub(a, b), back = v_sub(d, a);                    /* -b, nearly */
    const vf lost = v_sub(v_sub(a, v_sub(d, back)), v_add(b, back)); /* what d lacks: exactly (Knuth 1969) */
    return v_add(v_sub(d, shift), lost);
}

/* what one row's exponentials of a block are relative to, where they are taken carefully */
typedef struct footing {
    reference ref; /* without a shift */
    float inside;  /* stands for an element that counts as 0 */
    int present;   /* anything above -inf */
    int may_widen; /* ref is the narrow one, and the sum has to show whether it holds */
    double unit;   /* what the exponentials have to be multiplied with */
} footing;

/* how a block is taken; the ratios are those between the units */
typedef struct pair_way {
    pair_centre centre;
    footing a, b;
    int ragged; /* not all of its elements count */
} pair_way;

/* what is kept in registers over the groups of a block */
typedef struct pair_vectors {
    vu bits;
    vf w_peak, v_peak, most, least;
    vf raw_most, raw_least; /* of a - b where either may be -inf, and is not ordinary besides */
    vf low;                 /* the smallest logit of either; only with PAIR_ABSENT */
} pair_vectors;

/* Where there are sixteen registers, compilers spill what the exponentials of two rows and the sums of both need at once: then
 * the exponentials of a group go through the first-level cache. */
enum { PAIR_SPLIT = LP_WIDTH == 8 };

/* What is kept of a group until both rows' exponentials are there. What then follows of ordinary elements is bound by its loads: of them
 * v comes by its sums of two, and a - b is there already where that is all that is asked of it. */
typedef struct pair_terms {
    _Alignas(64) float w[LP_GROUP];
    float v[LP_GROUP];      /* for KL alone not */
    float d[LP_GROUP];      /* a - b; see differences_first */
    float v2[LP_GROUP / 2]; /* of sets 0 and 1, 2 and 3 ...; see sums_first */
} pair_terms;

/* How a group is taken, a constant. Where the centre has not moved: ordinary elements; and such of which some are -inf. Where it has:
 * ordinary elements. Of all these the bits show whether they are so. On the footings of a block: elements all of which count; and any,
 * but no NaN or +inf. */
enum { PAIR_PLAIN, PAIR_ABSENT, PAIR_CENTRED, PAIR_EVEN, PAIR_RAGGED };

/* whether sums of two, and differences, are made beside the exponentials; of what takes longer it would be no gain */
LP_INLINE int sums_first(int form)
{
    return PAIR_SPLIT && form == PAIR_PLAIN;
}

LP_INLINE int differences_first(int want, int form)
{
    return sums_first(form) && !(want & (PAIR_CROSS | PAIR_SPREAD));
}

LP_INLINE vf pair_exp(vf x, const footing *on, vf *t, int form)
{
    if (form == PAIR_PLAIN || form == PAIR_CENTRED) {
        return exp_narrow(x, t);
    }
    if (form == PAIR_ABSENT) { /* NaN stays */
        return exp_present(x, t);
    }
    if (form == PAIR_EVEN) {
        return exp_terms(x, v_set1(on->ref.magic), t);
    }
    const vf lowest = v_set1(on->ref.lowest), inside = v_where_ge(x, lowest, x, v_set1(on->inside));
    return v_where_ge(x, lowest, exp_terms(inside, v_set1(on->ref.magic), t), v_set1(0));
}

LP_INLINE void pair_exp_two(const vf x[2], vf magic, vf e[2], vu *bits, const footing *on, int form)
{
    if (form == PAIR_PLAIN || form == PAIR_CENTRED) {
        exp_narrow_two(x, magic, e, bits);
    } else {
        vf t[2];
        e[0] = pair_exp(x[0], on, &t[0], form);
        e[1] = pair_exp(x[1], on, &t[1], form);
        *bits = v_bits_or(*bits, t[0], t[1]);
    }
}

/* e^x of one group of one row; only where it is split */
LP_INLINE void pair_row_terms(float *e, const float *x, vu *bits, const footing *on, int form)
{
    vf magic = v_set1(EXP_MAGIC);
    LP_FINISH(magic);
    const size_t far = rest_ahead(FAR_PAIR);
    for (size_t i = 0; i < LP_GROUP; i += (size_t)4 * LP_WIDTH) {
        LP_UNROLL for (size_t c = 0; c < 4; c += 2)
        {
            const float *at = x + i + c * LP_WIDTH;
            vf two[2] = {v_load(at), v_load(at + LP_WIDTH)}, e2[2];
            LP_LOADED(two[0]);
            LP_LOADED(two[1]);
            v_prefetch(at + PAIR_PREFETCH); /* two vectors are a cache line */
            v_prefetch_rest((const unsigned char *)at + far);
            pair_exp_two(two, magic, e2, bits, on, form);
            v_store(e + i + c * LP_WIDTH, e2[0]);
            v_store(e + i + (c + 1) * LP_WIDTH, e2[1]);
        }
    }
}

/* the same of its column c alone, and nothing ahead */
LP_INLINE void pair_column_terms(float *e, const float *x, int c, const footing *on, int form)
{
    for (size_t at = (size_t)(c * LP_WIDTH); at < LP_GROUP; at += LP_LANES) {
        vf t;
        v_store(e + at, pair_exp(v_load(x + at), on, &t, form));
    }
}

/* e^b of one group of ordinary elements, and what is made beside it */
LP_INLINE void pair_second_terms(pair_terms *e, const float *a, const float *b, vu *bits, int want)
{
    vf magic = v_set1(EXP_MAGIC);
    LP_FINISH(magic);
    const size_t far = rest_ahead(FAR_PAIR);
    for (size_t p = 0; p < 4; p++) {
        for (size_t c = 0; c < LP_COLUMNS; c += 2) {
            LP_UNROLL for (size_t i = 0; i < 2; i++)
            {
                const size_t lane = (c + i) * LP_WIDTH, at = 2 * p * LP_LANES + lane, other = at + LP_LANES;
                const float *line = b + 2 * p * LP_LANES + c * LP_WIDTH + i * LP_LANES; /* one of either set */
                vf two[2] = {v_load(b + at), v_load(b + other)}, v[2];
                LP_LOADED(two[0]);
                LP_LOADED(two[1]);
                v_prefetch(line + PAIR_PREFETCH);
                v_prefetch_rest((const unsigned char *)line + far);
                if (differences_first(want, PAIR_PLAIN)) {
                    v_store(e->d + at, v_sub(v_load(a + at), two[0]));
                    v_store(e->d + other, v_sub(v_load(a + other), two[1]));
                }
                exp_narrow_two(two, magic, v, bits);
                if (want & PAIR_REVERSE) {
                    v_store(e->v + at, v[0]);
                    v_store(e->v + other, v[1]);
                }
                v_store(e->v2 + p * LP_LANES + lane, v_add(v[0], v[1]));
            }
        }
    }
}

/* a - b, centred, and its extremes. Where either may be -inf the smallest float stands for that; a - b itself is infinite then, or
 * NaN where both are, and shows it. */
LP_INLINE vf pair_difference(vf a, vf b, const pair_way *way, pair_vectors *k, int want, int form)
{
    const vf shift = v_set1(form <= PAIR_ABSENT ? 0 : (float)way->centre.shift), raw = v_sub(a, b);
    if (form == PAIR_ABSENT || form == PAIR_RAGGED) {
        a = v_max(a, v_set1(-FLT_MAX));
        b = v_max(b, v_set1(-FLT_MAX));
    }
    const vf d = form <= PAIR_ABSENT ? v_sub(a, b) : shifted_difference(a, b, shift);
    vf seen = form == PAIR_ABSENT ? raw : d;
    if (form == PAIR_RAGGED) {
        seen = v_add(d, v_sub(raw, raw)); /* a number where raw is one */
        k->raw_most = v_max(raw, k->raw_most);
        k->raw_least = v_min(raw, k->raw_least);
    }
    if (want & PAIR_SPREAD) { /* in this order: the second where the first is NaN */
        k->most = v_max(seen, k->most);
        k->least = v_min(seen, k->least);
    }
    return d;
}

/* Column c of one group of both rows. w and v are added as group_fast adds them. */
LP_INLINE void pair_column(pair_floats *f, size_t to, const float *a, const float *b, const pair_terms *e, int c,
                           pair_vectors *k, const pair_way *way, int want, int form)
{
    const size_t far = rest_ahead(FAR_PAIR);
    const vf magic = v_set1(EXP_MAGIC);
    vf w4[2], v4[2], forward[2], reverse[2], cross[2];
    LP_UNROLL for (int h = 0; h < 2; h++)
    {
        const size_t start = (size_t)(4 * h * LP_LANES + c * LP_WIDTH);
        vf w[4], v[4], v2[2], ta, tb;
        LP_UNROLL for (size_t j = 0; j < 4; j++)
        {
            const size_t at = start + j * LP_LANES;
            if (PAIR_SPLIT) {
                w[j] = v_load(e->w + at);
                if (sums_first(form)) {
                    LP_LOADED(w[j]);
                }
                if (!sums_first(form) || (want & PAIR_REVERSE)) {
                    v[j] = v_load(e->v + at);
                }
                continue;
            }
            v_prefetch(a + at + PAIR_PREFETCH);
            v_prefetch(b + at + PAIR_PREFETCH);
            v_prefetch_rest((const unsigned char *)(a + at) + far);
            v_prefetch_rest((const unsigned char *)(b + at) + far);
            const vf two[2] = {v_load(a + at), v_load(b + at)};
            if (form == PAIR_PLAIN || form == PAIR_CENTRED) {
                vf e2[2];
                exp_narrow_two(two, magic, e2, &k->bits);
                w[j] = e2[0];
                v[j] = e2[1];
            } else {
                w[j] = pair_exp(two[0], form >= PAIR_EVEN ? &way->a : NULL, &ta, form);
                v[j] = pair_exp(two[1], form >= PAIR_EVEN ? &way->b : NULL, &tb, form);
                k->bits = v_bits_or(k->bits, ta, tb);
            }
        }
        const vf w2[2] = {v_add(w[0], w[1]), v_add(w[2], w[3])};
        LP_UNROLL for (size_t i = 0; i < 2; i++)
        {
            const size_t pair = ((size_t)(2 * h) + i) * LP_LANES + (size_t)(c * LP_WIDTH);
            v2[i] = sums_first(form) ? v_load(e->v2 + pair) : v_add(v[2 * i], v[2 * i + 1]);
        }
        w4[h] = v_add(w2[0], w2[1]);
        v4[h] = v_add(v2[0], v2[1]);
        if (form <= PAIR_ABSENT) {
            forward[h] = reverse[h] = v_add(v_sub(v2[0], w2[0]), v_sub(v2[1], w2[1]));
        } else {
            const vf ratio = v_set1(way->centre.ratio), inverse = v_set1(way->centre.inverse), none = v_set1(0);
            forward[h] = v_add(v_fma(v2[0], ratio, v_sub(none, w2[0])), v_fma(v2[1], ratio, v_sub(none, w2[1])));
            reverse[h] = v_add(v_fnma(w2[0], inverse, v2[0]), v_fnma(w2[1], inverse, v2[1]));
        }
        LP_UNROLL for (size_t j = 0; j < 4; j++)
        {
            const size_t at = start + j * LP_LANES;
            const vf x = v_load(a + at);
            vf y = v_load(b + at);
            const vf d = differences_first(want, form) ? v_load(e->d + at) : pair_difference(x, y, way, k, want, form);
            if (form == PAIR_ABSENT) {
                k->low = v_min(v_min(x, y), k->low);
            }
            forward[h] = v_fma(w[j], d, forward[h]);
            if (want & PAIR_REVERSE) {
                reverse[h] = v_fma(v[j], d, reverse[h]);
            }
            if (want & PAIR_CROSS) {
                y = form == PAIR_ABSENT || form == PAIR_RAGGED ? v_max(y, v_set1(-FLT_MAX)) : y;
                y = form >= PAIR_EVEN ? v_sub(y, v_set1(way->centre.level)) : y;
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

LP_INLINE void pair_group(pair_floats *f, size_t to, const float *a, const float *b, pair_vectors *k,
                          const pair_way *way, int want, int form)
{
    pair_terms e;
    if (PAIR_SPLIT) {
        pair_row_terms(e.w, a, &k->bits, form >= PAIR_EVEN ? &way->a : NULL, form);
        if (sums_first(form)) {
            pair_second_terms(&e, a, b, &k->bits, want);
        } else {
            pair_row_terms(e.v, b, &k->bits, form >= PAIR_EVEN ? &way->b : NULL, form);
        }
    }
    if (LP_COLUMNS > 2) { /* flat, the registers would not do */
        _Pragma("GCC unroll 1") for (int c = 0; c < LP_COLUMNS; c++)
        {
            pair_column(f, to, a, b, &e, c, k, way, want, form);
        }
    } else {
        LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
        {
            pair_column(f, to, a, b, &e, c, k, way, want, form);
        }
    }
}
#endif
