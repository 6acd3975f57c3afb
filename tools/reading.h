/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What `logprob read` computes for one choice (read.c) and prints (reading.c). */
#ifndef LOGPROB_TOOLS_READING_H
#define LOGPROB_TOOLS_READING_H
#include "labels.h"
#include "options.h"
#include "response.h"

#include <logprob.h>

enum { LEAST_LIKELY = 5 };

/* Neighbouring tokens below the threshold. */
typedef struct span {
    size_t first, last;
    float min;
} span;

typedef struct reading {
    const char *file;
    size_t line; /* where its document starts */
    const sequence *from;
    lp_sequence sums;                        /* of the tokens that have a finite logprob */
    size_t missing, unlikely;                /* null; -9999.0 or less */
    size_t least[LEAST_LIKELY], least_count; /* positions, least likely first */
    size_t bounded;                          /* positions whose entropy is bounded by their alternatives */
    double entropy_lower, entropy_upper;     /* means over those */
    span *spans;
    size_t spans_count;
    label_result labels;
} reading;

typedef struct reading_options {
    format form;
    bool colour, has_threshold, prompt;
    float threshold; /* a logprob */
    size_t vocab;    /* for the upper entropy bound */
    labels labels;
} reading_options;

/* begin, one call for each choice, end: into `out`, since nothing may be printed before all input proved good. */
void reading_begin(FILE *out, const reading_options *o);
void reading_print(FILE *out, const reading_options *o, const reading *r, bool is_first);
void reading_end(FILE *out, const reading_options *o, bool any_span);

#endif
