/* Options, and which end it is. What each end does is in tcp_client.c and tcp_listener.c. */
#include "link_drivers/tcp.h"

#include <errno.h>
#include <stdio.h>
#include "link_drivers/tcp_client.h"
#include "link_drivers/tcp_listener.h"

enum tcp_end { TCP_NEITHER, TCP_CONNECTS, TCP_LISTENS };

struct tcp {
    enum tcp_end end; /* NEITHER when init failed */
    struct link_host *host;
    struct link_report report;
    size_t guests; /* of a listener */
    union {
        struct tcp_client client;
        struct tcp_listener listener;
    };
};

static int tcp_init(void *ctx, const void *options, struct link_host *host)
{
    struct tcp *t = ctx;
    const struct tcp_options *o = options;
    struct tcp_tuning tuning = {
        .timeout_ms = o->timeout_ms,
        /* Where each byte costs, TCP must not ask on its own (I7). */
        .keepalive_ms = host->metered || o->keepalive_ms == OPTION_NEVER ? 0 : o->keepalive_ms,
    };
    struct tcp_address address;
    bool connects = o->connect && *o->connect;
    t->host = host;
    if (connects == (o->listen && *o->listen) ||
        tcp_address_parse(connects ? o->connect : o->listen, &address))
        return -EINVAL;
    if (connects) {
        tcp_client_init(&t->client, &address, &tuning, host, &t->report);
        t->end = TCP_CONNECTS;
        return 0;
    }
    t->end = TCP_LISTENS;
    t->guests = (size_t)o->guests;
    return tcp_listener_init(&t->listener, &address, &tuning, (size_t)o->max_connections, host,
                             &t->report);
}

static void tcp_stop(void *ctx, int64_t now_ms)
{
    struct tcp *t = ctx;
    if (t->end == TCP_CONNECTS)
        tcp_client_stop(&t->client, now_ms);
    else if (t->end == TCP_LISTENS)
        tcp_listener_stop(&t->listener, now_ms);
}

static void tcp_fini(void *ctx)
{
    struct tcp *t = ctx;
    tcp_stop(ctx, 0);
    if (t->end == TCP_LISTENS)
        tcp_listener_fini(&t->listener);
    t->end = TCP_NEITHER;
}

static void tcp_start(void *ctx, int64_t now_ms)
{
    struct tcp *t = ctx;
    if (t->end == TCP_CONNECTS)
        tcp_client_start(&t->client, now_ms);
    else
        tcp_listener_start(&t->listener, now_ms);
}

static bool tcp_calls(void *ctx)
{
    const struct tcp *t = ctx;
    return t->end == TCP_CONNECTS;
}

static size_t tcp_guests(void *ctx)
{
    return ((const struct tcp *)ctx)->guests;
}

/* NULL when there is no such connection now. */
static struct tcp_stream *tcp_stream_of(struct tcp *t, station_t station)
{
    if (t->end == TCP_LISTENS)
        return station == STATION_NONE ? NULL : tcp_listener_stream(&t->listener, station);
    return station == STATION_NONE && t->client.stream.fd >= 0 ? &t->client.stream : NULL;
}

static size_t tcp_room(void *ctx, station_t station, int64_t now_ms)
{
    struct tcp_stream *s = tcp_stream_of(ctx, station);
    return s ? tcp_stream_room(s) : 0;
}

static int tcp_send(void *ctx, station_t station, const uint8_t *bytes, size_t n, uint64_t token,
                    bool urgent, int64_t now_ms)
{
    struct tcp *t = ctx;
    struct tcp_stream *s = tcp_stream_of(t, station);
    return s ? tcp_stream_send(s, bytes, n, t->host) : -ENOTCONN;
}

/* Not known: it is whatever the path gives at the moment. */
static uint32_t tcp_rate(void *ctx)
{
    return 0;
}

static void tcp_reset(void *ctx, station_t station, const char *why, int64_t now_ms)
{
    struct tcp *t = ctx;
    if (t->end == TCP_LISTENS)
        tcp_listener_reset(&t->listener, station, why, now_ms);
    else if (station == STATION_NONE)
        tcp_client_reset(&t->client, why, now_ms);
}

static void tcp_on_fd(void *ctx, int fd, unsigned events, int64_t now_ms)
{
    struct tcp *t = ctx;
    if (t->end == TCP_CONNECTS)
        tcp_client_on_fd(&t->client, fd, events, now_ms);
    else
        tcp_listener_on_fd(&t->listener, fd, events, now_ms);
}

static void tcp_on_timer(void *ctx, int64_t now_ms)
{
    struct tcp *t = ctx;
    if (t->end == TCP_CONNECTS)
        tcp_client_on_timer(&t->client, now_ms);
    else
        tcp_listener_on_timer(&t->listener, now_ms);
}

