#include "tests/unit/mqtt/rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/attr.h"

static void note(struct rig *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note(struct rig *r, const char *fmt, ...)
{
    size_t room = sizeof(r->log) - r->log_len;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(r->log + r->log_len, room, fmt, args);
    va_end(args);
    assert_true(n >= 0);
    r->log_len += (size_t)n < room ? (size_t)n : room - 1;
    r->callbacks++;
}

static const char *hex_of(const uint8_t *bytes, size_t n, char *to, size_t size)
{
    size_t at = 0;
    to[0] = '\0';
    for (size_t i = 0; i < n && at + 4 < size; i++)
        at += (size_t)snprintf(to + at, size - at, "%s%02x", i ? " " : "", bytes[i]);
    return to;
}

static void on_connected(void *ctx, const struct mqtt_connack *c)
{
    struct rig *r = ctx;
    note(r, "connected %d%s%s;", c->version, c->session_present ? " present" : "",
         c->bridge ? " bridge" : "");
}

static void on_closed(void *ctx, enum mqtt_close why, uint8_t code, const char *text)
{
    static const char *const names[] = {"refused",   "timeout", "protocol", "server",
                                        "too large", "version", "memory"};
    struct rig *r = ctx;
    assert_false(r->closed); /* once is enough */
    r->closed = true;
    note(r, "closed %s %02x %s;", names[why], code, text);
}

static void note_publish(struct rig *r, const char *name, const struct mqtt_publish *p)
{
    char props[256];
    note(r, "%s %u %.*s qos%u%s%s '%.*s'", name, p->packet_id, (int)p->topic_len, p->topic, p->qos,
         p->retain ? " retain" : "", p->dup ? " dup" : "", (int)p->payload_len,
         p->payload ? (const char *)p->payload : "");
    if (p->props_len)
        note(r, " props %s", hex_of(p->props, p->props_len, props, sizeof(props)));
    if (p->has_expiry)
        note(r, " expiry %u", p->expiry_s);
    for (unsigned i = 0; i < p->subscription_id_count; i++)
        note(r, " id %u", p->subscription_ids[i]);
}

static void on_publish(void *ctx, const struct mqtt_publish *p)
{
    struct rig *r = ctx;
    if (r->reaction == REACT_STOP)
        mqtt_session_stop(r->s);
    if (r->reaction == REACT_DISCONNECT)
        mqtt_session_disconnect(r->s, false);
    if (r->reaction == REACT_FREE) {
        mqtt_session_free(r->s);
        r->s = NULL;
    }
    note_publish(r, "publish", p); /* afterwards: the message outlives what was done */
    note(r, ";");
}

static void on_oversize(void *ctx, const struct mqtt_publish *p, size_t packet_bytes)
{
    note_publish(ctx, "oversize", p);
    note(ctx, " of %zu;", packet_bytes);
}

static void on_pubrel(void *ctx, uint16_t id)
{
    note(ctx, "pubrel %u;", id);
}

static void on_puback(void *ctx, uint16_t id, uint8_t reason)
{
    note(ctx, "puback %u %02x;", id, reason);
}

static void on_pubrec(void *ctx, uint16_t id, uint8_t reason)
{
    note(ctx, "pubrec %u %02x;", id, reason);
}

static void on_pubcomp(void *ctx, uint16_t id, uint8_t reason)
{
    note(ctx, "pubcomp %u %02x;", id, reason);
}

static void on_suback(void *ctx, uint16_t id, const uint8_t *reasons, size_t n)
{
    char hex[64];
    note(ctx, "suback %u %s;", id, hex_of(reasons, n, hex, sizeof(hex)));
}

static void on_unsuback(void *ctx, uint16_t id)
{
    note(ctx, "unsuback %u;", id);
}

#define COMMON_OPS                                                                                 \
    .connected = on_connected, .closed = on_closed, .publish = on_publish, .pubrel = on_pubrel,    \
    .puback = on_puback, .pubrec = on_pubrec, .pubcomp = on_pubcomp, .suback = on_suback,          \
    .unsuback = on_unsuback

static const struct mqtt_session_ops ops = {COMMON_OPS, .oversize = on_oversize};
static const struct mqtt_session_ops ops_without_oversize = {COMMON_OPS};

struct mqtt_session_config rig_config(enum mqtt_version version)
{
    return (struct mqtt_session_config){
        .version = version,
        .client_id = "c",
        .keepalive_s = 60,
        .session_expiry_s = UINT32_MAX,
        .receive_maximum = 3,
        .packet_max_bytes = 1000,
        .connect_timeout_ms = 5000,
    };
}

static void init(struct rig *r, const struct mqtt_session_config *config,
                 const struct mqtt_session_ops *o)
{
    memset(r, 0, sizeof(*r));
    r->now = 1000000;
    buf_init(&r->out, 100000);
    r->s = mqtt_session_new(config, o, r, &r->out);
    assert_non_null(r->s);
}

void rig_init(struct rig *r, const struct mqtt_session_config *config)
{
    init(r, config, &ops);
}

void rig_init_without_oversize(struct rig *r, const struct mqtt_session_config *config)
{
    init(r, config, &ops_without_oversize);
}

void rig_fini(struct rig *r)
{
    mqtt_session_free(r->s);
    buf_fini(&r->out);
}

void rig_start(struct rig *r)
{
    r->closed = false;
    mqtt_session_start(r->s, r->now);
}

void rig_connect(struct rig *r, const char *connack_hex)
{
    rig_start(r);
    rig_feed(r, connack_hex);
    assert_true(mqtt_session_is_connected(r->s));
    buf_clear(&r->out);
    r->log_len = 0;
    r->log[0] = '\0';
}

void rig_begin(struct rig *r, enum mqtt_version version)
{
    struct mqtt_session_config c = rig_config(version);
    rig_init(r, &c);
    rig_connect(r, version == MQTT_5 ? CONNACK_5 : CONNACK_311);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t rig_bytes(const char *hex, uint8_t *to, size_t max)
{
    size_t n = 0;
    while (*hex) {
        if (*hex == ' ') {
            hex++;
        } else if (*hex == '\'') {
            for (hex++; *hex != '\''; hex++) {
                assert_true(*hex && n < max);
                to[n++] = (uint8_t)*hex;
            }
            hex++;
        } else {
            assert_true(n < max && digit(hex[0]) >= 0 && digit(hex[1]) >= 0);
            to[n++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
            hex += 2;
        }
    }
    return n;
}

void rig_feed(struct rig *r, const char *hex)
{
    uint8_t bytes[4096];
    size_t n = rig_bytes(hex, bytes, sizeof(bytes));
    /* A copy of just this size, so that a sanitizer sees each byte read beyond it. */
    uint8_t *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, n);
    mqtt_session_feed(r->s, exact, n, r->now);
    free(exact);
}

void rig_expect_sent(struct rig *r, const char *hex)
{
    static uint8_t bytes[4096];
    static char want[3 * 4096], got[3 * 4096];
    size_t n = rig_bytes(hex, bytes, sizeof(bytes));
    hex_of(bytes, n, want, sizeof(want));
    hex_of(buf_bytes(&r->out), r->out.len, got, sizeof(got));
    assert_string_equal(got, want);
    buf_clear(&r->out);
}

void rig_expect_log(struct rig *r, const char *log)
{
    assert_string_equal(r->log, log);
    r->log_len = 0;
    r->log[0] = '\0';
}

void rig_run_until(struct rig *r, int64_t at)
{
    while (r->s && mqtt_session_deadline(r->s) <= at) {
        int64_t due = mqtt_session_deadline(r->s);
        r->now = due > r->now ? due : r->now;
        mqtt_session_on_timer(r->s, r->now);
        assert_true(mqtt_session_deadline(r->s) > r->now); /* or it would spin */
    }
    r->now = at;
}
