/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One read of a row: its sums, its top-k and a token's rank, block by block. */
#ifndef LP_CORE_SCAN_H
#define LP_CORE_SCAN_H
#include "core/block.h"
#include "core/direct.h"
#include "core/prepare.h"
#include "core/sparse.h"
#include "core/top.h"

/* whether an ISA keeps the lanes' largest elements beside sums alone for every list, for it has the registers */
#ifndef LP_MANY_REGISTERS
#define LP_MANY_REGISTERS 0
#endif

LP_INLINE vu count_register(vu counts, const float *x, vf level, int not_below)
{
    return not_below ? v_count_ge(counts, v_load(x), level) : v_count_gt(counts, v_load(x), level);
}

/* How many elements of the block are above the level, or not below it. Where it is known of a group that no lane holds two, which
 * `there` says if it is not NULL, its lanes' maxima are all that it has. */
LP_INLINE uint64_t block_count(const block_groups *g, const presence *there, float level, int not_below)
{
    const vf l = v_set1(level);
    vu count[4];
    LP_UNROLL for (int c = 0; c < 4; c++)
    {
        count[c] = v_bits_zero();
    }
    for (int i = 0; i < g->count; i++) {
        if (there != NULL && (there->lone >> i & 1)) {
            LP_UNROLL for (int c = 0; c < LP_COLUMNS; c++)
            {
                count[c % 4] = count_register(count[c % 4], there->max + i * LP_LANES + c * LP_WIDTH, l, not_below);
            }
            continue;
        }
        /* not flat: gcc would compare the whole group first and spill the results */
        _Pragma("GCC unroll 1") for (size_t j = 0; j < LP_GROUP; j += (size_t)4 * LP_WIDTH)
        {
            LP_UNROLL for (size_t c = 0; c < 4; c++)
            {
                count[c] = count_register(count[c], g->at[i] + j + c * LP_WIDTH, l, not_below);
            }
        }
    }
    return (uint64_t)v_count_sum(count[0]) + v_count_sum(count[1]) + v_count_sum(count[2]) + v_count_sum(count[3]);
}

static void block_rank(scan *job, const block_groups *g, const presence *there)
{
    if (job->rank & SCAN_ABOVE) {
        job->above += block_count(g, there, job->token_logit, 0);
    }
    if (job->rank & SCAN_NOT_BELOW) {
        job->not_below += block_count(g, there, job->token_logit, 1);
    }
}

/* levels, and the bounds on lane sums of e^x that an element of that level reaches */
typedef struct bound {
    float level, e;
} bound;

LP_INLINE void bound_update(bound *b, float level)
{
    if (level != b->level) {
        b->level = level;
        b->e = level_bound(level);
    }
}

/* A block as floats: where it lies, or widened and transformed in a buffer. Preparing it shows the largest element, and that of each
 * lane; `lanes` is NULL where it was not prepared. Both are of no use where an element is NaN. */
typedef struct placed {
    const float *x;
    origin from;
    const float *lanes;
    float max;
} placed;

/* what a scan keeps besides the row */
typedef struct scan_state {
    bound max, limit, token;
    held_block held;
    candidates top;
#ifdef LP_HALVES
    raw_level raw; /* of the token, where logits are scaled as they are read */
    int raw_known;
#endif
    int few;    /* of a block's elements were above -inf, in the last one that had some */
    int none;   /* of them in the last one */
    int common; /* blocks to be counted whole, for in the last one many lanes reached the token's logit */
} scan_state;

/* whether `peak`, which is of elements where they are known, and of sums of e^x otherwise, lets an element reach the level */
LP_INLINE int level_reached(bound *b, float level, vf peak, int known)
{
    if (!known) {
        bound_update(b, level);
    }
    return peak_reaches(peak, known ? level : b->e);
}

/* A whole block counted takes as long as some 20 lanes where registers hold eight elements or more, longer where they hold four. */
enum { RANK_LANES = (int)LP_WIDTH >= (int)LP_SETS ? 22 : 32, RANK_COMMON = 16 };

/* Of a likely token, whose logit few lanes of a block reach, only these are counted, if the lanes' maxima are known, and of these
 * what a mask of one word a set allows. 0 where many do. */
