/* The simulated disk as SQLite sees it. Locks mean nothing: one process a file, by construction. */
#include "tests/sim/sim_disk.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sqlite3.h>

#define PATH_ROOM 640

struct handle {
    sqlite3_file base; /* first: SQLite's view of it */
    struct sim_disk *disk;
    struct sim_file *file;
    uint64_t life;
    bool temporary;
};

static bool stale(const struct handle *h)
{
    return h->disk->dead || h->life != h->disk->life;
}

static int code(enum sim_disk_result r, int error)
{
    switch (r) {
    case SIM_DISK_OK:
        return SQLITE_OK;
    case SIM_DISK_FULL:
        return SQLITE_FULL;
    case SIM_DISK_DEAD:
    case SIM_DISK_ERROR:
        break;
    }
    return error;
}

static int file_close(sqlite3_file *f)
{
    struct handle *h = (struct handle *)f;
    if (h->temporary && !stale(h))
        (void)sim_file_delete(h->disk, h->file, true);
    return SQLITE_OK;
}

static int file_read(sqlite3_file *f, void *to, int n, sqlite3_int64 offset)
{
    struct handle *h = (struct handle *)f;
    if (stale(h))
        return SQLITE_IOERR_READ;
    size_t have = (size_t)offset < h->file->now_size ? h->file->now_size - (size_t)offset : 0;
    size_t take = have < (size_t)n ? have : (size_t)n;
    if (take)
        memcpy(to, h->file->now + offset, take);
    memset((uint8_t *)to + take, 0, (size_t)n - take);
    return take == (size_t)n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 offset)
{
    struct handle *h = (struct handle *)f;
    if (stale(h))
        return SQLITE_IOERR_WRITE;
    return code(sim_file_write(h->disk, h->file, (size_t)offset, from, (size_t)n), SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct handle *h = (struct handle *)f;
    if (stale(h))
        return SQLITE_IOERR_TRUNCATE;
    return code(sim_file_truncate(h->disk, h->file, (size_t)size), SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *f, int flags)
{
    struct handle *h = (struct handle *)f;
    (void)flags;
    if (stale(h))
        return SQLITE_IOERR_FSYNC;
    return code(sim_file_sync(h->disk, h->file), SQLITE_IOERR_FSYNC);
}

static int file_size_of(sqlite3_file *f, sqlite3_int64 *size)
{
    struct handle *h = (struct handle *)f;
    if (stale(h))
        return SQLITE_IOERR_FSTAT;
    *size = (sqlite3_int64)h->file->now_size;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *f, int how)
{
    (void)f;
    (void)how;
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *f, int *out)
{
    (void)f;
    *out = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    (void)f;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *f)
{
    (void)f;
    return SIM_SECTOR_BYTES;
}

/* As the unix VFS says of ordinary disks: bytes beside the written ones are safe when power fails. */
static int file_traits(sqlite3_file *f)
{
    (void)f;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* Version 1: no shared memory. In exclusive mode SQLite keeps the WAL's index in its own. */
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size_of,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
};

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
    struct handle *h = (struct handle *)f;
    memset(h, 0, sizeof *h);
    struct sim_disk *d = path ? sim_disk_of(path) : NULL;
    (void)vfs;
    if (!d || d->dead)
        return SQLITE_CANTOPEN;
    struct sim_file *file = sim_disk_file(d, path, flags & SQLITE_OPEN_CREATE);
    if (!file)
        return SQLITE_CANTOPEN;
    h->disk = d;
    h->file = file;
    h->life = d->life;
    h->temporary = flags & SQLITE_OPEN_DELETEONCLOSE;
    h->base.pMethods = &methods;
    if (out_flags)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    struct sim_disk *d = sim_disk_of(path);
    struct sim_file *f = d ? sim_disk_file(d, path, false) : NULL;
    (void)vfs;
    if (!f)
        return SQLITE_IOERR_DELETE_NOENT;
    return code(sim_file_delete(d, f, sync_folder), SQLITE_IOERR_DELETE);
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    struct sim_disk *d = sim_disk_of(path);
    struct sim_file *f = d ? sim_disk_file(d, path, false) : NULL;
    (void)vfs;
    /* As unix does: an empty file does not exist, for SQLite's purposes. */
    *out = f && (flags != SQLITE_ACCESS_EXISTS || f->now_size > 0);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int n, char *out)
{
    (void)vfs;
    snprintf(out, (size_t)n, "%s", path);
    return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *vfs, int n, char *out)
{
    rng_bytes(vfs->pAppData, out, (size_t)n);
    return n;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

static int vfs_time(sqlite3_vfs *vfs, double *out)
{
    (void)vfs;
    *out = 2460000.5; /* any day: nothing of ours asks SQLite for the time */
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int n, char *out)
{
    (void)vfs;
    (void)n;
    (void)out;
    return 0;
}

static struct sim_rng vfs_rng;
static sqlite3_vfs vfs_simulated = {
    .iVersion = 1,
    .szOsFile = sizeof(struct handle),
    .mxPathname = PATH_ROOM,
    .zName = "simulated",
    .pAppData = &vfs_rng,
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_path,
    .xRandomness = vfs_random,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_time,
    .xGetLastError = vfs_last_error,
};

void sim_vfs_register(struct sim_rng *rng)
{
    vfs_rng = rng_fork(rng);
    int rc = sqlite3_vfs_register(&vfs_simulated, 1);
    assert(rc == SQLITE_OK);
    (void)rc;
    sqlite3_randomness(0, NULL); /* seeded again at its next use, from the VFS */
}

void sim_vfs_unregister(void)
{
    sqlite3_vfs_unregister(&vfs_simulated);
}
