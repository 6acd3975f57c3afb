/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rows of logits of every kind that has broken such a kernel: made from integers, so the same on every
 * machine. */
#ifndef TESTS_ROWS_H
#define TESTS_ROWS_H
#include "support.h"

typedef enum { ROW_FINITE, ROW_BAD } row_outcome; /* ROW_BAD: NaN, +inf or no mass, or it may be */
typedef struct row_class {
    const char *name;
    void (*fill)(float *x, size_t n, rng *r);
    row_outcome outcome;
} row_class;
extern const row_class row_classes[];
extern const size_t row_class_count;
extern const size_t row_class_finite; /* the first so many are ROW_FINITE */
const row_class *row_class_named(const char *name);

/* Shapes of design interest: 1..70, around multiples of LP_BLOCK, and real vocabularies. */
extern const size_t small_shapes[], block_shapes[], vocab_shapes[];
extern const size_t small_shape_count, block_shape_count, vocab_shape_count;
#endif
