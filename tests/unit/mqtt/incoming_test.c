/* What a server sends: messages, its side of our acknowledgements, and all that it must not send.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/mqtt/rig.h"

/* ---- receiving ---- */

static void publish_keeps_the_properties_that_mean_something(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    rig_feed(&r, "33 2b 0003 'a/b' 0007 21"
                 "01 01 0b 05 26 0001 'k' 0001 'v' 02 0000003c 03 0001 'j' 0b 8101 26 0001 'k' 0000"
                 "09 0001 ff"
                 "'hi'");
    rig_expect_log(&r, "publish 7 a/b qos1 retain 'hi'"
                       " props 01 01 26 00 01 6b 00 01 76 03 00 01 6a 26 00 01 6b 00 00 09 00 01 ff"
                       " expiry 60 id 5 id 129;");
    rig_feed(&r, "30 03 0001 't' 30 04 0001 't' 00"); /* the first has no property length at all */
    rig_expect_log(&r, "closed protocol 81 PUBLISH: packet is cut short;");
    rig_expect_sent(&r, "e0 01 81");
    rig_fini(&r);
}

static void lowest_subscription_ids_are_kept(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    rig_feed(
        &r,
        "30 28 0001 't' 24 0b14 0b13 0b12 0b11 0b10 0b0f 0b0e 0b0d 0b0c 0b0b 0b0a 0b09 0b08 0b07"
        "0b06 0b05 0b04 0b03");
    rig_expect_log(
        &r, "publish 0 t qos0 '' id 4 id 3 id 18 id 17 id 16 id 15 id 14 id 13 id 12 id 11 id 10"
            " id 9 id 8 id 7 id 6 id 5;");
    rig_fini(&r);
}

static void acks_leave_in_the_order_of_the_calls_and_only_once(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    rig_feed(&r, "32 06 0001 't' 0001 00 34 06 0001 't' 0002 00 32 06 0001 't' 0003 00");
    rig_expect_log(&r, "publish 1 t qos1 '';publish 2 t qos2 '';publish 3 t qos1 '';");
    rig_expect_sent(&r, "");
    assert_int_equal(mqtt_session_unacked(r.s), 3);
    assert_int_equal(mqtt_session_window(r.s), 3);
    assert_int_equal(mqtt_session_puback(r.s, 1), 0);
    assert_int_equal(mqtt_session_pubrec(r.s, 2), 0);
    assert_int_equal(mqtt_session_puback(r.s, 3), 0);
    rig_expect_sent(&r, "40 02 0001 50 02 0002 40 02 0003");
    assert_int_equal(mqtt_session_unacked(r.s), 1);
    assert_int_equal(mqtt_session_puback(r.s, 1), MQTT_STALE);
    assert_int_equal(mqtt_session_pubcomp(r.s, 2), MQTT_STALE);
    rig_feed(&r, "62 02 0002");
    rig_expect_log(&r, "pubrel 2;");
    assert_int_equal(mqtt_session_pubcomp(r.s, 2), 0);
    rig_expect_sent(&r, "70 02 0002");
    assert_int_equal(mqtt_session_unacked(r.s), 0);
    rig_fini(&r);
}

static void acks_of_an_earlier_connection_are_stale(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    rig_feed(&r, "32 06 0001 't' 0001 00");
    mqtt_session_stop(r.s);
    assert_int_equal(mqtt_session_puback(r.s, 1), -ENOTCONN);
    rig_connect(&r, "20 03 01 00 00");
    assert_int_equal(mqtt_session_unacked(r.s), 0);
    assert_int_equal(mqtt_session_puback(r.s, 1), MQTT_STALE);
    rig_expect_sent(&r, "");
    rig_feed(&r, "3a 06 0001 't' 0001 00");
    rig_expect_log(&r, "publish 1 t qos1 dup '';");
    assert_int_equal(mqtt_session_puback(r.s, 1), 0);
    rig_fini(&r);
}

