/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fuzz target: sequences of stream operations on parts of one row, each on an ISA of its own, against a model that knows which
 * ids each stream has, and lp_score over these ids. Damaged and forged states may answer anything, but touch nothing outside. */
#include "input.h"
#include "stream_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS = 4, MAX_OPERATIONS = 64, GARBAGE = 0x5a };

/* What a stream should be. Damaged ones are not compared until they begin anew. */
typedef struct model {
    unsigned char *memory; /* of exactly the state's size, at an odd address */
    unsigned char *has;    /* [vocab] */
    size_t next, k;
    int32_t token;
    bool merged, formed, damaged;
} model;

typedef struct machine {
    drawn row;
    size_t vocab, k;
    int32_t token;
    model stream[STREAMS];
} machine;

static lp_stream *state_of(const model *m)
{
    return (lp_stream *)(void *)(m->memory + 1);
}

static size_t bytes_of(const model *m)
{
    return lp_stream_size(m->k);
}

static unsigned char *new_memory(const model *m)
{
    unsigned char *memory = room(1 + bytes_of(m));
    memset(memory, GARBAGE, 1 + bytes_of(m));
    return memory;
}

static void begin(machine *all, model *m, input *in)
{
    const size_t other = take_byte(in);
    free(m->memory);
    m->k = other == 255 ? all->k + 1 : all->k;
    m->token = other == 254 ? 0 : all->token;
    m->next = take_below(in, all->vocab < 65536 ? all->vocab : 65536);
    m->merged = m->formed = m->damaged = false;
    if (take_byte(in) % 2) {
        m->next -= m->next % LP_BLOCK;
    }
    m->memory = new_memory(m);
    memset(m->has, 0, all->vocab);
    expect(lp_stream_init(state_of(m), bytes_of(m) - 1, m->k, (int32_t)m->next, m->token) == LP_ERR_SPACE,
           "too little memory", "lp_stream_init");
    expect(lp_stream_init(state_of(m), bytes_of(m), m->k, (int32_t)m->next, m->token) == LP_OK, "begins",
           "lp_stream_init");
}

/* ---- push --------------------------------------------------------------------------------------------------------- */

/* The mask's bits moved to where the chunk begins; what lies behind its end must not matter. */
static uint32_t *mask_from(const drawn *whole, size_t begin, size_t n)
{
    const size_t words = (n + 31) / 32;
    uint32_t *mask = room(words * 4);
    memset(mask, 0xff, words * 4);
    for (size_t i = 0; i < n; i++) {
        if (!is_allowed(whole, 0, begin + i)) {
            mask[i / 32] &= ~((uint32_t)1 << i % 32);
        }
    }
    return mask;
}

/* Ids n from m->next on, in memory of their own. */
static lp_status push_part(const machine *all, model *m, size_t n, float softcap)
{
    const size_t size = element_size(all->row.in.dtype), gap = m->next % 4;
    unsigned char *data = room(gap + n * size);
    memcpy(data + gap, all->row.memory + all->row.offset + m->next * size, n * size);
    lp_logits chunk = all->row.in;
    chunk.data = data + gap;
    chunk.vocab = n;
    chunk.stride = chunk.allowed_stride = 0;
    chunk.softcap = softcap;
    uint32_t *mask = all->row.allowed ? mask_from(&all->row, m->next, n) : NULL;
    chunk.allowed = mask;
    const lp_status status = lp_stream_push(state_of(m), &chunk);
    free(mask);
    free(data);
    return status;
}

static void push(machine *all, model *m, input *in)
{
    size_t n = take_size(in);
    const bool repeated = take_byte(in) % 8 == 1;
    for (size_t times = repeated ? 20 : 1; times > 0; times--) {
        n = n < all->vocab - m->next ? n : all->vocab - m->next;
        const lp_status status = push_part(all, m, n, all->row.in.softcap);
        if (m->damaged) {
            continue; /* its head says where ids go on, so nothing is known about it */
        }
        expect(status == (m->merged ? LP_ERR_STATE : LP_OK) || (n == 0 && status == LP_OK), "status", "lp_stream_push");
        if (status == LP_OK) {
            memset(m->has + m->next, 1, n);
            m->next += n;
            m->formed |= n > 0;
        }
    }
}

