/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernels of src/core, compiled for scalar. */
#include "scalar/lanes.h"

#include "core/table.h"
#include "logprob.h"

LP_KERNELS(scalar, LP_ISA_SCALAR);
