/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The output of `logprob compare`: the statistics of llama-perplexity --kl-divergence, as table or JSON, or rows as CSV. */
#include "comparing.h"
#include "fault.h"
#include "jsonout.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is left when the rows without a result are out: samples of `n` values each. */
typedef struct samples {
    size_t n;
    double *kl, *reverse_kl, *cross_entropy, *sorted_kl;
    double *a_nll, *b_nll, *change,
        *sorted_change; /* of the token, with tokens only; change of probability in percent */
    double max_abs_diff;
    size_t same_top, worst_row;
} samples;

typedef struct summary {
    estimate kl, reverse_kl, cross_entropy, same_top;
    estimate a_perplexity, b_perplexity, log_ratio, ratio, difference, change, rms_change;
    double correlation;
} summary;

static void add_row(samples *s, const comparing *c, size_t row)
{
    size_t i = s->n++;
    if (i == 0 || c->kl[row] > c->kl[s->worst_row])
        s->worst_row = row;
    s->kl[i] = s->sorted_kl[i] = c->kl[row];
    s->reverse_kl[i] = c->reverse_kl[row];
    s->cross_entropy[i] = c->cross_entropy[row];
    s->max_abs_diff = fmax(s->max_abs_diff, (double)c->max_abs_diff[row]);
    s->same_top += c->a_top[row] == c->b_top[row];
    if (c->token) {
        s->a_nll[i] = -(double)c->a_logprob[row];
        s->b_nll[i] = -(double)c->b_logprob[row];
        s->change[i] = s->sorted_change[i] = 100 * (exp((double)c->b_logprob[row]) - exp((double)c->a_logprob[row]));
    }
}

static samples take_samples(const comparing *c)
{
    samples s = {0};
    double **arrays[] = {&s.kl,    &s.reverse_kl, &s.cross_entropy, &s.sorted_kl,
                         &s.a_nll, &s.b_nll,      &s.change,        &s.sorted_change};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        *arrays[i] = need(c->rows, sizeof(double));
    for (size_t row = 0; row < c->rows; row++)
        if (c->status[row] == LP_OK)
            add_row(&s, c, row);
    sort_values(s.sorted_kl, s.n);
    if (c->token)
        sort_values(s.sorted_change, s.n);
    return s;
}

static void free_samples(samples *s)
{
    double *arrays[] = {s->kl,    s->reverse_kl, s->cross_entropy, s->sorted_kl,
                        s->a_nll, s->b_nll,      s->change,        s->sorted_change};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
}

static estimate times(double factor, estimate e)
{
    return (estimate){factor * e.value, fabs(factor) * e.error};
}

/* Errors propagate to first order; the two models saw the same tokens, so their covariance counts. */
static void add_perplexities(summary *out, const samples *s)
{
    estimate a = mean_of(s->a_nll, s->n), b = mean_of(s->b_nll, s->n);
    double shared = covariance_of_means(s->a_nll, s->b_nll, s->n), pa = exp(a.value), pb = exp(b.value);
    out->a_perplexity = (estimate){pa, pa * a.error};
    out->b_perplexity = (estimate){pb, pb * b.error};
    out->correlation = shared / (a.error * b.error);
    out->log_ratio = (estimate){b.value - a.value, sqrt(fmax(0, a.error * a.error + b.error * b.error - 2 * shared))};
    out->ratio.value = exp(out->log_ratio.value);
    out->ratio.error = out->ratio.value * out->log_ratio.error;
    out->difference.value = pb - pa;
    out->difference.error =
        sqrt(fmax(0, pb * pb * b.error * b.error + pa * pa * a.error * a.error - 2 * pa * pb * shared));
    out->change = mean_of(s->change, s->n);
    out->rms_change = rms_of(s->change, s->n);
}

