/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What two rows of logits, a and b, say about each other: the sums that the kernels of core/compare.h make of them. */
#ifndef LP_PAIR_H
#define LP_PAIR_H
#include "row.h"

/* which sums besides `forward` are wanted */
enum { PAIR_REVERSE = 1, PAIR_CROSS = 2, PAIR_SPREAD = 4 };

/* with w = e^a, v = e^b and d = a - b, in a unit that they share */
typedef struct pair_sums {
    double w, v;
    double forward; /* w d */
    double reverse; /* v d */
    double cross;   /* w b */
} pair_sums;

typedef struct pair_scan {
    row p, q; /* as a scan leaves them */
    int want;
    pair_sums sums;
    double most, least, farthest; /* of d, and the largest number that one of these came from; only with PAIR_SPREAD */
    float p_left, q_left;         /* of w and of v, what was not taken exactly */
    float p_share, q_share;       /* the most that eight elements of that have, or a little more */
} pair_scan;

/* the same sums in double, of e^(a - max) and e^(b - max) */
typedef struct pair_exact {
    double a_max, b_max; /* given; finite */
    double w, v;
    double forward;     /* w d */
    double reverse;     /* v d */
    double cross;       /* w (b - b_max) */
    double most, least; /* of d; infinite where one of the two is -inf */
} pair_exact;
#endif
