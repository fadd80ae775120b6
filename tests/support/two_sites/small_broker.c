#include "tests/support/two_sites/small_broker.h"

#include <stdio.h>
#include <string.h>

#define FIRST_ID 1000 /* packet id of message 0 */

static void put(struct small_broker *b, const void *bytes, size_t n)
{
    if (n > sizeof b->out - b->out_len) {
        b->wrong = true;
        return;
    }
    memcpy(b->out + b->out_len, bytes, n);
    b->out_len += n;
}

static void put_ack(struct small_broker *b, uint8_t first, unsigned id)
{
    const uint8_t packet[] = {first, 2, (uint8_t)(id >> 8), (uint8_t)id};
    put(b, packet, sizeof packet);
}

static void send_message(struct small_broker *b, unsigned i)
{
    uint8_t packet[128], qos = b->messages[i].qos;
    size_t topic = strlen(b->messages[i].topic), payload = strlen(b->messages[i].payload);
    unsigned id = FIRST_ID + i;
    size_t n = 0;
    if (b->messages[i].state == SMALL_RELEASED) {
        put_ack(b, 0x62, id);
        return;
    }
    packet[n++] = (uint8_t)(0x30 | qos << 1 | (b->messages[i].before && qos > 0 ? 8 : 0));
    packet[n++] = (uint8_t)(2 + topic + (qos > 0 ? 2 : 0) + payload);
    packet[n++] = 0;
    packet[n++] = (uint8_t)topic;
    memcpy(packet + n, b->messages[i].topic, topic);
    n += topic;
    if (qos > 0) {
        packet[n++] = (uint8_t)(id >> 8);
        packet[n++] = (uint8_t)id;
    }
    memcpy(packet + n, b->messages[i].payload, payload);
    put(b, packet, n + payload);
    b->messages[i].state = qos > 0 ? SMALL_SENT : SMALL_DONE;
    b->messages[i].before = true;
}

static void send_all(struct small_broker *b, bool again)
{
    for (unsigned i = 0; b->connected && b->subscribed && i < b->count; i++)
        if (b->messages[i].state == SMALL_WAITING || (again && b->messages[i].state != SMALL_DONE))
            send_message(b, i);
}

static void take(struct small_broker *b, uint8_t first, const uint8_t *body, size_t n)
{
    unsigned qos = first >> 1 & 3, id = 0;
    size_t topic = n >= 2 ? (size_t)(body[0] << 8 | body[1]) : 0, at = 2 + topic + (qos ? 2 : 0);
    if (n < at || qos > 2 || topic == 0) {
        b->wrong = true;
        return;
    }
    if (qos > 0)
        id = (unsigned)(body[2 + topic] << 8 | body[3 + topic]);
    bool known = qos == 2 && (b->held[id / 8] >> id % 8 & 1);
    bool ours = topic >= 9 && memcmp(body + 2, "longwire/", 9) == 0;
    if (!known && !ours && b->taken_count < SMALL_BROKER_TAKEN) {
        unsigned i = b->taken_count++;
        snprintf(b->taken[i].topic, sizeof b->taken[i].topic, "%.*s", (int)topic, (const char *)body + 2);
        snprintf(b->taken[i].payload, sizeof b->taken[i].payload, "%.*s", (int)(n - at), (const char *)body + at);
        b->taken[i].qos = (uint8_t)qos;
        b->taken[i].retained = first & 1;
    }
    if (qos == 1)
        put_ack(b, 0x40, id);
    if (qos == 2) {
        b->held[id / 8] |= (uint8_t)(1u << id % 8);
        put_ack(b, 0x50, id);
    }
}

static void acknowledged(struct small_broker *b, uint8_t type, unsigned id)
{
    unsigned i = id - FIRST_ID;
    if (type == 6) {
        b->held[id / 8] &= (uint8_t)~(1u << id % 8);
        put_ack(b, 0x70, id);
        return;
    }
    if (id < FIRST_ID || i >= b->count)
        return;
    if (type == 5 && b->messages[i].state != SMALL_DONE) {
        b->messages[i].state = SMALL_RELEASED;
        put_ack(b, 0x62, id);
    }
    if (type == 4 || type == 7)
        b->messages[i].state = SMALL_DONE;
}

static void packet(struct small_broker *b, uint8_t first, const uint8_t *body, size_t n)
{
    unsigned id = n >= 2 ? (unsigned)(body[0] << 8 | body[1]) : 0;
    switch (first >> 4) {
    case 1: {
        const uint8_t connack[] = {0x20, 2, b->session, 0};
        put(b, connack, sizeof connack);
        b->connected = b->session = true;
        send_all(b, true);
        break;
    }
    case 3:
        take(b, first, body, n);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        acknowledged(b, first >> 4, id);
        break;
    case 8: {
        const uint8_t suback[] = {0x90, 3, (uint8_t)(id >> 8), (uint8_t)id, 2};
        put(b, suback, sizeof suback);
        b->subscribed = true;
        send_all(b, false);
        break;
    }
    case 10:
        put_ack(b, 0xb0, id);
        break;
    case 12: {
        const uint8_t pingresp[] = {0xd0, 0};
        put(b, pingresp, sizeof pingresp);
        break;
    }
    case 14:
        b->connected = false;
        break;
    default:
        b->wrong = true;
    }
}

void small_broker_open(struct small_broker *b)
{
    b->in_len = b->out_len = 0;
    b->connected = b->wrong = false;
}

void small_broker_closed(struct small_broker *b)
{
    small_broker_open(b);
}

void small_broker_feed(struct small_broker *b, const uint8_t *bytes, size_t n)
{
    if (n > sizeof b->in - b->in_len) {
        b->wrong = true;
        return;
    }
    memcpy(b->in + b->in_len, bytes, n);
    b->in_len += n;
    size_t at = 0;
    while (!b->wrong && b->in_len - at >= 2) {
        size_t len = 0, i = 1;
        unsigned shift = 0;
        while (at + i < b->in_len && i <= 4) {
            uint8_t byte = b->in[at + i++];
            len |= (size_t)(byte & 0x7f) << shift;
            shift += 7;
            if (!(byte & 0x80))
                break;
        }
        if ((b->in[at + i - 1] & 0x80) || b->in_len - at < i + len)
            break;
        packet(b, b->in[at], b->in + at + i, len);
        at += i + len;
    }
    memmove(b->in, b->in + at, b->in_len - at);
    b->in_len -= at;
}

void small_broker_publish(struct small_broker *b, const char *topic, const char *payload, uint8_t qos)
{
    unsigned i = b->count++;
    snprintf(b->messages[i].topic, sizeof b->messages[i].topic, "%s", topic);
    snprintf(b->messages[i].payload, sizeof b->messages[i].payload, "%s", payload);
    b->messages[i].qos = qos;
    send_all(b, false);
}

bool small_broker_all_acknowledged(const struct small_broker *b)
{
    for (unsigned i = 0; i < b->count; i++)
        if (b->messages[i].state != SMALL_DONE)
            return false;
    return true;
}

unsigned small_broker_times(const struct small_broker *b, const char *payload)
{
    unsigned times = 0;
    for (unsigned i = 0; i < b->taken_count; i++)
        times += strcmp(b->taken[i].payload, payload) == 0;
    return times;
}
