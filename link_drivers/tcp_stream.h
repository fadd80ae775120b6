/* The bytes of one TCP connection: what was accepted and not yet taken by the kernel, and what
 * comes in. Both ends of the tcp driver use it. It owns its fd from open to close.
 *
 * What is sent waits for the next turn of the loop, so that the frames of one turn leave in one
 * segment: on a link that counts bytes the 40 of each TCP/IP header count too. */
#ifndef LINK_DRIVERS_TCP_STREAM_H
#define LINK_DRIVERS_TCP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/buf.h"
#include "link_drivers/driver.h"

/* Bounds of what waits unsent: about a quarter of a second of the rate that the connection was seen
 * to have. */
#define TCP_ROOM_MIN_BYTES 4096
#define TCP_ROOM_MAX_BYTES 32768

struct tcp_stream {
    int fd;            /* -1 = closed */
    station_t station; /* as the host knows it */
    struct buf pending;
    bool short_of_room; /* the host is owed a `writable` */
    uint64_t bytes_in, bytes_out;
};

/* An empty stream on a connected, non-blocking fd, which it owns from here; begins to watch it. */
void tcp_stream_open(struct tcp_stream *s, int fd, station_t station, struct link_host *host);
/* Closes; does nothing when closed. What is pending goes to the kernel if it takes it now: a
 * refusal and its close belong together. The counters stay. */
void tcp_stream_close(struct tcp_stream *s, struct link_host *host);
/* Bytes that send takes now. */
size_t tcp_stream_room(struct tcp_stream *s);
/* Takes all n bytes. Return: 0, or -EAGAIN: n is more than the room. */
int tcp_stream_send(struct tcp_stream *s, const uint8_t *bytes, size_t n,
                    struct link_host *host) MUST_CHECK;
/* Reads, delivers, writes, says `writable`. The host may close the stream from inside deliver; s
 * must then stay readable until this returns. Return: 0, or negative errno: the connection is over
 * (-ESHUTDOWN: closed by the other end), and the caller closes it. */
int tcp_stream_on_fd(struct tcp_stream *s, unsigned events, struct link_host *host) MUST_CHECK;
/* Words for the log. */
const char *tcp_stream_why(int error);

#endif
