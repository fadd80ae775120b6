#include "gateway/bridge/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/topic.h"

/* Overlapping filters make brokers send several copies (one a subscription, measured on mosquitto), each cut to its own
 * subscription's QoS. Only one copy counts, so each subscription asks for the highest QoS that any overlapping route wants. */
static uint8_t highest_qos(const struct config *c, const char *filter)
{
    int64_t qos = 0;
    for (size_t i = 0; i < c->route_count; i++) {
        const struct config_route *route = &c->routes[i];
        for (size_t k = 0; k < route->topics.count; k++)
            if (topic_filters_overlap(filter, route->topics.items[k]) && route->qos > qos)
                qos = route->qos;
    }
    return (uint8_t)qos;
}

static bool known(const struct routes *r, const char *filter)
{
    for (size_t i = 0; i < r->filter_count; i++)
        if (strcmp(r->filters[i].filter, filter) == 0)
            return true;
    return false;
}

int routes_init(struct routes *r, const struct config *config)
{
    memset(r, 0, sizeof *r);
    r->config = config;
    size_t most = 0;
    for (size_t i = 0; i < config->route_count; i++)
        most += config->routes[i].topics.count;
    r->filters = calloc(most ? most : 1, sizeof *r->filters);
    const char *base = config->broker.topic_base;
    size_t n = strlen(base) + strlen(config->site_name) + sizeof "//#";
    r->own_topics = malloc(n);
    if (!r->filters || !r->own_topics) {
        routes_fini(r);
        return -ENOMEM;
    }
    strcpy(r->own_topics, base);
    strcat(strcat(strcat(r->own_topics, "/"), config->site_name), "/#");

    for (size_t i = 0; i < config->route_count; i++) {
        const struct string_list *topics = &config->routes[i].topics;
        for (size_t k = 0; k < topics->count; k++) {
            if (known(r, topics->items[k]))
                continue;
            struct route_filter *f = &r->filters[r->filter_count++];
            f->filter = topics->items[k];
            f->qos = highest_qos(config, f->filter);
            f->id = (uint32_t)r->filter_count;
        }
    }
    return 0;
}

void routes_fini(struct routes *r)
{
    free(r->filters);
    free(r->own_topics);
    memset(r, 0, sizeof *r);
}

static bool any_matches(const struct string_list *filters, const char *topic)
{
    for (size_t i = 0; i < filters->count; i++)
        if (topic_matches(filters->items[i], topic))
            return true;
    return false;
}

static bool names(const struct string_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

const struct config_route *routes_match(const struct routes *r, const char *peer, const char *topic)
{
    if (topic_matches(r->own_topics, topic))
        return NULL;
    for (size_t i = 0; i < r->config->route_count; i++) {
        const struct config_route *route = &r->config->routes[i];
        if (names(&route->peers, peer) && any_matches(&route->topics, topic) &&
            !any_matches(&route->exclude, topic))
            return route;
    }
    return NULL;
}

const struct route_filter *routes_counting_filter(const struct routes *r, const char *topic)
{
    for (size_t i = 0; i < r->filter_count; i++)
        if (topic_matches(r->filters[i].filter, topic))
            return &r->filters[i];
    return NULL;
}

int route_remote_topic(const struct config_route *route, const char *topic, char **remote)
{
    size_t strip = strlen(route->strip_prefix);
    if (strip && strncmp(topic, route->strip_prefix, strip) == 0)
        topic += strip;
    size_t n = strlen(route->remote_prefix) + strlen(topic);
    *remote = malloc(n + 1);
    if (!*remote)
        return -ENOMEM;
    strcat(strcpy(*remote, route->remote_prefix), topic);
    if (topic_name_valid(*remote, n))
        return 0;
    free(*remote);
    *remote = NULL;
    return -EINVAL;
}
