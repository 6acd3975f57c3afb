/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Partial sets: the math of the k log-probabilities that an API returned, in double, whatever their order. */
#include "fpenv.h"
#include "logprob.h"
#include "sleef.h"
#include "tally.h"
#include <math.h>
#include <stdbool.h>

/* Deterministic SLEEF: no dispatch, no FMA, the same bits on every CPU; each within 1 ulp of double. */
#define EXP Sleef_cinz_expd1_u10purec
#define EXPM1 Sleef_cinz_expm1d1_u10purec
#define LOG Sleef_cinz_logd1_u10purec
#define LOG1P Sleef_cinz_log1pd1_u10purec

/* Arithmetic must not move out of the section between fp_enter and fp_leave: a function that reads memory and is not
 * inlined cannot pass the memory clobber of either. */
#define FP_BODY __attribute__((noinline))

/* -0 becomes +0, so that which of two zeros came first shows nowhere */
static double widen(float x)
{
    return (double)x + 0.0;
}

/* ---- the mass of a set ------------------------------------------------------------------------------------------- */

/* The sums of one set, gathered in two passes over its entries, each in any order. One entry of the largest value is held
 * out of both: what is left of 1 comes from -expm1 of it, never from 1 - kept, and log1p(rest) keeps its last bits where
 * that entry has nearly all the mass. */
typedef struct pool {
    double top;         /* the largest entry; -inf: no mass */
    tally rest;         /* sum of exp(entry - top) over the others */
    tally minus_others; /* -sum of exp(entry) over the others */
    lp_status status;   /* LP_OK, LP_ERR_NAN, LP_ERR_INF */
    bool held;          /* second pass: the held-out entry went by */
} pool;

static void pool_init(pool *p)
{
    p->top = -INFINITY;
    p->status = LP_OK;
    p->held = false;
    tally_init(&p->rest);
    tally_init(&p->minus_others);
}

static void pool_look(pool *p, float logprob)
{
    const double x = widen(logprob);
    if (x != x) {
        p->status = LP_ERR_NAN;
    } else if (x == INFINITY) {
        p->status = p->status == LP_ERR_NAN ? LP_ERR_NAN : LP_ERR_INF;
    } else if (x > p->top) {
        p->top = x;
    }
}

/* e^x > 1 + x: one entry above the excess is beyond it, and its exp may not be finite */
static bool pool_is_open(const pool *p)
{
    return p->status == LP_OK && p->top <= LP_MASS_EXCESS;
}

static void pool_add(pool *p, float logprob)
{
    const double x = widen(logprob);
    if (x == p->top && !p->held) {
        p->held = true;
    } else if (x != -INFINITY) {
        tally_add(&p->rest, EXP(x - p->top));
        tally_add(&p->minus_others, -EXP(x));
    }
}

static void pool_all(pool *p, const float *logprob, size_t n)
{
    pool_init(p);
    for (size_t i = 0; i < n; i++) {
        pool_look(p, logprob[i]);
    }
    for (size_t i = 0; i < n && pool_is_open(p); i++) {
        pool_add(p, logprob[i]);
    }
}

/* 1 - kept, below 0 where the entries sum to more than 1: within 2^-51 (1 - e^top) */
static double pool_tail(const pool *p)
{
    if (p->top > LP_MASS_EXCESS) {
        return -INFINITY;
    }
    tally tail = p->minus_others;
    tally_add(&tail, -EXPM1(p->top));
    return tally_value(&tail);
}

static bool pool_is_over(const pool *p)
{
    return p->status == LP_OK && pool_tail(p) < -LP_MASS_EXCESS;
}

/* logsumexp of the set relative to its largest entry */
static double pool_log_norm(const pool *p)
{
    return LOG1P(tally_value(&p->rest));
}

