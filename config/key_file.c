#include "config/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIGITS       (2 * KEY_BYTES)
#define GROUP_DIGITS 8 /* what a person copies at a time */

static const char head[] =
    "; Longwire key, made by `longwire keygen`: give it to both ends of one link and to nobody else.\n"
    "; Whoever has it can read and forge what passes between them.\n";

/* -1: no hex digit. */
static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Counts the digits of one line and, as far as there is room, puts them into key. Return: false
 * where there is anything else. */
static bool take_digits(const char *line, size_t n, uint8_t key[KEY_BYTES], size_t *digits)
{
    *digits = 0;
    for (size_t i = 0; i < n; i++) {
        int d = digit(line[i]);
        if (blank(line[i]))
            continue;
        if (d < 0)
            return false;
        if (*digits < DIGITS) {
            uint8_t *at = &key[*digits / 2];
            *at = (uint8_t)(*digits % 2 ? *at | d : d << 4);
        }
        ++*digits;
    }
    return true;
}

int key_text_parse(const char *text, size_t n, uint8_t key[KEY_BYTES], char why[KEY_WHY_BYTES])
{
    int number = 0, found = 0;
    bool zero = true;
    why[0] = '\0';
    while (n > 0 && !*why) {
        const char *end = memchr(text, '\n', n);
        size_t len = end ? (size_t)(end - text) : n, digits = 0;
        size_t skip = 0;
        number++;
        while (skip < len && blank(text[skip]))
            skip++;
        if (skip == len || text[skip] == ';' || text[skip] == '#')
            ;
        else if (found)
            snprintf(why, KEY_WHY_BYTES, "line %d: there is a key on line %d already", number,
                     found);
        else if (!take_digits(text, len, key, &digits))
            snprintf(why, KEY_WHY_BYTES, "line %d: only the digits 0-9 a-f are allowed", number);
        else if (digits != DIGITS)
            snprintf(why, KEY_WHY_BYTES, "line %d: a key has %d hex digits, here are %zu", number,
                     DIGITS, digits);
        else
            found = number;
        len += end != NULL;
        text += len;
        n -= len;
    }
    if (!*why && !found)
        snprintf(why, KEY_WHY_BYTES, "there is no key in it: one line of %d hex digits", DIGITS);
    for (size_t i = 0; i < KEY_BYTES && !*why; i++)
        zero &= key[i] == 0;
    if (!*why && zero)
        snprintf(why, KEY_WHY_BYTES, "line %d: nothing but zeros is no key", found);
    if (!*why)
        return 0;
    explicit_bzero(key, KEY_BYTES);
    return -EINVAL;
}

/* Who may read it, judged of the file that was opened. */
static int judge(const struct stat *st, uid_t also, char why[KEY_WHY_BYTES])
{
    if (!S_ISREG(st->st_mode)) {
        snprintf(why, KEY_WHY_BYTES, "is not a file");
        return -EINVAL;
    }
    if (st->st_mode & (S_IRWXG | S_IRWXO)) {
        snprintf(why, KEY_WHY_BYTES, "is open to others (mode %04o), allowed: chmod 600",
                 (unsigned)st->st_mode & 07777);
        return -EPERM;
    }
    if (st->st_uid != 0 && st->st_uid != geteuid() && (also == (uid_t)-1 || st->st_uid != also)) {
        snprintf(why, KEY_WHY_BYTES, "belongs to another user (uid %lu), who can read it",
                 (unsigned long)st->st_uid);
        return -EPERM;
    }
    if (st->st_size > KEY_FILE_MAX_BYTES) {
        snprintf(why, KEY_WHY_BYTES, "is too long for a key, allowed: %d bytes",
                 KEY_FILE_MAX_BYTES);
        return -EINVAL;
    }
    return 0;
}

int key_file_read(const char *path, uid_t also, uint8_t key[KEY_BYTES], char why[KEY_WHY_BYTES])
{
    char text[KEY_FILE_MAX_BYTES];
    struct stat st;
    size_t n = 0;
    ssize_t got = 1;
    /* Not blocking: a FIFO would keep us waiting for ever. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int rc = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    if (rc < 0)
        snprintf(why, KEY_WHY_BYTES, "cannot be read: %s", strerror(-rc));
    else
        rc = judge(&st, also, why);
    while (rc == 0 && got != 0 && n < sizeof(text)) {
        got = read(fd, text + n, sizeof(text) - n);
        if (got < 0 && errno != EINTR) {
            rc = -errno;
            snprintf(why, KEY_WHY_BYTES, "cannot be read: %s", strerror(-rc));
        }
        n += got > 0 ? (size_t)got : 0;
    }
    if (rc == 0)
        rc = key_text_parse(text, n, key, why);
    explicit_bzero(text, sizeof(text));
    if (fd >= 0)
        close(fd);
    return rc;
}

/* The name of a new file is on disk when its folder is. */
static int sync_folder(const char *path)
{
    char *copy = strdup(path);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    free(copy);
    return rc;
}

int key_file_create(const char *path, const uint8_t key[KEY_BYTES])
{
    char text[sizeof(head) + DIGITS + DIGITS / GROUP_DIGITS + 1];
    size_t n = sizeof(head) - 1;
    memcpy(text, head, n);
    for (size_t i = 0; i < KEY_BYTES; i++) {
        text[n++] = "0123456789abcdef"[key[i] >> 4];
        text[n++] = "0123456789abcdef"[key[i] & 15];
        if ((i + 1) % (GROUP_DIGITS / 2) == 0)
            text[n++] = i + 1 < KEY_BYTES ? ' ' : '\n';
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = fd < 0 ? -errno : 0;
    size_t done = 0;
    while (rc == 0 && done < n) {
        ssize_t put = write(fd, text + done, n - done);
        if (put < 0 && errno != EINTR)
            rc = -errno;
        done += put > 0 ? (size_t)put : 0;
    }
    explicit_bzero(text, sizeof(text));
    /* The umask may have taken bits, never given any. */
    if (rc == 0 && (fchmod(fd, 0600) < 0 || fsync(fd) < 0))
        rc = -errno;
    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0)
        rc = sync_folder(path);
    if (rc < 0 && fd >= 0)
        unlink(path);
    return rc;
}
