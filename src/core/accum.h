/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Exact accumulator: a sum of doubles that does not depend on the order of the additions or of the merges.
 *
 * A number is cut into 32-bit digits at absolute bit positions: bin b holds bits [32b, 32b + 32). Four neighbouring bins
 * are kept, the top one chosen by the largest exponent seen; when a higher one appears the window moves up and the lowest
 * bins are dropped. A bin of the final window lay in the window of every earlier moment at which something was added to
 * it, so what is kept is the same for every order: associative and commutative by construction, not by tolerance. Digits
 * are added with their sign into int64 bins and never normalised, so 2^31 additions fit. The window holds at least 84 bits
 * below the leading bit of the largest number added. */
#ifndef LP_CORE_ACCUM_H
#define LP_CORE_ACCUM_H
#include "bits.h"
#include <stdint.h>
#include <string.h>

enum { LP_ACC_BINS = 4 };
#define LP_ACC_EMPTY INT64_MIN

typedef struct acc {
    int64_t bin[LP_ACC_BINS]; /* bin[0] is the highest: bits from 32 * top */
    int64_t top;              /* LP_ACC_EMPTY: nothing was added yet */
} acc;

static inline void acc_init(acc *a)
{
    memset(a, 0, sizeof *a);
    a->top = LP_ACC_EMPTY;
}

/* Sums that wrap around: the parts of a stream state that somebody forged may hold anything, and must not be able to do more
 * than give a wrong result. In all others nothing wraps. */
static inline int64_t acc_plus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline int64_t acc_minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* moves the window up so that it ends at `top`, which is above the present one */
static inline void acc_raise(acc *a, int64_t top)
{
    uint64_t up = (uint64_t)top - (uint64_t)a->top;
    int64_t shift = up > LP_ACC_BINS ? LP_ACC_BINS : (int64_t)up;
    for (int64_t i = LP_ACC_BINS - 1; i >= 0; i--) {
        a->bin[i] = i >= shift ? a->bin[i - shift] : 0;
    }
    a->top = top;
}

/* adds v * 2^exp2; v is finite, |exp2| < 2^62. Without branches but for a new top: it is called once a block. */
static inline void acc_add(acc *a, double v, int64_t exp2)
{
    uint64_t bits = double_bits(v);
    int64_t exponent = (int64_t)(bits >> 52 & 0x7FF);
    uint64_t mantissa = (bits & 0xFFFFFFFFFFFFFU) | (uint64_t)(exponent != 0) << 52;
    if (mantissa == 0) {
        return;
    }
    int64_t position = acc_plus(exponent + (exponent == 0) - 1075, exp2);
    int64_t shift = (int64_t)((uint64_t)position & 31);
    int64_t top = acc_minus(position, shift) / 32 + 2;
    if (top > a->top) {
        acc_raise(a, top);
    }
    uint64_t low = mantissa << shift;
    uint64_t high = mantissa >> 1 >> (63 - shift);
    /* every bin is touched, so that addresses do not depend on the data: a store to a bin found late makes the next
     * block's loads wait for it */
    int64_t sign = -(int64_t)(bits >> 63);
    int64_t digit[3] = {(int64_t)high, (int64_t)(low >> 32), (int64_t)(low & 0xFFFFFFFFU)};
    int64_t first = acc_minus(a->top, top); /* the bin of the highest digit; those below the window fall away */
    for (int64_t i = 0; i < LP_ACC_BINS; i++) {
        int64_t d = i == first ? digit[0] : i - 1 == first ? digit[1] : i - 2 == first ? digit[2] : 0;
        a->bin[i] = acc_plus(a->bin[i], (d ^ sign) - sign);
    }
}

static inline void acc_merge(acc *into, const acc *from)
{
    if (from->top == LP_ACC_EMPTY) {
        return;
    }
    if (from->top > into->top) {
        acc_raise(into, from->top);
    }
    int64_t shift = into->top - from->top;
    for (int64_t i = shift; i < LP_ACC_BINS; i++) {
        into->bin[i] += from->bin[i - shift];
    }
}

/* digit = bin * sign with the carries propagated: all but the top digit in [0, 2^32) */
static inline void acc_carry(int64_t digit[LP_ACC_BINS], const acc *a, int64_t sign)
{
    int64_t carry = 0;
    for (int i = LP_ACC_BINS - 1; i >= 0; i--) {
        int64_t sum = a->bin[i] * sign + carry;
        int64_t low = i == 0 ? sum : (int64_t)((uint64_t)sum & 0xFFFFFFFFU);
        digit[i] = low;
        carry = (sum - low) / ((int64_t)1 << 32);
    }
}

/* v * 2^exp2; overflow gives inf, underflow 0 */
static inline double acc_scale(double v, int64_t exp2)
{
    int64_t e = exp2 > 4000 ? 4000 : exp2 < -4000 ? -4000 : exp2;
    while (e > 1000) {
        v *= 0x1p1000;
        e -= 1000;
    }
    while (e < -1000) {
        v *= 0x1p-1000;
        e += 1000;
    }
    return v * bits_double((uint64_t)(e + 1023) << 52);
}

/* the sum times 2^-exp2, as a double: error below 2 ulp of double */
static inline double acc_value(const acc *a, int64_t exp2)
{
    if (a->top == LP_ACC_EMPTY) {
        return 0;
    }
    int64_t digit[LP_ACC_BINS];
    double sign = 1;
    acc_carry(digit, a, 1);
    if (digit[0] < 0) {
        acc_carry(digit, a, -1);
        sign = -1;
    }
    double sum = 0;
    for (int i = LP_ACC_BINS - 1; i >= 0; i--) {
        sum = sum * 0x1p-32 + (double)digit[i];
    }
    return sign * acc_scale(sum, 32 * a->top - exp2);
}
#endif
