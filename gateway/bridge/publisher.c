/* Inbox -> broker. A message gets a packet id, which is committed before PUBLISH leaves; PUBREC is committed before PUBREL
 * leaves; so that after kill -9 at any instant the session goes on where it was, and QoS 2 stays exactly once (I4).
 *
 * Packet ids 1..FLIGHTS_MAX are used. In the first session of a process the broker may hold something of an earlier life under
 * any of them (a store lost, a card restored): each that is not ours gets a PUBREL before its first use. */
#include "gateway/bridge/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/topic.h"

#define REFUSALS_MAX   3           /* connections that the broker may close on a message before it is set aside */
#define PENDING_HIGH   (256u << 10) /* bytes for the socket above which we wait: state topics must not queue behind data */
#define CAREFUL_WINDOW 1
#define REASON_QUOTA_EXCEEDED 0x97 /* MQTT-3.4.2.1, MQTT-3.5.2.1 */

/* ---- flights ---- */

static struct flight *by_packet_id(struct publisher *pub, uint16_t packet_id)
{
    for (unsigned i = 0; i < pub->count; i++)
        if (pub->flights[i].packet_id == packet_id)
            return &pub->flights[i];
    return NULL;
}

static void remove_flight(struct publisher *pub, struct flight *f)
{
    msg_free(f->msg);
    size_t after = (size_t)(&pub->flights[pub->count] - (f + 1));
    memmove(f, f + 1, after * sizeof *f);
    pub->count--;
}

static uint16_t free_packet_id(struct publisher *pub)
{
    for (uint16_t id = 1; id <= FLIGHTS_MAX; id++)
        if (pub->cleared[id] && !by_packet_id(pub, id))
            return id;
    return 0;
}

static void add_flight(struct publisher *pub, struct inbox_row *row, enum flight_state state, bool dup)
{
    pub->flights[pub->count++] = (struct flight){
        .state = state,
        .key = row->key,
        .class = row->msg->class,
        .packet_id = row->packet_id,
        .qos = row->msg->qos,
        .dup = dup,
        .again = row->again,
        .refusals = row->refusals,
        .peer = row->peer,
        .received_age_ms = row->received_age_ms,
        .msg = row->msg,
    };
}

/* ---- a session begins ---- */

struct resumed {
    struct bridge *b;
    int64_t keys[FLIGHTS_MAX];
    uint16_t packet_ids[FLIGHTS_MAX];
    enum inbox_state states[FLIGHTS_MAX];
    unsigned count;
};

static void note_resumed(void *ctx, int64_t key, enum inbox_state state, uint16_t packet_id, uint8_t qos)
{
    struct resumed *r = ctx;
    (void)qos;
    if (r->count == FLIGHTS_MAX)
        return;
    r->keys[r->count] = key;
    r->packet_ids[r->count] = packet_id;
    r->states[r->count++] = state;
}

/* The broker kept its session: what was under way goes on under its packet id. */
static void resume(struct bridge *b, const struct resumed *r)
{
    struct publisher *pub = &b->publisher;
    for (unsigned i = 0; i < r->count; i++) {
        struct inbox_row row;
        int rc = store_inbox_by_packet_id(b->store, r->packet_ids[i], &row);
        if (custody_failed(b, rc))
            return;
        if (rc != 0)
            continue;
        add_flight(pub, &row, r->states[i] == INBOX_RELEASED ? FLIGHT_RELEASE : FLIGHT_READY, true);
        /* The cursor stays: what lies before it may wait still, as QoS 0 whose leaving was not committed. */
        pub->cleared[r->packet_ids[i]] = true;
    }
}

/* The broker lost its session: what it may or may not have passed on is published again, and marked (I4). */
static void publish_again(struct bridge *b, const struct resumed *r)
{
    for (unsigned i = 0; i < r->count; i++)
        if (custody_failed(b, store_inbox_set(b->store, r->keys[i], INBOX_WAITING, 0, 0, true)))
            return;
    if (r->count) {
        bridge_logf(b, BRIDGE_WARN, "broker", "the broker lost its session: published again messages=%u", r->count);
        custody_dirty(b, 0);
    }
}

