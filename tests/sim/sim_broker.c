#include "tests/sim/sim_broker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"

#define IDS 65536

void sim_broker_init(struct sim_broker *b, struct sim_clock *clock, struct sim_report *report, struct sim_ledger *ledger,
                     unsigned site, const struct sim_broker_config *config)
{
    *b = (struct sim_broker){
        .clock = clock, .report = report, .ledger = ledger, .site = site, .config = *config, .name = site ? "hub-b" : "edge-b"};
    b->incoming = calloc(IDS, sizeof *b->incoming);
    assert(b->incoming);
    buf_init(&b->in, SIZE_MAX / 2);
    buf_init(&b->out, SIZE_MAX / 2);
}

static void forget_incoming(struct sim_incoming *in)
{
    if (in->held) {
        free((char *)in->held->topic);
        free((uint8_t *)in->held->payload);
        free(in->held);
    }
    *in = (struct sim_incoming){0};
}

void sim_broker_fini(struct sim_broker *b)
{
    for (unsigned i = 0; i < IDS; i++)
        forget_incoming(&b->incoming[i]);
    free(b->incoming);
    free(b->queue);
    free(b->retained);
    buf_fini(&b->in);
    buf_fini(&b->out);
}

static bool wrong(struct sim_broker *b, const char *what)
{
    sim_fail(b->report, "mqtt", "%s's broker: %s", b->site ? "hub" : "edge", what);
    return false;
}

/* ---- to longwire ---- */

/* Filters here end in # or have + as a whole level. */
static bool matches(const char *filter, const char *topic)
{
    for (;;) {
        if (*filter == '#')
            return true;
        size_t f = strcspn(filter, "/"), t = strcspn(topic, "/");
        if (!(f == 1 && *filter == '+') && (f != t || strncmp(filter, topic, f) != 0))
            return false;
        filter += f;
        topic += t;
        if (!*filter || !*topic)
            return *filter == *topic || strcmp(filter, "/#") == 0;
        filter++;
        topic++;
    }
}

static struct sim_queued *enqueue(struct sim_broker *b, uint32_t message, uint8_t qos, bool retain)
{
    if (b->queue_count == b->queue_size) {
        b->queue_size = b->queue_size ? 2 * b->queue_size : 64;
        b->queue = realloc(b->queue, b->queue_size * sizeof *b->queue);
        assert(b->queue);
    }
    struct sim_queued *q = &b->queue[b->queue_count++];
    *q = (struct sim_queued){.message = message, .qos = qos, .retain = retain};
    return q;
}

static void dequeue(struct sim_broker *b, size_t i)
{
    b->queue_count--;
    memmove(&b->queue[i], &b->queue[i + 1], (b->queue_count - i) * sizeof *b->queue);
}

static int64_t left_ms(const struct sim_broker *b, const struct sim_message *m)
{
    return m->expiry_s ? m->given_at + (int64_t)m->expiry_s * 1000 - b->clock->now_ms : INT64_MAX;
}

static void send_one(struct sim_broker *b, struct sim_queued *q, bool dup)
{
    const struct sim_message *m = &b->ledger->messages[q->message];
    int64_t left = left_ms(b, m);
    struct buf payload;
    buf_init(&payload, m->len + 256);
    sim_ledger_payload(m, &payload);
    struct sim_deliver d = {
        .topic = m->topic,
        .qos = q->qos,
        .retain = q->retain,
        .dup = dup,
        .packet_id = q->packet_id,
        .has_expiry = m->expiry_s != 0,
        .expiry_s = left <= 1000 ? 1 : m->expiry_s ? (uint32_t)(left / 1000) : 0,
        .sub_ids = q->sub_ids,
        .sub_id_count = b->v5 ? q->sub_id_count : 0,
        .payload = buf_bytes(&payload),
        .n = payload.len,
    };
    sim_write_publish(&b->out, b->v5, &d);
    buf_fini(&payload);
    q->counts = q->sent_here = q->qos > 0;
    b->published_to++;
    sim_ledger_sent(b->ledger, q->message, q->qos, dup, q->retain);
    sim_trace(b->report, b->name, "sends message=%u qos=%u packet_id=%u%s", q->message, q->qos, q->packet_id, dup ? " dup" : "");
}