static summary summarize(const comparing *c, const samples *s)
{
    summary out = {.kl = mean_of(s->kl, s->n),
                   .reverse_kl = mean_of(s->reverse_kl, s->n),
                   .cross_entropy = mean_of(s->cross_entropy, s->n)};
    double same = (double)s->same_top / (double)s->n;
    out.same_top = times(100, (estimate){same, sqrt(same * (1 - same) / ((double)s->n - 1))});
    if (c->token)
        add_perplexities(&out, s);
    return out;
}

static const double percents[] = {99.9, 99, 95, 90, 50, 10, 5, 1, 0.1};
enum { PERCENTS = sizeof percents / sizeof *percents };

/* ---- table ---- */

/* Padded by characters: a delta has two bytes. */
static void table_name(const char *name)
{
    int width = 30;
    for (const char *c = name; *c; c++)
        width += ((unsigned char)*c & 0xc0) == 0x80;
    printf("%-*s", width, name);
}

static void table_estimate(const char *name, estimate e, const char *unit)
{
    table_name(name);
    printf(" %12.6f ± %10.6f%s\n", e.value, e.error, unit);
}

static void table_value(const char *name, double value, const char *unit)
{
    table_name(name);
    printf(" %12.6f%s\n", value, unit);
}

static void table_percentiles(const char *what, const double *sorted, size_t n, const char *unit)
{
    char name[64];
    for (int i = 0; i < PERCENTS; i++) {
        if (percents[i] == 50)
            snprintf(name, sizeof name, "Median  %s", what);
        else
            snprintf(name, sizeof name, "%4.1f%%   %s", percents[i], what);
        table_value(name, percentile(sorted, n, percents[i]), unit);
    }
}

static void table_perplexities(const summary *u)
{
    printf("====== Perplexity ======\n");
    table_estimate("Mean PPL(B)", u->b_perplexity, "");
    table_estimate("Mean PPL(A)", u->a_perplexity, "");
    table_value("Cor(ln(PPL(B)), ln(PPL(A)))", 100 * u->correlation, " %");
    table_estimate("Mean ln(PPL(B)/PPL(A))", u->log_ratio, "");
    table_estimate("Mean PPL(B)/PPL(A)", u->ratio, "");
    table_estimate("Mean PPL(B)-PPL(A)", u->difference, "");
    putchar('\n');
}

static void table_changes(const summary *u, const samples *s)
{
    printf("\n====== Probability of the true token ======\n");
    table_estimate("Mean    Δp", u->change, " %");
    table_value("Maximum Δp", percentile(s->sorted_change, s->n, 100), " %");
    table_percentiles("Δp", s->sorted_change, s->n, " %");
    table_value("Minimum Δp", percentile(s->sorted_change, s->n, 0), " %");
    table_estimate("RMS Δp", u->rms_change, " %");
}

static void table_print(const comparing *c, const samples *s, const summary *u)
{
    printf("rows %zu, vocabulary %zu; A = ", c->rows, c->columns);
    print_escaped(stdout, (text){c->a, strlen(c->a)});
    printf(", B = ");
    print_escaped(stdout, (text){c->b, strlen(c->b)});
    printf("\n\n");
    if (c->token)
        table_perplexities(u);
    printf("====== KL divergence KL(A||B), nats ======\n");
    table_estimate("Mean    KLD", u->kl, "");
    table_value("Maximum KLD", percentile(s->sorted_kl, s->n, 100), "");
    table_percentiles("KLD", s->sorted_kl, s->n, "");
    table_value("Minimum KLD", percentile(s->sorted_kl, s->n, 0), "");
    if (s->n)
        printf("%-30s %12zu\n", "Row of the maximum", s->worst_row);
    table_estimate("Mean KL(B||A)", u->reverse_kl, "");
    table_estimate("Mean cross-entropy of A and B", u->cross_entropy, "");
    table_value("Maximum |logprob difference|", s->max_abs_diff, "");
    if (c->token)
        table_changes(u, s);
    putchar('\n');
    table_estimate("Same top", u->same_top, " %");
    if (c->failed_rows)
        printf("%-30s %12zu\n", "Rows without a result", c->failed_rows);
}

/* ---- JSON ---- */

