#include "gateway/mqtt/packet.h"

#include "base/topic.h"
#include "gateway/mqtt/props.h"

#define SUBSCRIPTION_IDS_MAX                                                                       \
    (sizeof(((struct mqtt_publish *)0)->subscription_ids) / sizeof(uint32_t))

static const char out_of_memory[] = "out of memory";

static const struct {
    const char *name;
    uint8_t flags; /* MQTT 5, table 2-2; PUBLISH has its own */
    bool from_server;
    bool only_5;
} types[] = {
    [PACKET_CONNECT] = {"CONNECT", 0, false, false},
    [PACKET_CONNACK] = {"CONNACK", 0, true, false},
    [PACKET_PUBLISH] = {"PUBLISH", 0, true, false},
    [PACKET_PUBACK] = {"PUBACK", 0, true, false},
    [PACKET_PUBREC] = {"PUBREC", 0, true, false},
    [PACKET_PUBREL] = {"PUBREL", 2, true, false},
    [PACKET_PUBCOMP] = {"PUBCOMP", 0, true, false},
    [PACKET_SUBSCRIBE] = {"SUBSCRIBE", 2, false, false},
    [PACKET_SUBACK] = {"SUBACK", 0, true, false},
    [PACKET_UNSUBSCRIBE] = {"UNSUBSCRIBE", 2, false, false},
    [PACKET_UNSUBACK] = {"UNSUBACK", 0, true, false},
    [PACKET_PINGREQ] = {"PINGREQ", 0, false, false},
    [PACKET_PINGRESP] = {"PINGRESP", 0, true, false},
    [PACKET_DISCONNECT] = {"DISCONNECT", 0, true, true},
    [PACKET_AUTH] = {"AUTH", 0, true, true},
};
#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

const char *packet_name(enum packet_type type)
{
    return (size_t)type < TYPE_COUNT && types[type].name ? types[type].name : "reserved type";
}

size_t packet_varint_size(size_t v)
{
    return v < 1u << 7 ? 1 : v < 1u << 14 ? 2 : v < 1u << 21 ? 3 : 4;
}

size_t packet_size(size_t n)
{
    return 1 + packet_varint_size(n) + n;
}

const char *packet_check(const struct packet *p, enum mqtt_version version)
{
    if ((size_t)p->type >= TYPE_COUNT || !types[p->type].name)
        return "packet type 0 is reserved";
    if (!types[p->type].from_server || (types[p->type].only_5 && version != MQTT_5))
        return "a server must not send this packet";
    if (p->type != PACKET_PUBLISH && p->flags != types[p->type].flags)
        return "wrong flag bits";
    return NULL;
}

/* The fault of a body that ended early, or that goes on after its end. */
static const char *ending(const struct reader *r)
{
    if (r->bad)
        return "packet is cut short";
    return r->left > 0 ? "packet is longer than what it says" : NULL;
}

static void connack_property(struct packet_connack *out, const struct prop *p)
{
    switch (p->id) {
    case PROP_RECEIVE_MAXIMUM:
        out->receive_maximum = (uint16_t)p->number;
        break;
    case PROP_MAXIMUM_PACKET_SIZE:
        out->packet_max_bytes = p->number;
        break;
    case PROP_MAXIMUM_QOS:
        out->qos_max = (uint8_t)p->number;
        break;
    case PROP_RETAIN_AVAILABLE:
        out->retain_available = p->number;
        break;
    case PROP_WILDCARD_AVAILABLE:
        out->wildcard_available = p->number;
        break;
    case PROP_SUBSCRIPTION_ID_AVAILABLE:
        out->sub_id_available = p->number;
        break;
    case PROP_SERVER_KEEP_ALIVE:
        out->has_keepalive = true;
        out->keepalive_s = (uint16_t)p->number;
        break;
    case PROP_ASSIGNED_CLIENT_ID:
        out->client_id_assigned = true;
        break;
    case PROP_AUTH_METHOD:
    case PROP_AUTH_DATA:
        out->wants_authentication = true;
        break;
    case PROP_REASON_STRING:
        out->reason = p->bytes;
        out->reason_len = p->len;
        break;
    default:
        break; /* of no use to us: session expiry, shared subscriptions, response information ... */
    }
}