/* A chunk that was made otherwise than the first one. */
static void push_other_form(machine *all, model *m)
{
    if (m->damaged || m->merged || !m->formed || m->next == all->vocab) {
        return;
    }
    const float other = all->row.in.softcap == 7 ? 8 : 7;
    expect(push_part(all, m, 1, other) == LP_ERR_ARG, "another form is refused", "lp_stream_push");
}

/* ---- merge -------------------------------------------------------------------------------------------------------- */

/* What a state of these ids needs: ranges, and blocks that are there in part. */
static bool fits(const unsigned char *has, size_t vocab)
{
    size_t ranges = 0, blocks = 0;
    for (size_t first = 0; first < vocab; first += LP_BLOCK) {
        const size_t end = first + LP_BLOCK < vocab ? first + LP_BLOCK : vocab;
        size_t here = 0;
        for (size_t id = first; id < end; id++) {
            here += has[id];
            ranges += has[id] && (id == 0 || !has[id - 1]);
        }
        blocks += here != 0 && here != LP_BLOCK;
    }
    return ranges <= LP_STREAM_RANGES && blocks <= LP_STREAM_FRAGMENTS;
}

static lp_status merge_status(const machine *all, const model *a, const model *b, unsigned char *both)
{
    if (a->k != b->k || a->token != b->token) {
        return LP_ERR_STATE;
    }
    for (size_t id = 0; id < all->vocab; id++) {
        if (a->has[id] && b->has[id]) {
            return LP_ERR_STATE;
        }
        both[id] = a->has[id] | b->has[id];
    }
    return fits(both, all->vocab) ? LP_OK : LP_ERR_SPACE;
}

static void merge(machine *all, model *into, const model *from)
{
    if (into->damaged || from->damaged) {
        into->damaged |= lp_stream_merge(state_of(into), state_of(from)) == LP_OK;
        return;
    }
    unsigned char *both = room(all->vocab), *before = room(bytes_of(into)), *other = room(bytes_of(from));
    memcpy(before, state_of(into), bytes_of(into));
    memcpy(other, state_of(from), bytes_of(from));
    const lp_status want = merge_status(all, into, from, both), got = lp_stream_merge(state_of(into), state_of(from));
    expect(got == want, "status", "lp_stream_merge");
    expect(into == from || memcmp(other, state_of(from), bytes_of(from)) == 0, "`from` stays", "lp_stream_merge");
    if (got == LP_OK) {
        memcpy(into->has, both, all->vocab);
        into->merged = true;
        into->formed |= from->formed;
    } else {
        expect(memcmp(before, state_of(into), bytes_of(into)) == 0, "`into` is untouched", "lp_stream_merge");
    }
    free(other);
    free(before);
    free(both);
}

/* ---- finish ------------------------------------------------------------------------------------------------------- */

typedef struct answer {
    lp_row row;
    float *logprob;
    int32_t *token;
} answer;

static answer answer_new(size_t k)
{
    const answer a = {.logprob = room(k * 4), .token = room(k * 4)};
    return a;
}

static void answer_free(answer *a)
{
    free(a->logprob);
    free(a->token);
}

