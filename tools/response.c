/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reading responses: the OpenAI chat shape (choices[].logprobs.content[]), the legacy completions shape that Together
 * uses too (tokens, token_logprobs, top_logprobs), and vLLM's maps from token id to {logprob, rank, decoded_token}. */
#include "response.h"

#include <inttypes.h>
#include <logprob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where in a document a fault is. */
typedef struct place {
    const char *where;
    bool prompt; /* what is wanted: prompts instead of answers */
    size_t choice, position;
    fault *why;
} place;

static int bad(const place *p, const char *what, const char *expected)
{
    return fault_set(p->why, "%s: choice %zu, position %zu: %s; expected %s", p->where, p->choice, p->position, what,
                     expected);
}

static text string_text(const json_t *string)
{
    return (text){json_string_value(string), json_string_length(string)};
}

/* A number or null (or nothing at all); see struct position for what becomes of sentinels. Rounding of the servers may
 * lift a logprob a little above 0. */
static int get_logprob(const json_t *value, const place *p, float *out)
{
    *out = NAN;
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_number(value))
        return bad(p, "a logprob is not a number", "a number or null");
    double logprob = json_number_value(value);
    if (logprob > LP_MASS_EXCESS)
        return bad(p, "a logprob is above 0", "natural logarithms of probabilities");
    *out = logprob <= -9999 ? -INFINITY : logprob > 0 ? 0 : (float)logprob;
    return 0;
}

/* ---- building a sequence ---- */

static sequence *add_sequence(response *out, size_t choice, bool is_prompt, size_t count)
{
    if (out->count == out->size) {
        out->size = out->size ? 2 * out->size : 4;
        sequence *grown = need(out->size, sizeof *grown);
        if (out->count)
            memcpy(grown, out->sequences, out->count * sizeof *grown);
        free(out->sequences);
        out->sequences = grown;
    }
    sequence *s = &out->sequences[out->count++];
    *s = (sequence){.choice = choice, .is_prompt = is_prompt, .count = count};
    s->positions = need(count, sizeof *s->positions);
    memset(s->positions, 0, count * sizeof *s->positions);
    return s;
}

/* Adds to the list of the position that is being read. What has no logprob is not in the list. */
static void add_alternative(sequence *s, position *at, text token, float logprob)
{
    if (isnan(logprob))
        return;
    if (s->alternatives_count == s->alternatives_size) {
        s->alternatives_size = s->alternatives_size ? 2 * s->alternatives_size : 64;
        alternative *grown = need(s->alternatives_size, sizeof *grown);
        if (s->alternatives_count)
            memcpy(grown, s->alternatives, s->alternatives_count * sizeof *grown);
        free(s->alternatives);
        s->alternatives = grown;
    }
    s->alternatives[s->alternatives_count++] = (alternative){token, logprob};
    at->count++;
}

/* ---- OpenAI chat ---- */

static int chat_alternative(const json_t *one, sequence *s, position *at, const place *p)
{
    float logprob;
    const json_t *token = json_object_get(one, "token");
    if (!json_is_string(token))
        return bad(p, "an entry of top_logprobs has no token", "{\"token\", \"logprob\", ...}");
    if (get_logprob(json_object_get(one, "logprob"), p, &logprob))
        return -1;
    add_alternative(s, at, string_text(token), logprob);
    return 0;
}

/* The bytes that a token stands for, where the server tells them: its text may be cut out of a character. */
static int chat_bytes(const json_t *bytes, sequence *s, position *at, const place *p)
{
    at->bytes = at->token;
    if (!bytes || json_is_null(bytes))
        return 0;
    char *to = s->storage + s->storage_used;
    for (size_t i = 0; i < json_array_size(bytes); i++) {
        double byte = json_number_value(json_array_get(bytes, i));
        if (!(byte >= 0 && byte <= 255))
            return bad(p, "bytes holds something that is no byte", "numbers from 0 to 255");
        to[i] = (char)(unsigned char)byte;
    }
    at->bytes = (text){to, json_array_size(bytes)};
    s->storage_used += at->bytes.length;
    return 0;
}

