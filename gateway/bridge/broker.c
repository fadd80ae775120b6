/* The session with our own broker: subscriptions kept in step with the routes, acknowledgements after the commit and in
 * order of arrival (I1), duplicates of overlapping subscriptions left out (I4b). */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"

#define SUBSCRIBE_ID_FIRST 40000u   /* packet ids of SUBSCRIBE, by filter; UNSUBSCRIBE from the end down; messages use 1..FLIGHTS_MAX */
#define OUT_MAX_BYTES      (272u << 20) /* one packet of the largest size MQTT has, and room for acknowledgements */
#define RECEIVE_MAXIMUM    4096     /* in-flight window we offer; the broker's own is mostly smaller */
#define PACKET_OVERHEAD    (TOPIC_ROOM + MSG_PROPS_MAX_BYTES + 64)
#define TOPIC_ROOM         65536
#define CONNECT_TIMEOUT_MS 20000
#define FILTERS_VALUE_MAX  4000     /* bytes of a stored value that lists subscribed filters */

/* ---- which subscriptions the broker's session holds: remembered, so that a route taken out of the file is unsubscribed ---- */

/* "QOS FILTER" lines, in values of a few KB under "filters.0", "filters.1" ... ended by an empty one. */
static void filters_key(unsigned k, char key[32])
{
    snprintf(key, 32, "filters.%u", k);
}

static const struct route_filter *find_filter(const struct bridge *b, const char *filter)
{
    for (size_t i = 0; i < b->routes.filter_count; i++)
        if (strcmp(b->routes.filters[i].filter, filter) == 0)
            return &b->routes.filters[i];
    return NULL;
}

