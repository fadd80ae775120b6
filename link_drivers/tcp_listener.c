#include "link_drivers/tcp_listener.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "link_drivers/retry.h"

/* A station is the running number of the connection and its slot, so that it is found at once and
 * never reused. */
#define STATION_SLOT_BITS 16
static_assert(TCP_LISTENER_CONNECTIONS_MAX < (1 << STATION_SLOT_BITS) - 1,
              "a slot + 1 fits 16 bits");

int tcp_listener_init(struct tcp_listener *l, const struct tcp_address *at,
                      const struct tcp_tuning *tuning, size_t connections_max,
                      struct link_host *host, struct link_report *report)
{
    memset(l, 0, sizeof(*l));
    l->state = TCP_LISTENER_STOPPED;
    l->host = host;
    l->report = report;
    l->at = *at;
    l->tuning = *tuning;
    l->slots = calloc(connections_max, sizeof(*l->slots));
    if (!l->slots)
        return -ENOMEM;
    l->slot_count = connections_max;
    return 0;
}

void tcp_listener_fini(struct tcp_listener *l)
{
    free(l->slots);
    free(l->slot_of_fd);
    l->slots = NULL;
    l->slot_of_fd = NULL;
    l->slot_count = l->slot_of_fd_count = 0;
}

static void arm(struct tcp_listener *l, int64_t at_ms)
{
    l->deadline_ms = at_ms;
    l->host->ops->timer(l->host, at_ms);
}

/* --- connections --- */

struct tcp_stream *tcp_listener_stream(struct tcp_listener *l, station_t station)
{
    size_t slot = (size_t)(station & ((1u << STATION_SLOT_BITS) - 1));
    if (slot >= l->slot_count || !l->slots[slot] || l->slots[slot]->stream.station != station)
        return NULL;
    return &l->slots[slot]->stream;
}

/* Remembers which slot an fd belongs to. Return: false when out of memory. */
static bool map_fd(struct tcp_listener *l, int fd, size_t slot)
{
    if ((size_t)fd >= l->slot_of_fd_count) {
        size_t count = (size_t)fd + 64; /* an fd is bounded by RLIMIT_NOFILE */
        uint16_t *grown = realloc(l->slot_of_fd, count * sizeof(*grown));
        if (!grown)
            return false;
        memset(grown + l->slot_of_fd_count, 0, (count - l->slot_of_fd_count) * sizeof(*grown));
        l->slot_of_fd = grown;
        l->slot_of_fd_count = count;
    }
    l->slot_of_fd[fd] = (uint16_t)(slot + 1);
    return true;
}

static void end_connection(struct tcp_listener *l, size_t slot, const char *why)
{
    struct tcp_connection *c = l->slots[slot];
    station_t station = c->stream.station;
    l->slot_of_fd[c->stream.fd] = 0;
    tcp_stream_close(&c->stream, l->host);
    l->bytes_in += c->stream.bytes_in;
    l->bytes_out += c->stream.bytes_out;
    l->slots[slot] = NULL;
    l->connection_count--;
    if (c == l->speaking)
        l->speaking = NULL;
    else
        free(c);
    l->host->ops->state(l->host, station, LINK_DOWN, why);
}

static void end_all_connections(struct tcp_listener *l, const char *why)
{
    for (size_t slot = 0; slot < l->slot_count && l->connection_count > 0; slot++)
        if (l->slots[slot])
            end_connection(l, slot, why);
}

/* Ends the oldest connection that has been silent since it came, if it had the time to speak:
 * half-open ones of strangers must not keep the sites out. */
static void make_room(struct tcp_listener *l, int64_t now_ms)
{
    size_t oldest = l->slot_count;
    for (size_t slot = 0; slot < l->slot_count; slot++) {
        const struct tcp_connection *c = l->slots[slot];
        if (c && c->stream.bytes_in == 0 && now_ms - c->since_ms >= TCP_LISTENER_SAY_WITHIN_MS &&
            (oldest == l->slot_count || c->since_ms < l->slots[oldest]->since_ms))
            oldest = slot;
    }
    if (oldest < l->slot_count)
        end_connection(l, oldest, "said nothing, and makes room for another");
}

