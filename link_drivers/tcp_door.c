#include "link_drivers/tcp_door.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
#include "link_drivers/retry.h"

#define RETRY_MAX_MS     60000
#define RESOLVE_MAX_MS   30000
#define ACCEPT_PAUSE_MS  1000 /* after EMFILE and the like, or without a place */
#define ACCEPTS_AN_EVENT 16

void tcp_door_init(struct tcp_door *d, const struct tcp_address *at, int64_t time_scale,
                   struct link_host *host, struct link_report *report,
                   const struct tcp_door_owner *owner, void *owner_ctx)
{
    memset(d, 0, sizeof(*d));
    d->state = TCP_DOOR_STOPPED;
    d->host = host;
    d->report = report;
    d->owner = owner;
    d->owner_ctx = owner_ctx;
    d->at = *at;
    d->time_scale = time_scale;
    d->deadline_ms = INT64_MAX;
}

static void watch_all(struct tcp_door *d, unsigned events)
{
    for (int i = 0; i < d->fd_count; i++)
        d->host->ops->watch(d->host, d->fds[i], events);
}

static void release(struct tcp_door *d)
{
    if (d->resolve) {
        d->host->ops->watch(d->host, resolve_fd(d->resolve), WATCH_NONE);
        resolve_free(d->resolve);
        d->resolve = NULL;
    }
    watch_all(d, WATCH_NONE);
    for (int i = 0; i < d->fd_count; i++)
        close(d->fds[i]);
    d->fd_count = 0;
    d->full = false;
}

static void fail(struct tcp_door *d, const char *why, int64_t now_ms)
{
    release(d);
    d->state = TCP_DOOR_WAITING;
    d->deadline_ms = now_ms + retry_delay_ms(++d->failures, RETRY_MAX_MS,
                                             d->host->ops->random(d->host)) /
                                  d->time_scale;
    link_report(d->report, d->host, LINK_DOWN, "listen %s:%s: %s", d->at.host, d->at.port, why);
}

/* Looked up off the loop, though it is mostly a number: it may be a name. */
static void begin(struct tcp_door *d, int64_t now_ms)
{
    int error = resolve_start(&d->resolve, d->at.host, d->at.port, true);
    if (error < 0) {
        d->resolve = NULL;
        fail(d, strerror(-error), now_ms);
        return;
    }
    d->state = TCP_DOOR_RESOLVING;
    d->deadline_ms = now_ms + RESOLVE_MAX_MS;
    d->host->ops->watch(d->host, resolve_fd(d->resolve), WATCH_READ);
}

static void on_resolved(struct tcp_door *d, int64_t now_ms)
{
    struct resolve_result addresses[RESOLVE_MAX_ADDRESSES];
    int count = resolve_take(d->resolve, addresses, RESOLVE_MAX_ADDRESSES), error = 0;
    if (count == 0)
        return;
    if (count < 0) {
        fail(d, gai_strerror(count), now_ms);
        return;
    }
    release(d);
    for (int i = 0; i < count; i++) {
        int fd = tcp_socket_listen(&addresses[i].address, addresses[i].address_len);
        if (fd >= 0)
            d->fds[d->fd_count++] = fd;
        else if (fd != -EAFNOSUPPORT || i + 1 == count)
            error = fd;
    }
    if (d->fd_count == 0) {
        fail(d, strerror(-error), now_ms);
        return;
    }
    if (error < 0)
        d->host->ops->trace(d->host, 2,
                            "not every address is listened on: address=%s:%s error=\"%s\"",
                            d->at.host, d->at.port, strerror(-error));
    d->state = TCP_DOOR_OPEN;
    d->failures = 0;
    d->deadline_ms = INT64_MAX;
    watch_all(d, WATCH_READ);
    char name[TCP_NAME_BYTES];
    tcp_socket_own_name(d->fds[0], name);
    link_report(d->report, d->host, LINK_UP, "listening on %s", name);
}

/* Where accept fails for as long as a caller waits, watching on would spin. */
static void pause_accept(struct tcp_door *d, int64_t now_ms)
{
    watch_all(d, WATCH_NONE);
    d->full = true;
    d->deadline_ms = now_ms + ACCEPT_PAUSE_MS;
}

static void accept_some(struct tcp_door *d, int listen_fd, int64_t now_ms)
{
    for (int i = 0; i < ACCEPTS_AN_EVENT && d->state == TCP_DOOR_OPEN; i++) {
        char name[TCP_NAME_BYTES];
        if (!d->owner->has_place(d->owner_ctx, now_ms)) {
            pause_accept(d, now_ms);
            return;
        }
        int fd = tcp_socket_accept(listen_fd, name);
        if (fd >= 0) {
            d->owner->take(d->owner_ctx, fd, name, now_ms);
            continue;
        }
        if (fd == -EAGAIN)
            return;
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
            d->host->ops->trace(d->host, 2, "accept pauses: error=\"%s\"", strerror(-fd));
            pause_accept(d, now_ms);
            return;
        }
        /* Anything else is an error of the connection that has just gone (accept(2)). */
    }
}

void tcp_door_start(struct tcp_door *d, int64_t now_ms)
{
    if (d->state != TCP_DOOR_STOPPED)
        return;
    d->failures = 0;
    link_report(d->report, d->host, LINK_CONNECTING, "opening %s:%s", d->at.host, d->at.port);
    begin(d, now_ms);
}

void tcp_door_stop(struct tcp_door *d)
{
    release(d);
    d->state = TCP_DOOR_STOPPED;
    d->deadline_ms = INT64_MAX;
}

void tcp_door_reset(struct tcp_door *d, const char *why, int64_t now_ms)
{
    if (d->state == TCP_DOOR_OPEN)
        fail(d, why, now_ms);
}

bool tcp_door_owns(const struct tcp_door *d, int fd)
{
    if (d->resolve && fd == resolve_fd(d->resolve))
        return true;
    for (int i = 0; i < d->fd_count; i++)
        if (fd == d->fds[i])
            return true;
    return false;
}

void tcp_door_on_fd(struct tcp_door *d, int fd, int64_t now_ms)
{
    if (d->state == TCP_DOOR_RESOLVING)
        on_resolved(d, now_ms);
    else if (d->state == TCP_DOOR_OPEN && !d->full)
        accept_some(d, fd, now_ms);
}

void tcp_door_ready(struct tcp_door *d)
{
    if (!d->full)
        return;
    d->full = false;
    d->deadline_ms = INT64_MAX;
    watch_all(d, WATCH_READ);
}

void tcp_door_on_timer(struct tcp_door *d, int64_t now_ms)
{
    if (now_ms < d->deadline_ms)
        return;
    switch (d->state) {
    case TCP_DOOR_STOPPED:
        break;
    case TCP_DOOR_WAITING:
        begin(d, now_ms);
        break;
    case TCP_DOOR_RESOLVING:
        fail(d, "the name is not resolved: no answer", now_ms);
        break;
    case TCP_DOOR_OPEN:
        tcp_door_ready(d);
        break;
    }
}
