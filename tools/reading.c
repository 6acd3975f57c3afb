/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The output of `logprob read`: table, JSON, CSV. */
#include "reading.h"
#include "jsonout.h"
#include "terminal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *kind(const reading *r)
{
    return r->from->is_prompt ? "prompt" : "completion";
}

/* ---- table ---- */

static void table_heading(FILE *out, const reading *r)
{
    text file = {r->file, strlen(r->file)};
    print_escaped(out, file);
    if (r->line > 1)
        fprintf(out, ":%zu", r->line);
    fprintf(out, ": %s %zu: %zu tokens, mean logprob %.6f, perplexity %.6f\n", r->from->is_prompt ? "prompt" : "choice",
            r->from->choice, r->from->count, r->sums.mean, r->sums.perplexity);
}

static void table_text(FILE *out, const reading *r)
{
    painter p = {.out = out};
    for (size_t i = 0; i < r->from->count; i++)
        paint(&p, r->from->positions[i].bytes, surprise_level((double)r->from->positions[i].logprob));
    paint_end(&p);
}

static void table_token(FILE *out, const reading_options *o, const position *at)
{
    int level = o->colour ? surprise_level((double)at->logprob) : 0;
    colour_start(out, level);
    print_quoted(out, at->bytes);
    colour_end(out, level);
    if (isinf(at->logprob))
        fputs(" too unlikely to be listed", out);
    else
        fprintf(out, " %.6f (%.3f%%)", (double)at->logprob, 100 * exp((double)at->logprob));
    if (at->rank > 0)
        fprintf(out, ", rank %" PRId64, at->rank);
}

static void table_spans(FILE *out, const reading_options *o, const reading *r)
{
    fprintf(out, "  below %.6f (%.3f%%): %zu span%s\n", (double)o->threshold, 100 * exp((double)o->threshold),
            r->spans_count, r->spans_count == 1 ? "" : "s");
    for (size_t i = 0; i < r->spans_count; i++) {
        const span *s = &r->spans[i];
        fprintf(out, "    tokens %zu to %zu: ", s->first, s->last);
        for (size_t j = s->first; j <= s->last; j++)
            print_escaped(out, r->from->positions[j].bytes);
        fprintf(out, " (least %.6f)\n", (double)s->min);
    }
}

static void table_labels(FILE *out, const reading_options *o, const reading *r)
{
    const label_result *l = &r->labels;
    fprintf(out, "  labels at position %zu, where ", l->position);
    print_quoted(out, r->from->positions[l->position].bytes);
    fprintf(out, " was sampled (%zu token%s known)\n", l->listed, l->listed == 1 ? "" : "s");
    for (size_t i = 0; i < o->labels.count; i++) {
        fprintf(out, "    %8.4f%%  %12.6f  ", 100 * (double)l->probability[i], (double)l->logprob[i]);
        print_escaped(out, o->labels.names[i]);
        fputc('\n', out);
    }
    fprintf(out, "    %8.4f%%  is none of them%s\n", 100 * l->rest,
            o->labels.normalized == NORMALIZE_LABELS ? " (before normalising)" : "");
}

static void table_print(FILE *out, const reading_options *o, const reading *r, bool is_first)
{
    if (!is_first)
        fputc('\n', out);
    table_heading(out, r);
    if (o->colour)
        table_text(out, r);
    for (size_t i = 0; i < r->least_count; i++) {
        fprintf(out, "  %-14s token %zu ", i ? "" : "least likely", r->least[i]);
        table_token(out, o, &r->from->positions[r->least[i]]);
        fputc('\n', out);
    }
    if (r->bounded)
        fprintf(out, "  %-14s %.6f to %.6f nats a token (%zu positions, vocabulary of %zu)\n", "entropy",
                r->entropy_lower, r->entropy_upper, r->bounded, o->vocab);
    if (r->missing + r->unlikely)
        fprintf(out, "  %-14s %zu without logprob, %zu too unlikely to be listed\n", "not counted", r->missing,
                r->unlikely);
    if (o->has_threshold)
        table_spans(out, o, r);
    if (o->labels.spec)
        table_labels(out, o, r);
}

/* ---- JSON ---- */

static json_t *json_count(size_t n)
{
    return json_made(json_integer((json_int_t)n));
}

static void append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value))
        json_made(NULL);
}

static json_t *json_position(const reading *r, size_t i)
{
    const position *at = &r->from->positions[i];
    json_t *object = json_made(json_object());
    json_put(object, "position", json_count(i));
    json_put(object, "token", json_text(at->token));
    json_put(object, "logprob", json_logprob((double)at->logprob));
    json_put(object, "bytes", json_bytes(at->bytes));
    if (at->rank > 0)
        json_put(object, "rank", json_made(json_integer(at->rank)));
    return object;
}

static json_t *json_spans(const reading *r)
{
    json_t *array = json_made(json_array());
    for (size_t i = 0; i < r->spans_count; i++) {
        json_t *one = json_made(json_object()), *tokens = json_made(json_array());
        for (size_t j = r->spans[i].first; j <= r->spans[i].last; j++)
            append(tokens, json_text(r->from->positions[j].token));
        json_put(one, "first", json_count(r->spans[i].first));
        json_put(one, "last", json_count(r->spans[i].last));
        json_put(one, "min", json_logprob((double)r->spans[i].min));
        json_put(one, "tokens", tokens);
        append(array, one);
    }
    return array;
}

