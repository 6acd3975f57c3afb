/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One read of a row: its sums, its top-k and a token's rank, block by block. */
#ifndef LP_CORE_SCAN_H
#define LP_CORE_SCAN_H
#include "core/direct.h"
#include "core/masked.h"

/* whether an ISA keeps the lanes' largest elements beside sums alone for every list, for it has the registers */
#ifndef LP_MANY_REGISTERS
#define LP_MANY_REGISTERS 0
#endif

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
#endif
