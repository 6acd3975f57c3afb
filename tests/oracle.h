/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The independent reference: the definitions, written out in MPFR, knowing nothing of how the library
 * computes. */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H
#include <stddef.h>

/* Of a row with at least one finite logit and neither NaN nor +inf. Each member is within one double ulp of
 * the exact value, log_norm and rest included when they are 1e-36. */
typedef struct oracle {
    double max;       /* the largest logit */
    double rest;      /* R: the sum of exp(x - max) over all but one element of value max */
    double log_norm;  /* log(1 + R) */
    double logsumexp; /* max + log_norm */
    double entropy;   /* - sum p log p */
} oracle;
oracle oracle_row(const float *x, size_t n);

/* log p of logit x: x - logsumexp; no cancellation, so double arithmetic is exact to 3e-16 of the result. */
double oracle_logprob(const oracle *row, float x);

/* cap * tanh(x / cap) */
double oracle_softcap(float x, float cap);
#endif
