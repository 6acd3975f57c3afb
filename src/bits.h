/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Floats and doubles as their bits, and back; the lowest bit of a word. */
#ifndef LP_BITS_H
#define LP_BITS_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t double_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double bits_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* the number of a word's lowest bit that is set; one is */
static inline size_t first_bit(uint64_t word)
{
#if defined __clang__ && defined __x86_64__
    uint64_t at;
    /* tzcnt, where that exists, for both find the same. clang without BMI leaves the prefix out: eight operations on a Zen 4. */
    __asm__("rep bsfq %1, %0" : "=r"(at) : "r"(word) : "cc");
    return (size_t)at;
#else
    return (size_t)__builtin_ctzll(word);
#endif
}
#endif
