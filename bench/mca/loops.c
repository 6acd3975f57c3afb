/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The inner loops of the row kernels, each in a function of its own. LANES is the lanes.h of the ISA to look at. */
#include "loops.h"
#include LANES
#include "core/scan.h"

static origin plain_origin(const float *x)
{
    return (origin){(const unsigned char *)x, 64};
}

uint32_t loop_logsumexp(const float *x, size_t groups, float *sums)
{
    vf peak = v_set1(0), magic = v_set1(EXP_MAGIC);
    LP_FINISH(magic);
    vu bits = v_bits_zero();
    for (size_t g = 0; g < groups; g++) {
        const float *at = x + g * LP_GROUP;
        group_fast(at, DTYPE_F32, plain_origin(at), sums + g % LP_GROUPS * LP_LANES, NULL, NULL, peak, magic, &peak,
                   &bits, 0, 0, NULL, 0, AHEAD_NOTHING);
    }
    return v_mask_ge(peak, v_set1(1)) + (uint32_t)v_bits_test(bits, NARROW_OUTSIDE);
}

uint32_t loop_entropy(const float *x, size_t groups, float *sums, float max)
{
    vf peak = v_set1(0), m = v_set1(max), magic = v_set1(EXP_MAGIC);
    LP_FINISH(magic);
    vu bits = v_bits_zero();
    for (size_t g = 0; g < groups; g++) {
        const float *at = x + g * LP_GROUP;
        float *s = sums + g % LP_GROUPS * LP_LANES;
        group_fast(at, DTYPE_F32, plain_origin(at), s, s + LP_GROUPS * LP_LANES, NULL, m, magic, &peak, &bits, 1, 0,
                   NULL, 0, AHEAD_NOTHING);
    }
    return (uint32_t)v_bits_test(bits, NARROW_OUTSIDE);
}

void loop_dense(float *out, const float *x, size_t n, float max, float log_norm)
{
    dense_plain(out, x, n, max, log_norm, 0);
}

float loop_max(const float *x)
{
    block_groups g;
    block_cut(&g, x, LP_BLOCK_SIZE);
    return block_max(&g);
}
