/* The listening half of the directip driver: takes the messages that the gateway brings, one a
 * connection, and where confirmation is on answers each once it is on our disk. What a message means
 * is its owner's affair.
 *
 * Nothing in the protocol proves who calls, so that only addresses of a list are listened to, and
 * everything is bounded: connections, bytes of a message, the time for each step. At the limit the
 * connection that has been silent longest gives way, and if none has, the kernel keeps the caller
 * waiting. */
#ifndef LINK_DRIVERS_DIRECTIP_MO_H
#define LINK_DRIVERS_DIRECTIP_MO_H

#include "base/option.h"
#include "link_drivers/directip_message.h"
#include "link_drivers/tcp_door.h"

#define DIRECTIP_MO_CONNECTIONS_MAX 128

struct directip_mo_owner {
    /* A whole message. Return: true: it was delivered to the host, and is answered after
     * directip_mo_committed; false: nothing of it is for our disk, and it is answered now. */
    bool (*message)(void *ctx, const struct directip_mo_message *m, int64_t now_ms);
};

struct directip_mo_settings {
    struct tcp_address listen;
    const struct string_list *allow; /* see address_list.h */
    bool confirm;
    int64_t time_scale;
};

struct directip_mo_connection;

struct directip_mo {
    struct tcp_door door;
    struct directip_mo_settings settings;
    struct link_host *host;
    const struct directip_mo_owner *owner;
    void *owner_ctx;
    struct directip_mo_connection *connections[DIRECTIP_MO_CONNECTIONS_MAX]; /* [0..count) */
    size_t count;
    struct directip_mo_connection
        *speaking; /* the one in whose message we are: it is freed there, not under its feet */
    uint64_t messages;
    uint64_t strangers; /* callers that the list has not */
    uint64_t bad;       /* not a message, or not whole in time */
};

/* Stopped; opens nothing. */
void directip_mo_init(struct directip_mo *s, const struct directip_mo_settings *settings,
                      struct link_host *host, struct link_report *report,
                      const struct directip_mo_owner *owner, void *owner_ctx);
void directip_mo_start(struct directip_mo *s, int64_t now_ms);
void directip_mo_stop(struct directip_mo *s);
/* Ends all connections, closes the door for `why` and opens it again after a while. */
void directip_mo_reset(struct directip_mo *s, const char *why, int64_t now_ms);
/* All that was delivered before is on our disk. */
void directip_mo_committed(struct directip_mo *s, int64_t now_ms);
/* An event of any descriptor. Return: whether it was one of ours. */
bool directip_mo_on_fd(struct directip_mo *s, int fd, int64_t now_ms);
void directip_mo_on_timer(struct directip_mo *s, int64_t now_ms);
/* When on_timer is due; INT64_MAX = not. */
int64_t directip_mo_deadline(const struct directip_mo *s);

#endif
