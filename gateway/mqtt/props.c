#include "gateway/mqtt/props.h"

#include <assert.h>

#include "base/topic.h"
#include "base/utf8.h"

enum prop_type {
    TYPE_NONE = 0,
    TYPE_FLAG, /* a byte; every byte that the specification has is 0 or 1 */
    TYPE_U16,
    TYPE_U32,
    TYPE_VARINT,
    TYPE_STRING,
    TYPE_BINARY,
    TYPE_PAIR,
};

struct prop_rule {
    uint8_t type;
    uint8_t places;
    bool nonzero; /* 0 is a protocol error */
    bool repeats;
};

/* Spec: MQTT 5, table 2-4, and the clause of each property. Those that only a client sends are not
 * here: from a server they are as wrong as an unknown identifier. */
static const struct prop_rule rules[] = {
    [PROP_PAYLOAD_FORMAT] = {TYPE_FLAG, PROP_IN_PUBLISH | PROP_IN_MSG},
    [PROP_MESSAGE_EXPIRY] = {TYPE_U32, PROP_IN_PUBLISH},
    [PROP_CONTENT_TYPE] = {TYPE_STRING, PROP_IN_PUBLISH | PROP_IN_MSG},
    [PROP_RESPONSE_TOPIC] = {TYPE_STRING, PROP_IN_PUBLISH | PROP_IN_MSG},
    [PROP_CORRELATION_DATA] = {TYPE_BINARY, PROP_IN_PUBLISH | PROP_IN_MSG},
    [PROP_SUBSCRIPTION_ID] = {TYPE_VARINT, PROP_IN_PUBLISH, .nonzero = true, .repeats = true},
    [PROP_SESSION_EXPIRY] = {TYPE_U32, PROP_IN_CONNACK},
    [PROP_ASSIGNED_CLIENT_ID] = {TYPE_STRING, PROP_IN_CONNACK},
    [PROP_SERVER_KEEP_ALIVE] = {TYPE_U16, PROP_IN_CONNACK},
    [PROP_AUTH_METHOD] = {TYPE_STRING, PROP_IN_CONNACK},
    [PROP_AUTH_DATA] = {TYPE_BINARY, PROP_IN_CONNACK},
    [PROP_RESPONSE_INFO] = {TYPE_STRING, PROP_IN_CONNACK},
    [PROP_SERVER_REFERENCE] = {TYPE_STRING, PROP_IN_CONNACK | PROP_IN_DISCONNECT},
    [PROP_REASON_STRING] = {TYPE_STRING, PROP_IN_CONNACK | PROP_IN_ACK | PROP_IN_DISCONNECT},
    [PROP_RECEIVE_MAXIMUM] = {TYPE_U16, PROP_IN_CONNACK, .nonzero = true},
    [PROP_TOPIC_ALIAS_MAXIMUM] = {TYPE_U16, PROP_IN_CONNACK},
    [PROP_TOPIC_ALIAS] = {TYPE_U16, PROP_IN_PUBLISH, .nonzero = true},
    [PROP_MAXIMUM_QOS] = {TYPE_FLAG, PROP_IN_CONNACK},
    [PROP_RETAIN_AVAILABLE] = {TYPE_FLAG, PROP_IN_CONNACK},
    [PROP_USER] = {TYPE_PAIR,
                   PROP_IN_CONNACK | PROP_IN_PUBLISH | PROP_IN_ACK | PROP_IN_DISCONNECT |
                       PROP_IN_MSG,
                   .repeats = true},
    [PROP_MAXIMUM_PACKET_SIZE] = {TYPE_U32, PROP_IN_CONNACK, .nonzero = true},
    [PROP_WILDCARD_AVAILABLE] = {TYPE_FLAG, PROP_IN_CONNACK},
    [PROP_SUBSCRIPTION_ID_AVAILABLE] = {TYPE_FLAG, PROP_IN_CONNACK},
    [PROP_SHARED_AVAILABLE] = {TYPE_FLAG, PROP_IN_CONNACK},
};
#define RULE_COUNT (sizeof(rules) / sizeof(rules[0]))

