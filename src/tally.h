/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A sum of doubles of any length: the exact accumulator, with its carries propagated before its bins can overflow. */
#ifndef LP_TALLY_H
#define LP_TALLY_H
#include "core/accum.h"

/* The accumulator has room for 2^31 additions. Propagating carries keeps every bit, but lets the bins that a later, larger
 * number pushes out pass on what they had carried: beyond 2^30 additions the order may touch the last bits. */
#define TALLY_ROOM (UINT32_C(1) << 30)

typedef struct tally {
    acc sum;
    uint32_t pending; /* additions since the last propagation */
} tally;

static inline void tally_init(tally *t)
{
    acc_init(&t->sum);
    t->pending = 0;
}

static inline void tally_add(tally *t, double v)
{
    if (t->pending == TALLY_ROOM) {
        acc_carry(t->sum.bin, &t->sum, 1);
        t->pending = 0;
    }
    acc_add(&t->sum, v, 0);
    t->pending++;
}

static inline double tally_value(const tally *t)
{
    return acc_value(&t->sum, 0);
}
#endif
