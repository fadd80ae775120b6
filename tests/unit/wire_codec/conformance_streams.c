/* Writes streams of the codec as text, each record and the bytes of each unit: what conformance.py decodes by
 * docs/MODEL.md alone. Every part of the model is in one of them; the messages are few, as Python takes a millisecond a byte.
 *
 * usage: conformance_streams [TIMES]     so many times as many messages of the generated kinds */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/wire/codec_mix.h"
#include "gateway/wire/mix_checksums.h"
#include "tests/unit/wire_codec/run.h"

#define SEED 20261123
#define UNIT 220 /* bytes, as frames have them */

static size_t times = 1;

static void print_hex(const char *name, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    printf(" %s=", name);
    for (size_t i = 0; i < n; i++)
        printf("%02x", p[i]);
}

static void print_number(const char *name, uint64_t v)
{
    printf(" %s=%" PRIu64, name, v);
}

static void print_message(const struct record *r)
{
    print_number("slot", r->slot);
    print_hex("topic", r->topic, r->slot == RECORD_NO_SLOT ? r->topic_len : 0);
    print_number("qos", r->qos);
    print_number("retain", r->retain);
    if (r->has_origin)
        printf(" origin=%" PRId64 " in_ms=%d", r->origin_ms, r->origin_in_ms);
    if (r->has_expiry)
        print_number("expiry", r->expiry_s);
    print_hex("props", r->props, r->props_len);
    print_hex("hops", r->hops, r->hops_len);
    print_number("total", r->total);
    print_hex("data", r->bytes, r->len);
}

static void print_record(const char *key, const struct record *r)
{
    static const char *const names[] = {"message", "chunk", "topic", "gap", "abort", "reset"};

    printf("%s = %s", key, names[r->type]);
    if (r->type != RECORD_TOPIC && r->type != RECORD_TOPICS_RESET) {
        print_number("klass", r->class);
        print_number("number", r->number);
    }
    if (r->type == RECORD_MESSAGE || r->type == RECORD_GAP || r->type == RECORD_ABORT)
        print_number("previous", r->previous);
    switch (r->type) {
    case RECORD_MESSAGE:
        print_message(r);
        break;
    case RECORD_CHUNK:
        print_number("offset", r->offset);
        print_hex("data", r->bytes, r->len);
        break;
    case RECORD_TOPIC:
        print_number("slot", r->slot);
        print_hex("topic", r->topic, r->topic_len);
        break;
    case RECORD_GAP:
        print_number("first", r->first_number);
        print_number("count", r->count);
        print_number("reason", r->reason);
        printf(" since=%" PRId64 " until=%" PRId64, r->from_ms / 1000, r->to_ms / 1000);
        print_hex("route", r->route, r->route_len);
        break;
    case RECORD_ABORT:
    case RECORD_TOPICS_RESET:
        break;
    }
    putchar('\n');
}

static void print_run(struct run *run)
{
    uint64_t begin = 0;
    size_t next = 0;

    for (size_t u = 0; u < run->units; u++) {
        for (; next < run->unit_records[u]; next++)
            print_record("record", &run->records[next].r);
        fputs("unit =", stdout);
        print_hex("bytes", buf_bytes(&run->stream) + begin, (size_t)(run->unit_ends[u] - begin));
        putchar('\n');
        begin = run->unit_ends[u];
    }
}

static void begin(struct run *run, const char *name, size_t memory)
{
    run_begin(run, &codec_mix, memory);
    printf("stream = %s memory=%zu\n", name, memory);
}

static void kind(const char *name, size_t memory, size_t messages, enum codec_effort effort)
{
    struct run run;
    size_t k = 0;

    while (strcmp(stream_kinds[k].name, name) != 0)
        k++;
    char told[32];
    static const char *const levels[] = {"", "-fast", "-stored"};
    snprintf(told, sizeof told, "%s%s", name, levels[effort]);
    begin(&run, told, memory);
    codec_mix.set_effort(run.encoder, effort);
    run_kind(&run, &stream_kinds[k], SEED, messages * times, UNIT);
    print_run(&run);
    run_end(&run);
}

/* --- streams of all that the kinds leave out --- */

struct odd {
    struct run run;
    uint64_t last[CLASS_COUNT];
};

static struct record message(struct odd *o, enum msg_class class, unsigned slot, const void *bytes, size_t n)
{
    uint64_t previous = o->last[class];