/* Unsubscribes what no route wants any more. Return: the session holds just what the routes want. */
static bool compare_subscriptions(struct bridge *b)
{
    uint16_t packet_id = UINT16_MAX;
    size_t same = 0, others = 0;
    for (unsigned k = 0;; k++) {
        char key[32], value[4096];
        size_t n = sizeof value - 1;
        filters_key(k, key);
        int rc = store_get(b->store, key, value, &n);
        if (rc != 0 || n == 0) {
            custody_failed(b, rc);
            return rc == 0 && others == 0 && same == b->routes.filter_count;
        }
        value[n] = '\0';
        char *save = NULL;
        for (char *line = strtok_r(value, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            if (strlen(line) < 3)
                continue;
            const struct route_filter *f = find_filter(b, line + 2);
            if (f && f->qos == line[0] - '0')
                same++;
            else
                others++;
            if (!f && mqtt_session_unsubscribe(b->broker.session, line + 2, packet_id--) == 0)
                bridge_logf(b, BRIDGE_INFO, "broker", "unsubscribed filter=%s", line + 2);
        }
    }
}

static bool save_filters(struct bridge *b, unsigned k, const char *value, size_t n)
{
    char key[32];
    filters_key(k, key);
    return !custody_failed(b, store_set(b->store, key, value, n));
}

static void remember_subscriptions(struct bridge *b)
{
    char value[FILTERS_VALUE_MAX];
    size_t n = 0;
    unsigned k = 0;
    for (size_t i = 0; i < b->routes.filter_count; i++) {
        const struct route_filter *f = &b->routes.filters[i];
        size_t len = strlen(f->filter) + 3;
        if (len > sizeof value)
            continue; /* cannot be remembered: it stays subscribed if its route goes */
        if (n + len > sizeof value) {
            if (!save_filters(b, k++, value, n))
                return;
            n = 0;
        }
        value[n] = (char)('0' + f->qos);
        value[n + 1] = ' ';
        memcpy(value + n + 2, f->filter, len - 3);
        value[n + len - 1] = '\n';
        n += len;
    }
    if ((n == 0 || save_filters(b, k++, value, n)) && save_filters(b, k, "", 0))
        custody_dirty(b, COMMIT_SOON_MS);
}

static void subscribe_all(struct bridge *b)
{
    const struct mqtt_connack *server = mqtt_session_server(b->broker.session);
    bool same = compare_subscriptions(b);
    /* MQTT 5 says with retain handling 1 that a subscription that is there brings no retained messages again; under 3.1.1 each SUBSCRIBE
     * brings them all. */
    if (same && server->session_present && server->version != MQTT_5)
        return;
    for (size_t i = 0; i < b->routes.filter_count; i++) {
        const struct route_filter *f = &b->routes.filters[i];
        struct mqtt_subscription sub = {f->filter, f->qos, server->sub_id_available ? f->id : 0};
        if (mqtt_session_subscribe(b->broker.session, &sub, (uint16_t)(SUBSCRIBE_ID_FIRST + i)) != 0)
            bridge_logf(b, BRIDGE_ERR, "broker", "cannot subscribe filter=%s", f->filter);
    }
    if (!same)
        remember_subscriptions(b);
}

/* ---- acknowledgements ---- */

static void owe(struct bridge *b, enum owed_kind kind, uint16_t packet_id)
{
    struct broker *br = &b->broker;
    if (br->owed_count == br->owed_size) {
        size_t size = br->owed_size ? 2 * br->owed_size : 64;
        struct owed_ack *more = realloc(br->owed, size * sizeof *more);
        if (!more) {
            broker_drop(b, false, "out of memory");
            return;
        }
        br->owed = more;
        br->owed_size = size;
    }
    br->owed[br->owed_count++] = (struct owed_ack){kind, packet_id};
    /* Half of the window unacknowledged: the broker is about to stop sending (I1). */
    bool half = mqtt_session_unacked(br->session) >= mqtt_session_window(br->session) / 2;
    custody_dirty(b, half ? 0 : COMMIT_LATEST_MS);
}

void broker_release_acks(struct bridge *b)
{
    struct broker *br = &b->broker;
    for (size_t i = 0; i < br->owed_count; i++) {
        int rc = 0;
        switch (br->owed[i].kind) {
        case OWED_PUBACK:
            rc = mqtt_session_puback(br->session, br->owed[i].packet_id);
            break;
        case OWED_PUBREC:
            rc = mqtt_session_pubrec(br->session, br->owed[i].packet_id);
            break;
        case OWED_PUBCOMP:
            rc = mqtt_session_pubcomp(br->session, br->owed[i].packet_id);
            break;
        }
        if (rc != 0)
            break; /* not connected any more: the session's next connection sorts it out */
    }
    br->owed_count = 0;
}

/* ---- session events ---- */

static void on_connected(void *ctx, const struct mqtt_connack *server)
{
    struct bridge *b = ctx;
    b->broker.connected = true;
    b->env.broker_settled(b->env.ctx);
    bridge_logf(b, BRIDGE_INFO, "broker", "connected protocol=%s session=%s%s", server->version == MQTT_5 ? "5" : "3.1.1",
                server->session_present ? "present" : "new", server->bridge ? " bridge=yes" : "");
    if (!server->session_present && custody_failed(b, store_qos2_clear(b->store)))
        return;
    publisher_connected(b, server->session_present);
    subscribe_all(b);
    state_connected(b);
}

static void on_closed(void *ctx, enum mqtt_close why, uint8_t code, const char *text)
{
    struct bridge *b = ctx;
    static const char *const words[] = {"refused", "no answer", "protocol error", "disconnected by the broker",
                                        "packet too large", "version refused", "out of memory"};
    bridge_logf(b, why == MQTT_CLOSE_VERSION ? BRIDGE_INFO : BRIDGE_WARN, "broker", "%s: %s code=0x%02x", words[why],
                text ? text : "", code);
    b->broker.by_broker = why == MQTT_CLOSE_SERVER;
    broker_drop(b, why == MQTT_CLOSE_VERSION, words[why]);
}

/* Returns NULL with the store or memory failed. */
static struct msg *msg_of(struct bridge *b, const struct mqtt_publish *p)
{
    struct msg *m = msg_new(p->topic, p->topic_len, p->payload, p->payload_len, p->props, p->props_len, "");
    if (!m)
        return NULL;
    m->qos = p->qos;
    m->retain = p->retain;
    m->origin_ms = b->now.wall_ms;
    m->expiry_ms = p->has_expiry ? (int64_t)p->expiry_s * 1000 : MSG_NO_EXPIRY;
    return m;
}

/* Overlapping subscriptions bring one copy each, marked with the subscription's identifier; only the copy of the first
 * matching filter counts (I4b). Without identifiers (3.1.1) one copy comes. */
static bool copy_counts(const struct bridge *b, const struct mqtt_publish *p, const char *topic)
{
    const struct route_filter *f = routes_counting_filter(&b->routes, topic);
    if (!f)
        return false; /* a subscription of an earlier configuration */
    if (p->subscription_id_count == 0)
        return true;
    for (unsigned i = 0; i < p->subscription_id_count; i++)
        if (p->subscription_ids[i] == f->id)
            return true;
    return false;
}

static uint64_t qos2_hash(const struct mqtt_publish *p)
{
    uint64_t h = hash64_add(HASH64_START, &p->payload_len, sizeof p->payload_len);
    h = hash64_add(h, p->topic, p->topic_len);
    return hash64_add(h, p->payload, p->payload_len);
}

/* Have we taken this message already? A packet id says so until PUBREL. After that the id may stand for another message,
 * but mosquitto 2.0 sends a released message again, marked DUP, when its connection broke while it was resending PUBRELs
 * (two kills in quick succession). So a DUP under an id that was released lately counts as the old one if it is the
 * same message too: the id alone would lose a new one, of a broker that uses its ids again at once.
 * Return: false: the store failed. */
static bool qos2_repeated(struct bridge *b, const struct mqtt_publish *p, bool *repeated)
{
    int rc = store_qos2_known(b->store, p->packet_id);
    if (rc == STORE_NONE && p->dup) {
        uint64_t hash = qos2_hash(p);
        rc = store_qos2_was(b->store, p->packet_id, hash);
        if (rc == 0)
            rc = store_qos2_add(b->store, p->packet_id, hash);
    }
    *repeated = rc == 0;
    return !custody_failed(b, rc);
}

static void on_oversize(void *ctx, const struct mqtt_publish *p, size_t packet_bytes);

static void on_publish(void *ctx, const struct mqtt_publish *p)
{
    struct bridge *b = ctx;
    if (p->props_len > MSG_PROPS_MAX_BYTES) {
        struct mqtt_publish bare = *p;
        bare.props_len = 0;
        on_oversize(b, &bare, p->props_len);
        return;
    }
    if (b->failed || b->broker.dropping)
        return;
    if (store_full(b->store)) {
        /* Not taken, not acknowledged: it comes again with the next connection (I1). QoS 0 is lost here, and counted. */
        b->broker.took_nothing = true;
        b->broker.refused_full += p->qos == 0;
        return;
    }
    bool repeated = false;
    if (p->qos == 2 && !qos2_repeated(b, p, &repeated))
        return;
    if (!repeated) {
        struct msg *m = msg_of(b, p);
        if (!m) {
            broker_drop(b, false, "out of memory");
            return;
        }
        bool ok = true;
        if (copy_counts(b, p, m->topic)) {
            b->broker.received++;
            ok = outbound_offer(b, m, NULL);
        }
        msg_free(m);
        if (!ok || (p->qos == 2 && custody_failed(b, store_qos2_add(b->store, p->packet_id, qos2_hash(p)))))
            return;
    }
    if (p->qos == 1)
        owe(b, OWED_PUBACK, p->packet_id);
    else if (p->qos == 2)
        owe(b, OWED_PUBREC, p->packet_id);
    else
        custody_dirty(b, COMMIT_LATEST_MS);
}

/* A 3.1.1 broker sent what is larger than any route takes; the payload was passed over. Counted and told like any oversize message, with
 * its gap record, and acknowledged, or it would come again with every connection. */
static void on_oversize(void *ctx, const struct mqtt_publish *p, size_t packet_bytes)
{
    struct bridge *b = ctx;
    bridge_logf(b, BRIDGE_WARN, "broker", "message too large topic=%.*s bytes=%zu", (int)p->topic_len, p->topic, packet_bytes);
    if (b->failed || b->broker.dropping || store_full(b->store))
        return;
    struct msg *m = msg_of(b, p);
    if (!m) {
        broker_drop(b, false, "out of memory");
        return;
    }
    m->payload_len = UINT32_MAX; /* the payload is not there; what counts is that it is above max_payload */
    bool ok = !copy_counts(b, p, m->topic) || outbound_offer(b, m, NULL);
    m->payload_len = 0;
    msg_free(m);
    if (!ok || (p->qos == 2 && custody_failed(b, store_qos2_add(b->store, p->packet_id, qos2_hash(p)))))
        return;
    if (p->qos)
        owe(b, p->qos == 1 ? OWED_PUBACK : OWED_PUBREC, p->packet_id);
}

static void on_pubrel(void *ctx, uint16_t packet_id)
{
    struct bridge *b = ctx;
    if (b->failed || b->broker.dropping || custody_failed(b, store_qos2_release(b->store, packet_id)))
        return;
    /* Forgotten on disk before PUBCOMP allows the broker to use the packet id for another message. */
    owe(b, OWED_PUBCOMP, packet_id);
}

static void on_puback(void *ctx, uint16_t packet_id, uint8_t reason)
{
    publisher_puback(ctx, packet_id, reason);
}

static void on_pubrec(void *ctx, uint16_t packet_id, uint8_t reason)
{
    publisher_pubrec(ctx, packet_id, reason);
}

static void on_pubcomp(void *ctx, uint16_t packet_id, uint8_t reason)
{
    (void)reason; /* 0x92 (not found) ends it as well */
    publisher_pubcomp(ctx, packet_id);
}

static void on_suback(void *ctx, uint16_t packet_id, const uint8_t *reasons, size_t n)
{
    struct bridge *b = ctx;
    for (size_t i = 0; i < n; i++) {
        size_t k = packet_id >= SUBSCRIBE_ID_FIRST ? packet_id - SUBSCRIBE_ID_FIRST : SIZE_MAX;
        const char *filter = k < b->routes.filter_count ? b->routes.filters[k].filter : "?";
        if (reasons[i] >= 0x80)
            bridge_logf(b, BRIDGE_ERR, "broker", "subscription refused filter=%s reason=0x%02x", filter, reasons[i]);
        else if (k < b->routes.filter_count && reasons[i] < b->routes.filters[k].qos)
            bridge_logf(b, BRIDGE_WARN, "broker", "the broker grants less than asked filter=%s qos=%u", filter, reasons[i]);
    }
}

static void on_unsuback(void *ctx, uint16_t packet_id)
{
    (void)ctx;
    (void)packet_id;
}

static const struct mqtt_session_ops session_ops = {
    .connected = on_connected,
    .closed = on_closed,
    .publish = on_publish,
    .pubrel = on_pubrel,
    .puback = on_puback,
    .pubrec = on_pubrec,
    .pubcomp = on_pubcomp,
    .suback = on_suback,
    .unsuback = on_unsuback,
    .oversize = on_oversize,
};

int broker_init(struct bridge *b, const void *password, size_t password_len)
{
    const struct config_broker *c = &b->config->broker;
    int64_t largest = 0;
    for (size_t i = 0; i < b->config->route_count; i++)
        if (b->config->routes[i].max_payload > largest)
            largest = b->config->routes[i].max_payload;
    /* Twice the largest payload wanted, so that an oversize message is refused, counted and told, and not the connection
     * closed on it; what is larger still the broker drops itself, as we tell it our limit. */
    int64_t packet_max = 2 * largest + PACKET_OVERHEAD;
    if (packet_max < 1 << 20)
        packet_max = 1 << 20;
    if (packet_max > 268435460)
        packet_max = 268435460;

    char will_topic[STATE_TOPIC_MAX];
    struct mqtt_session_config sc = {
        .version = c->protocol == PROTOCOL_5 ? MQTT_5 : c->protocol == PROTOCOL_311 ? MQTT_311 : MQTT_AUTO,
        .client_id = c->client_id,
        .username = c->username,
        .password = password,
        .password_len = password_len,
        .keepalive_s = (uint32_t)(c->keepalive_ms / 1000),
        .session_expiry_s = c->session_expiry_ms == OPTION_NEVER || c->session_expiry_ms / 1000 >= UINT32_MAX
                                ? UINT32_MAX
                                : (uint32_t)(c->session_expiry_ms / 1000),
        .will = {state_topic(b, will_topic, "state"), "offline", 7, 1, true},
        .receive_maximum = RECEIVE_MAXIMUM,
        .packet_max_bytes = (uint32_t)packet_max,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
    };
    buf_init(&b->broker.out, OUT_MAX_BYTES);
    b->broker.session = mqtt_session_new(&sc, &session_ops, b, &b->broker.out);
    return b->broker.session ? 0 : -ENOMEM;
}

void broker_fini(struct bridge *b)
{
    mqtt_session_free(b->broker.session);
    buf_fini(&b->broker.out);
    free(b->broker.owed);
}

void broker_drop(struct bridge *b, bool at_once, const char *why)
{
    if (b->broker.connected)
        bridge_logf(b, BRIDGE_INFO, "broker", "connection dropped: %s", why);
    b->broker.dropping = true;
    b->env.broker_drop(b->env.ctx, at_once);
}

void broker_finish_drop(struct bridge *b)
{
    if (!b->broker.dropping)
        return;
    b->broker.dropping = false;
    bool was = b->broker.connected;
    b->broker.connected = false;
    b->broker.owed_count = 0; /* what they acknowledge is asked for again by the broker, and QoS 2 is recognised */
    mqtt_session_stop(b->broker.session);
    buf_clear(&b->broker.out);
    buf_trim(&b->broker.out, 65536);
    if (was)
        publisher_closed(b, b->broker.by_broker);
    b->broker.by_broker = false;
}

/* ---- the socket's events ---- */

void bridge_broker_open(struct bridge *b, const struct store_now *now)
{
    b->now = *now;
    buf_clear(&b->broker.out);
    mqtt_session_start(b->broker.session, now->mono_ms);
    bridge_turn(b);
}

void bridge_broker_closed(struct bridge *b, const char *why, const struct store_now *now)
{
    b->now = *now;
    bridge_logf(b, BRIDGE_WARN, "broker", "%s: %s", b->broker.connected ? "connection closed" : "no connection", why);
    b->broker.dropping = b->broker.by_broker = true;
    broker_finish_drop(b);
    bridge_turn(b);
}

void bridge_broker_bytes(struct bridge *b, const uint8_t *bytes, size_t n, const struct store_now *now)
{
    b->now = *now;
    mqtt_session_feed(b->broker.session, bytes, n, now->mono_ms);
    bridge_turn(b);
}

void bridge_broker_dry(struct bridge *b, const struct store_now *now)
{
    b->now = *now;
    if (b->commit_at != NEVER && b->broker.owed_count)
        custody_dirty(b, 0);
    bridge_turn(b);
}

void bridge_broker_writable(struct bridge *b, const struct store_now *now)
{
    b->now = *now;
    bridge_turn(b);
}
