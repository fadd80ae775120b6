/* Stands in for store/file.c: the files beside the database, on the simulated disk. The linker takes these instead of those of
 * the library, since the program defines all of store/file.h itself. */
#include "store/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tests/sim/sim_disk.h"

#define PATH_ROOM 640

static struct sim_file *beside(const char *path, const char *suffix, bool create, struct sim_disk **d)
{
    char name[PATH_ROOM];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    *d = sim_disk_of(path);
    return *d ? sim_disk_file(*d, name, create) : NULL;
}

int file_ballast_make(const char *path)
{
    struct sim_disk *d;
    struct sim_file *f = beside(path, "-ballast", true, &d);
    if (!f)
        return -EIO;
    if (f->now_size == FILE_BALLAST_BYTES)
        return 0;
    enum sim_disk_result rc = sim_file_truncate(d, f, FILE_BALLAST_BYTES + FILE_BALLAST_MARGIN);
    if (rc == SIM_DISK_OK)
        rc = sim_file_truncate(d, f, FILE_BALLAST_BYTES);
    if (rc == SIM_DISK_OK)
        rc = sim_file_sync(d, f);
    if (rc != SIM_DISK_OK)
        (void)sim_file_delete(d, f, false);
    return rc == SIM_DISK_OK ? 0 : rc == SIM_DISK_FULL ? -ENOSPC : -EIO;
}

void file_ballast_free(const char *path)
{
    struct sim_disk *d;
    struct sim_file *f = beside(path, "-ballast", false, &d);
    if (f)
        (void)sim_file_delete(d, f, false);
}

bool file_ballast_there(const char *path)
{
    return file_size(path, "-ballast") >= 0;
}

void file_mark_damaged(const char *path)
{
    struct sim_disk *d;
    struct sim_file *f = beside(path, "-damaged", true, &d);
    if (f)
        (void)sim_file_sync(d, f);
}

bool file_marked_damaged(const char *path)
{
    return file_size(path, "-damaged") >= 0;
}

int file_set_aside(const char *path, int64_t wall_ms, char *aside, size_t aside_size)
{
    struct sim_disk *d;
    char wal[PATH_ROOM];
    snprintf(aside, aside_size, "%s.damaged-%lld", path, (long long)wall_ms);
    struct sim_file *f = beside(path, "", false, &d);
    if (!f || sim_file_rename(d, f, aside) != SIM_DISK_OK)
        return -EIO;
    f = beside(path, "-wal", false, &d);
    snprintf(wal, sizeof wal, "%s-wal", aside);
    if (f && sim_file_rename(d, f, wal) != SIM_DISK_OK)
        return -EIO;
    f = beside(path, "-damaged", false, &d);
    if (f)
        (void)sim_file_delete(d, f, true);
    return 0;
}

int file_create(const char *path, bool *created)
{
    struct sim_disk *d;
    struct sim_file *f = beside(path, "", false, &d);
    *created = !f;
    if (f)
        return 0;
    f = beside(path, "", true, &d);
    return f && sim_file_sync(d, f) == SIM_DISK_OK ? 0 : -EIO;
}

int file_witness_write(const char *path, const void *bytes, size_t n, bool sync, int64_t *changed_s)
{
    struct sim_disk *d;
    struct sim_file *f = beside(path, "-witness", true, &d);
    enum sim_disk_result rc = f ? sim_file_write(d, f, 0, bytes, n) : SIM_DISK_ERROR;
    if (rc == SIM_DISK_OK && sync)
        rc = sim_file_sync(d, f);
    *changed_s = 0; /* a simulated disk keeps no times */
    return rc == SIM_DISK_OK ? 0 : rc == SIM_DISK_FULL ? -ENOSPC : -EIO;
}

size_t file_witness_read(const char *path, void *bytes, size_t room, int64_t *changed_s)
{
    struct sim_disk *d;
    struct sim_file *f = beside(path, "-witness", false, &d);
    size_t n = !f ? 0 : f->now_size < room ? f->now_size : room;
    if (n > 0)
        memcpy(bytes, f->now, n);
    *changed_s = 0;
    return n;
}

void file_witness_drop(const char *path)
{
    struct sim_disk *d;
    struct sim_file *f = beside(path, "-witness", false, &d);
    if (f)
        (void)sim_file_delete(d, f, false);
}

int64_t file_size(const char *path, const char *suffix)
{
    struct sim_disk *d;
    struct sim_file *f = beside(path, suffix, false, &d);
    return f ? (int64_t)f->now_size : -1;
}
