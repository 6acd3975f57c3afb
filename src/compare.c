/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two models on the same positions: both divergences, cross-entropy and the largest difference, from one read of each. */
#include "fpenv.h"
#include "logits.h"
#include "sleef.h"
#include <math.h>

/* Where the errors of the quick way might not stay below 3e-7 a result is taken again in double. Those of one element are of rms
 * 2^-25 of p (1 + |ln p / q - kl|), of either sign, so the rms of their sum is about
 *     2^-25 sqrt(share (1 + 2 kl) + other share)
 * share: the most that a lane of eight elements has of the mass. QUICK_MOST puts 3e-7 at ten times that.
 *
 * Where logits have but few different values the errors are those of as few exponentials, at most 8.4e-8 each, and add up to
 *     8.4e-8 (left (1 + 2 kl) + other left)
 * and some roundings that they have in common. left: what was not taken exactly. QUICK_LEFT, and QUICK_LEFT_FAR where a divergence
 * is not small, put 3e-7 beyond what a search for the worst of such rows found. Where more is left, or the divergence is larger,
 * the values have to be many. */
#define QUICK_LEFT 2.25
#define QUICK_SMALL 0.25
#define QUICK_LEFT_FAR 1.75
/* |ln p / q|: beyond, little mass makes much of a divergence. No two ordinary elements are so far apart. */
#define QUICK_APART 256.0
#define QUICK_FAR 16.0 /* |a - b - shift|: beyond, half a last bit is much of what is promised of smaller ones */

typedef struct divergence {
    double kl, reverse, cross, spread;
} divergence;

enum { HAS_KL = 1, HAS_REVERSE = 2, HAS_CROSS = 4, HAS_SPREAD = 8 };

static double at_least_0(double x)
{
    return x <= 0 ? 0 : x; /* NaN stays: it is not good enough, whatever the bound */
}

/* the larger of |most + shift| and |least + shift| */
static double extreme(double most, double least, double shift)
{
    double above = fabs(most + shift), below = fabs(least + shift);
    return above > below ? above : below;
}

/* ln (v / w) */
static double log_quotient(double v, double w)
{
    const double more = (v - w) / w;
    return fabs(more) < 0.5 ? Sleef_cinz_log1pd1_u10purec(more) : Sleef_cinz_logd1_u10purec(v / w);
}

/* whether a divergence from the quick way is good enough whatever the row, and where its logits have many values */
typedef struct fitness {
    int any, if_varied;
} fitness;

static fitness fitness_of(double kl, double share, double other_share, double left, double other_left)
{
    const double most = pair_weight(kl, share, other_share), all = pair_weight(kl, left, other_left);
    const fitness f = {kl <= QUICK_KL && most <= QUICK_MOST && all <= (kl <= QUICK_SMALL ? QUICK_LEFT : QUICK_LEFT_FAR),
                       kl <= QUICK_KL_VARIED && most <= (kl <= QUICK_KL ? QUICK_MOST : QUICK_MOST_VARIED)};
    return f;
}

/* where an element is -inf in one row alone, whatever the sums say */
static void set_infinite(divergence *d, double most, double least)
{
    d->kl = most == INFINITY ? INFINITY : d->kl;
    d->cross = most == INFINITY ? INFINITY : d->cross;
    d->reverse = least == -INFINITY ? INFINITY : d->reverse;
}

/* Results from the sums of the quick way. Returns which of them are good enough, *varied those that are if the logits of the row
 * that weighs their terms have many values. */