const char *packet_read_connack(const struct packet *p, enum mqtt_version version,
                                struct packet_connack *out)
{
    struct reader r = reader_of(p->body, p->len);
    *out = (struct packet_connack){
        .old_form = p->len == 2, /* MQTT 5 has a property length at least */
        .receive_maximum = UINT16_MAX,
        .packet_max_bytes = UINT32_MAX,
        .qos_max = 2,
        .retain_available = true,
        .wildcard_available = true,
        .sub_id_available = version == MQTT_5,
    };
    uint8_t flags = read_u8(&r);
    out->code = read_u8(&r);
    out->session_present = flags & 1;
    if (flags & ~1u)
        return "reserved CONNACK flags are set"; /* MQTT-3.2.2-1 */
    if (out->session_present && out->code != REASON_SUCCESS)
        return "refused with a session present"; /* MQTT-3.2.2-6 */
    if (version == MQTT_5 && !out->old_form) {
        struct props_reader props = props_take(&r, PROP_IN_CONNACK);
        struct prop prop;
        while (props_next(&props, &prop))
            connack_property(out, &prop);
        if (props.error)
            return props.error;
    }
    return ending(&r);
}

/* Keeps the lowest identifiers where there are more than fit: an owner numbers its subscriptions by
 * rank, and looks for the first. */
static void add_subscription_id(struct mqtt_publish *out, uint32_t id)
{
    if (out->subscription_id_count < SUBSCRIPTION_IDS_MAX) {
        out->subscription_ids[out->subscription_id_count++] = id;
        return;
    }
    size_t highest = 0;
    for (size_t i = 1; i < SUBSCRIPTION_IDS_MAX; i++)
        if (out->subscription_ids[i] > out->subscription_ids[highest])
            highest = i;
    if (id < out->subscription_ids[highest])
        out->subscription_ids[highest] = id;
}

static const char *publish_property(struct mqtt_publish *out, const struct prop *p,
                                    struct buf *keep)
{
    if (p->kept)
        return buf_put(keep, p->raw, p->raw_len) ? NULL : out_of_memory;
    switch (p->id) {
    case PROP_MESSAGE_EXPIRY:
        out->has_expiry = true;
        out->expiry_s = p->number;
        return NULL;
    case PROP_SUBSCRIPTION_ID:
        add_subscription_id(out, p->number);
        return NULL;
    case PROP_TOPIC_ALIAS:
        return "topic alias, though our maximum is 0"; /* MQTT-3.1.2-26 */
    default:
        return "property does not belong in this packet";
    }
}

static const char *publish_properties(struct mqtt_publish *out, struct reader *r, struct buf *keep)
{
    struct props_reader props = props_take(r, PROP_IN_PUBLISH);
    struct prop prop;
    const char *error = NULL;
    while (!error && props_next(&props, &prop))
        error = publish_property(out, &prop, keep);
    out->props = buf_bytes(keep);
    out->props_len = keep->len;
    return error ? error : props.error;
}

static void publish_flags(struct mqtt_publish *out, uint8_t flags)
{
    out->retain = flags & 1;
    out->qos = flags >> 1 & 3;
    out->dup = flags & 8;
}

const char *packet_read_publish(const struct packet *p, enum mqtt_version version,
                                struct buf *props, struct mqtt_publish *out)
{
    struct reader r = reader_of(p->body, p->len);
    *out = (struct mqtt_publish){0};
    buf_clear(props);
    publish_flags(out, p->flags);
    if (out->qos > 2)
        return "PUBLISH with QoS 3"; /* MQTT-3.3.1-4 */
    if (out->dup && out->qos == 0)
        return "PUBLISH with DUP and QoS 0"; /* MQTT-3.3.1-2 */
    out->topic_len = read_be16(&r);
    out->topic = (const char *)read_bytes(&r, out->topic_len);
    if (out->qos > 0)
        out->packet_id = read_be16(&r);
    if (r.bad)
        return ending(&r);
    /* An empty one would lean on a topic alias, which we do not allow. MQTT-3.3.2-1, -2. */
    if (!topic_name_valid(out->topic, out->topic_len))
        return "PUBLISH without a valid topic name";
    if (out->qos > 0 && out->packet_id == 0)
        return "packet identifier 0"; /* MQTT-2.2.1-3 */
    if (version == MQTT_5) {
        const char *error = publish_properties(out, &r, props);
        if (error)
            return error;
    }
    out->payload_len = r.left;
    out->payload = read_bytes(&r, r.left);
    return ending(&r);
}