/* of a pool that is not over */
static lp_mass pool_mass(const pool *p)
{
    if (p->status != LP_OK) {
        return (lp_mass){.log_kept = (double)NAN, .kept = (double)NAN, .tail = (double)NAN};
    }
    const double tail = pool_tail(p);
    if (tail <= 0) {
        return (lp_mass){.log_kept = 0, .kept = 1, .tail = 0};
    }
    if (tail < 0.5) {
        return (lp_mass){.log_kept = LOG1P(-tail), .kept = 1 - tail, .tail = tail};
    }
    return (lp_mass){
        .log_kept = p->top + pool_log_norm(p), .kept = EXP(p->top) * (1 + tally_value(&p->rest)), .tail = tail};
}

/* ---- lp_renormalize ---------------------------------------------------------------------------------------------- */

static void write_renormalized(const pool *p, const float *logprob, size_t n, float *out)
{
    const bool defined = p->status == LP_OK && p->top != -INFINITY;
    const double log_norm = defined ? pool_log_norm(p) : 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = defined ? (float)((widen(logprob[i]) - p->top) - log_norm) : NAN;
    }
}

FP_BODY static lp_status renormalize(const float *logprob, size_t n, float *out, lp_mass *mass)
{
    pool p;
    pool_all(&p, logprob, n);
    if (pool_is_over(&p)) {
        return LP_ERR_ARG;
    }
    if (mass) {
        *mass = pool_mass(&p);
    }
    if (out) {
        write_renormalized(&p, logprob, n, out);
    }
    return p.status == LP_OK && p.top == -INFINITY ? LP_ERR_EMPTY : p.status;
}

lp_status lp_renormalize(const float *logprob, size_t n, float *out, lp_mass *mass)
{
    if (n > 0 && !logprob) {
        return LP_ERR_ARG;
    }
    const fp_state s = fp_enter();
    const lp_status status = renormalize(logprob, n, out, mass);
    fp_leave(s);
    return status;
}

/* ---- lp_label_logprob -------------------------------------------------------------------------------------------- */

/* Labels are pooled so many at a time, which bounds the stack. */
enum { LABELS_AT_ONCE = 32 };

typedef struct labelled {
    const float *logprob;
    const int32_t *label;
    size_t n;
} labelled;

/* the pool of the label of entry i, or NULL if it is not among those at hand */
static pool *pool_of(pool *pools, size_t first, size_t count, const labelled *in, size_t i)
{
    if (in->label[i] < 0 || (size_t)in->label[i] < first || (size_t)in->label[i] - first >= count) {
        return NULL;
    }
    return &pools[(size_t)in->label[i] - first];
}

static void pool_labels(pool *pools, size_t first, size_t count, const labelled *in)
{
    for (size_t j = 0; j < count; j++) {
        pool_init(&pools[j]);
    }
    for (size_t i = 0; i < in->n; i++) {
        pool *p = pool_of(pools, first, count, in, i);
        if (p) {
            pool_look(p, in->logprob[i]);
        }
    }
    for (size_t i = 0; i < in->n; i++) {
        pool *p = pool_of(pools, first, count, in, i);
        if (p && pool_is_open(p)) {
            pool_add(p, in->logprob[i]);
        }
    }
}

/* The pools of labels first .. first + count - 1, count <= LABELS_AT_ONCE: LP_ERR_ARG, nothing written, where one is over;
 * else the status of the lowest bad one. Written only if `out` is given. */
static lp_status label_group(size_t first, size_t count, const labelled *in, float *out)
{
    pool pools[LABELS_AT_ONCE];
    pool_labels(pools, first, count, in);
    for (size_t j = 0; j < count; j++) {
        if (pool_is_over(&pools[j])) {
            return LP_ERR_ARG;
        }
    }
    lp_status status = LP_OK;
    for (size_t j = 0; j < count; j++) {
        status = status == LP_OK ? pools[j].status : status;
        if (out) {
            out[first + j] = (float)pool_mass(&pools[j]).log_kept;
        }
    }
    return status;
}

FP_BODY static lp_status label_groups(const labelled *in, size_t labels, float *out)
{
    lp_status status = LP_OK;
    for (size_t first = 0; first < labels; first += LABELS_AT_ONCE) {
        const size_t left = labels - first;
        const lp_status group = label_group(first, left < LABELS_AT_ONCE ? left : LABELS_AT_ONCE, in, out);
        if (group == LP_ERR_ARG) {
            return LP_ERR_ARG;
        }
        status = status == LP_OK ? group : status;
        if (left <= LABELS_AT_ONCE) {
            break; /* first + LABELS_AT_ONCE could wrap */
        }
    }
    return status;
}

