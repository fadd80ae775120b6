#include "tests/sim/sim_disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/sim_memory.h"

#define BLOCK_BYTES 4096 /* what a file takes is counted in these */

static struct sim_disk *mounted[SIM_DISKS];

void sim_disk_init(struct sim_disk *d, struct sim_rng *rng)
{
    *d = (struct sim_disk){.rng = rng_fork(rng), .capacity = SIZE_MAX};
}

static void free_files(struct sim_file *f)
{
    while (f) {
        struct sim_file *next = f->next;
        free(f->path);
        free(f->now);
        free(f->safe);
        free(f->changed);
        free(f);
        f = next;
    }
}

void sim_disk_fini(struct sim_disk *d)
{
    free_files(d->files);
    d->files = NULL;
}

void sim_disk_mount(unsigned which, struct sim_disk *d)
{
    assert(which < SIM_DISKS);
    mounted[which] = d;
}

struct sim_disk *sim_disk_of(const char *path)
{
    static const char prefix[] = "/sim-";
    if (strncmp(path, prefix, sizeof prefix - 1) != 0)
        return NULL;
    unsigned which = (unsigned)(path[sizeof prefix - 1] - '0');
    return which < SIM_DISKS ? mounted[which] : NULL;
}

struct sim_file *sim_disk_file(struct sim_disk *d, const char *path, bool create)
{
    struct sim_file *f = d->files;
    while (f && strcmp(f->path, path) != 0)
        f = f->next;
    if (f && (f->there || !create))
        return f->there ? f : NULL;
    if (!create || d->dead)
        return NULL;
    if (!f) {
        unsigned who = sim_memory_of(SIM_MEMORY_NOBODY);
        f = calloc(1, sizeof *f);
        assert(f);
        f->path = strdup(path);
        (void)sim_memory_of(who);
        assert(f->path);
        f->shrunk_to = SIZE_MAX;
        f->next = d->files;
        d->files = f;
    }
    f->there = true;
    return f;
}