static_assert(RULE_COUNT <= 64, "props_reader.seen has a bit for each identifier");

struct props_reader props_of(const void *bytes, size_t n, enum prop_place place)
{
    return (struct props_reader){.r = reader_of(bytes, n), .place = place};
}

struct props_reader props_take(struct reader *body, enum prop_place place)
{
    /* A body's length has at most 4 bytes, so a section that fits in it has too (MQTT-1.5.5-1). */
    uint64_t n = read_varint(body);
    const uint8_t *bytes = n <= body->left ? read_bytes(body, (size_t)n) : NULL;
    if (bytes)
        return props_of(bytes, (size_t)n, place);
    struct props_reader s = props_of("", 0, place);
    s.error = body->bad ? "packet is cut short" : "properties are longer than the packet";
    body->bad = true;
    return s;
}

static const uint8_t *read_field(struct reader *r, size_t *n)
{
    *n = read_be16(r);
    const uint8_t *bytes = read_bytes(r, *n);
    if (!bytes)
        *n = 0;
    return bytes;
}

static bool is_utf8(const uint8_t *bytes, size_t n)
{
    return bytes && utf8_valid((const char *)bytes, n);
}

/* Reads the value behind an identifier. Return: NULL, or what is wrong. */
static const char *read_value(struct reader *r, enum prop_type type, struct prop *p)
{
    switch (type) {
    case TYPE_NONE:
        return "unknown property";
    case TYPE_FLAG:
        p->number = read_u8(r);
        return p->number > 1 ? "property value is not 0 or 1" : NULL;
    case TYPE_U16:
        p->number = read_be16(r);
        return NULL;
    case TYPE_U32:
        p->number = read_be32(r);
        return NULL;
    case TYPE_VARINT: {
        uint64_t number = read_varint(r);
        p->number = (uint32_t)number;
        return number > PROP_SUBSCRIPTION_ID_MAX ? "property value is too large" : NULL;
    }
    case TYPE_STRING:
        p->bytes = read_field(r, &p->len);
        if (r->bad)
            return NULL; /* told by the caller */
        if (!is_utf8(p->bytes, p->len))
            return "property is not UTF-8";
        return p->id == PROP_RESPONSE_TOPIC && !topic_name_valid((const char *)p->bytes, p->len)
                   ? "response topic is not a topic name" /* MQTT-3.3.2-14 */
                   : NULL;
    case TYPE_BINARY:
        p->bytes = read_field(r, &p->len);
        return NULL;
    case TYPE_PAIR:
        p->bytes = read_field(r, &p->len);
        p->value = read_field(r, &p->value_len);
        if (r->bad)
            return NULL;
        return is_utf8(p->bytes, p->len) && is_utf8(p->value, p->value_len)
                   ? NULL
                   : "user property is not UTF-8";
    }
    return "unknown property";
}

bool props_next(struct props_reader *s, struct prop *p)
{
    if (s->error || s->r.left == 0)
        return false;
    *p = (struct prop){.raw = s->r.p};
    /* A variable byte integer by the specification; every identifier it has takes one byte. */
    unsigned id = read_u8(&s->r);
    const struct prop_rule *rule = id < RULE_COUNT ? &rules[id] : &rules[0];
    p->id = (enum prop_id)id;
    p->kept = rule->places & PROP_IN_MSG;
    if (rule->type == TYPE_NONE)
        s->error = "unknown property";
    else if (!(rule->places & s->place))
        s->error = "property does not belong in this packet";
    else if (!rule->repeats && s->seen & 1ull << id)
        s->error = "property given twice";
    else
        s->error = read_value(&s->r, rule->type, p);
    if (!s->error && s->r.bad)
        s->error = "property is cut short";
    if (!s->error && rule->nonzero && p->number == 0)
        s->error = "property value must not be 0";
    if (s->error)
        return false;
    s->seen |= 1ull << id;
    p->raw_len = (size_t)(s->r.p - p->raw);
    return true;
}

const char *props_check(const void *bytes, size_t n, enum prop_place place)
{
    struct props_reader s = props_of(bytes, n, place);
    struct prop p;
    while (props_next(&s, &p))
        ;
    return s.error;
}