static int quick_results(const pair_scan *s, divergence *out, int *varied)
{
    const pair_sums *sum = &s->sums;
    const int forward = HAS_KL | HAS_CROSS;
    double shift = log_quotient(sum->v, sum->w) * (1 + EXP_STRETCH);
    out->kl = at_least_0(sum->forward / sum->w + shift);
    out->reverse = at_least_0(-sum->reverse / sum->v - shift);
    double q_lse = Sleef_cinz_logd1_u10purec(sum->v * EXP_FACTOR) * (1 + EXP_STRETCH);
    out->cross = at_least_0(q_lse - sum->cross / sum->w);
    out->spread = extreme(s->most, s->least, shift);
    const int spread = s->farthest <= QUICK_FAR || out->spread >= s->farthest / 2 ? HAS_SPREAD : 0;
    const pair_share left = {s->left.w / sum->w, s->left.v / sum->v};
    fitness kl = fitness_of(out->kl, s->forward_share.w / sum->w, s->forward_share.v / sum->v, left.w, left.v);
    fitness back = fitness_of(out->reverse, s->reverse_share.v / sum->v, s->reverse_share.w / sum->w, left.v, left.w);
    const fitness none = {0, 0};
    kl = s->most + shift <= QUICK_APART ? kl : none;
    back = s->least + shift >= -QUICK_APART ? back : none;
    set_infinite(out, s->most, s->least);
    *varied = (kl.if_varied ? forward : 0) | (back.if_varied ? HAS_REVERSE : 0);
    return (kl.any || s->most == INFINITY ? forward : 0) | (back.any || s->least == -INFINITY ? HAS_REVERSE : 0) |
           spread;
}

static divergence exact_results(const pair_exact *s)
{
    double p_norm = Sleef_cinz_logd1_u10purec(s->w), q_norm = Sleef_cinz_logd1_u10purec(s->v), shift = q_norm - p_norm;
    divergence d;
    d.kl = at_least_0(s->forward / s->w + shift);
    d.reverse = at_least_0(-s->reverse / s->v - shift);
    d.cross = at_least_0(q_norm - s->cross / s->w);
    d.spread = extreme(s->most, s->least, shift);
    set_infinite(&d, s->most, s->least);
    return d;
}

static void keep(divergence *to, const divergence *from, int which)
{
    to->kl = which & HAS_KL ? from->kl : to->kl;
    to->reverse = which & HAS_REVERSE ? from->reverse : to->reverse;
    to->cross = which & HAS_CROSS ? from->cross : to->cross;
    to->spread = which & HAS_SPREAD ? from->spread : to->spread;
}

/* what is known of a pair of rows */
typedef struct pair_result {
    row_result p, q;
    divergence d;
    lp_status status;
} pair_result;

static int wanted_results(const lp_divergence *out)
{
    return (out->kl != NULL ? HAS_KL : 0) | (out->reverse_kl != NULL ? HAS_REVERSE : 0) |
           (out->cross_entropy != NULL ? HAS_CROSS : 0) | (out->max_abs_diff != NULL ? HAS_SPREAD : 0);
}

static lp_status worse(lp_status a, lp_status b)
{
    return a == LP_OK || (b != LP_OK && b < a) ? b : a; /* NAN < INF < EMPTY */
}

/* Whether the elements that have the mass have many values: what lies below an eighth of the mean has an eighth of it at most. */
static int row_varies(const kernels *k, const source *from, size_t n, const row_result *r)
{
    return k->values_vary(from, n, (float)((double)r->logsumexp - Sleef_cinz_logd1_u10purec(8 * (double)n)));
}

/* one read of both rows where they are ordinary; *left loses what it found */
static int compare_quickly(const kernels *k, const source *p, const source *q, size_t n, pair_result *r, int *left)
{
    pair_scan job = {0};
    row_init(&job.p, 0);
    row_init(&job.q, 0);
    job.want = (*left & HAS_REVERSE ? PAIR_REVERSE : 0) | (*left & HAS_CROSS ? PAIR_CROSS : 0) |
               (*left & HAS_SPREAD ? PAIR_SPREAD : 0);
    if (n == 0 || *left == 0 || !k->compare_quick(&job, p, q, n)) {
        return 0;
    }
    r->p = row_finish(&job.p);
    r->q = row_finish(&job.q);
    int varied;
    *left &= ~quick_results(&job, &r->d, &varied);
    const int by_p = *left & varied & (HAS_KL | HAS_CROSS), by_q = *left & varied & HAS_REVERSE;
    *left &= ~(by_p != 0 && row_varies(k, p, n, &r->p) ? by_p : 0);
    *left &= ~(by_q != 0 && row_varies(k, q, n, &r->q) ? by_q : 0);
    return 1;
}

