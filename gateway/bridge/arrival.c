/* A whole message of a peer, taken into custody: refused or accepted, for our own broker, and onward to other peers where it may be
 * forwarded. Its number is settled in the same transaction (kept.c). */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/topic.h"

#define HOPS_ROOM (MSG_HOPS_MAX * (CONFIG_NAME_MAX + 1))

/* Our own state topics are nobody else's, under whatever prefix. */
bool arrival_accepts(const struct peer *p, const char *topic)
{
    const struct string_list *accept = &p->config->accept;
    const char *prefix = p->config->deliver_prefix;
    char local[STATE_TOPIC_MAX];
    if (snprintf(local, sizeof local, "%s%s", prefix, topic) < (int)sizeof local &&
        topic_matches(p->bridge->routes.own_topics, local))
        return false;
    for (size_t i = 0; i < accept->count; i++)
        if (topic_matches(accept->items[i], topic))
            return true;
    return false;
}

/* Counts once, and notes the topic where the operator looks for it. */
static void refuse(struct peer *p, const char *name, const char *topic)
{
    bridge_count(p, name, 1);
    bridge_logf(p->bridge, BRIDGE_WARN, "peer", "message not taken: %s peer=%s topic=%s", name, p->config->name, topic);
}

void arrival_not_accepted(struct peer *p, const char *topic)
{
    bridge_count(p, "received", 1);
    refuse(p, "dropped.not_accepted", topic);
}

bool arrival_put_inbox(struct peer *p, const struct msg *m, uint64_t number)
{
    struct bridge *b = p->bridge;
    int64_t key;
    if (custody_failed(b, store_inbox_put(b->store, p->id, m, number, bridge_age(b), &key)))
        return false;
    publisher_added(b, m->class);
    return true;
}

/* For our own broker: with deliver_prefix before the topic. The hops stay, for lw-site. */
static bool publish_here(struct peer *p, const struct msg *m, uint64_t number)
{
    const char *prefix = p->config->deliver_prefix;
    size_t n = strlen(prefix) + m->topic_len;
    char *topic = malloc(n + 1);
    if (!topic) {
        custody_failed(p->bridge, -ENOMEM);
        return false;
    }
    strcat(strcpy(topic, prefix), m->topic);
    if (!topic_name_valid(topic, n)) {
        refuse(p, "dropped.refused", m->topic);
        free(topic);
        return true;
    }
    struct msg *local = msg_new(topic, n, m->payload, m->payload_len, m->props, m->props_len, m->hops);
    free(topic);
    if (!local) {
        custody_failed(p->bridge, -ENOMEM);
        return false;
    }
    local->class = m->class;
    local->qos = m->qos;
    local->retain = m->retain;
    local->origin_ms = m->origin_ms;
    local->expiry_ms = m->expiry_ms;
    bool ok = arrival_put_inbox(p, local, number);
    if (ok && p->config->forward) {
        /* Forwarding works on the topic as it is published here, like any message of this site, and never goes back. */
        char hops[HOPS_ROOM + CONFIG_NAME_MAX + 2];
        unsigned count = m->hops_len != 0;
        for (uint32_t i = 0; i < m->hops_len; i++)
            count += m->hops[i] == ',';
        if (count >= MSG_HOPS_MAX || m->hops_len >= HOPS_ROOM) {
            bridge_count(p, "dropped.hops", 1);
        } else {
            snprintf(hops, sizeof hops, "%s%s%s", m->hops_len ? m->hops : "", m->hops_len ? "," : "", p->config->name);
            struct msg *onward = msg_new(local->topic, local->topic_len, local->payload, local->payload_len, local->props,
                                         local->props_len, hops);
            if (onward) {
                onward->class = local->class;
                onward->qos = local->qos;
                onward->retain = local->retain;
                onward->origin_ms = local->origin_ms;
                onward->expiry_ms = local->expiry_ms;
                ok = outbound_offer(p->bridge, onward, p);
                msg_free(onward);
            } else {
                custody_failed(p->bridge, -ENOMEM);
                ok = false;
            }
        }
    }
    msg_free(local);
    return ok;
}

/* Takes custody of a message whose number was new, or keeps it for later. */
void arrival_pass_on(struct peer *p, uint64_t number, const struct msg *m)
{
    struct bridge *b = p->bridge;
    if (custody_failed(b, store_history_add(b->store, p->id, STORE_IN, number, m)))
        return;
    if (!arrival_accepts(p, m->topic)) {
        arrival_not_accepted(p, m->topic);
        return;
    }
    bridge_count(p, "received", 1);
    if (m->payload_len > (uint64_t)p->config->max_message)
        refuse(p, "dropped.too_large", m->topic);
    else
        publish_here(p, m, number);
}

struct msg *arrival_msg(struct peer *p, const struct record *r, const char *topic, const uint8_t *payload, uint32_t n)
{
    struct msg *m = msg_new(topic, strlen(topic), payload, n, r->props, r->props_len, "");
    if (m && r->hops_len) {
        struct msg *with = NULL;
        char *hops = strndup(r->hops, r->hops_len);
        if (hops)
            with = msg_new(topic, strlen(topic), payload, n, r->props, r->props_len, hops);
        free(hops);
        msg_free(m);
        m = with;
    }
    if (!m) {
        custody_failed(p->bridge, -ENOMEM);
        return NULL;
    }
    m->class = r->class;
    m->qos = r->qos;
    m->retain = r->retain;
    m->origin_ms = r->has_origin ? r->origin_ms : 0;
    m->expiry_ms = r->has_expiry ? (int64_t)r->expiry_s * 1000 : MSG_NO_EXPIRY;
    return m;
}
