/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Streams: a row that arrives in pieces or lies in shards, with the bits of one call over the whole row.
 *
 * The kernels cut rows into blocks at absolute ids, and sums of blocks add up in any order. So whole blocks of a chunk go
 * through the kernel where they lie, and the logits of a block that is not complete wait in a slot of the state. */
#include "fpenv.h"
#include "stream_state.h"
#include <math.h>

size_t lp_stream_size(size_t k)
{
    return k > (SIZE_MAX / 2 - LP_STREAM_SIZE(0)) / 8 - 8 ? 0 : LP_STREAM_SIZE(k);
}

lp_status lp_stream_init(void *memory, size_t bytes, size_t k, int32_t first_token, int32_t token)
{
    size_t size = lp_stream_size(k);
    if (memory == NULL || size == 0 || first_token < 0) {
        return LP_ERR_ARG;
    }
    if (bytes < size) {
        return LP_ERR_SPACE;
    }
    state *s = memory;
    row fresh;
    row_init(&fresh, 1);
    memset(s, 0, slots_at(k));
    s->magic = STREAM_MAGIC;
    s->byte_order = STREAM_BYTE_ORDER;
    s->numerics = LP_NUMERICS;
    s->layout = STREAM_LAYOUT;
    s->block = LP_BLOCK;
    s->size = size;
    s->k = k;
    s->first_token = first_token;
    s->token = token < 0 ? -1 : token;
    s->flags = STREAM_SORTED;
    memcpy(s->row, &fresh, sizeof fresh);
    s->row_sum = row_sum(s);
    s->top_sum = top_sum(s);
    head_close(s);
    return LP_OK;
}

lp_status lp_stream_check(const void *memory, size_t bytes)
{
    const state *s = memory;
    if (s == NULL) {
        return LP_ERR_ARG;
    }
    if (bytes < sizeof *s || !head_holds(s) || bytes < s->size) {
        return LP_ERR_STATE;
    }
    fp_state fp = fp_enter();
    int holds = state_holds(s);
    fp_leave(fp);
    return holds ? LP_OK : LP_ERR_STATE;
}

size_t lp_stream_used(const lp_stream *stream)
{
    const state *s = (const state *)stream;
    if (s == NULL || !head_holds(s)) {
        return 0;
    }
    const coverage c = state_coverage(s);
    return c.slots > LP_STREAM_FRAGMENTS ? 0 : state_used(s, &c);
}

/* ---- the row and the list, out of the state and back --------------------------------------------------------------- */

typedef struct work {
    const kernels *kernel;
    row row;
    topk top;
    int32_t last; /* the list's last id, as long as nothing has come in */
    scan job;
} work;

/* 0 where the row was damaged, or the list's length. The entries can do no harm: merge, finish and check look at them. */
static int work_begin(work *w, state *s)
{
    memcpy(&w->row, s->row, sizeof w->row);
    if (s->row_sum != row_sum(s) || s->top_n > s->k) {
        return 0;
    }
    w->top = state_top(s, state_list(s), state_list(s) + (size_t)s->k * sizeof(float));
    w->last = w->top.limit_id;
    const scan job = {&w->row, s->k == 0 ? NULL : &w->top, 0, 0, 0, 0};
    w->job = job;
    return 1;
}

static void work_end(work *w, state *s)
{
    w->row.wide_hint = 0;
    memcpy(s->row, &w->row, sizeof w->row);
    put_word(s, &s->row_sum, SUM_OF(row_sum), row_sum(s));
    put_top(s, &w->top, w->last);
}

static void work_slot(work *w, const unsigned char *slot, size_t n, int32_t block)
{
    source from = source_plain(slot);
    w->kernel->scan(&w->job, &from, n, block * LP_BLOCK);
}

/* ---- push ----------------------------------------------------------------------------------------------------------- */

/* copies logits to their place from offset `at` of a slot on; returns their part of its sum */
static uint64_t copy_logits(const kernels *kernel, unsigned char *slot, size_t at, const source *from, size_t n)
{
    enum { PIECE = 256 };
    float logits[PIECE];
    unsigned char *to = slot + at * sizeof *logits;
    uint64_t sum = 0;
    if (from->plain) {
        return slot_put(to, from->data, at, n);
    }
    for (size_t i = 0; i < n; i += PIECE) {
        size_t piece = n - i < PIECE ? n - i : PIECE;
        source part = source_at(from, i);
        kernel->prepare(logits, &part, piece);
        sum += slot_put(to + i * sizeof *logits, (const unsigned char *)logits, at + i, piece);
    }
    return sum;
}

