/* DirectIP's messages, against bytes written by hand: what the gateway sends is read as it was meant
 * or not at all, and what we send has every byte in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "link_drivers/directip_message.h"

#define HEX_BYTES_MAX 8192

static uint8_t bytes[HEX_BYTES_MAX];

/* "01 00 1f" into `bytes`; anything that is no hex digit is only for the reader's eye. */
static size_t hex(const char *text)
{
    size_t digits = 0;
    memset(bytes, 0, sizeof(bytes));
    for (; *text; text++) {
        const char *found = strchr("0123456789abcdef", *text);
        if (!found)
            continue;
        bytes[digits / 2] = (uint8_t)(bytes[digits / 2] << 4 | (found - "0123456789abcdef"));
        digits++;
    }
    assert_int_equal(digits % 2, 0);
    return digits / 2;
}

/* The header of a session of IMEI 300234010753370: reference 1, status ok, MOMSN 2, MTMSN 3. */
#define HEADER "01 001c 00000001 333030323334303130373533333730 00 0002 0003 559eba2c"
#define PAYLOAD_HI "02 0002 6869"

static struct directip_mo_message mo;
static const char *why;

static enum directip_outcome decode(const char *text)
{
    size_t n = hex(text);
    why = NULL;
    return directip_mo_decode(bytes, n, &mo, &why);
}

static void expect_bad(const char *text, const char *reason)
{
    assert_int_equal(decode(text), DIRECTIP_BAD);
    assert_non_null(why);
    assert_string_equal(why, reason);
}

static void test_message_with_payload(void **state)
{
    assert_int_equal(decode("01 0038"
                            "01 001c 70ec0769 333030323334303633393034313930 00 004b 0000 559eba2c"
                            "02 0016 74657374206d6573736167652066726f6d2070657465"),
                     DIRECTIP_WHOLE);
    assert_int_equal(mo.reference, 0x70ec0769);
    assert_string_equal(mo.imei, "300234063904190");
    assert_int_equal(mo.session, DIRECTIP_SESSION_OK);
    assert_int_equal(mo.momsn, 75);
    assert_int_equal(mo.mtmsn, 0);
    assert_int_equal(mo.time_s, 0x559eba2c);
    assert_int_equal(mo.payload_len, 22);
    assert_memory_equal(mo.payload, "test message from pete", 22);
    assert_false(mo.located);
}

static void test_location_before_payload(void **state)
{
    char text[400] = "01 005e"
                     "01 001c 7bf6dc11 333031343334303631373939343830 00 0007 0000 68c75020"
                     "03 000b 02 2b 7a26 ac 8dc4 00000002"
                     "02 002e ";
    for (int i = 0; i < 46; i++)
        strcat(text, "5a");
    assert_int_equal(decode(text), DIRECTIP_WHOLE);
    assert_string_equal(mo.imei, "301434061799480");
    assert_int_equal(mo.payload_len, 46);
    assert_true(mo.located);
    assert_int_equal(mo.location.latitude, -(43 * 60000 + 31270)); /* 43 degrees 31.270' south */
    assert_int_equal(mo.location.longitude, 172 * 60000 + 36292);  /* 172 degrees 36.292' east */
    assert_int_equal(mo.location.radius_km, 2);
}

static void test_failed_session_without_payload(void **state)
{
    assert_int_equal(decode("01 001f 01 001c 0012d687 333030303334303130313233343530 0d d431 3039 "
                            "43b539e1"),
                     DIRECTIP_WHOLE);
    assert_int_equal(mo.session, DIRECTIP_SESSION_RF_LOSS);
    assert_false(directip_session_reached(mo.session));
    assert_int_equal(mo.momsn, 54321);
    assert_int_equal(mo.mtmsn, 12345);
    assert_null(mo.payload);
    assert_int_equal(mo.payload_len, 0);
}

