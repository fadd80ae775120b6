#include "store/note.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include "store/db.h"
#include "store/file.h"

static int note_path(const struct store *s, const char *name, const char *suffix,
                     char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s-note-%s%s", s->path, name, suffix);
    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int write_all(int fd, const void *bytes, size_t n)
{
    ssize_t done = write(fd, bytes, n);
    if (done < 0)
        return -errno;
    if ((size_t)done < n)
        return -ENOSPC; /* so small a piece is cut short by nothing else */
    return fsync(fd) == 0 ? 0 : -errno;
}

int store_note_write(const struct store *s, const char *name, const void *bytes, size_t n)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    int fd, rc;

    if (n > STORE_NOTE_MAX_BYTES)
        return -EINVAL;
    if (note_path(s, name, "", path) != 0 || note_path(s, name, ".new", fresh) != 0)
        return -ENAMETOOLONG;
    fd = open(fresh, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    rc = write_all(fd, bytes, n);
    close(fd);
    if (rc == 0 && rename(fresh, path) != 0)
        rc = -errno;
    if (rc != 0) {
        unlink(fresh);
        return rc;
    }
    return file_sync_folder(path);
}

size_t store_note_read(const struct store *s, const char *name, uint8_t bytes[STORE_NOTE_MAX_BYTES])
{
    char path[PATH_MAX];
    int fd = note_path(s, name, "", path) == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, STORE_NOTE_MAX_BYTES);

    if (fd >= 0)
        close(fd);
    return n > 0 ? (size_t)n : 0;
}
