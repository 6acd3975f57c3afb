/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Buffers between two pages that nobody may touch, flush with either of them. */
#ifndef TESTS_GUARD_H
#define TESTS_GUARD_H
#include <stdbool.h>
#include <stddef.h>

typedef enum { AT_START, AT_END } guard_side;
typedef struct guarded {
    unsigned char *map, *data; /* data: bytes bytes, `gap` bytes away from the guard page of its side */
    size_t map_bytes, bytes;
    bool frozen;
} guarded;

guarded guard_new(size_t bytes, guard_side side, size_t gap);
void guard_freeze(guarded *g); /* from now on read-only: an input must never be written */
void guard_thaw(guarded *g);
void guard_free(guarded *g);
size_t guard_page(void);
#endif
