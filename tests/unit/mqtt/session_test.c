/* The MQTT session against a scripted broker, bytes by hand on both sides: connecting, keepalive,
 * sending. What a server sends is in incoming_test.c. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/mqtt/rig.h"

/* ---- connecting ---- */

#define CONNECT_5      "10 1d 0004 'MQTT' 05 00 003c 0f 11 ffffffff 21 0003 27 000003e8 17 00 0001 'c'"
#define CONNECT_BRIDGE "10 0d 0004 'MQTT' 84 00 003c 0001 'c'"
#define CONNECT_311    "10 0d 0004 'MQTT' 04 00 003c 0001 'c'"

static void connect_5_says_what_we_can_take(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_AUTO);
    rig_init(&r, &c);
    assert_int_equal(mqtt_session_deadline(r.s), INT64_MAX);
    rig_start(&r);
    rig_expect_sent(&r, CONNECT_5);
    assert_false(mqtt_session_is_connected(r.s));
    assert_int_equal(mqtt_session_quota(r.s), 0);
    rig_feed(&r, "20 03 01 00 00");
    rig_expect_log(&r, "connected 5 present;");
    assert_true(mqtt_session_is_connected(r.s));
    rig_fini(&r);
}

static void connect_carries_will_user_and_password(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_AUTO);
    c.username = "u";
    c.password = "pw";
    c.password_len = 2;
    c.will = (struct mqtt_will){
        .topic = "w", .payload = "off", .payload_len = 3, .qos = 1, .retain = true};
    rig_init(&r, &c);
    rig_start(&r);
    rig_expect_sent(&r,
                    "10 2d 0004 'MQTT' 05 ec 003c 0f 11 ffffffff 21 0003 27 000003e8 17 00 0001 'c'"
                    "00 0001 'w' 0003 'off' 0001 'u' 0002 'pw'");
    rig_feed(&r, "20 02 00 01");
    rig_start(&r);
    rig_expect_sent(&r,
                    "10 1c 0004 'MQTT' 84 ec 003c 0001 'c' 0001 'w' 0003 'off' 0001 'u' 0002 'pw'");
    rig_fini(&r);
}

static void connect_311_sends_no_password_without_user(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_311);
    c.password = "pw";
    c.password_len = 2;
    c.session_expiry_s = 0;
    rig_init(&r, &c);
    rig_start(&r);
    rig_expect_sent(&r, "10 0d 0004 'MQTT' 84 02 003c 0001 'c'");
    rig_fini(&r);
}

static void config_that_mqtt_cannot_spell_is_refused(void **state)
{
    (void)state;
    static char topic[65537];
    memset(topic, 'x', sizeof(topic) - 1);
    static const struct mqtt_session_ops none;
    struct buf out;
    buf_init(&out, 100);
    struct mqtt_session_config good = rig_config(MQTT_AUTO);
    struct mqtt_session_config bad[6] = {good, good, good, good, good, good};
    bad[0].client_id = "";
    bad[1].client_id = "\xff";
    bad[2].username = topic;
    bad[3].will.topic = "a/#";
    bad[4].will.topic = "a";
    bad[4].will.payload = topic;
    bad[4].will.payload_len = 65536;
    bad[5].password = topic;
    bad[5].password_len = 65536;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(mqtt_session_new(&bad[i], &none, NULL, &out));
}

static void start_drops_what_an_earlier_connection_left(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    rig_feed(&r, "32 08 0001 't' 0001"); /* half a packet */
    struct mqtt_out m = {.topic = "t"};
    assert_int_equal(mqtt_session_publish(r.s, &m), 0);
    mqtt_session_stop(r.s);
    rig_start(&r);
    rig_expect_sent(&r, CONNECT_5);
    rig_feed(&r, CONNACK_5);
    rig_expect_log(&r, "connected 5;");
    rig_fini(&r);
}

static void server_limits_are_told(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_AUTO);
    rig_init(&r, &c);
    rig_start(&r);
    rig_feed(&r, "20 18 00 00 15 21 0002 24 01 25 00 27 00000040 28 00 29 00 2a 00 13 000a");
    rig_expect_log(&r, "connected 5;");
    const struct mqtt_connack *k = mqtt_session_server(r.s);
    assert_int_equal(k->server_receive_maximum, 2);
    assert_int_equal(k->server_packet_max_bytes, 64);
    assert_int_equal(k->server_qos_max, 1);
    assert_false(k->retain_available);
    assert_false(k->wildcard_available);
    assert_false(k->sub_id_available);
    assert_int_equal(mqtt_session_deadline(r.s), r.now + 10000); /* Server Keep Alive */
    rig_fini(&r);
}

