/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The output of `logprob score`: table, JSON in the shape of the OpenAI chat API, CSV. */
#include "scoring.h"
#include "jsonout.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void print_word(const scoring *s, int32_t id)
{
    text t = vocab_text(&s->words, id);
    if (t.bytes)
        print_quoted(stdout, t);
    else
        printf("%" PRId32, id);
}

/* ---- table ---- */

static void table_begin(const scoring *s)
{
    printf("%8s %8s %12s %9s %8s %9s", "row", "id", "logprob", "prob", "rank", "entropy");
    if (s->words.known)
        printf("  token");
    if (s->top)
        printf("  top %zu", s->top);
    putchar('\n');
}

static void table_row(const scoring *s, size_t row, const float *top_logprob, const int32_t *top_token)
{
    double logprob = (double)s->logprob[row];
    int level = s->colour ? surprise_level(logprob) : 0;
    printf("%8zu %8" PRId32 " ", row, s->token[row]);
    colour_start(stdout, level);
    printf("%12.6f %8.3f%%", logprob, 100 * exp(logprob));
    colour_end(stdout, level);
    printf(" %8" PRId32 " %9.6f", s->rank[row], (double)s->entropy[row]);
    if (s->words.known) {
        fputs("  ", stdout);
        colour_start(stdout, level);
        print_word(s, s->token[row]);
        colour_end(stdout, level);
    }
    for (size_t j = 0; j < s->top && top_token[j] >= 0; j++) {
        fputs("  ", stdout);
        print_word(s, top_token[j]);
        printf(" %.2f%%", 100 * exp((double)top_logprob[j]));
    }
    if (s->status[row] != LP_OK)
        printf("  (%s)", lp_status_string(s->status[row]));
    putchar('\n');
}

/* The text itself, coloured: what the colours are for. */
static void table_text(const scoring *s)
{
    painter p = {.out = stdout};
    putchar('\n');
    if (s->unscored)
        paint(&p, vocab_text(&s->words, *s->unscored), 0);
    for (size_t row = 0; row < s->rows; row++)
        paint(&p, vocab_text(&s->words, s->token[row]), surprise_level((double)s->logprob[row]));
    paint_end(&p);
    putchar('\n');
    colour_legend(stdout);
}

static void table_end(const scoring *s)
{
    const lp_sequence *q = &s->sequence;
    size_t good = s->rows - s->failed_rows;
    if (s->colour && s->words.known)
        table_text(s);
    printf("\ntokens        %" PRIu64 "\n", q->tokens);
    printf("logprob       %.9f (sum)\n", q->logprob);
    printf("mean          %.9f\n", q->mean);
    printf("perplexity    %.6f\n", q->perplexity);
    printf("mean entropy  %.6f\n", s->entropy_sum / (double)good);
    if (q->argmin < s->rows) {
        printf("least likely  row %" PRIu64 ": logprob %.6f, token ", q->argmin, (double)q->min);
        print_word(s, s->token[q->argmin]);
        putchar('\n');
    }
    printf("greedy        %s (%zu of %zu tokens are the most likely one)\n", s->greedy_rows == s->rows ? "yes" : "no",
           s->greedy_rows, s->rows);
    if (s->failed_rows)
        printf("failed        %zu rows\n", s->failed_rows);
    if (s->show_time)
        printf("time          %.3f ms to score, %.2f us a row of %zu; %.3f ms with the output\n",
               1e3 * s->scoring_seconds, s->rows ? 1e6 * s->scoring_seconds / (double)s->rows : 0, s->columns,
               1e3 * s->seconds);
}

/* ---- JSON ---- */

static void json_begin(const scoring *s)
{
    (void)s;
    fputs("{\"logprobs\":{\"content\":[", stdout);
}

static void json_row(const scoring *s, size_t row, const float *top_logprob, const int32_t *top_token)
{
    json_t *entry = json_token(&s->words, s->token[row], (double)s->logprob[row]);
    json_t *top = json_made(json_array());
    for (size_t j = 0; j < s->top && top_token[j] >= 0; j++)
        if (json_array_append_new(top, json_token(&s->words, top_token[j], (double)top_logprob[j])))
            json_made(NULL);
    json_put(entry, "top_logprobs", top);
    fputs(row ? ",\n" : "\n", stdout);
    json_write(stdout, entry, DIGITS_FLOAT);
}

