/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Answers spelled in several ways, and their probabilities at one position of a response. */
#ifndef LOGPROB_TOOLS_LABELS_H
#define LOGPROB_TOOLS_LABELS_H
#include "response.h"

typedef enum normalize { NORMALIZE_NONE, NORMALIZE_LABELS, NORMALIZE_TOP } normalize;

typedef struct labels {
    const char *spec; /* NULL: none wanted */
    int64_t position; /* negative: from the end */
    bool complement, sampled, exact;
    normalize normalized;

    size_t count;
    text *names; /* [count], the first spelling of each */
    size_t spellings;
    text *spelling; /* [spellings] */
    int32_t *owner; /* [spellings] */
    char *storage;
} labels;

/* Takes `spec` apart: labels between commas, spellings between bars, a backslash before either (or itself) as text. */
int labels_parse(labels *l, fault *why);
void labels_free(labels *l);

typedef struct label_result {
    size_t position;
    float *logprob, *probability; /* [labels.count]; -inf and 0 where the label is not listed */
    size_t listed;                /* entries that were looked at */
    double rest;                  /* probability of everything that is no label, before any normalisation */
} label_result;

/* Of one sequence; results in memory that label_result_free frees. */
int labels_read(const labels *l, const sequence *s, const char *where, label_result *out, fault *why);
void label_result_free(label_result *r);

#endif