static void under_311_no_more_is_in_flight_than_mosquitto_takes(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_311);
    assert_int_equal(mqtt_session_quota(r.s), 20);
    rig_fini(&r);
}

static void refusal_gives_code_and_words(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_AUTO);
    rig_init(&r, &c);
    rig_start(&r);
    rig_feed(&r, "20 0b 00 87 08 1f 0005 'no"
                 "\x01"
                 "no'");
    rig_expect_log(&r, "closed refused 87 refused: not authorized (0x87): no?no;");
    rig_start(&r);
    rig_feed(&r,
             "20 02 00 05"); /* a server of 3.1.1 that knows enough of 5 to look at the password */
    rig_expect_log(&r, "closed refused 05 refused: not authorized (0x05);");
    rig_fini(&r);
}

static void version_falls_back_to_bridge_bit_and_plain_311(void **state)
{
    (void)state;
    static const char *const refusals[] = {"20 02 00 01", "20 03 00 84 00"};
    for (size_t i = 0; i < 2; i++) {
        struct rig r;
        struct mqtt_session_config c = rig_config(MQTT_AUTO);
        rig_init(&r, &c);
        rig_start(&r);
        rig_expect_sent(&r, CONNECT_5);
        rig_feed(&r, refusals[i]);
        rig_expect_log(&r, i ? "closed version 84 protocol level 0x05 refused;"
                             : "closed version 01 protocol level 0x05 refused;");
        rig_start(&r);
        rig_expect_sent(&r, CONNECT_BRIDGE);
        rig_feed(&r, "20 02 00 01");
        rig_expect_log(&r, "closed version 01 protocol level 0x84 refused;");
        rig_start(&r);
        rig_expect_sent(&r, CONNECT_311);
        rig_feed(&r, "20 02 01 00");
        rig_expect_log(&r, "connected 4 present;");
        mqtt_session_stop(r.s);
        rig_start(&r); /* remembered */
        rig_expect_sent(&r, CONNECT_311);
        rig_feed(&r, "20 02 00 01"); /* nothing is left to fall back to */
        rig_expect_log(&r, "closed refused 01 refused: unacceptable protocol version (0x01);");
        rig_fini(&r);
    }
}

static void bridge_bit_that_is_taken_is_told(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_311);
    rig_init(&r, &c);
    rig_start(&r);
    rig_expect_sent(&r, CONNECT_BRIDGE);
    rig_feed(&r, CONNACK_311);
    rig_expect_log(&r, "connected 4 bridge;");
    assert_false(mqtt_session_server(r.s)->sub_id_available);
    rig_fini(&r);
}

static void success_in_the_old_form_is_no_mqtt_5(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_AUTO);
    rig_init(&r, &c);
    rig_start(&r);
    rig_feed(&r, CONNACK_311);
    rig_expect_log(&r, "closed version 00 MQTT 5 was answered in MQTT 3.1.1;");
    rig_fini(&r);
    c.version = MQTT_5;
    rig_init(&r, &c);
    rig_start(&r);
    rig_feed(&r, CONNACK_311);
    rig_expect_log(&r, "closed protocol 82 CONNACK: MQTT 5 was answered in MQTT 3.1.1;");
    rig_fini(&r);
}

static void version_5_alone_never_falls_back(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_5);
    rig_init(&r, &c);
    rig_start(&r);
    rig_feed(&r, "20 02 00 01");
    rig_expect_log(&r, "closed refused 01 refused: unacceptable protocol version (0x01);");
    rig_start(&r);
    buf_clear(&r.out);
    mqtt_session_stop(r.s);
    rig_start(&r);
    mqtt_session_stop(r.s);
    rig_start(&r);
    rig_expect_sent(&r, CONNECT_5);
    rig_fini(&r);
}

static void silent_close_tries_the_next_version_and_comes_round(void **state)
{
    (void)state;
    static const char *const tries[] = {CONNECT_5, CONNECT_5, CONNECT_BRIDGE, CONNECT_311,
                                        CONNECT_5, CONNECT_5, CONNECT_BRIDGE};
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_AUTO);
    rig_init(&r, &c);
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        mqtt_session_stop(r.s);
        rig_start(&r);
        rig_expect_sent(&r, tries[i]);
    }
    rig_feed(&r, CONNACK_311);
    rig_expect_log(&r, "connected 4 bridge;");
    mqtt_session_stop(r.s);
    rig_start(&r); /* it may have been a proxy whose broker was down: 5 again */
    rig_expect_sent(&r, CONNECT_5);
    rig_feed(&r, CONNACK_5);
    for (int i = 0; i < 5; i++) { /* 5 works here: whatever closes now, it is not the version */
        mqtt_session_stop(r.s);
        rig_start(&r);
        rig_expect_sent(&r, CONNECT_5);
    }
    rig_fini(&r);
}

