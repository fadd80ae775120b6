/* Bytes: framing, headers, seal, handshake frames. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/frame.h"
#include "gateway/wire/framing.h"
#include "gateway/wire/handshake.h"
#include "gateway/wire/seal.h"

static uint32_t seed = 7;

static uint8_t random_byte(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint8_t)(seed >> 24);
}

static void round_trip(const struct framing_avoid *a, const uint8_t *frame, size_t n,
                       const uint8_t *never, size_t never_n)
{
    uint8_t framed[FRAMING_MAX_BYTES];
    struct framing_decoder d;
    framing_decoder_init(&d, a);
    for (int lead = 0; lead < 2; lead++) {
        size_t len = framing_encode(a, lead, frame, n, framed), got = 0, at = 0;
        assert_int_equal(len, framing_length(a, lead, frame, n));
        assert_int_equal(framed[len - 1], 0);
        for (; at < len; at++) {
            assert_true(at == len - 1 || (lead && at == 0) || framed[at] != 0);
            for (size_t k = 0; k < never_n; k++)
                assert_int_not_equal(framed[at], never[k]);
            if (framing_feed(&d, framed[at], &got) == FRAMING_FRAME)
                break;
        }
        assert_int_equal(at, len - 1);
        assert_int_equal(got, n);
        assert_memory_equal(d.frame, frame, n);
    }
}

static void every_frame_survives_framing_with_two_bytes_more(void **state)
{
    struct framing_avoid none, some;
    static const uint8_t flow[] = {0x11, 0x13};
    assert_true(framing_avoid_set(&none, NULL, 0));
    assert_true(framing_avoid_set(&some, flow, 2));
    for (size_t n = 1; n <= FRAME_MAX_BYTES; n++)
        for (int kind = 0; kind < 5; kind++) {
            uint8_t frame[FRAME_MAX_BYTES];
            for (size_t i = 0; i < n; i++)
                frame[i] = kind == 0   ? 0
                           : kind == 1 ? 1
                           : kind == 2 ? 0x11
                           : kind == 3 ? random_byte()
                                       : random_byte() & 1;
            round_trip(&none, frame, n, NULL, 0);
            round_trip(&some, frame, n, flow, 2);
            assert_int_equal(framing_length(&none, false, frame, n), n + 2);
        }
}

static void sets_that_cannot_be_kept_off_the_line_are_refused(void **state)
{
    struct framing_avoid a;
    assert_false(framing_avoid_set(&a, (const uint8_t[]){0x00}, 1));
    assert_false(framing_avoid_set(&a, (const uint8_t[]){0x7d}, 1));
    assert_false(framing_avoid_set(&a, (const uint8_t[]){0x11, 0x31}, 2));
    assert_false(framing_avoid_set(&a, (const uint8_t[]){0x20}, 1)); /* its flip is the delimiter */
    assert_false(framing_avoid_set(&a, (const uint8_t[]){1, 2, 3, 4, 5, 6, 7, 8, 9}, 9));
}

static enum framing_outcome feed(struct framing_decoder *d, const void *bytes, size_t n,
                                 size_t *len)
{
    enum framing_outcome last = FRAMING_MORE;
    for (size_t i = 0; i < n; i++)
        last = framing_feed(d, ((const uint8_t *)bytes)[i], len);
    return last;
}

static void garbage_ends_at_the_next_delimiter(void **state)
{
    struct framing_avoid none = {0};
    struct framing_decoder d;
    size_t len;
    framing_decoder_init(&d, &none);
    uint8_t much[5000];
    memset(much, 0x41, sizeof much);
    assert_int_equal(feed(&d, much, sizeof much, &len), FRAMING_MORE);
    assert_int_equal(framing_feed(&d, 0, &len), FRAMING_BAD);
    assert_int_equal(feed(&d, "\x00\x00\x00", 3, &len), FRAMING_MORE);
    assert_int_equal(feed(&d, "\x05zz\x00", 4, &len), FRAMING_BAD); /* points beyond its end */
    assert_int_equal(feed(&d, "\x03\x81\x82\x00", 4, &len), FRAMING_FRAME);
    assert_int_equal(len, 2);
}

static void flow_control_characters_of_the_line_itself_are_skipped(void **state)
{
    struct framing_avoid some;
    struct framing_decoder d;
    size_t len;
    assert_true(framing_avoid_set(&some, (const uint8_t[]){0x11, 0x13}, 2));
    framing_decoder_init(&d, &some);
    assert_int_equal(feed(&d, "\x03\x13\x81\x11\x82\x00", 6, &len), FRAMING_FRAME);
    assert_memory_equal(d.frame, "\x81\x82", 2);
    assert_int_equal(feed(&d, "\x03\x7d\x41\x82\x00", 5, &len),
                     FRAMING_BAD); /* escapes what needs none */
    assert_int_equal(feed(&d, "\x03\x81\x7d\x00", 4, &len), FRAMING_BAD); /* ends in an escape */
}

