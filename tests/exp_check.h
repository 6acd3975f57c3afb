/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The exponential of the hot loop and the softcap's tanh as each ISA has them, for test_exp.c: exp_check.c is compiled once an
 * ISA, with the flags of its kernels. */
#ifndef TESTS_EXP_CHECK_H
#define TESTS_EXP_CHECK_H
#include <stddef.h>
#include <stdint.h>

enum { EXP_CHECK_MOST = 1024 };

typedef struct exp_check {
    /* n a multiple of 32, at most EXP_CHECK_MOST. How many of x break a rule, with the place of the first one in *at:
     *   exp_terms says "inside" exactly for EXP_LOWEST <= x <= EXP_HIGHEST;
     *   where exp_narrow says so and e^x is finite, x lies there and the bits are those of exp_terms. */
    size_t (*window)(const float *x, size_t n, size_t *at);
    /* e^x as exp_terms has it, and the n of the reference e^x = 2^n e^r, in eighths */
    void (*terms)(const float *x, float *e, float *n, size_t count);
    void (*softcap)(const float *x, float cap, float *out, size_t n);
} exp_check;

extern const exp_check exp_check_scalar, exp_check_avx2, exp_check_avx512, exp_check_neon;
#endif
