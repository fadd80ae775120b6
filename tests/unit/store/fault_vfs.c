#include "tests/unit/store/fault_vfs.h"

#include <assert.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX    16
#define SECTOR_BYTES 512

struct change { /* not synced yet */
    int64_t offset;
    int64_t n; /* -1 = cut to offset */
    uint8_t *bytes;
};

struct image {
    uint8_t *bytes;
    int64_t n, room;
};

struct disk_file {
    char path[256];
    struct image durable; /* what is certainly on the disk */
    int64_t size;
    struct change *changes;
    size_t count;
};

struct open_file {
    sqlite3_file base;
    struct disk_file *disk;
    sqlite3_file *real; /* behind this struct */
};

static struct {
    sqlite3_vfs vfs, *real;
    struct disk_file files[FILES_MAX];
    int64_t quota;
    char beside[256];
    int fail_at, die_at;
    bool met, may_come_back;
    sqlite3_mem_methods memory;
    int fail_allocation;
    bool allocation_failed;
} fault;

static void forget(struct disk_file *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->changes[i].bytes);
    free(d->changes);
    free(d->durable.bytes);
    memset(d, 0, sizeof(*d));
}

static struct disk_file *find(const char *path)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (strcmp(fault.files[i].path, path) == 0)
            return &fault.files[i];
    }
    return NULL;
}

static void note(struct disk_file *d, int64_t offset, const void *bytes, int64_t n)
{
    struct change *c;

    d->changes = realloc(d->changes, (d->count + 1) * sizeof(*c));
    c = &d->changes[d->count++];
    *c = (struct change){offset, n, n > 0 ? malloc((size_t)n) : NULL};
    if (n > 0)
        memcpy(c->bytes, bytes, (size_t)n);
}

/* Applies a piece of a change to an image. */
static void apply(struct image *image, int64_t offset, const uint8_t *bytes, int64_t n)
{
    if (n < 0)
        image->n = offset < image->n ? offset : image->n;
    if (n <= 0)
        return;
    if (offset + n > image->room) {
        image->room = 2 * (offset + n);
        image->bytes = realloc(image->bytes, (size_t)image->room);
    }
    if (offset + n > image->n) {
        memset(image->bytes + image->n, 0, (size_t)(offset + n - image->n));
        image->n = offset + n;
    }
    memcpy(image->bytes + offset, bytes, (size_t)n);
}

static void make_durable(struct disk_file *d)
{
    for (size_t i = 0; i < d->count; i++) {
        apply(&d->durable, d->changes[i].offset, d->changes[i].bytes, d->changes[i].n);
        free(d->changes[i].bytes);
    }
    d->count = 0;
}

void fault_vfs_image(const char *path, const char *to, unsigned *seed)
{
    struct disk_file *d = find(path);
    struct image image = {0};
    int fd;

    unlink(to);
    if (!d)
        return;
    apply(&image, 0, d->durable.bytes, d->durable.n);
    for (size_t i = 0; i < d->count; i++) {
        const struct change *c = &d->changes[i];

        for (int64_t at = 0; at < (c->n < 0 ? 1 : c->n); at += SECTOR_BYTES) {
            int64_t n = c->n - at < SECTOR_BYTES ? c->n - at : SECTOR_BYTES;

            if (rand_r(seed) & 1)
                apply(&image, c->offset + at, c->n < 0 ? NULL : c->bytes + at, c->n < 0 ? -1 : n);
        }
    }
    fd = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert(fd >= 0 && write(fd, image.bytes, (size_t)image.n) == image.n);
    close(fd);
    free(image.bytes);
}

/* One operation that could go wrong. */
static bool goes_wrong(void)
{
    if (fault.die_at > 0 && --fault.die_at == 0)
        fault.die_at = -1;
    if (fault.die_at < 0)
        return fault.met = true;
    if (fault.fail_at > 0 && --fault.fail_at == 0)
        return fault.met = true;
    return false;
}

static int64_t used(void)
{
    struct stat st;
    int64_t sum = fault.beside[0] && stat(fault.beside, &st) == 0 ? st.st_size : 0;

    for (int i = 0; i < FILES_MAX; i++)
        sum += fault.files[i].path[0] ? fault.files[i].size : 0;
    return sum;
}

static struct open_file *of(sqlite3_file *file)
{
    return (struct open_file *)file;
}

static int on_close(sqlite3_file *file)
{
    return of(file)->real->pMethods->xClose(of(file)->real);
}

static int on_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 offset)
{
    return of(file)->real->pMethods->xRead(of(file)->real, bytes, n, offset);
}

static int on_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 offset)
{
    struct open_file *f = of(file);
    int64_t grows = f->disk && offset + n > f->disk->size ? offset + n - f->disk->size : 0;
    int rc;

    if (goes_wrong())
        return SQLITE_IOERR_WRITE;
    if (fault.quota > 0 && grows > 0 && used() + grows > fault.quota) {
        fault.met = true;
        return SQLITE_FULL;
    }
    rc = f->real->pMethods->xWrite(f->real, bytes, n, offset);
    if (rc == SQLITE_OK && f->disk) {
        note(f->disk, offset, bytes, n);
        f->disk->size += grows;
    }
    return rc;
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct open_file *f = of(file);
    int rc;

    if (goes_wrong())
        return SQLITE_IOERR_TRUNCATE;
    rc = f->real->pMethods->xTruncate(f->real, size);
    if (rc == SQLITE_OK && f->disk) {
        note(f->disk, size, NULL, -1);
        f->disk->size = size;
    }
    return rc;
}

