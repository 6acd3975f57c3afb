/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Logits of any dtype as floats, scaled. */
#ifndef LP_CORE_LOAD_H
#define LP_CORE_LOAD_H
#include "core/lanes_common.h"

enum { DTYPE_F32 = 0, DTYPE_BF16 = 1, DTYPE_F16 = 2 };

LP_INLINE vf load_as_float(const unsigned char *data, size_t i, int dtype)
{
    if (dtype == DTYPE_F32) {
        return v_load((const float *)(const void *)data + i);
    }
    const uint16_t *half = (const uint16_t *)(const void *)data + i;
    return dtype == DTYPE_BF16 ? v_load_bf16(half) : v_load_f16(half);
}

/* how logits are read; all but the scale itself is known where code is compiled */
typedef struct reading {
    int dtype, scaled;
    int woven; /* column_logits may have a set's elements in another order, its even ones first, and lanes are in it */
    vf scale;
} reading;

/* as they are */
LP_INLINE reading reading_f32(void)
{
    const reading r = {DTYPE_F32, 0, 0, v_set1(1)};
    return r;
}

#ifndef LP_WOVEN
#define LP_WOVEN 0
LP_INLINE vf v_load_woven(const uint16_t *set, int second)
{
    (void)second;
    return v_load_bf16(set);
}
#endif

LP_INLINE int is_woven(reading r)
{
    return LP_WOVEN && r.woven;
}

/* which of a block's lanes is kept in that place */
LP_INLINE size_t lane_of_place(size_t place, reading r)
{
    const size_t at = place % LP_LANES;
    return is_woven(r) ? place - at + at % (LP_LANES / 2) * 2 + at / (LP_LANES / 2) : place;
}

LP_INLINE vf load_logits(const void *data, size_t i, reading r)
{
    const vf x = load_as_float(data, i, r.dtype);
    return r.scaled ? v_mul(x, r.scale) : x;
}

/* the elements from `at` on, column c of a set of a group */
LP_INLINE vf column_logits(const void *group, size_t at, int c, reading r)
{
    if (is_woven(r)) {
        const vf x = v_load_woven((const uint16_t *)group + (at - (size_t)(c * LP_WIDTH)), c);
        return r.scaled ? v_mul(x, r.scale) : x;
    }
    return load_logits(group, at, r);
}
#endif
