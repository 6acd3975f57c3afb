/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Checksums and validity of stream states. */
#include "stream_state.h"
#include <math.h>

static inline uint64_t put_bytes(unsigned char *to, const unsigned char *from, size_t bytes)
{
    uint64_t word = 0;
    memcpy(&word, from, bytes);
    if (to != NULL) {
        memcpy(to, &word, bytes);
    }
    return word;
}

/* a part of a cell */
static inline uint64_t cell_put_part(unsigned char *to, const unsigned char *from, size_t at, size_t n)
{
    enum { ONE = sizeof(float), TWO = 2 * sizeof(float) };
    uint64_t sum = 0;
    size_t i = 0, bytes = n * ONE;
    if (at % 2 != 0) {
        sum = halves(0, first_half(put_bytes(to, from, ONE)));
        i = ONE;
    }
    two_words four = {0, 0};
    for (; i + sizeof four <= bytes; i += sizeof four) {
        two_words x;
        memcpy(&x, from + i, sizeof x);
        if (to != NULL) {
            memcpy(to + i, &x, sizeof x);
        }
        four += x;
    }
    sum += four[0] + four[1];
    for (; i + TWO <= bytes; i += TWO) {
        sum += put_bytes(to == NULL ? NULL : to + i, from + i, TWO);
    }
    return i < bytes ? sum + put_bytes(to == NULL ? NULL : to + i, from + i, ONE) : sum;
}

static inline uint64_t put(unsigned char *to, const unsigned char *from, size_t at, size_t n)
{
    uint64_t sum = 0;
    while (n > 0) {
        size_t piece = SLOT_CELL - at % SLOT_CELL, bytes;
        piece = piece < n ? piece : n;
        bytes = piece * sizeof(float);
        uint64_t cell = piece == SLOT_CELL ? cell_put(to, from) : cell_put_part(to, from, at, piece);
        sum += cell * stream_weight[at / SLOT_CELL];
        to = to == NULL ? NULL : to + bytes;
        from += bytes;
        at += piece;
        n -= piece;
    }
    return sum;
}

uint64_t slot_put(unsigned char *to, const unsigned char *from, size_t at, size_t n)
{
    return put(to, from, at, n);
}

uint64_t slot_part(const unsigned char *logits, size_t at, size_t n)
{
    return put(NULL, logits, at, n);
}
_Static_assert(LP_BLOCK / SLOT_CELL <= STREAM_WEIGHTS, "one weight for each cell of a slot");

size_t partial_blocks(const id_range *range, size_t ranges, int32_t *block, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < 2 * ranges; i++) {
        int32_t edge = i % 2 == 0 ? range[i / 2].begin : range[i / 2].end;
        if (edge % LP_BLOCK == 0 || (n > 0 && block[n - 1] == edge / LP_BLOCK)) {
            continue;
        }
        if (n == most) {
            return most + 1;
        }
        block[n++] = edge / LP_BLOCK;
    }
    return n;
}

coverage state_coverage(const state *s)
{
    coverage c = {.ranges = s->ranges};
    memcpy(c.range, s->range, sizeof c.range);
    c.slots = partial_blocks(c.range, c.ranges, c.block, LP_STREAM_FRAGMENTS);
    return c;
}

size_t state_used(const state *s, const coverage *c)
{
    if (c->slots == 0) {
        return slots_at(s->k);
    }
    int32_t end = 0; /* of the last slot's logits: the ranges that follow may be of whole blocks */
    for (size_t i = 0; i < c->ranges; i++) {
        id_range part = range_in_block(c->range[i], c->block[c->slots - 1]);
        end = part.begin < part.end ? part.end : end;
    }
    return slots_at(s->k) + ((c->slots - 1) * (size_t)LP_BLOCK + (size_t)end) * sizeof(float);
}

static int all_zero(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t any = 0;
    size_t i = 0;
    for (; i + sizeof any <= n; i += sizeof any) {
        any |= load_u64(p + i);
    }
    for (; i < n; i++) {
        any |= p[i];
    }
    return any == 0;
}

