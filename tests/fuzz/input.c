/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a fuzz target draws from the bytes of its input. */
#include "input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif

uint8_t take_byte(input *in)
{
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->at++;
}

uint32_t take_word(input *in)
{
    uint32_t word = 0;
    for (unsigned i = 0; i < 4; i++) {
        word |= (uint32_t)take_byte(in) << (8 * i);
    }
    return word;
}

size_t take_below(input *in, size_t n)
{
    uint32_t x = take_byte(in);
    if (n > 256) {
        x |= (uint32_t)take_byte(in) << 8;
    }
    return x % n;
}

size_t take_size(input *in)
{
    static const size_t edges[] = {255,
                                   256,
                                   257,
                                   1023,
                                   1024,
                                   1025,
                                   LP_BLOCK - 1,
                                   LP_BLOCK,
                                   LP_BLOCK + 1,
                                   LP_BLOCK + 31,
                                   LP_BLOCK + 33,
                                   2 * LP_BLOCK - 1,
                                   2 * LP_BLOCK,
                                   2 * LP_BLOCK + 1,
                                   3 * LP_BLOCK + 17,
                                   9 * LP_BLOCK + 5};
    const size_t what = take_byte(in);
    if (what < 200) {
        return what;
    }
    return what < 200 + COUNT(edges) ? edges[what - 200] : take_below(in, 8192);
}

/* The values at which kernels were seen to break, in f32; the other types take their upper bits. */
static const uint32_t odd_bits[] = {
    0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0xff812345,
    0x7fffffff, 0x00000001, 0x80000001, 0x007fffff, 0x00800000, 0x80800000, 0x7f7fffff, 0xff7fffff,
    0x3f800000, 0xbf800000, 0x42b17218, 0xc2ce8ed0, 0xc2aeac50, 0x7e800000, 0x33800000, 0x00ff0000,
};

uint32_t take_bits(input *in)
{
    const size_t what = take_byte(in);
    return what < COUNT(odd_bits) ? odd_bits[what] : take_word(in);
}

float take_float(input *in)
{
    const uint32_t bits = take_bits(in);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void broken(const char *what, const char *where)
{
    fprintf(stderr, "broken promise: %s (%s, isa %s)\n", what, where, lp_isa_name(lp_isa_active()));
    abort();
}

void expect(bool holds, const char *what, const char *where)
{
    if (!holds) {
        broken(what, where);
    }
}

void *room(size_t bytes)
{
    void *memory = malloc(bytes + (bytes == 0));
    if (memory == NULL) {
        broken("out of memory", "fuzz target");
    }
    return memory;
}

size_t element_size(lp_dtype dtype)
{
    return dtype == LP_F32 ? 4 : 2;
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static uint32_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 32);
}

static void put(const drawn *d, size_t index, uint32_t bits)
{
    unsigned char *to = d->memory + d->offset + index * element_size(d->shape.dtype);
    const uint16_t half = (uint16_t)(bits >> 16);
    memcpy(to, d->shape.dtype == LP_F32 ? (const void *)&bits : &half, element_size(d->shape.dtype));
}

/* A size of about 0.5 to 8, whatever the type is. */
static uint32_t moderate(lp_dtype dtype, uint32_t random)
{
    const uint32_t sign = random & 0x80000000;
    return sign | (dtype == LP_F16 ? 0x38000000 + (random & 0x0fffffff) : 0x3f000000 + (random & 0x01ffffff));
}

enum { FILL_INPUT, FILL_PALETTE, FILL_ANY, FILL_MODERATE, FILL_SLOPE, FILLS, PALETTE = 8 };