static void low_bits_name_the_nearest_number(void **state)
{
    assert_int_equal(frame_number(5, 6, 11), 6);
    assert_int_equal(frame_number(2047, 0, 11), 2048);
    assert_int_equal(frame_number(2048, 2047, 11), 2047);
    assert_int_equal(frame_number(1, 2047, 11), 2047); /* none below 0 */
    for (uint64_t near = 0; near < 10000; near += 13)
        for (uint64_t n = near > 1000 ? near - 1000 : 0; n < near + 1000; n += 7)
            assert_int_equal(frame_number(near, n & 2047, 11), n);
}

static void a_grant_is_told_in_one_byte_and_never_too_much(void **state)
{
    for (uint64_t v = 0; v < 5000000000ull; v += v / 9 + 1) {
        uint64_t told = frame_grant_decode(frame_grant_encode(v));
        assert_true(told <= v);
        assert_true(told >= v - v / 8);
    }
    assert_int_equal(frame_grant_decode(frame_grant_encode(1048576)), 1048576);
    assert_true(frame_grant_decode(frame_grant_encode(UINT64_MAX)) <= 15ull << 30);
}

static void headers_survive(void **state)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        struct frame_data f = {.number = 5000 + bits,
                               .unit_end = bits & 1,
                               .over = bits & 2,
                               .has_ack = bits & 4,
                               .ack = 0xfedc,
                               .grant = 77,
                               .check = 0x1234},
                          g;
        uint8_t bytes[16];
        size_t n = frame_data_encode(&f, bytes);
        assert_int_equal(frame_kind(bytes[0]), FRAME_DATA);
        assert_int_equal(n, 4 + (f.has_ack ? 3 : 0));
        assert_int_equal(frame_data_decode(&g, bytes, n), n);
        assert_int_equal(frame_data_decode(&g, bytes, n - 1), 0);
        assert_int_equal(frame_data_decode(&g, bytes, n), n);
        assert_int_equal(g.number, f.number & 2047);
        assert_true(g.unit_end == f.unit_end && g.over == f.over && g.has_ack == f.has_ack);
        assert_int_equal(g.check, 0x1234);
    }
    assert_int_equal(frame_kind('R'), FRAME_UNKNOWN);
    assert_int_equal(frame_kind(0x7f), FRAME_UNKNOWN);
}

static void a_control_frame_with_a_bitmap_survives_and_malformed_ones_do_not(void **state)
{
    uint8_t bitmap[FRAME_BITMAP_MAX] = {0x05, 0xff};
    struct frame_control f = {.type = CONTROL_POLL,
                              .over = true,
                              .number = 1023,
                              .ack = 9,
                              .grant = 8,
                              .bitmap = bitmap,
                              .bitmap_bytes = 64},
                         g;
    uint8_t bytes[FRAME_CONTROL_MAX_BYTES + 1];
    size_t n = frame_control_encode(&f, bytes);
    assert_int_equal(n, FRAME_CONTROL_MAX_BYTES);
    assert_true(frame_control_decode(&g, bytes, n));
    assert_int_equal(g.type, CONTROL_POLL);
    assert_int_equal(g.number, 1023);
    assert_memory_equal(g.bitmap, bitmap, 64);
    assert_false(frame_control_decode(&g, bytes, n + 1));
    assert_false(frame_control_decode(&g, bytes, 4));
    bytes[0] = 0xCC; /* the reserved type */
    assert_false(frame_control_decode(&g, bytes, n));
    f.type = CONTROL_BYE;
    n = frame_control_encode(&f, bytes);
    assert_int_equal(n, 2);
    assert_true(frame_control_decode(&g, bytes, 2));
    assert_false(frame_control_decode(&g, bytes, 3));
}

