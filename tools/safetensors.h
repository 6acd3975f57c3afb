/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A strict reader of .safetensors files: eight bytes of length, a JSON header, the data. */
#ifndef LOGPROB_TOOLS_SAFETENSORS_H
#define LOGPROB_TOOLS_SAFETENSORS_H
#include "matrix.h"

/* Finds the tensor `name`, or the only one of two dimensions and a float type if name is NULL; fills data, rows, vocab and
 * dtype of `out`, whose file is mapped already. */
int safetensors_find(const char *path, const char *name, matrix *out, fault *why);

#endif