static void take_connection(struct tcp_listener *l, int fd, const char *name, int64_t now_ms)
{
    if (l->connection_count == l->slot_count)
        make_room(l, now_ms);
    size_t slot = 0;
    while (slot < l->slot_count && l->slots[slot])
        slot++;
    struct tcp_connection *c = slot < l->slot_count ? calloc(1, sizeof(*c)) : NULL;
    if (!c || !map_fd(l, fd, slot)) {
        /* The first, and then each doubling: strangers do not fill the log. */
        l->refused++;
        if ((l->refused & (l->refused - 1)) == 0)
            l->host->ops->trace(l->host, 2,
                                "no room for a connection: from=%s connections=%zu refused=%llu",
                                name, l->connection_count, (unsigned long long)l->refused);
        free(c);
        close(fd);
        return;
    }
    l->slots[slot] = c;
    l->connection_count++;
    c->since_ms = now_ms;
    snprintf(c->name, sizeof(c->name), "%s", name);
    tcp_socket_tune(fd, &l->tuning);
    station_t station = (++l->accepted << STATION_SLOT_BITS) | slot;
    tcp_stream_open(&c->stream, fd, station, l->host);
    l->host->ops->state(l->host, station, LINK_UP, c->name);
}

/* --- the listener itself --- */

static void watch_listeners(struct tcp_listener *l, unsigned events)
{
    for (int i = 0; i < l->fd_count; i++)
        l->host->ops->watch(l->host, l->fds[i], events);
}

static void release(struct tcp_listener *l)
{
    if (l->resolve) {
        l->host->ops->watch(l->host, resolve_fd(l->resolve), WATCH_NONE);
        resolve_free(l->resolve);
        l->resolve = NULL;
    }
    watch_listeners(l, WATCH_NONE);
    for (int i = 0; i < l->fd_count; i++)
        close(l->fds[i]);
    l->fd_count = 0;
    l->accept_paused = false;
}

static void fail(struct tcp_listener *l, const char *why, int64_t now_ms)
{
    release(l);
    l->state = TCP_LISTENER_WAITING;
    arm(l, now_ms + retry_delay_ms(++l->failures, TCP_LISTENER_RETRY_MAX_MS,
                                   l->host->ops->random(l->host)));
    link_report(l->report, l->host, LINK_DOWN, "listen %s:%s: %s", l->at.host, l->at.port, why);
}

/* Looked up off the loop, though it is mostly a number: it may be a name. */
static void begin(struct tcp_listener *l, int64_t now_ms)
{
    int error = resolve_start(&l->resolve, l->at.host, l->at.port, true);
    if (error < 0) {
        l->resolve = NULL;
        fail(l, strerror(-error), now_ms);
        return;
    }
    l->state = TCP_LISTENER_RESOLVING;
    l->host->ops->watch(l->host, resolve_fd(l->resolve), WATCH_READ);
    arm(l, now_ms + TCP_LISTENER_RESOLVE_MAX_MS);
}

static void on_resolved(struct tcp_listener *l, int64_t now_ms)
{
    struct resolve_result addresses[RESOLVE_MAX_ADDRESSES];
    int count = resolve_take(l->resolve, addresses, RESOLVE_MAX_ADDRESSES);
    if (count == 0)
        return;
    if (count < 0) {
        fail(l, gai_strerror(count), now_ms);
        return;
    }
    release(l);
    int error = 0;
    for (int i = 0; i < count; i++) {
        int fd = tcp_socket_listen(&addresses[i].address, addresses[i].address_len);
        if (fd >= 0)
            l->fds[l->fd_count++] = fd;
        else if (fd != -EAFNOSUPPORT || i + 1 == count)
            error = fd;
    }
    if (l->fd_count == 0) {
        fail(l, strerror(-error), now_ms);
        return;
    }
    if (error < 0)
        l->host->ops->trace(l->host, 2,
                            "not every address is listened on: address=%s:%s error=\"%s\"",
                            l->at.host, l->at.port, strerror(-error));
    l->state = TCP_LISTENER_UP;
    l->failures = 0;
    arm(l, INT64_MAX);
    watch_listeners(l, WATCH_READ);
    char name[TCP_NAME_BYTES];
    tcp_socket_own_name(l->fds[0], name);
    link_report(l->report, l->host, LINK_UP, "listening on %s", name);
}

