#include "tests/unit/wire_codec/streams.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* --- random walks --- */

void stream_begin(struct stream *s, uint64_t seed)
{
    *s = (struct stream){.seed = seed * 0x9e3779b97f4a7c15u + 1};
    for (unsigned i = 0; i < 64; i++)
        s->walk[i] = (int32_t)stream_random(s, 2000);
}

uint32_t stream_random(struct stream *s, uint32_t n)
{
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return (uint32_t)((s->seed >> 32) * n >> 32);
}

/* A call has at most one random number among its arguments: their order differs between machines.
 *
 * A value that wanders by up to `step`, around its middle. */
static int32_t walk(struct stream *s, unsigned i, uint32_t step, int32_t middle)
{
    int32_t *v = &s->walk[i];

    *v += (int32_t)stream_random(s, 2 * step + 1) - (int32_t)step - (*v - middle) / 64;
    return *v;
}

static void topic(struct stream_message *m, unsigned slot, const char *format, ...)
{
    va_list args;

    m->slot = slot;
    m->len = 0;
    va_start(args, format);
    vsnprintf(m->topic, sizeof m->topic, format, args);
    va_end(args);
}

static void text(struct stream_message *m, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    m->len += (size_t)vsnprintf((char *)m->payload + m->len, sizeof m->payload - m->len, format, args);
    va_end(args);
}

static void byte(struct stream_message *m, unsigned v)
{
    m->payload[m->len++] = (uint8_t)v;
}

static void little(struct stream_message *m, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        byte(m, (unsigned)(v >> (8 * i)) & 255);
}

static void big(struct stream_message *m, uint64_t v, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0;)
        byte(m, (unsigned)(v >> (8 * i)) & 255);
}

/* The 32-bit float nearest to v / 10^decimals, v > 0, by integers alone. */
static uint32_t float_bits(uint32_t v, unsigned decimals)
{
    uint64_t divisor = 1;
    int exponent = 23;

    while (decimals--)
        divisor *= 10;
    uint64_t scaled = (uint64_t)v << 24;
    uint64_t q = scaled / divisor;
    exponent -= 24;
    while (q >> 24) {
        q >>= 1;
        exponent++;
    }
    while (q && !(q >> 23)) {
        scaled <<= 1;
        q = scaled / divisor;
        exponent--;
        while (q >> 24)
            q >>= 1;
    }
    return (uint32_t)(exponent + 127) << 23 | ((uint32_t)q & 0x7fffff);
}

/* --- the kinds --- */

static void events(struct stream *s, struct stream_message *m)
{
    static const char *const names[] = {"door", "motion", "relay", "lamp", "siren", "window"};
    static const char *const states[] = {"ON", "OFF", "open", "closed", "true", "false"};
    unsigned i = stream_random(s, 24);

    topic(m, i, "home/room%u/%s/state", i / 6, names[i % 6]);
    s->walk[i] = !(s->walk[i] & 1);
    text(m, "%s", states[(i % 3) * 2 + (unsigned)s->walk[i]]);
}

static void scalars(struct stream *s, struct stream_message *m)
{
    static const char *const names[] = {"temperature", "humidity", "pressure", "battery", "level"};
    unsigned i = s->tick++ % 20;

    topic(m, i, "site/node-%02u/%s", i / 5, names[i % 5]);
    int32_t v = walk(s, i, 1 + i % 5, 1000 + (int32_t)i * 10);
    text(m, i % 2 ? "%d.%02d" : "%d.%d", v / 100, i % 2 ? v % 100 : v % 10);
}

static unsigned nmea_sum(const char *s)
{
    unsigned sum = 0;

    for (; *s && *s != '*'; s++)
        sum ^= (uint8_t)*s;
    return sum;
}

