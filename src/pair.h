/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What two rows of logits, a and b, say about each other: the sums that the kernels of core/compare.h make of them. */
#ifndef LP_PAIR_H
#define LP_PAIR_H
#include "core/constants.h"
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

typedef struct pair_share {
    double w, v;
} pair_share;

typedef struct pair_scan {
    row p, q; /* as a scan leaves them */
    int want;
    pair_sums sums;
    double most, least,
        farthest;    /* of d, and the largest number that one of these came from, with PAIR_SPREAD; infinite where
                                   * one of the two is -inf */
    pair_share left; /* of w and of v, what was not taken exactly */
    pair_share forward_share,
        reverse_share; /* the most that eight elements of that have, or a little more: as each needs it */
} pair_scan;

/* how much smaller a logarithm is in the unit of these sums than it should be, relative (core/block.h) */
#define EXP_STRETCH (EXP_LN2_ERROR * 0x1.71547652b82fep+0)

/* What the errors of a divergence grow with (src/compare.c): of shares of the mass, or of all that was not taken exactly. */
static inline double pair_weight(double kl, double own, double other)
{
    return own * (1 + 2 * kl) + other;
}

/* up to which of it, and which divergence, the quick way is good enough: whatever the row, and where its logits have many values */
#define QUICK_MOST 1.0
#define QUICK_KL 1.0
#define QUICK_MOST_VARIED 0.5
#define QUICK_KL_VARIED 16.0

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
