/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The table of kernels in use. */
#ifndef LP_DISPATCH_H
#define LP_DISPATCH_H
#include "kernels.h"
#include <stdatomic.h>

extern _Atomic(const kernels *) active_kernels __attribute__((visibility("hidden"))); /* NULL until somebody asked */
const kernels *choose_kernels(void);

/* How many bytes ahead kernels ask for a row's logits from memory, into the second-level cache: one cache line of four, which sets a
 * CPU's own prefetchers going. Where these do not follow, the others are asked for, too; elsewhere these requests go to lines that
 * are being read (docs/adr/0015). */
enum { LP_PREFETCH_FAR = 65536 };
extern atomic_size_t far_rest_bytes __attribute__((visibility("hidden"))); /* LP_PREFETCH_FAR or 0 */

static inline size_t far_rest(void)
{
    return atomic_load_explicit(&far_rest_bytes, memory_order_relaxed);
}

static inline const kernels *dispatch(void)
{
    const kernels *k = atomic_load_explicit(&active_kernels, memory_order_acquire);
    return k != NULL ? k : choose_kernels();
}
#endif
