/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What every lanes.h shares: the number of lanes and how they are grouped. */
#ifndef LP_CORE_LANES_COMMON_H
#define LP_CORE_LANES_COMMON_H
#include "core/constants.h"
#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A set is 32 elements, one a lane; a group is 8 sets, summed in float by a tree; a block is 4 groups, summed in double. */
enum { LP_LANES = 32, LP_SETS = 8, LP_GROUP = LP_LANES * LP_SETS, LP_GROUPS = 4, LP_BLOCK_SIZE = LP_GROUP * LP_GROUPS };

#define LP_INLINE static inline __attribute__((always_inline))
#endif
