#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/codec_mix.h"
#include "gateway/wire/mix_checksums.h"
#include "gateway/wire/mix_records.h"
#include "gateway/wire/mix_records_memory.h"
#include "gateway/wire/primer.h"
#include "gateway/wire/primer_models.h"
#include "tests/unit/wire_codec/run.h"

#define MEMORY (1u << 20)
#define SEED   20240517

static void assert_right(const struct run *run, size_t memory, size_t piece, const char *what)
{
    const char *wrong = run_check(run, memory, piece);

    if (wrong)
        fail_msg("%s in pieces of %zu: %s (seed %d)", what, piece, wrong, SEED);
}

static void every_kind_comes_back_from_frames_of_any_size(void **state)
{
    static const size_t pieces[] = {1, 2, 7, 50, 220, 100000};

    for (size_t k = 0; k < stream_kind_count; k++) {
        for (size_t u = 0; u < 3; u++) {
            struct run run;
            run_begin(&run, &codec_mix, MEMORY);
            run_kind(&run, &stream_kinds[k], SEED, 70, (size_t[]){0, 220, 1u << 30}[u]);
            assert_right(&run, MEMORY, pieces[(k + u) % 6], stream_kinds[k].name);
            run_end(&run);
        }
    }
}

static void every_memory_size_works_and_is_kept_to(void **state)
{
    for (size_t memory = CODEC_MIX_MEMORY_MIN; memory <= CODEC_MIX_MEMORY_MAX; memory *= 2) {
        struct run run;
        assert_in_range(mix_records_size(memory), memory / 2, memory);
        run_begin(&run, &codec_mix, memory);
        run_kind(&run, &stream_kinds[stream_kind_count - 1], SEED, 60, 220);
        assert_right(&run, memory, 220, "mixed");
        run_end(&run);
    }
}

static void all_types_of_records_come_back_with_all_their_fields(void **state)
{
    struct run run;
    uint8_t piece[300];

    memset(piece, 'x', sizeof piece);
    run_begin(&run, &codec_mix, MEMORY);
    run_put(&run, &(struct record){.type = RECORD_TOPICS_RESET});
    run_put(&run, &(struct record){.type = RECORD_TOPIC, .slot = 4095, .topic = "a/b", .topic_len = 3});
    run_put(&run, &(struct record){.type = RECORD_MESSAGE, .class = CLASS_ALARM, .number = 77, .previous = 12,
                                   .slot = 4095, .qos = 2, .retain = true, .has_origin = true,
                                   .origin_ms = 1700000000000, .has_expiry = true, .expiry_s = 86400,
                                   .props = (const uint8_t *)"\x01\x01", .props_len = 2, .hops = "hub,mast",
                                   .hops_len = 8, .bytes = (const uint8_t *)"fire", .len = 4, .total = 4});
    run_put(&run, &(struct record){.type = RECORD_MESSAGE, .class = CLASS_BULK, .number = UINT64_MAX,
                                   .previous = UINT64_MAX - 1, .slot = RECORD_NO_SLOT, .topic = "c",
                                   .topic_len = 1, .qos = 1, .has_origin = true, .origin_in_ms = true,
                                   .origin_ms = -1234567, .bytes = piece, .len = 300, .total = 1000});
    run_put(&run, &(struct record){.type = RECORD_CHUNK, .class = CLASS_BULK, .number = UINT64_MAX,
                                   .offset = 300, .bytes = piece, .len = 300});
    run_flush(&run);
    run_put(&run, &(struct record){.type = RECORD_CHUNK, .class = CLASS_HIGH, .number = 5, .offset = 4096,
                                   .bytes = piece, .len = 1});
    run_put(&run, &(struct record){.type = RECORD_ABORT, .class = CLASS_BULK, .number = UINT64_MAX,
                                   .previous = 9});
    run_put(&run, &(struct record){.type = RECORD_GAP, .class = CLASS_NORMAL, .number = 900, .previous = 1,
                                   .first_number = 2, .count = 40, .reason = 15, .from_ms = 1700000001000,
                                   .to_ms = -5000, .route = "telemetry", .route_len = 9});
    run_put(&run, &(struct record){.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = 901,
                                   .previous = 900, .slot = 0});
    run_flush(&run);
    assert_right(&run, MEMORY, 3, "records");
    assert_right(&run, MEMORY, 1000, "records");
    run_end(&run);
}