/* n logits of one block, from `end` on, into its slot, a new one where none of the block has come; runs the slot where that
 * makes it complete */
static void append(work *w, state *s, const source *from, size_t n, int32_t end, int is_new)
{
    const size_t offset = (size_t)end % LP_BLOCK, slot = s->slots - !is_new;
    unsigned char *logits = state_slot(s, slot);
    if (is_new) {
        memset(logits, 0, offset * sizeof(float));
        put_counts(s, s->flags, s->slots + 1); /* the sum of one that is not in use is 0 */
    }
    const uint64_t part = copy_logits(w->kernel, logits, offset, from, n);
    if (offset + n == LP_BLOCK && s->first_token <= end - (int32_t)offset) {
        work_slot(w, logits, LP_BLOCK, end / LP_BLOCK);
        put_counts(s, s->flags, (uint32_t)slot);
        put_slot_sum(s, slot, 0);
    } else {
        put_slot_sum(s, slot, s->slot_sum[slot] + part);
    }
}

/* all n logits of a chunk, from the id `end` on; is_first: the stream's first. The rest of a block, whole blocks, the beginning
 * of one. */
static void take(work *w, state *s, const source *from, size_t n, int32_t end, int is_first)
{
    const size_t offset = (size_t)end % LP_BLOCK, room = LP_BLOCK - offset;
    const size_t head = offset == 0 ? 0 : n < room ? n : room, tail = (n - head) % LP_BLOCK, whole = n - head - tail;
    if (head != 0) {
        append(w, s, from, head, end, is_first);
    }
    if (whole != 0) {
        const source blocks = source_at(from, head);
        w->kernel->scan(&w->job, &blocks, whole, end + (int32_t)head);
    }
    if (tail != 0) {
        const source rest = source_at(from, head + whole);
        append(w, s, &rest, tail, end + (int32_t)(head + whole), 1);
    }
    put_range(s, s->first_token, end + (int32_t)n);
    if (s->token >= end && (size_t)(s->token - end) < n) {
        const uint32_t logit = float_bits(logits_at(w->kernel, from, s->token - end));
        put_word(s, &s->dtype, SUM_OF(dtype), halves((uint32_t)s->dtype, logit));
    }
}

static uint32_t zero_bits(float x)
{
    return (float_bits(x) << 1) == 0 ? 0 : float_bits(x);
}

static uint32_t form_flags(const source *from)
{
    return STREAM_FORM | (from->allowed != NULL ? STREAM_MASKED : 0) | (from->plain ? STREAM_PLAIN : 0);
}

/* the form of the first logits is that of the stream */
static void form_set(state *s, const source *from)
{
    put_counts(s, s->flags | form_flags(from), s->slots);
    put_word(s, &s->dtype, SUM_OF(dtype), halves((uint32_t)from->dtype, s->token_logit));
    put_word(s, &s->scale, SUM_OF(scale), halves(float_bits(from->scale), zero_bits(from->softcap)));
    put_lengths(s, 1, s->top_n);
}

static int form_fits(const state *s, const source *from)
{
    const uint32_t masked = form_flags(from) & STREAM_MASKED;
    return !(s->flags & STREAM_FORM) || (s->dtype == from->dtype && (s->flags & STREAM_MASKED) == masked &&
                                         s->scale == float_bits(from->scale) && s->softcap == zero_bits(from->softcap));
}

/* Whether ids and slots are as pushes leave them, so that what comes next has its place: sums that fit do not say so, for
 * who forges a state forges them too. */
static int push_holds(const state *s)
{
    if (!head_holds(s) || (s->flags & STREAM_MERGED) || s->first_token < 0 || s->ranges > 1) {
        return 0;
    }
    const id_range ids = s->range[0];
    uint32_t begins = ids.begin % LP_BLOCK != 0, ends = ids.end % LP_BLOCK != 0;
    uint32_t slots = ids.begin / LP_BLOCK == ids.end / LP_BLOCK ? begins | ends : begins + ends;
    return s->ranges == 0 ? s->slots == 0 : ids.begin == s->first_token && ids.begin < ids.end && s->slots == slots;
}

