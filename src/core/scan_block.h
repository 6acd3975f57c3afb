/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One block of a row: its sums, what a list takes from it, and how many of it rank above a token. */
#ifndef LP_CORE_SCAN_BLOCK_H
#define LP_CORE_SCAN_BLOCK_H
#include "core/block.h"
#include "core/count.h"
#include "core/halves.h"
#include "core/prepare.h"
#include "core/sparse.h"
#include "core/waiting.h"

LP_INLINE vu count_register(vu counts, const float *x, vf level, int not_below)
{
    return not_below ? v_count_ge(counts, v_load(x), level) : v_count_gt(counts, v_load(x), level);
}

/* Counts the elements of the block that are above the level, or not below it. Where it is known of a group that no lane holds two,
 * which `there` says if it is not NULL, its lanes' maxima are all that it has. */
LP_INLINE void block_count(counters *k, const block_groups *g, const presence *there, float level, int not_below)
{
    const vf l = v_set1(level);
    vu count[4];
    LP_UNROLL for (int c = 0; c < 4; c++)
    {
        count[c] = k->lanes[c];
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
    LP_UNROLL for (int c = 0; c < 4; c++)
    {
        k->lanes[c] = count[c];
    }
}

/* elements above the first level, and not below the second one, which are one unless logits are scaled as they are read */
LP_INLINE void rank_count(rank_counters *k, const scan *job, const block_groups *g, const presence *there, float above,
                          float not_below)
{
    if (job->rank & SCAN_ABOVE) {
        block_count(&k->above, g, there, above, 0);
    }
    if (job->rank & SCAN_NOT_BELOW) {
        block_count(&k->not_below, g, there, not_below, 1);
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
    waiting wait;          /* for the list */
    rank_counters counted; /* where a rank is asked for */
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
        rank_count(&st->counted, job, g, there, job->token_logit, job->token_logit);
    }
}

/* most blocks end here or in the first lines of the next function: nothing new in them */
LP_INLINE void scan_open(scan *job, scan_state *st, const block_groups *g, const group_sums *sums, const float *maxima,
                         vf peak, raw_sum *raw, size_t offset, size_t n, int32_t first, const presence *there,
                         int waits)
{
    const int known = maxima != NULL;
    if (level_reached(&st->max, job->row->max, peak, known)) {
        raw->m = known ? v_max_lanes(peak) + 0.0F : block_max(g);
        st->top.crowded = known || raw->m > job->row->max ? st->top.crowded : CROWDED;
        block_hold(job->row, &st->held, offset, n, first, raw, maxima);
    } else {
        block_wait(job->row, &st->held, raw);
    }
    if (job->top != NULL && waits && st->wait.on) {
        waiting_add(&st->wait, &st->top, offset, peak_reaches(peak, st->top.limit));
    } else if (job->top != NULL) {
        waiting_settle(&st->wait, &st->top);
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

/* The same for a block whose maximum is known. Where there are no sums in the units of the fast path, its lanes' maxima are known.
 * `waits`: whether these lie where blocks wait. */
LP_INLINE void scan_known(scan *job, scan_state *st, const block_groups *g, const group_sums *sums, const float *maxima,
                          const raw_sum *raw, size_t offset, size_t n, int32_t first, const presence *there, int waits)
{
    block_hold(job->row, &st->held, offset, n, first, raw, maxima);
    if (job->top != NULL && waits && st->wait.on) {
        waiting_add(&st->wait, &st->top, offset, raw->m >= st->top.limit);
    } else if (job->top != NULL && raw->m >= st->top.limit) {
        waiting_settle(&st->wait, &st->top);
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
        waiting_settle(&st->wait, &st->top);
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
        scan_known(job, st, g, NULL, lanes, raw, offset, n, first, NULL, 0);
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
        fast = block_absent(&there, g, b->from, picks_first, &raw, &sums, waiting_high(&st->wait), &peak, what);
    }
    st->few = there.sparse && there.count <= FEW;
    st->none = there.sparse && there.count == 0;
    if (fast) {
        /* the next block is likely to be such a one, too */
        job->row->wide_hint = !there.sparse || there.count < n ? ROW_ABSENT : 0;
        if (entropy || b->lanes != NULL) {
            raw.m = entropy ? raw.m : b->max;
            scan_known(job, st, g, &sums, b->lanes, &raw, offset, n, first, &there, 0);
        } else {
            scan_open(job, st, g, &sums, NULL, peak, &raw, offset, n, first, &there, 0);
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

/* When a block without an entropy is summed with its lanes' largest elements, which cost an operation a register: for lists as long as an
 * ISA says, or after a block in which sums of lanes promised much that was not there. Where there is no list nothing waits. */
enum { NO_LIST, EXACT_NEVER, EXACT_CROWDED, EXACT_ALWAYS };

LP_INLINE void scan_block(scan *job, scan_state *st, const placed *b, size_t offset, size_t n, int32_t first,
                          int full_size, int entropy, int exactness)
{
    block_groups g;
    group_sums sums;
    raw_sum raw;
    const int exact = exactness == EXACT_ALWAYS || (exactness == EXACT_CROWDED && st->top.crowded > 0);
    float *const high = waiting_high(&st->wait);
    const float *known = b->lanes != NULL ? b->lanes : exact || entropy ? high : NULL;
    const int waits = exactness != NO_LIST && full_size && b->lanes == NULL && (exact || entropy);
    vf peak = peak_none(entropy ? SUMS_ENTROPY : exact ? SUMS_HIGH : SUMS_ALONE);
    int fast = !job->row->wide_hint;
    block_cut(&g, b->x, n);
    if (fast) {
        if (entropy) {
            fast = block_fast(&g, b->from, &raw, &sums, high, &peak, full_size, SUMS_ENTROPY);
        } else if (exact) {
            fast = block_fast(&g, b->from, &raw, &sums, high, &peak, 1, SUMS_HIGH);
            st->top.crowded--;
        } else {
            fast = block_fast(&g, b->from, &raw, &sums, high, &peak, full_size, SUMS_ALONE);
        }
    }
    if (fast) {
        if (entropy || b->lanes != NULL) {
            raw.m = entropy ? raw.m : b->max;
            scan_known(job, st, &g, &sums, known, &raw, offset, n, first, NULL, waits);
        } else {
            scan_open(job, st, &g, &sums, known, peak, &raw, offset, n, first, NULL, waits);
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
#endif
