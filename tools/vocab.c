/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Loading a vocabulary. */
#include "vocab.h"
#include "mapped.h"

#include <stdlib.h>
#include <string.h>

static int open_bytes(size_t columns, vocab *out, fault *why)
{
    if (columns > 256)
        return fault_set(why, "--vocab bytes: the logits have %zu columns; expected at most 256", columns);
    out->size = 256;
    out->tokens = need(256, sizeof *out->tokens);
    out->storage = need(256, 1);
    for (int i = 0; i < 256; i++) {
        out->storage[i] = (char)i;
        out->tokens[i] = (text){out->storage + i, 1};
    }
    return 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* What follows a backslash: the character that it stands for, or -1. *length counts what was read after it. */
static int unescape_one(const char *s, size_t n, size_t *length)
{
    *length = 1;
    switch (n ? *s : 0) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '\\':
        return '\\';
    case 'x':
        *length = 3;
        if (n >= 3 && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0)
            return hex_digit(s[1]) * 16 + hex_digit(s[2]);
        return -1;
    default:
        return -1;
    }
}

/* Decodes \n \r \t \\ \xHH from s to `to`; any other backslash stays what it is. Returns the length written. */
static size_t unescape(const char *s, size_t n, char *to)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        size_t length;
        int c = s[i] == '\\' ? unescape_one(s + i + 1, n - i - 1, &length) : -1;
        if (c >= 0)
            i += length;
        to[used++] = c >= 0 ? (char)c : s[i];
    }
    return used;
}

static size_t count_lines(const char *data, size_t size)
{
    size_t lines = size && data[size - 1] != '\n';
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    return lines;
}

static void load_lines(const char *data, size_t size, vocab *out)
{
    out->tokens = need(out->size, sizeof *out->tokens);
    out->storage = need(size, 1);
    char *to = out->storage;
    const char *at = data, *end = data + size;
    for (size_t i = 0; i < out->size; i++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *next = stop ? stop + 1 : end;
        if (!stop)
            stop = end;
        if (stop > at && stop[-1] == '\r')
            stop--;
        out->tokens[i] = (text){to, unescape(at, (size_t)(stop - at), to)};
        to += out->tokens[i].length;
        at = next;
    }
}

static int open_file(const char *path, size_t columns, vocab *out, fault *why)
{
    mapped file;
    if (mapped_open(path, &file, why))
        return -1;
    out->size = count_lines((const char *)file.data, file.size);
    int result = 0;
    if (out->size == 0)
        result = fault_set(why, "%s: is empty; expected one token a line", path);
    else if (out->size > columns)
        result = fault_set(why, "%s: %zu tokens (lines); expected at most %zu, the logits' columns", path, out->size,
                           columns);
    else
        load_lines((const char *)file.data, file.size, out);
    mapped_close(&file);
    return result;
}

int vocab_open(const char *name, size_t columns, vocab *out, fault *why)
{
    *out = (vocab){.known = name != NULL};
    if (!name)
        return 0;
    return strcmp(name, "bytes") ? open_file(name, columns, out, why) : open_bytes(columns, out, why);
}

void vocab_close(vocab *v)
{
    free(v->tokens);
    free(v->storage);
    *v = (vocab){0};
}

text vocab_text(const vocab *v, int32_t id)
{
    if (id < 0 || (size_t)id >= v->size)
        return (text){NULL, 0};
    return v->tokens[id];
}