void publisher_connected(struct bridge *b, bool session_present)
{
    struct publisher *pub = &b->publisher;
    struct resumed r = {.b = b};
    memset(pub->cursor, 0, sizeof pub->cursor);
    memset(pub->empty, 0, sizeof pub->empty);
    if (custody_failed(b, store_inbox_inflight(b->store, note_resumed, &r)))
        return;
    if (session_present)
        resume(b, &r);
    else
        publish_again(b, &r);
    for (uint16_t id = 1; id <= FLIGHTS_MAX; id++) {
        if (!session_present)
            pub->cleared[id] = true;
        else if (!pub->cleared[id] && mqtt_session_pubrel(b->broker.session, id) != 0)
            continue; /* stays unused until a connection clears it */
    }
    pub->running = true;
}

/* The broker here will not have a message: its sender is told by a gap record of our direction, so that both ends report it (I3). */
static void report_refused(struct bridge *b, const struct flight *f)
{
    struct peer *p = peers_by_id(b, f->peer);
    if (!p)
        return;
    bridge_count(p, "dropped.broker_refused", 1);
    if (custody_failed(b, store_outbox_gap(b->store, p->id, f->class, "", GAP_REFUSED, b->now.wall_ms, sender_fixed(p, f->class))))
        return;
    sender_changed(p, f->class);
}

void publisher_closed(struct bridge *b, bool by_broker)
{
    struct publisher *pub = &b->publisher;
    unsigned unanswered = 0;
    struct flight *suspect = NULL;
    for (unsigned i = 0; i < pub->count; i++) {
        if (pub->flights[i].state != FLIGHT_SENT || pub->flights[i].qos == 0)
            continue;
        unanswered++;
        suspect = &pub->flights[i];
    }
    /* A broker that closes on a message says not on which: from now on one at a time, and the one that it closes on
     * REFUSALS_MAX times is the one (I3). */
    bool blamed = !b->failed && by_broker && unanswered == 1;
    if (blamed && suspect->refusals + 1 >= REFUSALS_MAX) {
        bridge_logf(b, BRIDGE_ERR, "broker", "the broker closed %d times on a message: set aside peer=%s", REFUSALS_MAX,
                    peers_by_id(b, suspect->peer) ? peers_by_id(b, suspect->peer)->config->name : "?");
        custody_failed(b, store_inbox_set_aside(b->store, suspect->key, "connection closed on it", b->now.wall_ms));
        report_refused(b, suspect);
        pub->cleared[suspect->packet_id] = false;
        custody_dirty(b, 0);
    } else if (blamed) {
        custody_failed(b, store_inbox_set(b->store, suspect->key, INBOX_PUBLISHED, suspect->packet_id,
                                          suspect->refusals + 1, suspect->again));
        custody_dirty(b, 0);
    }
    pub->careful = unanswered > 0;
    while (pub->count)
        remove_flight(pub, &pub->flights[pub->count - 1]);
    pub->running = false;
}

void publisher_added(struct bridge *b, enum msg_class class)
{
    b->publisher.empty[class] = false;
}

/* ---- sending ---- */

static void set_aside(struct bridge *b, struct flight *f, const char *why)
{
    struct peer *p = peers_by_id(b, f->peer);
    bridge_logf(b, BRIDGE_WARN, "broker", "message set aside: %s peer=%s topic=%s", why, p ? p->config->name : "?",
                f->msg ? f->msg->topic : "?");
    if (custody_failed(b, store_inbox_set_aside(b->store, f->key, why, b->now.wall_ms)))
        return;
    report_refused(b, f);
    custody_dirty(b, COMMIT_LATEST_MS);
    remove_flight(&b->publisher, f);
}

static void settle(struct bridge *b, struct flight *f)
{
    if (custody_failed(b, store_inbox_settle(b->store, f->key)))
        return;
    b->broker.published++;
    custody_dirty(b, COMMIT_LATEST_MS);
    remove_flight(&b->publisher, f);
}

/* RFC 3339, UTC; whole seconds unless the origin has a fraction. */
static void format_time(int64_t ms, char out[40])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    if (ms % 1000)
        n += (size_t)snprintf(out + n, 40 - n, ".%03d", (int)(ms % 1000));
    snprintf(out + n, 40 - n, "Z");
}

