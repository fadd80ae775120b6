#include "tests/sim/sim_packet.h"

#include <string.h>

static bool length_of(struct reader *r, size_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t byte = read_u8(r);
        *out |= (size_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return !r->bad;
    }
    r->bad = true;
    return false;
}

int sim_packet_next(const struct buf *b, struct sim_packet *p, size_t *size)
{
    struct reader r = reader_of(buf_bytes(b), b->len);
    size_t n;
    uint8_t first = read_u8(&r);
    if (r.bad || !length_of(&r, &n))
        return r.bad && b->len >= 5 ? -1 : 0;
    if (n > r.left)
        return 0;
    *p = (struct sim_packet){(enum sim_packet_type)(first >> 4), first & 15u, reader_of(r.p, n)};
    *size = (size_t)(r.p - buf_bytes(b)) + n;
    return p->type >= SIM_CONNECT && p->type <= SIM_DISCONNECT ? 1 : -1;
}

/* A string of two length bytes; what does not fit in out is an error, since we never use such. */
static bool text(struct reader *r, char *out, size_t room)
{
    size_t n = read_be16(r);
    const uint8_t *at = read_bytes(r, n);
    if (!at || n >= room || memchr(at, 0, n))
        return false;
    memcpy(out, at, n);
    out[n] = '\0';
    return true;
}

static bool skip_text(struct reader *r)
{
    return read_bytes(r, read_be16(r)) != NULL;
}

/* Passes over one property whose meaning does not matter here. */
static bool skip_property(struct reader *r, uint8_t id)
{
    size_t n;
    switch (id) {
    case 0x01: case 0x17: case 0x19: case 0x24: case 0x25: case 0x28: case 0x29: case 0x2a:
        read_u8(r);
        break;
    case 0x13: case 0x21: case 0x22: case 0x23:
        read_be16(r);
        break;
    case 0x02: case 0x11: case 0x18: case 0x27:
        read_be32(r);
        break;
    case 0x0b:
        length_of(r, &n);
        break;
    case 0x26:
        return skip_text(r) && skip_text(r);
    case 0x03: case 0x08: case 0x09: case 0x12: case 0x15: case 0x16: case 0x1a: case 0x1c: case 0x1f:
        return skip_text(r);
    default:
        return false;
    }
    return !r->bad;
}

static bool properties(struct reader *r, struct reader *props)
{
    size_t n;
    if (!length_of(r, &n))
        return false;
    const uint8_t *at = read_bytes(r, n);
    *props = reader_of(at, at ? n : 0);
    return at != NULL;
}

bool sim_read_connect(struct sim_packet *p, struct sim_connect *out)
{
    struct reader *r = &p->body, props = {0};
    char name[8];
    memset(out, 0, sizeof *out);
    out->receive_maximum = 65535;
    out->packet_max = UINT32_MAX;
    if (!text(r, name, sizeof name) || strcmp(name, "MQTT") != 0)
        return false;
    out->level = read_u8(r);
    uint8_t flags = read_u8(r);
    out->clean = flags & 2;
    out->keepalive_s = read_be16(r);
    if (out->level == 5 && !properties(r, &props))
        return false;
    while (props.left) {
        uint8_t id = read_u8(&props);
        if (id == 0x21)
            out->receive_maximum = read_be16(&props);
        else if (id == 0x27)
            out->packet_max = read_be32(&props);
        else if (!skip_property(&props, id))
            return false;
    }
    /* Will, user name and password follow the client id, and are of no interest here. */
    return text(r, out->client_id, sizeof out->client_id) && !(flags & 1);
}

bool sim_read_publish(struct sim_packet *p, bool v5, struct sim_publish *out)
{
    struct reader *r = &p->body, props = {0};
    memset(out, 0, sizeof *out);
    out->qos = p->flags >> 1 & 3;
    out->retain = p->flags & 1;
    out->dup = p->flags & 8;
    if (out->qos == 3 || !text(r, out->topic, sizeof out->topic))
        return false;
    if (out->qos)
        out->packet_id = read_be16(r);
    if (v5 && !properties(r, &props))
        return false;
    while (props.left) {
        uint8_t id = read_u8(&props);
        char key[64];
        if (id == 0x26) {
            if (!text(&props, key, sizeof key) || !skip_text(&props))
                return false;
            out->again = out->again || strcmp(key, "lw-again") == 0;
        } else if (id == 0x02) {
            out->has_expiry = true;
            out->expiry_s = read_be32(&props);
        } else {
            out->aliased = out->aliased || id == 0x23;
            if (id == 0x0b || !skip_property(&props, id)) /* a client gives no subscription identifier */
                return false;
        }
    }
    out->n = r->left;
    out->payload = read_bytes(r, r->left);
    return !r->bad && (out->qos == 0 || out->packet_id != 0);
}

