/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The independent reference: the definitions, written out in MPFR, knowing nothing of how the library
 * computes. */
#include "oracle.h"

#include <math.h>
#include <mpfr.h>

/* 1 + 1e-36 needs 120 bits, and the digits after it are the ones that count. */
enum { BITS = 200 };

static size_t index_of_max(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        if (x[i] > x[best]) {
            best = i;
        }
    }
    return best;
}

oracle oracle_row(const float *x, size_t n)
{
    const size_t top = index_of_max(x, n);
    mpfr_t sum, weighted, d, e, entropy;
    mpfr_inits2(BITS, sum, weighted, d, e, entropy, (mpfr_ptr)0);
    mpfr_set_zero(sum, 1);
    mpfr_set_zero(weighted, 1);
    for (size_t i = 0; i < n; i++) {
        if (i != top && x[i] != -INFINITY) {
            mpfr_set_flt(d, x[i], MPFR_RNDN);
            mpfr_sub_d(d, d, (double)x[top], MPFR_RNDN);
            mpfr_exp(e, d, MPFR_RNDN);
            mpfr_add(sum, sum, e, MPFR_RNDN); /* R = sum e^d */
            mpfr_mul(e, e, d, MPFR_RNDN);
            mpfr_sub(weighted, weighted, e, MPFR_RNDN); /* W = - sum d e^d */
        }
    }
    oracle row = {.max = (double)x[top], .rest = mpfr_get_d(sum, MPFR_RNDN)};
    mpfr_log1p(d, sum, MPFR_RNDN);
    row.log_norm = mpfr_get_d(d, MPFR_RNDN);
    mpfr_add_ui(sum, sum, 1, MPFR_RNDN);
    mpfr_div(weighted, weighted, sum, MPFR_RNDN);
    mpfr_add(entropy, d, weighted, MPFR_RNDN); /* - sum p log p = log(1 + R) + W / (1 + R) */
    row.entropy = mpfr_get_d(entropy, MPFR_RNDN);
    mpfr_add_d(d, d, row.max, MPFR_RNDN);
    row.logsumexp = mpfr_get_d(d, MPFR_RNDN);
    mpfr_clears(sum, weighted, d, e, entropy, (mpfr_ptr)0);
    return row;
}

double oracle_logprob(const oracle *row, float x)
{
    return ((double)x - row->max) - row->log_norm;
}

double oracle_softcap(float x, float cap)
{
    mpfr_t y;
    mpfr_init2(y, BITS);
    mpfr_set_flt(y, x, MPFR_RNDN);
    mpfr_div_d(y, y, (double)cap, MPFR_RNDN);
    mpfr_tanh(y, y, MPFR_RNDN);
    mpfr_mul_d(y, y, (double)cap, MPFR_RNDN);
    const double result = mpfr_get_d(y, MPFR_RNDN);
    mpfr_clear(y);
    return result;
}