/* Return: false: nothing more can be sent now. */
static bool publish(struct bridge *b, struct flight *f)
{
    struct peer *p = peers_by_id(b, f->peer);
    const struct msg *m = f->msg;
    char time[40], site[CONFIG_NAME_MAX + 1];
    const char *user[7] = {0};
    unsigned n = 0;
    if (p && m->origin_ms > 0 && m->origin_ms < INT64_MAX / 2) {
        format_time(m->origin_ms, time);
        user[n++] = "lw-time";
        user[n++] = time;
    }
    if (p && p->config->timestamps != TIMESTAMPS_NO) {
        /* The site of origin: the first that the message passed, or the peer itself. */
        snprintf(site, sizeof site, "%.*s", (int)(m->hops_len ? strcspn(m->hops, ",") : strlen(p->config->name)),
                 m->hops_len ? m->hops : p->config->name);
        user[n++] = "lw-site";
        user[n++] = site;
    }
    if (f->again) {
        user[n++] = "lw-again";
        user[n++] = "1";
    }
    int64_t left = MSG_NO_EXPIRY;
    if (m->expiry_ms != MSG_NO_EXPIRY) {
        left = m->expiry_ms - (bridge_age(b) - f->received_age_ms);
        if (left <= 0 && !f->dup && f->state == FLIGHT_READY) {
            if (p)
                bridge_count(p, "dropped.expired_here", 1);
            settle(b, f);
            b->broker.published--;
            return true;
        }
    }
    struct mqtt_out out = {
        .topic = m->topic,
        .payload = m->payload,
        .payload_len = m->payload_len,
        .props = m->props,
        .props_len = m->props_len,
        .user = n ? user : NULL,
        .has_expiry = left != MSG_NO_EXPIRY,
        .expiry_s = left == MSG_NO_EXPIRY ? 0 : left <= 0 ? 0 : (uint32_t)((left + 999) / 1000),
        .qos = f->qos,
        .retain = m->retain,
        .dup = f->dup && f->qos > 0,
        .packet_id = f->packet_id,
    };
    switch (mqtt_session_publish(b->broker.session, &out)) {
    case 0:
        break;
    case MQTT_TOO_LARGE:
        set_aside(b, f, "larger than the broker takes");
        return true;
    case MQTT_INVALID:
        set_aside(b, f, "topic, properties, retain or QoS that the broker does not take");
        return true;
    default:
        return false; /* window or buffer full, or not connected: later */
    }
    if (f->qos == 0) {
        settle(b, f);
        return true;
    }
    f->state = FLIGHT_SENT;
    f->dup = true;
    msg_free(f->msg);
    f->msg = NULL;
    return true;
}

/* Sends what is committed and not yet sent, in order. */
static void send_ready(struct bridge *b)
{
    struct publisher *pub = &b->publisher;
    unsigned unanswered = 0;
    for (unsigned i = 0; i < pub->count; i++)
        unanswered += pub->flights[i].state == FLIGHT_SENT;
    for (unsigned i = 0; i < pub->count && !b->failed;) {
        struct flight *f = &pub->flights[i];
        if (f->state == FLIGHT_READY && pub->careful && unanswered >= CAREFUL_WINDOW)
            return;
        unsigned before = pub->count;
        if (f->state == FLIGHT_RELEASE) {
            if (mqtt_session_pubrel(b->broker.session, f->packet_id) != 0)
                return;
            f->state = FLIGHT_RELEASED;
        } else if (f->state == FLIGHT_READY) {
            if (b->env.broker_pending(b->env.ctx) + b->broker.out.len > PENDING_HIGH || !publish(b, f))
                return;
        }
        if (pub->count == before) {
            unanswered += f->state == FLIGHT_SENT;
            i++;
        }
    }
}