/* lp_score over the whole row, of which only those ids count that the stream has. */
static void one_shot(const machine *all, const model *m, answer *a)
{
    const size_t words = (all->vocab + 31) / 32;
    uint32_t *allowed = room(words * 4);
    memset(allowed, 0, words * 4);
    uint64_t count = 0;
    for (size_t id = 0; id < all->vocab; id++) {
        allowed[id / 32] |= (uint32_t)(m->has[id] && is_allowed(&all->row, 0, id)) << id % 32;
        count += m->has[id];
    }
    const bool pushed = m->token >= 0 && (size_t)m->token < all->vocab && m->has[m->token];
    const int32_t token = pushed ? m->token : -1;
    lp_logits in = all->row.in;
    in.allowed = allowed;
    in.allowed_stride = 0;
    a->row = (lp_row){.count = count};
    const lp_scores out = {.logsumexp = &a->row.logsumexp,
                           .entropy = &a->row.entropy,
                           .max_logit = &a->row.max_logit,
                           .log_norm = &a->row.log_norm,
                           .token_logprob = &a->row.token_logprob,
                           .top_logprob = a->logprob,
                           .top_token = a->token,
                           .status = &a->row.status};
    lp_score(&in, &token, m->k, &out);
    free(allowed);
}

static void finish(const machine *all, const model *m, bool with_top)
{
    answer got = answer_new(m->k), want = answer_new(m->k);
    memset(&got.row, GARBAGE, sizeof got.row);
    const lp_status status =
        lp_stream_finish(state_of(m), &got.row, with_top ? got.logprob : NULL, with_top ? got.token : NULL);
    if (!m->damaged) {
        one_shot(all, m, &want);
        expect(status == got.row.status, "the status is the row's", "lp_stream_finish");
        expect(memcmp(&got.row, &want.row, sizeof got.row) == 0, "the bits of lp_score", "lp_stream_finish");
        expect(!with_top ||
                   (memcmp(got.logprob, want.logprob, m->k * 4) == 0 && memcmp(got.token, want.token, m->k * 4) == 0),
               "lp_score's list", "lp_stream_finish");
    }
    answer_free(&got);
    answer_free(&want);
}

/* ---- bytes -------------------------------------------------------------------------------------------------------- */

static void check(const model *m)
{
    const lp_status status = lp_stream_check(state_of(m), bytes_of(m));
    const size_t used = lp_stream_used(state_of(m));
    expect(used <= bytes_of(m), "no more is in use than there is", "lp_stream_used");
    expect(m->damaged || (status == LP_OK && used >= sizeof(state)), "a good state", "lp_stream_check");
}

/* Sent: the bytes in use, into memory that held something else. */
static void copy(model *m)
{
    unsigned char *memory = new_memory(m);
    const size_t used = lp_stream_used(state_of(m));
    memcpy(memory + 1, state_of(m), m->damaged ? bytes_of(m) : used);
    free(m->memory);
    m->memory = memory;
    expect(m->damaged || lp_stream_check(state_of(m), bytes_of(m)) == LP_OK, "a copy is as good", "lp_stream_check");
}

/* One byte in use is changed: everybody who looks at everything sees it. */
static void damage(model *m, input *in)
{
    const size_t used = lp_stream_used(state_of(m)), at = take_word(in) % (used > 0 ? used : 1);
    const uint8_t change = (uint8_t)(1 + take_byte(in) % 255);
    if (m->damaged || used == 0) {
        return;
    }
    unsigned char *byte = (unsigned char *)state_of(m) + at;
    lp_row result;
    *byte ^= change;
    expect(lp_stream_check(state_of(m), bytes_of(m)) == LP_ERR_STATE, "damage is found", "lp_stream_check");
    expect(lp_stream_finish(state_of(m), &result, NULL, NULL) == LP_ERR_STATE, "damage is found", "lp_stream_finish");
    expect(lp_stream_merge(state_of(m), state_of(m)) == LP_ERR_STATE, "damage is found", "lp_stream_merge");
    if (take_byte(in) % 2) {
        *byte ^= change;
    } else {
        m->damaged = true;
    }
}