size_t sim_disk_used(const struct sim_disk *d)
{
    size_t used = 0;
    for (const struct sim_file *f = d->files; f; f = f->next)
        used += (f->now_size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    return used;
}

static void reserve(struct sim_file *f, size_t size)
{
    if (size <= f->room)
        return;
    size_t room = f->room ? f->room : BLOCK_BYTES;
    while (room < size)
        room *= 2;
    unsigned who = sim_memory_of(SIM_MEMORY_NOBODY);
    f->now = realloc(f->now, room);
    f->safe = realloc(f->safe, room);
    f->changed = realloc(f->changed, room / SIM_SECTOR_BYTES);
    (void)sim_memory_of(who);
    assert(f->now && f->safe && f->changed);
    memset(f->now + f->room, 0, room - f->room);
    memset(f->safe + f->room, 0, room - f->room);
    memset(f->changed + f->room / SIM_SECTOR_BYTES, 0, (room - f->room) / SIM_SECTOR_BYTES);
    f->room = room;
}

/* Counts an operation. Return: the machine stops at this one. */
static bool last_breath(struct sim_disk *d)
{
    if (++d->operations != d->dies_at)
        return false;
    d->dead = true;
    return true;
}

static void put(struct sim_file *f, size_t offset, const void *bytes, size_t n)
{
    reserve(f, offset + n);
    memcpy(f->now + offset, bytes, n);
    if (offset + n > f->now_size)
        f->now_size = offset + n;
    size_t from = offset / SIM_SECTOR_BYTES, to = (offset + n + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES;
    memset(f->changed + from, 1, to - from);
    if (f->changed_from >= f->changed_to)
        f->changed_from = from;
    f->changed_from = from < f->changed_from ? from : f->changed_from;
    f->changed_to = to > f->changed_to ? to : f->changed_to;
}

enum sim_disk_result sim_file_write(struct sim_disk *d, struct sim_file *f, size_t offset, const void *bytes, size_t n)
{
    if (d->dead)
        return SIM_DISK_DEAD;
    if (rng_chance(&d->rng, d->error_ppm)) {
        d->errors++;
        return SIM_DISK_ERROR;
    }
    if (offset + n > f->now_size && d->capacity != SIZE_MAX &&
        sim_disk_used(d) + (offset + n - f->now_size) > d->capacity) {
        d->full++;
        return SIM_DISK_FULL;
    }
    if (last_breath(d)) {
        put(f, offset, bytes, (size_t)rng_range(&d->rng, 0, (int64_t)n));
        return SIM_DISK_DEAD;
    }
    put(f, offset, bytes, n);
    return SIM_DISK_OK;
}

static void shorten(struct sim_file *f, size_t size)
{
    memset(f->now + size, 0, f->now_size - size);
    f->now_size = size;
    if (size < f->shrunk_to)
        f->shrunk_to = size;
}

bool sim_disk_unsynced(const struct sim_disk *d, const char *suffix)
{
    for (const struct sim_file *f = d->files; f; f = f->next) {
        size_t n = strlen(f->path), k = strlen(suffix);
        if (f->there && n >= k && strcmp(f->path + n - k, suffix) == 0 && f->changed_from < f->changed_to)
            return true;
    }
    return false;
}

enum sim_disk_result sim_file_truncate(struct sim_disk *d, struct sim_file *f, size_t size)
{
    if (d->dead || last_breath(d))
        return SIM_DISK_DEAD;
    if (size > f->now_size) {
        if (d->capacity != SIZE_MAX && sim_disk_used(d) + (size - f->now_size) > d->capacity) {
            d->full++;
            return SIM_DISK_FULL;
        }
        reserve(f, size);
    }
    if (size < f->now_size)
        shorten(f, size);
    f->now_size = size;
    return SIM_DISK_OK;
}

enum sim_disk_result sim_file_sync(struct sim_disk *d, struct sim_file *f)
{
    if (d->dead || last_breath(d))
        return SIM_DISK_DEAD;
    if (rng_chance(&d->rng, d->error_ppm)) {
        d->errors++;
        return SIM_DISK_ERROR;
    }
    d->syncs++;
    bool all = f->shrunk_to != SIZE_MAX;
    size_t last = all ? f->room / SIM_SECTOR_BYTES : f->changed_to;
    for (size_t s = all ? 0 : f->changed_from; s < last; s++) {
        if (f->changed[s] || (s + 1) * SIM_SECTOR_BYTES > f->shrunk_to)
            memcpy(f->safe + s * SIM_SECTOR_BYTES, f->now + s * SIM_SECTOR_BYTES, SIM_SECTOR_BYTES);
        f->changed[s] = 0;
    }
    f->shrunk_to = SIZE_MAX;
    f->changed_from = f->changed_to = 0;
    f->safe_size = f->now_size;
    f->there_safe = f->there;
    return SIM_DISK_OK;
}

enum sim_disk_result sim_file_delete(struct sim_disk *d, struct sim_file *f, bool synced)
{
    if (d->dead || last_breath(d))
        return SIM_DISK_DEAD;
    if (f->room)
        shorten(f, 0);
    f->there = false;
    if (synced && f->room) {
        memset(f->safe, 0, f->room);
        memset(f->changed, 0, f->room / SIM_SECTOR_BYTES);
        f->shrunk_to = SIZE_MAX;
        f->safe_size = 0;
    }
    if (synced)
        f->there_safe = false;
    return SIM_DISK_OK;
}

enum sim_disk_result sim_file_rename(struct sim_disk *d, struct sim_file *f, const char *to)
{
    if (d->dead || last_breath(d))
        return SIM_DISK_DEAD;
    struct sim_file *old = sim_disk_file(d, to, false);
    if (old) {
        free(old->path);
        old->path = strdup("gone");
        old->there = old->there_safe = false;
        assert(old->path);
    }
    free(f->path);
    f->path = strdup(to);
    assert(f->path);
    return SIM_DISK_OK;
}

static void all_is_safe(struct sim_file *f)
{
    memset(f->changed, 0, f->room / SIM_SECTOR_BYTES);
    f->changed_from = f->changed_to = 0;
    memcpy(f->safe, f->now, f->room);
    f->shrunk_to = SIZE_MAX;
    f->safe_size = f->now_size;
    f->there_safe = f->there;
}

static void power_cut(struct sim_disk *d, struct sim_file *f)
{
    if (f->shrunk_to != SIZE_MAX && f->there_safe && rng_chance(&d->rng, PPM / 2)) {
        memcpy(f->now, f->safe, f->room);
        f->now_size = f->safe_size;
        f->there = true;
        all_is_safe(f);
        return;
    }
    if (f->shrunk_to < f->safe_size) {
        memset(f->safe + f->shrunk_to, 0, f->room - f->shrunk_to);
        f->safe_size = f->shrunk_to;
    }
    if (f->there && !f->there_safe)
        f->there = rng_chance(&d->rng, PPM / 2);
    size_t size = f->now_size;
    if (size > f->safe_size && rng_chance(&d->rng, PPM / 2))
        size = (size_t)rng_range(&d->rng, (int64_t)f->safe_size / SIM_SECTOR_BYTES, (int64_t)size / SIM_SECTOR_BYTES) * SIM_SECTOR_BYTES;
    if (size < f->safe_size)
        size = f->safe_size;
    if (!f->there)
        size = 0;
    for (size_t s = 0; s * SIM_SECTOR_BYTES < f->room; s++)
        if (f->changed[s] && rng_chance(&d->rng, PPM / 2))
            memcpy(f->now + s * SIM_SECTOR_BYTES, f->safe + s * SIM_SECTOR_BYTES, SIM_SECTOR_BYTES);
    memset(f->now + size, 0, f->room - size);
    f->now_size = size;
    all_is_safe(f);
}

void sim_disk_crash(struct sim_disk *d, bool cut)
{
    for (struct sim_file *f = d->files; cut && f; f = f->next)
        if (f->room)
            power_cut(d, f);
        else
            f->there = f->there_safe;
    d->life++;
    d->operations = d->dies_at = 0;
    d->dead = false;
}

void sim_disk_wipe(struct sim_disk *d)
{
    free_files(d->files);
    d->files = NULL;
}

static struct sim_file *copy_files(const struct sim_file *f)
{
    struct sim_file *first = NULL;
    for (; f; f = f->next) {
        if (!f->there)
            continue;
        struct sim_file *c = calloc(1, sizeof *c);
        assert(c);
        c->path = strdup(f->path);
        assert(c->path);
        reserve(c, f->now_size);
        memcpy(c->room ? c->now : (uint8_t *)"", f->room ? f->now : (const uint8_t *)"", f->now_size);
        if (c->room)
            memcpy(c->safe, c->now, c->room);
        c->now_size = c->safe_size = f->now_size;
        c->there = c->there_safe = true;
        c->shrunk_to = SIZE_MAX;
        c->next = first;
        first = c;
    }
    return first;
}

struct sim_file *sim_disk_copy(const struct sim_disk *d)
{
    return copy_files(d->files);
}

void sim_disk_restore(struct sim_disk *d, const struct sim_file *copy)
{
    free_files(d->files);
    d->files = copy_files(copy);
}

void sim_disk_free_copy(struct sim_file *copy)
{
    free_files(copy);
}
