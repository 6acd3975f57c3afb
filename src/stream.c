/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Streams: not in this version yet. */
#include "logprob.h"
size_t lp_stream_size(size_t k){(void)k;return 0;}
lp_status lp_stream_init(void *memory, size_t bytes, size_t k, int32_t first_token, int32_t token){(void)memory;(void)bytes;(void)k;(void)first_token;(void)token;return LP_ERR_ISA;}
lp_status lp_stream_check(const void *memory, size_t bytes){(void)memory;(void)bytes;return LP_ERR_ISA;}
lp_status lp_stream_push(lp_stream *s, const lp_logits *chunk){(void)s;(void)chunk;return LP_ERR_ISA;}
lp_status lp_stream_merge(lp_stream *into, const lp_stream *from){(void)into;(void)from;return LP_ERR_ISA;}
lp_status lp_stream_finish(const lp_stream *s, lp_row *r, float *a, int32_t *b){(void)s;(void)r;(void)a;(void)b;return LP_ERR_ISA;}
