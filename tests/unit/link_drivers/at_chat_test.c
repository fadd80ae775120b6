/* The AT engine: bytes in, bytes out, on a clock that the test holds. Each case runs with its input whole, and once more a
 * byte at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "link_drivers/at_chat.h"

static struct at_chat chat;
static bool bytewise;
static char news[1024]; /* all that was told, each with a blank behind */
static int64_t now_ms;

static int set_up(void **state)
{
    at_chat_init(&chat);
    news[0] = '\0';
    now_ms = 1000;
    return 0;
}

static int tear_down(void **state)
{
    at_chat_fini(&chat);
    return 0;
}

static void ask(const struct at_request *r)
{
    at_chat_ask(&chat, r, now_ms);
}

static void expect_out(const void *bytes, size_t n)
{
    assert_int_equal(chat.out.len, n);
    assert_memory_equal(buf_bytes(&chat.out), bytes, n);
    buf_consume(&chat.out, n);
}

/* Feeds all. Return: how many answers came. */
static unsigned feed(const void *text, size_t n)
{
    const uint8_t *p = text;
    unsigned answers = 0;
    while (n > 0) {
        size_t part = bytewise ? 1 : n, left = part;
        enum at_event e;
        while ((e = at_chat_feed(&chat, &p, &left, now_ms)) != AT_NOTHING) {
            answers += e == AT_ANSWER;
            if (e == AT_NEWS) {
                strcat(news, chat.news);
                strcat(news, " ");
            }
        }
        assert_int_equal(left, 0);
        n -= part;
    }
    return answers;
}

#define FEED(text) feed(text, sizeof(text) - 1)

static const struct at_request plain = {.command = "AT+SBDMTA=1", .timeout_ms = 5000, .tail_ms = 1000};
static const struct at_request session = {
    .command = "AT+SBDIX", .info = "+SBDIX", .timeout_ms = 180000, .tail_ms = 5000};
static const struct at_request clear = {.command = "AT+SBDD0", .form = AT_DIGIT, .timeout_ms = 5000, .tail_ms = 1000};
static const struct at_request reading = {
    .command = "AT+SBDRB", .form = AT_READ, .timeout_ms = 5000, .tail_ms = 1000, .blob_max = 270};
static const struct at_request writing = {.command = "AT+SBDWB=5",
                                          .form = AT_WRITE,
                                          .timeout_ms = 10000,
                                          .tail_ms = 1000,
                                          .blob = (const uint8_t *)"hello",
                                          .blob_bytes = 5};

static void expect_answer(unsigned answers, enum at_outcome outcome)
{
    assert_int_equal(answers, 1);
    assert_int_equal(chat.outcome, outcome);
    assert_false(at_chat_busy(&chat));
    assert_int_equal(at_chat_deadline(&chat), INT64_MAX);
}

/* The reference dialogue, as manuals and logs have it. */
static void test_reference_dialogue(void **state)
{
    ask(&writing);
    expect_out("AT+SBDWB=5\r", 11);
    assert_int_equal(FEED("AT+SBDWB=5\r\r\nREADY\r\n"), 0);
    expect_out("hello\x02\x14", 7);
    expect_answer(FEED("\r\n0\r\n\r\nOK\r\n"), AT_OK);
    ask(&session);
    expect_out("AT+SBDIX\r", 9);
    expect_answer(FEED("AT+SBDIX\r\r\n+SBDIX: 0, 75, 1, 12, 5, 1\r\n\r\nOK\r\n"), AT_OK);
    assert_string_equal(chat.info, "+SBDIX: 0, 75, 1, 12, 5, 1");
    ask(&reading);
    expect_out("AT+SBDRB\r", 9);
    expect_answer(FEED("AT+SBDRB\r\0\5hello\2\x14\r\nOK\r\n"), AT_OK);
    assert_int_equal(chat.blob_bytes, 5);
    assert_memory_equal(chat.blob, "hello", 5);
    ask(&clear);
    expect_out("AT+SBDD0\r", 9);
    expect_answer(FEED("AT+SBDD0\r\r\n0\r\n\r\nOK\r\n"), AT_OK);
    assert_int_equal(chat.echoes, 4);
    assert_int_equal(chat.strays, 0);
}

static void test_same_without_echo(void **state)
{
    ask(&reading);
    expect_answer(FEED("\0\5hello\2\x14\r\nOK\r\n"), AT_OK);
    assert_int_equal(chat.blob_bytes, 5);
    ask(&session);
    expect_answer(FEED("\r\n+SBDIXA:0,75,0,-1,0,0\r\n\r\nOK\r\n"), AT_OK);
    ask(&clear);
    expect_answer(FEED("\r\n1\r\n\r\nOK\r\n"), AT_REFUSED);
    assert_int_equal(chat.digit, 1);
    assert_int_equal(chat.echoes, 0);
}

