/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reading .npy: magic, version, and a header that is a Python dictionary literal with exactly three keys.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include "npy.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const unsigned char MAGIC[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

/* The text of the header, read left to right. */
typedef struct cursor {
    const char *at, *end;
} cursor;

bool npy_is(const mapped *file)
{
    return file->size >= sizeof MAGIC && !memcmp(file->data, MAGIC, sizeof MAGIC);
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool take(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    size_t length = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length))
        return false;
    c->at += length;
    return true;
}

/* A quoted string without escapes, which no dtype or key needs; cut to fit `text`. */
static bool take_string(cursor *c, char text[], size_t size)
{
    char quote = take(c, '\'') ? '\'' : take(c, '"') ? '"' : 0;
    if (!quote)
        return false;
    size_t length = 0;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (*c->at == '\\' || *c->at == '\n')
            return false;
        if (length + 1 < size)
            text[length++] = *c->at;
    }
    text[length] = 0;
    return take(c, quote);
}

static bool take_size(cursor *c, size_t *value)
{
    skip_space(c);
    const char *start = c->at;
    *value = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        size_t digit = (size_t)(*c->at - '0');
        if (*value > (SIZE_MAX - digit) / 10)
            return false;
        *value = *value * 10 + digit;
    }
    if (c->at == start)
        return false;
    if (c->at < c->end && *c->at == 'L') /* long integers, as Python 2 wrote them */
        c->at++;
    return true;
}

/* (), (3,), (3, 4), (3, 4,) */
static bool take_shape(cursor *c, npy *out)
{
    if (!take(c, '('))
        return false;
    out->dims = 0;
    while (!take(c, ')')) {
        if (out->dims == NPY_MAX_DIMS || !take_size(c, &out->shape[out->dims]))
            return false;
        out->dims++;
        if (!take(c, ',')) {
            /* (3) is a number in Python, not a shape. */
            return out->dims > 1 && take(c, ')');
        }
    }
    return true;
}

static int bad_header(const npy *out, const char *what, fault *why)
{
    return fault_set(why,
                     "%s: bad .npy header: %s; expected {'descr': ..., 'fortran_order': ..., 'shape': (...), } "
                     "in plain values",
                     out->path, what);
}

enum { HAS_DESCR = 1, HAS_ORDER = 2, HAS_SHAPE = 4, HAS_ALL = 7 };

/* One `key: value`; `seen` collects which keys there were. */
static int take_entry(cursor *c, npy *out, int *seen, fault *why)
{
    char key[32];
    if (!take_string(c, key, sizeof key) || !take(c, ':'))
        return bad_header(out, "a key is missing or not followed by ':'", why);
    int which = !strcmp(key, "descr")           ? HAS_DESCR
                : !strcmp(key, "fortran_order") ? HAS_ORDER
                : !strcmp(key, "shape")         ? HAS_SHAPE
                                                : 0;
    if (!which)
        return bad_header(out, "it has an unknown key", why);
    if (*seen & which)
        return bad_header(out, "it has a key twice", why);
    *seen |= which;
    if (which == HAS_DESCR && !take_string(c, out->descr, sizeof out->descr)) {
        skip_space(c);
        return bad_header(out, c->at < c->end && *c->at == '[' ? "its dtype is a structure" : "descr is not a string",
                          why);
    }
    if (which == HAS_ORDER) {
        out->fortran = take_word(c, "True");
        if (!out->fortran && !take_word(c, "False"))
            return bad_header(out, "fortran_order is neither True nor False", why);
    }
    if (which == HAS_SHAPE && !take_shape(c, out))
        return bad_header(out, "shape is not a tuple of at most 32 sizes", why);
    return 0;
}

static int parse_dictionary(cursor *c, npy *out, fault *why)
{
    int seen = 0;
    if (!take(c, '{'))
        return bad_header(out, "it does not start with '{'", why);
    while (!take(c, '}')) {
        if (take_entry(c, out, &seen, why))
            return -1;
        if (!take(c, ',')) {
            if (!take(c, '}'))
                return bad_header(out, "',' or '}' is missing", why);
            break;
        }
    }
    if (seen != HAS_ALL)
        return bad_header(out, "a key is missing", why);
    skip_space(c);
    if (c->at != c->end)
        return bad_header(out, "something follows the '}'", why);
    return 0;
}

static int parse_header(mapped file, npy *out, fault *why)
{
    const unsigned char *b = file.data;
    if (!npy_is(&file))
        return fault_set(why, "%s: not a .npy file%s; expected it to start with \"\\x93NUMPY\"", out->path,
                         file.size ? "" : " (it is empty)");
    if (file.size < 10)
        return fault_set(why, "%s: truncated: %zu bytes; expected a .npy header", out->path, file.size);
    if (b[6] < 1 || b[6] > 3 || b[7] != 0)
        return fault_set(why, "%s: .npy format version %u.%u; expected 1.0, 2.0 or 3.0", out->path, b[6], b[7]);
    size_t start = b[6] == 1 ? 10 : 12;
    size_t length = (size_t)b[8] | (size_t)b[9] << 8;
    if (start == 12 && file.size >= start)
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (file.size < start || length > file.size - start)
        return fault_set(why, "%s: truncated in its header: %zu bytes; expected %zu for the header alone", out->path,
                         file.size, start + length);
    out->offset = start + length;
    cursor c = {(const char *)b + start, (const char *)b + out->offset};
    return parse_dictionary(&c, out, why);
}

int npy_parse(const char *path, mapped file, npy *out, fault *why)
{
    *out = (npy){.path = path};
    if (parse_header(file, out, why))
        return -1;
    out->file = file;
    return 0;
}

int npy_open(const char *path, npy *out, fault *why)
{
    mapped file;
    if (mapped_open(path, &file, why))
        return -1;
    int result = npy_parse(path, file, out, why);
    if (result)
        mapped_close(&file);
    return result;
}

void npy_close(npy *array)
{
    mapped_close(&array->file);
}

int npy_check_size(const npy *array, size_t element_size, fault *why)
{
    char shape[128];
    npy_shape(array, shape, sizeof shape);
    if (array->fortran && array->dims > 1)
        return fault_set(why, "%s: is in Fortran order; expected C order (numpy.ascontiguousarray)", array->path);
    size_t bytes = element_size;
    for (int i = 0; i < array->dims; i++)
        if (__builtin_mul_overflow(bytes, array->shape[i], &bytes))
            return fault_set(why, "%s: shape %s is larger than memory can be; expected a sane size", array->path,
                             shape);
    size_t have = array->file.size - array->offset;
    if (have < bytes)
        return fault_set(why, "%s: truncated: %zu bytes of data; expected %zu for %s elements of %zu bytes",
                         array->path, have, bytes, shape, element_size);
    if (have > bytes)
        return fault_set(why, "%s: %zu bytes too long; expected %zu bytes of data for %s elements of %zu bytes",
                         array->path, have - bytes, bytes, shape, element_size);
    return 0;
}

const char *npy_shape(const npy *array, char text[], size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < array->dims && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%zu", i ? " x " : "", array->shape[i]);
    if (array->dims == 0)
        snprintf(text, size, "scalar");
    return text;
}
