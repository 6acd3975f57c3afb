/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The accuracy that <logprob.h> publishes under "Accuracy", as numbers: what the tests allow. docs/accuracy.md derives them.
 * An ulp is that of the larger of result and exact value; R is the sum of e^(x - max) over all but one maximum. */
#ifndef TESTS_BOUNDS_H
#define TESTS_BOUNDS_H
#include "oracle.h"

#include <stdbool.h>

static const double BOUND_SUM = 2.8e-7; /* relative, of R */
static const double BOUND_ROUNDING_ULP = 0.5;
static const double BOUND_DENSE_ULP = 1.25; /* beside BOUND_SUM * R / (1 + R) */
static const double BOUND_TOP_ULP = 5.2;    /* of a logprob with p >= 0.5 */
static const double BOUND_ENTROPY = 5.8e-7; /* relative */
static const double BOUND_REST = 0x1p-126;  /* below it, R counts as 0 */

/* what a sum of e^(x - max) may add to the error of its logarithm */
double sum_slack(const oracle *row);
bool rest_vanishes(const oracle *row);
bool logsumexp_holds(const oracle *row, float got);
bool entropy_holds(const oracle *row, float got);
#endif
