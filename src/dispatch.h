/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The table of kernels in use. */
#ifndef LP_DISPATCH_H
#define LP_DISPATCH_H
#include "kernels.h"
#include <stdatomic.h>

extern _Atomic(const kernels *) active_kernels __attribute__((visibility("hidden"))); /* NULL until somebody asked */
const kernels *choose_kernels(void);

static inline const kernels *dispatch(void)
{
    const kernels *k = atomic_load_explicit(&active_kernels, memory_order_acquire);
    return k != NULL ? k : choose_kernels();
}
#endif