static uint16_t free_packet_id(struct sim_broker *b)
{
    for (;;) {
        uint16_t id = ++b->next_packet_id;
        bool used = id == 0;
        for (size_t i = 0; i < b->queue_count && !used; i++)
            used = b->queue[i].packet_id == id;
        if (!used)
            return id;
    }
}

static void pump(struct sim_broker *b)
{
    if (!b->connected)
        return;
    unsigned window = b->config.window < b->client.receive_maximum ? b->config.window : b->client.receive_maximum;
    unsigned in_flight = 0;
    for (size_t i = 0; i < b->queue_count; i++)
        in_flight += b->queue[i].counts;
    for (size_t i = 0; i < b->queue_count;) {
        struct sim_queued *q = &b->queue[i];
        if (q->state != SIM_QUEUED) {
            i++;
            continue;
        }
        if (left_ms(b, &b->ledger->messages[q->message]) <= 0) { /* before it was sent: the broker's own to drop */
            sim_trace(b->report, b->name, "drops the expired message=%u", q->message);
            sim_ledger_forgone(b->ledger, q->message);
            b->expired++;
            dequeue(b, i);
            continue;
        }
        if (q->qos == 0) {
            send_one(b, q, false);
            sim_ledger_acked(b->ledger, q->message);
            dequeue(b, i);
            continue;
        }
        if (in_flight >= window)
            break;
        q->packet_id = free_packet_id(b);
        q->state = SIM_SENT;
        send_one(b, q, false);
        in_flight++;
        i++;
    }
}

/* What was in flight goes again on a new connection, in order (MQTT-4.4.0-1). */
static void resend(struct sim_broker *b)
{
    for (size_t i = 0; i < b->queue_count; i++) {
        struct sim_queued *q = &b->queue[i];
        q->counts = q->sent_here = false;
        if (q->state == SIM_SENT)
            send_one(b, q, true);
        else if (q->state == SIM_RELEASED)
            sim_write_ack(&b->out, SIM_PUBREL, q->packet_id);
        q->counts = q->state != SIM_QUEUED;
    }
}

static void offer(struct sim_broker *b, uint32_t message, bool replay, const struct sim_subscribe *only)
{
    const struct sim_message *m = &b->ledger->messages[message];
    struct sim_queued *one = NULL;
    unsigned copies = 0;
    if (m->qos == 0 && !b->connected)
        return;
    for (unsigned i = 0; i < b->sub_count; i++) {
        const struct sim_subscribe *s = &b->subs[i];
        if ((only && s != only) || !matches(s->filter, m->topic))
            continue;
        uint8_t qos = m->qos < (s->options & 3) ? m->qos : (uint8_t)(s->options & 3);
        /* Retain as published: asked for in MQTT 5, given to bridges in 3.1.1. */
        bool as_published = b->v5 ? s->options & 8 : b->client.level == 0x84;
        if (!one || (b->config.copy_each && b->v5)) {
            one = enqueue(b, message, qos, replay || (m->retain && as_published));
            copies++;
        } else if (qos > one->qos) {
            one->qos = qos;
        }
        if (s->id)
            one->sub_ids[one->sub_id_count++] = s->id;
    }
    if (copies)
        sim_ledger_offered(b->ledger, message, copies);
}

void sim_broker_publish(struct sim_broker *b, uint32_t message)
{
    const struct sim_message *m = &b->ledger->messages[message];
    if (m->retain) {
        for (size_t i = 0; i < b->retained_count; i++)
            if (strcmp(b->ledger->messages[b->retained[i]].topic, m->topic) == 0)
                b->retained[i--] = b->retained[--b->retained_count];
        if (b->retained_count == b->retained_size) {
            b->retained_size = b->retained_size ? 2 * b->retained_size : 16;
            b->retained = realloc(b->retained, b->retained_size * sizeof *b->retained);
            assert(b->retained);
        }
        if (m->len)
            b->retained[b->retained_count++] = message;
    }
    if (b->session)
        offer(b, message, false, NULL);
    pump(b);
}