    o->last[class] = ++o->run.number;
    return (struct record){.type = RECORD_MESSAGE, .class = class, .number = o->run.number, .previous = previous, .slot = slot,
                           .qos = 1, .bytes = bytes, .len = (uint32_t)n, .total = (uint32_t)n};
}

static struct record text_message(struct odd *o, unsigned slot, const char *text)
{
    return message(o, CLASS_NORMAL, slot, text, strlen(text));
}

static void name_topic(struct odd *o, unsigned slot, const char *topic)
{
    run_put(&o->run, &(struct record){.type = RECORD_TOPIC, .slot = slot, .topic = topic, .topic_len = (uint32_t)strlen(topic)});
}

static void say(struct odd *o, unsigned slot, const char *text)
{
    struct record r = text_message(o, slot, text);

    run_put(&o->run, &r);
}

static void say_bytes(struct odd *o, unsigned slot, const void *bytes, size_t n)
{
    struct record r = message(o, CLASS_NORMAL, slot, bytes, n);

    run_put(&o->run, &r);
}

/* Flags, times, properties, topics as text, pieces, gaps. */
static void records_of_all_kinds(void)
{
    static const uint8_t props[] = {0x26, 0, 1, 'a', 0, 2, 'b', 'c'};
    static const char *const topics[] = {"a/x/temp", "a/y/temp", "a/y/hum", "b/z"};
    struct odd o = {0};

    begin(&o.run, "records", CODEC_MIX_MEMORY_MIN);
    for (unsigned i = 0; i < 4; i++)
        name_topic(&o, i * 5, topics[i]);
    for (unsigned i = 0; i < 24; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", 20 + i % 3);
        struct record r = message(&o, i % 7 ? CLASS_NORMAL : CLASS_ALARM, i % 4 * 5, text, strlen(text));
        r.qos = i % 3;
        r.retain = i % 5 == 0;
        r.has_origin = i % 6 != 5;
        r.origin_in_ms = i % 4 == 2;
        r.origin_ms = 1700000000000 + 5000 * (int64_t)i + (r.origin_in_ms ? 123 : 0);
        r.has_expiry = i % 2;
        r.expiry_s = 3600 - i;
        if (i % 8 == 3) {
            r.props = props;
            r.props_len = sizeof props;
            r.hops = "hub,buoy-17";
            r.hops_len = 11;
        }
        run_put(&o.run, &r);
        if (i % 9 == 8)
            run_flush(&o.run);
    }
    for (unsigned i = 0; i < 3; i++) { /* topics that have no slot */
        struct record r = message(&o, CLASS_HIGH, RECORD_NO_SLOT, "on", 2);
        r.topic = i == 1 ? "c/lamp12" : "c/lamp7";
        r.topic_len = (uint32_t)strlen(r.topic);
        run_put(&o.run, &r);
    }
    struct record piece = text_message(&o, 5, "0123456789 and so on, ");
    piece.total = 60;
    run_put(&o.run, &piece);
    say(&o, 10, "between the pieces");
    run_put(&o.run, &(struct record){.type = RECORD_CHUNK, .class = CLASS_NORMAL, .number = piece.number, .offset = piece.len,
                                     .bytes = (const uint8_t *)"and on", .len = 6});
    run_put(&o.run, &(struct record){.type = RECORD_CHUNK, .class = CLASS_NORMAL, .number = piece.number + 3, .offset = 1000,
                                     .bytes = (const uint8_t *)"\0\1\2\3\4\5", .len = 6});
    run_put(&o.run, &(struct record){.type = RECORD_ABORT, .class = CLASS_NORMAL, .number = o.run.number, .previous = o.last[2] - 2});
    o.run.number += 70000;
    run_put(&o.run, &(struct record){.type = RECORD_GAP, .class = CLASS_BULK, .number = o.run.number, .previous = 3, .count = 12,
                                     .first_number = o.run.number - 20, .reason = 5, .from_ms = 1700000007000, .to_ms = 1700000001000,
                                     .route = "telemetry", .route_len = 9});
    run_put(&o.run, &(struct record){.type = RECORD_TOPICS_RESET});
    o.last[3] = o.run.number;
    name_topic(&o, 0, "b/w");
    struct record r = message(&o, CLASS_BULK, 0, "", 0);
    run_put(&o.run, &r);
    run_flush(&o.run);
    print_run(&o.run);
    run_end(&o.run);
}

