/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the commands compute on: a matrix of logits and a list of token ids, from files. */
#ifndef LOGPROB_TOOLS_MATRIX_H
#define LOGPROB_TOOLS_MATRIX_H
#include "fault.h"
#include "mapped.h"

#include <logprob.h>
#include <stdbool.h>

/* What the command line says about a file of logits. */
typedef struct matrix_options {
    bool has_dtype; /* --dtype was given: `dtype` is wanted, and uint16 may be read as bf16 */
    lp_dtype dtype;
    const char *tensor; /* --tensor, or NULL */
} matrix_options;

typedef struct matrix {
    mapped file;
    const unsigned char *data;
    size_t rows, vocab;
    lp_dtype dtype;
} matrix;

int matrix_open(const char *path, const matrix_options *options, matrix *out, fault *why);
void matrix_close(matrix *logits);

/* Rows that are read together: some megabytes of logits, and at least one row. */
size_t chunk_rows(const matrix *logits);

/* Rows that have no result are data; anything else that the library refuses ends the command. */
bool is_row_result(lp_status status);

size_t dtype_size(lp_dtype dtype);
const char *dtype_name(lp_dtype dtype);

/* Reads `count` ids, each within 0 .. vocab-1, from a 1-D integer .npy into memory that the caller frees. */
int tokens_read(const char *path, size_t count, size_t vocab, int32_t **out, fault *why);

#endif