/* Gives packet ids to messages that wait, most urgent class first. */
static void assign(struct bridge *b)
{
    struct publisher *pub = &b->publisher;
    unsigned window = pub->careful ? CAREFUL_WINDOW : FLIGHTS_MAX;
    for (int c = 0; c < CLASS_COUNT; c++) {
        while (pub->count < window && !pub->empty[c]) {
            struct inbox_row row;
            int rc = store_inbox_next(b->store, (enum msg_class)c, pub->cursor[c], &row);
            if (custody_failed(b, rc))
                return;
            if (rc != 0) {
                pub->empty[c] = true;
                break;
            }
            if (row.packet_id) { /* in flight already: resumed */
                pub->cursor[c] = row.key;
                msg_free(row.msg);
                continue;
            }
            row.packet_id = row.msg->qos ? free_packet_id(pub) : 0;
            if (row.msg->qos && !row.packet_id) {
                msg_free(row.msg);
                return;
            }
            pub->cursor[c] = row.key;
            if (row.packet_id && custody_failed(b, store_inbox_set(b->store, row.key, INBOX_PUBLISHED, row.packet_id,
                                                                   row.refusals, row.again))) {
                msg_free(row.msg);
                return;
            }
            add_flight(pub, &row, FLIGHT_NEW, false);
            custody_dirty(b, 0);
        }
    }
    /* Nothing waits: whatever the broker closed on is gone, the window may open again. */
    if (pub->careful && pub->count == 0)
        pub->careful = false;
}

void publisher_pump(struct bridge *b)
{
    if (!b->publisher.running || b->failed || !b->broker.connected)
        return;
    send_ready(b);
    if (!b->failed)
        assign(b);
}

void publisher_after_commit(struct bridge *b)
{
    struct publisher *pub = &b->publisher;
    for (unsigned i = 0; i < pub->count; i++) {
        if (pub->flights[i].state == FLIGHT_NEW)
            pub->flights[i].state = FLIGHT_READY;
        else if (pub->flights[i].state == FLIGHT_RECEIVED)
            pub->flights[i].state = FLIGHT_RELEASE;
    }
}

/* ---- answers of the broker ---- */

/* What the broker was suspected to close on has gone through: the others may follow. */
static void answered(struct bridge *b)
{
    if (b->publisher.count == 0)
        b->publisher.careful = false;
}

/* Quota exceeded is no judgement on the message: too much is under way, at times in the broker's own count only (mosquitto
 * counts what it restored twice). A new session count and one message at a time may get it through; if not, that ends as with
 * a broker that closes on it. */
static bool over_quota(struct bridge *b, uint8_t reason)
{
    if (reason != REASON_QUOTA_EXCEEDED)
        return false;
    b->broker.by_broker = true;
    broker_drop(b, false, "the broker's quota is exceeded");
    return true;
}

void publisher_puback(struct bridge *b, uint16_t packet_id, uint8_t reason)
{
    struct flight *f = by_packet_id(&b->publisher, packet_id);
    if (b->failed || !f || f->qos != 1 || f->state != FLIGHT_SENT || over_quota(b, reason))
        return;
    if (reason >= 0x80) {
        char why[48];
        snprintf(why, sizeof why, "refused by the broker, reason 0x%02x", reason);
        set_aside(b, f, why);
    } else {
        settle(b, f);
    }
    answered(b);
}

void publisher_pubrec(struct bridge *b, uint16_t packet_id, uint8_t reason)
{
    struct flight *f = by_packet_id(&b->publisher, packet_id);
    if (b->failed || !f || f->qos != 2 || over_quota(b, reason))
        return;
    if (reason >= 0x80) {
        char why[48];
        snprintf(why, sizeof why, "refused by the broker, reason 0x%02x", reason);
        set_aside(b, f, why);
        answered(b);
        return;
    }
    if (f->state != FLIGHT_SENT) {
        if (f->state == FLIGHT_RELEASED)
            f->state = FLIGHT_RELEASE; /* asked again: release again */
        return;
    }
    if (custody_failed(b, store_inbox_set(b->store, f->key, INBOX_RELEASED, packet_id, f->refusals, f->again)))
        return;
    f->state = FLIGHT_RECEIVED;
    custody_dirty(b, COMMIT_SOON_MS);
}

void publisher_pubcomp(struct bridge *b, uint16_t packet_id)
{
    struct publisher *pub = &b->publisher;
    struct flight *f = by_packet_id(pub, packet_id);
    if (b->failed)
        return;
    if (f && f->qos == 2 && f->state == FLIGHT_RELEASED) {
        settle(b, f);
        answered(b);
        return;
    }
    if (!f && packet_id >= 1 && packet_id <= FLIGHTS_MAX && !pub->cleared[packet_id]) {
        pub->cleared[packet_id] = true;
    }
}
