#include "tests/bench/bench_broker.h"

#include <string.h>
#include "base/hash.h"

#define BUFFER_MAX (64u << 20)

enum packet { CONNECT = 1, PUBLISH = 3, PUBACK = 4, SUBSCRIBE = 8, PINGREQ = 12, DISCONNECT = 14 };

void bench_broker_init(struct bench_broker *b)
{
    memset(b, 0, sizeof *b);
    buf_init(&b->in, BUFFER_MAX);
    buf_init(&b->out, BUFFER_MAX);
}

void bench_broker_fini(struct bench_broker *b)
{
    buf_fini(&b->in);
    buf_fini(&b->out);
}

static uint64_t hash_of(const void *topic, size_t topic_len, const void *payload, size_t n)
{
    return hash64_add(hash64_add(HASH64_START, topic, topic_len), payload, n);
}

static bool take(struct bench_broker *b, uint8_t first, const uint8_t *body, size_t n)
{
    struct reader r = reader_of(body, n);
    size_t topic_len = read_be16(&r);
    const uint8_t *topic = read_bytes(&r, topic_len);
    uint16_t id = first & 6 ? read_be16(&r) : 0;
    if (r.bad || (first & 6) == 4 || (first & 6) == 6)
        return false;
    if (topic_len < 9 || memcmp(topic, "longwire/", 9) != 0) {
        b->taken++;
        b->taken_hash += hash_of(topic, topic_len, r.p, r.left);
    }
    if (first & 6) {
        buf_put(&b->out, (const uint8_t[]){0x40, 2}, 2);
        buf_put_be16(&b->out, id);
    }
    return true;
}

static bool packet(struct bench_broker *b, uint8_t first, const uint8_t *body, size_t n)
{
    switch ((enum packet)(first >> 4)) {
    case CONNECT:
        return buf_put(&b->out, (const uint8_t[]){0x20, 2, 0, 0}, 4);
    case PUBLISH:
        return take(b, first, body, n);
    case PUBACK:
        b->acknowledged++;
        return true;
    case SUBSCRIBE:
        b->subscribed = true;
        return n >= 2 && buf_put(&b->out, (const uint8_t[]){0x90, 3, body[0], body[1], 1}, 5);
    case PINGREQ:
        return buf_put(&b->out, (const uint8_t[]){0xd0, 0}, 2);
    case DISCONNECT:
        return true;
    }
    return false;
}

bool bench_broker_feed(struct bench_broker *b, const uint8_t *bytes, size_t n)
{
    buf_put(&b->in, bytes, n);
    for (;;) {
        const uint8_t *p = buf_bytes(&b->in);
        size_t length = 0, at = 1;
        do {
            if (at >= b->in.len || at > 4)
                return !b->in.failed && at <= 4;
            length |= (size_t)(p[at] & 0x7f) << 7 * (at - 1);
        } while (p[at++] & 0x80);
        if (b->in.len < at + length)
            return !b->in.failed;
        if (!packet(b, p[0], p + at, length))
            return false;
        buf_consume(&b->in, at + length);
    }
}

static size_t remaining(size_t topic, size_t payload, bool qos)
{
    return 2 + topic + (qos ? 2 : 0) + payload;
}

static size_t length_bytes(size_t n)
{
    return n < 128 ? 1 : n < 16384 ? 2 : n < 2097152 ? 3 : 4;
}

size_t bench_publish_bytes(size_t topic, size_t payload)
{
    size_t rest = remaining(topic, payload, false);
    return 1 + length_bytes(rest) + rest;
}

uint64_t bench_broker_publish(struct bench_broker *b, const char *topic, const uint8_t *payload, size_t n)
{
    size_t topic_len = strlen(topic);
    b->next_id = b->next_id == UINT16_MAX ? 1 : (uint16_t)(b->next_id + 1);
    buf_put_u8(&b->out, 0x32);
    buf_put_varint(&b->out, remaining(topic_len, n, true)); /* MQTT's own is the same */
    buf_put_be16(&b->out, (uint16_t)topic_len);
    buf_put(&b->out, topic, topic_len);
    buf_put_be16(&b->out, b->next_id);
    buf_put(&b->out, payload, n);
    return hash_of(topic, topic_len, payload, n);
}
