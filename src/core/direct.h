/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Blocks of bf16 or f16 logits, or of scaled ones, and such under a mask: summed, searched and counted as they lie, widened and scaled
 * in registers. Writing them into a buffer first is bound by its stores; only one much of which a list may take is. An ISA without
 * LP_HALVES reads f32 under a mask so, and nothing else. */
#ifndef LP_CORE_DIRECT_H
#define LP_CORE_DIRECT_H
#include "core/scan_block.h"

/* whether lanes may be woven: a mask's bits are in order */
LP_INLINE int direct_weaves(int dtype, const uint32_t *allowed)
{
    return dtype == DTYPE_BF16 && allowed == NULL;
}

/* block_fast of a whole block, or of what a mask of one word a set allows of it */
LP_INLINE int direct_fast(const unsigned char *x, reading r, raw_sum *raw, group_sums *sums, float *high, vf *peak,
                          int what, const uint32_t *allowed)
{
    const size_t width = r.dtype == DTYPE_F32 ? sizeof(float) : sizeof(uint16_t);
    const origin start = {x, 16 * width};
    vu bits = v_bits_zero();
    vf magic = v_set1(EXP_MAGIC);
    LP_FINISH(magic);
    for (int i = 0; i < LP_GROUPS; i++) {
        const origin from = origin_ahead(start, (size_t)i * LP_GROUP);
        group_fast(from.at, r, from, sums_of_group(sums, high, i), magic, peak, &bits, what, 0,
                   allowed != NULL ? allowed + i * LP_SETS : NULL);
    }
    return groups_add_up(sums, high, LP_GROUPS, bits, peak_max(*peak, what), raw, 1, what == SUMS_ENTROPY, is_woven(r));
}

/* How many of a block under a mask of one word a set are above the level, or not below it. */
LP_INLINE uint64_t allowed_count(const float *x, const uint32_t *allowed, float level, int not_below)
{
    uint64_t count = 0;
    for (size_t i = 0; i < LP_BLOCK_SIZE / LP_LANES; i++) {
        count += (uint64_t)__builtin_popcount(set_mask(x + i * LP_LANES, level, !not_below) & allowed[i]);
    }
    return count;
}

/* drops what the mask of the block that begins at the id `first` does not allow */
static void candidates_allowed(candidates *c, const uint32_t *allowed, int32_t first)
{
    size_t kept = c->n;
    while (kept > 0 && c->id[kept - 1] >= first) {
        kept--;
    }
    for (size_t i = kept; i < c->n; i++) {
        const size_t at = (size_t)(c->id[i] - first);
        c->x[kept] = c->x[i];
        c->id[kept] = c->id[i];
        kept += allowed[at / LP_LANES] >> at % LP_LANES & 1;
    }
    c->n = kept;
}

/* what a list takes from a direct block: from few lanes as they lie, of more in a buffer */
static __attribute__((noinline)) void direct_list(scan_state *st, const source *block, const uint32_t *allowed,
                                                  float *buffer, const float *maxima, int32_t first)
{
    const elements e = {
        NULL, block->data, {block->dtype, 1, direct_weaves(block->dtype, allowed), v_set1(block->scale)}};
    waiting_settle(&st->wait, &st->top);
    if (!top_by_maxima(&st->top, &e, LP_GROUPS, maxima, first)) {
        block_groups g;
        prepare(buffer, block, LP_BLOCK_SIZE);
        block_cut(&g, buffer, LP_BLOCK_SIZE);
        top_of_block(&st->top, &g, maxima, first);
    } else if (allowed != NULL) {
        candidates_allowed(&st->top, allowed, first);
    }
    candidates_refresh(&st->top);
}

/* of a token that too many lanes reach: by the elements as they lie, not scaled */
static __attribute__((noinline)) void direct_rank_raw(scan *job, scan_state *st, const source *block,
                                                      const uint32_t *allowed)
{
    raw_level raw = {job->token_logit, job->token_logit};
#ifdef LP_HALVES
    if (!st->raw_known) {
        st->raw = block->scale == 1 ? raw : raw_level_of(job->token_logit, block->scale, block->dtype);
        st->raw_known = 1;
    }
    raw = st->raw;
    if (block->dtype != DTYPE_F32) {
        half_rank(&st->counted, job, (const uint16_t *)(const void *)block->data, block->dtype, raw.above,
                  raw.not_below, allowed);
        return;
    }
#endif
    const float *x = (const float *)(const void *)block->data;
    if (allowed != NULL) {
        job->above += job->rank & SCAN_ABOVE ? allowed_count(x, allowed, raw.above, 0) : 0;
        job->not_below += job->rank & SCAN_NOT_BELOW ? allowed_count(x, allowed, raw.not_below, 1) : 0;
        return;
    }
    block_groups g;
    block_cut(&g, x, LP_BLOCK_SIZE);
    rank_count(&st->counted, job, &g, NULL, raw.above, raw.not_below);
}