LP_INLINE int rank_of_few(scan *job, scan_state *st, const elements *e, int groups, const float *maxima,
                          const uint32_t *allowed)
{
    if (maxima == NULL || --st->common >= 0) {
        return 0;
    }
    lane_words reach;
    const lane_count n = lanes_reach(&reach, groups, maxima, job->token_logit, 0);
    if (n.lanes > RANK_LANES) {
        st->common = RANK_COMMON;
        return 0;
    }
    st->common = 0;
    count_lanes(e, &reach, n.lanes, allowed, job->token_logit, &job->above, &job->not_below);
    return 1;
}

LP_INLINE void scan_rank(scan *job, scan_state *st, const block_groups *g, const float *maxima, const presence *there)
{
    const elements e = elements_of_groups(g);
    if (!rank_of_few(job, st, &e, g->count, maxima, NULL)) {
        block_rank(job, g, there);
    }
}

/* most blocks end here or in the first lines of the next function: nothing new in them */
LP_INLINE void scan_open(scan *job, scan_state *st, const block_groups *g, const group_sums *sums, const float *maxima,
                         vf peak, raw_sum *raw, size_t offset, size_t n, int32_t first, const presence *there)
{
    const int known = maxima != NULL;
    if (level_reached(&st->max, job->row->max, peak, known)) {
        raw->m = known ? v_max_lanes(peak) + 0.0F : block_max(g);
        st->top.crowded = known || raw->m > job->row->max ? st->top.crowded : CROWDED;
        block_hold(job->row, &st->held, offset, n, first, raw, maxima);
    } else {
        block_wait(job->row, &st->held, raw);
    }
    if (job->top != NULL) {
        const int some = known ? peak_exceeds(peak, entry_bound(&st->top, first))
                               : level_reached(&st->limit, st->top.limit, peak, 0);
        if (some && !top_of_lanes(&st->top, g, sums, maxima, st->limit.e, first)) {
            top_of_block(&st->top, g, maxima, first);
        }
        candidates_refresh(&st->top);
    }
    if (job->rank && level_reached(&st->token, job->token_logit, peak, known)) {
        scan_rank(job, st, g, maxima, there);
    }
}

/* The same for a block whose maximum is known. Where there are no sums in the units of the fast path, its lanes' maxima are known. */
LP_INLINE void scan_known(scan *job, scan_state *st, const block_groups *g, const group_sums *sums, const float *maxima,
                          const raw_sum *raw, size_t offset, size_t n, int32_t first, const presence *there)
{
    block_hold(job->row, &st->held, offset, n, first, raw, maxima);
    if (job->top != NULL && raw->m >= st->top.limit) {
        if (maxima == NULL) {
            bound_update(&st->limit, st->top.limit);
        }
        if (!top_of_lanes(&st->top, g, sums, maxima, st->limit.e, first)) {
            top_of_block(&st->top, g, maxima, first);
        }
        candidates_refresh(&st->top);
    }
    if (job->rank && raw->m >= job->token_logit) {
        scan_rank(job, st, g, maxima, there);
    }
}

/* a block of picks: everything from them */
static __attribute__((noinline)) void scan_picks(scan *job, scan_state *st, picks *p, size_t offset, size_t n,
                                                 int32_t first)
{
    raw_sum raw;
    if (!block_sparse(job->row, p, &raw)) {
        return;
    }
    block_hold(job->row, &st->held, offset, n, first, &raw, NULL);
    if (job->top != NULL && raw.m >= st->top.limit) {
        const vf limit = v_set1(st->top.limit), absent = v_set1(-__builtin_inff());
        candidates_room(&st->top, p->n);
        for (size_t i = 0; i < p->n; i += LP_WIDTH) {
            const vf x = v_load(p->x + i);
            uint32_t mask = v_mask_ge(x, limit) & v_mask_gt(x, absent) & picks_there(p, i);
            for (; mask != 0; mask &= mask - 1) {
                size_t at = i + first_bit(mask);
                candidates_add(&st->top, p->x[at], first + p->at[at]);
            }
        }
        candidates_refresh(&st->top);
    }
    if (job->rank && raw.m >= job->token_logit) {
        const vf token = v_set1(job->token_logit);
        for (size_t i = 0; i < p->n; i += LP_WIDTH) {
            const vf x = v_load(p->x + i);
            uint32_t there = picks_there(p, i);
            job->above += (uint64_t)__builtin_popcount(v_mask_gt(x, token) & there);
            job->not_below += (uint64_t)__builtin_popcount(v_mask_ge(x, token) & there);
        }
    }
}

