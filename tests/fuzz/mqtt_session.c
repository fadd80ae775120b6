/* The whole MQTT session against a server that says anything: [config] then steps [what, ...]. The owner does what
 * bridge/broker.c does: acknowledges in order, publishes, subscribes, and obeys `closed`. */
#include "tests/fuzz/fuzz.h"
#include <errno.h>
#include "base/topic.h"
#include "gateway/mqtt/session.h"

#define OUT_MAX    4096
#define OWED_MAX   4096
#define PACKET_MAX 600

struct owner {
    struct mqtt_session *s;
    struct buf out;
    int64_t now_ms;
    bool started, inside;    /* between start and the end of the connection; in a call that calls back */
    uint8_t reaction;        /* to the next publish */
    struct { uint16_t id; uint8_t qos; } owed[OWED_MAX];
    size_t owed_count;
};

static void called_back(struct owner *o)
{
    FUZZ_MUST(o->inside && o->started); /* never after closed, stop or disconnect */
}

static void on_connected(void *ctx, const struct mqtt_connack *c)
{
    called_back(ctx);
    FUZZ_MUST((c->version == MQTT_5 || c->version == MQTT_311) && c->server_qos_max <= 2 && c->server_receive_maximum > 0);
}

static void on_closed(void *ctx, enum mqtt_close why, uint8_t code, const char *text)
{
    struct owner *o = ctx;
    called_back(o);
    for (const char *c = text; *c; c++)
        FUZZ_MUST(((unsigned char)*c >= ' ' && *c != 0x7f)); /* it goes to a log */
    o->started = false;
    o->owed_count = 0;
}

static void react(struct owner *o)
{
    switch (o->reaction) {
    case 1:
        mqtt_session_stop(o->s);
        o->started = false;
        break;
    case 2:
        mqtt_session_disconnect(o->s, true);
        o->started = false;
        break;
    case 3:
        mqtt_session_free(o->s);
        o->s = NULL;
        o->started = false;
        break;
    default:
        break;
    }
    o->reaction = 0;
}

static void owe(struct owner *o, uint16_t id, uint8_t qos)
{
    if (qos > 0 && o->owed_count < OWED_MAX) {
        o->owed[o->owed_count].id = id;
        o->owed[o->owed_count++].qos = qos;
    }
}

static void on_publish(void *ctx, const struct mqtt_publish *p)
{
    struct owner *o = ctx;
    called_back(o);
    FUZZ_MUST(topic_name_valid(p->topic, p->topic_len) && p->qos <= 2 && p->payload_len < PACKET_MAX);
    FUZZ_MUST((p->packet_id != 0) == (p->qos > 0) && p->subscription_id_count <= 16);
    owe(o, p->packet_id, p->qos);
    react(o);
    if (o->s)
        FUZZ_MUST(mqtt_session_unacked(o->s) <= 65535);
}

static void on_oversize(void *ctx, const struct mqtt_publish *p, size_t packet_bytes)
{
    called_back(ctx);
    FUZZ_MUST(packet_bytes > PACKET_MAX && !p->payload && topic_name_valid(p->topic, p->topic_len));
    owe(ctx, p->packet_id, p->qos);
}

static void on_pubrel(void *ctx, uint16_t id)
{
    called_back(ctx);
    owe(ctx, id, 3);
}

static void on_ack(void *ctx, uint16_t id, uint8_t reason)
{
    called_back(ctx);
    FUZZ_MUST(id != 0);
}

static void on_suback(void *ctx, uint16_t id, const uint8_t *reasons, size_t n)
{
    called_back(ctx);
    FUZZ_MUST(id != 0 && n == 1 && (reasons[0] <= 2 || reasons[0] >= 0x80));
}

static void on_unsuback(void *ctx, uint16_t id)
{
    called_back(ctx);
    FUZZ_MUST(id != 0);
}

static const struct mqtt_session_ops ops = {
    .connected = on_connected, .closed = on_closed, .publish = on_publish, .pubrel = on_pubrel, .puback = on_ack,
    .pubrec = on_ack, .pubcomp = on_ack, .suback = on_suback, .unsuback = on_unsuback, .oversize = on_oversize,
};

static void acknowledge(struct owner *o)
{
    for (size_t i = 0; i < o->owed_count; i++) {
        int rc = o->owed[i].qos == 1   ? mqtt_session_puback(o->s, o->owed[i].id)
                 : o->owed[i].qos == 2 ? mqtt_session_pubrec(o->s, o->owed[i].id)
                                       : mqtt_session_pubcomp(o->s, o->owed[i].id);
        FUZZ_MUST(rc == 0 || rc == MQTT_STALE || rc == -ENOTCONN || rc == -ENOBUFS);
    }
    o->owed_count = 0;
}

