#include "tests/crash/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <jansson.h>
#include <sqlite3.h>

#define LIVE_SLOTS (1u << 17)

const char *const fault_names[FAULT_KINDS] = {"allocation", "allocation of SQLite's", "write", "sync", "read", "open", "socket call"};

static struct fault armed;
static unsigned calls, depth;
static bool met;
static void *live[LIVE_SLOTS]; /* open addressing; TOMB where one was taken out */
static size_t live_count;
#define TOMB ((void *)-1)

void fault_arm(const struct fault *f)
{
    armed = *f;
    calls = 0;
    met = false;
}

bool fault_disarm(void)
{
    armed.at = 0;
    return met;
}

bool fault_met(void)
{
    return met;
}

void fault_enter(void)
{
    depth++;
}

void fault_leave(void)
{
    depth--;
}

unsigned fault_first(void)
{
    const char *at = getenv("LONGWIRE_FAULT_AT");
    return at ? (unsigned)strtoul(at, NULL, 10) : 1;
}

unsigned fault_next(unsigned at, unsigned slow)
{
    return at + 1 + (slow && !getenv("LONGWIRE_FAULT_EVERY") ? at / slow : 0);
}

__attribute__((noinline)) void fault_strikes(void)
{
    met = true;
}

/* Does this call fail? Sets errno. */
static bool fails(enum fault_kind kind)
{
    if (depth == 0 || armed.at == 0 || armed.kind != kind)
        return false;
    calls++;
    if (calls != armed.at && !(armed.lasting && calls > armed.at))
        return false;
    fault_strikes();
    errno = kind == FAULT_ALLOC || kind == FAULT_MEMORY ? ENOMEM : armed.error;
    return true;
}

/* ---- memory of ours ---- */

static size_t slot_of(const void *p)
{
    return (size_t)(((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15ull >> 47) % LIVE_SLOTS;
}

static void *took(void *p)
{
    if (!p || depth == 0)
        return p;
    size_t i = slot_of(p);
    while (live[i] && live[i] != TOMB)
        i = (i + 1) % LIVE_SLOTS;
    live[i] = p;
    live_count++;
    return p;
}

static void gave(const void *p)
{
    if (!p)
        return;
    for (size_t i = slot_of(p); live[i]; i = (i + 1) % LIVE_SLOTS)
        if (live[i] == p) {
            live[i] = TOMB;
            live_count--;
            return;
        }
}

size_t fault_live_blocks(void)
{
    return live_count;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
int __real_posix_memalign(void **p, size_t align, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
char *__real_realpath(const char *path, char *out);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
int __wrap_posix_memalign(void **p, size_t align, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
char *__wrap_realpath(const char *path, char *out);
char *__wrap___realpath_chk(const char *path, char *out, size_t room);
int __wrap_asprintf(char **out, const char *fmt, ...);
int __wrap___asprintf_chk(char **out, int flag, const char *fmt, ...);

void *__wrap_malloc(size_t n)
{
    return fails(FAULT_ALLOC) ? NULL : took(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails(FAULT_ALLOC) ? NULL : took(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
    if (fails(FAULT_ALLOC))
        return NULL;
    gave(p);
    return took(__real_realloc(p, n));
}

void __wrap_free(void *p)
{
    gave(p);
    __real_free(p);
}

int __wrap_posix_memalign(void **p, size_t align, size_t n)
{
    if (fails(FAULT_ALLOC))
        return ENOMEM;
    int rc = __real_posix_memalign(p, align, n);
    if (rc == 0)
        took(*p);
    return rc;
}

char *__wrap_strdup(const char *s)
{
    return fails(FAULT_ALLOC) ? NULL : took(__real_strdup(s));
}

char *__wrap_strndup(const char *s, size_t n)
{
    return fails(FAULT_ALLOC) ? NULL : took(__real_strndup(s, n));
}

char *__wrap_realpath(const char *path, char *out)
{
    return fails(FAULT_ALLOC) ? NULL : out ? __real_realpath(path, out) : took(__real_realpath(path, NULL));
}

char *__wrap___realpath_chk(const char *path, char *out, size_t room)
{
    return __wrap_realpath(path, out);
}

static int print_to(char **out, const char *fmt, va_list args)
{
    int n = fails(FAULT_ALLOC) ? -1 : vasprintf(out, fmt, args);
    if (n >= 0)
        took(*out);
    return n;
}

int __wrap_asprintf(char **out, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = print_to(out, fmt, args);
    va_end(args);
    return n;
}

int __wrap___asprintf_chk(char **out, int flag, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = print_to(out, fmt, args);
    va_end(args);
    return n;
}

/* ---- files and sockets of ours ---- */

#define WRAP(kind, bad, type, name, params, args)    \
    type __real_##name params;                       \
    type __wrap_##name params;                       \
    type __wrap_##name params                        \
    {                                                \
        return fails(kind) ? (bad) : __real_##name args; \
    }

WRAP(FAULT_SYNC, -1, int, fsync, (int fd), (fd))
/* Files are of 64 bits here (meson's default): the names behind open, ftruncate and posix_fallocate say so. */
WRAP(FAULT_WRITE, -1, int, ftruncate64, (int fd, off_t n), (fd, n))
WRAP(FAULT_WRITE, armed.error, int, posix_fallocate64, (int fd, off_t at, off_t n), (fd, at, n))
WRAP(FAULT_OPEN, -1, int, rename, (const char *from, const char *to), (from, to))
WRAP(FAULT_READ, -1, ssize_t, read, (int fd, void *to, size_t n), (fd, to, n))
WRAP(FAULT_READ, -1, ssize_t, __read_chk, (int fd, void *to, size_t n, size_t room), (fd, to, n, room))
WRAP(FAULT_SOCKET, -1, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(FAULT_SOCKET, -1, int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAP(FAULT_SOCKET, -1, int, listen, (int fd, int backlog), (fd, backlog))
WRAP(FAULT_SOCKET, -1, int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags))
WRAP(FAULT_SOCKET, -1, int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAP(FAULT_SOCKET, -1, ssize_t, send, (int fd, const void *from, size_t n, int flags), (fd, from, n, flags))
WRAP(FAULT_SOCKET, -1, ssize_t, recv, (int fd, void *to, size_t n, int flags), (fd, to, n, flags))
WRAP(FAULT_SOCKET, -1, int, setsockopt, (int fd, int level, int name, const void *v, socklen_t n), (fd, level, name, v, n))
WRAP(FAULT_SOCKET, -1, int, getsockopt, (int fd, int level, int name, void *v, socklen_t *n), (fd, level, name, v, n))

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    return fails(FAULT_OPEN) ? -1 : __real_open64(path, flags, mode);
}

/* ---- SQLite: its memory ---- */

#define HEADER 16 /* keeps the alignment; holds the size */

static long long sqlite_bytes;

static void *sqlite_malloc(int n)
{
    if (fails(FAULT_MEMORY))
        return NULL;
    char *p = __real_malloc((size_t)n + HEADER);
    if (!p)
        return NULL;
    memcpy(p, &n, sizeof n);
    sqlite_bytes += n;
    return p + HEADER;
}

static int sqlite_size(void *p)
{
    int n;
    memcpy(&n, (char *)p - HEADER, sizeof n);
    return n;
}

static void sqlite_free(void *p)
{
    sqlite_bytes -= sqlite_size(p);
    __real_free((char *)p - HEADER);
}

static void *sqlite_realloc(void *p, int n)
{
    int before = sqlite_size(p);
    if (fails(FAULT_MEMORY))
        return NULL;
    char *q = __real_realloc((char *)p - HEADER, (size_t)n + HEADER);
    if (!q)
        return NULL;
    memcpy(q, &n, sizeof n);
    sqlite_bytes += n - before;
    return q + HEADER;
}

static int sqlite_roundup(int n)
{
    return (n + 7) & ~7;
}

static int sqlite_start(void *arg)
{
    return SQLITE_OK;
}

static void sqlite_stop(void *arg)
{
}

long long fault_live_sqlite_bytes(void)
{
    return sqlite_bytes;
}

/* ---- SQLite: its files. A file of ours holds the real one behind it. ---- */

struct shim {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_vfs shim_vfs;
static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct shim *)f)->real;
}

static int io_error(int code)
{
    return armed.error == ENOSPC && code != SQLITE_IOERR_READ ? SQLITE_FULL : code;
}

static int shim_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int shim_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    return fails(FAULT_READ) ? SQLITE_IOERR_READ : real_of(f)->pMethods->xRead(real_of(f), to, n, at);
}

static int shim_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
    return fails(FAULT_WRITE) ? io_error(SQLITE_IOERR_WRITE) : real_of(f)->pMethods->xWrite(real_of(f), from, n, at);
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    return fails(FAULT_WRITE) ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), n);
}

static int shim_sync(sqlite3_file *f, int flags)
{
    return fails(FAULT_SYNC) ? SQLITE_IOERR_FSYNC : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *n)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), n);
}

