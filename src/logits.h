/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An lp_logits argument: checked once, then read row by row. */
#ifndef LP_LOGITS_H
#define LP_LOGITS_H
#include "dispatch.h"
#include "logprob.h"

/* LP_OK, or LP_ERR_ARG: found before anything is written */
lp_status logits_check(const lp_logits *in);

/* a * b, or SIZE_MAX where that overflows */
size_t size_product(size_t a, size_t b);

source logits_row(const lp_logits *in, size_t i);

/* the logit of one id of a row, as the kernels see it; 0 <= id < vocab */
float logits_prepared_at(const kernels *k, const source *from, int32_t id);
static inline float logits_at(const kernels *k, const source *from, int32_t id)
{
    float x;
    if (!from->plain) {
        return logits_prepared_at(k, from, id);
    }
    memcpy(&x, from->data + (size_t)id * sizeof x, sizeof x);
    return x;
}

/* the results of a whole row but for its entropy */
row_result logits_scan(const kernels *k, const source *from, size_t vocab);

/* whether the rows are of one block at most and read where they lie: several are then summed at a time */
static inline int logits_short(const lp_logits *in)
{
    return in->dtype == LP_F32 && in->allowed == NULL && in->row_inv_temperature == NULL && in->softcap == 0 &&
           (in->inv_temperature == 0 || in->inv_temperature == 1) && in->vocab != 0 && in->vocab <= LP_BLOCK;
}

/* The results of n <= ROW_SOME rows from the one numbered `first` on. logits_some: how many a caller takes that looks at the rows
 * again, which long ones are then still in the cache for. */
static inline size_t logits_some(const lp_logits *in)
{
    return in->vocab <= LP_BLOCK ? ROW_SOME : 1;
}
void logits_scan_some(const kernels *k, const lp_logits *in, size_t first, size_t n, int entropy, row_result *results);

/* the status of a call: that of its lowest bad row */
static inline void status_keep_first(lp_status *call, lp_status found)
{
    *call = *call == LP_OK ? found : *call;
}
#endif
