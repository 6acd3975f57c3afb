/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The table of kernels in use. */
#ifndef LP_DISPATCH_H
#define LP_DISPATCH_H
#include "kernels.h"

const kernels *dispatch(void);
#endif
