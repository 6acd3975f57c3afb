/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Buffers between two pages that nobody may touch, flush with either of them. */
#define _DEFAULT_SOURCE
#include "guard.h"
#include "support.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

size_t guard_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

guarded guard_new(size_t bytes, guard_side side, size_t gap)
{
    const size_t page = guard_page();
    const size_t inner = (bytes + gap + page - 1) / page * page;
    guarded g = {.map_bytes = inner + 2 * page, .bytes = bytes};
    void *map = mmap(NULL, g.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(map != MAP_FAILED, "mmap");
    g.map = map;
    if (inner > 0) {
        require(mprotect(g.map + page, inner, PROT_READ | PROT_WRITE) == 0, "mprotect");
    }
    g.data = side == AT_START ? g.map + page + gap : g.map + page + inner - gap - bytes;
    return g;
}

static void protect(guarded *g, int protection)
{
    const size_t page = guard_page();
    if (g->map_bytes > 2 * page) {
        require(mprotect(g->map + page, g->map_bytes - 2 * page, protection) == 0, "mprotect");
    }
}

void guard_freeze(guarded *g)
{
    protect(g, PROT_READ);
}

void guard_thaw(guarded *g)
{
    protect(g, PROT_READ | PROT_WRITE);
}

void guard_free(guarded *g)
{
    if (g->map) {
        munmap(g->map, g->map_bytes);
        *g = (guarded){0};
    }
}
