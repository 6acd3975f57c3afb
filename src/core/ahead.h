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
    float *to;
    int scaled;
    vf scale, max[2];
} ahead;

/* what is done, as a constant: nothing, or AHEAD_FORM of dtype and of whether there is a scale */
enum { AHEAD_NOTHING };
#define AHEAD_FORM(dtype, scaled) (1 + 2 * (dtype) + (scaled))

/* a register of logits from element `at` on; turn: of the two that take maxima */
LP_INLINE void ahead_take(ahead *a, size_t at, int turn, int how)
{
    if (how == AHEAD_NOTHING) {
        return;
    }
    const recipe r = {.data = a->from, .scale = a->scale, .dtype = (how - 1) / 2, .scaled = (how - 1) % 2};
    prepare_vector(a->to, &r, at, 0, &a->max[turn]);
}

/* the largest of all, of no use where one is NaN */
LP_INLINE float ahead_max(const ahead *a)
{
    return v_max_lanes(v_max(a->max[0], a->max[1])) + 0.0F;
}
#endif
