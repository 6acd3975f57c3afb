/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Parsing with a budget of memory, so that a hostile or enormous document is one line of error and not a dead machine.
 * Why jansson: it is in every distribution, maintained and fuzzed; it takes its memory from functions that we give it, which
 * makes the budget possible; it parses from a callback and stops at the end of a document, which makes JSON lines of any
 * length possible; it bounds the depth of nesting (2048), seeds its hash tables at random, insists on valid UTF-8, refuses
 * NaN, keeps the order of maps (vLLM's first entry is the sampled token), and writes JSON too. */
#include "jsonin.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Jansson frees without telling sizes: each block keeps its own in front. */
enum { HEAD = sizeof(max_align_t) };
static struct {
    size_t limit, used;
    int refused; /* since the last parse began */
} budget = {.limit = SIZE_MAX};

static void *budget_malloc(size_t size)
{
    if (size > SIZE_MAX - HEAD || size > budget.limit - budget.used) {
        budget.refused = 1;
        return NULL;
    }
    char *block = malloc(size + HEAD);
    if (!block) {
        budget.refused = 1;
        return NULL;
    }
    memcpy(block, &size, sizeof size);
    budget.used += size;
    return block + HEAD;
}

static void budget_free(void *memory)
{
    if (!memory)
        return;
    char *block = (char *)memory - HEAD;
    size_t size;
    memcpy(&size, block, sizeof size);
    budget.used -= size;
    free(block);
}

void json_limit_memory(size_t bytes)
{
    budget.limit = bytes;
    json_set_alloc_funcs(budget_malloc, budget_free);
}

/* Token text may hold NUL, and some servers send seeds beyond int64. */
enum { FLAGS = JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL };

static int parse_fault(const char *path, size_t line, const json_error_t *error, fault *why)
{
    if (budget.refused)
        return fault_set(why,
                         "%s: line %zu: the JSON needs more than %zu MiB of memory; expected a response of sane size",
                         path, line, budget.limit >> 20);
    return fault_set(why, "%s: line %zu, column %d: not valid JSON: %s; expected a complete document", path, line,
                     error->column, error->text);
}

json_t *json_from_memory(const char *path, const char *data, size_t size, fault *why)
{
    json_error_t error;
    budget.refused = 0;
    json_t *document = json_loadb(data, size, FLAGS | JSON_REJECT_DUPLICATES, &error);
    if (!document)
        parse_fault(path, (size_t)(error.line > 0 ? error.line : 1), &error, why);
    return document;
}

enum { BUFFER = 1 << 16 };

void json_reader_start(json_reader *r, const char *path, FILE *file)
{
    *r = (json_reader){.path = path, .file = file, .line = 1, .buffer = need(BUFFER, 1)};
}

void json_reader_end(json_reader *r)
{
    free(r->buffer);
    r->buffer = NULL;
}

/* The next byte without taking it; EOF at the end or on an error. */
static int peek(json_reader *r)
{
    if (r->at == r->filled) {
        r->at = 0;
        r->filled = fread(r->buffer, 1, BUFFER, r->file);
        if (r->filled == 0)
            return EOF;
    }
    return (unsigned char)r->buffer[r->at];
}

static int take(json_reader *r)
{
    int c = peek(r);
    if (c == EOF)
        return EOF;
    r->at++;
    r->bytes++;
    r->line += c == '\n';
    return c;
}

/* One byte a call: jansson must not read past the end of a document, where the next one starts. */
static size_t give_byte(void *to, size_t size, void *reader)
{
    int c = size ? take(reader) : EOF;
    if (c == EOF)
        return 0;
    *(char *)to = (char)c;
    return 1;
}

/* Spaces, and a byte order mark at the very start. */
static int skip_to_document(json_reader *r)
{
    if (r->bytes == 0 && peek(r) == 0xef) {
        for (const char *mark = "\xef\xbb\xbf"; *mark && peek(r) == (unsigned char)*mark; mark++)
            take(r);
    }
    int c;
    while ((c = peek(r)) == ' ' || c == '\t' || c == '\r' || c == '\n')
        take(r);
    return c;
}

int json_reader_next(json_reader *r, json_t **out, fault *why)
{
    json_error_t error;
    int first = skip_to_document(r);
    if (ferror(r->file))
        return fault_set(why, "%s: cannot be read: %s", r->path, strerror(errno));
    if (first == EOF)
        return 0;
    if (first != '{' && first != '[')
        return fault_set(why, "%s: line %zu: not a JSON document; expected it to start with '{' or '['", r->path,
                         r->line);
    r->start = r->line;
    budget.refused = 0;
    *out = json_load_callback(give_byte, r, FLAGS | JSON_DISABLE_EOF_CHECK, &error);
    if (ferror(r->file))
        return fault_set(why, "%s: cannot be read: %s", r->path, strerror(errno));
    if (*out)
        return 1;
    return parse_fault(r->path, error.line > 0 ? r->start + (size_t)error.line - 1 : r->start, &error, why);
}