/* All sums made to fit whatever the head says, as far as the memory goes. */
static void forge_sums(const model *m)
{
    state *s = (state *)(void *)state_of(m);
    s->top_n = s->top_n <= m->k ? s->top_n : (uint32_t)m->k;
    s->row_sum = row_sum(s);
    s->top_sum = s->k == m->k ? top_sum(s) : 0;
    s->slots %= LP_STREAM_FRAGMENTS + 1;
    s->ranges %= LP_STREAM_RANGES + 1;
    for (size_t i = 0; i < s->slots && s->k == m->k; i++) {
        s->slot_sum[i] = slot_part(state_slot(s, i), 0, LP_BLOCK);
    }
    head_close(s);
}

/* Words anywhere in head and list are replaced, and the sums with them: no accident makes this. A state of its size may be
 * used in spite of that, and gives nonsense at worst. */
static void forge(model *m, input *in)
{
    const size_t words = slots_at(m->k) / 4;
    for (size_t changes = 1 + take_byte(in) % 8; changes > 0; changes--) {
        const uint32_t word = take_bits(in);
        memcpy((unsigned char *)state_of(m) + take_below(in, words < 65536 ? words : 65536) * 4, &word, 4);
    }
    m->damaged = true;
    state *s = (state *)(void *)state_of(m);
    const uint32_t many = take_byte(in);
    for (size_t i = 0; many % 4 == 1 && i < LP_STREAM_RANGES; i++) {
        s->ranges = LP_STREAM_RANGES;
        s->range[i].begin = (int32_t)take_word(in);
        s->range[i].end = (int32_t)((uint32_t)s->range[i].begin + take_byte(in));
    }
    s->k = take_byte(in) % 2 ? take_bits(in) : m->k - take_byte(in) % 8;
    s->size = LP_STREAM_SIZE(s->k);
    forge_sums(m);
    lp_stream_check(state_of(m), bytes_of(m)); /* of another size: must be seen */
    s->k = m->k;
    s->size = bytes_of(m);
    forge_sums(m);
    if (many % 4 == 2) {
        put_next(s, halves(take_bits(in), take_bits(in)));
    }
    check(m);
}

static void forget(machine *all)
{
    for (size_t i = 0; i < STREAMS; i++) {
        free(all->stream[i].memory);
        free(all->stream[i].has);
    }
    drawn_free(&all->row);
}

static void select_isa(input *in)
{
    const lp_isa isa = (lp_isa)take_below(in, 4);
    lp_isa_select(lp_isa_supported(isa) ? isa : LP_ISA_SCALAR);
}

static void operate(machine *all, input *in)
{
    const uint8_t what = take_byte(in);
    model *m = &all->stream[what >> 4 & 3];
    select_isa(in);
    switch (what & 15) {
    case 6:
        push_other_form(all, m);
        break;
    case 7:
        begin(all, m, in);
        break;
    case 8:
    case 9:
    case 10:
        merge(all, m, &all->stream[what >> 6]);
        break;
    case 11:
        finish(all, m, what >> 7);
        break;
    case 12:
        check(m);
        break;
    case 13:
        copy(m);
        break;
    case 14:
        damage(m, in);
        break;
    case 15:
        forge(m, in);
        break;
    default:
        push(all, m, in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    machine all = {.vocab = 1 + take_size(&in)};
    all.k = take_byte(&in) % 64;
    all.token = (int32_t)take_below(&in, 65536) % (int32_t)(all.vocab + 40) - 20;
    all.row = drawn_new(&in, 1, all.vocab, 0);
    for (size_t i = 0; i < STREAMS; i++) {
        all.stream[i].has = room(all.vocab);
        begin(&all, &all.stream[i], &in);
    }
    for (size_t i = 0; i < MAX_OPERATIONS && in.left > 0; i++) {
        operate(&all, &in);
    }
    for (size_t i = 0; i < STREAMS; i++) {
        check(&all.stream[i]);
        finish(&all, &all.stream[i], true);
    }
    forget(&all);
    return 0;
}