static int is_finite(float x)
{
    return (float_bits(x) & 0x7F800000U) != 0x7F800000U;
}

/* what is applied to the logits: all zero before there are any */
static int form_holds(const state *s)
{
    float scale = bits_float(s->scale), softcap = bits_float(s->softcap);
    if (s->ranges == 0) {
        return (s->flags & (STREAM_FORM | STREAM_MASKED | STREAM_PLAIN)) == 0 && s->dtype == 0 && s->scale == 0 &&
               s->softcap == 0;
    }
    int plain = s->dtype == LP_F32 && scale == 1 && s->softcap == 0 && !(s->flags & STREAM_MASKED);
    return (s->flags & STREAM_FORM) != 0 && plain == ((s->flags & STREAM_PLAIN) != 0) && s->dtype >= LP_F32 &&
           s->dtype <= LP_F16 && is_finite(scale) && scale > 0 && is_finite(softcap) && softcap >= 0 &&
           (s->softcap >> 31) == 0;
}

static int ranges_hold(const state *s, const coverage *c)
{
    int32_t before = -1; /* ranges that touch are one */
    for (size_t i = 0; i < c->ranges; i++) {
        if (c->range[i].begin <= before || c->range[i].end <= c->range[i].begin) {
            return 0;
        }
        before = c->range[i].end;
    }
    int merged = (s->flags & STREAM_MERGED) != 0;
    size_t unused = LP_STREAM_RANGES - c->ranges;
    return s->first_token >= 0 && s->slots == c->slots && (merged || c->ranges <= 1) &&
           (c->ranges == 0 || (merged ? s->first_token <= c->range[0].begin : s->first_token == c->range[0].begin)) &&
           all_zero(c->range + c->ranges, unused * sizeof *c->range) &&
           all_zero(&s->slot_sum[c->slots], (LP_STREAM_FRAGMENTS - c->slots) * sizeof *s->slot_sum) &&
           all_zero(s->zero, sizeof s->zero);
}

static int token_holds(const state *s, const coverage *c)
{
    int here = 0;
    for (size_t i = 0; i < c->ranges; i++) {
        here |= s->token >= c->range[i].begin && s->token < c->range[i].end;
    }
    return s->token >= -1 && (here || s->token_logit == 0);
}

/* The ids that lie in complete blocks, and so in the row and, may be, in the list: of each range those in the blocks that it covers
 * whole; begin >= end: none. */
typedef struct completed {
    id_range range[LP_STREAM_RANGES];
    size_t ranges;
    int64_t blocks;
} completed;

static completed completed_of(const coverage *c)
{
    completed done;
    done.ranges = c->ranges;
    done.blocks = 0;
    for (size_t i = 0; i < c->ranges; i++) {
        const id_range r = c->range[i];
        const int32_t before = (r.begin - 1) / LP_BLOCK + (r.begin > 0); /* blocks that begin before it */
        const id_range whole = {before > INT32_MAX / LP_BLOCK ? INT32_MAX : before * LP_BLOCK,
                                r.end / LP_BLOCK * LP_BLOCK};
        done.range[i] = whole;
        done.blocks += whole.begin < whole.end ? (whole.end - whole.begin) / LP_BLOCK : 0;
    }
    return done;
}

static int is_complete(const completed *done, int32_t id)
{
    for (size_t i = 0; i < done->ranges; i++) {
        if (id >= done->range[i].begin && id < done->range[i].end) {
            return 1;
        }
    }
    return 0;
}

static int within(int64_t x, int64_t most)
{
    return (uint64_t)x + (uint64_t)most <= 2 * (uint64_t)most;
}

/* bounds within which the arithmetic on accumulators cannot overflow: a block makes at most 4 deposits, of 32 bits a bin */
static int acc_holds(const acc *a, int64_t blocks)
{
    const int empty = a->top == LP_ACC_EMPTY;
    int holds = empty | within(a->top, (int64_t)1 << 40);
    for (int i = 0; i < LP_ACC_BINS; i++) {
        holds &= within(a->bin[i], empty ? 0 : blocks << 34);
    }
    return holds;
}

