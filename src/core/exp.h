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
#define NARROW_LOWEST EXP_LOWEST
LP_INLINE vf exp_narrow(vf x, vf *t)
{
    return exp_terms(x, v_set1(EXP_MAGIC), t);
}

/* Two at once, a step of each in turn: one after the other, most of what is in the CPU's scheduler waits for something. magic
 * is EXP_MAGIC, from outside the loop and LP_FINISHed, or gcc keeps its negative in another register. `bits` collects t, as
 * soon as it is there: it would be spilled later. */
LP_INLINE void exp_narrow_two(const vf x[2], vf magic, vf e[2], vu *bits)
{
    const vf ln2 = v_set1(EXP_LN2), c2 = v_set1(EXP_C2), c3 = v_set1(EXP_C3);
    vf t0 = v_fma(x[0], v_set1(EXP_LOG2E), magic), t1 = v_fma(x[1], v_set1(EXP_LOG2E), magic);
    vf n0 = v_sub(t0, magic), n1 = v_sub(t1, magic);
    vf r0 = v_fnma(n0, ln2, x[0]), r1 = v_fnma(n1, ln2, x[1]);
    *bits = v_bits_or(*bits, t0, t1);
    vf power0 = v_exp_table(t0), power1 = v_exp_table(t1);
    vf q0 = v_fma(r0, c3, c2), q1 = v_fma(r1, c3, c2);
    q0 = v_fma(q0, r0, v_set1(EXP_C1));
    q1 = v_fma(q1, r1, v_set1(EXP_C1));
    r0 = v_mul(power0, r0);
    r1 = v_mul(power1, r1);
    e[0] = v_fma(r0, q0, power0);
    e[1] = v_fma(r1, q1, power1);
}
#elif !defined(LP_OWN_EXP_NARROW_TWO)
LP_INLINE void exp_narrow_two(const vf x[2], vf magic, vf e[2], vu *bits)
{
    vf t[2];
    (void)magic;
    e[0] = exp_narrow(x[0], &t[0]);
    e[1] = exp_narrow(x[1], &t[1]);
    *bits = v_bits_or(*bits, t[0], t[1]);
}
#endif

/* e^x, 0 for -inf, of which t is that of 0; NaN shows in t */
LP_INLINE vf exp_present(vf x, vf *t)
{
    const vf absent = v_set1(-__builtin_inff());
    return v_zero_where_ge(absent, x, exp_narrow(v_zero_where_ge(absent, x, x), t));
}
#endif