/* AIVDM sentences: six bits a character, positions that move a little. */
static void ais(struct stream *s, struct stream_message *m)
{
    char body[64];
    unsigned ship = stream_random(s, 9), at = 0;
    uint64_t longitude = (uint64_t)(6000000 + walk(s, ship, 40, 1000) + 5000 * (int)ship);
    uint64_t latitude = (uint64_t)(31000000 + walk(s, ship + 10, 40, 1000));
    unsigned speed = (unsigned)walk(s, ship + 20, 2, 120) & 1023;
    unsigned course = (unsigned)walk(s, ship + 30, 5, 900) & 4095;
    uint8_t bits[168] = {0};
    const struct {
        uint64_t v;
        unsigned n;
    } fields[] = {{1, 6}, {0, 2}, {211000000 + ship * 7919, 30}, {0, 4}, {128, 8},
                  {speed, 10}, {1, 1}, {longitude, 28}, {latitude, 27},
                  {course, 12}, {90, 9}, {s->tick % 60, 6}, {0, 25}};

    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
        for (unsigned b = fields[f].n; b-- > 0;)
            bits[at++] = fields[f].v >> b & 1;
    int n = snprintf(body, sizeof body, "AIVDM,1,1,,%c,", "AB"[s->tick++ % 2]);
    for (unsigned i = 0; i < 168; i += 6) {
        unsigned v = 0;
        for (unsigned b = 0; b < 6; b++)
            v = v << 1 | bits[i + b];
        body[n++] = (char)(v + (v < 40 ? 48 : 56));
    }
    snprintf(body + n, sizeof body - (size_t)n, ",0");
    topic(m, 0, "ais/raw");
    text(m, "!%s*%02X", body, nmea_sum(body));
}

static void cbor_key(struct stream_message *m, const char *key)
{
    byte(m, 0x60 + (unsigned)strlen(key));
    text(m, "%s", key);
}

/* A map with an integer time, floats that were decimals, a short string. */
static void cbor(struct stream *s, struct stream_message *m)
{
    topic(m, 0, "sonde/telemetry");
    byte(m, 0xa6);
    cbor_key(m, "t");
    byte(m, 0x1a);
    big(m, 1700000000u + s->tick++, 4);
    cbor_key(m, "temp");
    byte(m, 0xfa);
    big(m, float_bits((uint32_t)walk(s, 0, 3, 2500), 2), 4);
    cbor_key(m, "alt");
    byte(m, 0xfa);
    big(m, float_bits((uint32_t)walk(s, 1, 50, 90000), 1), 4);
    cbor_key(m, "sats");
    byte(m, stream_random(s, 12));
    cbor_key(m, "id");
    byte(m, 0x64);
    text(m, "S%03u", 417u);
    cbor_key(m, "n");
    byte(m, 0x19);
    big(m, s->tick & 0xffff, 2);
}

/* Sparkplug-like protobuf: a time, metrics with alias, time, type and a little-endian float. */
static void varint(struct stream_message *m, uint64_t v)
{
    for (; v > 127; v >>= 7)
        byte(m, (unsigned)(v & 127) | 128);
    byte(m, (unsigned)v);
}

static void protobuf(struct stream *s, struct stream_message *m)
{
    uint64_t time = 1700000000000u + 1000ull * s->tick;

    topic(m, 0, "spBv1.0/plant/DDATA/line/pump");
    byte(m, 0x08);
    varint(m, time);
    for (unsigned i = 1; i <= 6; i++) {
        if (stream_random(s, 4) == 0)
            continue;
        byte(m, 0x12);
        byte(m, 16);
        byte(m, 0x10);
        byte(m, i);
        byte(m, 0x18);
        varint(m, time);
        byte(m, 0x20);
        byte(m, 9);
        byte(m, 0x65);
        little(m, float_bits((uint32_t)walk(s, i, 40, 200000) + 1, 1 + i % 4), 4);
    }
    byte(m, 0x18);
    varint(m, s->tick++ & 255);
}

/* u-blox NAV-PVT-like frames with their Fletcher checksum. */
static void ubx(struct stream *s, struct stream_message *m)
{
    topic(m, 0, "gnss/raw");
    byte(m, 0xb5);
    byte(m, 0x62);
    byte(m, 0x01);
    byte(m, 0x07);
    little(m, 52, 2);
    little(m, 400000000u + 200 * s->tick++, 4);
    little(m, 2024, 2);
    byte(m, 3);
    byte(m, 17);
    little(m, 0xf00000 + stream_random(s, 65536), 8);
    for (unsigned i = 0; i < 6; i++)
        little(m, (uint32_t)(77000000 + 1000 * (int)i + walk(s, i, 30 + 20 * i, 500)), 4);
    little(m, (uint32_t)walk(s, 9, 4, 150), 4);
    little(m, 0, 6);
    uint8_t a = 0, b = 0;
    for (size_t i = 2; i < m->len; i++) {
        a = (uint8_t)(a + m->payload[i]);
        b = (uint8_t)(b + a);
    }
    byte(m, a);
    byte(m, b);
}

