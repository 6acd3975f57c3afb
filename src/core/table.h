/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The entries of an ISA's table of kernels. */
#ifndef LP_CORE_TABLE_H
#define LP_CORE_TABLE_H
#include "core/compare.h"
#include "core/dense.h"
#include "core/pick.h"
#include "core/push.h"
#include "core/scan.h"
#include "core/short.h"

static void exp_some(double x[ROW_SOME])
{
    for (int i = 0; i < ROW_SOME; i += LP_DOUBLES) {
        v_exp_doubles(x + i);
    }
}

static void log1p_some(double x[ROW_SOME])
{
    for (int i = 0; i < ROW_SOME; i += LP_DOUBLES) {
        v_log1p_doubles(x + i);
    }
}

#define LP_KERNELS(name, isa)                                                                                          \
    const kernels kernels_##name = {isa,                                                                               \
                                    scan_row,                                                                          \
                                    scan_short,                                                                        \
                                    pick_short,                                                                        \
                                    dense_row,                                                                         \
                                    prepare,                                                                           \
                                    compare_quick,                                                                     \
                                    compare_exact,                                                                     \
                                    values_vary,                                                                       \
                                    push_chunk,                                                                        \
                                    {exp_some, log1p_some}}
#endif
