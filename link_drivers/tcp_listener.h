/* The listening end of the tcp driver: one listener, many connections, each a station of its own.
 * Who is at the far end the host finds out from the bytes; it ends the connections that it does not
 * want (reset).
 *
 * Strangers may connect, so everything is bounded: connections, how many are accepted in one turn,
 * and what happens when the process runs out of descriptors. At the limit the oldest connection
 * that has said nothing gives way to a new one. */
#ifndef LINK_DRIVERS_TCP_LISTENER_H
#define LINK_DRIVERS_TCP_LISTENER_H

#include "base/resolve.h"
#include "link_drivers/link_report.h"
#include "link_drivers/tcp_address.h"
#include "link_drivers/tcp_socket.h"
#include "link_drivers/tcp_stream.h"

#define TCP_LISTENER_CONNECTIONS_MAX  10000
#define TCP_LISTENER_ACCEPTS_AN_EVENT 16
#define TCP_LISTENER_RETRY_MAX_MS     60000
#define TCP_LISTENER_RESOLVE_MAX_MS   30000
#define TCP_LISTENER_ACCEPT_PAUSE_MS  1000 /* after EMFILE and the like */
#define TCP_LISTENER_SAY_WITHIN_MS                                                                 \
    5000 /* a silent connection younger than this does not give way */

enum tcp_listener_state {
    TCP_LISTENER_STOPPED,
    TCP_LISTENER_WAITING, /* for the next try */
    TCP_LISTENER_RESOLVING,
    TCP_LISTENER_UP,
};

struct tcp_connection {
    struct tcp_stream stream;
    int64_t since_ms;
    char name[TCP_NAME_BYTES];
};

struct tcp_listener {
    enum tcp_listener_state state;
    struct link_host *host;
    struct link_report *report;
    struct tcp_address at;
    struct tcp_tuning tuning;
    struct resolve *resolve;
    int fds[RESOLVE_MAX_ADDRESSES]; /* one for each address of the name */
    int fd_count;
    bool accept_paused;
    int64_t deadline_ms;           /* of the state, or of the pause */
    unsigned failures;             /* in a row */
    struct tcp_connection **slots; /* NULL = free */
    size_t slot_count;             /* most connections at a time */
    size_t connection_count;
    struct tcp_connection
        *speaking;        /* the one in whose on_fd we are: it is freed there, not under its feet */
    uint16_t *slot_of_fd; /* slot + 1, or 0 */
    size_t slot_of_fd_count;
    uint64_t accepted;            /* since init; never reused in a station */
    uint64_t refused;             /* at the limit */
    uint64_t bytes_in, bytes_out; /* of connections that have ended */
};

/* A stopped listener; opens nothing. Return: 0, or -ENOMEM: fini is still to be called. */
int tcp_listener_init(struct tcp_listener *l, const struct tcp_address *at,
                      const struct tcp_tuning *tuning, size_t connections_max,
                      struct link_host *host, struct link_report *report) MUST_CHECK;
/* Frees a stopped listener. */
void tcp_listener_fini(struct tcp_listener *l);
void tcp_listener_start(struct tcp_listener *l, int64_t now_ms);
void tcp_listener_stop(struct tcp_listener *l, int64_t now_ms);
/* Ends one connection, or with STATION_NONE all of them, and listens anew. */
void tcp_listener_reset(struct tcp_listener *l, station_t station, const char *why, int64_t now_ms);
/* The stream of a station; NULL when it has gone. */
struct tcp_stream *tcp_listener_stream(struct tcp_listener *l, station_t station);
void tcp_listener_on_fd(struct tcp_listener *l, int fd, unsigned events, int64_t now_ms);
void tcp_listener_on_timer(struct tcp_listener *l, int64_t now_ms);

#endif
