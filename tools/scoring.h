/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What `logprob score` computes (score.c) and prints (scoring.c). */
#ifndef LOGPROB_TOOLS_SCORING_H
#define LOGPROB_TOOLS_SCORING_H
#include "options.h"
#include "vocab.h"

#include <logprob.h>
#include <stdbool.h>

typedef struct scoring {
    format form;
    bool colour;
    size_t top; /* alternatives to print */
    vocab words;

    size_t rows, columns;    /* scored rows */
    const int32_t *token;    /* [rows], the token that each row is scored against */
    const int32_t *unscored; /* with --shift: the first token, which no row predicts */
    float *logprob, *entropy;
    int32_t *rank;
    lp_status *status;
    size_t k;           /* alternatives computed: at least 1, for `greedy` */
    float *top_logprob; /* [rows of a chunk, k] */
    int32_t *top_token;

    lp_sequence sequence;
    size_t greedy_rows, failed_rows;
    double entropy_sum;              /* of the rows that did not fail */
    double seconds, scoring_seconds; /* in all, with what is printed; in lp_score */
    bool show_time;
} scoring;

/* In this order: begin, chunks, end. `first` is the first of the chunk's `rows`. */
void scoring_begin(const scoring *s);
void scoring_chunk(const scoring *s, size_t first, size_t rows);
void scoring_end(const scoring *s);

#endif