static int chat_entry(const json_t *entry, sequence *s, position *at, const place *p)
{
    const json_t *token = json_object_get(entry, "token"), *top = json_object_get(entry, "top_logprobs");
    const json_t *bytes = json_object_get(entry, "bytes");
    if (!json_is_string(token))
        return bad(p, "an entry has no token", "{\"token\", \"logprob\", \"bytes\", \"top_logprobs\"}");
    if (bytes && !json_is_array(bytes) && !json_is_null(bytes))
        return bad(p, "bytes is not a list", "a list of numbers or null");
    if (top && !json_is_array(top) && !json_is_null(top))
        return bad(p, "top_logprobs is not a list", "a list of {\"token\", \"logprob\", ...}");
    at->token = string_text(token);
    at->rank = (int64_t)fmin(fmax(json_number_value(json_object_get(entry, "rank")), 0), INT32_MAX);
    if (get_logprob(json_object_get(entry, "logprob"), p, &at->logprob) || chat_bytes(bytes, s, at, p))
        return -1;
    for (size_t i = 0; i < json_array_size(top); i++)
        if (chat_alternative(json_array_get(top, i), s, at, p))
            return -1;
    return 0;
}

static int read_chat(const json_t *content, response *out, place *p)
{
    size_t count = json_array_size(content), storage = 0;
    sequence *s = add_sequence(out, p->choice, false, count);
    for (size_t i = 0; i < count; i++)
        storage += json_array_size(json_object_get(json_array_get(content, i), "bytes"));
    s->storage = need(storage, 1);
    for (p->position = 0; p->position < count; p->position++) {
        position *at = &s->positions[p->position];
        at->first = s->alternatives_count;
        if (chat_entry(json_array_get(content, p->position), s, at, p))
            return -1;
    }
    return 0;
}

/* ---- maps: of the legacy shape from text to logprob, of vLLM from id to {logprob, rank, decoded_token} ---- */

typedef struct map_entry {
    text token;
    float logprob;
    int64_t rank;
} map_entry;

static int read_map_entry(const char *key, const json_t *value, const place *p, map_entry *out)
{
    const json_t *decoded = json_object_get(value, "decoded_token"), *logprob = value;
    *out = (map_entry){.token = {key, strlen(key)}};
    if (json_is_object(value)) {
        logprob = json_object_get(value, "logprob");
        out->rank = (int64_t)fmin(fmax(json_number_value(json_object_get(value, "rank")), 0), INT32_MAX);
        if (json_is_string(decoded))
            out->token = string_text(decoded);
    }
    return get_logprob(logprob, p, &out->logprob);
}

static int read_map(const json_t *map, sequence *s, position *at, const place *p)
{
    const char *key;
    json_t *value;
    map_entry entry;
    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        if (read_map_entry(key, value, p, &entry))
            return -1;
        add_alternative(s, at, entry.token, entry.logprob);
    }
    return 0;
}

/* ---- legacy completions ---- */

static int legacy_top(const json_t *top, sequence *s, position *at, const place *p)
{
    if (json_is_object(top))
        return read_map(top, s, at, p);
    if (top && !json_is_array(top) && !json_is_null(top))
        return bad(p, "an entry of top_logprobs is neither a map nor a list", "{token: logprob, ...} or null");
    for (size_t i = 0; i < json_array_size(top); i++)
        if (chat_alternative(json_array_get(top, i), s, at, p))
            return -1;
    return 0;
}

static int check_legacy(const json_t *tokens, const json_t *logprobs, const json_t *top, const place *p)
{
    size_t count = json_array_size(tokens);
    if (!json_is_array(logprobs) || json_array_size(logprobs) != count)
        return fault_set(p->why,
                         "%s: choice %zu: token_logprobs is missing or has another length; expected %zu, one for each "
                         "token",
                         p->where, p->choice, count);
    if (top && !json_is_null(top) && (!json_is_array(top) || json_array_size(top) != count))
        return fault_set(p->why,
                         "%s: choice %zu: top_logprobs is no list or has another length; expected %zu, one for each "
                         "token",
                         p->where, p->choice, count);
    return 0;
}