/* a block that no quicker way holds for, by what it holds, and its lanes' largest elements */
static void scan_wide(scan *job, scan_state *st, const block_groups *g, const extent *all, raw_sum *raw,
                      const float *lanes, size_t offset, size_t n, int32_t first)
{
    if (extent_careful(job->row, all, g->at, g->count, raw, lanes)) {
        scan_known(job, st, g, NULL, lanes, raw, offset, n, first, NULL);
    }
}

LP_INLINE void scan_careful(scan *job, scan_state *st, const placed *b, const block_groups *g, size_t offset, size_t n,
                            int32_t first, int entropy)
{
    const int what = entropy ? SUMS_ENTROPY : SUMS_ALONE;
    presence there;
    group_sums sums;
    raw_sum raw;
    vf peak = peak_none(what);
    extent all;
    int wide;
    const int looked = job->row->wide_hint != ROW_ABSENT;
    if (looked) {
        /* as the last block was, or for a reason not known: what follows would be in vain unless there is -inf */
        all = block_extent(g->at, g->count, b->from, there.max);
        if (job->row->wide_hint == ROW_WIDE || !all.absent || all.nan) {
            scan_wide(job, st, g, &all, &raw, there.max, offset, n, first);
            return;
        }
        wide = extent_is_beyond(&all);
    } else {
        wide = n >= LP_LANES && floats_are_wide(b->x);
    }
    /* Few elements go one by one into a list that is not full, whose limit rules no lane out; and where whole lanes would take longer,
     * which depends on how many registers they fill, and on how few there are: as few, perhaps, as in the block before. */
    enum { REGISTER = (int)LP_WIDTH == (int)LP_LANES ? 1 : (int)LP_WIDTH }; /* scalar has no registers of several */
    const int picks_first =
        wide ||
        (job->top != NULL && (st->top.limit == -__builtin_inff() || st->few || (int)REGISTER < (entropy ? 16 : 8)));
    int fast = 0;
    presence_begin(&there, st->none);
    if (picks_first) {
        block_presence(&there, g, b->from);
    }
    if (!wide && (!picks_first || !there.sparse || there.count > PICKS / 2)) {
        fast = block_absent(&there, g, b->from, picks_first, &raw, &sums, &peak, what);
    }
    st->few = there.sparse && there.count <= FEW;
    st->none = there.sparse && there.count == 0;
    if (fast) {
        /* the next block is likely to be such a one, too */
        job->row->wide_hint = !there.sparse || there.count < n ? ROW_ABSENT : 0;
        if (entropy || b->lanes != NULL) {
            raw.m = entropy ? raw.m : b->max;
            scan_known(job, st, g, &sums, b->lanes, &raw, offset, n, first, &there);
        } else {
            scan_open(job, st, g, &sums, NULL, peak, &raw, offset, n, first, &there);
        }
    } else if (there.sparse && there.count == 0) {
        job->row->wide_hint = ROW_ABSENT;
    } else if (there.sparse && there.count <= PICKS) {
        picks p;
        pick_block(&p, &there, g);
        scan_picks(job, st, &p, offset, n, first);
    } else {
        all = looked ? all : block_extent(g->at, g->count, b->from, there.max);
        scan_wide(job, st, g, &all, &raw, there.max, offset, n, first);
    }
}

/* A block of which it shows at once that the fast path would be in vain. Apart from scan_block, which gcc for AArch64 compiles worse with
 * so much as a condition more. */
LP_INLINE void look_first(row *r, const placed *b, size_t n)
{
    if (LP_LOOKS_FIRST && r->wide_hint == 0 && n >= LP_LANES &&
        (b->lanes != NULL ? !(b->max >= NARROW_LOWEST && b->max <= EXP_HIGHEST) : floats_are_wide(b->x))) {
        r->wide_hint = ROW_WIDE;
    }
}

/* functions of their own: the loop over blocks has no registers for them */
static __attribute__((noinline)) void scan_careful_sums(scan *job, scan_state *st, const placed *b,
                                                        const block_groups *g, size_t offset, size_t n, int32_t first)
{
    scan_careful(job, st, b, g, offset, n, first, 0);
}

