#include "gateway/cli/estimate_broker.h"

#include <string.h>

#define BUFFER_MAX (64u << 20)

enum packet {
    CONNECT = 1,
    PUBLISH = 3,
    PUBACK = 4,
    PUBREL = 6,
    SUBSCRIBE = 8,
    PINGREQ = 12,
    DISCONNECT = 14
};

void estimate_broker_init(struct estimate_broker *b,
                          void (*taken)(void *ctx, const uint8_t *topic, size_t topic_len,
                                        const uint8_t *payload, size_t n),
                          void *ctx)
{
    memset(b, 0, sizeof *b);
    b->taken = taken;
    b->ctx = ctx;
    buf_init(&b->in, BUFFER_MAX);
    buf_init(&b->out, BUFFER_MAX);
}

void estimate_broker_fini(struct estimate_broker *b)
{
    buf_fini(&b->in);
    buf_fini(&b->out);
}

static bool answer(struct estimate_broker *b, uint8_t first, uint16_t id)
{
    return buf_put(&b->out, (const uint8_t[]){first, 2}, 2) && buf_put_be16(&b->out, id);
}

static bool take(struct estimate_broker *b, uint8_t first, const uint8_t *body, size_t n)
{
    struct reader r = reader_of(body, n);
    size_t topic_len = read_be16(&r);
    const uint8_t *topic = read_bytes(&r, topic_len);
    unsigned qos = first >> 1 & 3;
    uint16_t id = qos ? read_be16(&r) : 0;
    if (r.bad || qos == 3)
        return false;
    b->taken(b->ctx, topic, topic_len, r.p, r.left);
    return qos == 0 || answer(b, qos == 1 ? 0x40 : 0x50, id);
}

static bool packet(struct estimate_broker *b, uint8_t first, const uint8_t *body, size_t n)
{
    switch ((enum packet)(first >> 4)) {
    case CONNECT:
        return buf_put(&b->out, (const uint8_t[]){0x20, 2, 0, 0}, 4);
    case PUBLISH:
        return take(b, first, body, n);
    case PUBREL:
        return n >= 2 && answer(b, 0x70, (uint16_t)(body[0] << 8 | body[1]));
    case SUBSCRIBE:
        return n >= 2 && buf_put(&b->out, (const uint8_t[]){0x90, 3, body[0], body[1], 1}, 5);
    case PINGREQ:
        return buf_put(&b->out, (const uint8_t[]){0xd0, 0}, 2);
    case PUBACK:
    case DISCONNECT:
        return true;
    }
    return false;
}

bool estimate_broker_feed(struct estimate_broker *b, const uint8_t *bytes, size_t n)
{
    if (!buf_put(&b->in, bytes, n))
        return false;
    for (;;) {
        const uint8_t *p = buf_bytes(&b->in);
        size_t length = 0, at = 1;
        do {
            if (at >= b->in.len || at > 4)
                return at <= 4;
            length |= (size_t)(p[at] & 0x7f) << 7 * (at - 1);
        } while (p[at++] & 0x80);
        if (b->in.len < at + length)
            return true;
        if (!packet(b, p[0], p + at, length))
            return false;
        buf_consume(&b->in, at + length);
    }
}

bool estimate_broker_publish(struct estimate_broker *b, const char *topic, const uint8_t *payload,
                             size_t n, bool retain)
{
    size_t topic_len = strlen(topic);
    b->next_id = b->next_id == UINT16_MAX ? 1 : (uint16_t)(b->next_id + 1);
    bool good = buf_put_u8(&b->out, retain ? 0x33 : 0x32);
    good = good && buf_put_varint(&b->out, 2 + topic_len + 2 + n); /* MQTT's own is the same */
    good = good && buf_put_be16(&b->out, (uint16_t)topic_len);
    good = good && buf_put(&b->out, topic, topic_len);
    good = good && buf_put_be16(&b->out, b->next_id);
    return good && buf_put(&b->out, payload, n);
}
