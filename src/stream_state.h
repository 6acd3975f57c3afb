/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The bytes of a stream state: their layout, their checksums, and what makes them valid. docs/streams.md is the layout's
 * description for those who send it.
 *
 *     head (512 bytes) | top-k list: k floats, k ids, zeros up to a multiple of 64 | up to 8 slots of one block each
 *
 * A slot keeps the transformed f32 logits of a block that is not complete yet; slots are in the order of their ids. What lies
 * behind the last logit of the last slot is not part of the state: it is neither set, read nor checked.
 *
 * Four sums bind the bytes: one over the row, one over the list, one for each slot, and one over the head, the other three
 * included. Each changes with any change of one byte. They can be brought up to date by the logits that were added alone. */
#ifndef LP_STREAM_STATE_H
#define LP_STREAM_STATE_H
#include "logits.h"
#include "names.h"

typedef struct id_range {
    int32_t begin, end;
} id_range;

enum {
    STREAM_MERGED = 1, /* takes no more logits */
    STREAM_FORM = 2,   /* dtype, scale, softcap, STREAM_MASKED are those of the first logits */
    STREAM_MASKED = 4,
    STREAM_SORTED = 8, /* the top-k list is in order */
    STREAM_PLAIN = 16, /* the form is f32 as it is */
    STREAM_FLAGS = 31
};

/* The head, of whole words of 64 bits. Packed and may_alias: it lies at any address, in memory of any type. */
struct __attribute__((packed, may_alias)) state {
    uint64_t magic;
    uint32_t byte_order, numerics;
    uint32_t layout, block;
    uint64_t size, k;
    int32_t first_token, token;
    uint32_t flags, slots;
    uint32_t ranges, top_n;
    int32_t dtype;
    uint32_t token_logit;    /* the float's bits; 0 until the token is among the ids */
    uint32_t scale, softcap; /* the floats' bits */
    uint64_t row_sum, top_sum;
    uint64_t sum; /* of first_token to top_sum, of the ranges and the sums of slots that are not in `hot` */
    uint64_t hot; /* of what pushes use and change */
    id_range range[LP_STREAM_RANGES];
    uint64_t slot_sum[LP_STREAM_FRAGMENTS];
    unsigned char row[160];       /* struct row */
    uint32_t next_at, next_marks; /* see state_next */
    unsigned char zero[32];
    uint64_t
        next_again; /* both once more, as their check; apart, for compilers would make one slow word of 128 bits of neighbours */
};
typedef struct state state;
_Static_assert(sizeof(state) == 512 && sizeof(row) == 160 && sizeof(block_sum) == 32 && sizeof(acc) == 40,
               "the layout that docs/streams.md describes");

#define STREAM_MAGIC 0x6D61657274733A6CU /* "l:stream" in little-endian bytes */
#define STREAM_BYTE_ORDER 0x01020304U
#define STREAM_LAYOUT 2U
/* what `hot` has of the ranges and of the slots: the first that pushes use */
enum { HOT_RANGES = 1, HOT_SLOTS = 2 };
/* the words of `sum`, in this order */
enum { SUM_FROM = offsetof(state, first_token) / 8, SUM_TO = offsetof(state, sum) / 8, SUM_RANGES = SUM_TO - SUM_FROM };
enum { SUM_SLOTS = SUM_RANGES + LP_STREAM_RANGES };
#define SUM_OF(member) (offsetof(state, member) / 8 - SUM_FROM)

/* The weights of sums: powers of an odd number, so that a change of one word by d changes the sum by d times something odd. Here, so
 * that compilers know those whose place is known. */
#define P1 0x9E3779B97F4A7C15U
#define P2 (P1 * P1)
#define P4 (P2 * P2)
#define P8 (P4 * P4)
#define P16 (P8 * P8)
#define FOUR(x) (x) * P1, (x)*P2, (x)*P2 *P1, (x)*P4
#define SIXTEEN(x) FOUR(x), FOUR((x)*P4), FOUR((x)*P8), FOUR((x)*P8 *P4)
static const uint64_t stream_weight[] = {SIXTEEN(1), SIXTEEN(P16)};
enum { STREAM_WEIGHTS = sizeof stream_weight / sizeof *stream_weight };
_Static_assert(SUM_SLOTS + LP_STREAM_FRAGMENTS <= STREAM_WEIGHTS, "one weight for each word of the head");
#undef P1
#undef P2
#undef P4
#undef P8
#undef P16
#undef FOUR
#undef SIXTEEN