static void tcp_status(void *ctx, struct link_status *out)
{
    struct tcp *t = ctx;
    *out = (struct link_status){0};
    if (t->end == TCP_CONNECTS) {
        out->bytes_in = t->client.stream.bytes_in;
        out->bytes_out = t->client.stream.bytes_out;
        snprintf(out->detail, sizeof(out->detail), "%s", t->report.why);
    } else if (t->end == TCP_LISTENS) {
        const struct tcp_listener *l = &t->listener;
        out->bytes_in = l->bytes_in;
        out->bytes_out = l->bytes_out;
        for (size_t i = 0; i < l->slot_count; i++)
            if (l->slots[i]) {
                out->bytes_in += l->slots[i]->stream.bytes_in;
                out->bytes_out += l->slots[i]->stream.bytes_out;
            }
        snprintf(out->detail, sizeof(out->detail), "%s", t->report.why);
    }
}

#define AT(member) offsetof(struct tcp_options, member)
static const struct option tcp_rows[] = {
    {.key = "connect",
     .type = OPTION_STRING,
     .offset = AT(connect),
     .max = 300,
     .fallback = "",
     .check = tcp_address_check_connect,
     .help = "host:port of the hub to connect to; an IPv6 address stands in brackets; either this "
             "or listen."},
    {.key = "listen",
     .type = OPTION_STRING,
     .offset = AT(listen),
     .max = 300,
     .fallback = "",
     .check = tcp_address_check_listen,
     .help =
         "address:port on which to wait for sites, any number of them; *:port for every address "
         "of this machine, IPv4 and IPv6."},
    {.key = "timeout",
     .type = OPTION_DURATION,
     .offset = AT(timeout_ms),
     .min = 5000,
     .max = 3600000,
     .fallback = "60s",
     .help = "The time after which a connection whose other end acknowledges nothing is given up."},
    {.key = "keepalive",
     .type = OPTION_DURATION,
     .offset = AT(keepalive_ms),
     .min = 0,
     .max = 7200000,
     .never_ok = true,
     .fallback = "60s",
     .help =
         "The time without traffic after which TCP asks whether the other end is still there, at "
         "some 50 bytes each way; 0 or never: it does not; nor does it where the link is "
         "metered."},
    {.key = "max_connections",
     .type = OPTION_INT,
     .offset = AT(max_connections),
     .min = 1,
     .max = TCP_LISTENER_CONNECTIONS_MAX,
     .fallback = "1100",
     .help = "The number of connections that a listener holds at most; at the limit one that has "
             "said nothing gives way to a new one."},
    {.key = "guests",
     .type = OPTION_INT,
     .offset = AT(guests),
     .min = 1,
     .max = TCP_LISTENER_CONNECTIONS_MAX,
     .fallback = "64",
     .help = "The number of connections that have not proved to be a site, that a listener holds at most, "
             "each for at most 30 seconds; at the limit the oldest gives way."},
};

static bool tcp_serves_many(const void *options)
{
    const struct tcp_options *o = options;
    return o->listen && *o->listen;
}

static const char *tcp_check(const void *options, const char **key)
{
    const struct tcp_options *o = options;
    bool connects = o->connect && *o->connect, listens = o->listen && *o->listen;
    if (connects && listens) {
        *key = "listen";
        return "stands beside connect: only one of them is allowed";
    }
    if (!connects && !listens) {
        *key = "connect";
        return "is missing: connect = host:port or listen = address:port is needed";
    }
    return NULL;
}

const struct option_group tcp_option_group = {
    .name = "tcp",
    .rows = tcp_rows,
    .count = sizeof(tcp_rows) / sizeof(tcp_rows[0]),
    .struct_size = sizeof(struct tcp_options),
    .help = "A TCP connection, made to a hub or taken from sites.",
    .metered_default = false,
    .check = tcp_check,
    .serves_many = tcp_serves_many,
};

const struct link_driver tcp_driver = {
    .name = "tcp",
    .kind = LINK_STREAM,
    .options = &tcp_option_group,
    .ctx_size = sizeof(struct tcp),
    .init = tcp_init,
    .fini = tcp_fini,
    .start = tcp_start,
    .stop = tcp_stop,
    .room = tcp_room,
    .send = tcp_send,
    .mtu = NULL, /* STREAM */
    .rate = tcp_rate,
    .avoid = NULL,       /* every byte passes */
    .half_duplex = NULL, /* full */
    .calls = tcp_calls,
    .guests = tcp_guests,
    .reset = tcp_reset,
    .on_fd = tcp_on_fd,
    .on_timer = tcp_on_timer,
    .status = tcp_status,
};