static int read_legacy(const json_t *logprobs, response *out, place *p)
{
    const json_t *tokens = json_object_get(logprobs, "tokens"), *values = json_object_get(logprobs, "token_logprobs");
    const json_t *top = json_object_get(logprobs, "top_logprobs");
    if (check_legacy(tokens, values, top, p))
        return -1;
    sequence *s = add_sequence(out, p->choice, false, json_array_size(tokens));
    for (p->position = 0; p->position < s->count; p->position++) {
        position *at = &s->positions[p->position];
        const json_t *token = json_array_get(tokens, p->position);
        at->first = s->alternatives_count;
        if (!json_is_string(token))
            return bad(p, "a token is not a string", "the text of each token");
        at->token = at->bytes = string_text(token);
        if (get_logprob(json_array_get(values, p->position), p, &at->logprob) ||
            legacy_top(json_array_get(top, p->position), s, at, p))
            return -1;
    }
    return 0;
}

/* ---- vLLM: one map for each position, null where nothing precedes ---- */

/* The sampled token: by its id where the ids are told, else the first of the map, where vLLM puts it. */
static int take_sampled(const json_t *map, const json_t *id, position *at, const place *p)
{
    char key[32] = "";
    json_t *entries = (json_t *)(uintptr_t)map;
    map_entry entry = {.token = {"", 0}, .logprob = NAN};
    if (json_is_number(id))
        snprintf(key, sizeof key, "%.0f", json_number_value(id));
    void *found = *key ? json_object_iter_at(entries, key) : NULL;
    if (!found)
        found = json_object_iter(entries);
    if (found && read_map_entry(json_object_iter_key(found), json_object_iter_value(found), p, &entry))
        return -1;
    at->token = at->bytes = entry.token;
    at->logprob = entry.logprob;
    at->rank = entry.rank;
    return 0;
}

static int read_maps(const json_t *maps, const json_t *ids, bool is_prompt, response *out, place *p)
{
    sequence *s = add_sequence(out, p->choice, is_prompt, json_array_size(maps));
    for (p->position = 0; p->position < s->count; p->position++) {
        position *at = &s->positions[p->position];
        const json_t *map = json_array_get(maps, p->position);
        at->first = s->alternatives_count;
        at->token = at->bytes = (text){"", 0};
        at->logprob = NAN;
        if (json_is_null(map))
            continue;
        if (!json_is_object(map))
            return bad(p, "neither a map of logprobs nor null",
                       "{token id: {\"logprob\", \"rank\", \"decoded_token\"}, ...}");
        if (take_sampled(map, json_array_get(ids, p->position), at, p) || read_map(map, s, at, p))
            return -1;
    }
    return 0;
}

/* ---- choices and documents ---- */

static int no_logprobs(const place *p)
{
    return fault_set(p->why, "%s: choice %zu has no logprobs%s; expected a response to a request that asked for them",
                     p->where, p->choice, p->prompt ? " of its prompt" : "");
}

static int read_logprobs(const json_t *logprobs, const json_t *ids, response *out, place *p)
{
    const json_t *content = json_object_get(logprobs, "content"), *refusal = json_object_get(logprobs, "refusal");
    if (json_is_array(content))
        return read_chat(content, out, p);
    if (json_is_array(refusal))
        return read_chat(refusal, out, p);
    if (json_is_array(json_object_get(logprobs, "tokens")))
        return read_legacy(logprobs, out, p);
    if (json_is_array(logprobs) && json_object_get(json_array_get(logprobs, 0), "token"))
        return read_chat(logprobs, out, p);
    if (json_is_array(logprobs))
        return read_maps(logprobs, ids, false, out, p);
    if (!logprobs || json_is_null(logprobs) || json_is_object(logprobs))
        return no_logprobs(p);
    return fault_set(p->why,
                     "%s: choice %zu: logprobs is neither an object nor a list; expected one of the shapes of "
                     "logprob read --help",
                     p->where, p->choice);
}

