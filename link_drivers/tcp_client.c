#include "link_drivers/tcp_client.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "link_drivers/retry.h"

void tcp_client_init(struct tcp_client *c, const struct tcp_address *to,
                     const struct tcp_tuning *tuning, struct link_host *host,
                     struct link_report *report)
{
    memset(c, 0, sizeof(*c));
    c->state = TCP_CLIENT_STOPPED;
    c->host = host;
    c->report = report;
    c->to = *to;
    c->tuning = *tuning;
    c->stream.fd = -1;
    c->connecting_fd = -1;
}

static void enter(struct tcp_client *c, enum tcp_client_state state, int64_t deadline_ms)
{
    c->state = state;
    c->deadline_ms = deadline_ms;
    c->host->ops->timer(c->host, deadline_ms);
}

/* Lets go of whatever the state holds. */
static void release(struct tcp_client *c)
{
    if (c->resolve) {
        c->host->ops->watch(c->host, resolve_fd(c->resolve), WATCH_NONE);
        resolve_free(c->resolve);
        c->resolve = NULL;
    }
    if (c->connecting_fd >= 0) {
        c->host->ops->watch(c->host, c->connecting_fd, WATCH_NONE);
        close(c->connecting_fd);
        c->connecting_fd = -1;
    }
    tcp_stream_close(&c->stream, c->host);
}

static void fail(struct tcp_client *c, const char *why, int64_t now_ms)
{
    release(c);
    int64_t delay =
        retry_delay_ms(++c->failures, TCP_CLIENT_RETRY_MAX_MS, c->host->ops->random(c->host));
    enter(c, TCP_CLIENT_WAITING, now_ms + delay);
    link_report(c->report, c->host, LINK_DOWN, "%s:%s: %s", c->to.host, c->to.port, why);
}

static void try_next_address(struct tcp_client *c, int64_t now_ms)
{
    while (c->next_address < c->address_count) {
        const struct resolve_result *a = &c->addresses[c->next_address++];
        int fd = tcp_socket_connect(&a->address, a->address_len);
        if (fd >= 0) {
            c->connecting_fd = fd;
            c->host->ops->watch(c->host, fd, WATCH_WRITE);
            enter(c, TCP_CLIENT_CONNECTING, now_ms + TCP_CLIENT_CONNECT_MAX_MS);
            return;
        }
        snprintf(c->last_error, sizeof(c->last_error), "%s", tcp_stream_why(fd));
    }
    fail(c, c->last_error, now_ms);
}

static void give_address_up(struct tcp_client *c, const char *why, int64_t now_ms)
{
    snprintf(c->last_error, sizeof(c->last_error), "%s", why);
    release(c);
    try_next_address(c, now_ms);
}

/* The name is looked up anew for each try: on a box that boots, or roams, the answer of an hour ago
 * is worth little. */
static void begin(struct tcp_client *c, int64_t now_ms)
{
    int error = resolve_start(&c->resolve, c->to.host, c->to.port, false);
    if (error < 0) {
        c->resolve = NULL;
        fail(c, strerror(-error), now_ms);
        return;
    }
    c->host->ops->watch(c->host, resolve_fd(c->resolve), WATCH_READ);
    enter(c, TCP_CLIENT_RESOLVING, now_ms + TCP_CLIENT_RESOLVE_MAX_MS);
}

static void on_resolved(struct tcp_client *c, int64_t now_ms)
{
    int count = resolve_take(c->resolve, c->addresses, RESOLVE_MAX_ADDRESSES);
    if (count == 0)
        return;
    if (count < 0) {
        fail(c, gai_strerror(count), now_ms);
        return;
    }
    release(c);
    c->address_count = count;
    c->next_address = 0;
    try_next_address(c, now_ms);
}

static void on_connected(struct tcp_client *c, int64_t now_ms)
{
    int error = tcp_socket_connected(c->connecting_fd);
    if (error == -ENOTCONN)
        return; /* a stale event, of an fd that had this number before */
    if (error < 0) {
        give_address_up(c, tcp_stream_why(error), now_ms);
        return;
    }
    const struct resolve_result *a = &c->addresses[c->next_address - 1];
    char name[TCP_NAME_BYTES];
    tcp_socket_name(&a->address, a->address_len, name);
    tcp_socket_tune(c->connecting_fd, &c->tuning);
    c->up_since_ms = now_ms;
    enter(c, TCP_CLIENT_UP, INT64_MAX);
    tcp_stream_open(&c->stream, c->connecting_fd, STATION_NONE, c->host);
    c->connecting_fd = -1;
    link_report(c->report, c->host, LINK_UP, "connected to %s", name);
}

void tcp_client_start(struct tcp_client *c, int64_t now_ms)
{
    if (c->state != TCP_CLIENT_STOPPED)
        return;
    c->failures = 0;
    link_report(c->report, c->host, LINK_CONNECTING, "connecting to %s:%s", c->to.host, c->to.port);
    begin(c, now_ms);
}

void tcp_client_stop(struct tcp_client *c, int64_t now_ms)
{
    if (c->state == TCP_CLIENT_STOPPED)
        return;
    release(c);
    enter(c, TCP_CLIENT_STOPPED, INT64_MAX);
    link_report(c->report, c->host, LINK_DOWN, "stopped");
}

void tcp_client_reset(struct tcp_client *c, const char *why, int64_t now_ms)
{
    if (c->state != TCP_CLIENT_UP)
        return;
    if (now_ms - c->up_since_ms >= RETRY_SETTLED_MS)
        c->failures = 0;
    fail(c, why, now_ms);
}

void tcp_client_on_fd(struct tcp_client *c, int fd, unsigned events, int64_t now_ms)
{
    /* Events of an fd that was closed in the same turn of the loop fall through. */
    switch (c->state) {
    case TCP_CLIENT_STOPPED:
    case TCP_CLIENT_WAITING:
        break;
    case TCP_CLIENT_RESOLVING:
        if (fd == resolve_fd(c->resolve))
            on_resolved(c, now_ms);
        break;
    case TCP_CLIENT_CONNECTING:
        if (fd == c->connecting_fd)
            on_connected(c, now_ms);
        break;
    case TCP_CLIENT_UP:
        if (fd != c->stream.fd)
            break;
        int error = tcp_stream_on_fd(&c->stream, events, c->host);
        if (error < 0)
            tcp_client_reset(c, tcp_stream_why(error), now_ms);
        break;
    }
}

void tcp_client_on_timer(struct tcp_client *c, int64_t now_ms)
{
    if (now_ms < c->deadline_ms) {
        c->host->ops->timer(c->host, c->deadline_ms);
        return;
    }
    switch (c->state) {
    case TCP_CLIENT_STOPPED:
    case TCP_CLIENT_UP:
        break;
    case TCP_CLIENT_WAITING:
        begin(c, now_ms);
        break;
    case TCP_CLIENT_RESOLVING:
        fail(c, "the name is not resolved: no answer", now_ms);
        break;
    case TCP_CLIENT_CONNECTING:
        give_address_up(c, "does not answer", now_ms);
        break;
    }
}
