/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Saves, sets and restores the floating-point control bits: the caller's rounding mode and flush-to-zero would change
 * result bits, and the library's exceptions are none of the caller's business. */
#ifndef LP_FPENV_H
#define LP_FPENV_H
#include <stdint.h>

#if defined(__FAST_MATH__)
#error "logprob must not be compiled with -ffast-math: its result bits are a promise (append -fno-fast-math)"
#endif
#include <float.h>
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 /* 16: as 0, and _Float16 in itself, as with -mavx512fp16 */
#error                                                                                                                 \
    "logprob needs float arithmetic in float: FLT_EVAL_METHOD must be 0 (32-bit x86: -msse2 -mfpmath=sse; s390x: -fexcess-precision=fast)"
#endif

/* The register, accessed so that the compiler moves no arithmetic across it: the memory clobber orders it against the
 * calls through the kernel table, which is where all arithmetic on the caller's data happens. */
#if defined(__x86_64__) || defined(__i386__)
typedef struct {
    uint32_t saved;
} fp_state;
static inline fp_state fp_enter(void)
{
    fp_state s = {0}; /* clang's MemorySanitizer does not see what instructions write */
    const uint32_t masked_nearest = 0x1F80U;
    __asm__ volatile("stmxcsr %0" : "=m"(s.saved) : : "memory");
    if ((s.saved & ~0x3FU) != masked_nearest) { /* the six lowest bits are flags: they do not matter to us */
        __asm__ volatile("ldmxcsr %0" : : "m"(masked_nearest) : "memory");
    }
    return s;
}
static inline void fp_leave(fp_state s)
{
    uint32_t now = 0;
    __asm__ volatile("stmxcsr %0" : "=m"(now) : : "memory");
    if (now != s.saved) { /* writing is slow, and seldom needed: most programs have raised `inexact` long ago */
        __asm__ volatile("ldmxcsr %0" : : "m"(s.saved) : "memory");
    }
}
#elif defined(__aarch64__)
typedef struct {
    uint64_t control, status;
} fp_state;
static inline fp_state fp_enter(void)
{
    fp_state s;
    __asm__ volatile("mrs %0, fpcr" : "=r"(s.control) : : "memory");
    __asm__ volatile("mrs %0, fpsr" : "=r"(s.status) : : "memory");
    if (s.control != 0) {
        __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0) : "memory");
    }
    return s;
}
static inline void fp_leave(fp_state s)
{
    if (s.control != 0) {
        __asm__ volatile("msr fpcr, %0" : : "r"(s.control) : "memory");
    }
    __asm__ volatile("msr fpsr, %0" : : "r"(s.status) : "memory");
}
#else
#include <fenv.h>
typedef struct {
    fenv_t saved;
} fp_state;
static inline fp_state fp_enter(void)
{
    fp_state s;
    fegetenv(&s.saved);
    fesetenv(FE_DFL_ENV);
    return s;
}
static inline void fp_leave(fp_state s)
{
    fesetenv(&s.saved);
}
#endif
#endif
