/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The pushes that streams are mostly made of: f32 logits as they are, after others such, that go on with a block, complete one, or
 * are whole blocks. All others are src/stream.c's. */
#ifndef LP_CORE_PUSH_H
#define LP_CORE_PUSH_H
#include "core/scan.h"
#include "fpenv.h"
#include "stream_state.h"

#ifndef LP_OWN_CELL
/* copies a cell of logits, and adds up its words of 64 bits */
LP_INLINE uint64_t v_cell_put(unsigned char *to, const unsigned char *from)
{
    return cell_put(to, from);
}
#endif

/* whether a chunk is one row of plain f32 logits, as far as its members tell at a glance */
LP_INLINE int push_is_simple(const lp_logits *c)
{
    const float one = 1;
    uint32_t scale;
    memcpy(&scale, &c->inv_temperature, sizeof scale);
    const uintptr_t pointers = (uintptr_t)c->allowed | (uintptr_t)c->row_inv_temperature | (uintptr_t)c->reserved[0] |
                               (uintptr_t)c->reserved[1] | (uintptr_t)c->reserved[2];
    const uint32_t others = (uint32_t)c->dtype | float_bits(c->softcap) | c->flags;
    return (pointers | others | c->allowed_stride) == 0 && c->rows == 1 && c->data != NULL &&
           (scale == 0 || scale == float_bits(one)) && (c->stride == 0 || c->stride >= c->vocab);
}

/* what a push uses of the state */
typedef struct push_place {
    uint64_t counts, range;
    uint32_t end, offset; /* of the logits that there are, and where that is in its block */
    uint32_t slot;        /* of that block, in use or not */
} push_place;

LP_INLINE push_place push_place_of(const state *s)
{
    const uint64_t counts = load_u64(&s->flags), range = load_u64(&s->range[0]);
    const uint32_t end = second_half(range), offset = end % LP_BLOCK_SIZE;
    const push_place p = {counts, range, end, offset, second_half(counts) - (offset != 0)};
    return p;
}

/* Whether simple logits may come: more of them, after such. Of the state, what decides on that is verified, with the counts by
 * which a place is found for them; damage to the rest stays to be found, for sums only take on differences. The slot is the first,
 * or the second where the first block lacks its beginning. */
LP_INLINE int push_fits(const state *s, push_place p)
{
    const uint32_t flags = first_half(p.counts) | STREAM_SORTED;
    return s->hot == hot_sum(s, p.counts, p.range) && load_u64(&s->next_at) == s->next_again &&
           flags == (STREAM_FORM | STREAM_PLAIN | STREAM_SORTED) && p.slot <= 1;
}

/* copies whole cells to where they belong in a slot; returns their part of its sum */
LP_INLINE uint64_t cells_put(unsigned char *to, const unsigned char *from, size_t cell, size_t cells)
{
    enum { BYTES = SLOT_CELL * sizeof(float) };
    uint64_t sum = v_cell_put(to, from) * stream_weight[cell % SLOT_CELLS];
    for (size_t i = 1; i < cells; i++) {
        sum += v_cell_put(to + i * BYTES, from + i * BYTES) * stream_weight[(cell + i) % SLOT_CELLS];
    }
    return sum;
}

/* Whether so many cells, at least one, are to be copied and no more. The place is kept twice, which finds damage; who forges it may
 * have them put anywhere in a state of this k. */
LP_INLINE int next_takes(const state *s, uint64_t next, size_t cells)
{
    const uint64_t end = (uint64_t)first_half(next) + cells * SLOT_CELL * sizeof(float);
    return cells - 1 < second_half(next) % NEXT_SLOT && next == s->next_again &&
           end - s->k * 8 <= sizeof *s + (size_t)LP_STREAM_FRAGMENTS * LP_BLOCK * sizeof(float);
}

/* slot_put, in registers where there are whole cells */
static __attribute__((noinline)) uint64_t logits_put(unsigned char *to, const unsigned char *from, size_t at, size_t n)
{
    const int whole = (at | n) % SLOT_CELL == 0 && n != 0;
    return whole ? cells_put(to, from, at / SLOT_CELL, n / SLOT_CELL) : slot_put(to, from, at, n);
}

/* n logits came into a slot, which are this part of its sum */
LP_INLINE void push_grow(state *s, size_t slot, uint64_t part, uint32_t n)
{
    const uint64_t grown = halves(0, n);
    s->slot_sum[slot] += part;
    s->hot += part + grown;
    add_word(&s->range[0], grown);
}

/* Cells of logits of which nothing is to be done but a copy, at least one, at most as many as may come. What this uses of the state
 * is kept twice; what it changes, sums included, it changes by differences, so that damage stays to be found. */
LP_INLINE lp_status push_cells(state *s, uint64_t next, const unsigned char *data, size_t cells)
{
    const uint32_t marks = second_half(next), slot = marks / NEXT_SLOT % HOT_SLOTS, n = (uint32_t)cells;
    const uint64_t part = cells_put((unsigned char *)s + first_half(next), data, marks / NEXT_CELL, cells);
    push_grow(s, slot, part, n * SLOT_CELL);
    put_next(s, next + halves(n * SLOT_CELL * (uint32_t)sizeof(float), n * (NEXT_CELL - 1)));
    return LP_OK;
}

