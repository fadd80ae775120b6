#include "tests/sim/sim_memory.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

/* Blocks of the gateways, by address: open addressing, at most half full. */
struct block {
    uintptr_t at; /* 0 = free */
    size_t n;
    unsigned site;
};
static struct block *blocks;
static size_t room, used;
static size_t bytes_of[SIM_MEMORY_NOBODY], blocks_of[SIM_MEMORY_NOBODY];
static unsigned whose = SIM_MEMORY_NOBODY;

static size_t home(uintptr_t at)
{
    return (size_t)((at >> 4) * 0x9e3779b97f4a7c15ull >> 20) & (room - 1);
}

static void put(uintptr_t at, size_t n, unsigned site)
{
    size_t i = home(at);
    while (blocks[i].at)
        i = (i + 1) & (room - 1);
    blocks[i] = (struct block){at, n, site};
    used++;
}

static void grow(void)
{
    struct block *old = blocks;
    size_t old_room = room;
    room = room ? 2 * room : 4096;
    blocks = __real_calloc(room, sizeof *blocks);
    assert(blocks);
    used = 0;
    for (size_t i = 0; i < old_room; i++)
        if (old[i].at)
            put(old[i].at, old[i].n, old[i].site);
    __real_free(old);
}

static void *took(void *p, size_t n, unsigned site)
{
    if (!p || site == SIM_MEMORY_NOBODY)
        return p;
    if (2 * used >= room)
        grow();
    put((uintptr_t)p, n, site);
    bytes_of[site] += n;
    blocks_of[site]++;
    return p;
}

/* Return: whose it was. */
static unsigned gave(uintptr_t at)
{
    size_t i = at && room ? home(at) : 0;
    while (at && room && blocks[i].at && blocks[i].at != at)
        i = (i + 1) & (room - 1);
    if (!at || !room || !blocks[i].at)
        return SIM_MEMORY_NOBODY;
    unsigned site = blocks[i].site;
    bytes_of[site] -= blocks[i].n;
    blocks_of[site]--;
    blocks[i].at = 0;
    used--;
    /* Those behind it that the gap would hide are put in anew. */
    for (i = (i + 1) & (room - 1); blocks[i].at; i = (i + 1) & (room - 1)) {
        struct block b = blocks[i];
        blocks[i].at = 0;
        used--;
        put(b.at, b.n, b.site);
    }
    return site;
}

void *__wrap_malloc(size_t n)
{
    return took(__real_malloc(n), n, whose);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return took(__real_calloc(count, n), count * n, whose);
}

void *__wrap_realloc(void *p, size_t n)
{
    uintptr_t before = (uintptr_t)p;
    void *now = __real_realloc(p, n);
    if (!now)
        return NULL;
    unsigned site = gave(before);
    return took(now, n, before ? site : whose);
}

void __wrap_free(void *p)
{
    (void)gave((uintptr_t)p);
    __real_free(p);
}

unsigned sim_memory_of(unsigned site)
{
    unsigned before = whose;
    whose = site;
    return before;
}

size_t sim_memory_bytes(unsigned site)
{
    return bytes_of[site];
}

size_t sim_memory_blocks(unsigned site)
{
    return blocks_of[site];
}