static void server_that_says_nothing_times_out(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_AUTO);
    rig_init(&r, &c);
    rig_start(&r);
    int64_t began = r.now;
    rig_run_until(&r, began + 4999);
    rig_expect_log(&r, "");
    rig_run_until(&r, began + 5000);
    rig_expect_log(&r, "closed timeout 00 no CONNACK within 5000 ms;");
    assert_int_equal(mqtt_session_deadline(r.s), INT64_MAX);
    rig_start(&r); /* silence without a close is no refusal of the version */
    rig_run_until(&r, r.now + 10000);
    rig_start(&r);
    buf_clear(&r.out);
    rig_start(&r);
    rig_expect_sent(&r, CONNECT_5);
    rig_fini(&r);
}

/* ---- keepalive ---- */

static void ping_after_idle_and_timeout_without_answer(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    int64_t t = r.now;
    rig_run_until(&r, t + 59999);
    rig_expect_sent(&r, "");
    rig_run_until(&r, t + 60000);
    rig_expect_sent(&r, "c0 00");
    rig_feed(&r, "d0 00");
    rig_run_until(&r, t + 120000);
    rig_expect_sent(&r, "c0 00");
    rig_run_until(&r, t + 149999); /* half the keepalive */
    rig_expect_log(&r, "");
    rig_run_until(&r, t + 150000);
    rig_expect_log(&r, "closed timeout 00 no answer to PINGREQ for 30000 ms;");
    rig_fini(&r);
}

static void ping_is_put_off_by_what_we_write_but_not_where_nothing_comes(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_311);
    int64_t t = r.now;
    rig_run_until(&r, t + 50000);
    mqtt_session_wrote(r.s, r.now);
    rig_feed(&r, "30 03 0001 't'");
    rig_run_until(&r, t + 109999);
    rig_expect_sent(&r, "");
    for (int i = 0; i < 6;
         i++) { /* an owner who publishes all the time, and a server that is gone */
        mqtt_session_wrote(r.s, r.now);
        rig_run_until(&r, r.now + 10000);
    }
    rig_expect_log(&r, "publish 0 t qos0 '';closed timeout 00 no answer to PINGREQ for 30000 ms;");
    rig_fini(&r);
}

static void answer_to_ping_may_stand_behind_other_bytes_but_not_for_ever(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    int64_t t = r.now;
    rig_run_until(&r, t + 60000);
    rig_run_until(&r, t + 89000);
    rig_feed(&r, "30 84 07"); /* a large message has begun to come */
    rig_run_until(&r, t + 118000);
    rig_expect_log(&r, "");
    while (r.now < t + 60000 + 4 * 30000 - 10000) {
        rig_feed(&r, r.now == t + 118000 ? "0001 't' 00" : "'x'");
        rig_run_until(&r, r.now + 10000);
    }
    rig_run_until(&r, t + 180000);
    rig_expect_log(&r, "closed timeout 00 no answer to PINGREQ for 120000 ms;");
    rig_fini(&r);
}

static void keepalive_0_sets_no_timer(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_5);
    c.keepalive_s = 0;
    rig_init(&r, &c);
    rig_connect(&r, CONNACK_5);
    assert_int_equal(mqtt_session_deadline(r.s), INT64_MAX);
    rig_fini(&r);
}

static void full_out_does_not_hide_a_dead_server(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    static uint8_t filler[100000];
    assert_true(buf_put(&r.out, filler, sizeof(filler)));
    rig_run_until(&r, r.now + 90000);
    rig_expect_log(&r, "closed timeout 00 no answer to PINGREQ for 30000 ms;");
    assert_int_equal(r.out.len, sizeof(filler));
    rig_fini(&r);
}

/* ---- sending ---- */

static struct mqtt_out message(uint8_t qos, uint16_t packet_id)
{
    return (struct mqtt_out){
        .topic = "t", .payload = "p", .payload_len = 1, .qos = qos, .packet_id = packet_id};
}