/* Text that the generated kinds do not have: floats written out, minus signs, zeros in front, relations. */
static void numbers_in_text(void)
{
    static const char *const floats[] = {"893.6815795898438", "893.7020874023438", "894.125", "893.68359375", "-12.300000190734863",
                                         "893.6900024414062", "0.10000000149011612", "893.7100219726562",
                                         /* One that is none (a double) after one that is, after two, and after none: trust comes and goes. */
                                         "101.0999984741211", "101.1234567890123", "101.19999694824219", "101.30000305175781",
                                         "101.4511111111111", "101.7009999999999", "101.69999694824219", "102.01000213623047", "101.69999"};
    struct odd o = {0};

    begin(&o.run, "numbers", CODEC_MIX_MEMORY_MIN);
    name_topic(&o, 1, "n/float");
    name_topic(&o, 2, "n/list");
    for (unsigned i = 0; i < sizeof floats / sizeof *floats; i++) {
        char text[80];
        say(&o, 1, floats[i]);
        if (i >= 8)
            continue;
        int below = (int)i * 7 - 20, twice = 2000 + (int)(i * i);
        snprintf(text, sizeof text, "%03u;%d;%d.%02d,%d.%02d,%d", i * 3, below, twice / 100, twice % 100, twice / 100, twice % 100, -twice);
        say(&o, 2, text);
        if (i % 3 == 2)
            run_flush(&o.run);
    }
    say(&o, 2, "12345678901234567890,1.2.3,--4,\xc3\xa9t\xc3\xa9");
    say(&o, 2, "{\"a\":[1,2,{\"b\":\"x:y\"}],\"c\":null}]");
    run_flush(&o.run);
    print_run(&o.run);
    run_end(&o.run);
}

/* Containers in containers; CBOR of all types. */
static void containers(void)
{
    static const uint8_t cbor[] = {0xbf, 0x61, 'a', 0x9f, 1, 0x20, 0x38, 200, 0xff, 0x61, 'b', 0xc1, 0xfb, 0x40, 0x59, 0, 0, 0, 0, 0, 0,
                                   0x61, 'c', 0x82, 0xf9, 0x3c, 0, 0xf5, 0x61, 'd', 0x58, 3, 9, 8, 7, 0x18, 40, 0x1b, 0, 0, 0, 1, 2, 3, 4, 0,
                                   0x61, 'e', 0xd8, 0x20, 0x80, 0xff};
    static const uint8_t protobuf[] = {0x08, 0x96, 0x01, 0x12, 0x0a, 0x08, 0x05, 0x15, 0, 0, 0x48, 0x41, 0x18, 0x80, 0x01, 0x1a, 0x00,
                                       0x12, 0x0a, 0x08, 0x06, 0x15, 0, 0, 0x80, 0x41, 0x18, 0x90, 0x7f,
                                       0x21, 0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0x29, 0x40, 0x2a, 0x03, 'a', 'b', 'c'};
    struct odd o = {0};

    begin(&o.run, "containers", CODEC_MIX_MEMORY_MIN);
    name_topic(&o, 3, "k/cbor");
    name_topic(&o, 4, "k/protobuf");
    for (unsigned i = 0; i < 5; i++) {
        uint8_t c[sizeof cbor], p[sizeof protobuf];
        memcpy(c, cbor, sizeof c);
        memcpy(p, protobuf, sizeof p);
        c[7] = (uint8_t)(200 + 3 * i);
        c[15] = (uint8_t)(0x10 * i);
        c[36] = (uint8_t)(40 + i);
        p[1] = (uint8_t)(0x96 + 2 * i);
        p[9] = p[23] = (uint8_t)(0x20 * i);
        p[32] = (uint8_t)(0x99 + i);
        if (i == 4)
            memcpy(p + 5, "\x0f\xff no more", 10); /* what was taken for a message is none */
        say_bytes(&o, 3, c, sizeof c);
        say_bytes(&o, 4, p, sizeof p);
        run_flush(&o.run);
    }
    print_run(&o.run);
    run_end(&o.run);
}

/* A topic for each kind of checksum, each in another place, which is met five times, then missed, and met
 * again; a topic like it begins with what that one knows. */
