/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a fuzz target draws from the bytes of its input: numbers, and matrices of logits in any form. Bytes that have run out
 * are 0, so that every input means something. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H
#include <logprob.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct input {
    const uint8_t *at;
    size_t left;
} input;

uint8_t take_byte(input *in);
uint32_t take_word(input *in);
size_t take_below(input *in, size_t n); /* 0 < n <= 65536; one byte where that is enough */
size_t take_size(input *in);            /* of a row: small ones, those around blocks, any up to 8191 */
uint32_t take_bits(input *in);          /* of a float: any, or one that is odd */
float take_float(input *in);

/* A promise is broken: prints which, and ends the program where a debugger or the fuzzer finds it. */
_Noreturn void broken(const char *what, const char *where);
void expect(bool holds, const char *what, const char *where);
void *room(size_t bytes); /* malloc that does not fail, not even for 0 */

/* Logits in a block of memory of their own that ends where the last row ends. */
typedef struct drawn {
    lp_logits in;          /* what the functions get; an argument of it may be one that must be refused */
    lp_logits shape;       /* what is there */
    unsigned char *memory; /* of data, which starts `offset` bytes behind */
    size_t bytes, offset;
    uint32_t *allowed;
    float *temperature;
} drawn;
enum { DRAW_ROWS = 1, DRAW_INVALID = 2 }; /* more than one row; now and then an argument that must be refused */
drawn drawn_new(input *in, size_t rows, size_t vocab, int options);
void drawn_free(drawn *d);
/* Other bytes between the rows, and where the mask hides a logit: no result may feel it. */
void drawn_change_unread(drawn *d, uint8_t fill);
uint64_t drawn_hash(const drawn *d); /* of everything that is an input */
size_t element_size(lp_dtype dtype);
bool is_allowed(const drawn *d, size_t row, size_t id);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#endif