static void publish_carries_properties_under_5_only(void **state)
{
    (void)state;
    static const char *const user[] = {"a", "b", "c", "", NULL};
    struct rig r;
    struct mqtt_out m = message(1, 258);
    m.props = "\x01\x01\x03\x00\x01j";
    m.props_len = 6;
    m.user = user;
    m.has_expiry = true;
    m.expiry_s = 9;
    m.retain = true;
    m.dup = true;
    rig_begin(&r, MQTT_5);
    assert_int_equal(mqtt_session_publish(r.s, &m), 0);
    rig_expect_sent(&r, "3b 1f 0001 't' 0102 18 02 00000009 01 01 03 0001 'j'"
                        "26 0001 'a' 0001 'b' 26 0001 'c' 0000 'p'");
    rig_fini(&r);
    rig_begin(&r, MQTT_311);
    assert_int_equal(mqtt_session_publish(r.s, &m), 0);
    rig_expect_sent(&r, "3b 06 0001 't' 0102 'p'");
    m.qos = 0; /* MQTT-3.3.1-2 */
    assert_int_equal(mqtt_session_publish(r.s, &m), 0);
    rig_expect_sent(&r, "31 04 0001 't' 'p'");
    rig_fini(&r);
}

static void publish_that_the_server_forbids_is_not_sent(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_5);
    rig_init(&r, &c);
    rig_connect(&r, "20 0c 00 00 09 24 01 25 00 27 00000010");
    static const char *const user_bad[] = {"a", "\xff", NULL};
    static const char *const user_odd[] = {"a", NULL};
    struct mqtt_out bad[9];
    for (size_t i = 0; i < 9; i++)
        bad[i] = message(0, 0);
    bad[0].topic = "a/+";
    bad[1].topic = "";
    bad[2] = message(2, 1);
    bad[3].retain = true;
    bad[4].props = "\x02\x00\x00\x00\x01"; /* expiry has a field of its own */
    bad[4].props_len = 5;
    bad[5].props = "\x03\x00\x05j";
    bad[5].props_len = 4;
    bad[6].user = user_bad;
    bad[7].user = user_odd;
    bad[8].props = "\x0b\x01"; /* a subscription id is the server's */
    bad[8].props_len = 2;
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(mqtt_session_publish(r.s, &bad[i]), MQTT_INVALID);
    struct mqtt_out m = message(0, 0);
    m.payload = "0123456789";
    m.payload_len = 10;
    assert_int_equal(mqtt_session_publish(r.s, &m), 0); /* 16 bytes */
    rig_expect_sent(&r, "30 0e 0001 't' 00 '0123456789'");
    m.payload_len = 11;
    assert_int_equal(mqtt_session_publish(r.s, &m), MQTT_TOO_LARGE);
    struct mqtt_subscription sub = {.filter = "a/long/filter", .id = 1};
    assert_int_equal(mqtt_session_subscribe(r.s, &sub, 1), MQTT_TOO_LARGE);
    assert_int_equal(mqtt_session_unsubscribe(r.s, sub.filter, 1), MQTT_TOO_LARGE);
    m.payload_len = SIZE_MAX - 2;
    assert_int_equal(mqtt_session_publish(r.s, &m), MQTT_TOO_LARGE);
    rig_expect_sent(&r, "");
    rig_fini(&r);
}

static void quota_counts_until_the_last_acknowledgement(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_5);
    rig_init(&r, &c);
    rig_connect(&r, "20 06 00 00 03 21 0003");
    struct mqtt_out m1 = message(1, 1), m2 = message(2, 2), m3 = message(2, 3), m4 = message(1, 4);
    assert_int_equal(mqtt_session_quota(r.s), 3);
    assert_int_equal(mqtt_session_publish(r.s, &m1), 0);
    assert_int_equal(mqtt_session_publish(r.s, &m2), 0);
    assert_int_equal(mqtt_session_publish(r.s, &m3), 0);
    assert_int_equal(mqtt_session_quota(r.s), 0);
    assert_int_equal(mqtt_session_publish(r.s, &m4), MQTT_WAIT);
    struct mqtt_out m0 = message(0, 0);
    assert_int_equal(mqtt_session_publish(r.s, &m0), 0); /* QoS 0 never waits */
    rig_feed(&r, "40 02 0001");
    assert_int_equal(mqtt_session_quota(r.s), 1);
    rig_feed(&r, "50 02 0002"); /* half-way only */
    assert_int_equal(mqtt_session_quota(r.s), 1);
    rig_feed(&r, "50 03 0003 97"); /* refused: that is the end of it */
    assert_int_equal(mqtt_session_quota(r.s), 2);
    assert_int_equal(mqtt_session_pubrel(r.s, 2), 0);
    assert_int_equal(mqtt_session_quota(r.s), 2);
    rig_feed(&r, "70 04 0002 00 00");
    assert_int_equal(mqtt_session_quota(r.s), 3);
    rig_feed(&r, "40 04 0063 10 00"); /* unknown here: for the owner to judge, not for the quota */
    assert_int_equal(mqtt_session_quota(r.s), 3);
    rig_expect_log(&r, "puback 1 00;pubrec 2 00;pubrec 3 97;pubcomp 2 00;puback 99 10;");
    rig_fini(&r);
}