static inline uint64_t load_u64(const void *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline uint64_t head_sum(const state *s)
{
    const unsigned char *p = (const unsigned char *)s;
    uint64_t sum = 0;
    for (size_t i = SUM_FROM; i < SUM_TO; i++) {
        sum += load_u64(p + 8 * i) * stream_weight[i - SUM_FROM];
    }
    for (size_t i = HOT_RANGES; i < s->ranges; i++) {
        sum += load_u64(&s->range[i]) * stream_weight[SUM_RANGES + i];
    }
    for (size_t i = HOT_SLOTS; i < s->slots; i++) {
        sum += s->slot_sum[i] * stream_weight[SUM_SLOTS + i];
    }
    return sum;
}

static inline uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* two fields of 32 bits as the one word that they are in memory */
static inline uint64_t halves(uint32_t first, uint32_t second)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (uint64_t)first << 32 | second;
#else
    return first | (uint64_t)second << 32;
#endif
}

static inline uint32_t first_half(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (uint32_t)(word >> 32);
#else
    return (uint32_t)word;
#endif
}

static inline uint32_t second_half(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (uint32_t)word;
#else
    return (uint32_t)(word >> 32);
#endif
}

static inline void add_word(void *at, uint64_t by)
{
    const uint64_t now = load_u64(at) + by;
    memcpy(at, &now, sizeof now);
}

static inline uint64_t hot_counts(uint64_t counts)
{
    return rotate(counts, 31);
}

/* of k, first_token and token, flags and slots, the first range, and the sums of the first slots */
static inline uint64_t hot_sum(const state *s, uint64_t counts, uint64_t range)
{
    return s->k + rotate(load_u64(&s->first_token), 17) + hot_counts(counts) + range + s->slot_sum[0] + s->slot_sum[1];
}

/* where the slots begin, and so where head and list end */
static inline size_t slots_at(uint64_t k)
{
    return sizeof(state) + ((size_t)k * 8 + 63) / 64 * 64;
}

/* a cell of logits in a slot: what a slot's sum is made of, and what pushes of one cost least for */
enum { SLOT_CELL = 64, SLOT_CELLS = LP_BLOCK / SLOT_CELL };

/* Where the next cell of logits goes, if it is one of some that complete no block and lack the token, so that nothing else is to be
 * done with it: the place in the state, in bytes, and how many cells may come, the slot, the cell in it as marks. All zero where
 * that does not hold of what is next. */
enum { NEXT_SLOT = 1 << 8, NEXT_CELL = 1 << 16 };
static inline uint64_t state_next(const state *s)
{
    const uint32_t end = (uint32_t)s->range[0].end, offset = end % LP_BLOCK, slot = s->slots - 1;
    if (offset == 0 || offset % SLOT_CELL != 0 || (s->flags & (STREAM_PLAIN | STREAM_MERGED)) != STREAM_PLAIN ||
        slot >= HOT_SLOTS || s->k > UINT32_MAX / 16) {
        return 0;
    }
    const uint32_t at = (uint32_t)slots_at(s->k) + (slot * LP_BLOCK + offset) * (uint32_t)sizeof(float);
    const uint32_t cells = (LP_BLOCK - offset) / SLOT_CELL - 1, before_token = ((uint32_t)s->token - end) / SLOT_CELL;
    const uint32_t room = before_token < cells ? before_token : cells;
    return halves(at, room + slot * NEXT_SLOT + offset / SLOT_CELL * NEXT_CELL);
}

static inline int next_holds(const state *s)
{
    const uint64_t next = state_next(s);
    return load_u64(&s->next_at) == next && s->next_again == next;
}

static inline void put_next(state *s, uint64_t next)
{
    memcpy(&s->next_at, &next, sizeof next);
    s->next_again = next;
}

/* the head's sums, of all that they are of */
static inline void head_close(state *s)
{
    s->sum = head_sum(s);
    s->hot = hot_sum(s, load_u64(&s->flags), load_u64(&s->range[0]));
    put_next(s, state_next(s));
}

