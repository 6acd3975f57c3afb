/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Comparison: not in this version yet. */
#include "logprob.h"
lp_status lp_compare(const lp_logits *p, const lp_logits *q, const int32_t *token, const lp_divergence *out){(void)p;(void)q;(void)token;(void)out;return LP_ERR_ISA;}