static void an_empty_unit_costs_nothing(void **state)
{
    struct run run;

    run_begin(&run, &codec_mix, MEMORY);
    run_flush(&run);
    assert_int_equal(run.stream.len, 0);
    run_end(&run);
}

/* What a run of a kind comes to in units of 220 bytes. */
static size_t framed_bytes(const char *kind, size_t messages, size_t *payload)
{
    struct run run;
    size_t k = 0;

    while (strcmp(stream_kinds[k].name, kind) != 0)
        k++;
    run_begin(&run, &codec_mix, MEMORY);
    run_kind(&run, &stream_kinds[k], SEED, messages, 220);
    size_t bytes = run.stream.len;
    *payload = 0;
    for (size_t i = 0; i < run.count; i++)
        *payload += run.records[i].r.len;
    run_end(&run);
    return bytes;
}

static void noise_grows_by_a_hundredth_and_two_bytes_at_most(void **state)
{
    size_t payload, messages = 200;
    size_t bytes = framed_bytes("random", messages, &payload);

    assert_true(bytes <= payload + payload / 100 + 2 * messages);
}

static void a_repeated_message_of_noise_is_not_sent_twice(void **state)
{
    struct run run;
    struct stream s;
    struct stream_message m = {.topic = "a"};

    stream_begin(&s, SEED);
    for (m.len = 0; m.len < 1000; m.len++)
        m.payload[m.len] = (uint8_t)stream_random(&s, 256);
    run_begin(&run, &codec_mix, MEMORY);
    run_message(&run, &m);
    run_flush(&run);
    size_t once = run.stream.len;
    run_message(&run, &m);
    run_flush(&run);
    assert_true(run.stream.len - once < 100);
    assert_right(&run, MEMORY, 220, "noise");
    run_end(&run);
}

/* Bytes of 300 messages of noise behind a head of four bytes, with such a checksum (wrong: with noise in its place). */
static size_t summed_bytes(struct mix_checksum c, bool wrong)
{
    uint8_t ring[64] = {0}, columns[16], ends[8];
    const struct mix_window w = {.bytes = ring, .columns = columns, .ends = ends, .mask = sizeof ring - 1};
    unsigned width = mix_checksum_width(c.kind), length = 20 + width + c.tail;
    struct run run;
    struct stream s, noise;
    struct stream_message m = {.topic = "a", .len = length};

    stream_begin(&s, SEED);
    stream_begin(&noise, SEED + 1);
    run_begin(&run, &codec_mix, CODEC_MIX_MEMORY_MIN);
    for (unsigned n = 0; n < 300; n++) {
        memcpy(ring, "\x68\x0c\x0c\x68", 4);
        for (unsigned i = 4; i < 20; i++)
            ring[i] = (uint8_t)stream_random(&s, 256);
        mix_checksum_make(&w, (struct mix_message){0, length}, c, ring + 20);
        for (unsigned i = 0; wrong && i < width; i++)
            ring[20 + i] = (uint8_t)stream_random(&noise, 256);
        memset(ring + 20 + width, 0x16, c.tail);
        memcpy(m.payload, ring, length);
        run_message(&run, &m);
    }
    run_flush(&run);
    size_t bytes = run.stream.len;
    run_end(&run);
    return bytes;
}