static json_t *json_labels(const reading_options *o, const reading *r)
{
    static const char *const ways[] = {"none", "labels", "top"};
    json_t *object = json_made(json_object()), *array = json_made(json_array());
    for (size_t i = 0; i < o->labels.count; i++) {
        json_t *one = json_made(json_object());
        json_put(one, "label", json_text(o->labels.names[i]));
        json_put(one, "logprob", json_logprob((double)r->labels.logprob[i]));
        json_put(one, "probability", json_number((double)r->labels.probability[i]));
        append(array, one);
    }
    json_put(object, "position", json_count(r->labels.position));
    json_put(object, "listed", json_count(r->labels.listed));
    json_put(object, "normalized", json_made(json_string(ways[o->labels.normalized])));
    json_put(object, "rest", json_number(r->labels.rest));
    json_put(object, "labels", array);
    return object;
}

static json_t *json_entropy(const reading_options *o, const reading *r)
{
    json_t *object = json_made(json_object());
    json_put(object, "lower", json_number(r->entropy_lower));
    json_put(object, "upper", json_number(r->entropy_upper));
    json_put(object, "positions", json_count(r->bounded));
    json_put(object, "vocab", json_count(o->vocab));
    return object;
}

static void json_print(FILE *out, const reading_options *o, const reading *r, bool is_first)
{
    json_t *object = json_made(json_object()), *least = json_made(json_array());
    for (size_t i = 0; i < r->least_count; i++)
        append(least, json_position(r, r->least[i]));
    json_put(object, "file", json_text((text){r->file, strlen(r->file)}));
    json_put(object, "line", json_count(r->line));
    json_put(object, "choice", json_count(r->from->choice));
    json_put(object, "kind", json_made(json_string(kind(r))));
    json_put(object, "tokens", json_count(r->from->count));
    json_put(object, "missing", json_count(r->missing));
    json_put(object, "unlikely", json_count(r->unlikely));
    json_put(object, "logprob", json_number(r->sums.logprob));
    json_put(object, "mean", json_number(r->sums.mean));
    json_put(object, "perplexity", json_number(r->sums.perplexity));
    json_put(object, "least_likely", least);
    json_put(object, "entropy", r->bounded ? json_entropy(o, r) : json_null());
    if (o->has_threshold)
        json_put(object, "spans", json_spans(r));
    if (o->labels.spec)
        json_put(object, "labels", json_labels(o, r));
    fputs(is_first ? "\n" : ",\n", out);
    json_write(out, object, DIGITS_FLOAT);
}

/* ---- CSV ---- */

static void csv_number(FILE *out, double value)
{
    fputc(',', out);
    if (!isnan(value))
        fprintf(out, "%.9g", value);
}

static void csv_begin(FILE *out, const reading_options *o)
{
    fputs("file,line,choice,kind,tokens,missing,unlikely,logprob,mean,perplexity,least_position,least_token,least_"
          "logprob,"
          "entropy_lower,entropy_upper",
          out);
    if (o->has_threshold)
        fputs(",spans", out);
    for (size_t i = 0; i < o->labels.count; i++) {
        char *name = NULL;
        size_t length = 0;
        FILE *column = open_memstream(&name, &length);
        if (!column)
            die("out of memory");
        fputs("p:", column);
        fwrite(o->labels.names[i].bytes, 1, o->labels.names[i].length, column);
        fclose(column);
        fputc(',', out);
        print_csv(out, (text){name, length});
        free(name);
    }
    fputs(o->labels.spec ? ",p_rest\n" : "\n", out);
}

static void csv_print(FILE *out, const reading_options *o, const reading *r, bool is_first)
{
    (void)is_first;
    print_csv(out, (text){r->file, strlen(r->file)});
    fprintf(out, ",%zu,%zu,%s,%zu,%zu,%zu", r->line, r->from->choice, kind(r), r->from->count, r->missing, r->unlikely);
    csv_number(out, r->sums.logprob);
    csv_number(out, r->sums.mean);
    csv_number(out, r->sums.perplexity);
    if (r->least_count) {
        const position *least = &r->from->positions[r->least[0]];
        fprintf(out, ",%zu,", r->least[0]);
        print_csv(out, least->bytes);
        csv_number(out, (double)least->logprob);
    } else {
        fputs(",,,", out);
    }
    csv_number(out, r->bounded ? r->entropy_lower : NAN);
    csv_number(out, r->bounded ? r->entropy_upper : NAN);
    if (o->has_threshold)
        fprintf(out, ",%zu", r->spans_count);
    for (size_t i = 0; i < o->labels.count; i++)
        csv_number(out, (double)r->labels.probability[i]);
    if (o->labels.spec)
        csv_number(out, r->labels.rest);
    fputc('\n', out);
}

/* ---- the formats ---- */

void reading_begin(FILE *out, const reading_options *o)
{
    if (o->form == FORMAT_JSON)
        fputs("{\"choices\":[", out);
    else if (o->form == FORMAT_CSV)
        csv_begin(out, o);
}

void reading_print(FILE *out, const reading_options *o, const reading *r, bool is_first)
{
    static void (*const print[])(FILE *, const reading_options *, const reading *, bool) = {
        [FORMAT_TABLE] = table_print, [FORMAT_JSON] = json_print, [FORMAT_CSV] = csv_print};
    print[o->form](out, o, r, is_first);
}

void reading_end(FILE *out, const reading_options *o, bool any_span)
{
    if (o->form == FORMAT_JSON && o->has_threshold)
        fprintf(out, "],\n\"below_threshold\":%s}\n", any_span ? "true" : "false");
    else if (o->form == FORMAT_JSON)
        fputs("]}\n", out);
    else if (o->form == FORMAT_TABLE && o->colour) {
        fputc('\n', out);
        colour_legend(out);
    }
}
