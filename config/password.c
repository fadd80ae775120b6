#include "config/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *password_read(const char *file, size_t *n, char *err, size_t err_size)
{
    char *text = malloc(PASSWORD_MAX);
    int fd = text ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t got = fd < 0 ? -1 : read(fd, text, PASSWORD_MAX);
    if (got < 0) {
        snprintf(err, err_size, "password_file %s: %s", file, strerror(errno));
        free(text);
        text = NULL;
    } else {
        while (got > 0 && (text[got - 1] == '\n' || text[got - 1] == '\r'))
            got--;
        *n = (size_t)got;
    }
    if (fd >= 0)
        close(fd);
    return text;
}

void password_free(char *password, size_t n)
{
    if (password)
        explicit_bzero(password, n);
    free(password);
}
