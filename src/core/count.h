/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts of a row's elements that are above a token's logit, and of those that are not below it. */
#ifndef LP_CORE_COUNT_H
#define LP_CORE_COUNT_H
#include "core/lanes_common.h"
#include "kernels.h"

/* Elements that were counted, by lanes: these are added up when there are no more to come, not once a block. */
typedef struct counters {
    vu lanes[4];
} counters;

LP_INLINE void counters_begin(counters *k)
{
    LP_UNROLL for (int c = 0; c < 4; c++)
    {
        k->lanes[c] = v_bits_zero();
    }
}

LP_INLINE uint64_t counters_sum(const counters *k)
{
    return (uint64_t)v_count_sum(k->lanes[0]) + v_count_sum(k->lanes[1]) + v_count_sum(k->lanes[2]) +
           v_count_sum(k->lanes[3]);
}

typedef struct rank_counters {
    counters above, not_below;
} rank_counters;

LP_INLINE void rank_begin(rank_counters *k)
{
    counters_begin(&k->above);
    counters_begin(&k->not_below);
}

LP_INLINE void rank_end(const rank_counters *k, scan *job)
{
    job->above += job->rank & SCAN_ABOVE ? counters_sum(&k->above) : 0;
    job->not_below += job->rank & SCAN_NOT_BELOW ? counters_sum(&k->not_below) : 0;
}
#endif
