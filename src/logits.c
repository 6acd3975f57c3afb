/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Checks of an lp_logits argument, and the way from it to the kernels. */
#include "logits.h"
#include <float.h>

size_t size_product(size_t a, size_t b)
{
    return b != 0 && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}

/* a factor that is 0 (not given) or positive and finite */
static int is_factor(float x)
{
    return x >= 0 && x <= FLT_MAX;
}

static size_t element_size(lp_dtype dtype)
{
    return dtype == LP_F32 ? sizeof(float) : sizeof(uint16_t);
}

lp_status logits_check(const lp_logits *in)
{
    if (in == NULL || in->flags != 0 || in->reserved[0] != NULL || in->reserved[1] != NULL || in->reserved[2] != NULL) {
        return LP_ERR_ARG;
    }
    size_t stride = in->stride == 0 ? in->vocab : in->stride;
    size_t words = in->vocab / 32 + (in->vocab % 32 != 0);
    if (in->dtype < LP_F32 || in->dtype > LP_F16 || in->vocab > INT32_MAX || stride < in->vocab ||
        !is_factor(in->inv_temperature) || !is_factor(in->softcap) ||
        (in->allowed_stride != 0 && in->allowed_stride < words)) {
        return LP_ERR_ARG;
    }
    if (in->rows == 0) {
        return LP_OK;
    }
    size_t mask_stride = in->allowed_stride == 0 ? words : in->allowed_stride;
    if (size_product(size_product(in->rows, stride), element_size(in->dtype)) > SIZE_MAX / 2 ||
        (in->allowed != NULL && size_product(size_product(in->rows, mask_stride), 4) > SIZE_MAX / 2) ||
        (in->data == NULL && in->vocab != 0)) {
        return LP_ERR_ARG;
    }
    for (size_t i = 0; in->row_inv_temperature != NULL && i < in->rows; i++) {
        if (!is_factor(in->row_inv_temperature[i])) {
            return LP_ERR_ARG;
        }
    }
    return LP_OK;
}

source logits_row(const lp_logits *in, size_t i)
{
    size_t stride = in->stride == 0 ? in->vocab : in->stride;
    size_t words = in->allowed_stride == 0 ? in->vocab / 32 + (in->vocab % 32 != 0) : in->allowed_stride;
    float scale = in->row_inv_temperature != NULL ? in->row_inv_temperature[i] : in->inv_temperature;
    source s = {0};
    s.data = in->data == NULL ? NULL : (const unsigned char *)in->data + i * stride * element_size(in->dtype);
    s.allowed = in->allowed == NULL ? NULL : in->allowed + i * words;
    s.scale = scale == 0 ? 1 : scale;
    s.softcap = in->softcap;
    s.dtype = in->dtype;
    s.plain = in->dtype == LP_F32 && s.allowed == NULL && s.scale == 1 && s.softcap == 0;
    return s;
}

float logits_prepared_at(const kernels *k, const source *from, int32_t id)
{
    float set[32];
    source one = source_at(from, (size_t)id);
    k->prepare(set, &one, 1);
    return set[0];
}

static void scan_sums(const kernels *k, row *sums, const source *from, size_t vocab, int entropy)
{
    scan job = {sums, NULL, 0, 0, 0, 0};
    row_init(sums, entropy);
    k->scan(&job, from, vocab, 0);
}

row_result logits_scan(const kernels *k, const source *from, size_t vocab)
{
    row sums;
    scan_sums(k, &sums, from, vocab, 0);
    return row_finish(&sums);
}

void logits_scan_some(const kernels *k, const lp_logits *in, size_t first, size_t n, int entropy, row_result *results)
{
    row rows[ROW_SOME];
    source from[ROW_SOME];
    for (size_t i = 0; i < n; i++) {
        from[i] = logits_row(in, first + i);
    }
    if (logits_short(in)) {
        k->scan_short(rows, from, n, in->vocab, entropy);
    } else {
        for (size_t i = 0; i < n; i++) {
            scan_sums(k, rows + i, from + i, in->vocab, entropy);
        }
    }
    row_finish_some(rows, n, &k->functions, results);
}