static void put_estimate(json_t *object, const char *key, estimate e)
{
    json_t *one = json_made(json_object());
    json_put(one, "value", json_number(e.value));
    json_put(one, "error", json_number(e.error));
    json_put(object, key, one);
}

static json_t *json_distribution(estimate mean, const double *sorted, size_t n)
{
    json_t *object = json_made(json_object()), *list = json_made(json_object());
    char key[16];
    for (int i = 0; i < PERCENTS; i++) {
        snprintf(key, sizeof key, "%g", percents[i]);
        json_put(list, key, json_number(percentile(sorted, n, percents[i])));
    }
    put_estimate(object, "mean", mean);
    json_put(object, "max", json_number(percentile(sorted, n, 100)));
    json_put(object, "percentiles", list);
    json_put(object, "min", json_number(percentile(sorted, n, 0)));
    return object;
}

static void json_perplexities(json_t *object, const samples *s, const summary *u)
{
    json_t *change = json_distribution(u->change, s->sorted_change, s->n);
    put_estimate(change, "rms", u->rms_change);
    put_estimate(object, "perplexity_a", u->a_perplexity);
    put_estimate(object, "perplexity_b", u->b_perplexity);
    json_put(object, "log_perplexity_correlation", json_number(u->correlation));
    put_estimate(object, "log_perplexity_ratio", u->log_ratio);
    put_estimate(object, "perplexity_ratio", u->ratio);
    put_estimate(object, "perplexity_difference", u->difference);
    json_put(object, "delta_p_percent", change);
}

static void json_print(const comparing *c, const samples *s, const summary *u)
{
    json_t *object = json_made(json_object());
    json_put(object, "a", json_text((text){c->a, strlen(c->a)}));
    json_put(object, "b", json_text((text){c->b, strlen(c->b)}));
    json_put(object, "rows", json_made(json_integer((json_int_t)c->rows)));
    json_put(object, "vocab", json_made(json_integer((json_int_t)c->columns)));
    json_put(object, "failed_rows", json_made(json_integer((json_int_t)c->failed_rows)));
    json_put(object, "kl", json_distribution(u->kl, s->sorted_kl, s->n));
    json_put(object, "max_kl_row", s->n ? json_made(json_integer((json_int_t)s->worst_row)) : json_null());
    put_estimate(object, "reverse_kl", u->reverse_kl);
    put_estimate(object, "cross_entropy", u->cross_entropy);
    json_put(object, "max_abs_diff", json_number(s->max_abs_diff));
    put_estimate(object, "same_top_percent", u->same_top);
    if (c->token)
        json_perplexities(object, s, u);
    json_write(stdout, object, DIGITS_DOUBLE);
    putchar('\n');
}

/* ---- CSV: the rows ---- */

static void csv_print(const comparing *c)
{
    printf("row,%skl,reverse_kl,cross_entropy,max_abs_diff,%sa_top,b_top,status\n", c->token ? "token_id," : "",
           c->token ? "a_logprob,b_logprob," : "");
    for (size_t row = 0; row < c->rows; row++) {
        printf("%zu,", row);
        if (c->token)
            printf("%" PRId32 ",", c->token[row]);
        printf("%.17g,%.17g,%.17g,%.9g,", c->kl[row], c->reverse_kl[row], c->cross_entropy[row],
               (double)c->max_abs_diff[row]);
        if (c->token)
            printf("%.9g,%.9g,", (double)c->a_logprob[row], (double)c->b_logprob[row]);
        printf("%" PRId32 ",%" PRId32 ",%s\n", c->a_top[row], c->b_top[row], c->status[row] == LP_OK ? "ok" : "failed");
    }
}

void comparing_print(const comparing *c)
{
    if (c->form == FORMAT_CSV) {
        csv_print(c);
        return;
    }
    samples s = take_samples(c);
    summary u = summarize(c, &s);
    if (c->form == FORMAT_JSON)
        json_print(c, &s, &u);
    else
        table_print(c, &s, &u);
    free_samples(&s);
}