static int sums_hold(const block_sum *b)
{
    return (b->s >= 0) & (b->s < 0x1p300) & (b->q > -0x1p600) & (b->q < 0x1p600) & within(b->k, (int64_t)1 << 42) &
           is_finite(b->m);
}

/* whether the sums are such as so many blocks make */
static int row_bounded(const row *r, int64_t blocks)
{
    return acc_holds(&r->s, blocks) & acc_holds(&r->t, blocks) & sums_hold(&r->full) & sums_hold(&r->rest);
}

static int row_holds(const state *s, const completed *done)
{
    row r, fresh;
    memcpy(&r, s->row, sizeof r);
    row_init(&fresh, 1);
    if (s->row_sum != row_sum(s)) {
        return 0;
    }
    fresh.flags |= r.flags & (ROW_NAN | ROW_INF);
    if (r.id < 0) { /* nothing with mass is complete: as at first, but for these flags */
        return memcmp(&r, &fresh, sizeof r) == 0 && (fresh.flags == ROW_ENTROPY || done->blocks > 0);
    }
    return r.flags == fresh.flags && r.wide_hint == 0 && is_finite(r.max) && is_complete(done, r.id) &&
           row_bounded(&r, done->blocks);
}

static int top_holds(const state *s, const completed *done)
{
    const unsigned char *logit = state_list_read(s), *id = logit + (size_t)s->k * sizeof(float);
    const size_t k = (size_t)s->k, n = s->top_n, end = slots_at(s->k) - sizeof *s;
    if (n > k || s->top_sum != top_sum(s) || (n == k && !(s->flags & STREAM_SORTED)) ||
        !all_zero(logit + n * sizeof(float), (k - n) * sizeof(float)) ||
        !all_zero(id + n * sizeof(int32_t), end - (k + n) * sizeof(int32_t))) {
        return 0;
    }
    uint64_t before = UINT64_MAX;
    for (size_t i = 0; i < n; i++) {
        float x;
        int32_t token;
        memcpy(&x, logit + i * sizeof x, sizeof x);
        memcpy(&token, id + i * sizeof token, sizeof token);
        uint64_t key = topk_key(x, token);
        if (!is_finite(x) || !is_complete(done, token) || ((s->flags & STREAM_SORTED) && key >= before)) {
            return 0;
        }
        before = key;
    }
    return 1;
}

static int slot_holds(const state *s, const coverage *c, size_t i)
{
    const unsigned char *slot = state_slot_read(s, i);
    uint64_t sum = 0;
    int32_t filled = 0;
    for (size_t r = 0; r < c->ranges; r++) {
        id_range part = range_in_block(c->range[r], c->block[i]);
        if (part.begin >= part.end) {
            continue;
        }
        if (!all_zero(slot + (size_t)filled * sizeof(float), (size_t)(part.begin - filled) * sizeof(float))) {
            return 0;
        }
        sum +=
            slot_part(slot + (size_t)part.begin * sizeof(float), (size_t)part.begin, (size_t)(part.end - part.begin));
        filled = part.end;
    }
    size_t rest = i + 1 < c->slots ? (size_t)(LP_BLOCK - filled) : 0;
    return all_zero(slot + (size_t)filled * sizeof(float), rest * sizeof(float)) && sum == s->slot_sum[i];
}

int state_holds(const state *s)
{
    if (!head_holds(s) || s->size != lp_stream_size((size_t)s->k) || s->k != (size_t)s->k ||
        (s->flags & ~(uint32_t)STREAM_FLAGS) != 0) {
        return 0;
    }
    const coverage c = state_coverage(s);
    if (!ranges_hold(s, &c)) {
        return 0;
    }
    const completed done = completed_of(&c);
    if (!form_holds(s) || !token_holds(s, &c) || !row_holds(s, &done) || !top_holds(s, &done)) {
        return 0;
    }
    for (size_t i = 0; i < c.slots; i++) {
        if (!slot_holds(s, &c, i)) {
            return 0;
        }
    }
    return 1;
}