/* Writes the word of the head that is `place` in its sum, and carries the difference into that. Whole words, also where one half
 * changes: written by halves, they would be slow to read. */
static inline void put_word(state *s, void *at, size_t place, uint64_t now)
{
    s->sum += (now - load_u64(at)) * stream_weight[place];
    memcpy(at, &now, sizeof now);
}

static inline void put_counts(state *s, uint32_t flags, uint32_t slots)
{
    const uint64_t was = load_u64(&s->flags), now = halves(flags, slots);
    put_word(s, &s->flags, SUM_OF(flags), now);
    s->hot += hot_counts(now) - hot_counts(was);
}

static inline void put_lengths(state *s, uint32_t ranges, uint32_t top_n)
{
    put_word(s, &s->ranges, SUM_OF(ranges), halves(ranges, top_n));
}

static inline void put_range(state *s, int32_t begin, int32_t end)
{
    const uint64_t was = load_u64(&s->range[0]), now = halves((uint32_t)begin, (uint32_t)end);
    memcpy(&s->range[0], &now, sizeof now);
    s->hot += now - was;
}

/* of a slot that pushes use */
static inline void put_slot_sum(state *s, size_t slot, uint64_t now)
{
    s->hot += now - s->slot_sum[slot];
    s->slot_sum[slot] = now;
}

/* Whether the head is what this library wrote: then its counts are within their bounds. What comes before first_token has
 * one right value, or two that must agree. */
static inline int head_holds(const state *s)
{
    return s->magic == STREAM_MAGIC && s->byte_order == STREAM_BYTE_ORDER && s->numerics == LP_NUMERICS &&
           s->layout == STREAM_LAYOUT && s->block == LP_BLOCK && s->size == LP_STREAM_SIZE(s->k) &&
           s->ranges <= LP_STREAM_RANGES && s->slots <= LP_STREAM_FRAGMENTS && s->sum == head_sum(s) &&
           s->hot == hot_sum(s, load_u64(&s->flags), load_u64(&s->range[0])) && next_holds(s);
}

static inline unsigned char *state_slot(state *s, size_t i)
{
    return (unsigned char *)s + slots_at(s->k) + i * LP_BLOCK * sizeof(float);
}

static inline const unsigned char *state_slot_read(const state *s, size_t i)
{
    return (const unsigned char *)s + slots_at(s->k) + i * LP_BLOCK * sizeof(float);
}

/* The part of a slot's sum that n logits make from offset `at` on: words of two logits, added up in cells of 64 logits, each
 * cell with its weight. Parts add up. */
uint64_t slot_part(const unsigned char *logits, size_t at, size_t n);
/* the same of logits that are copied to their place */
uint64_t slot_put(unsigned char *to, const unsigned char *from, size_t at, size_t n);

/* any push; neither is NULL */
lp_status push_other(state *s, const lp_logits *chunk);

typedef uint64_t two_words __attribute__((vector_size(16)));

/* the sum of a cell before its weight */
static inline uint64_t cell_put(unsigned char *to, const unsigned char *from)
{
    two_words sum = {0, 0}, x;
    for (size_t i = 0; i < SLOT_CELL * sizeof(float); i += sizeof x) {
        memcpy(&x, from + i, sizeof x);
        if (to != NULL) {
            memcpy(to + i, &x, sizeof x);
        }
        sum += x;
    }
    return sum[0] + sum[1];
}

/* words first .. end - 1, added up */
static inline uint64_t words_sum(const unsigned char *p, size_t first, size_t end)
{
    uint64_t sum = 0;
    _Pragma("GCC unroll 5") for (size_t i = first; i < end; i++)
    {
        sum += load_u64(p + 8 * i);
    }
    return sum;
}

/* The words of a row. Its sum is that of its parts, each with its weight: the two accumulators, which change with each block, and
 * what is held. */
enum {
    ROW_T = offsetof(row, t) / 8,
    ROW_FULL = offsetof(row, full) / 8,
    ROW_REST = offsetof(row, rest) / 8,
    ROW_MARKS = offsetof(row, max) / 8,
    ROW_WORDS = sizeof(row) / 8
};
static inline uint64_t row_open_sum(const unsigned char *r)
{
    return words_sum(r, 0, ROW_T) * stream_weight[0] + words_sum(r, ROW_T, ROW_FULL) * stream_weight[1];
}