static void test_lines_end_in_cr_alone(void **state)
{
    ask(&session);
    expect_answer(FEED("+SBDIX: 32, 3, 2, 0, 0, 0\rOK\r"), AT_OK);
    ask(&writing);
    assert_int_equal(FEED("READY\r"), 0);
    expect_answer(FEED("0\rOK\r"), AT_OK);
}

static void test_numeric_results(void **state)
{
    ask(&plain);
    expect_answer(FEED("AT+SBDMTA=1\r0\r"), AT_OK);
    ask(&plain);
    expect_answer(FEED("4\r"), AT_ERROR);
    ask(&session);
    expect_answer(FEED("+SBDIX: 0, 75, 0, 0, 0, 0\r\n0\r"), AT_OK);
}

static void test_errors(void **state)
{
    static const char *const errors[] = {"ERROR", "NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE"};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const struct at_request *all[] = {&plain, &session, &clear, &reading, &writing};
        for (size_t j = 0; j < sizeof(all) / sizeof(all[0]); j++) {
            ask(all[j]);
            unsigned answers = feed("\r\n", 2) + feed(errors[i], strlen(errors[i])) + feed("\r\n", 2);
            expect_answer(answers, AT_ERROR);
        }
    }
}

/* News may stand anywhere but in counted bytes. */
static void test_news_between_any_two_lines(void **state)
{
    ask(&session);
    expect_answer(FEED("\r\nSBDRING\r\nAT+SBDIX\r\r\n+CIEV:0,3\r\n\r\n+SBDIX: 0, 1, 0, 0, 0, 0\r\n\r\nSBDRING\r\nSBDRING\r\n"
                       "\r\nOK\r\n\r\n+AREG:1,0\r\n"),
                  AT_OK);
    assert_string_equal(news, "SBDRING +CIEV:0,3 SBDRING SBDRING +AREG:1,0 ");
    assert_string_equal(chat.info, "+SBDIX: 0, 1, 0, 0, 0, 0");
}

static void test_news_before_counted_bytes(void **state)
{
    ask(&reading);
    expect_answer(FEED("\r\nSBDRING\r\n+CIEV:1,1\r\nAT+SBDRB\r\0\3abc\1\x26\r\nSBDRING\r\n\r\nOK\r\n"), AT_OK);
    assert_int_equal(chat.blob_bytes, 3);
    assert_string_equal(news, "SBDRING +CIEV:1,1 SBDRING ");
}

static void test_news_glued_to_a_line(void **state)
{
    ask(&plain);
    expect_answer(FEED("\r\nOKSBDRING\r\n"), AT_OK);
    ask(&plain);
    expect_answer(FEED("\r\nSBDRINGOK\r\n"), AT_OK);
    ask(&session);
    expect_answer(FEED("+SBDIX: 0, 1, 0, 0, 0, 0SBDRING\r\nOK\r\n"), AT_OK);
    assert_string_equal(chat.info, "+SBDIX: 0, 1, 0, 0, 0, 0");
    assert_string_equal(news, "SBDRING SBDRING SBDRING ");
}

/* What looks like lines within counted bytes is content, whatever it is. */
static void test_counted_bytes_are_not_lines(void **state)
{
    static const char content[] = "\r\nOK\r\nSBDRING\r\n+SBDIX: 0,1\r\nERROR\r\n\0\x11\x13\xff";
    uint8_t wire[300];
    size_t n = sizeof(content) - 1;
    unsigned sum = 0;
    wire[0] = 0;
    wire[1] = (uint8_t)n;
    memcpy(wire + 2, content, n);
    for (size_t i = 0; i < n; i++)
        sum += wire[2 + i];
    wire[2 + n] = (uint8_t)(sum >> 8);
    wire[3 + n] = (uint8_t)sum;
    ask(&reading);
    unsigned answers = feed(wire, n + 4);
    expect_answer(answers + FEED("\r\nOK\r\n"), AT_OK);
    assert_int_equal(chat.blob_bytes, n);
    assert_memory_equal(chat.blob, content, n);
    assert_string_equal(news, "");
}