/* ---- from longwire ---- */

static bool on_connect(struct sim_broker *b, struct sim_packet *p)
{
    if (b->connected)
        return wrong(b, "a second CONNECT");
    if (!sim_read_connect(p, &b->client))
        return wrong(b, "CONNECT that cannot be read");
    unsigned level = b->client.level;
    bool ok = level == 4 || (level == 5 && b->config.v5) || (level == 0x84 && b->config.bridge_bit);
    b->v5 = ok && level == 5;
    if (!ok) {
        sim_write_connack(&b->out, false, false, 1, 0);
        return false;
    }
    if (b->client.clean)
        return wrong(b, "clean start, though a session is to be kept");
    bool present = b->session;
    b->session = true;
    b->connected = true;
    b->connections++;
    sim_trace(b->report, b->name, "connected level=%u session=%s", level, present ? "present" : "new");
    sim_write_connack(&b->out, b->v5, present, 0, b->config.receive_maximum);
    resend(b);
    pump(b);
    return true;
}

static void pass_on(struct sim_broker *b, const struct sim_accepted *a)
{
    sim_ledger_accepted(b->ledger, b->site, a);
}

/* Whether this broker will not have the message, which depends on the message alone. */
static bool refuses(const struct sim_broker *b, uint32_t id)
{
    return b->config.refuses && id != SIM_NO_MESSAGE && id % 13 == 5;
}

/* Return: false: by closing the connection. */
static bool refuse(struct sim_broker *b, const struct sim_publish *m, uint32_t id)
{
    static const uint8_t reasons[] = {0x80, 0x83, 0x87, 0x90, 0x99};
    bool by_code = b->v5 && id & 1;
    sim_trace(b->report, b->name, "refuses message=%u %s", id, by_code ? "with a reason code" : "and closes");
    sim_ledger_refused(b->ledger, id);
    b->refused++;
    if (by_code)
        sim_write_refusal(&b->out, m->qos == 1 ? SIM_PUBACK : SIM_PUBREC, m->packet_id, reasons[id / 2 % sizeof reasons]);
    return by_code;
}

static bool on_publish(struct sim_broker *b, struct sim_packet *p)
{
    struct sim_publish m;
    if (!sim_read_publish(p, b->v5, &m) || m.aliased)
        return wrong(b, "PUBLISH that cannot be read");
    sim_trace(b->report, b->name, "gets topic=%s qos=%u packet_id=%u%s", m.topic, m.qos, m.packet_id, m.dup ? " dup" : "");
    struct sim_accepted a = {m.topic, m.payload, m.n, (uint8_t)m.qos, m.retain, m.dup, m.again, b->config.pass_on_release,
                             m.has_expiry, m.expiry_s, b->v5};
    uint32_t id = m.qos && strncmp(m.topic, "longwire/", 9) != 0 ? sim_ledger_find(b->ledger, m.topic, m.payload, m.n) : SIM_NO_MESSAGE;
    if (refuses(b, id))
        return refuse(b, &m, id);
    if (m.qos < 2) {
        pass_on(b, &a);
        if (m.qos == 1)
            sim_write_ack(&b->out, SIM_PUBACK, m.packet_id);
        return true;
    }
    struct sim_incoming *in = &b->incoming[m.packet_id];
    uint32_t hash = hash64_fold32(hash64_add(hash64_add(HASH64_START, m.topic, strlen(m.topic)), m.payload, m.n));
    if (in->known && in->hash != hash)
        return wrong(b, "PUBLISH of another message under a packet id that has not been released");
    if (in->known && !m.dup)
        return wrong(b, "PUBLISH again under its packet id without DUP");
    if (!in->known && ++b->unreleased > b->config.receive_maximum && b->v5 && !b->ledger->stores_fail)
        return wrong(b, "more QoS 2 messages under way than its receive maximum");
    if (!in->known) {
        in->known = true;
        in->hash = hash;
        if (b->config.pass_on_release) {
            in->held = malloc(sizeof a);
            assert(in->held);
            *in->held = a;
            in->held->topic = strdup(m.topic);
            in->held->payload = malloc(m.n + 1);
            assert(in->held->topic && in->held->payload);
            memcpy((uint8_t *)in->held->payload, m.payload, m.n);
        } else {
            pass_on(b, &a);
        }
    }
    sim_write_ack(&b->out, SIM_PUBREC, m.packet_id);
    return true;
}

