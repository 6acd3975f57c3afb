/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The outputs of one call: named arrays with untouchable surroundings, compared and hashed bit by bit. */
#ifndef TESTS_RESULTS_H
#define TESTS_RESULTS_H
#include "guard.h"
#include "support.h"

enum { RESULTS_FILL = 0xa5 }; /* what an output holds before the call */
typedef enum { KIND_F32, KIND_I32, KIND_F64, KIND_U64, KIND_U16 } kind;
typedef struct region {
    const char *name;
    void *data;
    size_t count;
    kind kind;
} region;

enum { MAX_REGIONS = 32 };
typedef enum { PLACE_HEAP, PLACE_GUARD_START, PLACE_GUARD_END } placement;
typedef struct results {
    region region[MAX_REGIONS];
    size_t regions;
    placement placement;
    unsigned char *memory; /* PLACE_HEAP: all regions in one, fill bytes between them */
    size_t capacity, used;
    guarded guard[MAX_REGIONS]; /* otherwise: each between guard pages */
} results;

void results_init(results *r, placement where);
void results_free(results *r);
void results_clear(results *r); /* forgets the regions, keeps the memory */
/* Room for `count` values, filled with a pattern so that what was not written is seen. Valid until the next
 * clear. */
void *results_take(results *r, const char *name, kind kind, size_t count);

/* Fails if anything was written between the regions. */
void results_check_margins(const results *r, const place *at);
/* Fails at the first byte that differs. */
void results_expect_equal(const results *got, const results *want, const place *at);
/* FNV-1a over names and values in little-endian order, whatever the machine's. */
uint64_t results_hash(uint64_t hash, const results *r);
/* Every region but the first (the status) and drawn inputs still holds the fill pattern. */
bool results_untouched(const results *r);
size_t kind_size(kind k);
double region_value(const region *r, size_t index); /* for printing */
#endif