static bool labels_are_valid(const int32_t *label, size_t n, size_t labels)
{
    for (size_t i = 0; i < n; i++) {
        if (label[i] >= 0 && (size_t)label[i] >= labels) {
            return false;
        }
    }
    return true;
}

lp_status lp_label_logprob(const float *logprob, const int32_t *label, size_t n, size_t labels, float *out)
{
    if ((n > 0 && (!logprob || !label)) || (labels > 0 && !out) || !labels_are_valid(label, n, labels)) {
        return LP_ERR_ARG;
    }
    const labelled in = {logprob, label, n};
    const fp_state s = fp_enter();
    /* a label that is over must be found before the first is written: more than one group is gone through twice */
    lp_status status = labels > LABELS_AT_ONCE ? label_groups(&in, labels, NULL) : LP_OK;
    if (status != LP_ERR_ARG) {
        status = label_groups(&in, labels, out);
    }
    fp_leave(s);
    return status;
}

/* ---- lp_partial_entropy ------------------------------------------------------------------------------------------ */

/* What is known of the whole distribution. Each logprob is taken to be within
 *     e = 2.4e-7 |logprob| + 4e-7 (1 - e^top) + 2^-126
 * of the exact one, which covers this library's own logprobs: 1.25 ulp + 2.8e-7 R/(1+R), 5.2 ulp near 0, and 0 for what is
 * above -2^-126. A probability is then within p e (1 + 2e), as e^e - 1 <= e (1 + 2e) up to e = 1, above which p is 0. */
typedef struct known {
    double entropy, entropy_slack; /* -sum p log p of the given entries */
    double tail, tail_slack;       /* mass of the missing ones */
    double missing;                /* how many there are */
    double cap;                    /* no missing one has more than this */
} known;

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double logprob_slack(double x, double top)
{
    return 2.4e-7 * fabs(x) + 4e-7 * fabs(EXPM1(top)) + 0x1p-126;
}

/* of entries that are neither NaN nor +inf and whose pool is not over */
static known known_of(const pool *p, const float *logprob, size_t n, size_t vocab)
{
    tally entropy, entropy_slack, tail_slack;
    tally_init(&entropy);
    tally_init(&entropy_slack);
    tally_init(&tail_slack);
    double least = n ? INFINITY : 0;
    for (size_t i = 0; i < n; i++) {
        const double x = widen(logprob[i]);
        least = x < least ? x : least;
        const double prob = EXP(x);
        if (prob > 0) {
            const double e = logprob_slack(x, p->top), moved = prob * e * (1 + 2 * e);
            tally_add(&entropy, -prob * x);
            tally_add(&tail_slack, moved);
            tally_add(&entropy_slack, moved * (fabs(1 + x) + e));
        }
    }
    const double e = least > -INFINITY ? logprob_slack(least, p->top) : 0;
    const double cap = EXP(least) * (1 + 2 * e);
    return (known){.entropy = tally_value(&entropy),
                   .entropy_slack = tally_value(&entropy_slack),
                   .tail = pool_tail(p),
                   .tail_slack = n ? tally_value(&tail_slack) : 0,
                   .missing = (double)(vocab - n),
                   .cap = cap < 1 ? cap : 1};
}

/* -p log p */
static double term(double p)
{
    return p > 0 ? -p * LOG(p) : 0;
}

/* whole part, of what is below 2^63 */
static double whole(double x)
{
    return (double)(int64_t)x;
}

/* The least entropy of tokens that share `mass` with at most `cap` each: as many at the cap as fit, one with what is left.
 * (-p log p is concave: moving mass from the smaller of two to the larger lowers the sum until one is at 0 or the cap.) */
static double concentrated(double mass, double cap)
{
    const double full = whole(mass / cap), left = mass - full * cap;
    return full * term(cap) + term(left);
}

