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
    vf scale;
} reading;

/* as they are */
LP_INLINE reading reading_f32(void)
{
    const reading r = {DTYPE_F32, 0, v_set1(1)};
    return r;
}

LP_INLINE vf load_logits(const void *data, size_t i, reading r)
{
    const vf x = load_as_float(data, i, r.dtype);
    return r.scaled ? v_mul(x, r.scale) : x;
}
#endif