static void pubrel_of_an_earlier_connection_is_answered(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    rig_feed(&r, "62 02 0009 62 02 0009 62 03 0009 92");
    rig_expect_log(&r, "pubrel 9;pubrel 9;pubrel 9;");
    assert_int_equal(mqtt_session_unacked(r.s), 0);
    assert_int_equal(mqtt_session_pubcomp(r.s, 9), 0);
    rig_expect_sent(&r, "70 02 0009");
    rig_fini(&r);
}

static void more_than_our_receive_maximum_is_refused(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    rig_feed(&r, "32 06 0001 't' 0001 00 34 06 0001 't' 0002 00 32 06 0001 't' 0003 00");
    rig_feed(&r, "30 04 0001 't' 00");
    assert_false(r.closed);
    rig_feed(&r, "32 06 0001 't' 0004 00");
    assert_non_null(
        strstr(r.log, "closed protocol 93 PUBLISH: more in flight than our receive maximum;"));
    rig_expect_sent(&r, "e0 01 93");
    rig_fini(&r);
    rig_begin(&r, MQTT_311); /* has no such limit */
    rig_feed(&r, "32 05 0001 't' 0001 32 05 0001 't' 0002 32 05 0001 't' 0003 32 05 0001 't' 0004");
    assert_false(r.closed);
    assert_int_equal(mqtt_session_unacked(r.s), 4);
    rig_fini(&r);
}

static void repeated_publish_counts_once_and_another_under_its_id_is_refused(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_311);
    rig_feed(&r, "34 05 0001 't' 0001 3c 05 0001 't' 0001");
    rig_expect_log(&r, "publish 1 t qos2 '';publish 1 t qos2 dup '';");
    assert_int_equal(mqtt_session_unacked(r.s), 1);
    rig_feed(&r, "34 05 0001 't' 0001");
    rig_expect_log(&r, "closed protocol 82 PUBLISH: packet identifier is in use;");
    rig_expect_sent(&r, ""); /* 3.1.1 has no DISCONNECT with a reason */
    rig_fini(&r);
}

static void oversize_from_311_is_passed_over_and_told(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_311);
    rig_feed(&r, "33 e9 07 0003 'big' 0005"); /* remaining length 1001 */
    for (int i = 0; i < 994; i++) {
        rig_expect_log(&r, "");
        rig_feed(&r, "'x'");
    }
    rig_expect_log(&r, "oversize 5 big qos1 retain '' of 1004;");
    rig_feed(&r, "30 03 0001 't'"); /* the stream goes on behind it */
    rig_expect_log(&r, "publish 0 t qos0 '';");
    assert_int_equal(mqtt_session_puback(r.s, 5), 0);
    rig_expect_sent(&r, "40 02 0005");
    rig_fini(&r);
}

static void oversize_closes_and_names_the_topic(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    rig_feed(&r, "33 e9 07 0003 'big'");
    rig_expect_log(&r, ""); /* the topic must be whole, and the packet id */
    rig_feed(&r, "0005 00");
    rig_expect_log(
        &r, "closed too large 95 PUBLISH of 1004 bytes is above the maximum of 1000: topic 'big';");
    rig_expect_sent(&r, "e0 01 95");
    rig_fini(&r);
    struct mqtt_session_config c = rig_config(MQTT_311);
    rig_init_without_oversize(&r, &c);
    rig_connect(&r, CONNACK_311);
    rig_feed(&r, "30 ffffff7f 0002 'a"
                 "\x1b"
                 "' 'z'");
    rig_expect_log(
        &r,
        "closed too large 95 PUBLISH of 268435460 bytes is above the maximum of 1000: topic 'a?';");
    rig_fini(&r);
    rig_begin(&r, MQTT_5);
    rig_feed(&r, "90 e9 07");
    rig_expect_log(
        &r, "closed too large 95 SUBACK of 1004 bytes is above the maximum of 1000: topic '';");
    rig_fini(&r);
}

static void largest_packet_is_taken(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    uint8_t packet[1000] = {0x30, 0xe5, 0x07, 0, 1, 't'}; /* remaining length 997 */
    mqtt_session_feed(r.s, packet, 999, r.now);
    rig_expect_log(&r, "");
    mqtt_session_feed(r.s, packet + 999, 1, r.now);
    assert_non_null(strstr(r.log, "publish 0 t qos0"));
    rig_fini(&r);
}