static int on_sync(sqlite3_file *file, int flags)
{
    if (goes_wrong())
        return SQLITE_IOERR_FSYNC;
    if (of(file)->disk)
        make_durable(of(file)->disk);
    return SQLITE_OK; /* what is on the real disk does not matter: images are made from what is
                         noted */
}

static int on_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return of(file)->real->pMethods->xFileSize(of(file)->real, size);
}

static int on_lock(sqlite3_file *file, int level)
{
    return of(file)->real->pMethods->xLock(of(file)->real, level);
}

static int on_unlock(sqlite3_file *file, int level)
{
    return of(file)->real->pMethods->xUnlock(of(file)->real, level);
}

static int on_check_lock(sqlite3_file *file, int *out)
{
    return of(file)->real->pMethods->xCheckReservedLock(of(file)->real, out);
}

static int on_control(sqlite3_file *file, int op, void *arg)
{
    return of(file)->real->pMethods->xFileControl(of(file)->real, op, arg);
}

static int on_sector(sqlite3_file *file)
{
    return SECTOR_BYTES;
}

static int on_character(sqlite3_file *file)
{
    return 0; /* nothing is promised: neither atomic nor in order */
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, /* no shared memory: locking_mode=EXCLUSIVE needs none */
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = on_sector,
    .xDeviceCharacteristics = on_character,
};

static int on_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                   int *out_flags)
{
    struct open_file *f = of(file);
    sqlite3_int64 size = 0;
    int rc;

    memset(f, 0, sizeof(*f));
    f->real = (sqlite3_file *)(f + 1);
    if ((rc = fault.real->xOpen(fault.real, path, f->real, flags, out_flags)) != SQLITE_OK)
        return rc;
    f->base.pMethods = &methods;
    if (!path || !(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)))
        return SQLITE_OK;
    f->disk = find(path);
    if (!f->disk) {
        f->disk = find("");
        assert(f->disk && strlen(path) < sizeof(f->disk->path));
        strcpy(f->disk->path, path);
        f->real->pMethods->xFileSize(f->real, &size);
        f->disk->size = f->disk->durable.n = f->disk->durable.room = size;
        f->disk->durable.bytes = malloc((size_t)size + 1);
        if (size > 0 &&
            f->real->pMethods->xRead(f->real, f->disk->durable.bytes, (int)size, 0) != SQLITE_OK)
            abort();
    }
    return SQLITE_OK;
}

static int on_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    struct disk_file *d = find(path);

    if (goes_wrong())
        return SQLITE_IOERR_DELETE;
    if (d)
        forget(d);
    size_t n = strlen(path);
    if (!sync && n > 8 && strcmp(path + n - 8, "-journal") == 0)
        fault.may_come_back = true;
    return fault.real->xDelete(fault.real, path, sync);
}

void fault_vfs_install(void)
{
    fault.real = sqlite3_vfs_find(NULL);
    fault.vfs = *fault.real; /* what is not ours goes to the real one's functions, which use
                                pAppData alone */
    fault.vfs.zName = "fault";
    fault.vfs.pNext = NULL;
    fault.vfs.szOsFile = (int)sizeof(struct open_file) + fault.real->szOsFile;
    fault.vfs.xOpen = on_open;
    fault.vfs.xDelete = on_delete;
    sqlite3_vfs_register(&fault.vfs, 1);
}

void fault_vfs_reset(void)
{
    for (int i = 0; i < FILES_MAX; i++)
        forget(&fault.files[i]);
    fault.quota = 0;
    fault.fail_at = fault.die_at = fault.fail_allocation = 0;
    fault.met = fault.allocation_failed = fault.may_come_back = false;
}

bool fault_vfs_journal_may_come_back(void)
{
    return fault.may_come_back;
}

void fault_vfs_quota(int64_t bytes, const char *beside)
{
    fault.quota = bytes;
    snprintf(fault.beside, sizeof(fault.beside), "%s", beside ? beside : "");
}

void fault_vfs_fail_at(int n)
{
    fault.fail_at = n;
    fault.met = false;
}

void fault_vfs_die_at(int n)
{
    fault.die_at = n;
    fault.met = false;
}

bool fault_vfs_met(void)
{
    return fault.met;
}

/* ---- memory ---- */

static bool allocation_fails(void)
{
    if (fault.fail_allocation > 0 && --fault.fail_allocation == 0)
        return fault.allocation_failed = true;
    return false;
}

static void *on_malloc(int n)
{
    return allocation_fails() ? NULL : fault.memory.xMalloc(n);
}

static void *on_realloc(void *old, int n)
{
    return allocation_fails() ? NULL : fault.memory.xRealloc(old, n);
}

void fault_vfs_install_memory(void)
{
    sqlite3_mem_methods ours;

    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &fault.memory);
    ours = fault.memory;
    ours.xMalloc = on_malloc;
    ours.xRealloc = on_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &ours);
}

void fault_vfs_fail_allocation(int n)
{
    fault.fail_allocation = n;
    fault.allocation_failed = false;
}

bool fault_vfs_allocation_failed(void)
{
    return fault.allocation_failed;
}