/* The least of concentrated() over masses low .. high. Between multiples of the cap it is concave, and it grows from one
 * multiple to the next: the ends and the first multiple between them are all the candidates. */
static double least_tail_entropy(double low, double high, double cap)
{
    if (!(cap > 0)) {
        return 0;
    }
    const double multiple = cap * (whole(low / cap) + 1);
    double least = smaller(concentrated(low, cap), concentrated(high, cap));
    return multiple <= high ? smaller(least, concentrated(multiple, cap)) : least;
}

/* The most that `missing` tokens can have: an even share each, and the mass of low .. high for which that is largest. */
static double most_tail_entropy(double low, double high, double missing)
{
    const double best = missing * 0x1.78b56362cef38p-2; /* 1/e each */
    const double mass = best < low ? low : best > high ? high : best;
    return mass > 0 ? mass * LOG(missing / mass) : 0;
}

typedef struct bounds {
    double lower, upper;
} bounds;

static lp_status entropy_bounds(const pool *p, const float *logprob, size_t n, size_t vocab, bounds *out)
{
    const known k = known_of(p, logprob, n, vocab);
    const double room = smaller(k.missing * k.cap, 1);
    double low = larger(k.tail - k.tail_slack, 0);
    if (low > room + LP_MASS_EXCESS) {
        return LP_ERR_ARG;
    }
    const double high = smaller(larger(k.tail + k.tail_slack, 0), room);
    low = smaller(low, high);
    const double lower = k.entropy - k.entropy_slack + least_tail_entropy(low, high, k.cap);
    const double upper = k.entropy + k.entropy_slack + most_tail_entropy(low, high, k.missing);
    /* the factors cover the rounding of the sums above */
    out->upper = larger(smaller(upper, LOG((double)vocab)), 0) * (1 + 0x1p-44);
    /* entries that sum to more than 1 may have more entropy than there is */
    out->lower = smaller(larger(lower, 0) * (1 - 0x1p-44), out->upper);
    return LP_OK;
}

FP_BODY static lp_status partial_entropy(const float *logprob, size_t n, size_t vocab, double *lower, double *upper)
{
    bounds b = {(double)NAN, (double)NAN};
    pool p;
    pool_all(&p, logprob, n);
    lp_status status = p.status;
    if (status == LP_OK && ((n > 0 && p.top == -INFINITY) || vocab == 0)) {
        status = LP_ERR_EMPTY;
    }
    if (status == LP_OK) {
        if (pool_is_over(&p) || entropy_bounds(&p, logprob, n, vocab, &b) != LP_OK) {
            return LP_ERR_ARG;
        }
    }
    if (lower) {
        *lower = b.lower;
    }
    if (upper) {
        *upper = b.upper;
    }
    return status;
}

lp_status lp_partial_entropy(const float *logprob, size_t n, size_t vocab, double *lower, double *upper)
{
    if ((n > 0 && !logprob) || n > vocab || vocab > INT32_MAX) {
        return LP_ERR_ARG;
    }
    const fp_state s = fp_enter();
    const lp_status status = partial_entropy(logprob, n, vocab, lower, upper);
    fp_leave(s);
    return status;
}

/* ---- lp_exp ------------------------------------------------------------------------------------------------------ */

FP_BODY static lp_status exp_all(const float *logprob, size_t n, float *prob)
{
    lp_status status = LP_OK;
    for (size_t i = 0; i < n; i++) {
        const float x = logprob[i];
        const lp_status bad = x != x ? LP_ERR_NAN : x == INFINITY ? LP_ERR_INF : LP_OK;
        status = status == LP_OK ? bad : status;
        prob[i] = bad == LP_OK ? (float)EXP((double)x) : NAN;
    }
    return status;
}

lp_status lp_exp(const float *logprob, size_t n, float *prob)
{
    if (n > 0 && (!logprob || !prob)) {
        return LP_ERR_ARG;
    }
    const fp_state s = fp_enter();
    const lp_status status = exp_all(logprob, n, prob);
    fp_leave(s);
    return status;
}