/* n > 0 logits of the stream's form, from the id `end` on */
static lp_status push_source(state *s, const source *from, size_t n, int32_t end)
{
    const int reaches = n >= LP_BLOCK - (size_t)end % LP_BLOCK; /* the end of a block, at least */
    const int is_first = !(s->flags & STREAM_FORM);
    work w;
    w.kernel = dispatch();
    if (reaches && !work_begin(&w, s)) {
        return LP_ERR_STATE;
    }
    if (is_first) {
        form_set(s, from);
    }
    take(&w, s, from, n, end, is_first);
    if (reaches) {
        work_end(&w, s);
    }
    put_next(s, state_next(s));
    return LP_OK;
}

/* any chunk */
static lp_status push_any(state *s, const lp_logits *chunk)
{
    if (logits_check(chunk) != LP_OK || chunk->rows > 1) {
        return LP_ERR_ARG;
    }
    if (!push_holds(s)) {
        return LP_ERR_STATE;
    }
    if (chunk->rows == 0 || chunk->vocab == 0) {
        return LP_OK;
    }
    int32_t end = s->ranges == 0 ? s->first_token : s->range[0].end;
    source from = logits_row(chunk, 0);
    int fits = chunk->vocab <= (size_t)(INT32_MAX - end) && form_fits(s, &from);
    return fits ? push_source(s, &from, chunk->vocab, end) : LP_ERR_ARG;
}

lp_status push_other(state *s, const lp_logits *chunk)
{
    const fp_state fp = fp_enter();
    const lp_status status = push_any(s, chunk);
    fp_leave(fp);
    return status;
}

lp_status lp_stream_push(lp_stream *stream, const lp_logits *chunk)
{
    return stream == NULL || chunk == NULL ? LP_ERR_ARG : dispatch()->push((state *)stream, chunk);
}

/* ---- merge ---------------------------------------------------------------------------------------------------------- */

/* The ranges of both, in order and with those that touch joined. LP_ERR_STATE where they overlap. */
static lp_status join_ranges(coverage *all, const coverage *a, const coverage *b)
{
    id_range joined[2 * LP_STREAM_RANGES];
    size_t n = 0;
    for (size_t i = 0, j = 0; i < a->ranges || j < b->ranges;) {
        int first = j == b->ranges || (i < a->ranges && a->range[i].begin < b->range[j].begin);
        id_range next = first ? a->range[i++] : b->range[j++];
        if (n > 0 && next.begin < joined[n - 1].end) {
            return LP_ERR_STATE;
        }
        if (n > 0 && next.begin == joined[n - 1].end) {
            joined[n - 1].end = next.end;
        } else {
            joined[n++] = next;
        }
    }
    all->ranges = n;
    all->slots = n > LP_STREAM_RANGES ? 0 : partial_blocks(joined, n, all->block, LP_STREAM_FRAGMENTS);
    if (n > LP_STREAM_RANGES || all->slots > LP_STREAM_FRAGMENTS) {
        return LP_ERR_SPACE;
    }
    memset(all->range, 0, sizeof all->range);
    memcpy(all->range, joined, n * sizeof *joined);
    return LP_OK;
}

/* the index of a block's slot, or the number of slots */
static size_t find_slot(const coverage *c, int32_t block)
{
    size_t i = 0;
    while (i < c->slots && c->block[i] != block) {
        i++;
    }
    return i;
}

/* writes those logits of a block that `c` has into a slot that may have others */
static void copy_parts(unsigned char *to, const unsigned char *from, const coverage *c, int32_t block)
{
    for (size_t r = 0; r < c->ranges; r++) {
        id_range part = range_in_block(c->range[r], block);
        if (part.begin < part.end) {
            size_t at = (size_t)part.begin * sizeof(float);
            memcpy(to + at, from + at, (size_t)(part.end - part.begin) * sizeof(float));
        }
    }
}

