/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The log-probabilities in an API's response, whichever of the public shapes it has. */
#ifndef LOGPROB_TOOLS_RESPONSE_H
#define LOGPROB_TOOLS_RESPONSE_H
#include "fault.h"
#include "text.h"

#include <jansson.h>
#include <stdbool.h>

/* One of the most likely tokens of a position. */
typedef struct alternative {
    text token;
    float logprob; /* -inf for the servers' -9999.0 */
} alternative;

typedef struct position {
    text token;          /* as the server calls it: what labels are compared with */
    text bytes;          /* what it stands for: what people read */
    float logprob;       /* NaN: null or missing; -inf: -9999.0 or less, "too unlikely to tell" */
    int64_t rank;        /* 0: not told */
    size_t first, count; /* its alternatives */
} position;

/* One choice of a response, or the prompt of one. */
typedef struct sequence {
    size_t choice;
    bool is_prompt;
    position *positions;
    size_t count;
    alternative *alternatives;
    size_t alternatives_count, alternatives_size;
    char *storage; /* of the bytes arrays */
    size_t storage_used;
} sequence;

typedef struct response {
    sequence *sequences;
    size_t count, size;
} response;

/* The answers or, if `prompt` is set, the prompts. `where` names the file (and line) in faults. The texts point into `document`, which must outlive the response. */
int response_parse(const json_t *document, const char *where, bool prompt, response *out, fault *why);
void response_free(response *r);

#endif
