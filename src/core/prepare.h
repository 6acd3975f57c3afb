/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Logits as the kernels see them: widened to float, capped, scaled and masked, a block at a time. */
#ifndef LP_CORE_PREPARE_H
#define LP_CORE_PREPARE_H
#include "core/exp.h"
#include "core/load.h"
#include "kernels.h"

/* softcap * tanh(x / softcap); infinities and NaN stay what they are, and so does |x| < 2^-13 softcap, where tanh z = z to
 * half an ulp and the quotient could be subnormal.
 *
 * With z = |x| / softcap: up to 5/8 tanh z = z + z u P(u), u = z^2; beyond, 1 - 2 / (e^2z + 1) with the hot loop's exp.
 * tanh within 3 ulp (tests/test_exp.c searches), then one division and one product of correct rounding. */
LP_INLINE vf v_softcap(vf x, vf cap)
{
    const vf one = v_set1(1);
    vf y = v_div(x, cap), z = v_copysign(y, one), u = v_mul(z, z);
    vf p = v_fma(v_set1(TANH_P5), u, v_set1(TANH_P4));
    p = v_fma(p, u, v_set1(TANH_P3));
    p = v_fma(p, u, v_set1(TANH_P2));
    p = v_fma(p, u, v_set1(TANH_P1));
    p = v_fma(p, u, v_set1(TANH_P0));
    vf small = v_fma(v_mul(z, u), p, z);
    vf twice = v_min(v_add(z, z), v_set1(40)), t;
    vf e = v_mul(exp_terms(twice, v_set1(EXP_MAGIC), &t), v_set1((float)EXP_FACTOR));
    vf large = v_sub(one, v_div(v_set1(2), v_add(e, one)));
    vf capped = v_mul(cap, v_copysign(v_keep_bits(large, v_mask_ge(z, v_set1(0.625F)), small), y));
    vf size = v_copysign(x, one);
    uint32_t bent = v_mask_gt(v_set1(__builtin_inff()), size) & v_mask_ge(size, v_mul(cap, v_set1(0x1p-13F)));
    return v_keep_bits(capped, bent, x);
}

/* 32 mask bits from any bit on */
LP_INLINE uint32_t mask_bits(const uint32_t *words, size_t bit, size_t n)
{
    uint64_t low = words[bit / 32], high = bit % 32 + n > 32 ? words[bit / 32 + 1] : 0;
    return (uint32_t)((low | high << 32) >> bit % 32);
}

enum { LP_PREPARED = LP_BLOCK_SIZE + LP_GROUPS * LP_LANES }; /* a block and its lanes' largest elements */

/* what is done to all sets of 32 elements of a row; the conditions are constants of the caller's */
typedef struct recipe {
    const unsigned char *data;
    const uint32_t *allowed;
    size_t bit; /* of the first element in `allowed` */
    vf cap, scale, absent;
    int dtype, capped, scaled, masked;
} recipe;

/* a register of logits from element i on, and the bits of its part of the mask */
LP_INLINE vf prepare_vector(float *out, const recipe *r, size_t i, uint32_t allowed)
{
    vf x = load_as_float(r->data, i, r->dtype);
    if (r->capped) {
        x = v_softcap(x, r->cap);
    }
    if (r->scaled) {
        x = v_mul(x, r->scale);
    }
    if (r->masked) {
        x = v_keep_bits(x, allowed, r->absent);
    }
    v_store(out + i, x);
    return x;
}

/* the set that begins at element i; `max` takes its largest elements */
LP_INLINE void prepare_set(float *out, const recipe *r, size_t i, vf max[LP_COLUMNS])
{
    uint32_t allowed = r->masked ? mask_bits(r->allowed, r->bit + i, LP_LANES) : 0;
    LP_UNROLL for (size_t c = 0; c < LP_LANES; c += LP_WIDTH)
    {
        max[c / LP_WIDTH] = v_max(max[c / LP_WIDTH], prepare_vector(out, r, i + c, allowed >> c));
    }
}

