/* `longwire estimate`: recordings, routes, frames, and what is counted. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "gateway/cli/estimate_input.h"
#include "gateway/cli/estimate_traffic.h"
#include "link_drivers/driver.h"

static const struct estimate_link stream = {.baud = 9600, .metered = true, .timestamps = TIMESTAMPS_NO, .codec = -1};
static const struct estimate_link datagrams = {.datagram = true, .mtu = 340, .credit_bytes = 50, .timestamps = TIMESTAMPS_NO, .codec = -1};

static bool patient(void *ctx)
{
    return false;
}

static struct estimate_traffic *traffic_of(const struct config *c, const struct estimate_link *link)
{
    struct estimate_traffic *t = estimate_traffic_new(c, link, patient, NULL);
    assert_non_null(t);
    return t;
}

static struct config *config_of(const char *routes)
{
    char path[] = "/tmp/estimate-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w"), *errors = tmpfile();
    fprintf(f,
            "[site]\nname = buoy\n[broker]\nhost = 127.0.0.1\n[link lan]\ndriver = tcp\n"
            "connect = 127.0.0.1:1\n[peer hub]\nlinks = lan\nseal = none\ntimestamps = no\n%s",
            routes);
    fclose(f);
    struct config *c = config_load(path, link_driver_options, errors);
    unlink(path);
    if (!c) {
        char text[1024] = "";
        rewind(errors);
        if (!fread(text, 1, sizeof text - 1, errors))
            text[0] = '\0';
        fail_msg("%s", text);
    }
    fclose(errors);
    return c;
}

static void put(struct estimate_traffic *t, int64_t at_ms, const char *topic, const char *payload,
                bool retain)
{
    const struct estimate_message m = {.at_ms = at_ms,
                                       .topic = topic,
                                       .payload = (const uint8_t *)payload,
                                       .payload_len = strlen(payload),
                                       .retain = retain};
    int rc = estimate_traffic_put(t, &m);
    if (rc != 0)
        fail_msg("%s", estimate_traffic_error(t, rc));
}

static const struct estimate_peer *ended(struct estimate_traffic *t)
{
    size_t count;
    int rc = estimate_traffic_end(t);
    if (rc != 0)
        fail_msg("%s", estimate_traffic_error(t, rc));
    const struct estimate_peer *p = estimate_traffic_peers(t, &count);
    assert_int_equal(count, 1);
    return p;
}

static int next_of(const char *text, struct estimate_message *m, char *error, size_t size)
{
    FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r"),
         *errors = fmemopen(error, size, "w");
    struct estimate_input *in = estimate_input_new(f, "x.ndjson");
    int rc;
    do
        rc = estimate_input_next(in, m, errors);
    while (rc > 0);
    fclose(errors);
    fclose(f);
    estimate_input_free(in);
    return rc;
}

static void a_wrong_line_is_named_with_its_file_and_number(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"{\"t\":0,\"topic\":\"a\",\"payload\":\"x\"}\n\n{\"t\":1,\"topic\":\"a\"}\n",
         "x.ndjson:3: no payload"},
        {"{\"t\":\"0\",\"topic\":\"a\",\"payload\":\"x\"}\n", "x.ndjson:1: t:"},
        {"{\"t\":0,\"topic\":\"a/+\",\"payload\":\"x\"}\n", "x.ndjson:1: topic:"},
        {"{\"t\":0,\"topic\":\"a\",\"payload_b64\":\"YQ=\"}\n", "x.ndjson:1: payload_b64:"},
        {"{\"t\":0,\"topic\":\"a\",\"payload_b64\":\"Y===\"}\n", "x.ndjson:1: payload_b64:"},
        {"{\"t\":0,\"topic\":\"a\",\"payload\":\"x\",\"payload_b64\":\"\"}\n", "x.ndjson:1: more than one of"},
        {"{\"t\":0,\"topic\":\"a\",\"payload_hex\":\"0g\"}\n", "x.ndjson:1: payload_hex:"},
        {"{\"t\":0,\"topic\":\"a\",\"payload_hex\":\"0\"}\n", "x.ndjson:1: payload_hex:"},
        {"{\"t\":0,\"topic\":\"a\",\"payload\":{\"v\":1}}\n", "x.ndjson:1: payload: a text"},
        {"time,topic,value\n1,a,2\n", "x.ndjson:1: a JSON object"},
        {"\x1f\x8b\x08", "x.ndjson:1: compressed (gzip)"},
        {"\xff\xfe{", "x.ndjson:1: UTF-16"},
        {"[]\n", "x.ndjson:1: a JSON object"},
        {"{\"t\":0\n", "x.ndjson:1: "},
    };
    struct estimate_message m;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char error[256] = "";
        assert_int_equal(next_of(cases[i].text, &m, error, sizeof error), -EINVAL);
        if (strncmp(error, cases[i].error, strlen(cases[i].error)) != 0)
            fail_msg("case %zu: %s", i, error);
    }
}

static void payloads_come_as_text_or_base64_and_time_never_falls(void **state)
{
    static const char text[] =
        "{\"t\":5,\"topic\":\"a\",\"payload\":\"\\u0000z\"}\n"
        "{\"t\":4.5,\"topic\":\"b\",\"payload_b64\":\"AP8=\",\"retain\":true}";
    FILE *f = fmemopen((void *)(uintptr_t)text, sizeof text - 1, "r");
    struct estimate_input *in = estimate_input_new(f, "x");
    struct estimate_message m;
    assert_int_equal(estimate_input_next(in, &m, stderr), 1);
    assert_int_equal(m.payload_len, 2);
    assert_memory_equal(m.payload, "\0z", 2);
    assert_false(m.retain);
    assert_int_equal(estimate_input_next(in, &m, stderr), 1);
    assert_int_equal(m.payload_len, 2);
    assert_memory_equal(m.payload, "\0\xff", 2);
    assert_true(m.retain);
    assert_int_equal(m.at_ms, 5000);
    assert_int_equal(estimate_input_next(in, &m, stderr), 0);
    estimate_input_free(in);
    fclose(f);
}

static void windows_line_ends_and_what_mosquitto_sub_writes_are_understood(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf{\"t\":1700000000.25,\"topic\":\"a\",\"retain\":1,\"payload_hex\":\"00fF\"}\r\n\r\n"
        "{\"t\":1700000001,\"topic\":\"b\",\"retain\":0,\"payload_hex\":\"\"}\r\n";
    FILE *f = fmemopen((void *)(uintptr_t)text, sizeof text - 1, "r");
    struct estimate_input *in = estimate_input_new(f, "x");
    struct estimate_message m;
    assert_int_equal(estimate_input_next(in, &m, stderr), 1);
    assert_int_equal(m.at_ms, 1700000000250);
    assert_true(m.retain);
    assert_int_equal(m.payload_len, 2);
    assert_memory_equal(m.payload, "\0\xff", 2);
    assert_int_equal(estimate_input_next(in, &m, stderr), 1);
    assert_false(m.retain);
    assert_int_equal(m.payload_len, 0);
    assert_int_equal(estimate_input_next(in, &m, stderr), 0);
    estimate_input_free(in);
    fclose(f);
}

static void a_line_that_would_make_a_tree_is_refused_before_it_is_one(void **state)
{
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE + 1), error[256] = "";
    struct estimate_message m;
    memset(text, '[', SIZE);
    memcpy(text, "{\"t\":", 5);
    text[SIZE] = '\0';
    assert_int_equal(next_of(text, &m, error, sizeof error), -EINVAL);
    assert_string_equal(error, "x.ndjson:1: too many members\n");
    free(text);
}

static void mqtt_is_counted_with_its_headers_and_acknowledgements(void **state)
{
    struct estimate_traffic *t = traffic_of(NULL, &stream);
    put(t, 0, "a/b", "12345", false);
    const struct estimate_peer *p = ended(t);
    /* PUBLISH 2 + 2 + 3 + 2 + 5, PUBACK 4, twice 44 of TCP, IP and PPP. */
    assert_int_equal(p->sum.mqtt_tcp_bytes, 14 + 4 + 88);
    /* PUBLISH 7 + 5, PUBACK 7, REGISTER 6 + 3, REGACK 7. */
    assert_int_equal(p->sum.mqtt_sn_bytes, 12 + 7 + 9 + 7);
    estimate_traffic_free(t);
}

