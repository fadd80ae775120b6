#include "link_drivers/tcp_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "link_drivers/tcp_socket.h"

/* Read at most this much an event: other connections want their turn. */
#define READ_BYTES     16384
#define READS_AN_EVENT 2
/* Unsent data is kept to this part of what the connection delivers in a second. */
#define RATE_PART 4

static void watch(struct tcp_stream *s, struct link_host *host)
{
    host->ops->watch(host, s->fd, s->pending.len > 0 ? WATCH_READ | WATCH_WRITE : WATCH_READ);
}

void tcp_stream_open(struct tcp_stream *s, int fd, station_t station, struct link_host *host)
{
    s->fd = fd;
    s->station = station;
    s->short_of_room = false;
    buf_init(&s->pending, TCP_ROOM_MAX_BYTES);
    watch(s, host);
}

void tcp_stream_close(struct tcp_stream *s, struct link_host *host)
{
    if (s->fd < 0)
        return;
    if (s->pending.len > 0) {
        ssize_t put =
            send(s->fd, buf_bytes(&s->pending), s->pending.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        s->bytes_out += put > 0 ? (uint64_t)put : 0;
    }
    host->ops->watch(host, s->fd, WATCH_NONE);
    close(s->fd);
    s->fd = -1;
    buf_fini(&s->pending);
}

/* How much may wait. A connection that has not shown its rate yet gets the least: it is enough to
 * show it. */
static size_t limit(const struct tcp_stream *s)
{
    uint64_t bytes = tcp_socket_rate(s->fd) / RATE_PART;
    if (bytes < TCP_ROOM_MIN_BYTES)
        return TCP_ROOM_MIN_BYTES;
    return bytes > TCP_ROOM_MAX_BYTES ? TCP_ROOM_MAX_BYTES : (size_t)bytes;
}

size_t tcp_stream_room(struct tcp_stream *s)
{
    if (s->fd < 0)
        return 0;
    size_t most = limit(s), held = s->pending.len;
    size_t room = held < most ? most - held : 0;
    /* Less than half may be too little for what the host has; it hears when there is more. */
    if (room < most / 2)
        s->short_of_room = true;
    return room;
}

int tcp_stream_send(struct tcp_stream *s, const uint8_t *bytes, size_t n, struct link_host *host)
{
    if (n > tcp_stream_room(s) || !buf_put(&s->pending, bytes, n)) {
        s->short_of_room = true;
        return -EAGAIN;
    }
    watch(s, host);
    return 0;
}

static int read_some(struct tcp_stream *s, struct link_host *host)
{
    uint8_t bytes[READ_BYTES];
    for (int i = 0; i < READS_AN_EVENT; i++) {
        ssize_t got = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got == 0)
            return -ESHUTDOWN;
        if (got < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        s->bytes_in += (uint64_t)got;
        host->ops->deliver(host, s->station, bytes, (size_t)got);
        if ((size_t)got < sizeof(bytes) || s->fd < 0)
            return 0; /* closed: the host did not like what it read */
    }
    return 0;
}

static int write_some(struct tcp_stream *s, struct link_host *host)
{
    ssize_t put = send(s->fd, buf_bytes(&s->pending), s->pending.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    s->bytes_out += (uint64_t)put;
    buf_consume(&s->pending, (size_t)put);
    watch(s, host);
    return 0;
}

int tcp_stream_on_fd(struct tcp_stream *s, unsigned events, struct link_host *host)
{
    int error = 0;
    if (events & WATCH_READ)
        error = read_some(s, host);
    if (!error && s->fd >= 0 && s->pending.len > 0)
        error = write_some(s, host);
    if (error || s->fd < 0)
        return error;
    if (s->short_of_room && s->pending.len < limit(s) / 2) {
        s->short_of_room = false;
        host->ops->writable(host, s->station);
    }
    return 0;
}

const char *tcp_stream_why(int error)
{
    switch (error) {
    case -ESHUTDOWN:
        return "closed by the other end";
    case -ETIMEDOUT:
        return "the other end does not answer";
    default:
        return strerror(-error);
    }
}
