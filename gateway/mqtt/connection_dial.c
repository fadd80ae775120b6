#include "gateway/mqtt/connection_dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/resolve.h"

/* A broker that is gone without a word is noticed by the kernel too, for a session without
 * keepalive: unanswered data after a minute, an idle connection after about two. */
#define TCP_USER_TIMEOUT_MS 60000
#define TCP_IDLE_S          60
#define TCP_PROBE_S         15
#define TCP_PROBES          4

struct connection_dial {
    struct event_base *base;
    const struct connection_dial_ops *ops;
    void *ctx;
    char *host; /* or NULL with a unix socket */
    char port[8];
    struct sockaddr_un unix_address;
    int64_t timeout_ms;
    struct event *timer;     /* of the name, or of an address */
    struct event *io;        /* resolver's or connecting descriptor */
    struct resolve *resolve; /* while the name is looked up */
    struct resolve_result addresses[RESOLVE_MAX_ADDRESSES];
    int address_count, address_next;
    int fd; /* while it connects; -1 */
};

void connection_dial_stop(struct connection_dial *d)
{
    event_del(d->timer);
    event_del(d->io);
    resolve_free(d->resolve);
    d->resolve = NULL;
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
}

static void fail(struct connection_dial *d, const char *why)
{
    connection_dial_stop(d);
    d->ops->failed(d->ctx, why);
}

static void arm(struct connection_dial *d)
{
    struct timeval tv = {.tv_sec = d->timeout_ms / 1000, .tv_usec = d->timeout_ms % 1000 * 1000};
    event_add(d->timer, &tv);
}

/* ---- an address ---- */

/* Best effort: a kernel without one of these still carries MQTT. */
static void set_tcp_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1}, /* the owner writes whole groups */
        {IPPROTO_TCP, TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS},
        {IPPROTO_TCP, TCP_KEEPIDLE, TCP_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, TCP_PROBE_S},
        {IPPROTO_TCP, TCP_KEEPCNT, TCP_PROBES},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        int value = options[i].value;
        setsockopt(fd, options[i].level, options[i].name, &value, sizeof(value));
    }
}

static void on_io(evutil_socket_t fd, short what, void *arg);

/* Begins to connect to one address. Return: 0 or errno. */
static int connect_to(struct connection_dial *d, const struct sockaddr *address, socklen_t len)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (address->sa_family != AF_UNIX)
        set_tcp_options(fd);
    if (connect(fd, address, len) < 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return error;
    }
    /* One that is connected already (a unix socket) is writable at once. */
    d->fd = fd;
    event_assign(d->io, d->base, fd, EV_WRITE, on_io, d);
    event_add(d->io, NULL);
    arm(d);
    return 0;
}

/* why may be in a buffer of the caller. */
void connection_dial_next(struct connection_dial *d, const char *why)
{
    connection_dial_stop(d);
    while (d->address_next < d->address_count) {
        const struct resolve_result *a = &d->addresses[d->address_next++];
        int error = connect_to(d, (const struct sockaddr *)&a->address, a->address_len);
        if (error == 0)
            return;
        why = strerror(error);
    }
    fail(d, why);
}

static void on_connecting(struct connection_dial *d)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error) {
        connection_dial_next(d, strerror(error));
        return;
    }
    int fd = d->fd;
    d->fd = -1;
    connection_dial_stop(d);
    d->ops->dialled(d->ctx, fd);
}

/* ---- the name ---- */

static void on_resolved(struct connection_dial *d)
{
    int n = resolve_take(d->resolve, d->addresses, RESOLVE_MAX_ADDRESSES);
    if (n == 0)
        return;
    if (n < 0) {
        char why[CONNECTION_DIAL_WHY_MAX];
        snprintf(why, sizeof(why), "cannot resolve %s: %s", d->host, gai_strerror(n));
        fail(d, why);
        return;
    }
    d->address_count = n;
    d->address_next = 0;
    connection_dial_next(d, "no address");
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct connection_dial *d = arg;
    if (d->resolve)
        on_resolved(d);
    else
        on_connecting(d);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct connection_dial *d = arg;
    if (d->resolve)
        fail(d, "name resolution takes too long");
    else
        connection_dial_next(d, strerror(ETIMEDOUT));
}

void connection_dial_start(struct connection_dial *d)
{
    connection_dial_stop(d);
    d->address_count = 0;
    d->address_next = 0;
    if (!d->host) {
        memcpy(&d->addresses[0].address, &d->unix_address, sizeof(d->unix_address));
        d->addresses[0].address_len = sizeof(d->unix_address);
        d->address_count = 1;
        connection_dial_next(d, "no address");
        return;
    }
    int rc = resolve_start(&d->resolve, d->host, d->port, false);
    if (rc < 0) {
        d->resolve = NULL;
        fail(d, strerror(-rc));
        return;
    }
    event_assign(d->io, d->base, resolve_fd(d->resolve), EV_READ | EV_PERSIST, on_io, d);
    event_add(d->io, NULL);
    arm(d);
}

/* ---- life ---- */

static const char unix_prefix[] = "unix:";

bool connection_dial_is_unix(const char *host)
{
    return strncmp(host, unix_prefix, strlen(unix_prefix)) == 0;
}

/* Return: NULL, or what is wrong. */
static const char *take_address(struct connection_dial *d, const char *host, uint16_t port)
{
    snprintf(d->port, sizeof(d->port), "%u", (unsigned)port);
    if (!connection_dial_is_unix(host)) {
        d->host = strdup(host);
        return d->host ? NULL : "out of memory";
    }
    const char *path = host + strlen(unix_prefix);
    if (strlen(path) >= sizeof(d->unix_address.sun_path))
        return "the path of the unix socket is too long";
    d->unix_address.sun_family = AF_UNIX;
    strcpy(d->unix_address.sun_path, path);
    return NULL;
}

struct connection_dial *connection_dial_new(struct event_base *base, const char *host, uint16_t port, int64_t timeout_ms,
                                            const struct connection_dial_ops *ops, void *ctx, const char **wrong)
{
    struct connection_dial *d = calloc(1, sizeof(*d));
    *wrong = "out of memory";
    if (!d)
        return NULL;
    d->base = base;
    d->ops = ops;
    d->ctx = ctx;
    d->timeout_ms = timeout_ms;
    d->fd = -1;
    d->timer = evtimer_new(base, on_timer, d);
    d->io = event_new(base, -1, 0, on_io, d);
    if (d->timer && d->io)
        *wrong = take_address(d, host, port);
    if (!*wrong)
        return d;
    connection_dial_free(d);
    return NULL;
}

void connection_dial_free(struct connection_dial *d)
{
    if (!d)
        return;
    if (d->timer && d->io)
        connection_dial_stop(d);
    if (d->timer)
        event_free(d->timer);
    if (d->io)
        event_free(d->io);
    free(d->host);
    free(d);
}