/* Whole sets, and their largest element in one of the lanes; `lanes`, if it is not NULL, takes that of each lane of a group. */
LP_INLINE vf prepare_sets(float *out, float *lanes, const unsigned char *data, size_t sets, const source *from,
                          size_t bit, int dtype, int capped, int scaled, int masked)
{
    const vf absent = v_set1(-__builtin_inff());
    const recipe r = {data,   from->allowed, bit,   v_set1(from->softcap), v_set1(from->scale), absent, dtype,
                      capped, scaled,        masked};
    vf all = absent;
    for (size_t i = 0, end = sets * LP_LANES; i < end;) {
        const size_t group = end - i < LP_GROUP ? end : i + LP_GROUP;
        vf max[2][LP_COLUMNS]; /* in turn: one would wait for itself */
        for (int c = 0; c < LP_COLUMNS; c++) {
            max[0][c] = max[1][c] = absent;
        }
        for (; i + LP_LANES < group; i += 2 * LP_LANES) {
            prepare_set(out, &r, i, max[0]);
            prepare_set(out, &r, i + LP_LANES, max[1]);
        }
        if (i < group) {
            prepare_set(out, &r, i, max[0]);
            i += LP_LANES;
        }
        LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
        {
            max[0][c] = v_max(max[0][c], max[1][c]);
            all = v_max(all, max[0][c]);
        }
        if (lanes != NULL) {
            LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
            {
                v_store(lanes + c * LP_WIDTH, max[0][c]);
            }
            lanes += LP_LANES;
        }
    }
    return all;
}

LP_INLINE vf prepare_dtype(float *out, float *lanes, const unsigned char *data, size_t sets, const source *from,
                           size_t bit, int dtype)
{
    if (from->softcap != 0) {
        return prepare_sets(out, lanes, data, sets, from, bit, dtype, 1, 1, from->allowed != NULL);
    }
    if (from->allowed != NULL) {
        return prepare_sets(out, lanes, data, sets, from, bit, dtype, 0, 1, 1);
    }
    if (from->scale != 1) {
        return prepare_sets(out, lanes, data, sets, from, bit, dtype, 0, 1, 0);
    }
    return prepare_sets(out, lanes, data, sets, from, bit, dtype, 0, 0, 0);
}

static vf prepare_any(float *out, float *lanes, const unsigned char *data, size_t sets, const source *from, size_t bit)
{
    switch (from->dtype) {
    case DTYPE_F32:
        return prepare_dtype(out, lanes, data, sets, from, bit, DTYPE_F32);
    case DTYPE_BF16:
        return prepare_dtype(out, lanes, data, sets, from, bit, DTYPE_BF16);
    default:
        return prepare_dtype(out, lanes, data, sets, from, bit, DTYPE_F16);
    }
}

/* The largest of a block's logits, which are prepared, and behind them the largest of each lane of its groups; of no use where
 * one is NaN. */
static float prepare_block(float out[LP_PREPARED], const source *from)
{
    float *lanes = out + LP_BLOCK_SIZE;
    return v_max_lanes(prepare_any(out, lanes, from->data, LP_BLOCK_SIZE / LP_LANES, from, from->allowed_bit)) + 0.0F;
}

/* n elements; out has room for n rounded up to 32 */
static void prepare(float *out, const source *from, size_t n)
{
    size_t sets = n / LP_LANES, rest = n % LP_LANES, width = source_width(from);
    prepare_any(out, NULL, from->data, sets, from, from->allowed_bit);
    if (rest == 0) {
        return;
    }
    size_t done = sets * LP_LANES;
    _Alignas(64) unsigned char last[LP_LANES * sizeof(float)] = {0};
    memcpy(last, from->data + done * width, rest * width);
    uint32_t words[2] = {0, 0};
    source tail = *from;
    if (from->allowed != NULL) {
        words[0] = mask_bits(from->allowed, from->allowed_bit + done, rest);
        tail.allowed = words;
    }
    prepare_any(out + done, NULL, last, 1, &tail, 0);
}
#endif