static void each_kind_of_checksum_is_found_wherever_it_stands(void **state)
{
    for (unsigned kind = 1; kind < MIX_CHECKSUM_KINDS; kind++) {
        struct mix_checksum c = {(uint8_t)kind, (uint8_t)(kind % 5), (uint8_t)(kind % 3)};
        size_t right = summed_bytes(c, false), wrong = summed_bytes(c, true);
        /* Of each byte four fifths are saved at least. */
        if (right + 240 * mix_checksum_width(kind) > wrong)
            fail_msg("kind %u: %zu bytes right, %zu wrong", kind, right, wrong);
    }
}

static void checksums_of_frames_within_a_message_cost_next_to_nothing(void **state)
{
    size_t bytes[2];

    for (unsigned wrong = 0; wrong < 2; wrong++) {
        struct run run;
        struct stream s, noise;
        struct stream_message m = {.topic = "gnss", .len = 72};
        stream_begin(&s, SEED);
        stream_begin(&noise, SEED + 1);
        run_begin(&run, &codec_mix, CODEC_MIX_MEMORY_MIN);
        for (unsigned n = 0; n < 300; n++) {
            for (unsigned f = 0; f < 3; f++) {
                uint8_t *p = m.payload + 24 * f, a = 0, b = 0;
                memcpy(p, (uint8_t[]){0xb5, 0x62, 1, (uint8_t)f, 16, 0}, 6);
                for (unsigned i = 6; i < 22; i++)
                    p[i] = i < 18 ? (uint8_t)(17 * i) : (uint8_t)stream_random(&s, 256);
                for (unsigned i = 2; i < 22; i++)
                    b = (uint8_t)(b + (a = (uint8_t)(a + p[i])));
                p[22] = wrong ? (uint8_t)stream_random(&noise, 256) : a;
                p[23] = wrong ? (uint8_t)stream_random(&noise, 256) : b;
            }
            run_message(&run, &m);
        }
        run_flush(&run);
        bytes[wrong] = run.stream.len;
        run_end(&run);
    }
    /* Of six bytes a message. */
    if (bytes[0] + 300 * 11 / 2 > bytes[1])
        fail_msg("%zu bytes right, %zu wrong", bytes[0], bytes[1]);
}

/* Streams whose checksums cost what they look like would need these bytes more a message. */
static void checksums_are_found_and_cost_next_to_nothing(void **state)
{
    static const struct {
        const char *kind;
        size_t width;
    } kinds[] = {{"modbus", 2}, {"ubx", 2}, {"nmea", 2}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct run with, without;
        size_t k = 0;
        while (strcmp(stream_kinds[k].name, kinds[i].kind) != 0)
            k++;
        run_begin(&with, &codec_mix, MEMORY);
        run_kind(&with, &stream_kinds[k], SEED, 600, 220);
        /* The same with wrong checksums: bytes that follow from nothing. */
        run_begin(&without, &codec_mix, MEMORY);
        struct stream s, noise;
        struct stream_message m;
        stream_begin(&s, SEED);
        stream_begin(&noise, SEED + 1);
        for (size_t n = 0; n < 600; n++) {
            stream_kinds[k].next(&s, &m);
            size_t end = strcmp(kinds[i].kind, "nmea") == 0 ? m.len - 2 : m.len;
            for (size_t b = 1; b <= kinds[i].width; b++)
                m.payload[end - b] = end == m.len ? (uint8_t)stream_random(&noise, 256)
                                                  : (uint8_t)"0123456789ABCDEF"[stream_random(&noise, 16)];
            run_message(&without, &m);
        }
        run_flush(&without);
        /* Of the two bytes a message (two hex digits: one) four fifths are saved at least. */
        size_t bytes = strcmp(kinds[i].kind, "nmea") == 0 ? 1 : 2;
        if (with.stream.len + 600 * bytes * 4 / 5 > without.stream.len)
            fail_msg("%s: %zu bytes with, %zu without", kinds[i].kind, (size_t)with.stream.len,
                     (size_t)without.stream.len);
        run_end(&with);
        run_end(&without);
    }
}

