/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The inner loops of the row kernels, each in a function of its own. LANES is the lanes.h of the ISA to look at. */
#include "loops.h"
#include LANES
#include "core/dense.h"
#include "core/scan.h"

static origin plain_origin(const float *x)
{
    return (origin){(const unsigned char *)x, 64};
}

/* groups of sums that are not settled */
static uint32_t loop_sums(const float *x, size_t groups, float *sums, int what)
{
    enum { APART = LP_GROUPS * LP_LANES };
    vf peak = peak_none(what), magic = v_set1(EXP_MAGIC);
    LP_FINISH(magic);
    vu bits = v_bits_zero();
    for (size_t g = 0; g < groups; g++) {
        const float *at = x + g * LP_GROUP;
        float *s = sums + g % LP_GROUPS * LP_LANES;
        const lane_sums to = {s, s + APART, s + 2 * APART};
        group_fast(at, reading_f32(), plain_origin(at), to, magic, &peak, &bits, what, 0, NULL);
    }
    return v_mask_ge(peak, v_set1(1)) + (uint32_t)v_bits_test(bits, NARROW_OUTSIDE);
}

uint32_t loop_logsumexp(const float *x, size_t groups, float *sums)
{
    return loop_sums(x, groups, sums, SUMS_ALONE);
}

uint32_t loop_entropy(const float *x, size_t groups, float *sums)
{
    return loop_sums(x, groups, sums, SUMS_ENTROPY);
}

void loop_dense(float *out, const float *x, size_t n, float max, float log_norm)
{
    const source from = source_plain((const unsigned char *)x);
    dense_f32(out, &from, n, max, log_norm, 0);
}

float loop_max(const float *x)
{
    block_groups g;
    block_cut(&g, x, LP_BLOCK_SIZE);
    return block_max(&g);
}
