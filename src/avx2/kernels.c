/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernels of src/core, compiled for avx2. */
#include "avx2/lanes.h"

#include "core/table.h"
#include "logprob.h"

LP_KERNELS(avx2, LP_ISA_AVX2);