/* What the many small messages of a unit cost, ended after each: at most two bytes more a message. */
static void a_flush_costs_two_bytes_at_most(void **state)
{
    for (size_t k = 0; k < stream_kind_count; k++) {
        struct run one, each;
        run_begin(&one, &codec_mix, MEMORY);
        run_kind(&one, &stream_kinds[k], SEED, 60, 1u << 30);
        run_begin(&each, &codec_mix, MEMORY);
        run_kind(&each, &stream_kinds[k], SEED, 60, 0);
        if (each.stream.len > one.stream.len + 2 * 60)
            fail_msg("%s: %zu bytes in one unit, %zu in 60", stream_kinds[k].name, (size_t)one.stream.len,
                     (size_t)each.stream.len);
        run_end(&one);
        run_end(&each);
    }
}

static void priming_both_ends_saves_what_was_learned(void **state)
{
    struct run fresh, primed;
    struct stream s;
    struct stream_message m;
    const struct codec_limits limits = {.max_message = 65536};
    struct codec_decoder *d = codec_mix.decoder_new(MEMORY, &limits);
    size_t json = 7;

    assert_string_equal(stream_kinds[json].name, "json");
    run_begin(&fresh, &codec_mix, MEMORY);
    run_kind(&fresh, &stream_kinds[json], SEED, 20, 220);
    run_begin(&primed, &codec_mix, MEMORY);
    assert_non_null(d);
    stream_begin(&s, SEED + 1);
    for (uint64_t n = 1; n <= 50; n++) {
        stream_kinds[json].next(&s, &m);
        struct record r = {.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = n, .previous = n - 1,
                           .slot = m.slot, .bytes = m.payload, .len = (uint32_t)m.len,
                           .total = (uint32_t)m.len};
        assert_int_equal(codec_mix.prime_encoder(primed.encoder, &r), 0);
        assert_int_equal(codec_mix.prime_decoder(d, &r), 0);
    }
    assert_int_equal(codec_mix.prime_encoder(primed.encoder, NULL), 0);
    assert_int_equal(codec_mix.prime_decoder(d, NULL), 0);
    run_kind(&primed, &stream_kinds[json], SEED, 20, 220);
    assert_true(primed.stream.len < fresh.stream.len * 2 / 3);

    assert_int_equal(codec_mix.feed(d, buf_bytes(&primed.stream), (size_t)primed.unit_ends[0], true), 0);
    struct record got;
    uint64_t needed;
    for (size_t i = 0; i < primed.unit_records[0]; i++) {
        assert_int_equal(codec_mix.decode(d, &got, &needed), 0);
        assert_int_equal(got.len, primed.records[i].r.len);
        assert_memory_equal(got.bytes, primed.records[i].r.bytes, got.len);
    }
    assert_int_equal(codec_mix.decode(d, &got, &needed), CODEC_MORE);
    codec_mix.decoder_free(d);
    run_end(&fresh);
    run_end(&primed);
}

static void the_primer_is_short_and_helps_the_first_messages(void **state)
{
    struct run fresh, primed;
    size_t bytes = 0, json = 7;

    for (size_t i = 0; i < primer_count(); i++) {
        struct record r = primer_record(i);
        bytes += r.topic_len + r.len;
    }
    assert_in_range(bytes, 1, PRIMER_BYTES_MAX);
    run_begin(&fresh, &codec_mix, MEMORY);
    run_kind(&fresh, &stream_kinds[json], SEED, 3, 220);
    run_begin(&primed, &codec_mix, MEMORY);
    assert_int_equal(primer_teach(&codec_mix, primed.encoder), 0);
    run_kind(&primed, &stream_kinds[json], SEED, 3, 220);
    assert_true(primed.stream.len < fresh.stream.len * 9 / 10);
    run_end(&fresh);
    run_end(&primed);
}

