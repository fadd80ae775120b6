#include "gateway/daemon/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
    struct sockaddr_un at;
    socklen_t len; /* 0 = nobody listens */
} supervisor;

/* A path, or @name for the abstract namespace. */
static void set_address(const char *path)
{
    size_t n = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || n < 2 || n >= sizeof supervisor.at.sun_path)
        return;
    supervisor.at.sun_family = AF_UNIX;
    memcpy(supervisor.at.sun_path, path, n);
    if (path[0] == '@')
        supervisor.at.sun_path[0] = '\0';
    supervisor.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

/* What WATCHDOG_USEC and WATCHDOG_PID ask of this process (sd_watchdog_enabled(3)). */
static int64_t watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    char *end;
    errno = 0;
    long long us = strtoll(usec, &end, 10);
    if (errno || end == usec || *end || us <= 0)
        return 0;
    return us < 2000 ? 1 : us / 2000;
}

int64_t notify_init(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    int64_t every_ms = path ? watchdog_ms() : 0;
    if (path)
        set_address(path);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return every_ms;
}

void notify_send(const char *state)
{
    if (!supervisor.len)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    ssize_t sent;
    do
        sent = sendto(fd, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&supervisor.at,
                      supervisor.len);
    while (sent < 0 && errno == EINTR);
    close(fd);
}