static int shim_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int shim_reserved(sqlite3_file *f, int *is)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), is);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int shim_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

/* Version 1: with locking_mode=EXCLUSIVE the WAL needs no shared memory. */
static const sqlite3_io_methods shim_methods = {
    1, shim_close, shim_read, shim_write, shim_truncate, shim_sync, shim_size, shim_lock, shim_unlock, shim_reserved,
    shim_control, shim_sector, shim_device, NULL, NULL, NULL, NULL, NULL, NULL,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct shim *s = (struct shim *)f;
    s->base.pMethods = NULL;
    if (fails(FAULT_OPEN))
        return SQLITE_CANTOPEN;
    s->real = (sqlite3_file *)(s + 1);
    int rc = real_vfs->xOpen(real_vfs, name, s->real, flags, out);
    s->base.pMethods = rc == SQLITE_OK ? &shim_methods : NULL;
    return rc;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    return fails(FAULT_OPEN) ? SQLITE_IOERR_DELETE : real_vfs->xDelete(real_vfs, name, sync);
}

void fault_init(void)
{
    static const sqlite3_mem_methods memory = {
        sqlite_malloc, sqlite_free, sqlite_realloc, sqlite_size, sqlite_roundup, sqlite_start, sqlite_stop, NULL,
    };
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK || sqlite3_initialize() != SQLITE_OK)
        abort();
    real_vfs = sqlite3_vfs_find(NULL);
    shim_vfs = *real_vfs;
    shim_vfs.zName = "fault";
    shim_vfs.pNext = NULL;
    shim_vfs.szOsFile = (int)sizeof(struct shim) + real_vfs->szOsFile;
    shim_vfs.xOpen = shim_open;
    shim_vfs.xDelete = shim_delete;
    if (sqlite3_vfs_register(&shim_vfs, 1) != SQLITE_OK)
        abort();
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
}