/* One row; long rows take few bytes of the input, so that a change of one byte can change every logit. */
static void fill_row(input *in, const drawn *d, size_t row)
{
    const size_t first = row * (d->shape.stride == 0 ? d->shape.vocab : d->shape.stride), how = take_below(in, FILLS);
    uint32_t palette[PALETTE];
    uint64_t state = take_word(in);
    for (size_t i = 0; i < PALETTE && how == FILL_PALETTE; i++) {
        palette[i] = take_bits(in);
    }
    for (size_t i = 0; i < d->shape.vocab; i++) {
        const uint32_t random = next(&state);
        const uint32_t slope =
            (uint32_t)state >> 31 | (0x41000000 + (uint32_t)i * 64); /* sorted but for the last bit */
        put(d, first + i,
            how == FILL_INPUT     ? (in->left > 0 ? take_word(in) : random)
            : how == FILL_PALETTE ? palette[random >> 29]
            : how == FILL_ANY     ? random
            : how == FILL_SLOPE   ? slope
                                  : moderate(d->shape.dtype, random));
    }
    const size_t patches = d->shape.vocab > 0 ? take_below(in, 6) : 0;
    for (size_t i = 0; i < patches; i++) {
        const size_t at = take_below(in, d->shape.vocab < 65536 ? d->shape.vocab : 65536);
        put(d, first + at, take_bits(in));
    }
}

static size_t stride_of(const drawn *d)
{
    return d->shape.stride == 0 ? d->shape.vocab : d->shape.stride;
}

static size_t words_of(const drawn *d)
{
    return d->shape.allowed_stride == 0 ? (d->shape.vocab + 31) / 32 : d->shape.allowed_stride;
}

/* Rows that allow everything, much, little, or nothing. */
static void draw_mask(input *in, drawn *d)
{
    const size_t needed = (d->shape.vocab + 31) / 32, how = take_below(in, 6);
    uint64_t state = take_word(in);
    if (how < 2 || d->shape.rows == 0) {
        return;
    }
    d->shape.allowed_stride = how == 2 ? needed + 3 : 0;
    const size_t words = (d->shape.rows - 1) * words_of(d) + needed;
    d->allowed = room(words * 4);
    for (size_t i = 0; i < words; i++) {
        const uint32_t a = next(&state), b = next(&state), c = next(&state) & next(&state) & next(&state);
        d->allowed[i] = how == 3 ? a | b : how == 4 ? (a & b & c) : how == 5 ? ~(uint32_t)0 : a;
    }
    if (take_byte(in) == 1) {
        memset(d->allowed, 0, needed * 4);
    }
    d->shape.allowed = d->allowed;
}

static float draw_factor(input *in)
{
    static const float some[] = {0, 0, 0, 1, 0.5F, 1.4F, 0x1p-140F, 0x1p120F, 30, 5};
    const size_t what = take_byte(in);
    if (what < 128) {
        return some[what % COUNT(some)];
    }
    const float x = take_float(in);
    return x > 0 && x <= 0x1.fffffep127F ? x : 0;
}

static void draw_transforms(input *in, drawn *d)
{
    d->shape.inv_temperature = draw_factor(in);
    d->shape.softcap = draw_factor(in);
    if (take_byte(in) % 4 == 1) {
        d->temperature = room(d->shape.rows * sizeof *d->temperature);
        for (size_t i = 0; i < d->shape.rows; i++) {
            d->temperature[i] = draw_factor(in);
        }
        d->shape.row_inv_temperature = d->temperature;
    }
}

static void make_invalid(input *in, drawn *d)
{
    switch (take_below(in, 128)) {
    case 1:
        d->in.inv_temperature = -take_float(in);
        break;
    case 2:
        d->in.softcap = -take_float(in);
        break;
    case 3:
        d->in.dtype = (lp_dtype)take_word(in);
        break;
    case 4:
        d->in.flags = take_word(in);
        break;
    case 5:
        d->in.stride = d->in.vocab / 2;
        break;
    case 6:
        d->in.reserved[take_below(in, COUNT(d->in.reserved))] = &d->in;
        break;
    case 7:
        d->in.rows = SIZE_MAX - take_word(in);
        d->in.row_inv_temperature = NULL;
        break;
    case 8:
        d->in.vocab = (size_t)INT32_MAX + 1 + take_word(in);
        d->in.stride = 0;
        break;
    case 9:
        d->in.data = NULL;
        break;
    default:
        break;
    }
}