static void callback_may_stop_disconnect_or_free(void **state)
{
    (void)state;
    static const enum rig_reaction reactions[] = {REACT_STOP, REACT_FREE, REACT_DISCONNECT};
    for (size_t i = 0; i < 3; i++) {
        struct rig r;
        rig_begin(&r, MQTT_5);
        r.reaction = reactions[i];
        rig_feed(&r, "30 04 0001 't' 00 30 04 0001 't' 00");
        rig_expect_log(&r, "publish 0 t qos0 '';");
        rig_expect_sent(&r, reactions[i] == REACT_DISCONNECT ? "e0 00" : "");
        rig_fini(&r);
    }
}

static void server_disconnect_is_told(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, MQTT_5);
    rig_feed(&r, "e0 06 8b 04 1f 0001 'x' 30 04 0001 't' 00");
    rig_expect_log(&r, "closed server 8b server disconnected: server shutting down (0x8b): x;");
    rig_expect_sent(&r, "");
    rig_fini(&r);
}

/* ---- what a server must not send ---- */

static void wrong_packets_end_the_connection(void **state)
{
    (void)state;
    static const struct {
        enum mqtt_version version;
        const char *bytes, *text;
    } cases[] = {
        {MQTT_5, "00 00", "packet type 0"},
        {MQTT_5, "10 00", "a server must not send"},
        {MQTT_5, "82 05 0001 00 0001", "a server must not send"},
        {MQTT_5, "c0 00", "a server must not send"},
        {MQTT_311, "e0 00", "a server must not send"},
        {MQTT_311, "f0 00", "a server must not send"},
        {MQTT_5, "f0 00", "no authentication method"},
        {MQTT_5, CONNACK_5, "a second one"},
        {MQTT_5, "d1 00", "flag bits"},
        {MQTT_5, "60 02 0001", "flag bits"},
        {MQTT_5, "d0 01 00", "longer"},
        {MQTT_5, "30 ffffffff 01", "malformed packet length"},
        {MQTT_5, "30 8000", "malformed packet length"},
        {MQTT_5, "36 06 0001 't' 0001 00", "QoS 3"},
        {MQTT_5, "38 04 0001 't' 00", "DUP and QoS 0"},
        {MQTT_5, "32 06 0001 't' 0000 00", "packet identifier 0"},
        {MQTT_5, "30 03 0000 00", "topic name"},
        {MQTT_5, "30 04 0001 '#' 00", "topic name"},
        {MQTT_5, "30 04 0001 00 00", "topic name"},
        {MQTT_5, "30 04 0001 ff 00", "topic name"},
        {MQTT_5, "30 05 0005 't' 00 00", "cut short"},
        {MQTT_5, "32 04 0001 't' 00", "cut short"},
        {MQTT_5, "30 04 0001 't' 01", "longer than the packet"},
        {MQTT_5, "30 07 0001 't' 03 23 0001", "topic alias"},
        {MQTT_5, "30 07 0001 't' 03 23 0000", "must not be 0"},
        {MQTT_5, "30 06 0001 't' 02 0b 00", "must not be 0"},
        {MQTT_5, "30 08 0001 't' 04 01 00 01 00", "given twice"},
        {MQTT_5, "30 06 0001 't' 02 01 02", "not 0 or 1"},
        {MQTT_5, "30 05 0001 't' 01 01", "cut short"},
        {MQTT_5, "30 06 0001 't' 02 7f 00", "unknown property"},
        {MQTT_5, "30 06 0001 't' 02 24 00", "does not belong"},
        {MQTT_5, "30 08 0001 't' 04 03 0001 ff", "not UTF-8"},
        {MQTT_5, "30 0a 0001 't' 06 26 0001 'k' 0005", "cut short"},
        {MQTT_5, "30 08 0001 't' 04 08 0001 '+'", "response topic"},
        {MQTT_5, "30 09 0001 't' 05 0b 80808080", "cut short"},
        {MQTT_5, "40 01 00", "cut short"},
        {MQTT_5, "40 02 0000", "packet identifier 0"},
        {MQTT_5, "40 05 0001 00 00 00", "longer than what it says"},
        {MQTT_5, "40 06 0001 00 02 01 00", "does not belong"},
        {MQTT_311, "40 03 0001 00", "longer"},
        {MQTT_5, "90 03 0001 00", "no reason code"},
        {MQTT_5, "90 04 0001 00 03", "a code that is none"},
        {MQTT_311, "90 03 0001 87", "a code that is none"},
        {MQTT_5, "b0 03 0001 00", "no reason code"},
        {MQTT_5, "e0 03 00 01 1f", "cut short"},
        {MQTT_5, "e0 06 00 04 11 0000 00", "does not belong"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig r;
        rig_begin(&r, cases[i].version);
        rig_feed(&r, cases[i].bytes);
        if (!strstr(r.log, "closed protocol") || !strstr(r.log, cases[i].text))
            fail_msg("%s gave '%s', not '%s'", cases[i].bytes, r.log, cases[i].text);
        assert_false(mqtt_session_is_connected(r.s));
        rig_feed(&r, "30 04 0001 't' 00");
        assert_null(strstr(r.log, "publish"));
        rig_fini(&r);
    }
}

static void wrong_connacks_end_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"20 03 02 00 00", "reserved"},
        {"20 03 01 87 00", "refused with a session present"},
        {"20 01 00", "cut short"},
        {"20 04 00 00 00 00", "longer"},
        {"20 06 00 00 03 21 0000", "must not be 0"},
        {"20 08 00 00 05 27 00000000", "must not be 0"},
        {"20 05 00 00 02 24 02", "not 0 or 1"},
        {"20 07 00 00 04 12 0001 'x'", "client identifier assigned"},
        {"20 07 00 00 04 15 0001 'x'", "authentication method"},
        {"20 05 00 00 02 01 00", "does not belong"},
        {"30 04 0001 't' 00", "before CONNACK"},
        {"f0 00", "before CONNACK"},
        {"e0 00", "before CONNACK"},
        /* 'H', 'T' is the header of a PUBACK of 84 bytes. */
        {"'HTTP/1.1 400 Bad Request' 0d0a 'Content-Type: text/html; charset=utf-8' 0d0a "
         "'Connection: close' 0d0a0d0a",
         "PUBACK: wrong flag bits"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig r;
        struct mqtt_session_config c = rig_config(MQTT_AUTO);
        rig_init(&r, &c);
        rig_start(&r);
        rig_feed(&r, cases[i].bytes);
        if (!strstr(r.log, "closed protocol") || !strstr(r.log, cases[i].text))
            fail_msg("%s gave '%s', not '%s'", cases[i].bytes, r.log, cases[i].text);
        rig_fini(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish_keeps_the_properties_that_mean_something),
        cmocka_unit_test(lowest_subscription_ids_are_kept),
        cmocka_unit_test(acks_leave_in_the_order_of_the_calls_and_only_once),
        cmocka_unit_test(acks_of_an_earlier_connection_are_stale),
        cmocka_unit_test(pubrel_of_an_earlier_connection_is_answered),
        cmocka_unit_test(more_than_our_receive_maximum_is_refused),
        cmocka_unit_test(repeated_publish_counts_once_and_another_under_its_id_is_refused),
        cmocka_unit_test(oversize_from_311_is_passed_over_and_told),
        cmocka_unit_test(oversize_closes_and_names_the_topic),
        cmocka_unit_test(largest_packet_is_taken),
        cmocka_unit_test(callback_may_stop_disconnect_or_free),
        cmocka_unit_test(server_disconnect_is_told),
        cmocka_unit_test(wrong_packets_end_the_connection),
        cmocka_unit_test(wrong_connacks_end_the_connection),
    };
    return cmocka_run_group_tests_name("mqtt incoming", tests, NULL, NULL);
}
