/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sequences: sums of token logprobs over ragged batches, and what follows from them. */
#include "fpenv.h"
#include "logits.h"
#include "sleef.h"
#include "tally.h"
#include <math.h>
#include <stdbool.h>

/* See partial.c: keeps the arithmetic between fp_enter and fp_leave. */
#define FP_BODY __attribute__((noinline))

/* What has been seen of one sequence's kept rows. */
typedef struct run {
    tally sum; /* of the finite logprobs */
    uint64_t tokens, argmin;
    float min;
    lp_status status;
    bool impossible; /* a logprob of -inf */
    bool greedy, greedy_known;
} run;

static void run_init(run *r, bool greedy_known)
{
    tally_init(&r->sum);
    r->tokens = 0;
    r->argmin = UINT64_MAX;
    r->min = INFINITY;
    r->status = LP_OK;
    r->impossible = false;
    r->greedy = true;
    r->greedy_known = greedy_known;
}

/* within a sequence NAN > INF > EMPTY > TOKEN */
static int severity(lp_status status)
{
    return status == LP_ERR_NAN ? 4 : status == LP_ERR_INF ? 3 : status == LP_ERR_EMPTY ? 2 : status != LP_OK;
}

static void run_fault(run *r, lp_status status)
{
    r->status = severity(status) > severity(r->status) ? status : r->status;
}

static void run_add(run *r, uint64_t t, float logprob)
{
    r->tokens++;
    if (logprob != logprob) {
        run_fault(r, LP_ERR_NAN);
        return;
    }
    if (logprob == INFINITY) {
        run_fault(r, LP_ERR_INF);
        return;
    }
    if (logprob == -INFINITY) {
        r->impossible = true;
    } else {
        tally_add(&r->sum, (double)logprob);
    }
    if (logprob < r->min) {
        r->min = logprob + 0.0f; /* -0 becomes +0 */
        r->argmin = t;
    }
}

static void run_finish(const run *r, lp_sequence *out)
{
    *out = (lp_sequence){.logprob = 0,
                         .mean = (double)NAN,
                         .perplexity = (double)NAN,
                         .tokens = r->tokens,
                         .argmin = UINT64_MAX,
                         .min = NAN,
                         .greedy = 1,
                         .status = r->status};
    if (r->status != LP_OK) {
        out->logprob = (double)NAN;
        out->greedy = -1;
    } else if (r->tokens > 0) {
        out->logprob = r->impossible ? -INFINITY : tally_value(&r->sum);
        out->mean = out->logprob / (double)r->tokens;
        out->perplexity = Sleef_cinz_expd1_u10purec(-out->mean);
        out->argmin = r->argmin;
        out->min = r->min;
        out->greedy = r->greedy_known ? r->greedy : -1;
    }
}

static bool offsets_are_valid(const size_t *offset, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (offset[i + 1] < offset[i]) {
            return false;
        }
    }
    return true;
}

/* ---- lp_sequence_sum --------------------------------------------------------------------------------------------- */

FP_BODY static lp_status sum_all(const float *token_logprob, const uint8_t *keep, const size_t *offset, size_t n,
                                 lp_sequence *out)
{
    lp_status status = LP_OK;
    for (size_t i = 0; i < n; i++) {
        run r;
        run_init(&r, false);
        for (size_t t = offset[i]; t < offset[i + 1]; t++) {
            if (!keep || keep[t]) {
                run_add(&r, t, token_logprob[t]);
            }
        }
        run_finish(&r, &out[i]);
        status_keep_first(&status, r.status);
    }
    return status;
}

lp_status lp_sequence_sum(const float *token_logprob, const uint8_t *keep, const size_t *offset, size_t n,
                          lp_sequence *out)
{
    if (n == 0) {
        return LP_OK;
    }
    if (!offset || !out || !offsets_are_valid(offset, n) || (!token_logprob && offset[n] > offset[0])) {
        return LP_ERR_ARG;
    }
    const fp_state s = fp_enter();
    const lp_status status = sum_all(token_logprob, keep, offset, n, out);
    fp_leave(s);
    return status;
}

/* ---- lp_sequence_score ------------------------------------------------------------------------------------------- */

typedef struct positions {
    const lp_logits *in;
    const int32_t *token;
    const uint8_t *keep;
    const kernels *kernel;
} positions;

static float score_one(const positions *p, size_t t, const row_result *result, run *r)
{
    const int32_t id = p->token[t];
    if (result->status != LP_OK || (size_t)id >= p->in->vocab) {
        r->tokens++;
        run_fault(r, result->status != LP_OK ? result->status : LP_ERR_TOKEN);
        return row_nan();
    }
    const source from = logits_row(p->in, t);
    const float logprob = row_logprob(logits_at(p->kernel, &from, id), result->max_logit, result->log_norm);
    r->greedy = r->greedy && id == result->argmax;
    run_add(r, t, logprob);
    return logprob;
}

/* how many positions from t on to score at once: short rows, as far as none before `end` is left out; 0: t is left out itself */
static size_t scored_from(const positions *p, size_t t, size_t end)
{
    const size_t some = logits_some(p->in), most = end - t < some ? end - t : some;
    size_t n = 0;
    while (n < most && (!p->keep || p->keep[t + n]) && p->token[t + n] >= 0) {
        n++;
    }
    return n;
}

FP_BODY static lp_status score_all(const positions *p, const size_t *offset, size_t n, lp_sequence *out,
                                   float *token_logprob)
{
    lp_status status = LP_OK;
    for (size_t t = 0; token_logprob && t < p->in->rows; t++) {
        token_logprob[t] = row_nan();
    }
    for (size_t i = 0; i < n; i++) {
        run r;
        run_init(&r, true);
        for (size_t t = offset[i]; t < offset[i + 1];) {
            const size_t some = scored_from(p, t, offset[i + 1]);
            row_result results[ROW_SOME];
            if (some > 0) {
                logits_scan_some(p->kernel, p->in, t, some, 0, results);
            }
            for (size_t j = 0; j < some; j++) {
                const float logprob = score_one(p, t + j, results + j, &r);
                if (token_logprob) {
                    token_logprob[t + j] = logprob;
                }
            }
            t += some > 0 ? some : 1;
        }
        run_finish(&r, &out[i]);
        status_keep_first(&status, r.status);
    }
    return status;
}

lp_status lp_sequence_score(const lp_logits *in, const int32_t *token, const uint8_t *keep, const size_t *offset,
                            size_t n, lp_sequence *out, float *token_logprob)
{
    lp_status status = logits_check(in);
    if (status != LP_OK || in->rows == 0 || n == 0) {
        return status;
    }
    if (!token || !offset || !out || !offsets_are_valid(offset, n) || offset[n] > in->rows) {
        return LP_ERR_ARG;
    }
    const positions p = {in, token, keep, dispatch()};
    const fp_state s = fp_enter();
    status = score_all(&p, offset, n, out, token_logprob);
    fp_leave(s);
    return status;
}
