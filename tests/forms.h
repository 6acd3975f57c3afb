/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The forms in which logits come: element types, and what is applied while they are read. One table entry
 * each. */
#ifndef TESTS_FORMS_H
#define TESTS_FORMS_H
#include "guard.h"
#include "support.h"

typedef enum { MASK_NONE, MASK_ALL, MASK_HALF, MASK_FEW } mask_kind;
typedef struct form {
    const char *name;
    lp_dtype dtype;
    float inv_temperature, softcap;
    mask_kind mask;
    bool by_row; /* a temperature for each row */
} form;
extern const form forms[];
extern const size_t form_count;

/* A matrix in one form, with its mask and temperatures, each between guard pages and read-only. What lies
 * between vocab and stride is NaN, so that reading it would show. */
typedef struct matrix {
    lp_logits in;
    guarded data, allowed, temperature;
} matrix;
/* How a matrix lies in memory: stride 0 means vocab; offset in bytes from the page's start, or before its
 * end. */
typedef struct layout {
    size_t stride, offset;
    guard_side side;
} layout;
matrix matrix_new(const form *f, const float *rows, size_t count, size_t vocab, layout where, uint64_t seed);
void matrix_free(matrix *m);
/* Row `row` of a matrix as a matrix of one row. */
lp_logits matrix_row(const lp_logits *in, size_t row);
/* The f32 row that `row` of the matrix stands for, transformed in the documented order, one element at a time. */
void plain_row(const lp_logits *in, size_t row, float *x);

size_t dtype_size(lp_dtype dtype);
void narrow(lp_dtype dtype, float x, void *to);  /* round to nearest even */
float widened(lp_dtype dtype, const void *from); /* exact */
#endif
