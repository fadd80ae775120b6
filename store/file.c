#include "store/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int beside(char out[PATH_MAX], const char *path, const char *suffix)
{
    return snprintf(out, PATH_MAX, "%s%s", path, suffix) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* The folder of path, in out. */
static int folder_of(char out[PATH_MAX], const char *path)
{
    char copy[PATH_MAX];

    if (beside(copy, path, "") != 0)
        return -ENAMETOOLONG;
    snprintf(out, PATH_MAX, "%s", dirname(copy));
    return 0;
}

int file_sync_folder(const char *path)
{
    char folder[PATH_MAX];
    int fd, rc = folder_of(folder, path);

    if (rc != 0)
        return rc;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    rc = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

int64_t file_size(const char *path, const char *suffix)
{
    char name[PATH_MAX];
    struct stat st;

    if (beside(name, path, suffix) != 0 || stat(name, &st) != 0)
        return -1;
    return st.st_size;
}

int file_create(const char *path, bool *created)
{
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

    *created = fd >= 0;
    if (fd < 0)
        return errno == EEXIST ? 0 : -errno;
    close(fd);
    return file_sync_folder(path);
}

int file_ballast_make(const char *path)
{
    char name[PATH_MAX];
    struct stat st;
    int fd, rc;

    if (beside(name, path, "-ballast") != 0)
        return -ENAMETOOLONG;
    fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    rc = fstat(fd, &st) == 0 ? 0 : -errno;
    if (rc == 0 && (st.st_size != FILE_BALLAST_BYTES || st.st_blocks * 512 < FILE_BALLAST_BYTES)) {
        rc = -posix_fallocate(fd, 0, FILE_BALLAST_BYTES + FILE_BALLAST_MARGIN);
        if (rc == 0 && (ftruncate(fd, FILE_BALLAST_BYTES) != 0 || fsync(fd) != 0))
            rc = -errno;
    }
    close(fd);
    if (rc != 0)
        unlink(name);
    return rc;
}

void file_ballast_free(const char *path)
{
    char name[PATH_MAX];

    if (beside(name, path, "-ballast") == 0)
        unlink(name);
}

bool file_ballast_there(const char *path)
{
    return file_size(path, "-ballast") >= 0;
}

void file_mark_damaged(const char *path)
{
    char name[PATH_MAX];
    int fd =
        beside(name, path, "-damaged") == 0 ? open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600) : -1;

    if (fd < 0)
        return; /* the damage will be found again, where it was found now */
    close(fd);
    (void)!file_sync_folder(path);
}

bool file_marked_damaged(const char *path)
{
    return file_size(path, "-damaged") >= 0;
}

int file_witness_write(const char *path, const void *bytes, size_t n, bool sync, int64_t *changed_s)
{
    char name[PATH_MAX];
    struct stat st;
    ssize_t done;
    int fd, rc = 0;

    if (beside(name, path, "-witness") != 0)
        return -ENAMETOOLONG;
    fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    done = write(fd, bytes, n);
    if (done < 0 || (sync && fsync(fd) != 0) || fstat(fd, &st) != 0)
        rc = -errno;
    else if ((size_t)done < n)
        rc = -ENOSPC; /* so small a piece is cut short by nothing else */
    else
        *changed_s = st.st_ctim.tv_sec;
    close(fd);
    return rc == 0 && sync ? file_sync_folder(name) : rc;
}

size_t file_witness_read(const char *path, void *bytes, size_t room, int64_t *changed_s)
{
    char name[PATH_MAX];
    struct stat st;
    ssize_t n = -1;
    int fd;

    if (beside(name, path, "-witness") != 0 || (fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
        return 0;
    if (fstat(fd, &st) == 0) {
        *changed_s = st.st_ctim.tv_sec;
        n = read(fd, bytes, room);
    }
    close(fd);
    return n > 0 ? (size_t)n : 0;
}

void file_witness_drop(const char *path)
{
    char name[PATH_MAX];

    if (beside(name, path, "-witness") == 0)
        unlink(name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Removes the oldest of what was set aside earlier, so that at most FILE_ASIDE_MAX - 1 are left.
 * Dated names sort by age. */
static void trim_aside(const char *path)
{
    char folder[PATH_MAX], copy[PATH_MAX], prefix[NAME_MAX + 16], name[PATH_MAX * 2];
    char *found[64];
    size_t count = 0;
    struct dirent *entry;
    DIR *dir;

    if (folder_of(folder, path) != 0 || beside(copy, path, "") != 0 || !(dir = opendir(folder)))
        return;
    snprintf(prefix, sizeof(prefix), "%s.damaged-", basename(copy));
    while ((entry = readdir(dir)) && count < sizeof(found) / sizeof(found[0])) {
        size_t n = strlen(entry->d_name);

        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
            (n > 4 && strcmp(entry->d_name + n - 4, "-wal") == 0))
            continue;
        if (!(found[count] = strdup(entry->d_name)))
            break;
        count++;
    }
    closedir(dir);
    qsort(found, count, sizeof(found[0]), by_name);
    for (size_t i = 0; i < count; i++) {
        if (i + FILE_ASIDE_MAX <= count) {
            snprintf(name, sizeof(name), "%s/%s", folder, found[i]);
            unlink(name);
            snprintf(name, sizeof(name), "%s/%s-wal", folder, found[i]);
            unlink(name);
        }
        free(found[i]);
    }
}

int file_set_aside(const char *path, int64_t wall_ms, char *aside, size_t aside_size)
{
    char date[32], from[PATH_MAX], to[PATH_MAX];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    trim_aside(path);
    if (!gmtime_r(&seconds, &tm) || strftime(date, sizeof(date), "%Y%m%d-%H%M%S", &tm) == 0)
        snprintf(date, sizeof(date), "00000000-000000");
    snprintf(aside, aside_size, "%s.damaged-%s", path, date);
    /* A clock that stands still must not make us write over the one before. */
    for (int i = 2; file_size(aside, "") >= 0 && i < 1000; i++)
        snprintf(aside, aside_size, "%s.damaged-%s-%d", path, date, i);
    if (strlen(aside) + 5 > aside_size)
        return -ENAMETOOLONG;
    if (rename(path, aside) != 0)
        return -errno;
    if (beside(from, path, "-wal") != 0 || beside(to, aside, "-wal") != 0)
        return -ENAMETOOLONG;
    if (rename(from, to) != 0 && errno != ENOENT)
        return -errno; /* an old WAL must not be taken for the new file's */
    if (beside(from, path, "-damaged") == 0)
        unlink(from);
    return file_sync_folder(path);
}
