/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The entries of an ISA's table of kernels. */
#ifndef LP_CORE_TABLE_H
#define LP_CORE_TABLE_H
#include "core/compare.h"
#include "core/scan.h"
#include "core/short.h"

#define LP_KERNELS(name, isa)                                                                                          \
    const kernels kernels_##name = {isa,     scan_row,      scan_short,    dense_row,                                  \
                                    prepare, compare_quick, compare_exact, {v_exp_eight, v_log1p_eight}}
#endif
