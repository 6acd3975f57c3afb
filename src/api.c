/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The public functions that read rows of logits: arguments in, rows through the kernels, results and status out. */
#include "fpenv.h"
#include "logits.h"
#include <math.h>

#define TEXT(x) #x
#define VERSION_TEXT(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *lp_version(void)
{
    return VERSION_TEXT(LP_VERSION_MAJOR, LP_VERSION_MINOR, LP_VERSION_PATCH);
}

const char *lp_status_string(lp_status status)
{
    static const char *const text[] = {
        "ok",
        "invalid argument",
        "token id not below vocab",
        "a logit is NaN",
        "a logit is +infinity",
        "a row without mass: every logit is -infinity, or there is none",
        "not enough space",
        "not supported by this build, CPU or version",
        "the stream state is damaged, foreign or does not fit",
    };
    return status >= 0 && status < (lp_status)(sizeof text / sizeof *text) ? text[status] : "unknown status";
}

/* one result a row */
typedef void row_store(float *out, const row_result *result);

static void store_logsumexp(float *out, const row_result *result)
{
    *out = result->logsumexp;
}

static void store_entropy(float *out, const row_result *result)
{
    *out = result->entropy;
}

static lp_status each_row(const lp_logits *in, float *out, int entropy, row_store *store)
{
    lp_status status = logits_check(in);
    if (status != LP_OK || in->rows == 0) {
        return status;
    }
    if (out == NULL) {
        return LP_ERR_ARG;
    }
    const kernels *k = dispatch();
    fp_state fp = fp_enter();
    for (size_t i = 0; i < in->rows; i += ROW_SOME) {
        size_t n = in->rows - i < ROW_SOME ? in->rows - i : ROW_SOME;
        row_result results[ROW_SOME];
        logits_scan_some(k, in, i, n, entropy, results);
        for (size_t j = 0; j < n; j++) {
            store(out + i + j, results + j);
            status_keep_first(&status, results[j].status);
        }
    }
    fp_leave(fp);
    return status;
}

lp_status lp_logsumexp(const lp_logits *in, float *out)
{
    return each_row(in, out, 0, store_logsumexp);
}

lp_status lp_entropy(const lp_logits *in, float *out)
{
    return each_row(in, out, 1, store_entropy);
}

static void fill_nan(float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = row_nan();
    }
}

static lp_status check_dense(const lp_logits *in, const float *out, size_t out_stride)
{
    size_t stride = out_stride == 0 ? in->vocab : out_stride;
    if (stride < in->vocab || (out == NULL && in->vocab != 0) ||
        size_product(size_product(in->rows, stride), sizeof *out) > SIZE_MAX / 2) {
        return LP_ERR_ARG;
    }
    return LP_OK;
}

/* Instructions pass a NaN's payload on, or replace it, as the CPU and the order of operands have it. */
static void nans_canonical(float *x, size_t n)
{
    const float nan = row_nan();
    for (size_t i = 0; i < n; i++) {
        x[i] = x[i] != x[i] ? nan : x[i];
    }
}

lp_status lp_transform(const lp_logits *in, float *out, size_t out_stride)
{
    lp_status status = logits_check(in);
    if (status != LP_OK || in->rows == 0) {
        return status;
    }
    if (check_dense(in, out, out_stride) != LP_OK) {
        return LP_ERR_ARG;
    }
    const kernels *k = dispatch();
    fp_state fp = fp_enter();
    for (size_t i = 0; i < in->rows; i++) {
        source row_source = logits_row(in, i);
        float *row_out = out + i * (out_stride == 0 ? in->vocab : out_stride);
        for (size_t at = 0; at < in->vocab; at += LP_BLOCK) {
            float block[LP_BLOCK];
            size_t n = in->vocab - at < LP_BLOCK ? in->vocab - at : LP_BLOCK;
            source part = source_at(&row_source, at);
            k->prepare(block, &part, n);
            nans_canonical(block, n);
            memcpy(row_out + at, block, n * sizeof *block);
        }
    }
    fp_leave(fp);
    return LP_OK;
}

