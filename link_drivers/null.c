#include "link_drivers/null.h"

#include <errno.h>
#include <stdio.h>
#include "link_drivers/link_report.h"

/* Taken at once; only there must be some bound. */
#define NULL_ROOM_BYTES 4096

struct null {
    struct link_host *host;
    struct link_report report;
    uint64_t bytes_out;
};

static int null_init(void *ctx, const void *options, struct link_host *host)
{
    struct null *n = ctx;
    n->host = host;
    return 0;
}

static void null_fini(void *ctx)
{
}

static void null_start(void *ctx, int64_t now_ms)
{
    struct null *n = ctx;
    link_report(&n->report, n->host, LINK_UP, "swallows everything");
}

static void null_stop(void *ctx, int64_t now_ms)
{
    struct null *n = ctx;
    link_report(&n->report, n->host, LINK_DOWN, "stopped");
}

static size_t null_room(void *ctx, station_t station, int64_t now_ms)
{
    struct null *n = ctx;
    return n->report.state == LINK_UP && station == STATION_NONE ? NULL_ROOM_BYTES : 0;
}

static int null_send(void *ctx, station_t station, const uint8_t *bytes, size_t n, uint64_t token,
                     bool urgent, int64_t now_ms)
{
    struct null *l = ctx;
    if (l->report.state != LINK_UP || station != STATION_NONE)
        return -ENOTCONN;
    if (n > NULL_ROOM_BYTES)
        return -EAGAIN;
    l->bytes_out += n;
    return 0;
}

static uint32_t null_rate(void *ctx)
{
    return 0;
}

static void null_reset(void *ctx, station_t station, const char *why, int64_t now_ms)
{
    struct null *n = ctx;
    if (station != STATION_NONE || n->report.state != LINK_UP)
        return;
    link_report(&n->report, n->host, LINK_DOWN, "%s", why);
    null_start(ctx, now_ms);
}

static void null_on_fd(void *ctx, int fd, unsigned events, int64_t now_ms)
{
}

static void null_on_timer(void *ctx, int64_t now_ms)
{
}

static void null_status(void *ctx, struct link_status *out)
{
    struct null *n = ctx;
    *out = (struct link_status){.bytes_out = n->bytes_out};
    snprintf(out->detail, sizeof(out->detail), "%s", n->report.why);
}

const struct option_group null_option_group = {
    .name = "null",
    .struct_size = 1, /* no options; but the holder of none wants a pointer */
    .help = "A link that is always up and swallows everything: for tests.",
};

const struct link_driver null_driver = {
    .name = "null",
    .kind = LINK_STREAM,
    .options = &null_option_group,
    .ctx_size = sizeof(struct null),
    .init = null_init,
    .fini = null_fini,
    .start = null_start,
    .stop = null_stop,
    .room = null_room,
    .send = null_send,
    .mtu = NULL, /* STREAM */
    .rate = null_rate,
    .avoid = NULL,       /* every byte can be swallowed */
    .half_duplex = NULL, /* full */
    .calls = NULL, /* point to point: whoever is there is the peer */
    .reset = null_reset,
    .on_fd = null_on_fd,
    .on_timer = null_on_timer,
    .status = null_status,
};
