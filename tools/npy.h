/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A strict reader of NumPy's .npy files, versions 1.0 to 3.0: little-endian, C order, neither short nor long. */
#ifndef LOGPROB_TOOLS_NPY_H
#define LOGPROB_TOOLS_NPY_H
#include "fault.h"
#include "mapped.h"

#include <stdbool.h>

enum { NPY_MAX_DIMS = 32 };

typedef struct npy {
    mapped file;
    const char *path;
    char descr[48]; /* as written in the header, cut if absurdly long */
    bool fortran;
    int dims;
    size_t shape[NPY_MAX_DIMS];
    size_t offset; /* of the data */
} npy;

bool npy_is(const mapped *file); /* starts with the magic string */

/* Maps `path` and parses its header. The element type and the size of the file are the caller's to check, with
 * npy_check_size, once it has decided that it wants this type and shape. */
int npy_open(const char *path, npy *out, fault *why);
/* The same for a file that is mapped already; takes the mapping over when it succeeds. */
int npy_parse(const char *path, mapped file, npy *out, fault *why);
void npy_close(npy *array);

/* C order, and exactly as many bytes of data as shape and element size say. */
int npy_check_size(const npy *array, size_t element_size, fault *why);
/* "341 x 256", "341", "scalar" */
const char *npy_shape(const npy *array, char text[], size_t size);

#endif