lp_status lp_log_softmax(const lp_logits *in, float *out, size_t out_stride)
{
    lp_status status = logits_check(in);
    if (status != LP_OK || in->rows == 0) {
        return status;
    }
    if (check_dense(in, out, out_stride) != LP_OK) {
        return LP_ERR_ARG;
    }
    /* more than what a core has of its last-level cache, as a rule: reading lines only to overwrite them is saved */
    enum { CACHE_SHARE = 16 << 20 };
    int past_cache = size_product(in->rows, in->vocab) > CACHE_SHARE / sizeof *out && out != in->data;
    size_t stride = out_stride == 0 ? in->vocab : out_stride;
    const kernels *k = dispatch();
    fp_state fp = fp_enter();
    const size_t some = logits_some(in);
    for (size_t i = 0; i < in->rows; i += some) {
        size_t n = in->rows - i < some ? in->rows - i : some;
        row_result results[ROW_SOME];
        logits_scan_some(k, in, i, n, 0, results);
        for (size_t j = 0; j < n; j++) {
            float *row_out = out + (i + j) * stride;
            if (results[j].status == LP_OK) {
                source from = logits_row(in, i + j);
                k->dense(row_out, &from, in->vocab, results[j].max_logit, results[j].log_norm, past_cache);
            } else if (in->vocab != 0) {
                fill_nan(row_out, in->vocab);
            }
            status_keep_first(&status, results[j].status);
        }
    }
    fp_leave(fp);
    return status;
}

/* turns the logits of a finished list into log-probabilities, and fills what the row had not */
static void finish_top(topk *top, const row_result *result, float *logprob, int32_t *token)
{
    size_t n = result->status == LP_OK ? top->n : 0;
    topk_sort(top);
    for (size_t i = 0; i < n; i++) {
        logprob[i] = row_logprob(logprob[i], result->max_logit, result->log_norm);
    }
    for (size_t i = n; i < top->k; i++) {
        logprob[i] = result->status == LP_OK ? -INFINITY : row_nan();
        token[i] = -1;
    }
}

/* the logprob of one id; TOKEN where it is not below vocab */
static float token_logprob(const kernels *k, const source *from, size_t vocab, int32_t id, const row_result *result,
                           lp_status *status)
{
    if (id >= 0 && (size_t)id >= vocab) {
        status_keep_first(status, LP_ERR_TOKEN);
        return row_nan();
    }
    if (id < 0 || result->status != LP_OK) {
        return row_nan();
    }
    return row_logprob(logits_at(k, from, id), result->max_logit, result->log_norm);
}

lp_status lp_topk(const lp_logits *in, size_t k, float *logprob, int32_t *token)
{
    lp_scores out = {0};
    if (k == 0) {
        return lp_score(in, NULL, 0, &out);
    }
    if (in != NULL && in->rows != 0 && (logprob == NULL || token == NULL)) {
        return LP_ERR_ARG;
    }
    out.top_logprob = logprob;
    out.top_token = token;
    return lp_score(in, NULL, k, &out);
}

lp_status lp_gather(const lp_logits *in, const int32_t *token, size_t n, float *logprob)
{
    if (in != NULL && in->rows != 0 && n != 0 && (token == NULL || logprob == NULL)) {
        return LP_ERR_ARG;
    }
    lp_scores out = {0};
    out.tokens_per_row = n;
    out.token_logprob = n == 0 ? NULL : logprob;
    return lp_score(in, n == 0 ? NULL : token, 0, &out);
}

static lp_status check_scores(const lp_logits *in, const int32_t *token, size_t k, const lp_scores *out)
{
    lp_status status = logits_check(in);
    if (status != LP_OK) {
        return status;
    }
    if (out == NULL || out->reserved[0] != NULL || out->reserved[1] != NULL || out->reserved[2] != NULL ||
        out->reserved[3] != NULL || (out->top_stride != 0 && out->top_stride < k)) {
        return LP_ERR_ARG;
    }
    if (in->rows == 0) {
        return LP_OK;
    }
    int wants_token = out->token_logprob != NULL || out->token_rank != NULL || out->token_rank_ties != NULL;
    size_t tokens = out->tokens_per_row == 0 ? 1 : out->tokens_per_row;
    size_t top_stride = out->top_stride == 0 ? k : out->top_stride;
    if ((wants_token && token == NULL) || (out->top_logprob == NULL) != (out->top_token == NULL) ||
        size_product(size_product(in->rows, tokens), 4) > SIZE_MAX / 2 ||
        size_product(size_product(in->rows, top_stride), 4) > SIZE_MAX / 2) {
        return LP_ERR_ARG;
    }
    return LP_OK;
}

/* of up to ROW_SOME rows at a time: what each is read for, and what has been found */
typedef struct score_work {
    scan job[ROW_SOME];
    source from[ROW_SOME];
    topk top[ROW_SOME];
    row_result result[ROW_SOME];
} score_work;