static void checksums_of_all_kinds(void)
{
    struct odd o = {0};
    uint8_t ring[64] = {0}, columns[16], ends[8];
    const struct mix_window w = {.bytes = ring, .columns = columns, .ends = ends, .mask = sizeof ring - 1};

    begin(&o.run, "checksums", CODEC_MIX_MEMORY_MIN);
    for (unsigned kind = 1; kind < MIX_CHECKSUM_KINDS; kind++) {
        char name[8];
        struct mix_checksum c = {(uint8_t)kind, (uint8_t)(kind % 5), (uint8_t)(kind % 3)};
        unsigned width = mix_checksum_width(kind), length = 9 + width + c.tail;
        for (unsigned i = 0; i < 7; i++) {
            unsigned slot = 2 * kind + (i == 6);
            snprintf(name, sizeof name, "%c%c/%u", 'a' + kind / 26, 'a' + kind % 26, slot & 1);
            if (i == 0 || i == 6)
                name_topic(&o, slot, name);
            memcpy(ring, (uint8_t[]){0x81, (uint8_t)(i * 9), (uint8_t)(kind * 5), 0x90, (uint8_t)(200 - i * i), 7, 0, 3, 5}, 9);
            mix_checksum_make(&w, (struct mix_message){0, length}, c, ring + 9);
            ring[9] ^= i == 4;
            memcpy(ring + 9 + width, "\r\n", c.tail);
            say_bytes(&o, slot, ring, length);
        }
        run_flush(&o.run);
    }
    print_run(&o.run);
    run_end(&o.run);
}

/* UBX and RTCM frames one behind the other, and what begins as one and is none. */
static void frames_within_messages(void)
{
    static const uint8_t heads[][6] = {{0xd3, 0, 10, 0x3e, 0xd0, 0}, {0xb5, 0x62, 1, 7, 8, 0}, {0xd3, 0, 10, 0x3f, 0xd0, 0}};
    struct odd o = {0};
    uint8_t ring[64] = {0}, columns[16], ends[8];
    const struct mix_window w = {.bytes = ring, .columns = columns, .ends = ends, .mask = sizeof ring - 1};

    begin(&o.run, "frames", CODEC_MIX_MEMORY_MIN);
    name_topic(&o, 1, "gnss/raw");
    for (unsigned i = 0; i < 6; i++) {
        for (unsigned f = 0; f < 3; f++) {
            uint8_t *at = ring + 16 * f;
            struct mix_checksum c = f == 1 ? (struct mix_checksum){11, 2, 0} : (struct mix_checksum){8, 0, 0};
            memcpy(at, heads[f], 6);
            for (unsigned k = 6; k < 14; k++)
                at[k] = (uint8_t)(k * 31 + i * (k + f));
            mix_checksum_make(&w, (struct mix_message){16 * f, 16}, c, at + 16 - mix_checksum_width(c.kind));
            if (i == 4)
                at[2 + 2 * (f == 1)]++; /* ends elsewhere */
        }
        say_bytes(&o, 1, ring, i == 5 ? 40 : 48);
        run_flush(&o.run);
    }
    print_run(&o.run);
    run_end(&o.run);
}

/* More than the window holds: what was said long ago is gone, at each place in another moment. Noise is cheap to decode. */
static void longer_than_the_window(void)
{
    struct stream s;
    uint8_t noise[1100];
    struct odd o = {0};

    begin(&o.run, "window", CODEC_MIX_MEMORY_MIN);
    stream_begin(&s, SEED + 1);
    for (unsigned i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "w/old%u", i);
        name_topic(&o, i, name);
        say(&o, i, "seen=12.50,state=on");
    }
    for (unsigned i = 0; i < 9; i++) {
        for (size_t k = 0; k < sizeof noise; k++)
            noise[k] = (uint8_t)stream_random(&s, 256);
        say_bytes(&o, 9, noise, sizeof noise);
        say(&o, i % 4, "seen=12.75,state=on");
        run_flush(&o.run);
    }
    say(&o, 3, "seen=12.75,state=off");
    run_flush(&o.run);
    print_run(&o.run);
    run_end(&o.run);
}