/* What the API's shape has no place for: one array of each, in the order of `content`. */
static void json_columns(const scoring *s)
{
    fputs("],\n\"refusal\":null},\n\"rows\":{\"rank\":[", stdout);
    for (size_t row = 0; row < s->rows; row++)
        printf("%s%" PRId32, row ? "," : "", s->rank[row]);
    fputs("],\n\"entropy\":[", stdout);
    for (size_t row = 0; row < s->rows; row++) {
        fputs(row ? "," : "", stdout);
        json_write(stdout, json_number((double)s->entropy[row]), DIGITS_FLOAT);
    }
    fputs("]},\n", stdout);
}

static json_t *json_least_likely(const scoring *s)
{
    const lp_sequence *q = &s->sequence;
    if (q->argmin >= s->rows)
        return json_null();
    json_t *least = json_token(&s->words, s->token[q->argmin], (double)q->min);
    json_put(least, "row", json_made(json_integer((json_int_t)q->argmin)));
    json_put(least, "token_id", json_made(json_integer(s->token[q->argmin])));
    return least;
}

static void json_end(const scoring *s)
{
    const lp_sequence *q = &s->sequence;
    json_t *summary = json_made(json_object());
    json_columns(s);
    json_put(summary, "tokens", json_made(json_integer((json_int_t)q->tokens)));
    json_put(summary, "logprob", json_number(q->logprob));
    json_put(summary, "mean", json_number(q->mean));
    json_put(summary, "perplexity", json_number(q->perplexity));
    json_put(summary, "mean_entropy", json_number(s->entropy_sum / (double)(s->rows - s->failed_rows)));
    json_put(summary, "least_likely", json_least_likely(s));
    json_put(summary, "greedy", json_boolean(s->greedy_rows == s->rows));
    json_put(summary, "greedy_tokens", json_made(json_integer((json_int_t)s->greedy_rows)));
    json_put(summary, "failed_rows", json_made(json_integer((json_int_t)s->failed_rows)));
    json_put(summary, "vocab", json_made(json_integer((json_int_t)s->columns)));
    if (s->show_time) {
        json_put(summary, "seconds", json_number(s->seconds));
        json_put(summary, "scoring_seconds", json_number(s->scoring_seconds));
    }
    fputs("\"summary\":", stdout);
    json_write(stdout, summary, DIGITS_DOUBLE);
    fputs("}\n", stdout);
}

/* ---- CSV ---- */

static void csv_begin(const scoring *s)
{
    printf("row,token_id,%slogprob,rank,entropy,status", s->words.known ? "token," : "");
    for (size_t j = 1; j <= s->top; j++) {
        printf(",top%zu_id", j);
        if (s->words.known)
            printf(",top%zu_token", j);
        printf(",top%zu_logprob", j);
    }
    putchar('\n');
}

/* id, text where there is a vocabulary, and nothing at all for id -1 */
static void csv_word(const scoring *s, int32_t id)
{
    if (id >= 0)
        printf("%" PRId32, id);
    if (!s->words.known)
        return;
    putchar(',');
    text t = vocab_text(&s->words, id);
    if (t.bytes)
        print_csv(stdout, t);
}

static void csv_row(const scoring *s, size_t row, const float *top_logprob, const int32_t *top_token)
{
    printf("%zu,", row);
    csv_word(s, s->token[row]);
    printf(",%.9g,%" PRId32 ",%.9g,%s", (double)s->logprob[row], s->rank[row], (double)s->entropy[row],
           s->status[row] == LP_OK ? "ok" : "failed");
    for (size_t j = 0; j < s->top; j++) {
        putchar(',');
        csv_word(s, top_token[j]);
        putchar(',');
        if (top_token[j] >= 0)
            printf("%.9g", (double)top_logprob[j]);
    }
    putchar('\n');
}

static void csv_end(const scoring *s)
{
    (void)s; /* a CSV file is its rows: sums are the reader's, or the other formats' */
}

/* ---- the formats ---- */

static const struct {
    void (*begin)(const scoring *);
    void (*row)(const scoring *, size_t, const float *, const int32_t *);
    void (*end)(const scoring *);
} printers[] = {
    [FORMAT_TABLE] = {table_begin, table_row, table_end},
    [FORMAT_JSON] = {json_begin, json_row, json_end},
    [FORMAT_CSV] = {csv_begin, csv_row, csv_end},
};

void scoring_begin(const scoring *s)
{
    printers[s->form].begin(s);
}

void scoring_chunk(const scoring *s, size_t first, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        printers[s->form].row(s, first + i, s->top_logprob + i * s->k, s->top_token + i * s->k);
}

void scoring_end(const scoring *s)
{
    printers[s->form].end(s);
}
