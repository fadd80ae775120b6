/* The one place that knows store, wire, MQTT and links at once: what comes from the broker is routed and queued, what the
 * peers' channels want is taken from the queue, what they bring is published. Pure in the sense that it owns no descriptor
 * and reads no clock: the daemon (or the simulator) brings events with the time, and offers the services of bridge_env.
 *
 * One file a flow:
 *     routes.c     which peer and route a topic belongs to
 *     outbound.c   broker -> outbox: routes, retain, limits, latest, min_interval, overflow
 *     sender.c     outbox -> records of a peer's channel: classes, pieces (sender_topics.c: topic slots)
 *     sender_acked.c  what the peer has: acknowledgements, marks
 *     receiver.c   records of a peer: topic slots, pieces, gaps; handshakes
 *     kept.c       marks; what cannot be passed on yet: pieces, early messages
 *     arrival.c    a whole message -> inbox, and onward where it may be forwarded
 *     publisher.c  inbox -> broker: packet ids, QoS 2 states, refusals
 *     broker.c     the broker session: subscriptions, acknowledgements
 *     priming.c, peers_priming.c   the history tails that a new epoch's models are primed from
 *     keys.c       which of two keys is in use with a peer
 *     peers.c      peers, their channels and links
 *     guests.c     connections of a listener, until they have said whose they are
 *     deliveries.c how far what each link brought is on our disk
 *     custody.c    the group commit, and what may be told to the outside after it
 *     state.c      the gateway's own retained topics
 *     status.c     `longwire status`
 */
#ifndef BRIDGE_BRIDGE_H
#define BRIDGE_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "config/config.h"
#include "store/store.h"

struct bridge;
struct buf;
struct primer_models;

/* What a datagram link costs and how patient it is: struct link_terms of link_drivers/driver.h. */
struct bridge_terms {
    uint32_t quantum_bytes;
    int64_t hold_ms;
    int64_t ack_max_age_ms;
    unsigned alarm_places;
};

/* A station of a link that knows its peers from the start. */
struct bridge_station {
    const char *peer;          /* name in the configuration */
    uint64_t station;
    size_t mtu;
    struct bridge_terms terms;
};

/* A link as the bridge needs it: properties that the driver told when it was made. */
struct bridge_link {
    bool datagram;
    bool half_duplex;
    bool calls;                /* the far end is a listener: it learns who we are from our greeting */
    bool listener;             /* many stations, each a guest until it has said who it is: */
    size_t guests;             /* so many at a time at most; 0 = as many as is usual */
    uint32_t rate_bytes_s;     /* 0 = not known */
    uint8_t avoid[8];
    size_t avoid_count;
    size_t mtu;                /* datagram */
    struct bridge_terms terms; /* datagram */
    bool addressed;            /* datagram, to many: each peer has its station below, and is no guest; mtu and terms are there */
    const struct bridge_station *stations;
    size_t station_count;
};

enum bridge_log { BRIDGE_DEBUG, BRIDGE_INFO, BRIDGE_WARN, BRIDGE_ERR };