static void a_seal_opens_only_under_what_it_was_made_for(void **state)
{
    struct seal_context c = {0x11223344, 0x55667788};
    uint8_t frame[64] = "some bytes of a frame";
    size_t content, n = seal_frame(&c, SEAL_SPACE_DATA, 7, frame, 21);
    assert_int_equal(n, 21 + seal_overhead(&c));
    assert_true(seal_open(&c, SEAL_SPACE_DATA, 7, frame, n, &content));
    assert_int_equal(content, 21);
    assert_false(seal_open(&c, SEAL_SPACE_DATA, 8, frame, n, &content));
    assert_false(seal_open(&c, SEAL_SPACE_CONTROL, 7, frame, n, &content));
    assert_false(
        seal_open(&(struct seal_context){0x11223344, 0}, SEAL_SPACE_DATA, 7, frame, n, &content));
    assert_false(seal_open(&(struct seal_context){0x55667788, 0x11223344}, SEAL_SPACE_DATA, 7,
                           frame, n, &content));
    assert_false(seal_open(&c, SEAL_SPACE_DATA, 7, frame, 3, &content));
    for (size_t bit = 0; bit < n * 8; bit++) {
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(seal_open(&c, SEAL_SPACE_DATA, 7, frame, n, &content));
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void handshake_frames_survive(void **state)
{
    uint8_t bytes[HANDSHAKE_MAX_BYTES];
    bool over;
    struct hello h = {.protocol = 0,
                      .codec_version = 1,
                      .memory_log2 = 20,
                      .epoch = 0xdeadbeef,
                      .seen = 0x1234,
                      .identity = {1, 2, 3, 1ull << 40}},
                 g;
    memset(h.name, 'n', CHANNEL_NAME_MAX);
    size_t n = hello_encode(&h, true, bytes);
    assert_int_equal(handshake_type(bytes, n, &over), HANDSHAKE_HELLO);
    assert_true(over);
    assert_true(hello_decode(&g, bytes, n));
    assert_string_equal(g.name, h.name);
    assert_int_equal(g.identity.generation, 1);
    assert_int_equal(g.identity.segment, 2);
    assert_int_equal(g.identity.predecessor, 3);
    assert_true(g.identity.predecessor_end == 1ull << 40);
    assert_int_equal(g.epoch, h.epoch);
    assert_int_equal(g.seen, h.seen);

    struct channel_marks m = {.cumulative = {0, 2000000, 1999999, 5},
                              .partial = {false, true, false, true},
                              .partial_number = {0, 2000001, 0, 900},
                              .partial_have = {0, 12, 0, 99999},
                              .topics_sequence = 3,
                              .topics_hash = 4,
                              .history_tail = 5,
                              .grant_bytes = 1 << 20,
                              .max_message = 70000},
                         k;
    n = marks_encode(&m, 1, 2, false, bytes);
    assert_true(marks_decode(&k, 1, 2, bytes, n));
    uint8_t again[HANDSHAKE_MAX_BYTES];
    assert_int_equal(marks_encode(&k, 1, 2, false, again), n);
    assert_memory_equal(again, bytes, n);
    assert_int_equal(k.cumulative[CLASS_ALARM], 0);
    assert_int_equal(k.cumulative[CLASS_BULK], 5);
    assert_int_equal(k.partial_number[CLASS_BULK], 900);
    assert_int_equal(k.partial_have[CLASS_BULK], 99999);
    assert_int_equal(k.max_message, 70000);
    assert_false(marks_decode(&k, 1, 3, bytes, n));

    struct resume r = {.answer = true, .epoch = 9, .seen = 8, .ack = 7}, s;
    n = resume_encode(&r, false, bytes);
    assert_true(resume_decode(&s, bytes, n));
    assert_true(s.answer && s.epoch == 9 && s.seen == 8 && s.ack == 7);
    assert_true(n + 3 <= 16);

    enum channel_refusal why;
    n = refuse_encode(CHANNEL_REFUSED_BUSY, true, bytes);
    assert_true(refuse_decode(&why, bytes, n));
    assert_int_equal(why, CHANNEL_REFUSED_BUSY);
}

static void handshake_frames_with_impossible_content_are_refused(void **state)
{
    uint8_t bytes[HANDSHAKE_MAX_BYTES];
    struct hello h = {.codec_version = 1, .memory_log2 = 20, .epoch = 1, .name = "edge"}, g;
    static const struct seal_context any = {0, 0};
    size_t n = hello_encode(&h, false, bytes);
    /* Every byte of it changed at random, under a right tag: taken only where it still makes sense.
     */
    for (int i = 0; i < 20000; i++) {
        uint8_t copy[HANDSHAKE_MAX_BYTES];
        memcpy(copy, bytes, n);
        copy[1 + random_byte() % (n - 5)] = random_byte();
        copy[1 + random_byte() % (n - 5)] = random_byte();
        size_t len = seal_frame(&any, SEAL_SPACE_HANDSHAKE, 0, copy, 1 + random_byte() % (n - 4));
        if (!hello_decode(&g, copy, len))
            continue;
        assert_true(g.epoch != 0 && g.codec_version != 0 && g.memory_log2 < 32);
        assert_true(strlen(g.name) >= 1 &&
                    strspn(g.name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(g.name));
    }
    h.epoch = 0;
    n = hello_encode(&h, false, bytes);
    assert_false(hello_decode(&g, bytes, n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_survives_framing_with_two_bytes_more),
        cmocka_unit_test(sets_that_cannot_be_kept_off_the_line_are_refused),
        cmocka_unit_test(garbage_ends_at_the_next_delimiter),
        cmocka_unit_test(flow_control_characters_of_the_line_itself_are_skipped),
        cmocka_unit_test(low_bits_name_the_nearest_number),
        cmocka_unit_test(a_grant_is_told_in_one_byte_and_never_too_much),
        cmocka_unit_test(headers_survive),
        cmocka_unit_test(a_control_frame_with_a_bitmap_survives_and_malformed_ones_do_not),
        cmocka_unit_test(a_seal_opens_only_under_what_it_was_made_for),
        cmocka_unit_test(handshake_frames_survive),
        cmocka_unit_test(handshake_frames_with_impossible_content_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