static void test_elements_in_any_order(void **state)
{
    assert_int_equal(decode("01 0039 03 0014 01 21 2847 76 7f06 00010000 000000000000000000"
                            "7f 0000" HEADER),
                     DIRECTIP_WHOLE);
    assert_true(mo.located); /* padded to 20 bytes, as the guide has it */
    assert_int_equal(mo.location.latitude, 33 * 60000 + 10311);
    assert_int_equal(mo.location.longitude, -(118 * 60000 + 32518));
    assert_int_equal(mo.location.radius_km, 65536);
    assert_int_equal(decode("01 0027" PAYLOAD_HI "7f 0003 010203" HEADER), DIRECTIP_BAD);
    assert_int_equal(decode("01 002a" PAYLOAD_HI "7f 0003 010203" HEADER), DIRECTIP_WHOLE);
    assert_int_equal(mo.payload_len, 2);
    assert_memory_equal(mo.payload, "hi", 2);
    assert_string_equal(mo.imei, "300234010753370");
}

static void test_empty_payload_is_none(void **state)
{
    assert_int_equal(decode("01 0022" HEADER "02 0000"), DIRECTIP_WHOLE);
    assert_null(mo.payload);
}

static void test_places_that_are_none(void **state)
{
    static const char *const locations[] = {
        "03 000b 00 5b 0000 00 0000 00000001",   /* 91 degrees */
        "03 000b 00 5a 0001 00 0000 00000001",   /* beyond the pole by a thousandth */
        "03 000b 00 00 ea60 00 0000 00000001",   /* 60 minutes */
        "03 000b 00 00 0000 b4 0001 00000001",   /* beyond 180 degrees */
        "03 000b 04 00 0000 00 0000 00000001",   /* a format that is not known */
        "03 0003 000000",                        /* too short */
    };
    for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
        char text[300];
        snprintf(text, sizeof(text), "01 00%02x" HEADER "%s" PAYLOAD_HI, i < 5 ? 50 : 42,
                 locations[i]);
        assert_int_equal(decode(text), DIRECTIP_WHOLE);
        assert_false(mo.located);
        assert_int_equal(mo.payload_len, 2);
    }
}

static void test_every_beginning_wants_more(void **state)
{
    size_t n = hex("01 0024" HEADER PAYLOAD_HI);
    for (size_t i = 0; i < n; i++) {
        uint8_t *exact = malloc(i ? i : 1); /* so that a sanitizer sees a byte read beyond */
        assert_non_null(exact);
        memcpy(exact, bytes, i);
        assert_int_equal(directip_mo_decode(exact, i, &mo, &why), DIRECTIP_MORE);
        free(exact);
    }
    assert_int_equal(directip_mo_decode(bytes, n, &mo, &why), DIRECTIP_WHOLE);
    bytes[n] = 0xff; /* what comes behind is not read */
    assert_int_equal(directip_mo_decode(bytes, n + 1, &mo, &why), DIRECTIP_WHOLE);
}

static void test_lengths_that_lie(void **state)
{
    expect_bad("01 0023" HEADER PAYLOAD_HI, "an element reaches beyond the message");
    expect_bad("01 0022" HEADER PAYLOAD_HI, "an element reaches beyond the message");
    expect_bad("01 0021" HEADER PAYLOAD_HI, "an element reaches beyond the message");
    expect_bad("01 0020" HEADER PAYLOAD_HI, "an element reaches beyond the message");
    assert_int_equal(decode("01 0025" HEADER PAYLOAD_HI), DIRECTIP_MORE);
    expect_bad("01 0025" HEADER PAYLOAD_HI "00", "an element reaches beyond the message");
    expect_bad("01 0024" HEADER "02 ffff 6869", "an element reaches beyond the message");
    expect_bad("01 ffff", "longer than any message");
    expect_bad("01 0ffe", "longer than any message");
    assert_int_equal(decode("01 0ffd"), DIRECTIP_MORE);
}