/* A few logits that complete no block: a copy, and the sums brought up to date. */
LP_INLINE lp_status push_few(state *s, push_place p, const lp_logits *chunk)
{
    unsigned char *to = state_slot(s, p.slot) + p.offset * sizeof(float);
    push_grow(s, p.slot, logits_put(to, chunk->data, p.offset, chunk->vocab), (uint32_t)chunk->vocab);
    if (p.offset == 0) {
        put_counts(s, s->flags, p.slot + 1);
    }
    put_next(s, state_next(s));
    return LP_OK;
}

/* Whether the logits of a row are likely to lie beyond the window of e^x, by the largest so far: a state has no hint of it. */
LP_INLINE int row_seems_wide(const row *r)
{
    return r->id >= 0 && (r->max > EXP_HIGHEST || r->max < NARROW_LOWEST + 10);
}

/* The last logits of a block that waits in a slot, whole blocks from where they lie, the first logits of one that is to wait. The row
 * stays in the state, which is aligned for it. */
LP_INLINE lp_status push_scan(state *s, push_place p, const unsigned char *data, size_t n)
{
    enum { MAX = offsetof(row, max) };
    const size_t head = p.offset == 0 ? 0 : LP_BLOCK_SIZE - p.offset, tail = (n - head) % LP_BLOCK_SIZE;
    const size_t whole = n - head - tail;
    unsigned char *slot = state_slot(s, p.slot), *end_of_slot = slot + p.offset * sizeof(float);
    row *r = (row *)(void *)s->row;
    topk top = state_top(s, state_list(s), state_list(s) + (size_t)s->k * sizeof(float));
    const int32_t last = top.limit_id;
    const uint64_t held = row_held_sum(s->row), max = load_u64(s->row + MAX);
    const uint32_t flags = r->flags;
    if (s->row_sum != row_open_sum(s->row) + held || s->top_n > s->k) {
        return LP_ERR_STATE;
    }
    scan job = {r, s->k == 0 ? NULL : &top, 0, 0, 0, 0};
    const fp_state fp = fp_enter();
    r->wide_hint = row_seems_wide(r) ? ROW_WIDE : 0;
    if (head != 0) {
        const source from = source_plain(slot);
        if (head == SLOT_CELL) { /* without a call */
            memcpy(end_of_slot, data, SLOT_CELL * sizeof(float));
        } else {
            memcpy(end_of_slot, data, head * sizeof(float));
        }
        scan_row(&job, &from, LP_BLOCK_SIZE, (int32_t)(p.end - p.offset));
    }
    if (whole != 0) {
        const source from = source_plain(data + head * sizeof(float));
        scan_row(&job, &from, whole, (int32_t)(p.end + (uint32_t)head));
    }
    fp_leave(fp);
    r->wide_hint = 0;
    const int stays = max == halves(float_bits(r->max), (uint32_t)r->id) && flags == r->flags;
    put_word(s, &s->row_sum, SUM_OF(row_sum), row_open_sum(s->row) + (stays ? held : row_held_sum(s->row)));
    if ((head | tail) != 0) {
        put_slot_sum(s, p.slot, tail == 0 ? 0 : logits_put(slot, data + (n - tail) * sizeof(float), 0, tail));
        put_counts(s, s->flags, p.slot + (tail != 0));
    }
    put_range(s, s->first_token, (int32_t)(p.end + (uint32_t)n));
    put_next(s, state_next(s));
    put_top(s, &top, last);
    const uint32_t before_token = (uint32_t)s->token - p.end;
    if (before_token < n) {
        uint32_t logit;
        memcpy(&logit, data + before_token * sizeof logit, sizeof logit);
        put_word(s, &s->dtype, SUM_OF(dtype), halves((uint32_t)s->dtype, logit));
    }
    return LP_OK;
}

/* simple logits that reach the end of a block which has its beginning */
static __attribute__((noinline)) lp_status push_blocks(state *s, const lp_logits *chunk)
{
    const push_place p = push_place_of(s);
    const size_t n = chunk->vocab;
    if ((int32_t)p.end < 0 || n > (size_t)INT32_MAX - p.end || s->first_token > (int32_t)(p.end - p.offset) ||
        (uintptr_t)s->row % _Alignof(row) != 0) {
        return push_other(s, chunk);
    }
    return push_scan(s, p, chunk->data, n);
}

/* Simple logits in any number. The token among a few for one, and whatever is not as it should be, goes on elsewhere. */
static __attribute__((noinline)) lp_status push_some(state *s, const lp_logits *chunk)
{
    const push_place p = push_place_of(s);
    const size_t n = chunk->vocab, cells = n / SLOT_CELL;
    const uint64_t next = load_u64(&s->next_at);
    if (n % SLOT_CELL == 0 && next_takes(s, next, cells)) {
        return push_cells(s, next, chunk->data, cells);
    }
    if (!push_fits(s, p)) {
        return push_other(s, chunk);
    }
    if (n >= LP_BLOCK_SIZE - p.offset) {
        return push_blocks(s, chunk);
    }
    return n != 0 && (uint32_t)s->token - p.end >= n ? push_few(s, p, chunk) : push_other(s, chunk);
}

static lp_status push_chunk(state *s, const lp_logits *chunk)
{
    if (!push_is_simple(chunk)) {
        return push_other(s, chunk);
    }
    const uint64_t next = load_u64(&s->next_at);
    if (chunk->vocab == SLOT_CELL && next_takes(s, next, 1)) {
        return push_cells(s, next, chunk->data, 1); /* without a call */
    }
    return push_some(s, chunk);
}
#endif