/* Lengths whose bytes are CR, LF or both; and the largest. */
static void test_lengths_that_look_like_line_breaks(void **state)
{
    static const size_t lengths[] = {0, 1, 10, 13, 256, 266, 269, 270};
    uint8_t wire[300];
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t n = lengths[i];
        memset(wire, 0xff, sizeof(wire));
        wire[0] = (uint8_t)(n >> 8);
        wire[1] = (uint8_t)n;
        wire[2 + n] = (uint8_t)(n * 255 >> 8);
        wire[3 + n] = (uint8_t)(n * 255);
        ask(&reading);
        unsigned answers = FEED("\r\n");
        answers += feed(wire, n + 4);
        expect_answer(answers + FEED("\r\nOK\r\n"), AT_OK);
        assert_int_equal(chat.blob_bytes, n);
    }
}

static void test_damaged_counted_bytes(void **state)
{
    ask(&reading);
    expect_answer(FEED("\0\5hellp\2\x14\r\nOK\r\n"), AT_DAMAGED);
    ask(&reading);
    expect_answer(FEED("\1\xff" "and so on\r\nOK\r\n"), AT_DAMAGED); /* 511: no message is so long */
    assert_int_equal(chat.damaged, 2);
    ask(&reading);
    assert_int_equal(FEED("\0\6hello\2\x14\r\nOK"), 0); /* a length that is too great takes what follows ... */
    now_ms = at_chat_deadline(&chat);
    assert_int_equal(at_chat_on_time(&chat, now_ms), AT_ANSWER); /* ... and is found out */
    assert_int_not_equal(chat.outcome, AT_OK);
}

static void test_size_that_is_refused(void **state)
{
    ask(&writing);
    buf_clear(&chat.out);
    expect_answer(FEED("\r\n3\r\n\r\nOK\r\n"), AT_REFUSED);
    assert_int_equal(chat.digit, 3);
    assert_int_equal(chat.out.len, 0); /* no bytes without READY */
}

/* Behind the verdict 1 no OK follows on some modems. */
static void test_verdict_without_ok(void **state)
{
    ask(&writing);
    assert_int_equal(FEED("READY\r\n\r\n1\r\n"), 0);
    assert_int_equal(at_chat_deadline(&chat), now_ms + 1000);
    now_ms += 999;
    assert_int_equal(at_chat_on_time(&chat, now_ms), AT_NOTHING);
    now_ms += 1;
    assert_int_equal(at_chat_on_time(&chat, now_ms), AT_ANSWER);
    assert_int_equal(chat.outcome, AT_REFUSED);
    assert_int_equal(chat.digit, 1);
    FEED("\r\nOK\r\n"); /* too late: of no harm */
    ask(&session);
    assert_int_equal(FEED("\r\nOK\r\n"), 0);
    assert_true(at_chat_busy(&chat));
}

/* An OK that is left over does not end a session, nor a clearing. */
static void test_left_over_ok(void **state)
{
    ask(&session);
    assert_int_equal(FEED("\r\nOK\r\n"), 0);
    expect_answer(FEED("\r\n+SBDIX: 0, 1, 0, 0, 0, 0\r\n\r\nOK\r\n"), AT_OK);
    ask(&clear);
    assert_int_equal(FEED("\r\nOK\r\n"), 0);
    expect_answer(FEED("\r\n0\r\n\r\nOK\r\n"), AT_OK);
    assert_int_equal(chat.strays, 2);
}

static void test_line_that_may_miss(void **state)
{
    struct at_request r = {.command = "AT+CGMR", .info = "Call Processor Version", .info_may_miss = true,
                           .timeout_ms = 1000, .tail_ms = 1000};
    ask(&r);
    expect_answer(FEED("\r\nModem DSP Version: 1.7\r\n\r\nOK\r\n"), AT_OK);
    assert_string_equal(chat.info, "");
    ask(&r);
    expect_answer(FEED("\r\nCall Processor Version: TA16005\r\nModem DSP Version: 1.7\r\n\r\nOK\r\n"), AT_OK);
    assert_string_equal(chat.info, "Call Processor Version: TA16005");
}

static void test_silence_is_an_answer(void **state)
{
    ask(&session);
    assert_int_equal(at_chat_deadline(&chat), now_ms + 180000);
    now_ms += 180000;
    assert_int_equal(at_chat_on_time(&chat, now_ms), AT_ANSWER);
    assert_int_equal(chat.outcome, AT_SILENT);
    FEED("\r\n+SBDIX: 0, 75, 0, 0, 0, 0\r\n\r\nOK\r\n"); /* late: news, for whoever still wants to know */
    assert_string_equal(news, "+SBDIX: 0, 75, 0, 0, 0, 0 ");
}

static void test_result_code_that_stays_out(void **state)
{
    ask(&session);
    assert_int_equal(FEED("\r\n+SBDIX: 0, 75, 0, 0, 0, 0\r\n"), 0);
    assert_int_equal(at_chat_deadline(&chat), now_ms + 5000);
    now_ms += 5000;
    assert_int_equal(at_chat_on_time(&chat, now_ms), AT_ANSWER);
    assert_int_equal(chat.outcome, AT_OK);
}