static __attribute__((noinline)) void scan_careful_entropy(scan *job, scan_state *st, const placed *b,
                                                           const block_groups *g, size_t offset, size_t n,
                                                           int32_t first)
{
    scan_careful(job, st, b, g, offset, n, first, 1);
}

/* When a block without an entropy is summed with its lanes' largest elements. These cost an operation a register, and registers: an
 * ISA that has them to spare does so for every list, all after a block in which sums of lanes promised much that was not there. */
enum { EXACT_NEVER, EXACT_CROWDED, EXACT_ALWAYS };

LP_INLINE void scan_block(scan *job, scan_state *st, const placed *b, size_t offset, size_t n, int32_t first,
                          int full_size, int entropy, int exactness)
{
    block_groups g;
    group_sums sums;
    raw_sum raw;
    const int exact = exactness == EXACT_ALWAYS || (exactness == EXACT_CROWDED && st->top.crowded > 0);
    const float *known = b->lanes != NULL ? b->lanes : exact || entropy ? sums.high : NULL;
    vf peak = peak_none(entropy ? SUMS_ENTROPY : exact ? SUMS_HIGH : SUMS_ALONE);
    int fast = !job->row->wide_hint;
    block_cut(&g, b->x, n);
    if (fast) {
        if (entropy) {
            fast = block_fast(&g, b->from, &raw, &sums, &peak, full_size, SUMS_ENTROPY);
        } else if (exact) {
            fast = block_fast(&g, b->from, &raw, &sums, &peak, 1, SUMS_HIGH);
            st->top.crowded--;
        } else {
            fast = block_fast(&g, b->from, &raw, &sums, &peak, full_size, SUMS_ALONE);
        }
    }
    if (fast) {
        if (entropy || b->lanes != NULL) {
            raw.m = entropy ? raw.m : b->max;
            scan_known(job, st, &g, &sums, known, &raw, offset, n, first, NULL);
        } else {
            scan_open(job, st, &g, &sums, known, peak, &raw, offset, n, first, NULL);
        }
    } else {
        (entropy ? scan_careful_entropy : scan_careful_sums)(job, st, b, &g, offset, n, first);
    }
    if (!full_size && st->held.any && st->held.offset == offset) {
        block_settle_groups(job->row, &st->held, &g); /* the last block, while it is at hand */
        st->held.any = 0;
    }
}

/* the row's last block, where it is not whole: out of the loop's way */
static __attribute__((noinline)) void scan_last(scan *job, scan_state *st, const placed *b, size_t offset, size_t n,
                                                int32_t first)
{
    if (job->row->flags & ROW_ENTROPY) {
        scan_block(job, st, b, offset, n, first, 0, 1, EXACT_NEVER);
    } else {
        scan_block(job, st, b, offset, n, first, 0, 0, EXACT_NEVER);
    }
}

LP_INLINE const float *plain_at(const source *from, size_t offset)
{
    return (const float *)(const void *)from->data + offset;
}

/* the block of n elements at `offset`: where it lies, or prepared in the buffer */
LP_INLINE const float *block_at(const source *from, size_t offset, size_t n, float *buffer)
{
    if (from->plain) {
        return plain_at(from, offset);
    }
    source part = source_at(from, offset);
    prepare(buffer, &part, n);
    return buffer;
}

LP_INLINE placed block_plain(const source *from, size_t offset)
{
    const float *x = plain_at(from, offset);
    const placed b = {x, {(const unsigned char *)x, 16 * sizeof *x}, NULL, 0};
    return b;
}

LP_INLINE placed block_place(const source *from, size_t offset, size_t n, float *buffer)
{
    if (from->plain) {
        return block_plain(from, offset);
    }
    const size_t width = source_width(from);
    placed b = {buffer, {from->data + offset * width, 16 * width}, NULL, 0};
    if (n == LP_BLOCK_SIZE) {
        source part = source_at(from, offset);
        b.max = prepare_block(buffer, &part);
        b.lanes = buffer + LP_BLOCK_SIZE;
    } else {
        b.x = block_at(from, offset, n, buffer);
    }
    return b;
}

