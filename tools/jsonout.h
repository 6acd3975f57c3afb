/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* JSON for output, through jansson, value by value: no document is ever held whole.
 * JSON has no NaN and no infinity. Policy: a logprob of -inf is -9999.0, as the OpenAI API writes "too unlikely to
 * tell"; every other number without a finite value is null. */
#ifndef LOGPROB_TOOLS_JSONOUT_H
#define LOGPROB_TOOLS_JSONOUT_H
#include "vocab.h"

#include <jansson.h>
#include <stdio.h>

#define LOGPROB_UNLIKELY (-9999.0)

/* These never return NULL: out of memory ends the program. */
json_t *json_number(double value);  /* null unless finite */
json_t *json_logprob(double value); /* -9999.0 for -inf, null for NaN */
json_t *json_text(text t);          /* a string; bytes that are not UTF-8 become "bytes:\xe2\x80", as the API does */
json_t *json_bytes(text t);         /* an array of numbers */
void json_put(json_t *object, const char *key, json_t *value); /* takes the reference */
json_t *json_made(json_t *value);                              /* dies when NULL */

/* One {token, logprob, bytes} of the OpenAI chat API. An id without text is "token_id:N" with bytes null. */
json_t *json_token(const vocab *v, int32_t id, double logprob);

enum { DIGITS_FLOAT = 9, DIGITS_DOUBLE = 17 };         /* enough to read back the same bits */
void json_write(FILE *out, json_t *value, int digits); /* takes the reference */

#endif
