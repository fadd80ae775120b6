/* The packet codec by itself: what is written is what is read, and the small parts that the session
 * is made of: packet ids, keepalive, version ladder, back-off. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/mqtt/backoff.h"
#include "gateway/mqtt/fallback.h"
#include "gateway/mqtt/framer.h"
#include "gateway/mqtt/keepalive.h"
#include "gateway/mqtt/packet_ids.h"
#include "gateway/mqtt/packet_write.h"
#include "gateway/mqtt/props.h"
#include "gateway/mqtt/reason.h"

/* Cuts the one packet that is in out. */
static struct packet only_packet(struct framer *f, const struct buf *out)
{
    const uint8_t *p = buf_bytes(out);
    size_t n = out->len, known;
    struct packet packet;
    assert_int_equal(framer_next(f, &p, &n, &packet, &known), FRAMER_PACKET);
    assert_int_equal(n, 0);
    return packet;
}

static void publish_reads_as_it_was_written(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 127, 128, 129, 16383, 16384, 70000, 2097151, 2097152};
    static const char props[] = "\x01\x01\x08\x00\x01r\x09\x00\x02\x00\xff\x26\x00\x01k\x00\x01v";
    static const char *const user[] = {"lw-site", "buoy-17", NULL};
    struct framer f;
    struct buf out, kept;
    framer_init(&f, 4000000);
    buf_init(&out, 4000000);
    buf_init(&kept, 4000000);
    for (unsigned i = 0; i < 3 * 2 * 11; i++) {
        struct mqtt_out m = {
            .topic = i % 2 ? "a/b/c" : "ä",
            .payload_len = sizes[i / 6],
            .qos = (uint8_t)(i % 3),
            .retain = i % 4 == 0,
            .dup = i % 3 == 2,
            .packet_id = i % 3 ? (uint16_t)(65535 - i) : 0,
            .props = props,
            .props_len = sizeof(props) - 1,
            .user = user,
            .has_expiry = i % 5 == 0,
            .expiry_s = 0xfedcba98,
        };
        uint8_t *payload = malloc(m.payload_len + 1);
        memset(payload, (int)i, m.payload_len + 1);
        m.payload = payload;
        enum mqtt_version version = i % 2 ? MQTT_5 : MQTT_311;
        buf_clear(&out);
        assert_int_equal(packet_write_publish(&out, &m, version, PACKET_MAX_BYTES), 0);
        struct packet packet = only_packet(&f, &out);
        assert_int_equal(packet_size(packet.len), out.len);
        struct mqtt_publish got;
        assert_null(packet_check(&packet, version));
        assert_null(packet_read_publish(&packet, version, &kept, &got));
        assert_int_equal(got.topic_len, strlen(m.topic));
        assert_memory_equal(got.topic, m.topic, got.topic_len);
        assert_int_equal(got.payload_len, m.payload_len);
        assert_memory_equal(got.payload, m.payload, m.payload_len);
        assert_int_equal(got.qos, m.qos);
        assert_int_equal(got.retain, m.retain);
        assert_int_equal(got.dup, m.dup);
        assert_int_equal(got.packet_id, m.packet_id);
        if (version == MQTT_5) {
            assert_int_equal(got.has_expiry, m.has_expiry);
            assert_int_equal(got.expiry_s, m.has_expiry ? m.expiry_s : 0);
            assert_int_equal(got.props_len, m.props_len + 3 + 7 + 2 + 7);
            assert_memory_equal(got.props, props, m.props_len);
            assert_null(props_check(got.props, got.props_len, PROP_IN_MSG));
        } else {
            assert_int_equal(got.props_len, 0);
        }
        /* Exactly the bound is allowed, one byte less is not, and leaves nothing behind. */
        size_t size = out.len;
        buf_clear(&out);
        assert_int_equal(packet_write_publish(&out, &m, version, size - 1), PACKET_WRITE_TOO_LARGE);
        assert_int_equal(out.len, 0);
        assert_int_equal(packet_write_publish(&out, &m, version, size), 0);
        free(payload);
    }
    framer_fini(&f);
    buf_fini(&out);
    buf_fini(&kept);
}

static void acknowledgements_read_as_they_were_written(void **state)
{
    (void)state;
    static const enum packet_type types[] = {PACKET_PUBACK, PACKET_PUBREC, PACKET_PUBREL,
                                             PACKET_PUBCOMP};
    struct framer f;
    struct buf out;
    framer_init(&f, 100);
    buf_init(&out, 100);
    for (size_t i = 0; i < 4; i++) {
        buf_clear(&out);
        assert_int_equal(packet_write_ack(&out, types[i], 0xfffe), 0);
        struct packet packet = only_packet(&f, &out);
        struct packet_ack ack;
        assert_int_equal(packet.type, types[i]);
        for (int v = MQTT_311; v <= MQTT_5; v++) {
            assert_null(packet_check(&packet, (enum mqtt_version)v));
            assert_null(packet_read_ack(&packet, (enum mqtt_version)v, &ack));
            assert_int_equal(ack.packet_id, 0xfffe);
            assert_int_equal(ack.reason, 0);
        }
    }
    framer_fini(&f);
    buf_fini(&out);
}