/* A model that was primed, as that of an anchor or a history is. */
static void primed(void)
{
    struct stream s;
    uint8_t random[120];
    struct odd o = {0};

    begin(&o.run, "primed", CODEC_MIX_MEMORY_MIN);
    stream_begin(&s, SEED);
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)stream_random(&s, 256);
    static const uint8_t fields[] = {8, 1, 16, 2, 24, 200, 1};
    struct record all[] = {
        {.slot = 7, .bytes = (const uint8_t *)"{\"t\":21.5}", .len = 10, .has_origin = true, .origin_ms = 1700000000000},
        {.slot = RECORD_NO_SLOT, .topic = "x/y9", .topic_len = 4, .bytes = (const uint8_t *)"\xff\x01", .len = 2},
        {.slot = 9, .bytes = random, .len = sizeof random, .retain = true},
        {.slot = 9, .bytes = random, .len = sizeof random, .retain = true},
        {.slot = 8, .bytes = fields, .len = sizeof fields},
        {.slot = 11, .bytes = (const uint8_t *)"\x82\x01\x02", .len = 3},
        {.slot = 11, .bytes = (const uint8_t *)"\x86\x01\x02\x03\x04\x05\x06", .len = 7}, /* too short ones told that it is CBOR */
        {.slot = 12, .bytes = (const uint8_t *)"\x0a\x04" "abcd", .len = 6}, /* one field alone is no Protocol Buffers message */
        {.slot = 13, .bytes = (const uint8_t *)"\x88\x81\x81\x81\x81\x81\x81\x81\x80\x40", .len = 10}, /* eight levels of CBOR */
        {.slot = 14, .bytes = (const uint8_t *)"\x81\x81\x81\x81\x81\x81\x81\x81\x01", .len = 9}, /* nine */
        {.slot = 15, .bytes = (const uint8_t *)"\x9f\x5f\x41\x61\xff\xff", .len = 6}, /* a string of open length: not taken */
        {.slot = 16, .bytes = (const uint8_t *)"\x82\x01\x02\x03\x00\x00", .len = 6}, /* more than one item */
        {.slot = 17, .bytes = (const uint8_t *)"\xc3\x28 well", .len = 7}, /* no UTF-8 */
        {.slot = 18, .bytes = (const uint8_t *)"\xc3\xa9\t\r\n", .len = 5},
        {.slot = 7, .bytes = (const uint8_t *)"{\"t\":21.7,", .len = 10, .has_origin = true, .origin_ms = 1700000030000},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct record *r = &all[i];
        r->class = CLASS_NORMAL;
        r->number = i + 10;
        r->previous = i ? i + 9 : 0;
        r->total = r->len + (i + 1 == sizeof all / sizeof *all ? 6 : 0);
        print_record("prime", r);
        if (codec_mix.prime_encoder(o.run.encoder, r) != 0)
            abort();
        if (i == 2) { /* up to here it was as the primer, from here on a history */
            puts("numbers = forgotten");
            if (codec_mix.prime_encoder(o.run.encoder, NULL) != 0)
                abort();
        }
    }
    struct record rest = {.type = RECORD_CHUNK, .class = CLASS_NORMAL, .number = 9 + sizeof all / sizeof *all, .offset = 10,
                          .bytes = (const uint8_t *)"\"u\":1}", .len = 6};
    print_record("prime", &rest);
    if (codec_mix.prime_encoder(o.run.encoder, &rest) != 0)
        abort();
    say(&o, 7, "{\"t\":21.9,\"u\":1}");
    say_bytes(&o, 8, (uint8_t[]){8, 1, 16, 3, 24, 201, 1}, 7);
    say_bytes(&o, 9, random, sizeof random);
    for (size_t i = 5; i < 14; i++)
        say_bytes(&o, all[i].slot, all[i].bytes, all[i].len);
    run_flush(&o.run);
    print_run(&o.run);
    run_end(&o.run);
}

int main(int argc, char **argv)
{
    const size_t least = CODEC_MIX_MEMORY_MIN, more = 4 * CODEC_MIX_MEMORY_MIN;

    if (argc > 1)
        times = strtoul(argv[1], NULL, 10);
    records_of_all_kinds();
    numbers_in_text();
    containers();
    checksums_of_all_kinds();
    frames_within_messages();
    primed();
    longer_than_the_window();
    kind("scalars", least, 60, CODEC_EFFORT_FULL);
    kind("events", least, 30, CODEC_EFFORT_FULL);
    kind("json", least, 4, CODEC_EFFORT_FULL);
    kind("nmea", least, 16, CODEC_EFFORT_FULL);
    kind("ais", least, 10, CODEC_EFFORT_FULL);
    kind("cbor", least, 12, CODEC_EFFORT_FULL);
    kind("protobuf", least, 10, CODEC_EFFORT_FULL);
    kind("ubx", least, 10, CODEC_EFFORT_FULL);
    kind("modbus", least, 20, CODEC_EFFORT_FULL);
    kind("random", least, 2, CODEC_EFFORT_FULL);
    kind("mixed", more, 10, CODEC_EFFORT_FULL);
    kind("mixed", least, 10, CODEC_EFFORT_FAST);
    kind("mixed", least, 4, CODEC_EFFORT_STORED);
    return 0;
}