static bool on_pubrel(struct sim_broker *b, uint16_t packet_id)
{
    if (b->incoming[packet_id].known)
        sim_trace(b->report, b->name, "is told to release packet_id=%u", packet_id);
    struct sim_incoming *in = &b->incoming[packet_id];
    if (in->held)
        pass_on(b, in->held);
    b->unreleased -= in->known;
    forget_incoming(in);
    sim_write_ack(&b->out, SIM_PUBCOMP, packet_id);
    return true;
}

/* PUBACK and PUBREC of one connection come in the order in which the messages were sent on it (MQTT-4.6.0-2, -3; I1). */
static bool on_first_ack(struct sim_broker *b, enum sim_packet_type type, uint16_t packet_id, unsigned reason)
{
    size_t at = 0;
    while (at < b->queue_count && !(b->queue[at].state == SIM_SENT && b->queue[at].sent_here && b->queue[at].packet_id == packet_id))
        at++;
    if (at == b->queue_count || b->queue[at].qos != (type == SIM_PUBACK ? 1 : 2))
        return wrong(b, "an acknowledgement of what was not sent on this connection");
    for (size_t i = 0; i < at; i++)
        if (b->queue[i].state == SIM_SENT && b->queue[i].sent_here)
            return wrong(b, "acknowledgements out of order");
    if (reason >= 0x80)
        return wrong(b, "longwire refuses a message");
    struct sim_queued *q = &b->queue[at];
    b->acked_by++;
    sim_trace(b->report, b->name, "acknowledged message=%u packet_id=%u", q->message, packet_id);
    sim_ledger_acked(b->ledger, q->message);
    if (type == SIM_PUBACK) {
        dequeue(b, at);
    } else {
        q->state = SIM_RELEASED;
        sim_write_ack(&b->out, SIM_PUBREL, packet_id);
    }
    return true;
}

static bool on_pubcomp(struct sim_broker *b, uint16_t packet_id)
{
    for (size_t i = 0; i < b->queue_count; i++) {
        if (b->queue[i].state == SIM_RELEASED && b->queue[i].packet_id == packet_id) {
            dequeue(b, i);
            return true;
        }
    }
    return wrong(b, "PUBCOMP of what was not released");
}

static bool on_subscribe(struct sim_broker *b, struct sim_packet *p)
{
    struct sim_subscribe s;
    if (!sim_read_subscribe(p, b->v5, &s))
        return wrong(b, "SUBSCRIBE that cannot be read");
    unsigned i = 0;
    while (i < b->sub_count && strcmp(b->subs[i].filter, s.filter) != 0)
        i++;
    if (i == SIM_SUBS_MAX)
        return wrong(b, "too many subscriptions");
    bool fresh = i == b->sub_count;
    b->subs[i] = s;
    b->sub_count += fresh;
    sim_write_suback(&b->out, b->v5, false, s.packet_id, s.options & 3);
    unsigned handling = b->v5 ? s.options >> 4 & 3 : 0;
    for (size_t k = 0; k < b->retained_count && (handling == 0 || (handling == 1 && fresh)); k++)
        if (matches(s.filter, b->ledger->messages[b->retained[k]].topic))
            offer(b, b->retained[k], true, &b->subs[i]);
    return true;
}