/* Blocks that lie in slots of both: into's slot takes from's logits, and leaves where that completes it. */
static void join_slots(work *w, state *into, coverage *own, const state *from, const coverage *other,
                       const coverage *all)
{
    for (size_t i = 0; i < other->slots; i++) {
        int32_t block = other->block[i];
        size_t at = find_slot(own, block);
        if (at == own->slots) {
            continue;
        }
        copy_parts(state_slot(into, at), state_slot_read(from, i), other, block);
        into->slot_sum[at] += from->slot_sum[i];
        if (find_slot(all, block) == all->slots) {
            work_slot(w, state_slot(into, at), LP_BLOCK, block);
            own->slots--;
            for (size_t j = at; j < own->slots; j++) {
                memcpy(state_slot(into, j), state_slot(into, j + 1), LP_BLOCK * sizeof(float));
                into->slot_sum[j] = into->slot_sum[j + 1];
                own->block[j] = own->block[j + 1];
            }
        }
    }
}

/* Blocks that lie in slots of `from` alone go in between into's, from the back. */
static void insert_slots(state *into, const coverage *own, const state *from, const coverage *other,
                         const coverage *all)
{
    size_t kept = own->slots;
    for (size_t i = all->slots; i > 0; i--) {
        int32_t block = all->block[i - 1];
        unsigned char *to = state_slot(into, i - 1);
        if (kept == i) {
            break; /* the rest lies where it should */
        }
        if (kept > 0 && own->block[kept - 1] == block) {
            memcpy(to, state_slot(into, kept - 1), LP_BLOCK * sizeof(float));
            into->slot_sum[i - 1] = into->slot_sum[kept - 1];
            kept--;
        } else {
            size_t at = find_slot(other, block);
            memset(to, 0, LP_BLOCK * sizeof(float));
            copy_parts(to, state_slot_read(from, at), other, block);
            into->slot_sum[i - 1] = from->slot_sum[at];
        }
    }
}

/* offers from's list to into's */
static void join_tops(topk *into, const state *from)
{
    enum { PIECE = 256 };
    uint64_t key[PIECE], scratch[PIECE];
    const unsigned char *logit = state_list_read(from), *id = logit + (size_t)from->k * sizeof(float);
    for (size_t i = 0; i < from->top_n;) {
        size_t n = 0;
        for (; n < PIECE && i < from->top_n; n++, i++) {
            float x;
            int32_t token;
            memcpy(&x, logit + i * sizeof x, sizeof x);
            memcpy(&token, id + i * sizeof token, sizeof token);
            key[n] = topk_key(x, token);
        }
        topk_offer(into, key, scratch, n);
    }
}

static int forms_agree(const state *a, const state *b)
{
    return !(a->flags & b->flags & STREAM_FORM) || (a->scale == b->scale && a->softcap == b->softcap);
}

static lp_status merge_within(state *into, const state *from)
{
    if (!state_holds(into) || !state_holds(from) || into->k != from->k || into->token != from->token ||
        !forms_agree(into, from)) {
        return LP_ERR_STATE;
    }
    coverage own = state_coverage(into), all;
    const coverage other = state_coverage(from);
    lp_status status = join_ranges(&all, &own, &other);
    if (status != LP_OK) {
        return status;
    }
    if (own.slots > 0) { /* what the last slot has not reached yet is not part of the state until now */
        size_t filled = state_used(into, &own) - slots_at(into->k) - (own.slots - 1) * LP_BLOCK * sizeof(float);
        memset(state_slot(into, own.slots - 1) + filled, 0, LP_BLOCK * sizeof(float) - filled);
    }
    work w = {.kernel = dispatch()};
    row row_from;
    work_begin(&w, into);
    memcpy(&row_from, from->row, sizeof row_from);
    row_merge(&w.row, &row_from);
    join_tops(&w.top, from);
    join_slots(&w, into, &own, from, &other, &all);
    insert_slots(into, &own, from, &other, &all);
    memset(&into->slot_sum[all.slots], 0, (LP_STREAM_FRAGMENTS - all.slots) * sizeof *into->slot_sum);
    memcpy(into->range, all.range, sizeof all.range);
    into->ranges = (uint32_t)all.ranges;
    into->slots = (uint32_t)all.slots;
    into->first_token = into->first_token < from->first_token ? into->first_token : from->first_token;
    into->token_logit |= from->token_logit; /* one of them has it at most, the other has 0 */
    if (!(into->flags & STREAM_FORM)) {
        into->flags |= from->flags & (STREAM_FORM | STREAM_MASKED | STREAM_PLAIN);
        into->dtype = from->dtype;
        into->scale = from->scale;
        into->softcap = from->softcap;
    }
    into->flags |= STREAM_MERGED;
    work_end(&w, into);
    head_close(into);
    return LP_OK;
}