/* Runs `messages` of a kind through an encoder, from a slot of its own, into one unit. */
static void encode_unit(struct codec_encoder *e, const struct stream_kind *kind, uint64_t seed, uint64_t first,
                        unsigned messages, struct buf *out)
{
    struct stream s;
    struct stream_message m;
    uint64_t needed;

    stream_begin(&s, seed);
    for (uint64_t n = first; n < first + messages; n++) {
        kind->next(&s, &m);
        struct record r = {.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = n, .previous = n - 1,
                           .slot = m.slot, .bytes = m.payload, .len = (uint32_t)m.len, .total = (uint32_t)m.len};
        assert_int_equal(codec_mix.encode(e, &r, out, &needed), 0);
    }
    assert_int_equal(codec_mix.flush(e, out), 0);
}

static void decode_unit(struct codec_decoder *d, const struct buf *unit, uint64_t first, unsigned messages)
{
    struct record r;
    uint64_t needed;

    assert_int_equal(codec_mix.feed(d, buf_bytes(unit), unit->len, true), 0);
    for (uint64_t n = first; n < first + messages; n++) {
        assert_int_equal(codec_mix.decode(d, &r, &needed), 0);
        assert_int_equal(r.number, n);
    }
    assert_int_equal(codec_mix.decode(d, &r, &needed), CODEC_MORE);
}

/* What a copy writes is what its original would have written, whatever the copy was before; and using it
 * leaves the original as it was. */
static void a_copy_goes_on_from_where_its_original_stands(void **state)
{
    const struct codec_limits limits = {.max_message = 65536};

    for (size_t k = 0; k < stream_kind_count; k++) {
        const struct stream_kind *kind = &stream_kinds[k];
        struct codec_encoder *e = codec_mix.encoder_new(MEMORY), *copy = codec_mix.encoder_new(MEMORY);
        struct codec_decoder *d = codec_mix.decoder_new(MEMORY, &limits);
        struct codec_decoder *copy_d = codec_mix.decoder_new(MEMORY, &limits);
        struct buf first, other, of_copy, again, next;
        buf_init(&first, 1u << 20);
        buf_init(&other, 1u << 20);
        buf_init(&of_copy, 1u << 20);
        buf_init(&again, 1u << 20);
        buf_init(&next, 1u << 20);

        encode_unit(e, kind, SEED, 1, 40, &first);
        decode_unit(d, &first, 1, 40);
        encode_unit(copy, &stream_kinds[(k + 1) % stream_kind_count], SEED + 1, 1, 30, &other);
        decode_unit(copy_d, &other, 1, 30);
        codec_mix.copy_encoder(copy, e);
        codec_mix.copy_decoder(copy_d, d);
        encode_unit(copy, kind, SEED + 2, 41, 20, &of_copy);
        decode_unit(copy_d, &of_copy, 41, 20);
        codec_mix.copy_encoder(copy, e);
        encode_unit(copy, kind, SEED + 2, 41, 20, &again);
        encode_unit(e, kind, SEED + 2, 41, 20, &next);
        decode_unit(d, &next, 41, 20);
        if (of_copy.len != next.len || memcmp(buf_bytes(&of_copy), buf_bytes(&next), next.len) != 0)
            fail_msg("%s: the copy writes other bytes", kind->name);
        assert_int_equal(again.len, next.len);
        assert_memory_equal(buf_bytes(&again), buf_bytes(&next), next.len);
        buf_fini(&first);
        buf_fini(&other);
        buf_fini(&of_copy);
        buf_fini(&again);
        buf_fini(&next);
        codec_mix.encoder_free(e);
        codec_mix.encoder_free(copy);
        codec_mix.decoder_free(d);
        codec_mix.decoder_free(copy_d);
    }
}