/* the largest of a block whose sums are known */
LP_INLINE float direct_max(const source *block, float *buffer, int dtype, int masked)
{
#ifdef LP_HALVES
    if (dtype != DTYPE_F32 && !masked) {
        return half_max((const uint16_t *)(const void *)block->data, dtype);
    }
#endif
    (void)dtype;
    (void)masked;
    return prepare_block(buffer, block);
}

LP_INLINE void direct_rank(scan *job, scan_state *st, const source *block, reading r, const uint32_t *allowed,
                           const float *maxima)
{
    const elements e = {NULL, block->data, r};
    if (!rank_of_few(job, st, &e, LP_GROUPS, maxima, allowed)) {
        direct_rank_raw(job, st, block, allowed);
    }
}

/* Whether the look at a block's first elements rules the fast path out; what a mask does not allow counts there, too. */
LP_INLINE int direct_is_wide(const unsigned char *x, reading r)
{
    return r.dtype == DTYPE_F32 && !r.scaled ? floats_are_wide((const float *)(const void *)x)
                                             : LP_LOOKS_FIRST && set_is_wide(x, r);
}

/* scan_block for a whole block of logits as they lie, or of those that `allowed` names, a word a set, where it is not NULL */
LP_INLINE void scan_direct(scan *job, scan_state *st, const source *from, float *buffer, const uint32_t *allowed,
                           size_t offset, int32_t first, int what, int dtype, int scaled)
{
    const source block = source_at(from, offset);
    const int masked = allowed != NULL;
    const reading r = {dtype, scaled, direct_weaves(dtype, allowed), v_set1(from->scale)};
    const int known = what != SUMS_ALONE;
    float *const high = waiting_high(&st->wait);
    group_sums sums;
    raw_sum raw;
    vf peak = peak_none(what);
    if (job->row->wide_hint || direct_is_wide(block.data, r) ||
        !direct_fast(block.data, r, &raw, &sums, high, &peak, what, allowed)) {
        block_groups g;
        const placed b = {
            buffer, {block.data, 16 * source_width(from)}, buffer + LP_BLOCK_SIZE, prepare_block(buffer, &block)};
        block_cut(&g, buffer, LP_BLOCK_SIZE);
        if (masked && job->row->wide_hint == 0) {
            job->row->wide_hint = ROW_ABSENT;
        }
        (what == SUMS_ENTROPY ? scan_careful_entropy : scan_careful_sums)(job, st, &b, &g, offset, LP_BLOCK_SIZE,
                                                                          first);
        return;
    }
    if (what == SUMS_ENTROPY) {
        block_hold(job->row, &st->held, offset, LP_BLOCK_SIZE, first, &raw, high);
    } else if (level_reached(&st->max, job->row->max, peak, known)) {
        raw.m = known ? v_max_lanes(peak) + 0.0F : direct_max(&block, buffer, dtype, masked);
        block_hold(job->row, &st->held, offset, LP_BLOCK_SIZE, first, &raw, known ? high : NULL);
    } else {
        block_wait(job->row, &st->held, &raw);
    }
    if (known && job->top != NULL && !masked && st->wait.on) {
        waiting_add(&st->wait, &st->top, offset, peak_reaches(peak, st->top.limit));
    } else if (known && job->top != NULL && peak_exceeds(peak, entry_bound(&st->top, first))) {
        direct_list(st, &block, allowed, buffer, high, first);
    }
    if (job->rank && level_reached(&st->token, job->token_logit, peak, known)) {
        direct_rank(job, st, &block, r, allowed, known ? high : NULL);
    }
}

/* Functions of their own: the loop over blocks has no registers for them. Each is written out, for scripts/amalgamate.awk finds no name
 * that a macro makes. */
#define DIRECT_PARAMETERS                                                                                              \
    scan *job, scan_state *st, const source *from, float *buffer, const uint32_t *allowed, size_t offset, int32_t first
typedef void direct_function(DIRECT_PARAMETERS);

#define DIRECT(what, dtype, scaled)                                                                                    \
    ((void)allowed, scan_direct(job, st, from, buffer, NULL, offset, first, what, dtype, scaled))
#define MASKED(what, dtype, scaled) scan_direct(job, st, from, buffer, allowed, offset, first, what, dtype, scaled)

static __attribute__((noinline, nonnull)) void masked_f32(DIRECT_PARAMETERS)
{
    MASKED(SUMS_ALONE, DTYPE_F32, 0);
}

static __attribute__((noinline, nonnull)) void masked_f32_high(DIRECT_PARAMETERS)
{
    MASKED(SUMS_HIGH, DTYPE_F32, 0);
}