static void test_messages_that_are_none(void **state)
{
    expect_bad("02", "not revision 1 of the protocol");
    expect_bad("47 45 54 20", "not revision 1 of the protocol"); /* GET */
    expect_bad("01 0000", "no header");
    expect_bad("01 0005" PAYLOAD_HI, "no header");
    expect_bad("01 003e" HEADER HEADER, "two headers");
    expect_bad("01 0029" HEADER PAYLOAD_HI PAYLOAD_HI, "two payloads");
    expect_bad("01 0004 01 0001 00", "a header of another length");
    expect_bad("01 001f 01 001c 00000001 33303032333430313037353333372f 00 0002 0003 559eba2c",
               "an IMEI that is not 15 digits");
    expect_bad("01 001f 01 001c 00000001 330030323334303130373533333730 00 0002 0003 559eba2c",
               "an IMEI that is not 15 digits");
}

static void test_payload_larger_than_any(void **state)
{
    uint8_t m[37 + 1961];
    for (size_t length = 1960; length <= 1961; length++) {
        size_t n = hex("01 0000" HEADER);
        memset(m, 0x55, sizeof(m));
        memcpy(m, bytes, n);
        m[1] = (uint8_t)((34 + length) >> 8);
        m[2] = (uint8_t)(34 + length);
        m[34] = 2;
        m[35] = (uint8_t)(length >> 8);
        m[36] = (uint8_t)length;
        assert_int_equal(directip_mo_decode(m, 37 + length, &mo, &why),
                         length == 1960 ? DIRECTIP_WHOLE : DIRECTIP_BAD);
    }
}

static void test_confirmation_of_mo(void **state)
{
    uint8_t out[DIRECTIP_MO_CONFIRMATION_BYTES];
    directip_mo_confirm(out);
    assert_int_equal(hex("01 0004 05 0001 01"), sizeof(out));
    assert_memory_equal(out, bytes, sizeof(out));
}

static void expect_mt(enum directip_priority priority, const char *text)
{
    static uint8_t out[DIRECTIP_MT_BYTES_MAX];
    struct directip_mt_message m = {.id = 0x4d736737,
                                    .imei = "314159265358979",
                                    .priority = priority,
                                    .payload = (const uint8_t *)"Hello World!",
                                    .payload_len = 12};
    size_t n = hex(text);
    assert_int_equal(directip_mt_encode(&m, out), n);
    assert_memory_equal(out, bytes, n);
}

static void test_message_for_a_modem(void **state)
{
    expect_mt(DIRECTIP_PRIORITY_NONE,
              "01 0027 41 0015 4d736737 333134313539323635333538393739 0000"
              "42 000c 48656c6c6f20576f726c6421");
    expect_mt(DIRECTIP_PRIORITY_ELEMENT,
              "01 002c 41 0015 4d736737 333134313539323635333538393739 0000 46 0002 0001"
              "42 000c 48656c6c6f20576f726c6421");
    expect_mt(DIRECTIP_PRIORITY_FLAG,
              "01 0027 41 0015 4d736737 333134313539323635333538393739 0010"
              "42 000c 48656c6c6f20576f726c6421");
}

static void test_largest_message_for_a_modem(void **state)
{
    static uint8_t payload[DIRECTIP_MT_PAYLOAD_MAX], out[DIRECTIP_MT_BYTES_MAX];
    struct directip_mt_message m = {.id = 1,
                                    .imei = "314159265358979",
                                    .priority = DIRECTIP_PRIORITY_ELEMENT,
                                    .payload = payload,
                                    .payload_len = sizeof(payload)};
    assert_int_equal(directip_mt_encode(&m, out), sizeof(out));
    assert_int_equal(out[1] << 8 | out[2], sizeof(out) - 3);
}

static struct directip_mt_answer answer;

static enum directip_outcome decode_answer(const char *text)
{
    size_t n = hex(text);
    return directip_mt_answer_decode(bytes, n, &answer, &why);
}

#define ANSWER_ID "4d736737 333134313539323635333538393739"