static inline uint64_t row_held_sum(const unsigned char *r)
{
    return words_sum(r, ROW_FULL, ROW_REST) * stream_weight[2] + words_sum(r, ROW_REST, ROW_MARKS) * stream_weight[3] +
           words_sum(r, ROW_MARKS, ROW_WORDS) * stream_weight[4];
}

static inline uint64_t row_sum(const state *s)
{
    return row_open_sum(s->row) + row_held_sum(s->row);
}

/* the words of n floats or ids, added up; half a word at the end counts as a whole one */
static inline uint64_t list_part(const unsigned char *p, size_t n)
{
    const size_t bytes = n * sizeof(float);
    two_words four = {0, 0}, x;
    size_t i = 0;
    for (; i + sizeof x <= bytes; i += sizeof x) {
        memcpy(&x, p + i, sizeof x);
        four += x;
    }
    uint64_t sum = four[0] + four[1];
    if (bytes - i >= sizeof sum) {
        sum += load_u64(p + i);
        i += sizeof sum;
    }
    if (i < bytes) {
        uint32_t last;
        memcpy(&last, p + i, sizeof last);
        sum += last;
    }
    return sum;
}

/* the list: k floats, then k ids */
static inline unsigned char *state_list(state *s)
{
    return (unsigned char *)(s + 1);
}

static inline const unsigned char *state_list_read(const state *s)
{
    return (const unsigned char *)(s + 1);
}

static inline uint64_t top_sum(const state *s)
{
    const unsigned char *list = state_list_read(s);
    return list_part(list, s->top_n) * stream_weight[0] +
           list_part(list + (size_t)s->k * sizeof(float), s->top_n) * stream_weight[1];
}

/* the list as the kernels take it, its entries at logit and id: in the state, or a copy */
static inline topk state_top(const state *s, unsigned char *logit, unsigned char *id)
{
    topk t = topk_new(logit, id, (size_t)s->k);
    t.n = s->top_n;
    t.sorted = (s->flags & STREAM_SORTED) != 0;
    if (t.n != 0 && t.n == t.k) {
        memcpy(&t.limit, logit + (t.k - 1) * sizeof(float), sizeof t.limit);
        memcpy(&t.limit_id, id + (t.k - 1) * sizeof(int32_t), sizeof t.limit_id);
    }
    return t;
}

/* the list's length and order, and its sum, where it is not what state_top gave; last: the last id then */
static inline void put_top(state *s, const topk *now, int32_t last)
{
    const uint32_t sorted = now->sorted ? STREAM_SORTED : 0;
    /* whatever comes into the list, without anything being driven out of it or into another place, changes one of these */
    if (now->n != s->top_n || sorted != (s->flags & STREAM_SORTED) || now->limit_id != last) {
        put_lengths(s, s->ranges, (uint32_t)now->n);
        put_counts(s, (s->flags & ~(uint32_t)STREAM_SORTED) | sorted, s->slots);
        put_word(s, &s->top_sum, SUM_OF(top_sum), top_sum(s));
    }
}

/* The blocks that the ranges, sorted and apart, cover in part: at most `most`, returns their number or more than `most`. */
size_t partial_blocks(const id_range *range, size_t ranges, int32_t *block, size_t most);

/* the ids of a range that lie in a block, as offsets in the block; begin >= end: none */
static inline id_range range_in_block(id_range r, int32_t block)
{
    int64_t first = (int64_t)block * LP_BLOCK, begin = r.begin - first, end = r.end - first;
    id_range part = {(int32_t)(begin < 0          ? 0
                               : begin > LP_BLOCK ? LP_BLOCK
                                                  : begin),
                     (int32_t)(end < 0          ? 0
                               : end > LP_BLOCK ? LP_BLOCK
                                                : end)};
    return part;
}

/* the ranges, and the blocks that have a slot, as values with an alignment */
typedef struct coverage {
    id_range range[LP_STREAM_RANGES];
    int32_t block[LP_STREAM_FRAGMENTS];
    size_t ranges, slots;
} coverage;
coverage state_coverage(const state *s);

/* the bytes of the state that count: up to the last logit of the last slot */
size_t state_used(const state *s, const coverage *c);

/* everything that can be verified without knowing how much memory there is; to be called within fp_enter */
int state_holds(const state *s);
#endif