static int read_choice(const json_t *choice, response *out, place *p)
{
    const json_t *prompt = json_object_get(choice, "prompt_logprobs");
    if (!json_is_object(choice))
        return fault_set(p->why, "%s: choice %zu is not an object; expected one with logprobs", p->where, p->choice);
    if (!p->prompt)
        return read_logprobs(json_object_get(choice, "logprobs"), json_object_get(choice, "token_ids"), out, p);
    if (!json_is_array(prompt))
        return no_logprobs(p);
    return read_maps(prompt, json_object_get(choice, "prompt_token_ids"), true, out, p);
}

static int read_choices(const json_t *document, const json_t *choices, response *out, place *p)
{
    const json_t *kind = json_object_get(document, "object"), *prompt = json_object_get(document, "prompt_logprobs");
    if (json_is_string(kind) && strstr(json_string_value(kind), ".chunk"))
        return fault_set(p->why, "%s: a chunk of a streamed response; expected whole responses", p->where);
    if (json_array_size(choices) == 0)
        return fault_set(p->why, "%s: choices is empty or no list; expected at least one", p->where);
    if (p->prompt && json_is_array(prompt)) /* vLLM's chat: one prompt for all choices */
        return read_maps(prompt, json_object_get(document, "prompt_token_ids"), true, out, p);
    for (size_t i = 0; i < json_array_size(choices); i++) {
        const json_t *choice = json_array_get(choices, i), *index = json_object_get(choice, "index");
        double told = json_is_number(index) ? json_number_value(index) : (double)i;
        p->choice = told >= 0 && told <= INT32_MAX ? (size_t)told : i;
        if (read_choice(choice, out, p))
            return -1;
    }
    return 0;
}

/* {"error": ...} of an API, and the line of a batch that failed */
static int read_error(const json_t *error, const place *p)
{
    const char *message = json_string_value(json_is_object(error) ? json_object_get(error, "message") : error);
    return fault_set(p->why, "%s: holds an error (%.200s); expected a response with choices", p->where,
                     message ? message : "without a message");
}

static int read_object(const json_t *document, response *out, place *p)
{
    const json_t *body =
        json_object_get(json_object_get(document, "response"), "body"); /* a line of a batch's output */
    const json_t *choices = json_object_get(document, "choices"), *error = json_object_get(document, "error");
    if (json_is_object(body)) {
        document = body;
        choices = json_object_get(body, "choices");
        error = json_object_get(body, "error");
    }
    if (choices)
        return read_choices(document, choices, out, p);
    if (error && !json_is_null(error))
        return read_error(error, p);
    if (json_object_get(document, "logprobs") ||
        json_object_get(document, "prompt_logprobs")) /* what `logprob score --format json` prints, or a choice alone */
        return read_choice(document, out, p);
    return fault_set(p->why, "%s: has neither choices nor logprobs; expected a response of a chat or completions API",
                     p->where);
}

/* A list of responses */
static int read_list(const json_t *list, response *out, place *p)
{
    if (json_array_size(list) == 0)
        return fault_set(p->why, "%s: an empty list; expected a response", p->where);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        p->choice = 0;
        if (!json_is_object(one))
            return fault_set(p->why, "%s: entry %zu of the list is not an object; expected responses", p->where, i);
        if (read_object(one, out, p))
            return -1;
    }
    return 0;
}

int response_parse(const json_t *document, const char *where, bool prompt, response *out, fault *why)
{
    place p = {.where = where, .prompt = prompt, .why = why};
    int result;
    *out = (response){0};
    if (json_is_object(document))
        result = read_object(document, out, &p);
    else if (!prompt && json_object_get(json_array_get(document, 0), "token"))
        result = read_chat(document, out, &p); /* `content` alone */
    else
        result = read_list(document, out, &p);
    if (result)
        response_free(out);
    return result;
}

void response_free(response *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->sequences[i].positions);
        free(r->sequences[i].alternatives);
        free(r->sequences[i].storage);
    }
    free(r->sequences);
    *r = (response){0};
}
