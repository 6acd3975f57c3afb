/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Values of JSON output. */
#include "jsonout.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

json_t *json_made(json_t *value)
{
    if (!value)
        die("out of memory for JSON output");
    return value;
}

json_t *json_number(double value)
{
    return isfinite(value) ? json_made(json_real(value)) : json_null();
}

json_t *json_logprob(double value)
{
    return json_number(value == -INFINITY ? LOGPROB_UNLIKELY : value);
}

json_t *json_text(text t)
{
    if (utf8_valid(t))
        return json_made(json_stringn(t.bytes, t.length));
    char *escaped = need(t.length, 4);
    for (size_t i = 0; i < t.length; i++)
        snprintf(escaped + 4 * i, 5, "\\x%02x", (unsigned char)t.bytes[i]);
    json_t *string = json_sprintf("bytes:%s", escaped);
    free(escaped);
    return json_made(string);
}

json_t *json_bytes(text t)
{
    json_t *array = json_made(json_array());
    for (size_t i = 0; i < t.length; i++)
        if (json_array_append_new(array, json_integer((unsigned char)t.bytes[i])))
            json_made(NULL);
    return array;
}

void json_put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value))
        json_made(NULL);
}

json_t *json_token(const vocab *v, int32_t id, double logprob)
{
    json_t *object = json_made(json_object());
    text t = vocab_text(v, id);
    json_put(object, "token", t.bytes ? json_text(t) : json_made(json_sprintf("token_id:%" PRId32, id)));
    json_put(object, "logprob", json_logprob(logprob));
    json_put(object, "bytes", t.bytes ? json_bytes(t) : json_null());
    return object;
}

static int write_piece(const char *piece, size_t size, void *out)
{
    return fwrite(piece, 1, size, out) == size ? 0 : -1;
}

void json_write(FILE *out, json_t *value, int digits)
{
    /* On a terminal, text is kept to what cannot steer it. */
    size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION((size_t)digits);
    if (isatty(STDOUT_FILENO))
        flags |= JSON_ENSURE_ASCII;
    if (json_dump_callback(json_made(value), write_piece, out, flags) && !ferror(out))
        json_made(NULL);
    json_decref(value);
}
