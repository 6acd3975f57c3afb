/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A regular file mapped read-only, so that files larger than memory cost none. */
#ifndef LOGPROB_TOOLS_MAPPED_H
#define LOGPROB_TOOLS_MAPPED_H
#include "fault.h"

typedef struct mapped {
    const unsigned char *data; /* NULL when the file is empty */
    size_t size;
} mapped;

/* `path` must stay valid while the file is mapped: should the file shrink meanwhile, the error line names it. */
int mapped_open(const char *path, mapped *out, fault *why);
void mapped_close(mapped *file);

#endif
