/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernels of src/core, compiled for neon. */
#include "neon/lanes.h"

#include "core/table.h"
#include "logprob.h"

LP_KERNELS(neon, LP_ISA_NEON);