bool sim_read_ack(struct sim_packet *p, bool v5, uint16_t *packet_id, unsigned *reason)
{
    struct reader *r = &p->body;
    *packet_id = read_be16(r);
    *reason = v5 && r->left ? read_u8(r) : 0;
    if (!v5 && r->left)
        return false;
    return !r->bad && *packet_id != 0 && p->flags == (p->type == SIM_PUBREL ? 2u : 0u);
}

bool sim_read_subscribe(struct sim_packet *p, bool v5, struct sim_subscribe *out)
{
    struct reader *r = &p->body, props = {0};
    memset(out, 0, sizeof *out);
    out->packet_id = read_be16(r);
    if (p->flags != 2 || (v5 && !properties(r, &props)))
        return false;
    while (props.left) {
        uint8_t id = read_u8(&props);
        size_t n;
        if (id == 0x0b) {
            if (!length_of(&props, &n))
                return false;
            out->id = (uint32_t)n;
        } else if (!skip_property(&props, id)) {
            return false;
        }
    }
    if (!text(r, out->filter, sizeof out->filter))
        return false;
    if (p->type == SIM_SUBSCRIBE)
        out->options = read_u8(r);
    return !r->bad && r->left == 0 && out->packet_id != 0;
}

/* ---- writing ---- */

static void put_length(struct buf *b, size_t n)
{
    do {
        buf_put_u8(b, (uint8_t)((n & 0x7f) | (n > 0x7f ? 0x80 : 0)));
        n >>= 7;
    } while (n);
}

static size_t length_size(size_t n)
{
    return n < 128 ? 1 : n < 16384 ? 2 : n < 2097152 ? 3 : 4;
}

void sim_write_connack(struct buf *b, bool v5, bool session, unsigned code, unsigned receive_maximum)
{
    buf_put_u8(b, SIM_CONNACK << 4);
    bool limit = v5 && code == 0 && receive_maximum < 65535;
    put_length(b, v5 ? (limit ? 6 : 3) : 2);
    buf_put_u8(b, session);
    buf_put_u8(b, (uint8_t)code);
    if (v5)
        buf_put_u8(b, limit ? 3 : 0);
    if (limit) {
        buf_put_u8(b, 0x21);
        buf_put_be16(b, (uint16_t)receive_maximum);
    }
}

void sim_write_publish(struct buf *b, bool v5, const struct sim_deliver *d)
{
    size_t topic = strlen(d->topic), props = v5 && d->has_expiry ? 5 : 0;
    for (unsigned i = 0; i < d->sub_id_count; i++)
        props += 1 + length_size(d->sub_ids[i]);
    size_t n = 2 + topic + (d->qos ? 2 : 0) + (v5 ? length_size(props) + props : 0) + d->n;
    buf_put_u8(b, (uint8_t)(SIM_PUBLISH << 4 | (d->dup ? 8 : 0) | d->qos << 1 | d->retain));
    put_length(b, n);
    buf_put_be16(b, (uint16_t)topic);
    buf_put(b, d->topic, topic);
    if (d->qos)
        buf_put_be16(b, d->packet_id);
    if (v5)
        put_length(b, props);
    if (v5 && d->has_expiry) {
        buf_put_u8(b, 0x02);
        buf_put_be32(b, d->expiry_s);
    }
    for (unsigned i = 0; v5 && i < d->sub_id_count; i++) {
        buf_put_u8(b, 0x0b);
        put_length(b, d->sub_ids[i]);
    }
    buf_put(b, d->payload, d->n);
}

void sim_write_ack(struct buf *b, enum sim_packet_type type, uint16_t packet_id)
{
    buf_put_u8(b, (uint8_t)(type << 4 | (type == SIM_PUBREL ? 2 : 0)));
    buf_put_u8(b, 2);
    buf_put_be16(b, packet_id);
}

void sim_write_refusal(struct buf *b, enum sim_packet_type type, uint16_t packet_id, uint8_t reason)
{
    buf_put_u8(b, (uint8_t)(type << 4));
    buf_put_u8(b, 3);
    buf_put_be16(b, packet_id);
    buf_put_u8(b, reason);
}

void sim_write_suback(struct buf *b, bool v5, bool unsub, uint16_t packet_id, unsigned reason)
{
    bool with = v5 || !unsub;
    buf_put_u8(b, (unsub ? SIM_UNSUBACK : SIM_SUBACK) << 4);
    put_length(b, 2u + v5 + with);
    buf_put_be16(b, packet_id);
    if (v5)
        buf_put_u8(b, 0);
    if (with)
        buf_put_u8(b, (uint8_t)reason);
}

void sim_write_pingresp(struct buf *b)
{
    buf_put_u8(b, SIM_PINGRESP << 4);
    buf_put_u8(b, 0);
}
