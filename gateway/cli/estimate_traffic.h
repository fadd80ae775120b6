/* Messages on their way through an operator's routes to the gateways of its peers: what each topic
 * costs. Takes time from the messages.
 *
 * What is carried, and what it comes to on the link, the gateways themselves decide (estimate_pair.h);
 * here is counted what comes out at the far ends, topic by topic. */
#ifndef CLI_ESTIMATE_TRAFFIC_H
#define CLI_ESTIMATE_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "config/config.h"
#include "gateway/cli/estimate_input.h"
#include "gateway/cli/estimate_link.h"

#define ESTIMATE_TOPICS_MAX  1000000
#define ESTIMATE_REASONS_MAX 16

/* One topic of one peer; or the sum of them. */
struct estimate_sum {
    uint64_t messages, payload_bytes; /* that came out at the far end */
    uint64_t stream_bytes;            /* of the codec (estimate_share.h), its topic's name with it */
    uint64_t mqtt_tcp_bytes; /* the same messages over MQTT 3.1.1 over TCP/IP over PPP, both ways,
                                QoS 1 */
    uint64_t mqtt_sn_bytes;  /* over MQTT-SN 1.2, both ways, QoS 1 */
};
struct estimate_topic {
    char *name; /* as the local broker knows it */
    struct estimate_sum sum;
};
/* Messages that were not carried, by the gateway's name of the reason. */
struct estimate_dropped {
    char reason[32];
    uint64_t count;
};
struct estimate_peer {
    char *name;
    struct estimate_topic *topics;
    size_t topic_count;
    struct estimate_sum sum;
    struct estimate_dropped dropped[ESTIMATE_REASONS_MAX];
    size_t dropped_count;
    struct estimate_totals totals;
};

struct estimate_traffic;

/* config NULL: one peer, one route that takes all. config outlives the traffic. give_up: asked now
 * and then while the last messages find their way. Return: NULL when out of memory. */
struct estimate_traffic *estimate_traffic_new(const struct config *config,
                                              const struct estimate_link *link,
                                              bool (*give_up)(void *ctx), void *ctx) MUST_CHECK;
void estimate_traffic_free(struct estimate_traffic *t); /* NULL is allowed */
/* Return: 0; -ENOMEM; -E2BIG: more than ESTIMATE_TOPICS_MAX topics; other negative: the gateways
 * cannot be had, or do not get on: estimate_traffic_error. */
int estimate_traffic_put(struct estimate_traffic *t, const struct estimate_message *m) MUST_CHECK;
/* No message follows: runs until all have arrived. Return: as above; -EINTR: given up. */
int estimate_traffic_end(struct estimate_traffic *t) MUST_CHECK;
/* A sentence about what went wrong, for any of these. */
const char *estimate_traffic_error(const struct estimate_traffic *t, int rc);

/* After the end. Belongs to the traffic. */
const struct estimate_peer *estimate_traffic_peers(const struct estimate_traffic *t, size_t *count);
uint64_t estimate_traffic_messages(const struct estimate_traffic *t);
uint64_t estimate_traffic_unrouted(const struct estimate_traffic *t);
/* Between the first message and the last. */
int64_t estimate_traffic_span_ms(const struct estimate_traffic *t);

#endif