/* Whether the arguments still describe the memory that there is, or must be refused. */
static bool is_sane(const drawn *d)
{
    const lp_logits *in = &d->in, *shape = &d->shape;
    const float t = in->inv_temperature, c = in->softcap;
    const bool refused = !(t >= 0 && t <= 0x1.fffffep127F) || !(c >= 0 && c <= 0x1.fffffep127F) || in->dtype < 0 ||
                         in->dtype > 2 || in->flags != 0 || (in->stride != 0 && in->stride < in->vocab) ||
                         in->reserved[0] || in->reserved[1] || in->reserved[2] ||
                         (in->vocab > 0 && in->rows > SIZE_MAX / 2) || in->vocab > INT32_MAX ||
                         (in->data == NULL && in->rows > 0 && in->vocab > 0);
    return refused || (in->dtype == shape->dtype && in->rows == shape->rows && in->vocab == shape->vocab &&
                       in->stride == shape->stride && in->data == shape->data);
}

drawn drawn_new(input *in, size_t rows, size_t vocab, int options)
{
    const size_t how = take_byte(in);
    drawn d = {.shape = {.rows = rows, .vocab = vocab, .dtype = (lp_dtype)(how % 3)}};
    d.shape.stride = options & DRAW_ROWS && how & 64 ? vocab + take_byte(in) : 0;
    d.offset = how & 128 ? take_below(in, 64) : 0;
    const size_t size = element_size(d.shape.dtype), last = rows == 0 ? 0 : rows - 1;
    d.bytes = rows == 0 ? 0 : d.offset + (last * stride_of(&d) + vocab) * size;
    d.memory = room(d.bytes);
    d.shape.data = d.memory + d.offset;
    draw_transforms(in, &d);
    draw_mask(in, &d);
    for (size_t row = 0; row < rows; row++) {
        fill_row(in, &d, row);
    }
    drawn_change_unread(&d, 0);
    d.in = d.shape;
    if (options & DRAW_INVALID) {
        make_invalid(in, &d);
        if (!is_sane(&d)) {
            d.in = d.shape;
        }
    }
    return d;
}

void drawn_free(drawn *d)
{
    free(d->memory);
    free(d->allowed);
    free(d->temperature);
    *d = (drawn){0};
}

bool is_allowed(const drawn *d, size_t row, size_t id)
{
    return d->allowed == NULL || (d->allowed[row * words_of(d) + id / 32] >> id % 32 & 1);
}

void drawn_change_unread(drawn *d, uint8_t fill)
{
    if (__has_feature(memory_sanitizer) || d->shape.rows == 0) {
        return; /* memory that was never written says it better */
    }
    const size_t size = element_size(d->shape.dtype), gap = (stride_of(d) - d->shape.vocab) * size;
    memset(d->memory, fill, d->offset);
    for (size_t row = 0; row + 1 < d->shape.rows; row++) {
        memset(d->memory + d->offset + (row * stride_of(d) + d->shape.vocab) * size, fill, gap);
    }
    for (size_t row = 0; row < d->shape.rows && d->allowed != NULL; row++) {
        for (size_t id = 0; id < d->shape.vocab; id++) {
            if (!is_allowed(d, row, id)) {
                memset(d->memory + d->offset + (row * stride_of(d) + id) * size, fill, size);
            }
        }
    }
}

static uint64_t hash(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * 0x100000001b3U;
    }
    return h;
}

uint64_t drawn_hash(const drawn *d)
{
    uint64_t h = 0xcbf29ce484222325U;
    if (!__has_feature(memory_sanitizer)) {
        h = hash(h, d->memory, d->bytes);
    }
    return hash(h, &d->in, sizeof d->in);
}
