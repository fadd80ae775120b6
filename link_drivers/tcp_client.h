/* The connecting end of the tcp driver: looks the name up, tries each address, and after a failure
 * comes back with a jittered delay, for as long as it is started. */
#ifndef LINK_DRIVERS_TCP_CLIENT_H
#define LINK_DRIVERS_TCP_CLIENT_H

#include "base/resolve.h"
#include "link_drivers/link_report.h"
#include "link_drivers/tcp_address.h"
#include "link_drivers/tcp_socket.h"
#include "link_drivers/tcp_stream.h"

#define TCP_CLIENT_RETRY_MAX_MS   60000
#define TCP_CLIENT_RESOLVE_MAX_MS 30000
#define TCP_CLIENT_CONNECT_MAX_MS                                                                  \
    20000 /* an address: longer than a SYN over a satellite, sent again twice */

enum tcp_client_state {
    TCP_CLIENT_STOPPED,
    TCP_CLIENT_WAITING, /* for the next try */
    TCP_CLIENT_RESOLVING,
    TCP_CLIENT_CONNECTING, /* to addresses[next_address - 1] */
    TCP_CLIENT_UP,
};

struct tcp_client {
    enum tcp_client_state state;
    struct link_host *host;
    struct link_report *report;
    struct tcp_address to;
    struct tcp_tuning tuning;
    struct tcp_stream stream;
    struct resolve *resolve;
    int connecting_fd;   /* -1 = none */
    int64_t deadline_ms; /* of the state */
    int64_t up_since_ms;
    unsigned failures; /* in a row */
    struct resolve_result addresses[RESOLVE_MAX_ADDRESSES];
    int address_count, next_address;
    char last_error[96]; /* of the addresses tried: the last one's */
};

/* A stopped client; opens nothing. host and report are the driver's. */
void tcp_client_init(struct tcp_client *c, const struct tcp_address *to,
                     const struct tcp_tuning *tuning, struct link_host *host,
                     struct link_report *report);
void tcp_client_start(struct tcp_client *c, int64_t now_ms);
void tcp_client_stop(struct tcp_client *c, int64_t now_ms);
/* Ends the connection; the next one is tried after the usual delay. */
void tcp_client_reset(struct tcp_client *c, const char *why, int64_t now_ms);
void tcp_client_on_fd(struct tcp_client *c, int fd, unsigned events, int64_t now_ms);
void tcp_client_on_timer(struct tcp_client *c, int64_t now_ms);

#endif
