/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The table of kernels in use. */
#ifndef LP_DISPATCH_H
#define LP_DISPATCH_H
#include "kernels.h"
#include <stdatomic.h>

extern _Atomic(const kernels *) active_kernels __attribute__((visibility("hidden"))); /* NULL until somebody asked */
const kernels *choose_kernels(void);

/* How many bytes ahead kernels ask for a row's logits from memory, into the second-level cache: one cache line of four, which sets a
 * CPU's own prefetchers going. Where these do not follow, the others of a row of f32 are asked for, too; elsewhere these requests go to
 * lines that are being read (docs/adr/0015). */
enum { LP_PREFETCH_FAR = 65536 };
/* one line of four of f32; the others, or 0; one of four of 16 bits; the others of either of a pair of rows, or 0; all of a row that is
 * looked at for what is above -inf, or 0: the next page's first alone */
enum { FAR_FIRST, FAR_REST, FAR_HALVES, FAR_PAIR, FAR_LOOK, FAR_KINDS };
extern atomic_size_t far_bytes[FAR_KINDS] __attribute__((visibility("hidden")));

static inline size_t far_ahead_of(int kind)
{
    return atomic_load_explicit(&far_bytes[kind], memory_order_relaxed);
}

static inline const kernels *dispatch(void)
{
    const kernels *k = atomic_load_explicit(&active_kernels, memory_order_acquire);
    return k != NULL ? k : choose_kernels();
}
#endif
