/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The forms in which logits come: element types, and what is applied while they are read. One table entry
 * each. */
#include "forms.h"

#include <math.h>
#include <string.h>

const form forms[] = {
    {"f32", LP_F32, 0, 0, MASK_NONE, false},
    {"bf16", LP_BF16, 0, 0, MASK_NONE, false},
    {"f16", LP_F16, 0, 0, MASK_NONE, false},
    {"f32-temperature", LP_F32, 0.7f, 0, MASK_NONE, false},
    {"f16-row-temperatures", LP_F16, 5, 0, MASK_NONE, true},
    {"f32-huge-temperature", LP_F32, 3e38f, 0, MASK_NONE, false},
    {"f32-tiny-temperature", LP_F32, 1e-40f, 0, MASK_NONE, false},
    {"f32-mask-all", LP_F32, 0, 0, MASK_ALL, false},
    {"f32-mask-half", LP_F32, 0, 0, MASK_HALF, false},
    {"f32-mask-few", LP_F32, 0, 0, MASK_FEW, false},
    {"f32-softcap", LP_F32, 0, 30, MASK_NONE, false},
    {"bf16-temperature-mask-all", LP_BF16, 1.25f, 0, MASK_ALL, false},
    {"bf16-softcap-temperature-mask", LP_BF16, 1.25f, 50, MASK_FEW, false},
    {"f16-softcap-row-temperatures", LP_F16, 0, 15, MASK_NONE, true},
};
const size_t form_count = COUNT(forms);

size_t dtype_size(lp_dtype dtype)
{
    return dtype == LP_F32 ? 4 : 2;
}

static uint16_t to_bf16(uint32_t bits)
{
    if ((bits & 0x7fffffff) > 0x7f800000) {
        return (uint16_t)((bits >> 16) | 0x40);
    }
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static uint16_t to_f16(float x)
{
    const uint16_t sign = (uint16_t)((float_bits(x) >> 16) & 0x8000);
    const float size = fabsf(x);
    if (isnan(x)) {
        return (uint16_t)(sign | 0x7e00 | ((float_bits(x) >> 13) & 0x1ff));
    }
    if (size >= 65520) {
        return (uint16_t)(sign | 0x7c00);
    }
    if (size < 0x1p-14f) { /* subnormals are multiples of 2^-24: adding 0.5 rounds to them */
        return (uint16_t)(sign | (float_bits(size + 0.5f) - float_bits(0.5f)));
    }
    const uint32_t bits = float_bits(size);
    return (uint16_t)(sign | ((bits + 0xfff + ((bits >> 13) & 1) - 0x38000000) >> 13));
}

static float from_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 0x3ff;
    if (exponent == 31) {
        return float_from_bits(sign | 0x7f800000 | fraction << 13);
    }
    if (exponent == 0) {
        const float size = (float)fraction * 0x1p-24f;
        return sign ? -size : size;
    }
    return float_from_bits(sign | ((exponent + 112) << 23) | fraction << 13);
}

void narrow(lp_dtype dtype, float x, void *to)
{
    if (dtype == LP_F32) {
        memcpy(to, &x, 4);
    } else {
        const uint16_t half = dtype == LP_BF16 ? to_bf16(float_bits(x)) : to_f16(x);
        memcpy(to, &half, 2);
    }
}

float widened(lp_dtype dtype, const void *from)
{
    if (dtype == LP_F32) {
        float x;
        memcpy(&x, from, 4);
        return x;
    }
    uint16_t half;
    memcpy(&half, from, 2);
    return dtype == LP_BF16 ? float_from_bits((uint32_t)half << 16) : from_f16(half);
}

static uint32_t mask_word(mask_kind kind, rng *r)
{
    switch (kind) {
    case MASK_ALL:
        return UINT32_MAX;
    case MASK_HALF:
        return (uint32_t)rng_next(r);
    default:
        return rng_below(r, 3) == 0 ? (uint32_t)1 << rng_below(r, 32) : 0;
    }
}

