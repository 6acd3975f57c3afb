/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What two rows of logits, a and b, say about each other: the sums that the kernels of core/compare.h make of them. */
#ifndef LP_PAIR_H
#define LP_PAIR_H
#include "row.h"

/* which sums besides `forward` are wanted */
enum { PAIR_REVERSE = 1, PAIR_CROSS = 2, PAIR_SPREAD = 4 };

/* With w = e^a, v = e^b, d = a - b and u = v - w, in a unit that they share. Each term of `forward` and of -`reverse` is at
 * least 0, for e^-d >= 1 - d: where the rows are alike the sums are small themselves, and no large ones cancel. */
typedef struct pair_sums {
    double w, v;
    double forward; /* w d + u */
    double reverse; /* v d + u */
    double cross;   /* w b */
} pair_sums;

/* the block sum that is largest, and what any other block has at most */
typedef struct pair_share {
    double first, second;
    size_t offset; /* of the first */
} pair_share;

typedef struct pair_scan {
    row p, q; /* as a scan leaves them */
    int want;
    pair_sums sums;
    double most, least; /* of d; only with PAIR_SPREAD */
    pair_share p_share, q_share;
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