static void test_hush_passes_over_what_is_left(void **state)
{
    struct at_request hush = {.form = AT_HUSH, .timeout_ms = 100};
    ask(&hush);
    expect_out("\r", 1);
    now_ms += 90;
    assert_int_equal(FEED("AT+GCAP\r\r\n+GCAP: +CGSM\r\n\r\nOK\r\nSBDRING\r\n"), 0);
    assert_int_equal(at_chat_deadline(&chat), now_ms + 100);
    assert_string_equal(news, "SBDRING ");
    for (int i = 0; i < 100 && at_chat_on_time(&chat, now_ms) == AT_NOTHING; i++) { /* it never is quiet */
        now_ms += 50;
        FEED("x");
    }
    assert_false(at_chat_busy(&chat));
    assert_true(now_ms < 1000 + 1200);
}

static void test_endless_line_is_bounded(void **state)
{
    ask(&plain);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(FEED("\xf0"), 0);
    expect_answer(FEED("\r\nOK\r\n"), AT_OK);
    assert_int_equal(chat.damaged, 1);
}

static void test_colours_are_passed_over(void **state)
{
    ask(&session);
    expect_answer(FEED("\x1b[1;32m+SBDIX: 0, 1, 0, 0, 0, 0\x1b[0m\r\n\x1b[7mOK\x1b[0m\r\n"), AT_OK);
    assert_string_equal(chat.info, "+SBDIX: 0, 1, 0, 0, 0, 0");
}

static void test_checksums(void **state)
{
    static uint8_t bytes[340];
    static const struct {
        uint8_t fill;
        size_t n;
        uint8_t sum[2];
    } known[] = {{0, 1, {0, 0}}, {'a', 50, {0x12, 0xf2}}, {0xff, 340, {0x52, 0xac}}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct at_request r = writing;
        memset(bytes, known[i].fill, sizeof(bytes));
        r.blob = bytes;
        r.blob_bytes = known[i].n;
        ask(&r);
        buf_clear(&chat.out);
        FEED("READY\r\n");
        assert_int_equal(chat.out.len, known[i].n + 2);
        assert_memory_equal(buf_bytes(&chat.out) + known[i].n, known[i].sum, 2);
        buf_clear(&chat.out);
        expect_answer(FEED("0\r\nOK\r\n"), AT_OK);
    }
}

static void test_numbers(void **state)
{
    long v[6];
    assert_int_equal(at_numbers("+SBDIX: 0, 75, 1, 12, 5, 1", v, 6), 6);
    assert_int_equal(v[5], 1);
    assert_int_equal(at_numbers("+SBDIX:32,3,2,-1,0,0", v, 6), 6);
    assert_int_equal(v[3], -1);
    assert_int_equal(at_numbers("+SBDSX: 0, 3 , 1,x", v, 6), 3);
    assert_int_equal(at_numbers("+SBDSX:", v, 6), 0);
    assert_int_equal(at_numbers("1,2,3", v, 2), 2);
    assert_int_equal(at_numbers("", v, 6), 0);
    assert_int_equal(at_numbers("+X: 99999999999999999999999,1", v, 6), 2); /* bounded by the type */
    assert_int_equal(at_numbers("+X: -,1", v, 6), 0);
}

static int run(const char *name)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_reference_dialogue),
        CASE(test_same_without_echo),
        CASE(test_lines_end_in_cr_alone),
        CASE(test_numeric_results),
        CASE(test_errors),
        CASE(test_news_between_any_two_lines),
        CASE(test_news_before_counted_bytes),
        CASE(test_news_glued_to_a_line),
        CASE(test_counted_bytes_are_not_lines),
        CASE(test_lengths_that_look_like_line_breaks),
        CASE(test_damaged_counted_bytes),
        CASE(test_size_that_is_refused),
        CASE(test_verdict_without_ok),
        CASE(test_left_over_ok),
        CASE(test_line_that_may_miss),
        CASE(test_silence_is_an_answer),
        CASE(test_result_code_that_stays_out),
        CASE(test_hush_passes_over_what_is_left),
        CASE(test_endless_line_is_bounded),
        CASE(test_colours_are_passed_over),
        CASE(test_checksums),
        CASE(test_numbers),
    };
    return _cmocka_run_group_tests(name, tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}

int main(int argc, char **argv)
{
    bytewise = argc > 1; /* any argument: a byte at a time */
    return run(bytewise ? "at_chat_bytewise" : "at_chat");
}