/* Levels change from message to message, and the decoder follows. */
static void levels_are_switched_within_the_stream(void **state)
{
    static const enum codec_effort efforts[] = {CODEC_EFFORT_FULL, CODEC_EFFORT_FAST, CODEC_EFFORT_STORED};

    for (size_t k = 0; k < stream_kind_count; k++) {
        struct run run;
        struct stream s;
        struct stream_message m;
        run_begin(&run, &codec_mix, MEMORY);
        stream_begin(&s, SEED);
        for (unsigned n = 0; n < 90; n++) {
            codec_mix.set_effort(run.encoder, efforts[n / 7 % 3]);
            stream_kinds[k].next(&s, &m);
            run_message(&run, &m);
            if (n % 5 == 4)
                run_flush(&run);
        }
        assert_right(&run, MEMORY, 37, stream_kinds[k].name);
        run_end(&run);
    }
}

/* Generated JSON, modbus registers ...: the fast level lies between the full one and what they are. */
static void the_fast_level_squeezes_too(void **state)
{
    for (size_t k = 0; k < stream_kind_count; k++) {
        struct run full, fast;
        size_t payload = 0;
        if (strcmp(stream_kinds[k].name, "random") == 0)
            continue;
        run_begin(&full, &codec_mix, MEMORY);
        run_kind(&full, &stream_kinds[k], SEED, 300, 220);
        run_begin(&fast, &codec_mix, MEMORY);
        codec_mix.set_effort(fast.encoder, CODEC_EFFORT_FAST);
        run_kind(&fast, &stream_kinds[k], SEED, 300, 220);
        for (size_t i = 0; i < fast.count; i++)
            payload += fast.records[i].r.len;
        if (fast.stream.len < full.stream.len * 99 / 100 || fast.stream.len > payload * 2 / 3)
            fail_msg("%s: %zu bytes at the full level, %zu at the fast one, %zu of payload", stream_kinds[k].name,
                     (size_t)full.stream.len, (size_t)fast.stream.len, payload);
        run_end(&full);
        run_end(&fast);
    }
}

#define MESSAGE_TOTAL 1000000 /* more than any record can hold */

static void a_message_of_any_size_is_coded_piece_by_piece(void **state)
{
    struct run run;
    uint8_t piece[1000] = "x";

    run_begin(&run, &codec_mix, MEMORY);
    run_put(&run, &(struct record){.type = RECORD_MESSAGE, .class = CLASS_BULK, .number = 1, .slot = 1,
                                   .total = MESSAGE_TOTAL, .bytes = piece, .len = 1000});
    run_put(&run, &(struct record){.type = RECORD_CHUNK, .class = CLASS_BULK, .number = 1, .offset = 1000,
                                   .bytes = piece, .len = 1000});
    run_put(&run, &(struct record){.type = RECORD_CHUNK, .class = CLASS_BULK, .number = 1,
                                   .offset = MESSAGE_TOTAL - 1000, .bytes = piece, .len = 1000});
    run_flush(&run);
    assert_right(&run, MEMORY, 220, "a large message");
    run_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_from_frames_of_any_size),
        cmocka_unit_test(every_memory_size_works_and_is_kept_to),
        cmocka_unit_test(all_types_of_records_come_back_with_all_their_fields),
        cmocka_unit_test(an_empty_unit_costs_nothing),
        cmocka_unit_test(a_flush_costs_two_bytes_at_most),
        cmocka_unit_test(noise_grows_by_a_hundredth_and_two_bytes_at_most),
        cmocka_unit_test(a_repeated_message_of_noise_is_not_sent_twice),
        cmocka_unit_test(checksums_are_found_and_cost_next_to_nothing),
        cmocka_unit_test(each_kind_of_checksum_is_found_wherever_it_stands),
        cmocka_unit_test(checksums_of_frames_within_a_message_cost_next_to_nothing),
        cmocka_unit_test(priming_both_ends_saves_what_was_learned),
        cmocka_unit_test(the_primer_is_short_and_helps_the_first_messages),
        cmocka_unit_test(a_copy_goes_on_from_where_its_original_stands),
        cmocka_unit_test(levels_are_switched_within_the_stream),
        cmocka_unit_test(the_fast_level_squeezes_too),
        cmocka_unit_test(a_message_of_any_size_is_coded_piece_by_piece),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
