/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The outputs of one call: named arrays with untouchable surroundings, compared and hashed bit by bit. */
#define _DEFAULT_SOURCE
#include "results.h"

#include <string.h>
#include <sys/mman.h>

enum { FILL = RESULTS_FILL, MARGIN = 64 };

void results_init(results *r, placement where)
{
    *r = (results){.placement = where};
    if (where == PLACE_HEAP) {
        r->capacity = (size_t)8 << 20; /* takes memory where it is touched; regions never move */
        void *map = mmap(NULL, r->capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        require(map != MAP_FAILED, "mmap");
        r->memory = map;
    }
}

void results_free(results *r)
{
    if (r->memory) {
        munmap(r->memory, r->capacity);
    }
    for (size_t i = 0; i < MAX_REGIONS; i++) {
        guard_free(&r->guard[i]);
    }
}

void results_clear(results *r)
{
    r->regions = 0;
    r->used = 0;
}

size_t kind_size(kind k)
{
    return k == KIND_F64 || k == KIND_U64 ? 8 : k == KIND_U16 ? 2 : 4;
}

static void *take_heap(results *r, size_t bytes)
{
    const size_t start = r->used + MARGIN;
    const size_t end = (start + bytes + 7) / 8 * 8 + MARGIN;
    require(end <= r->capacity, "room for results");
    memset(r->memory + r->used, FILL, end - r->used);
    r->used = end - MARGIN;
    return r->memory + start;
}

static void *take_guarded(results *r, size_t bytes)
{
    guarded *g = &r->guard[r->regions];
    if (g->map == NULL || g->bytes != bytes) {
        guard_free(g);
        *g = guard_new(bytes, r->placement == PLACE_GUARD_START ? AT_START : AT_END, 0);
    }
    memset(g->data, FILL, bytes);
    return g->data;
}

void *results_take(results *r, const char *name, kind k, size_t count)
{
    require(r->regions < MAX_REGIONS, "room for regions");
    const size_t bytes = count * kind_size(k);
    void *data = r->placement == PLACE_HEAP ? take_heap(r, bytes) : take_guarded(r, bytes);
    r->region[r->regions++] = (region){name, data, count, k};
    return data;
}

static bool filled(const unsigned char *from, const unsigned char *to)
{
    for (; from < to; from++) {
        if (*from != FILL) {
            return false;
        }
    }
    return true;
}

void results_check_margins(const results *r, const place *at)
{
    if (r->placement != PLACE_HEAP) {
        return;
    }
    const unsigned char *from = r->memory;
    for (size_t i = 0; i <= r->regions; i++) {
        const region *next = &r->region[i];
        const unsigned char *to = i < r->regions ? next->data : r->memory + r->used + MARGIN;
        if (!filled(from, to)) {
            fail_at(at, i, 1, 0, i < r->regions ? next->name : "written behind the last output");
        }
        if (i < r->regions) {
            from = to + next->count * kind_size(next->kind);
        }
    }
}

bool results_untouched(const results *r)
{
    for (size_t i = 1; i < r->regions; i++) {
        const unsigned char *data = r->region[i].data;
        const bool drawn = strncmp(r->region[i].name, "drawn", 5) == 0;
        if (!drawn && !filled(data, data + r->region[i].count * kind_size(r->region[i].kind))) {
            return false;
        }
    }
    return true;
}

double region_value(const region *r, size_t index)
{
    switch (r->kind) {
    case KIND_F32:
        return (double)((const float *)r->data)[index];
    case KIND_I32:
        return (double)((const int32_t *)r->data)[index];
    case KIND_F64:
        return ((const double *)r->data)[index];
    case KIND_U16:
        return (double)((const uint16_t *)r->data)[index];
    default:
        return (double)((const uint64_t *)r->data)[index];
    }
}

void results_expect_equal(const results *got, const results *want, const place *at)
{
    expect_int(at, 0, (int64_t)got->regions, (int64_t)want->regions, "number of outputs");
    for (size_t i = 0; i < got->regions; i++) {
        const region *g = &got->region[i], *w = &want->region[i];
        const size_t size = kind_size(g->kind);
        if (g->count != w->count || memcmp(g->data, w->data, g->count * size) != 0) {
            size_t at_index = 0;
            while (at_index < g->count && memcmp((const char *)g->data + at_index * size,
                                                 (const char *)w->data + at_index * size, size) == 0) {
                at_index++;
            }
            fail_at(at, at_index, region_value(g, at_index), region_value(w, at_index), g->name);
        }
    }
}

uint64_t results_hash(uint64_t hash, const results *r)
{
    for (size_t i = 0; i < r->regions; i++) {
        const region *at = &r->region[i];
        hash = hash_bytes(hash, at->name, strlen(at->name));
        hash = hash_values(hash, at->data, at->count, kind_size(at->kind));
    }
    return hash;
}