static void resumed_messages_count_against_the_quota(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_5);
    rig_init(&r, &c);
    rig_connect(&r, "20 06 01 00 03 21 0002");
    assert_int_equal(mqtt_session_pubrel(r.s, 10), 0);
    rig_expect_sent(&r, "62 02 000a");
    struct mqtt_out m = message(2, 11);
    m.dup = true;
    assert_int_equal(mqtt_session_publish(r.s, &m), 0);
    assert_int_equal(mqtt_session_quota(r.s), 0);
    assert_int_equal(mqtt_session_pubrel(r.s, 12), 0); /* never waits */
    assert_int_equal(mqtt_session_quota(r.s), 0);
    rig_feed(&r,
             "50 02 000a"); /* of a message that the server had queued: PUBCOMP is still to come */
    rig_feed(&r, "70 03 000a 92 70 02 000c");
    assert_int_equal(mqtt_session_quota(r.s), 1);
    rig_expect_log(&r, "pubrec 10 00;pubcomp 10 92;pubcomp 12 00;");
    rig_fini(&r);
}

static void answer_of_the_wrong_kind_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t qos;
        const char *answer;
    } wrong[] = {{1, "50 02 0001"}, {1, "70 02 0001"}, {2, "40 02 0001"}, {2, "70 02 0001"}};
    for (size_t i = 0; i < 4; i++) {
        struct rig r;
        rig_begin(&r, MQTT_5);
        struct mqtt_out m = message(wrong[i].qos, 1);
        assert_int_equal(mqtt_session_publish(r.s, &m), 0);
        rig_feed(&r, wrong[i].answer);
        assert_true(r.closed);
        rig_fini(&r);
    }
}

static void subscribe_asks_for_what_a_gateway_needs(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    struct mqtt_subscription sub = {.filter = "a/#", .qos = 1, .id = 300};
    assert_int_equal(mqtt_session_subscribe(r.s, &sub, 9), 0);
    rig_expect_sent(&r, "82 0c 0009 03 0b ac02 0003 'a/#' 1d");
    sub = (struct mqtt_subscription){.filter = "$share/g/a", .qos = 2};
    assert_int_equal(mqtt_session_subscribe(r.s, &sub, 9), 0);
    rig_expect_sent(&r, "82 10 0009 00 000a '$share/g/a' 1a");
    sub.filter = "a#";
    assert_int_equal(mqtt_session_subscribe(r.s, &sub, 9), MQTT_INVALID);
    assert_int_equal(mqtt_session_unsubscribe(r.s, "a/#", 10), 0);
    rig_expect_sent(&r, "a2 08 000a 00 0003 'a/#'");
    rig_feed(&r, "90 04 0009 00 01 90 04 0009 00 87 b0 04 000a 00 00");
    rig_expect_log(&r, "suback 9 01;suback 9 87;unsuback 10;");
    rig_feed(&r, "90 05 0009 00 01 01");
    rig_expect_log(&r, "closed protocol 81 SUBACK: not one reason code for the one filter;");
    rig_fini(&r);
    rig_begin(&r, MQTT_311);
    sub = (struct mqtt_subscription){.filter = "a/#", .qos = 1, .id = 300};
    assert_int_equal(mqtt_session_subscribe(r.s, &sub, 9), 0);
    rig_expect_sent(&r, "82 08 0009 0003 'a/#' 01");
    assert_int_equal(mqtt_session_unsubscribe(r.s, "a/#", 10), 0);
    rig_expect_sent(&r, "a2 07 000a 0003 'a/#'");
    rig_feed(&r, "90 03 0009 80 b0 02 000a");
    rig_expect_log(&r, "suback 9 80;unsuback 10;");
    rig_fini(&r);
}