bool packet_peek_publish(uint8_t flags, const uint8_t *body, size_t n, struct mqtt_publish *out)
{
    struct reader r = reader_of(body, n);
    *out = (struct mqtt_publish){.topic = ""};
    publish_flags(out, flags);
    size_t topic_len = read_be16(&r);
    if (r.bad)
        return false;
    out->topic_len = topic_len < r.left ? topic_len : r.left;
    out->topic = (const char *)read_bytes(&r, out->topic_len);
    if (out->topic_len < topic_len)
        return false;
    if (out->qos > 0)
        out->packet_id = read_be16(&r);
    return !r.bad;
}

const char *packet_read_ack(const struct packet *p, enum mqtt_version version,
                            struct packet_ack *out)
{
    struct reader r = reader_of(p->body, p->len);
    *out = (struct packet_ack){.packet_id = read_be16(&r)};
    if (r.bad)
        return ending(&r);
    /* MQTT 5 leaves out the reason code when it is 0, and the properties when there are none
     * (3.4.2.1, 3.4.2.2.1). */
    if (version == MQTT_5 && r.left > 0)
        out->reason = read_u8(&r);
    if (version == MQTT_5 && r.left > 0) {
        struct props_reader props = props_take(&r, PROP_IN_ACK);
        const char *error =
            props.error ? props.error : props_check(props.r.p, props.r.left, PROP_IN_ACK);
        if (error)
            return error;
    }
    const char *error = ending(&r);
    if (!error && out->packet_id == 0)
        error = "packet identifier 0"; /* MQTT-2.2.1-3 */
    return error;
}

/* Granted QoS or a refusal; MQTT 3.1.1 has one refusal, 0x80 (MQTT-3.9.3-2). */
static bool suback_code_valid(uint8_t code, enum mqtt_version version)
{
    return code <= 2 || (version == MQTT_5 ? REASON_IS_ERROR(code) : code == 0x80);
}

const char *packet_read_suback(const struct packet *p, enum mqtt_version version,
                               struct packet_suback *out)
{
    struct reader r = reader_of(p->body, p->len);
    *out = (struct packet_suback){.packet_id = read_be16(&r)};
    if (version == MQTT_5) {
        struct props_reader props = props_take(&r, PROP_IN_ACK);
        const char *error =
            props.error ? props.error : props_check(props.r.p, props.r.left, PROP_IN_ACK);
        if (error)
            return error;
    }
    if (p->type == PACKET_SUBACK || version == MQTT_5) {
        out->n = r.left;
        out->reasons = read_bytes(&r, r.left);
    }
    const char *error = ending(&r);
    if (error)
        return error;
    if (out->packet_id == 0)
        return "packet identifier 0";
    if (out->n == 0 && out->reasons)
        return "no reason code"; /* MQTT-3.9.3-1 */
    for (size_t i = 0; i < out->n && p->type == PACKET_SUBACK; i++)
        if (!suback_code_valid(out->reasons[i], version))
            return "SUBACK with a code that is none";
    return NULL;
}

const char *packet_read_disconnect(const struct packet *p, struct packet_disconnect *out)
{
    struct reader r = reader_of(p->body, p->len);
    *out = (struct packet_disconnect){0};
    if (r.left > 0) /* else 0x00, normal (MQTT 5, 3.14.2.1) */
        out->code = read_u8(&r);
    if (r.left > 0) {
        struct props_reader props = props_take(&r, PROP_IN_DISCONNECT);
        struct prop prop;
        while (props_next(&props, &prop)) {
            if (prop.id == PROP_REASON_STRING) {
                out->reason = prop.bytes;
                out->reason_len = prop.len;
            }
        }
        if (props.error)
            return props.error;
    }
    return ending(&r);
}