static __attribute__((noinline, nonnull)) void masked_f32_entropy(DIRECT_PARAMETERS)
{
    MASKED(SUMS_ENTROPY, DTYPE_F32, 0);
}

#ifdef LP_HALVES
static __attribute__((noinline)) void direct_bf16(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_ALONE, DTYPE_BF16, 0);
}

static __attribute__((noinline)) void direct_f16(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_ALONE, DTYPE_F16, 0);
}

static __attribute__((noinline)) void direct_bf16_high(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_HIGH, DTYPE_BF16, 0);
}

static __attribute__((noinline)) void direct_f16_high(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_HIGH, DTYPE_F16, 0);
}

static __attribute__((noinline)) void direct_f32_scaled(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_HIGH, DTYPE_F32, 1);
}

static __attribute__((noinline)) void direct_bf16_scaled(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_HIGH, DTYPE_BF16, 1);
}

static __attribute__((noinline)) void direct_f16_scaled(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_HIGH, DTYPE_F16, 1);
}

static __attribute__((noinline)) void direct_bf16_entropy(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_ENTROPY, DTYPE_BF16, 0);
}

static __attribute__((noinline)) void direct_f16_entropy(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_ENTROPY, DTYPE_F16, 0);
}

static __attribute__((noinline)) void direct_f32_scaled_entropy(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_ENTROPY, DTYPE_F32, 1);
}

static __attribute__((noinline)) void direct_bf16_scaled_entropy(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_ENTROPY, DTYPE_BF16, 1);
}

static __attribute__((noinline)) void direct_f16_scaled_entropy(DIRECT_PARAMETERS)
{
    DIRECT(SUMS_ENTROPY, DTYPE_F16, 1);
}

/* under a mask a product with 1 is not worth functions without it */
static __attribute__((noinline, nonnull)) void masked_f32_scaled(DIRECT_PARAMETERS)
{
    MASKED(SUMS_HIGH, DTYPE_F32, 1);
}

static __attribute__((noinline, nonnull)) void masked_bf16_scaled(DIRECT_PARAMETERS)
{
    MASKED(SUMS_HIGH, DTYPE_BF16, 1);
}

static __attribute__((noinline, nonnull)) void masked_f16_scaled(DIRECT_PARAMETERS)
{
    MASKED(SUMS_HIGH, DTYPE_F16, 1);
}

static __attribute__((noinline, nonnull)) void masked_f32_scaled_entropy(DIRECT_PARAMETERS)
{
    MASKED(SUMS_ENTROPY, DTYPE_F32, 1);
}

static __attribute__((noinline, nonnull)) void masked_bf16_scaled_entropy(DIRECT_PARAMETERS)
{
    MASKED(SUMS_ENTROPY, DTYPE_BF16, 1);
}

static __attribute__((noinline, nonnull)) void masked_f16_scaled_entropy(DIRECT_PARAMETERS)
{
    MASKED(SUMS_ENTROPY, DTYPE_F16, 1);
}

#endif
#undef DIRECT
#undef MASKED
#undef DIRECT_PARAMETERS

/* what there is for a row's whole blocks, or NULL; plain f32 has no need of it */
static direct_function *direct_of(const source *from, int list, int entropy)
{
#ifdef LP_HALVES
    static direct_function *const alone[] = {NULL, direct_bf16, direct_f16};
    static direct_function *const high[][3] = {{NULL, direct_bf16_high, direct_f16_high},
                                               {direct_f32_scaled, direct_bf16_scaled, direct_f16_scaled}};
    static direct_function *const with_entropy[][3] = {
        {NULL, direct_bf16_entropy, direct_f16_entropy},
        {direct_f32_scaled_entropy, direct_bf16_scaled_entropy, direct_f16_scaled_entropy}};
    const int scaled = from->scale != 1;
    return from->softcap != 0 ? NULL
           : entropy          ? with_entropy[scaled][from->dtype]
           : (list || scaled) ? high[scaled][from->dtype]
                              : alone[from->dtype];
#else
    (void)from;
    (void)list;
    (void)entropy;
    return NULL;
#endif
}

/* ... and for its blocks under a mask that allows some */
static direct_function *masked_of(const source *from, int list, int entropy)
{
    if (from->softcap != 0) {
        return NULL;
    }
    if (from->scale == 1 && from->dtype == DTYPE_F32) {
        return entropy ? masked_f32_entropy : list ? masked_f32_high : masked_f32;
    }
#ifdef LP_HALVES
    static direct_function *const with[][3] = {
        {masked_f32_scaled, masked_bf16_scaled, masked_f16_scaled},
        {masked_f32_scaled_entropy, masked_bf16_scaled_entropy, masked_f16_scaled_entropy}};
    return with[entropy][from->dtype];
#else
    return NULL;
#endif
}
#endif