static void test_answers(void **state)
{
    assert_int_equal(decode_answer("01 001c 44 0019" ANSWER_ID "0000e469 0001"), DIRECTIP_WHOLE);
    assert_int_equal(answer.id, 0x4d736737);
    assert_string_equal(answer.imei, "314159265358979");
    assert_int_equal(answer.reference, 0xe469);
    assert_int_equal(answer.status, 1);
    assert_int_equal(decode_answer("01 001c 44 0019" ANSWER_ID "00000000 fffb"), DIRECTIP_WHOLE);
    assert_int_equal(answer.status, -5);
    /* One whose IMEI is no text: read as it is, for the caller to find that it is not ours. */
    assert_int_equal(decode_answer("01 001c 44 0019 00000457 000102030405060708090a0b0c0d0e "
                                   "00000000 002a"),
                     DIRECTIP_WHOLE);
    assert_int_equal(answer.id, 0x457);
    assert_int_equal(answer.status, 42);
    assert_int_equal(decode_answer("01 0022 7f 0003 010203 44 0019" ANSWER_ID "00000001 0000"),
                     DIRECTIP_WHOLE);
    assert_int_equal(answer.status, 0);
}

static void test_answers_that_are_none(void **state)
{
    assert_int_equal(decode_answer("01 001c 44 0019" ANSWER_ID "0000e469 00"), DIRECTIP_MORE);
    assert_int_equal(decode_answer("01 001b 44 0019" ANSWER_ID "0000e469 0001"), DIRECTIP_BAD);
    assert_int_equal(decode_answer("01 001b 44 0018" ANSWER_ID "0000e469 00"), DIRECTIP_BAD);
    assert_int_equal(decode_answer("01 0038 44 0019" ANSWER_ID "0000e469 0001"
                                   "44 0019" ANSWER_ID "0000e469 0001"),
                     DIRECTIP_BAD);
    assert_int_equal(decode_answer("01 0003 05 0000"), DIRECTIP_BAD);
    assert_int_equal(decode_answer("48 54 54 50"), DIRECTIP_BAD);
}

/* A frame ends with its own check value, and a CRC over such a thing says little. */
static void test_identifiers(void **state)
{
    uint8_t a[4] = {1, 2, 3, 4}, b[4] = {1, 2, 3, 5};
    uint32_t id = directip_mt_id("314159265358979", a, 4);
    assert_int_equal(directip_mt_id("314159265358979", a, 4), id);
    assert_int_not_equal(id, 0);
    assert_int_not_equal(directip_mt_id("314159265358979", b, 4), id);
    assert_int_not_equal(directip_mt_id("314159265358970", a, 4), id);
    assert_int_not_equal(directip_mt_id("314159265358979", a, 3), id);
}

static void test_words(void **state)
{
    for (int status = 0; status < 256; status++)
        assert_true(strlen(directip_session_words((uint8_t)status)) > 0);
    assert_true(directip_session_reached(0) && directip_session_reached(1) &&
                directip_session_reached(2));
    assert_false(directip_session_reached(DIRECTIP_SESSION_TIMEOUT));
    assert_false(directip_session_reached(DIRECTIP_SESSION_BARRED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"a message with payload is read", test_message_with_payload},
        {"a location before the payload is read", test_location_before_payload},
        {"a failed session without payload is read", test_failed_session_without_payload},
        {"elements come in any order, and unknown ones are skipped", test_elements_in_any_order},
        {"an empty payload is none", test_empty_payload_is_none},
        {"a place that is none is left out, the message kept", test_places_that_are_none},
        {"every beginning of a message wants more", test_every_beginning_wants_more},
        {"lengths that lie make a message bad", test_lengths_that_lie},
        {"what is no message is refused for its reason", test_messages_that_are_none},
        {"a payload larger than any modem's is refused", test_payload_larger_than_any},
        {"the confirmation has its seven bytes", test_confirmation_of_mo},
        {"a message for a modem has every byte in place", test_message_for_a_modem},
        {"the largest message for a modem fills its buffer", test_largest_message_for_a_modem},
        {"answers are read, refusals too", test_answers},
        {"answers that are none are refused", test_answers_that_are_none},
        {"the same message has the same identifier, another another", test_identifiers},
        {"every session status has words", test_words},
    };
    return cmocka_run_group_tests_name("directip_message", tests, NULL, NULL);
}
