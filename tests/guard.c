/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Buffers between two pages that nobody may touch, flush with either of them. */
#define _DEFAULT_SOURCE
#include "guard.h"
#include "support.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

size_t guard_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void protect(guarded *g, int protection)
{
    const size_t page = guard_page();
    if (g->map_bytes > 2 * page) {
        require(mprotect(g->map + page, g->map_bytes - 2 * page, protection) == 0, "mprotect");
    }
    g->frozen = protection == PROT_READ;
}

void guard_freeze(guarded *g)
{
    protect(g, PROT_READ);
}

void guard_thaw(guarded *g)
{
    protect(g, PROT_READ | PROT_WRITE);
}

/* What was freed waits for the next of its size: the kernel takes longer to make one than most tests take with it. */
enum { SPARES = 64, SPARE_BYTES = 1 << 20 };
static _Thread_local guarded spare[SPARES];
static _Thread_local size_t next_spare;

static bool take_spare(guarded *g)
{
    for (size_t i = 0; i < SPARES; i++) {
        if (spare[i].map && spare[i].map_bytes == g->map_bytes) {
            g->map = spare[i].map;
            g->frozen = spare[i].frozen;
            spare[i].map = NULL;
            return true;
        }
    }
    return false;
}

guarded guard_new(size_t bytes, guard_side side, size_t gap)
{
    const size_t page = guard_page();
    const size_t inner = (bytes + gap + page - 1) / page * page;
    guarded g = {.map_bytes = inner + 2 * page, .bytes = bytes};
    if (take_spare(&g)) {
        if (g.frozen) {
            guard_thaw(&g);
        }
        memset(g.map + page, 0, inner);
    } else {
        void *map = mmap(NULL, g.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        require(map != MAP_FAILED, "mmap");
        g.map = map;
        guard_thaw(&g);
    }
    g.data = side == AT_START ? g.map + page + gap : g.map + page + inner - gap - bytes;
    return g;
}

void guard_free(guarded *g)
{
    if (g->map && g->map_bytes <= SPARE_BYTES) {
        guarded *slot = &spare[next_spare++ % SPARES];
        if (slot->map) {
            munmap(slot->map, slot->map_bytes);
        }
        *slot = *g;
    } else if (g->map) {
        munmap(g->map, g->map_bytes);
    }
    *g = (guarded){0};
}
