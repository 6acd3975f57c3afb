/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Label probabilities out of the alternatives of one position. */
#include "labels.h"

#include <inttypes.h>
#include <logprob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* White space, and the two characters by which tokenizers write a space, on either side of a token. */
static text trim(text t)
{
    static const char *const spaces[] = {
        " ",       "\t", "\n", "\r", "\xe2\x96\x81" /* U+2581 */, "\xc4\xa0" /* U+0120 */,
        "\xc4\x8a" /* U+010A: a newline */};
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces;) {
        size_t length = strlen(spaces[i]);
        if (t.length >= length && !memcmp(t.bytes, spaces[i], length)) {
            t.bytes += length;
            t.length -= length;
            i = 0;
        } else if (t.length >= length && !memcmp(t.bytes + t.length - length, spaces[i], length)) {
            t.length -= length;
            i = 0;
        } else {
            i++;
        }
    }
    return t;
}

/* ---- the specification ---- */

static void add_spelling(labels *l, text spelling, bool first)
{
    if (first)
        l->names[l->count++] = spelling;
    l->spelling[l->spellings] = l->exact ? spelling : trim(spelling);
    l->owner[l->spellings++] = (int32_t)(l->count - 1);
}

int labels_parse(labels *l, fault *why)
{
    size_t length = strlen(l->spec), pieces = 1;
    for (const char *c = l->spec; *c; c++)
        pieces += *c == ',' || *c == '|';
    l->names = need(pieces, sizeof *l->names);
    l->spelling = need(pieces, sizeof *l->spelling);
    l->owner = need(pieces, sizeof *l->owner);
    l->storage = need(length + 1, 1);
    char *to = l->storage, *start = to;
    bool first = true;
    for (const char *c = l->spec;; c++) {
        if (*c == '\\' && c[1]) {
            *to++ = *++c;
        } else if (*c == ',' || *c == '|' || !*c) {
            if (to == start)
                return fault_set(
                    why, "--labels: \"%s\" has an empty label or spelling; expected like \"yes|Yes,no|No\"", l->spec);
            add_spelling(l, (text){start, (size_t)(to - start)}, first);
            start = to;
            first = *c == ',';
            if (!*c)
                break;
        } else {
            *to++ = *c;
        }
    }
    if (l->complement && l->count != 2)
        return fault_set(why, "--complement: %zu labels; expected exactly two", l->count);
    return 0;
}

void labels_free(labels *l)
{
    free(l->names);
    free(l->spelling);
    free(l->owner);
    free(l->storage);
}

/* ---- one position ---- */

typedef struct entries {
    float *logprob;
    int32_t *label;
    size_t count;
} entries;

static int32_t label_of(const labels *l, text token)
{
    text t = l->exact ? token : trim(token);
    for (size_t i = 0; i < l->spellings; i++)
        if (l->spelling[i].length == t.length && !memcmp(l->spelling[i].bytes, t.bytes, t.length))
            return l->owner[i];
    return -1;
}

static bool same_text(text a, text b)
{
    return a.length == b.length && !memcmp(a.bytes, b.bytes, a.length);
}

/* The listed alternatives, and the sampled token unless it is among them. */
static void gather(const labels *l, const sequence *s, const position *at, entries *e)
{
    size_t listed = l->sampled ? 0 : at->count;
    bool found = false;
    e->logprob = need(listed + 1, sizeof *e->logprob);
    e->label = need(listed + 1, sizeof *e->label);
    for (size_t i = 0; i < listed; i++) {
        const alternative *a = &s->alternatives[at->first + i];
        found |= same_text(a->token, at->token);
        e->logprob[e->count] = a->logprob;
        e->label[e->count++] = label_of(l, a->token);
    }
    if (!found && !isnan(at->logprob)) {
        e->logprob[e->count] = at->logprob;
        e->label[e->count++] = label_of(l, at->token);
    }
}

/* A label that is not listed has what the other one leaves. */
static void complement(float logprob[2])
{
    bool has_first = logprob[0] > -INFINITY, has_second = logprob[1] > -INFINITY;
    float *known = &logprob[has_second], *absent = &logprob[!has_second];
    lp_mass mass;
    if (has_first != has_second && lp_renormalize(known, 1, NULL, &mass) == LP_OK)
        *absent = (float)log(mass.tail);
}

static lp_status compute(const labels *l, entries *e, label_result *out)
{
    lp_mass mass;
    if (l->normalized == NORMALIZE_TOP) {
        lp_status status = lp_renormalize(e->logprob, e->count, e->logprob, NULL);
        if (status == LP_ERR_EMPTY)
            e->count = 0;
        else if (status != LP_OK)
            return status;
    }
    lp_status status = lp_label_logprob(e->logprob, e->label, e->count, l->count, out->logprob);
    if (status != LP_OK)
        return status;
    status = lp_renormalize(out->logprob, l->count, NULL, &mass);
    if (status != LP_OK && status != LP_ERR_EMPTY)
        return status;
    out->rest = mass.tail;
    if (l->complement)
        complement(out->logprob);
    if (l->normalized == NORMALIZE_LABELS && status == LP_OK) {
        status = lp_renormalize(out->logprob, l->count, out->logprob, NULL);
        if (status != LP_OK)
            return status;
    }
    return lp_exp(out->logprob, l->count, out->probability);
}

int labels_read(const labels *l, const sequence *s, const char *where, label_result *out, fault *why)
{
    int64_t index = l->position < 0 ? (int64_t)s->count + l->position : l->position;
    *out = (label_result){0};
    if (index < 0 || (uint64_t)index >= s->count)
        return fault_set(why, "%s: choice %zu has %zu tokens; expected one at --position %" PRId64, where, s->choice,
                         s->count, l->position);
    entries e = {0};
    gather(l, s, &s->positions[index], &e);
    out->position = (size_t)index;
    out->listed = e.count;
    out->logprob = need(l->count, sizeof *out->logprob);
    out->probability = need(l->count, sizeof *out->probability);
    lp_status status = compute(l, &e, out);
    free(e.logprob);
    free(e.label);
    if (status == LP_OK)
        return 0;
    label_result_free(out);
    return fault_set(why,
                     "%s: choice %zu, position %zu: the labels have no probability (%s); expected logprobs whose "
                     "probabilities sum to at most 1",
                     where, s->choice, (size_t)index, lp_status_string(status));
}

void label_result_free(label_result *r)
{
    free(r->logprob);
    free(r->probability);
    *r = (label_result){0};
}
