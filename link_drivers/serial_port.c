#include "link_drivers/serial_port.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <libserialport.h>

/* Unix98 pty slaves (Documentation/admin-guide/devices.txt). */
#define PTY_MAJOR_FIRST 136
#define PTY_MAJOR_LAST  143
/* Read-ready with nothing to read, this often in a row: a driver that hangs up without saying so.
 * Closing ends the spin. */
#define EMPTY_READS_MAX 100

void serial_port_init(struct serial_port *p)
{
    memset(p, 0, sizeof(*p));
    p->fd = -1;
}

static const char *open_error_words(int error)
{
    switch (error) {
    case ENOENT:
        return "no such device";
    case EACCES:
    case EPERM:
        return "permission denied (is the user in the group dialout?)";
    case EBUSY:
        return "in use by another program";
    case ENXIO:
    case ENODEV:
    case EIO:
        return "the device does not answer";
    default:
        return strerror(error);
    }
}

/* Opens the resolved path and makes sure that it is a tty which nobody else holds. Sets nothing on
 * it. Return: fd, or negative errno with why. */
static int open_locked(const char *path, bool *pty, char *why)
{
    struct stat st;
    if (stat(path, &st) < 0)
        goto failed;
    if (!S_ISCHR(st.st_mode)) { /* said before open(): a FIFO would open, and look like a port */
        snprintf(why, SERIAL_PORT_WHY_BYTES, "%s: not a serial port", path);
        return -ENOTTY;
    }
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        goto failed;
    int error = 0;
    if (!isatty(fd)) {
        snprintf(why, SERIAL_PORT_WHY_BYTES, "%s: not a serial port", path);
        error = -ENOTTY;
    } else if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        snprintf(why, SERIAL_PORT_WHY_BYTES, "%s: in use by another program", path);
        error = -EBUSY;
    }
    if (error) {
        close(fd);
        return error;
    }
    unsigned int number = major(st.st_rdev);
    *pty = number >= PTY_MAJOR_FIRST && number <= PTY_MAJOR_LAST;
    return fd;

failed:
    error = -errno;
    snprintf(why, SERIAL_PORT_WHY_BYTES, "%s: %s", path, open_error_words(-error));
    return error;
}

/* Opens the same port once more through libserialport. `fd` stays open meanwhile, so that DTR does
 * not drop and rise again in between; its lock is given up, since later versions of the library
 * lock as well. Return: true, and p has fd and library. */
static bool open_through_library(struct serial_port *p, int fd)
{
    struct sp_port *port = NULL;
    if (sp_get_port_by_name(p->path, &port) != SP_OK)
        return false;
    (void)flock(fd, LOCK_UN);
    int handle = -1;
    if (sp_open(port, SP_MODE_READ_WRITE) == SP_OK && sp_get_port_handle(port, &handle) == SP_OK &&
        handle >= 0) {
        p->library = port;
        p->fd = handle;
        return true;
    }
    sp_free_port(port);
    return false;
}

int serial_port_open(struct serial_port *p, const char *device, const struct tty_mode *mode,
                     char why[SERIAL_PORT_WHY_BYTES])
{
    char resolved[PATH_MAX];
    if (!realpath(device, resolved)) {
        int error = errno;
        snprintf(why, SERIAL_PORT_WHY_BYTES, "%s: %s", device, open_error_words(error));
        return -error;
    }
    if (strlen(resolved) >= sizeof(p->path)) {
        snprintf(why, SERIAL_PORT_WHY_BYTES, "the path of the device is too long");
        return -ENAMETOOLONG;
    }
    strcpy(p->path, resolved);

    int direct = open_locked(p->path, &p->pty, why);
    if (direct < 0)
        return direct;
    if (open_through_library(p, direct))
        close(direct);
    else
        p->fd = direct;
    p->empty_reads = 0;

    /* Version 0.1.1 of the library leaves all of this undone. */
    int flags = fcntl(p->fd, F_GETFL);
    (void)fcntl(p->fd, F_SETFD, FD_CLOEXEC);
    if (flags >= 0)
        (void)fcntl(p->fd, F_SETFL, flags | O_NONBLOCK);
    if (flock(p->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        snprintf(why, SERIAL_PORT_WHY_BYTES, "%s: in use by another program", p->path);
        serial_port_close(p);
        return -EBUSY;
    }
    if (!p->pty) /* on a pty it would lock out the program that lends us the other side */
        (void)ioctl(p->fd, TIOCEXCL);

    char words[SERIAL_PORT_WHY_BYTES];
    int error = tty_mode_set(p->fd, mode, words, sizeof(words));
    if (error < 0) {
        snprintf(why, SERIAL_PORT_WHY_BYTES, "%s: %s", p->path, words);
        serial_port_close(p);
    }
    return error;
}

/* The mode is left as it is: restoring a fresh tty's ECHO would have the kernel talk back to the
 * radio. */
void serial_port_close(struct serial_port *p)
{
    if (p->fd < 0)
        return;
    if (!p->pty) { /* which closes without waiting, and may have a reader yet for what was sent */
        tty_discard_output(p->fd);
        (void)ioctl(p->fd, TIOCNXCL);
    }
    if (p->library) {
        sp_close(p->library);
        sp_free_port(p->library);
    } else {
        close(p->fd);
    }
    p->fd = -1;
    p->library = NULL;
}

ssize_t serial_port_read(struct serial_port *p, uint8_t *bytes, size_t n)
{
    ssize_t got = read(p->fd, bytes, n);
    if (got > 0) {
        p->empty_reads = 0;
        return got;
    }
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (!tty_alive(p->fd) || ++p->empty_reads >= EMPTY_READS_MAX)
        return -EIO;
    return 0;
}

ssize_t serial_port_write(struct serial_port *p, const uint8_t *bytes, size_t n)
{
    ssize_t put = write(p->fd, bytes, n);
    if (put >= 0)
        return put;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}