/* Out of descriptors or memory, accept fails for as long as a connection waits: watching on would
 * spin. */
static void pause_accept(struct tcp_listener *l, int error, int64_t now_ms)
{
    l->host->ops->trace(l->host, 2, "accept pauses: error=\"%s\" connections=%zu", strerror(-error),
                        l->connection_count);
    watch_listeners(l, WATCH_NONE);
    l->accept_paused = true;
    arm(l, now_ms + TCP_LISTENER_ACCEPT_PAUSE_MS);
}

static void accept_some(struct tcp_listener *l, int listen_fd, int64_t now_ms)
{
    for (int i = 0; i < TCP_LISTENER_ACCEPTS_AN_EVENT; i++) {
        char name[TCP_NAME_BYTES];
        int fd = tcp_socket_accept(listen_fd, name);
        if (fd >= 0) {
            take_connection(l, fd, name, now_ms);
            continue;
        }
        if (fd == -EAGAIN)
            return;
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
            pause_accept(l, fd, now_ms);
            return;
        }
        /* Anything else is an error of the connection that has just gone (accept(2), "Error
         * handling"). */
    }
}

void tcp_listener_start(struct tcp_listener *l, int64_t now_ms)
{
    if (l->state != TCP_LISTENER_STOPPED)
        return;
    l->failures = 0;
    link_report(l->report, l->host, LINK_CONNECTING, "opening %s:%s", l->at.host, l->at.port);
    begin(l, now_ms);
}

void tcp_listener_stop(struct tcp_listener *l, int64_t now_ms)
{
    if (l->state == TCP_LISTENER_STOPPED)
        return;
    end_all_connections(l, "stopped");
    release(l);
    l->state = TCP_LISTENER_STOPPED;
    arm(l, INT64_MAX);
    link_report(l->report, l->host, LINK_DOWN, "stopped");
}

void tcp_listener_reset(struct tcp_listener *l, station_t station, const char *why, int64_t now_ms)
{
    if (station != STATION_NONE) {
        if (tcp_listener_stream(l, station))
            end_connection(l, (size_t)(station & ((1u << STATION_SLOT_BITS) - 1)), why);
        return;
    }
    if (l->state != TCP_LISTENER_UP)
        return;
    end_all_connections(l, why);
    fail(l, why, now_ms);
}

void tcp_listener_on_fd(struct tcp_listener *l, int fd, unsigned events, int64_t now_ms)
{
    if (l->state == TCP_LISTENER_RESOLVING && fd == resolve_fd(l->resolve)) {
        on_resolved(l, now_ms);
        return;
    }
    for (int i = 0; i < l->fd_count; i++)
        if (fd == l->fds[i] && !l->accept_paused) {
            accept_some(l, fd, now_ms);
            return;
        }
    size_t slot = (size_t)fd < l->slot_of_fd_count ? l->slot_of_fd[fd] : 0;
    if (slot == 0)
        return; /* an event of a connection that ended in the same turn of the loop */
    slot--;
    struct tcp_connection *c = l->speaking = l->slots[slot];
    int error = tcp_stream_on_fd(&c->stream, events, l->host);
    bool ended = l->speaking == NULL; /* by the host, from inside deliver */
    l->speaking = NULL;
    if (ended)
        free(c);
    else if (error < 0)
        end_connection(l, slot, tcp_stream_why(error));
}

void tcp_listener_on_timer(struct tcp_listener *l, int64_t now_ms)
{
    if (now_ms < l->deadline_ms) {
        l->host->ops->timer(l->host, l->deadline_ms);
        return;
    }
    switch (l->state) {
    case TCP_LISTENER_STOPPED:
        break;
    case TCP_LISTENER_WAITING:
        begin(l, now_ms);
        break;
    case TCP_LISTENER_RESOLVING:
        fail(l, "the name is not resolved: no answer", now_ms);
        break;
    case TCP_LISTENER_UP:
        l->accept_paused = false;
        watch_listeners(l, WATCH_READ);
        arm(l, INT64_MAX);
        break;
    }
}
