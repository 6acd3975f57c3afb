/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What `logprob compare` computes (compare.c) and prints (comparing.c). */
#ifndef LOGPROB_TOOLS_COMPARING_H
#define LOGPROB_TOOLS_COMPARING_H
#include "options.h"
#include "statistics.h"

#include <logprob.h>

typedef struct comparing {
    format form;
    const char *a, *b;    /* file names */
    size_t rows, columns; /* compared rows */
    const int32_t *token; /* [rows] or NULL */
    double *kl, *reverse_kl, *cross_entropy;
    float *max_abs_diff, *a_logprob, *b_logprob; /* the last two only with tokens */
    int32_t *a_top, *b_top;
    lp_status *status;
    size_t failed_rows;
} comparing;

void comparing_print(const comparing *c);

#endif