static void score_begin(score_work *w, size_t at, const lp_logits *in, const kernels *kernel, const int32_t *token,
                        size_t k, const lp_scores *out, size_t i)
{
    const size_t tokens = out->tokens_per_row == 0 ? 1 : out->tokens_per_row;
    const size_t top_stride = out->top_stride == 0 ? k : out->top_stride;
    const int32_t *ids = token == NULL ? NULL : token + i * tokens;
    const int ranked = ids != NULL && (out->token_rank != NULL || out->token_rank_ties != NULL);
    scan job = {NULL, NULL, 0, 0, 0, 0};
    w->from[at] = logits_row(in, i);
    if (out->top_token != NULL && k != 0) {
        w->top[at] = topk_new(out->top_logprob + i * top_stride, out->top_token + i * top_stride, k);
        job.top = w->top + at;
    }
    if (ranked && ids[0] >= 0 && (size_t)ids[0] < in->vocab) {
        job.rank = (out->token_rank != NULL ? SCAN_ABOVE : 0) | (out->token_rank_ties != NULL ? SCAN_NOT_BELOW : 0);
        job.token_logit = logits_at(kernel, w->from + at, ids[0]);
    }
    w->job[at] = job;
}

/* list and rank of n short rows whose results are known */
static void score_pick(score_work *w, const kernels *kernel, size_t vocab, size_t n)
{
    size_t ok = 0, wanted = 0;
    for (size_t i = 0; i < n; i++) {
        ok += w->result[i].status == LP_OK;
        wanted += w->job[i].top != NULL || w->job[i].rank != 0;
    }
    if (ok == n && wanted != 0) {
        kernel->pick_short(w->job, w->from, n, vocab);
        return;
    }
    for (size_t i = 0; i < n && wanted != 0; i++) {
        if (w->result[i].status == LP_OK) {
            kernel->pick_short(w->job + i, w->from + i, 1, vocab);
        }
    }
}

/* The outputs of one row, each at its place; what is not wanted stays NULL. */
static lp_status score_end(score_work *w, size_t at, const lp_logits *in, const kernels *kernel, const int32_t *token,
                           size_t k, const lp_scores *out, size_t i)
{
    const size_t tokens = out->tokens_per_row == 0 ? 1 : out->tokens_per_row;
    const size_t top_stride = out->top_stride == 0 ? k : out->top_stride;
    const int32_t *ids = token == NULL ? NULL : token + i * tokens;
    const row_result result = w->result[at];
    scan job = w->job[at];
    if (job.token_logit == -INFINITY) {
        job.not_below = in->vocab; /* blocks without mass were not looked at */
    }

    lp_status status = result.status;
    if (job.top != NULL) {
        finish_top(job.top, &result, out->top_logprob + i * top_stride, out->top_token + i * top_stride);
    }
    for (size_t t = 0; ids != NULL && t < tokens; t++) {
        float logprob = token_logprob(kernel, w->from + at, in->vocab, ids[t], &result, &status);
        if (out->token_logprob != NULL) {
            out->token_logprob[i * tokens + t] = logprob;
        }
    }
    int has_rank = job.rank && result.status == LP_OK;
    if (out->token_rank != NULL) {
        out->token_rank[i] = has_rank ? (int32_t)(job.above + 1) : 0;
    }
    if (out->token_rank_ties != NULL) {
        out->token_rank_ties[i] = has_rank ? (int32_t)job.not_below : 0;
    }
    float *const value[] = {out->logsumexp, out->entropy, out->max_logit, out->log_norm};
    const float from_row[] = {result.logsumexp, result.entropy, result.max_logit, result.log_norm};
    for (size_t v = 0; v < sizeof value / sizeof *value; v++) {
        if (value[v] != NULL) {
            value[v][i] = from_row[v];
        }
    }
    if (out->status != NULL) {
        out->status[i] = status;
    }
    return status;
}

lp_status lp_score(const lp_logits *in, const int32_t *token, size_t k, const lp_scores *out)
{
    lp_status status = check_scores(in, token, k, out);
    if (status != LP_OK || in->rows == 0) {
        return status;
    }
    const kernels *kernel = dispatch();
    fp_state fp = fp_enter();
    const int is_short = logits_short(in);
    const size_t some = is_short ? ROW_SOME : 1;
    score_work w;
    for (size_t i = 0; i < in->rows; i += some) {
        const size_t n = in->rows - i < some ? in->rows - i : some;
        for (size_t j = 0; j < n; j++) {
            score_begin(&w, j, in, kernel, token, k, out, i + j);
        }
        if (is_short) {
            logits_scan_some(kernel, in, i, n, out->entropy != NULL, w.result);
            score_pick(&w, kernel, in->vocab, n);
        } else {
            row sums;
            row_init(&sums, out->entropy != NULL);
            w.job[0].row = &sums;
            kernel->scan(w.job, w.from, in->vocab, 0);
            w.result[0] = row_finish(&sums);
        }
        for (size_t j = 0; j < n; j++) {
            status_keep_first(&status, score_end(&w, j, in, kernel, token, k, out, i + j));
        }
    }
    fp_leave(fp);
    return status;
}
