/* A preload shim that lends a pty what libserialport wants to see of a port before it opens it: an
 * entry in /sys/class/tty, and modem lines. So the path through the library runs on machines
 * without a serial port. Everything else goes to libc unchanged.
 *
 * LD_PRELOAD=libtty_shim.so PROGRAM */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYS_PTS      "/sys/class/tty/pts/"
#define SYS_LINK     "../../devices/platform/longwire-tty-shim/tty/ttySHIM"
#define OUTPUT_LINES (TIOCM_DTR | TIOCM_RTS)

/* glibc's own names for what a program built before 2.33 calls. */
int __lxstat(int version, const char *path, struct stat *out);
ssize_t __readlink_chk(const char *path, char *out, size_t size, size_t real_size);

/* The lines as a cable without anything at the other end shows them: the far end is ready. One
 * state for all ptys. */
static atomic_int modem_lines =
    TIOCM_LE | TIOCM_DTR | TIOCM_RTS | TIOCM_CTS | TIOCM_CAR | TIOCM_DSR;

/* libc's own function behind ours. */
static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static int is_pts_entry(const char *path)
{
    return strncmp(path, SYS_PTS, strlen(SYS_PTS)) == 0;
}

static int fill_link(struct stat *out)
{
    memset(out, 0, sizeof(*out));
    out->st_mode = S_IFLNK | 0777;
    out->st_nlink = 1;
    return 0;
}

int lstat(const char *path, struct stat *out)
{
    if (is_pts_entry(path))
        return fill_link(out);
    int (*real)(const char *, struct stat *) = (int (*)(const char *, struct stat *))next("lstat");
    return real(path, out);
}

int __lxstat(int version, const char *path, struct stat *out)
{
    if (is_pts_entry(path))
        return fill_link(out);
    int (*real)(int, const char *, struct stat *) =
        (int (*)(int, const char *, struct stat *))next("__lxstat");
    return real(version, path, out);
}

ssize_t readlink(const char *path, char *out, size_t size)
{
    if (is_pts_entry(path)) {
        size_t n = strlen(SYS_LINK) < size ? strlen(SYS_LINK) : size;
        memcpy(out, SYS_LINK, n);
        return (ssize_t)n;
    }
    ssize_t (*real)(const char *, char *, size_t) =
        (ssize_t(*)(const char *, char *, size_t))next("readlink");
    return real(path, out, size);
}

ssize_t __readlink_chk(const char *path, char *out, size_t size, size_t real_size)
{
    return readlink(path, out, size < real_size ? size : real_size);
}

/* Return: 1 when the request is about modem lines and was answered. */
static int answer_modem_lines(unsigned long request, int *arg)
{
    switch (request) {
    case TIOCMGET:
        *arg = atomic_load(&modem_lines);
        return 1;
    case TIOCMSET:
        atomic_store(&modem_lines,
                     (atomic_load(&modem_lines) & ~OUTPUT_LINES) | (*arg & OUTPUT_LINES));
        return 1;
    case TIOCMBIS:
        atomic_fetch_or(&modem_lines, *arg & OUTPUT_LINES);
        return 1;
    case TIOCMBIC:
        atomic_fetch_and(&modem_lines, ~(*arg & OUTPUT_LINES));
        return 1;
    default:
        return 0;
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    void *arg = va_arg(args, void *);
    va_end(args);
    int (*real)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))next("ioctl");
    int result = real(fd, request, arg);
    if (result < 0 && errno == ENOTTY && isatty(fd) && answer_modem_lines(request, arg)) {
        errno = 0;
        return 0;
    }
    return result;
}