/* 600 messages, one a second. */
static struct estimate_totals totals_of(const struct estimate_link *link)
{
    struct estimate_traffic *t = traffic_of(NULL, link);
    for (int i = 0; i < 600; i++) {
        char payload[64];
        snprintf(payload, sizeof payload, "{\"n\":%d,\"v\":%d}", i, i * i % 97);
        put(t, i * 1000, "meter/1", payload, false);
    }
    const struct estimate_peer *p = ended(t);
    assert_int_equal(p->sum.messages, 600);
    struct estimate_totals totals = p->totals;
    estimate_traffic_free(t);
    return totals;
}

static void messages_that_wait_for_company_cost_less(void **state)
{
    struct estimate_link link = datagrams;
    struct estimate_totals alone = totals_of(&link);
    link.hold_ms = 300000;
    struct estimate_totals together = totals_of(&link);
    link.backlog = true;
    struct estimate_totals full = totals_of(&link);
    assert_in_range(alone.frames, 15, 30); /* a modem takes one each 30 s at most */
    assert_true(together.frames < alone.frames && together.credits < alone.credits);
    assert_true(full.credits <= together.credits);
}

static void a_stream_sends_at_once_and_fills_its_frames_behind_a_backlog(void **state)
{
    struct estimate_link link = stream;
    struct estimate_totals alone = totals_of(&link);
    link.backlog = true;
    struct estimate_totals full = totals_of(&link);
    assert_in_range(alone.frames, 600, 610);
    assert_true(full.frames < 30);
    assert_true(full.bytes * 3 < alone.bytes);
    assert_true(full.back_frames > 0 && full.credits + full.back_credits + full.polls == 0);
}