/* How many of a block under a mask of one word a set are above the level, or not below it. */
LP_INLINE uint64_t allowed_count(const unsigned char *x, reading r, const uint32_t *allowed, float level, int not_below)
{
    const vf l = v_set1(level);
    uint64_t count = 0;
    for (size_t i = 0; i < LP_BLOCK_SIZE / LP_LANES; i++) {
        uint32_t set = 0;
        LP_UNROLL for (size_t c = 0; c < LP_LANES; c += LP_WIDTH)
        {
            const vf a = load_logits(x, i * LP_LANES + c, r);
            set |= (not_below ? v_mask_ge(a, l) : v_mask_gt(a, l)) << c;
        }
        count += (uint64_t)__builtin_popcount(set & allowed[i]);
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
    const elements e = {NULL, block->data, {block->dtype, 1, 0, v_set1(block->scale)}};
    if (!top_of_direct(&st->top, &e, maxima, first)) {
        block_groups g;
        prepare(buffer, block, LP_BLOCK_SIZE);
        block_cut(&g, buffer, LP_BLOCK_SIZE);
        top_of_block(&st->top, &g, maxima, first);
    } else if (allowed != NULL) {
        candidates_allowed(&st->top, allowed, first);
    }
    candidates_refresh(&st->top);
}

#ifdef LP_HALVES
/* of a token that too many lanes reach: by the elements as they lie, not scaled */
static __attribute__((noinline)) void direct_rank_raw(scan *job, scan_state *st, const source *block)
{
    if (!st->raw_known) {
        const raw_level same = {job->token_logit, job->token_logit};
        st->raw = block->scale == 1 ? same : raw_level_of(job->token_logit, block->scale, block->dtype);
        st->raw_known = 1;
    }
    if (block->dtype != DTYPE_F32) {
        half_rank(job, (const uint16_t *)(const void *)block->data, block->dtype, st->raw.above, st->raw.not_below);
        return;
    }
    block_groups g;
    block_cut(&g, (const float *)(const void *)block->data, LP_BLOCK_SIZE);
    if (job->rank & SCAN_ABOVE) {
        job->above += block_count(&g, NULL, st->raw.above, 0);
    }
    if (job->rank & SCAN_NOT_BELOW) {
        job->not_below += block_count(&g, NULL, st->raw.not_below, 1);
    }
}
#endif

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
    if (rank_of_few(job, st, &e, LP_GROUPS, maxima, allowed)) {
        return;
    }
    if (allowed != NULL) {
        job->above += job->rank & SCAN_ABOVE ? allowed_count(block->data, r, allowed, job->token_logit, 0) : 0;
        job->not_below += job->rank & SCAN_NOT_BELOW ? allowed_count(block->data, r, allowed, job->token_logit, 1) : 0;
        return;
    }
#ifdef LP_HALVES
    direct_rank_raw(job, st, block);
#endif
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
    const reading r = {dtype, scaled, dtype == DTYPE_BF16 && !masked, v_set1(from->scale)};
    const int known = what != SUMS_ALONE;
    group_sums sums;
    raw_sum raw;
    vf peak = peak_none(what);
    if (job->row->wide_hint || direct_is_wide(block.data, r) ||
        !direct_fast(block.data, r, &raw, &sums, &peak, what, allowed)) {
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
        block_hold(job->row, &st->held, offset, LP_BLOCK_SIZE, first, &raw, sums.high);
    } else if (level_reached(&st->max, job->row->max, peak, known)) {
        raw.m = known ? v_max_lanes(peak) + 0.0F : direct_max(&block, buffer, dtype, masked);
        block_hold(job->row, &st->held, offset, LP_BLOCK_SIZE, first, &raw, known ? sums.high : NULL);
    } else {
        block_wait(job->row, &st->held, &raw);
    }
    if (known && job->top != NULL && peak_exceeds(peak, entry_bound(&st->top, first))) {
        direct_list(st, &block, allowed, buffer, sums.high, first);
    }
    if (job->rank && level_reached(&st->token, job->token_logit, peak, known)) {
        direct_rank(job, st, &block, r, allowed, known ? sums.high : NULL);
    }
}

/* functions of their own: the loop over blocks has no registers for them */
typedef void direct_function(scan *job, scan_state *st, const source *from, float *buffer, const uint32_t *allowed,
                             size_t offset, int32_t first);

