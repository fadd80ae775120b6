#include "tests/unit/mqtt/owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

int64_t owner_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void owner_sync(struct owner *o)
{
    if (!o->connection)
        return;
    if (o->out.len > 0)
        mqtt_session_wrote(o->session, owner_now_ms());
    mqtt_connection_write(o->connection, &o->out);
    int64_t due = mqtt_session_deadline(o->session);
    if (due == INT64_MAX) {
        evtimer_del(o->timer);
        return;
    }
    int64_t wait = due > owner_now_ms() ? due - owner_now_ms() : 0;
    struct timeval tv = {wait / 1000, wait % 1000 * 1000};
    evtimer_add(o->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct owner *o = arg;
    (void)fd;
    (void)what;
    mqtt_session_on_timer(o->session, owner_now_ms());
    owner_sync(o);
}

static void maybe_free(struct owner *o, int where)
{
    if ((int)o->free_in != where)
        return;
    mqtt_connection_free(o->connection);
    o->connection = NULL;
}

static void on_open(void *ctx)
{
    struct owner *o = ctx;
    o->opened++;
    maybe_free(o, FREE_IN_OPEN);
    if (o->raw || !o->connection)
        return;
    mqtt_session_start(o->session, owner_now_ms());
    owner_sync(o);
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t n)
{
    struct owner *o = ctx;
    o->bytes += n;
    o->largest_piece = n > o->largest_piece ? n : o->largest_piece;
    if (o->drop_in_bytes)
        mqtt_connection_drop(o->connection, false);
    maybe_free(o, FREE_IN_BYTES);
    if (o->raw || !o->connection)
        return;
    mqtt_session_feed(o->session, bytes, n, owner_now_ms());
    owner_sync(o);
}

static void on_dry(void *ctx)
{
    struct owner *o = ctx;
    if (o->dry++ == 0)
        o->bytes_at_dry = o->bytes;
    maybe_free(o, FREE_IN_DRY);
}

static void on_closed(void *ctx, const char *why)
{
    struct owner *o = ctx;
    if (o->closed < 8)
        o->closed_at[o->closed] = owner_now_ms();
    o->closed++;
    snprintf(o->text, sizeof(o->text), "%s", why);
    mqtt_session_stop(o->session);
    maybe_free(o, FREE_IN_CLOSED);
    owner_sync(o);
}

static void on_writable(void *ctx)
{
    ((struct owner *)ctx)->writable++;
}

static uint32_t on_random(void *ctx)
{
    return ((struct owner *)ctx)->random;
}

const struct mqtt_connection_ops owner_connection_ops = {
    .bytes = on_bytes,
    .dry = on_dry,
    .open = on_open,
    .closed = on_closed,
    .writable = on_writable,
    .random = on_random,
};

static void on_connected(void *ctx, const struct mqtt_connack *c)
{
    struct owner *o = ctx;
    (void)c;
    o->connected++;
    mqtt_connection_settled(o->connection);
}

static void on_session_closed(void *ctx, enum mqtt_close why, uint8_t code, const char *text)
{
    struct owner *o = ctx;
    o->session_closed++;
    o->why = why;
    o->code = code;
    snprintf(o->text, sizeof(o->text), "%s", text);
    mqtt_connection_drop(o->connection, o->drop_at_once);
}

static void on_publish(void *ctx, const struct mqtt_publish *p)
{
    struct owner *o = ctx;
    o->published++;
    snprintf(o->last_topic, sizeof(o->last_topic), "%.*s", (int)p->topic_len, p->topic);
    o->last_payload = p->payload_len;
    if (p->qos == 1)
        assert_int_equal(mqtt_session_puback(o->session, p->packet_id), 0);
    if (p->qos == 2)
        assert_int_equal(mqtt_session_pubrec(o->session, p->packet_id), 0);
}

static void on_oversize(void *ctx, const struct mqtt_publish *p, size_t packet_bytes)
{
    struct owner *o = ctx;
    (void)packet_bytes;
    o->oversize++;
    if (p->qos == 1)
        assert_int_equal(mqtt_session_puback(o->session, p->packet_id), 0);
}

static void on_pubrel(void *ctx, uint16_t id)
{
    struct owner *o = ctx;
    assert_int_equal(mqtt_session_pubcomp(o->session, id), 0);
}

static void on_puback(void *ctx, uint16_t id, uint8_t reason)
{
    (void)id;
    (void)reason;
    ((struct owner *)ctx)->acked++;
}

static void on_pubrec(void *ctx, uint16_t id, uint8_t reason)
{
    struct owner *o = ctx;
    assert_true(reason < 0x80);
    assert_int_equal(mqtt_session_pubrel(o->session, id), 0);
}

static void on_suback(void *ctx, uint16_t id, const uint8_t *reasons, size_t n)
{
    (void)id;
    assert_true(n == 1 && reasons[0] <= 2);
    ((struct owner *)ctx)->subscribed++;
}

static void on_unsuback(void *ctx, uint16_t id)
{
    (void)ctx;
    (void)id;
}

static const struct mqtt_session_ops session_ops = {
    .connected = on_connected,
    .closed = on_session_closed,
    .publish = on_publish,
    .pubrel = on_pubrel,
    .puback = on_puback,
    .pubrec = on_pubrec,
    .pubcomp = on_puback,
    .suback = on_suback,
    .unsuback = on_unsuback,
    .oversize = on_oversize,
};

struct mqtt_session_config owner_config(const char *client_id)
{
    return (struct mqtt_session_config){
        .client_id = client_id,
        .keepalive_s = 60,
        .session_expiry_s = 60,
        .receive_maximum = 100,
        .packet_max_bytes = 4 << 20,
        .connect_timeout_ms = 10000,
    };
}

void owner_init(struct owner *o, struct event_base *base, const struct mqtt_address *address,
                const struct mqtt_session_config *config)
{
    char err[200] = "";
    *o = (struct owner){0};
    buf_init(&o->out, 8 << 20);
    o->session = mqtt_session_new(config, &session_ops, o, &o->out);
    assert_non_null(o->session);
    o->connection = mqtt_connection_new(base, address, &owner_connection_ops, o, err, sizeof(err));
    if (!o->connection)
        fail_msg("%s", err);
    o->timer = evtimer_new(base, on_timer, o);
    mqtt_connection_start(o->connection);
    assert_int_equal(o->opened + o->closed, 0); /* never from inside a call */
}

void owner_fini(struct owner *o)
{
    mqtt_connection_free(o->connection);
    mqtt_session_free(o->session);
    event_free(o->timer);
    buf_fini(&o->out);
}

void owner_init_raw(struct owner *o, struct event_base *base, const struct mqtt_address *address)
{
    struct mqtt_session_config c = owner_config("raw");
    owner_init(o, base, address, &c);
    o->raw = true;
}

static void on_guard(evutil_socket_t fd, short what, void *arg)
{
    bool *rang = arg;
    (void)fd;
    (void)what;
    *rang = true;
}

struct event *owner_guard(struct event_base *base, int ms, bool *rang)
{
    struct event *guard = evtimer_new(base, on_guard, rang);
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    assert_non_null(guard);
    evtimer_add(guard, &tv);
    return guard;
}

void owner_run_for(struct event_base *base, int ms)
{
    bool rang = false;
    struct event *guard = owner_guard(base, ms, &rang);
    while (!rang)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(guard);
}