static bool on_unsubscribe(struct sim_broker *b, struct sim_packet *p)
{
    struct sim_subscribe s;
    if (!sim_read_subscribe(p, b->v5, &s))
        return wrong(b, "UNSUBSCRIBE that cannot be read");
    for (unsigned i = 0; i < b->sub_count; i++)
        if (strcmp(b->subs[i].filter, s.filter) == 0)
            b->subs[i--] = b->subs[--b->sub_count];
    sim_write_suback(&b->out, b->v5, true, s.packet_id, 0);
    return true;
}

static bool on_packet(struct sim_broker *b, struct sim_packet *p)
{
    uint16_t packet_id;
    unsigned reason;
    if (!b->connected && p->type != SIM_CONNECT)
        return wrong(b, "a packet before CONNECT");
    switch (p->type) {
    case SIM_CONNECT:
        return on_connect(b, p);
    case SIM_PUBLISH:
        return on_publish(b, p);
    case SIM_PUBACK:
    case SIM_PUBREC:
    case SIM_PUBREL:
    case SIM_PUBCOMP:
        if (!sim_read_ack(p, b->v5, &packet_id, &reason))
            return wrong(b, "an acknowledgement that cannot be read");
        if (p->type == SIM_PUBREL)
            return on_pubrel(b, packet_id);
        if (p->type == SIM_PUBCOMP)
            return on_pubcomp(b, packet_id);
        return on_first_ack(b, p->type, packet_id, reason);
    case SIM_SUBSCRIBE:
        return on_subscribe(b, p);
    case SIM_UNSUBSCRIBE:
        return on_unsubscribe(b, p);
    case SIM_PINGREQ:
        sim_write_pingresp(&b->out);
        return true;
    case SIM_DISCONNECT:
        return false;
    case SIM_CONNACK:
    case SIM_SUBACK:
    case SIM_UNSUBACK:
    case SIM_PINGRESP:
        break;
    }
    return wrong(b, "a packet that only brokers send");
}

void sim_broker_opened(struct sim_broker *b)
{
    b->connected = false;
    buf_clear(&b->in);
    buf_clear(&b->out);
    b->heard_at = b->clock->now_ms;
}

void sim_broker_closed(struct sim_broker *b)
{
    if (b->connected)
        sim_trace(b->report, b->name, "connection ended");
    b->connected = false;
    for (size_t i = 0; i < b->queue_count;) {
        if (b->queue[i].qos == 0) {
            sim_ledger_forgone(b->ledger, b->queue[i].message);
            dequeue(b, i);
            continue;
        }
        i++;
    }
}

bool sim_broker_bytes(struct sim_broker *b, const uint8_t *bytes, size_t n)
{
    struct sim_packet p;
    size_t size;
    int rc;
    buf_put(&b->in, bytes, n);
    b->heard_at = b->clock->now_ms;
    while ((rc = sim_packet_next(&b->in, &p, &size)) > 0) {
        bool go_on = on_packet(b, &p);
        buf_consume(&b->in, size);
        if (!go_on)
            return false;
    }
    if (rc < 0)
        return wrong(b, "bytes that are no MQTT");
    pump(b);
    return true;
}

void sim_broker_lose_session(struct sim_broker *b)
{
    sim_trace(b->report, b->name, "loses its session");
    b->sessions_lost += b->session;
    for (size_t i = 0; i < b->queue_count; i++)
        if (b->queue[i].state != SIM_RELEASED)
            sim_ledger_forgone(b->ledger, b->queue[i].message);
    b->queue_count = 0;
    b->sub_count = 0;
    b->session = false;
    b->unreleased = 0;
    for (unsigned i = 0; i < IDS; i++)
        forget_incoming(&b->incoming[i]);
}

size_t sim_broker_backlog(const struct sim_broker *b)
{
    return b->queue_count;
}