#define DIRECT(name, what, dtype, scaled)                                                                              \
    static __attribute__((noinline)) void direct_##name(scan *job, scan_state *st, const source *from, float *buffer,  \
                                                        const uint32_t *allowed, size_t offset, int32_t first)         \
    {                                                                                                                  \
        (void)allowed;                                                                                                 \
        scan_direct(job, st, from, buffer, NULL, offset, first, what, dtype, scaled);                                  \
    }
#define MASKED(name, what, dtype, scaled)                                                                              \
    static __attribute__((noinline, nonnull)) void masked_##name(scan *job, scan_state *st, const source *from,        \
                                                                 float *buffer, const uint32_t *allowed,               \
                                                                 size_t offset, int32_t first)                         \
    {                                                                                                                  \
        scan_direct(job, st, from, buffer, allowed, offset, first, what, dtype, scaled);                               \
    }
MASKED(f32, SUMS_ALONE, DTYPE_F32, 0)
MASKED(f32_high, SUMS_HIGH, DTYPE_F32, 0)
MASKED(f32_entropy, SUMS_ENTROPY, DTYPE_F32, 0)
#ifdef LP_HALVES
DIRECT(bf16, SUMS_ALONE, DTYPE_BF16, 0)
DIRECT(f16, SUMS_ALONE, DTYPE_F16, 0)
DIRECT(bf16_high, SUMS_HIGH, DTYPE_BF16, 0)
DIRECT(f16_high, SUMS_HIGH, DTYPE_F16, 0)
DIRECT(f32_scaled, SUMS_HIGH, DTYPE_F32, 1)
DIRECT(bf16_scaled, SUMS_HIGH, DTYPE_BF16, 1)
DIRECT(f16_scaled, SUMS_HIGH, DTYPE_F16, 1)
DIRECT(bf16_entropy, SUMS_ENTROPY, DTYPE_BF16, 0)
DIRECT(f16_entropy, SUMS_ENTROPY, DTYPE_F16, 0)
DIRECT(f32_scaled_entropy, SUMS_ENTROPY, DTYPE_F32, 1)
DIRECT(bf16_scaled_entropy, SUMS_ENTROPY, DTYPE_BF16, 1)
DIRECT(f16_scaled_entropy, SUMS_ENTROPY, DTYPE_F16, 1)
/* under a mask a product with 1 is not worth functions without it */
MASKED(f32_scaled, SUMS_HIGH, DTYPE_F32, 1)
MASKED(bf16_scaled, SUMS_HIGH, DTYPE_BF16, 1)
MASKED(f16_scaled, SUMS_HIGH, DTYPE_F16, 1)
MASKED(f32_scaled_entropy, SUMS_ENTROPY, DTYPE_F32, 1)
MASKED(bf16_scaled_entropy, SUMS_ENTROPY, DTYPE_BF16, 1)
MASKED(f16_scaled_entropy, SUMS_ENTROPY, DTYPE_F16, 1)
#endif
#undef DIRECT
#undef MASKED

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

enum { ALLOWS_SOME, ALLOWS_ALL, SCANNED };

/* the source of a row without its mask */
LP_INLINE source source_unmasked(const source *from)
{
    source s = *from;
    s.allowed = NULL;
    s.plain = s.dtype == DTYPE_F32 && s.scale == 1 && s.softcap == 0;
    return s;
}

/* the picks of the block at `data`, widened and transformed */
static void pick_prepared(picks *p, const source *from, const unsigned char *data)
{
    _Alignas(64) unsigned char raw[(PICKS + LP_LANES) * sizeof(float)];
    size_t width = source_width(from);
    memset(raw + p->n * width, 0, LP_LANES * sizeof(float)); /* a constant size, no call */
    for (size_t i = 0; i < p->n; i++) {
        if (width == sizeof(float)) {
            memcpy(raw + i * sizeof(float), data + p->at[i] * sizeof(float), sizeof(float));
        } else {
            memcpy(raw + i * sizeof(uint16_t), data + p->at[i] * sizeof(uint16_t), sizeof(uint16_t));
        }
    }
    source packed = *from;
    packed.data = raw;
    packed.allowed = NULL;
    /* what lies behind the last one is not looked at */
    prepare(p->x, &packed, (p->n + LP_LANES - 1) / LP_LANES * LP_LANES);
}

/* A block under a mask. Where the mask allows little, only that is read, and the block is done; else `allowed` is what it allows, a
 * word a set: where the mask lies, or in `words`. */