static pair_result compare_rows(const kernels *k, const source *p, const source *q, size_t n, int wanted)
{
    pair_result r = {0};
    int left = wanted;
    if (!compare_quickly(k, p, q, n, &r, &left)) {
        r.p = logits_scan(k, p, n);
        r.q = logits_scan(k, q, n);
    }
    r.status = worse(r.p.status, r.q.status);
    if (r.status == LP_OK && left != 0) {
        pair_exact job = {0};
        job.a_max = (double)r.p.max_logit;
        job.b_max = (double)r.q.max_logit;
        k->compare_exact(&job, p, q, n);
        divergence exact = exact_results(&job);
        keep(&r.d, &exact, left);
    }
    return r;
}

static void store(double *out, size_t i, double value)
{
    if (out != NULL) {
        out[i] = value;
    }
}

static void store_float(float *out, size_t i, float value)
{
    if (out != NULL) {
        out[i] = value;
    }
}

static float logprob_of(const kernels *k, const source *from, int32_t id, const row_result *r)
{
    return row_logprob(logits_at(k, from, id), r->max_logit, r->log_norm);
}

static lp_status compare_row(const kernels *k, const lp_logits *p_in, const lp_logits *q_in, const int32_t *token,
                             size_t i, const lp_divergence *out)
{
    const float nan = row_nan();
    const source p = logits_row(p_in, i), q = logits_row(q_in, i);
    pair_result r = compare_rows(k, &p, &q, p_in->vocab, wanted_results(out));
    const int ok = r.status == LP_OK;
    const int has_token = token != NULL && token[i] >= 0, valid = has_token && (size_t)token[i] < p_in->vocab;
    store(out->kl, i, ok ? r.d.kl : (double)nan);
    store(out->reverse_kl, i, ok ? r.d.reverse : (double)nan);
    store(out->cross_entropy, i, ok ? r.d.cross : (double)nan);
    store_float(out->max_abs_diff, i, ok ? (float)r.d.spread : nan);
    if (out->p_token_logprob != NULL) {
        out->p_token_logprob[i] = ok && valid ? logprob_of(k, &p, token[i], &r.p) : nan;
    }
    if (out->q_token_logprob != NULL) {
        out->q_token_logprob[i] = ok && valid ? logprob_of(k, &q, token[i], &r.q) : nan;
    }
    if (out->p_top != NULL) {
        out->p_top[i] = ok ? r.p.argmax : -1;
    }
    if (out->q_top != NULL) {
        out->q_top[i] = ok ? r.q.argmax : -1;
    }
    lp_status status = ok && has_token && !valid ? LP_ERR_TOKEN : r.status;
    if (out->status != NULL) {
        out->status[i] = status;
    }
    return status;
}

static lp_status check_compare(const lp_logits *p, const lp_logits *q, const int32_t *token, const lp_divergence *out)
{
    if (logits_check(p) != LP_OK || logits_check(q) != LP_OK || out == NULL || p->rows != q->rows ||
        p->vocab != q->vocab) {
        return LP_ERR_ARG;
    }
    for (size_t i = 0; i < sizeof out->reserved / sizeof *out->reserved; i++) {
        if (out->reserved[i] != NULL) {
            return LP_ERR_ARG;
        }
    }
    int wants_token = out->p_token_logprob != NULL || out->q_token_logprob != NULL;
    if (p->rows != 0 && ((wants_token && token == NULL) || size_product(p->rows, sizeof(double)) > SIZE_MAX / 2)) {
        return LP_ERR_ARG;
    }
    return LP_OK;
}

lp_status lp_compare(const lp_logits *p, const lp_logits *q, const int32_t *token, const lp_divergence *out)
{
    lp_status status = check_compare(p, q, token, out);
    if (status != LP_OK || p->rows == 0) {
        return status;
    }
    const kernels *k = dispatch();
    fp_state fp = fp_enter();
    for (size_t i = 0; i < p->rows; i++) {
        status_keep_first(&status, compare_row(k, p, q, token, i, out));
    }
    fp_leave(fp);
    return status;
}