static void publish(struct owner *o, struct reader *r)
{
    uint8_t flags = read_u8(r);
    size_t n, props_len;
    uint16_t id = (uint16_t)(read_u8(r) + 1);
    uint8_t *payload = fuzz_take(r, flags & 0x0f, &n);
    uint8_t *props = fuzz_take(r, flags & 0x80 ? 8 : 0, &props_len);
    struct mqtt_out p = {.topic = flags & 0x40 ? "a/b" : "a", .payload = payload, .payload_len = n, .props = props,
                         .props_len = props_len, .qos = (uint8_t)(flags >> 4 & 3) % 3, .retain = flags & 1,
                         .dup = flags & 2, .packet_id = id, .has_expiry = flags & 4, .expiry_s = n * 1000000u};
    int rc = mqtt_session_publish(o->s, &p);
    FUZZ_MUST(rc == 0 || rc == -ENOTCONN || rc == -ENOBUFS || rc == MQTT_WAIT || rc == MQTT_TOO_LARGE || rc == MQTT_INVALID);
    free(payload);
    free(props);
}

static void feed(struct owner *o, struct reader *r, size_t most)
{
    size_t n;
    uint8_t *bytes = fuzz_take(r, most, &n);
    mqtt_session_feed(o->s, bytes, n, o->now_ms);
    free(bytes);
}

static void advance(struct owner *o, uint8_t by)
{
    int64_t due = mqtt_session_deadline(o->s);
    o->now_ms += by * 100;
    if (by >= 0xf0 && due != INT64_MAX && due > o->now_ms)
        o->now_ms = due; /* just when it rings */
    mqtt_session_on_timer(o->s, o->now_ms);
    if (o->s)
        FUZZ_MUST(mqtt_session_deadline(o->s) > o->now_ms); /* or the loop would spin */
}

static void step(struct owner *o, struct reader *r)
{
    uint8_t what = read_u8(r);
    struct mqtt_subscription sub = {.filter = "a/#", .qos = what >> 4 & 1, .id = what >> 5};
    int rc = 0;
    switch (what & 0x0f) {
    case 0:
        if (!o->started) {
            o->started = true;
            mqtt_session_start(o->s, o->now_ms);
        }
        break;
    case 1:
        mqtt_session_stop(o->s);
        o->started = false;
        o->owed_count = 0;
        break;
    case 2:
        advance(o, read_u8(r));
        break;
    case 3:
        acknowledge(o);
        break;
    case 4:
        publish(o, r);
        break;
    case 5:
        rc = mqtt_session_subscribe(o->s, &sub, read_u8(r) + 1);
        break;
    case 6:
        rc = mqtt_session_unsubscribe(o->s, "a/#", read_u8(r) + 1);
        break;
    case 7:
        rc = mqtt_session_pubrel(o->s, read_u8(r) + 1);
        break;
    case 8:
        buf_clear(&o->out);
        mqtt_session_wrote(o->s, o->now_ms);
        break;
    case 9:
        o->reaction = what >> 4 & 3;
        break;
    default:
        feed(o, r, what & 0x0f & 1 ? read_u8(r) : r->left);
        break;
    }
    FUZZ_MUST(rc == 0 || rc == -ENOTCONN || rc == -ENOBUFS || rc == MQTT_INVALID || rc == MQTT_TOO_LARGE);
    FUZZ_MUST(o->out.len <= OUT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum mqtt_version versions[] = {MQTT_AUTO, MQTT_311, MQTT_5, MQTT_AUTO};
    struct reader r = reader_of(data, size);
    struct owner *o = calloc(1, sizeof *o);
    uint8_t how = read_u8(&r);
    struct mqtt_session_config config = {
        .version = versions[how & 3], .client_id = "c", .keepalive_s = how & 4 ? 10 : 0, .receive_maximum = 3,
        .session_expiry_s = how & 8 ? UINT32_MAX : 0, .packet_max_bytes = PACKET_MAX, .connect_timeout_ms = 5000,
        .will = {.topic = how & 16 ? "w" : NULL, .payload = "x", .payload_len = 1, .retain = true},
        .username = how & 32 ? "u" : NULL, .password = how & 32 ? "p" : NULL, .password_len = how & 32 ? 1 : 0,
    };
    FUZZ_MUST(o);
    o->now_ms = 1000000;
    buf_init(&o->out, OUT_MAX);
    o->s = mqtt_session_new(&config, &ops, o, &o->out);
    FUZZ_MUST(o->s);
    o->inside = true;
    while (r.left > 0 && o->s)
        step(o, &r);
    mqtt_session_free(o->s);
    buf_fini(&o->out);
    free(o);
    return 0;
}
