/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What every lanes.h shares: the number of lanes and how they are grouped. */
#ifndef LP_CORE_LANES_COMMON_H
#define LP_CORE_LANES_COMMON_H
#include "core/constants.h"
#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A set is 32 elements, one a lane; a group is 8 sets, summed in float by a tree; a block is 8 groups, summed in double. */
enum { LP_LANES = 32, LP_SETS = 8, LP_GROUP = LP_LANES * LP_SETS, LP_GROUPS = 8, LP_BLOCK_SIZE = LP_GROUP * LP_GROUPS };

/* The loops over columns must be flat for arrays of vectors to live in registers; scalar's 32 columns need not be. Sanitizers' checks
 * would be ten times as much to compile; and where nothing is optimised each inlined copy would have a place of its own in its
 * caller's frame, 640 KiB in all. */
#if defined LP_SANITIZED || !defined __OPTIMIZE__
#define LP_UNROLL
#define LP_INLINE static inline
#else
#define LP_UNROLL _Pragma("GCC unroll 8")
#define LP_INLINE static inline __attribute__((always_inline))
#endif

/* set_mask's `strict` beside 0 and 1: above, or NaN */
enum { OR_NAN = 2 };

/* element `set` of the lane at p, which no alignment is promised of */
LP_INLINE float lane_at(const float *p, size_t set)
{
    float x;
    memcpy(&x, p + set * LP_LANES, sizeof x);
    return x;
}
#endif
