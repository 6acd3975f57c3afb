/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One read of a row: its sums, its top-k and a token's rank, block by block. */
#ifndef LP_CORE_SCAN_H
#define LP_CORE_SCAN_H
#include "core/direct.h"
#include "core/masked.h"

/* The shortest list for which an ISA keeps the lanes' largest elements beside sums alone in every block, so that blocks can wait. It costs
 * registers, where there are few of them, and saves the more, the longer the list. */
#ifndef LP_EXACT_LIST
#define LP_EXACT_LIST SIZE_MAX
#endif

/* high: what waiting_init takes; buffer: LP_PREPARED floats, or NULL where the row is plain */
LP_INLINE void scan_blocks(scan *job, const source *from, size_t n, int32_t first, int entropy, int exactness,
                           int plain, float *high, float *buffer)
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
    const reading r = {from->dtype, !plain, direct_weaves(from->dtype, NULL), v_set1(from->scale)};
    waiting_init(&st.wait, job->top, high, from->data, n, plain ? reading_f32() : r, first);
    if (job->rank) {
        rank_begin(&st.counted);
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
    if (job->rank) {
        rank_end(&st.counted, job);
    }
    if (exactness != NO_LIST && job->top != NULL) {
        waiting_settle(&st.wait, &st.top);
        candidates_end(&st.top);
    }
}

/* functions of their own, so that a call has the stack of one */
static __attribute__((noinline)) void scan_sums(scan *job, const source *from, size_t n, int32_t first, float *high)
{
    scan_blocks(job, from, n, first, 0, NO_LIST, 1, high, NULL);
}

static __attribute__((noinline)) void scan_sums_list(scan *job, const source *from, size_t n, int32_t first,
                                                     float *high)
{
    scan_blocks(job, from, n, first, 0, EXACT_CROWDED, 1, high, NULL);
}

static __attribute__((noinline)) void scan_sums_exact(scan *job, const source *from, size_t n, int32_t first,
                                                      float *high)
{
    scan_blocks(job, from, n, first, 0, EXACT_ALWAYS, 1, high, NULL);
}

static __attribute__((noinline)) void scan_sums_entropy(scan *job, const source *from, size_t n, int32_t first,
                                                        float *high)
{
    scan_blocks(job, from, n, first, 1, EXACT_NEVER, 1, high, NULL);
}

static __attribute__((noinline)) void scan_prepared(scan *job, const source *from, size_t n, int32_t first, float *high)
{
    _Alignas(64) float buffer[LP_PREPARED];
    scan_blocks(job, from, n, first, 0, EXACT_NEVER, 0, high, buffer);
}

static __attribute__((noinline)) void scan_prepared_entropy(scan *job, const source *from, size_t n, int32_t first,
                                                            float *high)
{
    _Alignas(64) float buffer[LP_PREPARED];
    scan_blocks(job, from, n, first, 1, EXACT_NEVER, 0, high, buffer);
}

LP_INLINE void scan_of_kind(scan *job, const source *from, size_t n, int32_t first, float *high)
{
    int entropy = (job->row->flags & ROW_ENTROPY) != 0;
    if (from->plain) {
        (entropy                        ? scan_sums_entropy
         : job->top == NULL             ? scan_sums
         : job->top->k >= LP_EXACT_LIST ? scan_sums_exact
                                        : scan_sums_list)(job, from, n, first, high);
    } else {
        (entropy ? scan_prepared_entropy : scan_prepared)(job, from, n, first, high);
    }
}

static __attribute__((noinline)) void scan_waiting(scan *job, const source *from, size_t n, int32_t first)
{
    _Alignas(64) float high[WAIT_BLOCKS * WAIT_LANES];
    scan_of_kind(job, from, n, first, high);
}

static __attribute__((noinline)) void scan_each(scan *job, const source *from, size_t n, int32_t first)
{
    _Alignas(64) float high[WAIT_LANES];
    scan_of_kind(job, from, n, first, high);
}

static void scan_row(scan *job, const source *from, size_t n, int32_t first)
{
    (waiting_is_on(job->top, n) ? scan_waiting : scan_each)(job, from, n, first);
}
#endif