static __attribute__((noinline)) int scan_allowed(scan *job, scan_state *st, const source *from, size_t offset,
                                                  size_t n, int32_t first, uint32_t words[LP_BLOCK_SIZE / LP_LANES],
                                                  const uint32_t **allowed)
{
    const size_t bit = from->allowed_bit + offset, pairs = (n + 63) / 64;
    const uint32_t *set = words;
    if (bit % 32 == 0 && n % 64 == 0) {
        set = from->allowed + bit / 32;
    } else {
        for (size_t i = 0; i < pairs * 64; i += LP_LANES) {
            const size_t size = i >= n ? 0 : n - i < LP_LANES ? n - i : LP_LANES;
            words[i / LP_LANES] =
                size == 0 ? 0 : mask_bits(from->allowed, bit + i, size) & (UINT32_MAX >> (LP_LANES - size));
        }
    }
    *allowed = set;
    uint64_t pair[LP_BLOCK_SIZE / 64], all = UINT64_MAX;
    for (size_t i = 0; i < pairs; i++) {
        pair[i] = set[2 * i] | (uint64_t)set[2 * i + 1] << 32;
        all &= pair[i];
    }
    if (all == UINT64_MAX) {
        return ALLOWS_ALL;
    }
    picks p;
    const unsigned char *data = from->data + offset * source_width(from);
    const int plain = source_unmasked(from).plain;
    if (pick_bits(&p, pair, pairs * 64, plain ? (const float *)(const void *)data : NULL) > PICKS) {
        return ALLOWS_SOME;
    }
    if (!plain) {
        pick_prepared(&p, from, data);
    }
    scan_picks(job, st, &p, offset, n, first);
    return SCANNED;
}

/* buffer: LP_PREPARED floats, or NULL where the row is plain */
LP_INLINE void scan_blocks(scan *job, const source *from, size_t n, int32_t first, int entropy, int exactness,
                           int plain, float *buffer)
{
    scan_state st;
    direct_function *const direct[] = {plain ? NULL : masked_of(from, job->top != NULL, entropy),
                                       plain ? NULL : direct_of(from, job->top != NULL, entropy)};
#ifdef LP_HALVES
    st.raw_known = 0;
#endif
    st.few = st.none = 0;
    st.common = 0;
    st.max.level = st.limit.level = st.token.level = __builtin_nanf("");
    held_init(&st.held);
    candidates_init(&st.top, job->top);
    if (job->rank) {
        bound_update(&st.token, job->token_logit);
    }
    uint32_t words[LP_BLOCK_SIZE / LP_LANES];
    const uint32_t *allowed = words;
    source all = *from, unmasked = source_unmasked(from);
    all.plain = plain; /* a constant now */
    size_t i = 0;
    const int masked = !plain && from->allowed != NULL;
    for (; i + LP_BLOCK_SIZE <= n; i += LP_BLOCK_SIZE) {
        int32_t id = first + (int32_t)i;
        int allows = masked ? scan_allowed(job, &st, from, i, LP_BLOCK_SIZE, id, words, &allowed) : ALLOWS_ALL;
        const source *part = allows == ALLOWS_ALL && masked ? &unmasked : &all;
        if (!plain && allows != SCANNED && direct[allows] != NULL) {
            direct[allows](job, &st, part, buffer, allowed, i, id);
            continue;
        }
        if (allows != SCANNED) {
            const placed b = plain ? block_plain(part, i) : block_place(part, i, LP_BLOCK_SIZE, buffer);
            look_first(job->row, &b, LP_BLOCK_SIZE);
            scan_block(job, &st, &b, i, LP_BLOCK_SIZE, id, 1, entropy, exactness);
        }
    }
    if (i < n) {
        int32_t id = first + (int32_t)i;
        if (!masked || scan_allowed(job, &st, from, i, n - i, id, words, &allowed) != SCANNED) {
            const placed b = plain ? block_plain(&all, i) : block_place(&all, i, n - i, buffer);
            look_first(job->row, &b, n - i);
            scan_last(job, &st, &b, i, n - i, id);
        }
    }
    held_flush(job->row, &st.held);
    if (st.held.any) {
        block_settle(job->row, &st.held,
                     plain ? plain_at(&all, st.held.offset) : block_at(&all, st.held.offset, st.held.n, buffer));
    }
    if (job->top != NULL) {
        candidates_end(&st.top);
    }
}

