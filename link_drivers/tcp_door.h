/* Listening for TCP connections at an address that may be a name: opens it, tries again when it
 * cannot, and hands each caller to its owner. What comes of the callers is the owner's affair.
 *
 * Accepting pauses where the process has run out of descriptors, and as long as the owner has no
 * place: the kernel then keeps the callers waiting. */
#ifndef LINK_DRIVERS_TCP_DOOR_H
#define LINK_DRIVERS_TCP_DOOR_H

#include <stdbool.h>
#include <stdint.h>
#include "base/resolve.h"
#include "link_drivers/driver.h"
#include "link_drivers/link_report.h"
#include "link_drivers/tcp_address.h"
#include "link_drivers/tcp_socket.h"

enum tcp_door_state {
    TCP_DOOR_STOPPED,
    TCP_DOOR_WAITING, /* for the next try */
    TCP_DOOR_RESOLVING,
    TCP_DOOR_OPEN,
};

struct tcp_door_owner {
    /* A caller: fd is the owner's now. */
    void (*take)(void *ctx, int fd, const char name[TCP_NAME_BYTES], int64_t now_ms);
    /* Is there a place for another? */
    bool (*has_place)(void *ctx, int64_t now_ms);
};

struct tcp_door {
    enum tcp_door_state state;
    struct link_host *host;
    struct link_report *report;
    const struct tcp_door_owner *owner;
    void *owner_ctx;
    struct tcp_address at;
    int64_t time_scale; /* divides every wait: for tests */
    struct resolve *resolve;
    int fds[RESOLVE_MAX_ADDRESSES]; /* one for each address of the name */
    int fd_count;
    bool full;           /* accepting pauses until tcp_door_ready */
    int64_t deadline_ms; /* of the state, or of a pause; INT64_MAX = none. The owner sets the timer */
    unsigned failures;   /* in a row */
};

/* A stopped door; opens nothing. owner: see above. report is told of each change of state. */
void tcp_door_init(struct tcp_door *d, const struct tcp_address *at, int64_t time_scale,
                   struct link_host *host, struct link_report *report,
                   const struct tcp_door_owner *owner, void *owner_ctx);
void tcp_door_start(struct tcp_door *d, int64_t now_ms);
void tcp_door_stop(struct tcp_door *d);
/* Closes an open door for `why`, and opens it again after the usual delay. */
void tcp_door_reset(struct tcp_door *d, const char *why, int64_t now_ms);
/* Is this one of its descriptors now? Then tcp_door_on_fd is due. */
bool tcp_door_owns(const struct tcp_door *d, int fd);
void tcp_door_on_fd(struct tcp_door *d, int fd, int64_t now_ms);
/* Does what is due by now. */
void tcp_door_on_timer(struct tcp_door *d, int64_t now_ms);
/* The owner has a place again. */
void tcp_door_ready(struct tcp_door *d);

#endif
