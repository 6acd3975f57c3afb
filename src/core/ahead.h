/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is done of a row's next block between the exponentials of this one. The entropy needs a block's maximum first, and that takes
 * a pass which leaves idle what the exponentials need: of plain f32 the lanes' largest elements are found, of what is not plain the
 * block is widened and scaled besides, which by itself is bound by its stores. An ISA with registers enough for both says so by
 * LP_LOOKS_AHEAD. */
#ifndef LP_CORE_AHEAD_H
#define LP_CORE_AHEAD_H
#include "core/prepare.h"

#ifndef LP_LOOKS_AHEAD
#define LP_LOOKS_AHEAD 0
#endif

typedef struct ahead {
    const unsigned char *from; /* the next block's logits; NULL: there is nothing to be prepared */
    float *to;                 /* LP_BLOCK_SIZE floats, unless they are plain */
    float *lanes;              /* LP_GROUPS * LP_LANES */
    int scaled;
    vf scale, max;
} ahead;

/* what is done, as a constant: nothing; nothing, for what comes next is not there yet; or AHEAD_FORM of dtype and of whether there is a
 * scale; f32 without one is plain, and only looked at */
enum { AHEAD_NOTHING, AHEAD_LAST, AHEAD_LOOK };
#define AHEAD_FORM(dtype, scaled) (AHEAD_LOOK + 2 * (dtype) + (scaled))

LP_INLINE vf ahead_register(const ahead *a, size_t at, int how)
{
    if (how == AHEAD_LOOK) {
        return v_load((const float *)(const void *)a->from + at);
    }
    const recipe r = {
        .data = a->from, .scale = a->scale, .dtype = (how - AHEAD_LOOK) / 2, .scaled = (how - AHEAD_LOOK) % 2};
    return prepare_vector(a->to, &r, at, 0);
}

/* The registers of a column that two sets have from element `at` on; `high` takes the column's largest elements, `begins` with these. */
LP_INLINE void ahead_two(const ahead *a, size_t at, int begins, vf *high, int how)
{
    if (how >= AHEAD_LOOK) {
        const vf x = ahead_register(a, at, how), two = v_max(x, ahead_register(a, at + LP_LANES, how));
        *high = begins ? two : v_max(*high, two);
    }
}

/* the end of a column, which began at element `at` */
LP_INLINE void ahead_column(ahead *a, size_t at, vf high, int how)
{
    if (how >= AHEAD_LOOK) {
        v_store(a->lanes + at / LP_GROUP * LP_LANES + at % LP_GROUP, high);
        a->max = v_max(a->max, high);
    }
}

/* the largest of all, of no use where one is NaN */
LP_INLINE float ahead_max(const ahead *a)
{
    return v_max_lanes(a->max) + 0.0F;
}
#endif
