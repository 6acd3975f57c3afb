/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The next block of a row that is not plain f32, widened and scaled between the exponentials of this one. In a pass of its own that is
 * bound by its stores, which the exponentials leave idle; the entropy needs a block's maximum first, which comes of it. An ISA with
 * registers enough for both says so by LP_LOOKS_AHEAD. */
#ifndef LP_CORE_AHEAD_H
#define LP_CORE_AHEAD_H
#include "core/prepare.h"

#ifndef LP_LOOKS_AHEAD
#define LP_LOOKS_AHEAD 0
#endif

typedef struct ahead {
    const unsigned char *from; /* the next block's logits; NULL: there is nothing to be prepared */
    float *to;                 /* LP_PREPARED floats */
    int scaled;
    vf scale, max;
} ahead;

/* what is done, as a constant: nothing, or AHEAD_FORM of dtype and of whether there is a scale */
enum { AHEAD_NOTHING };
#define AHEAD_FORM(dtype, scaled) (1 + 2 * (dtype) + (scaled))

/* The registers of a column that two sets have from element `at` on; `high` takes the column's largest elements, `begins` with these. */
LP_INLINE void ahead_two(const ahead *a, size_t at, int begins, vf *high, int how)
{
    if (how == AHEAD_NOTHING) {
        return;
    }
    const recipe r = {.data = a->from, .scale = a->scale, .dtype = (how - 1) / 2, .scaled = (how - 1) % 2};
    const vf x = prepare_vector(a->to, &r, at, 0);
    const vf two = v_max(x, prepare_vector(a->to, &r, at + LP_LANES, 0));
    *high = begins ? two : v_max(*high, two);
}

/* the end of a column, which began at element `at` */
LP_INLINE void ahead_column(ahead *a, size_t at, vf high, int how)
{
    if (how != AHEAD_NOTHING) {
        v_store(a->to + LP_BLOCK_SIZE + at / LP_GROUP * LP_LANES + at % LP_GROUP, high);
        a->max = v_max(a->max, high);
    }
}

/* the largest of all, of no use where one is NaN */
LP_INLINE float ahead_max(const ahead *a)
{
    return v_max_lanes(a->max) + 0.0F;
}
#endif