/* Services of the owner. None may call back into the bridge before it has returned. */
struct bridge_env {
    void *ctx;
    /* The session has put packets in out (the buffer given to bridge_new's broker): move them to the socket. */
    void (*broker_write)(void *ctx, struct buf *out);
    /* Bytes written and not yet taken by the kernel. */
    size_t (*broker_pending)(void *ctx);
    /* Close the broker connection; connect again at once or after the back-off. */
    void (*broker_drop)(void *ctx, bool at_once);
    /* The session is accepted: the back-off may begin anew. */
    void (*broker_settled)(void *ctx);
    size_t (*link_room)(void *ctx, size_t link, uint64_t station);
    /* Return 0 or negative errno. */
    int (*link_send)(void *ctx, size_t link, uint64_t station, const uint8_t *bytes, size_t n, uint64_t token, bool urgent);
    void (*link_reset)(void *ctx, size_t link, uint64_t station, const char *why);
    void (*link_counts)(void *ctx, size_t link, uint64_t *bytes_out, uint64_t *bytes_in, char *detail, size_t detail_size);
    /* The store's file is damaged: nothing more can be done with it. Free the bridge, open the store again (which sets the file
     * aside) and begin anew, once this call into the bridge has returned. */
    void (*store_damaged)(void *ctx);
    void (*random)(void *ctx, void *bytes, size_t n);
    /* The key in a peer's secret_file or next_secret_file; asked for in bridge_new only. Return: 0 or negative errno. NULL where no
     * peer is sealed. */
    int (*secret)(void *ctx, const struct config_peer *peer, bool next, uint8_t out[SECRET_BYTES]);
    /* Microseconds from any origin, for measuring how long our own work takes. NULL: that shall change nothing
     * (the simulator: a run must be the same each time). */
    uint64_t (*work_us)(void *ctx);
    /* What the codec's models of all peers begin from; outlives the bridge. NULL: it makes its own (the simulator has one for many
     * gateways, since making it takes longer than many a run). */
    struct primer_models *models;
    /* text ends in key=value pairs. */
    void (*log)(void *ctx, enum bridge_log level, const char *subsystem, const char *text);
};

/* config, links (one a config link, in its order) and store live longer than the bridge.
 * password: of the broker, NULL = none. Return: NULL with a sentence in err. */
struct bridge *bridge_new(const struct config *config, const struct bridge_link *links, struct store *store,
                          const struct bridge_env *env, const void *password, size_t password_len,
                          const struct store_now *now, char *err, size_t err_size) MUST_CHECK;
/* What is not committed is rolled back. */
void bridge_free(struct bridge *b);

/* ---- the broker's socket ---- */
void bridge_broker_open(struct bridge *b, const struct store_now *now);
void bridge_broker_closed(struct bridge *b, const char *why, const struct store_now *now);
void bridge_broker_bytes(struct bridge *b, const uint8_t *bytes, size_t n, const struct store_now *now);
void bridge_broker_dry(struct bridge *b, const struct store_now *now);
void bridge_broker_writable(struct bridge *b, const struct store_now *now);

/* ---- links ---- */
enum bridge_link_state { BRIDGE_LINK_DOWN, BRIDGE_LINK_CONNECTING, BRIDGE_LINK_UP };
void bridge_link_state(struct bridge *b, size_t link, uint64_t station, enum bridge_link_state state, const char *why,
                       const struct store_now *now);
void bridge_link_bytes(struct bridge *b, size_t link, uint64_t station, const uint8_t *bytes, size_t n, const struct store_now *now);
void bridge_link_writable(struct bridge *b, size_t link, uint64_t station, const struct store_now *now);
/* outcome: enum send_outcome of link_drivers/driver.h. */
void bridge_link_sent(struct bridge *b, size_t link, uint64_t station, uint64_t token, int outcome, const struct store_now *now);

/* How many of the link's deliveries (calls of bridge_link_bytes) are dealt with for good: what they brought is on our disk, or they
 * brought nothing. */
uint64_t bridge_link_covered(const struct bridge *b, size_t link);
/* A JSON object that the link has learnt of a station (0: of itself), shown in status; publish: also in the gateway's own topics. */
void bridge_link_report(struct bridge *b, size_t link, uint64_t station, const char *json, bool publish, const struct store_now *now);

/* ---- time ---- */
void bridge_on_timer(struct bridge *b, const struct store_now *now);
/* Monotonic ms at which bridge_on_timer must be called; INT64_MAX = never. Ask after each call of the above. */
int64_t bridge_deadline(const struct bridge *b, const struct store_now *now);

/* Commits what is open and says goodbye on links that are not metered and to the broker; output follows through env at once. */
void bridge_stop(struct bridge *b, const struct store_now *now);

/* `longwire status --json` (DESIGN 6): a JSON object, to be freed by the caller. NULL: out of memory. */
char *bridge_status_json(struct bridge *b, const struct store_now *now) MUST_CHECK;

#endif
