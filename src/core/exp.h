/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The exponential of the hot loop: eight-entry table and cubic, ten operations. The constants: core/constants.h. */
#ifndef LP_CORE_EXP_H
#define LP_CORE_EXP_H
#include "core/lanes_common.h"

enum { LP_COLUMNS = LP_LANES / LP_WIDTH }; /* registers a set */

/* the bits that are zero in every t whose exponent is right, and not all zero in any other: t = 0 cannot come up, for
 * EXP_MAGIC / EXP_LOG2E is no float */
#define EXP_OUTSIDE (~0x400007FFU)

/* e^x times scale / kappa, for x between EXP_LOWEST and EXP_HIGHEST (moved by 8 units of magic a power of two), and the t that
 * shows whether x lay there. Relative error 9e-8 after the factor is undone, of which 6e-8 is the last rounding, for x from
 * -83 on; below, where T r is subnormal, nothing is promised but the bits. */
LP_INLINE vf exp_terms(vf x, vf magic, vf *t)
{
    *t = v_fma(x, v_set1(EXP_LOG2E), magic);
    vf n = v_sub(*t, magic);
    vf r = v_fnma(n, v_set1(EXP_LN2), x);
    vf q = v_fma(r, v_set1(EXP_C3), v_set1(EXP_C2));
    q = v_fma(q, r, v_set1(EXP_C1));
    vf power = v_exp_table(*t);
    return v_fma(v_mul(power, r), q, power);
}

#ifndef LP_OWN_EXP_NARROW
#define NARROW_OUTSIDE EXP_OUTSIDE
LP_INLINE vf exp_narrow(vf x, vf *t)
{
    return exp_terms(x, v_set1(EXP_MAGIC), t);
}
#endif
#endif