static void a_datagram_is_billed_by_started_credits(void **state)
{
    struct config *c = config_of("[route a]\npeer = hub\ntopics = a\n");
    struct estimate_link link = datagrams;
    link.codec = CODEC_PLAIN;
    struct estimate_traffic *t = traffic_of(c, &link);
    put(t, 0, "a", "0123456789012345678901234567890123456789", false); /* with headers more than 50 */
    const struct estimate_peer *p = ended(t);
    assert_int_equal(p->totals.frames, 1);
    assert_in_range(p->totals.bytes, 51, 100);
    assert_int_equal(p->totals.back_frames, 1);
    assert_int_equal(p->totals.polls, 1); /* nothing else was sent that the acknowledgement might ride on */
    assert_int_equal(p->totals.credits, 2);
    assert_int_equal(p->totals.back_credits, 1);
    estimate_traffic_free(t);
    config_free(c);
}

static uint64_t dropped(const struct estimate_peer *p, const char *reason)
{
    for (size_t i = 0; i < p->dropped_count; i++)
        if (strcmp(p->dropped[i].reason, reason) == 0)
            return p->dropped[i].count;
    return 0;
}

static void routes_choose_replace_and_refuse(void **state)
{
    struct config *c =
        config_of("[route t]\npeer = hub\ntopics = t/#\nexclude = t/x\nmin_interval = 10s\nstrip_prefix = t/\n"
                  "remote_prefix = far/\n"
                  "[route l]\npeer = hub\ntopics = l\nkeep = latest\nmax_payload = 5\n"
                  "[route r]\npeer = hub\ntopics = r\nretain = on-change\n");
    struct estimate_link link = datagrams;
    link.hold_ms = 60000;
    struct estimate_traffic *t = traffic_of(c, &link);
    put(t, 0, "t/a", "1", false);
    put(t, 1000, "t/a", "2", false); /* held, */
    put(t, 2000, "t/a", "3", false); /* replaced */
    put(t, 3000, "t/x", "excluded", false);
    put(t, 4000, "l", "old", false);
    put(t, 5000, "l", "new", false); /* takes the place of old */
    put(t, 6000, "l", "too long", false);
    put(t, 7000, "r", "same", true);
    put(t, 8000, "r", "same", true); /* not wanted again */
    const struct estimate_peer *p = ended(t);
    assert_int_equal(estimate_traffic_messages(t), 9);
    assert_int_equal(estimate_traffic_unrouted(t), 1);
    assert_int_equal(dropped(p, "interval"), 1);
    assert_int_equal(dropped(p, "replaced"), 1);
    assert_int_equal(dropped(p, "oversize"), 1);
    assert_int_equal(dropped(p, "unchanged"), 1);
    assert_int_equal(p->sum.messages, 4); /* 1, 3, new, same */
    assert_string_equal(p->topics[0].name, "t/a"); /* and not its name there, far/a */
    assert_int_equal(p->topics[0].sum.messages, 2);
    estimate_traffic_free(t);
    config_free(c);
}

/* Each comes while the one before it waits, and takes its place: it waits no longer for that. */
static void a_topic_that_changes_while_it_waits_leaves_all_the_same(void **state)
{
    struct config *c = config_of("[route l]\npeer = hub\ntopics = l\nkeep = latest\n");
    struct estimate_link link = datagrams;
    link.hold_ms = 15 * 60000;
    struct estimate_traffic *t = traffic_of(c, &link);
    for (int i = 0; i < 72; i++)
        put(t, i * 10 * 60000, "l", "x", false);
    const struct estimate_peer *p = ended(t);
    assert_in_range(p->sum.messages, 30, 42); /* of 72 in 12 hours, one each 15 minutes and a little, by the two */
    assert_int_equal(p->sum.messages + dropped(p, "replaced"), 72);
    estimate_traffic_free(t);
    config_free(c);
}