static void add_mask(matrix *m, mask_kind kind, rng *r)
{
    const size_t words = (m->in.vocab + 31) / 32;
    m->in.allowed_stride = words + 1;
    const size_t count = m->in.rows == 0 ? 0 : (m->in.rows - 1) * m->in.allowed_stride + words;
    m->allowed = guard_new(count * 4, AT_END, 0);
    uint32_t *word = (uint32_t *)(void *)m->allowed.data;
    for (size_t i = 0; i < count; i++) {
        word[i] = mask_word(kind, r);
    }
    guard_freeze(&m->allowed);
    m->in.allowed = word;
}

static void add_temperatures(matrix *m, rng *r)
{
    m->temperature = guard_new(m->in.rows * 4, AT_END, 0);
    float *t = (float *)(void *)m->temperature.data;
    for (size_t i = 0; i < m->in.rows; i++) {
        t[i] = (float)rng_below(r, 5) * 0.3f;
    }
    guard_freeze(&m->temperature);
    m->in.row_inv_temperature = t;
}

/* x in the form's type, and NAN from there to `end` */
static void put_row(lp_dtype dtype, const float *x, size_t vocab, size_t end, void *to)
{
    const size_t size = dtype_size(dtype), whole = dtype == LP_F32 ? vocab : 0;
    if (whole > 0) {
        memcpy(to, x, whole * size);
    }
    for (size_t id = whole; id < end; id++) {
        narrow(dtype, id < vocab ? x[id] : NAN, (char *)to + id * size);
    }
}

matrix matrix_new(const form *f, const float *rows, size_t count, size_t vocab, layout where, uint64_t seed)
{
    const size_t stride = where.stride ? where.stride : vocab, size = dtype_size(f->dtype);
    const size_t elements = count == 0 ? 0 : (count - 1) * stride + vocab;
    matrix m = {.data = guard_new(elements * size, where.side, where.offset)};
    for (size_t row = 0; row < count; row++) {
        const size_t end = row + 1 < count ? stride : vocab;
        put_row(f->dtype, rows + row * vocab, vocab, end, m.data.data + row * stride * size);
    }
    guard_freeze(&m.data);
    m.in = (lp_logits){.data = m.data.data,
                       .rows = count,
                       .vocab = vocab,
                       .stride = where.stride,
                       .dtype = f->dtype,
                       .inv_temperature = f->inv_temperature,
                       .softcap = f->softcap};
    rng r = rng_seeded(seed);
    if (f->mask != MASK_NONE) {
        add_mask(&m, f->mask, &r);
    }
    if (f->by_row) {
        add_temperatures(&m, &r);
    }
    return m;
}

/* The library's own softcap, seen where nothing else happens: the maximum of a row of one. */
static float softcapped(float x, float cap)
{
    const lp_logits one = {.data = &x, .rows = 1, .vocab = 1, .softcap = cap};
    float max = x;
    if (x == 0 || isnan(x) || isinf(x)) {
        return x;
    }
    require(lp_score(&one, NULL, 0, &(lp_scores){.max_logit = &max}) == LP_OK, "softcap of one logit");
    return copysignf(max, x);
}

void plain_row(const lp_logits *in, size_t row, float *x)
{
    const lp_logits one = matrix_row(in, row);
    const float given = one.row_inv_temperature ? *one.row_inv_temperature : one.inv_temperature;
    for (size_t i = 0; i < one.vocab; i++) {
        const bool allowed = !one.allowed || (one.allowed[i / 32] >> (i % 32) & 1);
        x[i] = widened(one.dtype, (const char *)one.data + i * dtype_size(one.dtype));
        x[i] = one.softcap > 0 ? softcapped(x[i], one.softcap) : x[i];
        x[i] = given != 0 && given != 1 ? x[i] * given : x[i];
        x[i] = allowed ? x[i] : -INFINITY;
    }
}

void matrix_free(matrix *m)
{
    guard_free(&m->data);
    guard_free(&m->allowed);
    guard_free(&m->temperature);
}

lp_logits matrix_row(const lp_logits *in, size_t row)
{
    const size_t stride = in->stride ? in->stride : in->vocab;
    lp_logits one = *in;
    one.rows = 1;
    one.data = (const char *)in->data + row * stride * dtype_size(in->dtype);
    if (in->allowed) {
        one.allowed += row * (in->allowed_stride ? in->allowed_stride : (in->vocab + 31) / 32);
    }
    if (in->row_inv_temperature) {
        one.row_inv_temperature += row;
    }
    return one;
}
