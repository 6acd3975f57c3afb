/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The exact way: what two rows say about each other, in double throughout, for any two that have mass and are not bad. */
#ifndef LP_CORE_EXACT_H
#define LP_CORE_EXACT_H
#include "core/scan.h"
#include "pair.h"

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

enum { EXACT_LANES = 16 };

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

/* One element of each of so many lanes. True differences end at 1.4e39: where one of the two is -inf d counts as 1e40, which the sums can
 * bear, and the extremes show what the results are. Where both are, the difference is NaN, which is no extreme.
 * a - a_max is exact near the maximum, where the mass is, whatever lies between the rows. For the extremes a - b comes first,
 * which is exact where the rows are alike, whatever lies between the element and the maximum (a mask of -1e30, say), but
 * where the maxima are so far apart that it would lose bits of near ones. */
LP_INLINE void exact_step(exact_lanes *s, int lanes, const float *at_a, const float *at_b, double a_max, double b_max,
                          double scale)
{
    const double far = 1e40, shift = a_max - b_max;
    float a[EXACT_LANES], b[EXACT_LANES]; /* rows may lie at any byte */
    memcpy(a, at_a, (size_t)lanes * sizeof *a);
    memcpy(b, at_b, (size_t)lanes * sizeof *b);
    const int apart = shift > 0x1p20 || shift < -0x1p20;
    const double a_from = apart ? a_max : 0, b_from = apart ? b_max : 0, then = apart ? 0 : shift;
    for (int l = 0; l < lanes; l++) {
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

/* of EXACT_LANES, of which those from `lanes` on are 0 */
LP_INLINE double lanes_total(const double *lane, int lanes)
{
    double sum[EXACT_LANES];
    for (int l = 0; l < lanes; l++) {
        sum[l] = lane[l] + 0.0;
    }
    for (int apart = lanes / 2; apart > 0; apart /= 2) {
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

static void exact_sets(exact_lanes *s, const float *a, const float *b, size_t n, double a_max, double b_max,
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
                exact_step(s, EXACT_LANES, at_a + l, at_b + l, a_max, b_max, scale);
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

static void lanes_move(double *restrict to, double *restrict from)
{
    for (int l = 0; l < EXACT_LANES; l++) {
        to[l] += from[l];
        from[l] = 0;
    }
}

/* hands the sums on: groups, blocks and rows have their own, for the errors of a long sum of equal terms all have one sign */
static void exact_move(exact_lanes *to, exact_lanes *from)
{
    lanes_move(to->w, from->w);
    lanes_move(to->v, from->v);
    lanes_move(to->forward, from->forward);
    lanes_move(to->reverse, from->reverse);
    lanes_move(to->cross, from->cross);
}

LP_INLINE void exact_finish(pair_exact *job, const exact_lanes *s, int lanes)
{
    job->w = lanes_total(s->w, lanes);
    job->v = lanes_total(s->v, lanes);
    job->forward = lanes_total(s->forward, lanes);
    job->reverse = lanes_total(s->reverse, lanes);
    job->cross = lanes_total(s->cross, lanes);
    double most = s->most[0], fall = s->fall[0];
    for (int l = 1; l < lanes; l++) {
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
    exact_lanes all, block, group;
    exact_init(&all);
    exact_init(&block);
    exact_init(&group);
    for (size_t i = 0; i < n; i += LP_BLOCK_SIZE) {
        const size_t size = n - i < LP_BLOCK_SIZE ? n - i : LP_BLOCK_SIZE;
        const float *a = block_at(p, i, size, buffer[0]), *b = block_at(q, i, size, buffer[1]);
        for (size_t j = 0; j < size; j += LP_GROUP) {
            const size_t some = size - j < LP_GROUP ? size - j : LP_GROUP;
            exact_sets(&group, a + j, b + j, some, job->a_max, job->b_max, 1);
            exact_move(&block, &group);
        }
        exact_move(&all, &block);
    }
    memcpy(all.most, group.most, sizeof all.most); /* which stay where they are found */
    memcpy(all.fall, group.fall, sizeof all.fall);
    exact_finish(job, &all, EXACT_LANES);
}
#endif