static void an_alarm_does_not_wait(void **state)
{
    struct config *c = config_of(
        "[route a]\npeer = hub\ntopics = a\npriority = alarm\n[route n]\npeer = hub\ntopics = n\n");
    struct estimate_link link = datagrams;
    link.hold_ms = 86400000;
    struct estimate_traffic *t = traffic_of(c, &link);
    for (int i = 0; i < 5; i++) {
        put(t, i * 600000, "n", "x", false);
        put(t, i * 600000 + 500, "a", "x", false);
    }
    const struct estimate_peer *p = ended(t);
    assert_int_equal(p->sum.messages, 10);
    assert_true(p->totals.frames >= 5);
    estimate_traffic_free(t);
    config_free(c);
}

static void large_messages_come_in_pieces_and_are_counted_once(void **state)
{
    struct estimate_link link = stream;
    link.codec = CODEC_PLAIN;
    struct estimate_traffic *t = traffic_of(NULL, &link);
    char *large = malloc(200001);
    for (int i = 0; i < 200000; i++)
        large[i] = (char)('a' + i * 7919 % 26);
    large[200000] = '\0';
    put(t, 0, "a", large, false);
    const struct estimate_peer *p = ended(t);
    assert_int_equal(p->sum.messages, 1);
    assert_int_equal(p->sum.payload_bytes, 200000);
    assert_in_range(p->totals.bytes, 200000, 230000);
    free(large);
    estimate_traffic_free(t);
}

static void each_peer_has_a_link_of_its_own(void **state)
{
    struct config *c = config_of("[link wan]\ndriver = tcp\nconnect = 127.0.0.1:2\n[peer second]\nlinks = wan\nseal = none\n[route a]\npeer = hub\ntopics = a\n"
                                 "[route b]\npeer = hub, second\ntopics = b\n");
    struct estimate_traffic *t = traffic_of(c, &stream);
    size_t count;
    put(t, 0, "a", "1", false);
    put(t, 1000, "b", "2", false);
    assert_int_equal(estimate_traffic_end(t), 0);
    const struct estimate_peer *p = estimate_traffic_peers(t, &count);
    assert_int_equal(count, 2);
    assert_int_equal(p[0].sum.messages, 2);
    assert_int_equal(p[1].sum.messages, 1);
    assert_true(p[0].totals.bytes > p[1].totals.bytes && p[1].totals.bytes > 0);
    estimate_traffic_free(t);
    config_free(c);
}

static void what_a_link_cannot_carry_in_two_months_is_told(void **state)
{
    struct estimate_link link = stream;
    link.baud = 10;
    link.codec = CODEC_PLAIN;
    struct estimate_traffic *t = traffic_of(NULL, &link);
    enum { SIZE = 6000000 }; /* seconds, and more than 60 days */
    char *large = malloc(SIZE + 1);
    memset(large, 'x', SIZE);
    large[SIZE] = '\0';
    put(t, 0, "a", large, false);
    int rc = estimate_traffic_end(t);
    assert_int_equal(rc, -ETIMEDOUT);
    assert_non_null(strstr(estimate_traffic_error(t, rc), "too slow"));
    free(large);
    estimate_traffic_free(t);
}

static bool impatient(void *ctx)
{
    return ++*(int *)ctx == 3;
}

static void who_gives_up_waits_no_longer(void **state)
{
    struct estimate_link link = datagrams;
    int asked = 0;
    link.hold_ms = 3600000;
    struct estimate_traffic *t = estimate_traffic_new(NULL, &link, impatient, &asked);
    put(t, 0, "a", "x", false);
    assert_int_equal(estimate_traffic_end(t), -EINTR);
    assert_int_equal(asked, 3);
    estimate_traffic_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_line_is_named_with_its_file_and_number),
        cmocka_unit_test(payloads_come_as_text_or_base64_and_time_never_falls),
        cmocka_unit_test(windows_line_ends_and_what_mosquitto_sub_writes_are_understood),
        cmocka_unit_test(a_line_that_would_make_a_tree_is_refused_before_it_is_one),
        cmocka_unit_test(mqtt_is_counted_with_its_headers_and_acknowledgements),
        cmocka_unit_test(messages_that_wait_for_company_cost_less),
        cmocka_unit_test(a_stream_sends_at_once_and_fills_its_frames_behind_a_backlog),
        cmocka_unit_test(a_datagram_is_billed_by_started_credits),
        cmocka_unit_test(routes_choose_replace_and_refuse),
        cmocka_unit_test(a_topic_that_changes_while_it_waits_leaves_all_the_same),
        cmocka_unit_test(an_alarm_does_not_wait),
        cmocka_unit_test(large_messages_come_in_pieces_and_are_counted_once),
        cmocka_unit_test(each_peer_has_a_link_of_its_own),
        cmocka_unit_test(what_a_link_cannot_carry_in_two_months_is_told),
        cmocka_unit_test(who_gives_up_waits_no_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
