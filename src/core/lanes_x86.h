/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What lanes.h of AVX2 and of AVX-512 share: instructions that have nothing to do with a register's width. */
#ifndef LP_CORE_LANES_X86_H
#define LP_CORE_LANES_X86_H
#include "core/lanes_common.h"
#include <immintrin.h>

LP_INLINE float v_f16_float(uint16_t bits)
{
    return _cvtsh_ss(bits);
}
LP_INLINE uint16_t v_f16_bits(float x)
{
    return _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT);
}
LP_INLINE void v_prefetch(const void *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T0);
}
LP_INLINE void v_prefetch_far(const void *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T1);
}
LP_INLINE void v_fence(void)
{
    _mm_sfence();
}
#endif