static void packet_that_never_fits_out_is_too_large(void **state)
{
    (void)state;
    struct buf out;
    struct mqtt_out m = {.topic = "t", .payload = "0123456789", .payload_len = 10};
    buf_init(&out, 14);
    assert_int_equal(packet_write_publish(&out, &m, MQTT_311, PACKET_MAX_BYTES),
                     PACKET_WRITE_TOO_LARGE);
    m.payload_len = 9;
    assert_int_equal(packet_write_publish(&out, &m, MQTT_311, PACKET_MAX_BYTES), 0);
    assert_int_equal(packet_write_publish(&out, &m, MQTT_311, PACKET_MAX_BYTES), -ENOBUFS);
    assert_int_equal(out.len, 14);
    assert_false(out.failed);
    buf_fini(&out);
}

static void framer_takes_the_longest_length_and_no_longer_one(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[6];
        size_t n;
        enum framer_result result;
        size_t len;
    } cases[] = {
        {{0xd0, 0x00}, 2, FRAMER_PACKET, 0},
        {{0xd0, 0x7f}, 2, FRAMER_OVERSIZE, 127},
        {{0xd0, 0xff}, 2, FRAMER_MORE, 0},
        {{0xd0, 0xff, 0xff, 0xff}, 4, FRAMER_MORE, 0},
        {{0xd0, 0xff, 0xff, 0xff, 0x7f}, 5, FRAMER_OVERSIZE, PACKET_REMAINING_MAX},
        {{0xd0, 0xff, 0xff, 0xff, 0x80}, 5, FRAMER_MALFORMED, 0},
        {{0xd0, 0x80, 0x00}, 3, FRAMER_MALFORMED, 0},
        {{0xd0, 0x80, 0x80, 0x80, 0x00}, 5, FRAMER_MALFORMED, 0},
        {{0xd0, 0x80, 0x80, 0x80, 0x01}, 5, FRAMER_OVERSIZE, 2097152},
        {{0xd0, 0x02, 1, 2}, 4, FRAMER_PACKET, 2},
        {{0xd0, 0x62, 1, 2}, 4, FRAMER_MORE, 0}, /* 100 bytes in all: just allowed */
        {{0xd0, 0x63, 1, 2}, 4, FRAMER_OVERSIZE, 0x63},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int byte_by_byte = 0; byte_by_byte < 2; byte_by_byte++) {
            struct framer f;
            struct packet packet = {0};
            enum framer_result result = FRAMER_MORE;
            size_t known;
            framer_init(&f, 100);
            for (size_t at = 0; at < cases[i].n && result == FRAMER_MORE;) {
                const uint8_t *p = cases[i].bytes + at;
                size_t n = byte_by_byte ? 1 : cases[i].n - at;
                at += n;
                result = framer_next(&f, &p, &n, &packet, &known);
            }
            assert_int_equal(result, cases[i].result);
            if (result == FRAMER_PACKET || result == FRAMER_OVERSIZE)
                assert_int_equal(packet.len, cases[i].len);
            framer_fini(&f);
        }
    }
}

