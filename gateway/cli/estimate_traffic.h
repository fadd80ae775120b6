/* Messages on their way through an operator's routes to the lines of its peers: what each topic
 * costs. Pure: takes time from the messages.
 *
 * It keeps to what decides about bytes: first matching route, prefixes, priority, keep = latest,
 * min_interval, retain, max_payload. Links are taken to be up all the time, so nothing expires and
 * no queue overflows. */
#ifndef CLI_ESTIMATE_TRAFFIC_H
#define CLI_ESTIMATE_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "config/config.h"
#include "gateway/cli/estimate_input.h"
#include "gateway/cli/estimate_line.h"

#define ESTIMATE_TOPICS_MAX 1000000

/* One topic of one peer; or the sum of them. */
struct estimate_sum {
    uint64_t messages, payload_bytes; /* that were carried */
    uint64_t stream_bytes;            /* of the codec, its topic's name with it */
    uint64_t mqtt_tcp_bytes; /* the same messages over MQTT 3.1.1 over TCP/IP over PPP, both ways,
                                QoS 1 */
    uint64_t mqtt_sn_bytes;  /* over MQTT-SN 1.2, both ways, QoS 1 */
};
struct estimate_topic {
    char *name; /* as the local broker knows it */
    struct estimate_sum sum;
};
struct estimate_peer {
    char *name;
    struct estimate_topic *topics;
    size_t topic_count;
    struct estimate_sum sum;
    uint64_t replaced, refused,
        unwanted; /* latest and min_interval; max_payload or no topic; retain */
    struct estimate_totals totals;
};

struct estimate_traffic;

/* config NULL: one peer, one route that takes all. timestamps: enum timestamps; -1: as the peer has
 * it. config outlives the traffic. Return: NULL when out of memory. */
struct estimate_traffic *estimate_traffic_new(const struct config *config,
                                              const struct estimate_link *link,
                                              int timestamps) MUST_CHECK;
void estimate_traffic_free(struct estimate_traffic *t); /* NULL is allowed */
/* Return: 0; -ENOMEM; -E2BIG: more than ESTIMATE_TOPICS_MAX topics. */
int estimate_traffic_put(struct estimate_traffic *t, const struct estimate_message *m) MUST_CHECK;
/* No message follows: what waits leaves. Return: as above. */
int estimate_traffic_end(struct estimate_traffic *t) MUST_CHECK;

/* After the end. Belongs to the traffic. */
const struct estimate_peer *estimate_traffic_peers(const struct estimate_traffic *t, size_t *count);
uint64_t estimate_traffic_messages(const struct estimate_traffic *t);
uint64_t estimate_traffic_unrouted(const struct estimate_traffic *t);
/* Between the first message and the last. */
int64_t estimate_traffic_span_ms(const struct estimate_traffic *t);

#endif
