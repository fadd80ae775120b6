/* Which peer and route a topic belongs to: the routes of the configuration, made ready for matching. Pure. */
#ifndef BRIDGE_ROUTES_H
#define BRIDGE_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "config/config.h"

/* One subscription at the broker: the distinct filters of all routes in file order. */
struct route_filter {
    const char *filter;          /* belongs to the configuration */
    uint8_t qos;                 /* highest QoS of any route whose filters overlap this one */
    uint32_t id;                 /* subscription identifier: index + 1 */
};

struct routes {
    const struct config *config;
    struct route_filter *filters;
    size_t filter_count;
    char *own_topics;            /* filter of the gateway's own topics, never forwarded: "topic_base/NAME/#" */
};

int routes_init(struct routes *r, const struct config *config) MUST_CHECK;
void routes_fini(struct routes *r);

/* The first route of the peer, in file order, that takes this topic: matches one of topics and none of exclude. NULL: none. */
const struct config_route *routes_match(const struct routes *r, const char *peer, const char *topic);
/* The subscription whose copy counts (I4b): the first filter in order that matches; NULL: none matches. */
const struct route_filter *routes_counting_filter(const struct routes *r, const char *topic);
/* The topic as the far end gets it: strip_prefix off, remote_prefix before. *remote: to be freed, NULL on failure.
 * Return: 0; -EINVAL: what remains is no topic; -ENOMEM. */
int route_remote_topic(const struct config_route *route, const char *topic, char **remote) MUST_CHECK;

#endif