lp_status lp_stream_merge(lp_stream *into, const lp_stream *from)
{
    if (into == NULL || from == NULL) {
        return LP_ERR_ARG;
    }
    fp_state fp = fp_enter();
    lp_status status = merge_within((state *)into, (const state *)from);
    fp_leave(fp);
    return status;
}

/* ---- finish --------------------------------------------------------------------------------------------------------- */

/* a block that is not complete: what is missing is -inf */
static void finish_slot(work *w, const state *s, const coverage *c, size_t i)
{
    const unsigned char *slot = state_slot_read(s, i);
    int32_t n = 0, missing = 0;
    for (size_t r = 0; r < c->ranges; r++) {
        id_range part = range_in_block(c->range[r], c->block[i]);
        missing += part.begin < part.end ? part.begin - n : 0;
        n = part.begin < part.end ? part.end : n;
    }
    if (missing == 0) {
        work_slot(w, slot, (size_t)n, c->block[i]);
        return;
    }
    float logits[LP_BLOCK];
    for (int32_t at = 0; at < n; at++) {
        logits[at] = -INFINITY;
    }
    copy_parts((unsigned char *)logits, slot, c, c->block[i]);
    work_slot(w, (const unsigned char *)logits, (size_t)n, c->block[i]);
}

static void finish_top(topk *top, const row_result *result, float *logprob, int32_t *token)
{
    size_t n = result->status == LP_OK ? top->n : 0;
    topk_sort(top);
    for (size_t i = 0; i < top->k; i++) {
        float missing = result->status == LP_OK ? -INFINITY : row_nan();
        logprob[i] = i < n ? row_logprob(logprob[i], result->max_logit, result->log_norm) : missing;
        token[i] = i < n ? token[i] : -1;
    }
}

static int has_token(const coverage *c, int32_t token)
{
    for (size_t i = 0; i < c->ranges; i++) {
        if (token >= c->range[i].begin && token < c->range[i].end) {
            return 1;
        }
    }
    return 0;
}

static lp_status finish_within(const state *s, lp_row *out, float *top_logprob, int32_t *top_token)
{
    if (!state_holds(s)) {
        return LP_ERR_STATE;
    }
    const coverage c = state_coverage(s);
    const size_t k = (size_t)s->k, bytes = s->top_n * sizeof(float);
    work w = {.kernel = dispatch()};
    memcpy(&w.row, s->row, sizeof w.row);
    w.job.row = &w.row;
    if (k != 0 && top_token != NULL) {
        memcpy(top_logprob, state_list_read(s), bytes);
        memcpy(top_token, state_list_read(s) + k * sizeof(float), bytes);
        w.top = state_top(s, (unsigned char *)top_logprob, (unsigned char *)top_token);
        w.job.top = &w.top;
    }
    for (size_t i = 0; i < c.slots; i++) {
        finish_slot(&w, s, &c, i);
    }
    row_result result = row_finish(&w.row);
    if (w.job.top != NULL) {
        finish_top(&w.top, &result, top_logprob, top_token);
    }
    lp_row found = {
        result.logsumexp, result.entropy, result.max_logit, result.log_norm, row_nan(), result.status, 0, {0}};
    if (result.status == LP_OK && has_token(&c, s->token)) {
        found.token_logprob = row_logprob(bits_float(s->token_logit), result.max_logit, result.log_norm);
    }
    for (size_t r = 0; r < c.ranges; r++) {
        found.count += (uint64_t)(c.range[r].end - c.range[r].begin);
    }
    *out = found;
    return result.status;
}

lp_status lp_stream_finish(const lp_stream *stream, lp_row *out, float *top_logprob, int32_t *top_token)
{
    if (stream == NULL || out == NULL || (top_logprob == NULL) != (top_token == NULL)) {
        return LP_ERR_ARG;
    }
    fp_state fp = fp_enter();
    lp_status status = finish_within((const state *)stream, out, top_logprob, top_token);
    fp_leave(fp);
    return status;
}
