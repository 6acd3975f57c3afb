/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernels of src/core, compiled for avx512. */
#include "avx512/lanes.h"

#include "core/table.h"
#include "logprob.h"

LP_KERNELS(avx512, LP_ISA_AVX512);