/* Modbus RTU answers: registers and CRC-16. */
static void modbus(struct stream *s, struct stream_message *m)
{
    unsigned unit = 1 + s->tick++ % 3, registers = 6 + 2 * unit;
    uint16_t crc = 0xffff;

    topic(m, unit, "modbus/%u/holding", unit);
    byte(m, unit);
    byte(m, 3);
    byte(m, 2 * registers);
    for (unsigned i = 0; i < registers; i++)
        big(m, (uint32_t)walk(s, unit * 16 + i, i % 4 ? 2 : 30, 3000) & 0xffff, 2);
    for (size_t i = 0; i < m->len; i++) {
        crc ^= m->payload[i];
        for (unsigned b = 0; b < 8; b++)
            crc = crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    }
    little(m, crc, 2);
}

/* Long JSON with objects in lists. */
static void json(struct stream *s, struct stream_message *m)
{
    topic(m, 0, "building/controller/status");
    text(m, "{\"timestamp\":\"2024-03-%02uT%02u:%02u:%02u.%03uZ\",\"controller\":{\"uptime\":%u,\"load\":[",
         1 + s->tick / 86400 % 28, s->tick / 3600 % 24, s->tick / 60 % 60, s->tick % 60,
         stream_random(s, 1000), 5000 + s->tick);
    s->tick += 10;
    for (unsigned i = 0; i < 3; i++)
        text(m, "%s0.%02d", i ? "," : "", walk(s, i, 3, 40) & 63);
    text(m, "]},\"zones\":[");
    for (unsigned z = 0; z < 5; z++) {
        int32_t v = walk(s, 8 + z, 4, 2150);
        const char *occupied = stream_random(s, 9) ? "false" : "true";
        int32_t valve = walk(s, 16 + z, 1, 50);
        text(m, "%s{\"id\":%u,\"name\":\"zone %u\",\"temp\":{\"value\":%d.%02d,\"unit\":\"C\"},\"valve\":%d,\"occupied\":%s}",
             z ? "," : "", z, z, v / 100, v % 100, valve, occupied);
    }
    text(m, "],\"alarms\":[]}");
}

static void nmea(struct stream *s, struct stream_message *m)
{
    char body[100];
    int32_t knots = 600 + (walk(s, 0, 10, 600) & 255), degrees = walk(s, 1, 3, 180) & 255;

    topic(m, 0, "boat/nmea0183");
    switch (s->tick++ % 3) {
    case 0:
        snprintf(body, sizeof body, "IIVHW,,T,,M,%02d.%02d,N,%02d.%02d,K", knots / 100, knots % 100,
                 knots * 1852 / 100000, knots * 1852 / 1000 % 100);
        break;
    case 1:
        snprintf(body, sizeof body, "IIMWV,%03d,R,%02d.%02d,N,A", degrees, knots / 50, knots % 50);
        break;
    default: {
        int32_t east = walk(s, 3, 3, 400) & 511, north = walk(s, 2, 3, 400) & 511;
        snprintf(body, sizeof body, "GPGLL,5321.%03d,N,00630.%03d,W,%06u,A", 100 + north, 200 + east,
                 100000 + s->tick % 60);
    }
    }
    text(m, "$%s*%02X\r\n", body, nmea_sum(body));
}

static void random_bytes(struct stream *s, struct stream_message *m)
{
    size_t n = 100 + stream_random(s, 300);

    topic(m, 0, "camera/sealed");
    while (m->len < n)
        byte(m, stream_random(s, 256));
}

/* All sorts, empty ones and long ones, on many topics. */
static void mixed(struct stream *s, struct stream_message *m)
{
    static void (*const kinds[])(struct stream *, struct stream_message *) = {
        events, scalars, ais, cbor, protobuf, ubx, modbus, json, nmea, random_bytes};
    unsigned k = stream_random(s, 11);

    if (k == 10) {
        topic(m, 4095, "empty");
        return;
    }
    kinds[k](s, m);
    m->slot = (m->slot + 37 * k) % 4096;
}

const struct stream_kind stream_kinds[] = {
    {"events", events}, {"scalars", scalars}, {"ais", ais},       {"cbor", cbor},
    {"protobuf", protobuf}, {"ubx", ubx},     {"modbus", modbus}, {"json", json},
    {"nmea", nmea},     {"random", random_bytes}, {"mixed", mixed},
};
const size_t stream_kind_count = sizeof stream_kinds / sizeof *stream_kinds;
