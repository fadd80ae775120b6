/* The gateway's own topics, retained, so that whoever looks at the broker sees how it stands:
 *
 *     topic_base/NAME/state              online | offline (the will)
 *     topic_base/NAME/peer/PEER/state    {"state":"ready","queued":N,...}
 *     topic_base/NAME/link/LINK/state    {"state":"up","peer":...}
 *     topic_base/NAME/peer/PEER/report   what a link has learnt of the peer (a position, a session), where it is asked to tell
 *     topic_base/NAME/link/LINK/report   and of itself
 *
 * They go straight to the session, so they never wait behind data, and with QoS 0: the next one says it anew. */
#include "gateway/bridge/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#define STATE_SOON_MS   200    /* changes in quick succession are told once */
#define STATE_REPEAT_MS 60000  /* figures (queue, counters) are refreshed so often while they change */

const char *state_topic(const struct bridge *b, char out[STATE_TOPIC_MAX], const char *fmt, ...)
{
    int n = snprintf(out, STATE_TOPIC_MAX, "%s/%s/", b->config->broker.topic_base, b->config->site_name);
    if (n < 0 || n >= STATE_TOPIC_MAX)
        n = STATE_TOPIC_MAX - 1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out + n, STATE_TOPIC_MAX - (size_t)n, fmt, ap);
    va_end(ap);
    return out;
}

static void publish(struct bridge *b, const char *topic, const char *payload)
{
    struct mqtt_out out = {
        .topic = topic,
        .payload = payload,
        .payload_len = strlen(payload),
        .retain = mqtt_session_server(b->broker.session)->retain_available,
    };
    if (mqtt_session_publish(b->broker.session, &out) != 0)
        bridge_logf(b, BRIDGE_DEBUG, "broker", "state not published topic=%s", topic);
}

static void publish_json(struct bridge *b, const char *topic, json_t *o)
{
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    if (text)
        publish(b, topic, text);
    free(text);
    json_decref(o);
}

static const char *const channel_names[] = {"idle", "greeting", "ready", "silent"};

static void publish_all(struct bridge *b)
{
    char topic[STATE_TOPIC_MAX];
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[i];
        struct store_queue q;
        if (custody_failed(b, store_peer_queue(b->store, p->id, &q)))
            return;
        publish_json(b, state_topic(b, topic, "peer/%s/state", p->config->name),
                     json_pack("{s:s, s:s, s:I, s:I}", "state", channel_names[channel_state(p->channel)], "link",
                               b->config->links[p->link].name, "queued", (json_int_t)q.messages, "queued_bytes",
                               (json_int_t)q.bytes));
    }
    for (size_t i = 0; i < b->config->link_count; i++)
        publish_json(b, state_topic(b, topic, "link/%s/state", b->config->links[i].name),
                     json_pack("{s:s, s:s}", "state", b->link_up[i] ? "up" : "down", "driver",
                               b->config->links[i].driver->name));
    for (size_t i = 0; i < b->peer_count; i++)
        if (b->peers[i].report.publish)
            publish(b, state_topic(b, topic, "peer/%s/report", b->peers[i].config->name), b->peers[i].report.json);
    for (size_t i = 0; i < b->config->link_count; i++)
        if (b->reports[i].publish)
            publish(b, state_topic(b, topic, "link/%s/report", b->config->links[i].name), b->reports[i].json);
}

void state_connected(struct bridge *b)
{
    char topic[STATE_TOPIC_MAX];
    publish(b, state_topic(b, topic, "state"), "online");
    publish_all(b);
    b->state_at = b->now.mono_ms + STATE_REPEAT_MS;
}

void state_changed(struct bridge *b)
{
    int64_t at = b->now.mono_ms + STATE_SOON_MS;
    if (at < b->state_at)
        b->state_at = at;
}

void state_on_timer(struct bridge *b)
{
    if (b->state_at > b->now.mono_ms)
        return;
    if (b->broker.connected && !b->failed)
        publish_all(b);
    b->state_at = b->broker.connected ? b->now.mono_ms + STATE_REPEAT_MS : NEVER;
}

void bridge_link_report(struct bridge *b, size_t link, uint64_t station, const char *json, bool publish, const struct store_now *now)
{
    b->now = *now;
    struct report *r = &b->reports[link];
    for (size_t i = 0; i < b->peer_count && station != 0; i++)
        if (b->peers[i].link == link && b->peers[i].station == station)
            r = &b->peers[i].report;
    json_t *o = strlen(json) <= REPORT_MAX_BYTES ? json_loads(json, 0, NULL) : NULL;
    char *text = json_is_object(o) ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(o);
    if (!text) {
        bridge_logf(b, BRIDGE_WARN, "link", "a report is no JSON object, or too long link=%s", b->config->links[link].name);
        return;
    }
    free(r->json);
    *r = (struct report){text, publish};
    state_changed(b);
    bridge_turn(b);
}