static void subscription_id_is_left_out_where_the_server_has_none(void **state)
{
    (void)state;
    struct rig r;
    struct mqtt_session_config c = rig_config(MQTT_5);
    rig_init(&r, &c);
    rig_connect(&r, "20 05 00 00 02 29 00");
    struct mqtt_subscription sub = {.filter = "a", .qos = 0, .id = 1};
    assert_int_equal(mqtt_session_subscribe(r.s, &sub, 1), 0);
    rig_expect_sent(&r, "82 07 0001 00 0001 'a' 1c");
    rig_fini(&r);
}

static void full_out_takes_whole_packets_or_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    rig_feed(&r, "32 06 0001 't' 0001 00");
    static uint8_t filler[100000];
    assert_true(buf_put(&r.out, filler, sizeof(filler) - 3));
    struct mqtt_out m = message(1, 1);
    assert_int_equal(mqtt_session_publish(r.s, &m), -ENOBUFS);
    assert_int_equal(mqtt_session_puback(r.s, 1), -ENOBUFS);
    assert_int_equal(mqtt_session_quota(r.s), 65535);
    assert_int_equal(r.out.len, sizeof(filler) - 3);
    assert_false(r.out.failed);
    buf_clear(&r.out);
    assert_int_equal(mqtt_session_puback(r.s, 1), 0); /* the state did not move before */
    assert_int_equal(mqtt_session_publish(r.s, &m), 0);
    rig_fini(&r);
}

static void disconnect_is_the_last_packet(void **state)
{
    (void)state;
    static const struct {
        enum mqtt_version version;
        bool with_will;
        const char *sent;
    } cases[] = {{MQTT_5, false, "e0 00"},
                 {MQTT_5, true, "e0 01 04"},
                 {MQTT_311, false, "e0 00"},
                 {MQTT_311, true, ""}};
    for (size_t i = 0; i < 4; i++) {
        struct rig r;
        rig_begin(&r, cases[i].version);
        mqtt_session_disconnect(r.s, cases[i].with_will);
        rig_expect_sent(&r, cases[i].sent);
        struct mqtt_out m = message(0, 0);
        assert_int_equal(mqtt_session_publish(r.s, &m), -ENOTCONN);
        rig_feed(&r, "30 04 0001 't' 00");
        rig_expect_log(&r, "");
        rig_fini(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_5_says_what_we_can_take),
        cmocka_unit_test(connect_carries_will_user_and_password),
        cmocka_unit_test(connect_311_sends_no_password_without_user),
        cmocka_unit_test(config_that_mqtt_cannot_spell_is_refused),
        cmocka_unit_test(start_drops_what_an_earlier_connection_left),
        cmocka_unit_test(server_limits_are_told),
        cmocka_unit_test(under_311_no_more_is_in_flight_than_mosquitto_takes),
        cmocka_unit_test(refusal_gives_code_and_words),
        cmocka_unit_test(version_falls_back_to_bridge_bit_and_plain_311),
        cmocka_unit_test(bridge_bit_that_is_taken_is_told),
        cmocka_unit_test(success_in_the_old_form_is_no_mqtt_5),
        cmocka_unit_test(version_5_alone_never_falls_back),
        cmocka_unit_test(silent_close_tries_the_next_version_and_comes_round),
        cmocka_unit_test(server_that_says_nothing_times_out),
        cmocka_unit_test(ping_after_idle_and_timeout_without_answer),
        cmocka_unit_test(ping_is_put_off_by_what_we_write_but_not_where_nothing_comes),
        cmocka_unit_test(answer_to_ping_may_stand_behind_other_bytes_but_not_for_ever),
        cmocka_unit_test(keepalive_0_sets_no_timer),
        cmocka_unit_test(full_out_does_not_hide_a_dead_server),
        cmocka_unit_test(publish_carries_properties_under_5_only),
        cmocka_unit_test(publish_that_the_server_forbids_is_not_sent),
        cmocka_unit_test(quota_counts_until_the_last_acknowledgement),
        cmocka_unit_test(resumed_messages_count_against_the_quota),
        cmocka_unit_test(answer_of_the_wrong_kind_is_refused),
        cmocka_unit_test(subscribe_asks_for_what_a_gateway_needs),
        cmocka_unit_test(subscription_id_is_left_out_where_the_server_has_none),
        cmocka_unit_test(full_out_takes_whole_packets_or_nothing),
        cmocka_unit_test(disconnect_is_the_last_packet),
    };
    return cmocka_run_group_tests_name("mqtt session", tests, NULL, NULL);
}