/* functions of their own, so that a call has the stack of one */
static __attribute__((noinline)) void scan_sums(scan *job, const source *from, size_t n, int32_t first)
{
    scan_blocks(job, from, n, first, 0, EXACT_CROWDED, 1, NULL);
}

static __attribute__((noinline)) void scan_sums_list(scan *job, const source *from, size_t n, int32_t first)
{
    scan_blocks(job, from, n, first, 0, EXACT_ALWAYS, 1, NULL);
}

static __attribute__((noinline)) void scan_sums_entropy(scan *job, const source *from, size_t n, int32_t first)
{
    scan_blocks(job, from, n, first, 1, EXACT_NEVER, 1, NULL);
}

static __attribute__((noinline)) void scan_prepared(scan *job, const source *from, size_t n, int32_t first)
{
    _Alignas(64) float buffer[LP_PREPARED];
    scan_blocks(job, from, n, first, 0, EXACT_NEVER, 0, buffer);
}

static __attribute__((noinline)) void scan_prepared_entropy(scan *job, const source *from, size_t n, int32_t first)
{
    _Alignas(64) float buffer[LP_PREPARED];
    scan_blocks(job, from, n, first, 1, EXACT_NEVER, 0, buffer);
}

static void scan_row(scan *job, const source *from, size_t n, int32_t first)
{
    int entropy = (job->row->flags & ROW_ENTROPY) != 0;
    if (from->plain) {
        (entropy                                 ? scan_sums_entropy
         : LP_MANY_REGISTERS && job->top != NULL ? scan_sums_list
                                                 : scan_sums)(job, from, n, first);
    } else {
        (entropy ? scan_prepared_entropy : scan_prepared)(job, from, n, first);
    }
}

LP_INLINE void dense_ends(float *out, const float *x, size_t n, float max, float log_norm)
{
    for (size_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, x + i, sizeof value);
        value = row_logprob(value, max, log_norm);
        memcpy(out + i, &value, sizeof value);
    }
}

LP_INLINE void dense_sets(float *out, const float *x, size_t n, float max, float log_norm, int past_cache)
{
    const vf m = v_set1(row_subtrahend(max)), norm = v_set1(log_norm);
    /* from the end: what was read last is still in a cache that has not room for the row */
    for (size_t i = n; i > 0;) {
        i -= LP_LANES;
        LP_UNROLL for (size_t c = 0; c < LP_LANES; c += LP_WIDTH)
        {
            vf y = v_sub(v_sub(v_load(x + i + c), m), norm);
            if (past_cache) {
                v_store_past_cache(out + i + c, y);
            } else {
                v_store(out + i + c, y);
            }
        }
    }
}

static void dense_plain(float *out, const float *x, size_t n, float max, float log_norm, int past_cache)
{
    size_t head = 0;
    if (past_cache && (uintptr_t)out % sizeof *out == 0) {
        head = (size_t)(-((uintptr_t)out / sizeof *out)) % 16; /* to the next cache line */
        head = head < n ? head : n;
    } else {
        past_cache = 0;
    }
    size_t whole = (n - head) / LP_LANES * LP_LANES;
    dense_ends(out, x, head, max, log_norm);
    if (past_cache) {
        dense_sets(out + head, x + head, whole, max, log_norm, 1);
        v_fence();
    } else {
        dense_sets(out + head, x + head, whole, max, log_norm, 0);
    }
    dense_ends(out + head + whole, x + head + whole, n - head - whole, max, log_norm);
}

static void dense_row(float *out, const source *from, size_t n, float max, float log_norm, int past_cache)
{
    if (from->plain) {
        dense_plain(out, (const float *)(const void *)from->data, n, max, log_norm, past_cache);
        return;
    }
    _Alignas(64) float buffer[LP_BLOCK_SIZE];
    for (size_t end = n; end > 0;) {
        size_t size = end % LP_BLOCK_SIZE != 0 ? end % LP_BLOCK_SIZE : LP_BLOCK_SIZE;
        end -= size;
        source part = source_at(from, end);
        prepare(buffer, &part, size);
        dense_plain(out + end, buffer, size, max, log_norm, past_cache);
    }
}
#endif