static void every_property_has_its_place_and_number(void **state)
{
    (void)state;
    /* One good value of each property that a server may send, by hand from table 2-4. */
    static const struct {
        const char *bytes;
        size_t n;
        unsigned places;
        bool repeats;
    } rows[] = {
        {"\x01\x01", 2, PROP_IN_PUBLISH | PROP_IN_MSG, false},
        {"\x02\x00\x00\x00\x00", 5, PROP_IN_PUBLISH, false},
        {"\x03\x00\x01x", 4, PROP_IN_PUBLISH | PROP_IN_MSG, false},
        {"\x08\x00\x01x", 4, PROP_IN_PUBLISH | PROP_IN_MSG, false},
        {"\x09\x00\x01\xff", 4, PROP_IN_PUBLISH | PROP_IN_MSG, false},
        {"\x0b\x01", 2, PROP_IN_PUBLISH, true},
        {"\x0b\xff\xff\xff\x7f", 5, PROP_IN_PUBLISH, true},
        {"\x11\x00\x00\x00\x00", 5, PROP_IN_CONNACK, false},
        {"\x12\x00\x01x", 4, PROP_IN_CONNACK, false},
        {"\x13\x00\x00", 3, PROP_IN_CONNACK, false},
        {"\x15\x00\x01x", 4, PROP_IN_CONNACK, false},
        {"\x16\x00\x01x", 4, PROP_IN_CONNACK, false},
        {"\x17\x01", 2, 0, false},
        {"\x18\x00\x00\x00\x00", 5, 0, false},
        {"\x19\x01", 2, 0, false},
        {"\x1a\x00\x01x", 4, PROP_IN_CONNACK, false},
        {"\x1c\x00\x01x", 4, PROP_IN_CONNACK | PROP_IN_DISCONNECT, false},
        {"\x1f\x00\x01x", 4, PROP_IN_CONNACK | PROP_IN_ACK | PROP_IN_DISCONNECT, false},
        {"\x21\x00\x01", 3, PROP_IN_CONNACK, false},
        {"\x22\x00\x00", 3, PROP_IN_CONNACK, false},
        {"\x23\x00\x01", 3, PROP_IN_PUBLISH, false},
        {"\x24\x00", 2, PROP_IN_CONNACK, false},
        {"\x25\x00", 2, PROP_IN_CONNACK, false},
        {"\x26\x00\x01x\x00\x00", 6,
         PROP_IN_CONNACK | PROP_IN_PUBLISH | PROP_IN_ACK | PROP_IN_DISCONNECT | PROP_IN_MSG, true},
        {"\x27\x00\x00\x00\x01", 5, PROP_IN_CONNACK, false},
        {"\x28\x00", 2, PROP_IN_CONNACK, false},
        {"\x29\x00", 2, PROP_IN_CONNACK, false},
        {"\x2a\x00", 2, PROP_IN_CONNACK, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char twice[12];
        memcpy(twice, rows[i].bytes, rows[i].n);
        memcpy(twice + rows[i].n, rows[i].bytes, rows[i].n);
        for (unsigned place = PROP_IN_CONNACK; place <= PROP_IN_MSG; place <<= 1) {
            bool good = rows[i].places & place;
            assert_int_equal(!props_check(rows[i].bytes, rows[i].n, (enum prop_place)place), good);
            assert_int_equal(!props_check(twice, 2 * rows[i].n, (enum prop_place)place),
                             good && rows[i].repeats);
            for (size_t n = 1; n < rows[i].n; n++)
                assert_non_null(props_check(rows[i].bytes, n, (enum prop_place)place));
        }
    }
    assert_null(props_check(NULL, 0, PROP_IN_MSG));
    assert_non_null(
        props_check("\x0b\x80\x80\x80\x80\x01", 6, PROP_IN_PUBLISH)); /* above 268435455 */
    assert_non_null(props_check("\x0b\x81\x00", 3, PROP_IN_PUBLISH)); /* not the shortest form */
}

static void topic_of_a_publish_that_is_too_large_is_peeked_at(void **state)
{
    (void)state;
    struct mqtt_publish p;
    const uint8_t body[] = {0, 3, 'a', '/', 'b', 0, 9, 1};
    assert_true(packet_peek_publish(2, body, 8, &p));
    assert_int_equal(p.packet_id, 9);
    assert_true(packet_peek_publish(0, body, 5, &p));
    assert_int_equal(p.topic_len, 3);
    assert_false(packet_peek_publish(2, body, 6, &p));
    assert_false(packet_peek_publish(0, body, 4, &p));
    assert_int_equal(p.topic_len, 2);
    assert_false(packet_peek_publish(0, body, 1, &p));
    assert_int_equal(p.topic_len, 0);
}

static void packet_ids_count_what_is_in_flight(void **state)
{
    (void)state;
    struct packet_ids *ids = malloc(sizeof(*ids));
    packet_ids_reset(ids);
    packet_ids_sent_publish(ids, 1, 1);
    packet_ids_sent_publish(ids, 1, 1); /* with dup */
    packet_ids_sent_publish(ids, 65535, 2);
    assert_int_equal(ids->outgoing, 2);
    assert_true(packet_ids_got_publish(ids, 1, 2, false)); /* the directions share no ids */
    assert_int_equal(ids->incoming, 1);
    assert_false(
        packet_ids_got_publish(ids, 1, 1, true)); /* dup of another QoS is another message */
    assert_true(packet_ids_got_pubrec(ids, 65535, false));
    packet_ids_sent_pubrel(ids, 65535);
    assert_true(packet_ids_got_pubrec(ids, 65535, true)); /* late: the PUBCOMP is what counts */
    assert_int_equal(ids->outgoing, 2);
    assert_true(packet_ids_got_pubcomp(ids, 65535));
    assert_true(packet_ids_got_pubcomp(ids, 65535)); /* unknown now */
    assert_int_equal(ids->outgoing, 1);
    assert_false(packet_ids_got_pubrec(ids, 1, false));
    assert_true(packet_ids_got_puback(ids, 1));
    assert_int_equal(ids->outgoing, 0);
    assert_true(packet_ids_got_pubrel(ids, 1));
    assert_false(packet_ids_got_publish(ids, 1, 2, true)); /* after PUBREL the id is not free yet */
    assert_int_equal(ids->incoming, 1);
    assert_true(packet_ids_sent_pubcomp(ids, 1));
    assert_int_equal(ids->incoming, 0);
    free(ids);
}

static void keepalive_follows_both_directions(void **state)
{
    (void)state;
    struct keepalive k;
    keepalive_start(&k, 10, 1000);
    assert_int_equal(keepalive_deadline(&k), 11000);
    keepalive_wrote(&k, 5000);
    assert_int_equal(keepalive_deadline(&k), 11000); /* nothing was heard since 1000 */
    keepalive_heard(&k, 6000);
    assert_int_equal(keepalive_due(&k, 14999), KEEPALIVE_NOTHING);
    assert_int_equal(keepalive_due(&k, 15000), KEEPALIVE_PING);
    keepalive_pinged(&k, 15000);
    assert_int_equal(keepalive_due(&k, 24999),
                     KEEPALIVE_NOTHING); /* 10 s at least, above half of 10 s */
    assert_int_equal(keepalive_due(&k, 25000), KEEPALIVE_DEAD);
    keepalive_answered(&k);
    assert_int_equal(keepalive_due(&k, 15999), KEEPALIVE_NOTHING);
    assert_int_equal(keepalive_due(&k, 16000), KEEPALIVE_PING);
    keepalive_start(&k, 0, 1000);
    assert_int_equal(keepalive_deadline(&k), INT64_MAX);
    assert_int_equal(keepalive_due(&k, INT64_MAX - 1), KEEPALIVE_NOTHING);
}

static void refusal_in_words_after_a_guess_is_remembered(void **state)
{
    (void)state;
    struct fallback f;
    fallback_init(&f, MQTT_AUTO);
    fallback_silence(&f);
    assert_int_equal(fallback_level(&f), 5); /* once may be a broker that is being restarted */
    fallback_silence(&f);
    assert_int_equal(fallback_level(&f), 0x84);
    assert_true(fallback_refused(&f));
    assert_int_equal(fallback_level(&f), 4);
    fallback_accepted(&f);
    fallback_ended(&f);
    assert_int_equal(fallback_level(&f), 4);
    assert_false(fallback_refused(&f)); /* none is left: anew from the configured one */
    assert_int_equal(fallback_level(&f), 5);
}

static void back_off_grows_with_jitter_between_its_bounds(void **state)
{
    (void)state;
    assert_int_equal(backoff_next_ms(0, 0), BACKOFF_MIN_MS);
    assert_int_equal(backoff_next_ms(0, 2000), 3000);
    assert_int_equal(backoff_next_ms(0, 2001), 1000);
    assert_int_equal(backoff_next_ms(3000, 8000), 9000);
    assert_int_equal(backoff_next_ms(30000, 80000), BACKOFF_MAX_MS);
    assert_int_equal(backoff_next_ms(INT64_MAX, 100000), BACKOFF_MAX_MS);
    int64_t wait = 0, sum = 0;
    uint32_t x = 12345;
    for (int i = 0; i < 1000; i++) {
        x = x * 1664525u + 1013904223u;
        wait = backoff_next_ms(wait, x >> 8);
        assert_in_range(wait, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
        sum += wait;
    }
    assert_in_range(sum / 1000, 15000, 55000); /* it neither stays low nor sticks at the top */
}

static void every_reason_has_a_name(void **state)
{
    (void)state;
    for (unsigned code = 0x80; code <= 0xa2; code++)
        assert_string_not_equal(mqtt_reason_name((uint8_t)code), "unknown reason");
    assert_string_equal(mqtt_reason_name(0xff), "unknown reason");
    assert_string_equal(mqtt_return_code_name(5), "not authorized");
    assert_string_equal(mqtt_return_code_name(6), "unknown return code");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish_reads_as_it_was_written),
        cmocka_unit_test(acknowledgements_read_as_they_were_written),
        cmocka_unit_test(packet_that_never_fits_out_is_too_large),
        cmocka_unit_test(framer_takes_the_longest_length_and_no_longer_one),
        cmocka_unit_test(every_property_has_its_place_and_number),
        cmocka_unit_test(topic_of_a_publish_that_is_too_large_is_peeked_at),
        cmocka_unit_test(packet_ids_count_what_is_in_flight),
        cmocka_unit_test(keepalive_follows_both_directions),
        cmocka_unit_test(refusal_in_words_after_a_guess_is_remembered),
        cmocka_unit_test(back_off_grows_with_jitter_between_its_bounds),
        cmocka_unit_test(every_reason_has_a_name),
    };
    return cmocka_run_group_tests_name("mqtt packet", tests, NULL, NULL);
}
