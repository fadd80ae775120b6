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

static const struct estimate_link held = {
    .frame_bytes = 220, .tag_bytes = 4, .hold_ms = INT64_MAX, .codec_memory = 1 << 20};

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
    assert_int_equal(estimate_traffic_put(t, &m), 0);
}

static const struct estimate_peer *ended(struct estimate_traffic *t)
{
    size_t count;
    assert_int_equal(estimate_traffic_end(t), 0);
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
        {"{\"t\":0,\"topic\":\"a\",\"payload\":\"x\",\"payload_b64\":\"\"}\n", "x.ndjson:1: both"},
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

static void mqtt_is_counted_with_its_headers_and_acknowledgements(void **state)
{
    struct estimate_traffic *t = estimate_traffic_new(NULL, &held, TIMESTAMPS_NO);
    put(t, 0, "a/b", "12345", false);
    const struct estimate_peer *p = ended(t);
    /* PUBLISH 2 + 2 + 3 + 2 + 5, PUBACK 4, twice 44 of TCP, IP and PPP. */
    assert_int_equal(p->sum.mqtt_tcp_bytes, 14 + 4 + 88);
    /* PUBLISH 7 + 5, PUBACK 7, REGISTER 6 + 3, REGACK 7. */
    assert_int_equal(p->sum.mqtt_sn_bytes, 12 + 7 + 9 + 7);
    estimate_traffic_free(t);
}

static uint64_t bytes_of(int64_t hold_ms, struct estimate_totals *totals)
{
    struct estimate_link link = held;
    link.hold_ms = hold_ms;
    struct estimate_traffic *t = estimate_traffic_new(NULL, &link, TIMESTAMPS_NO);
    for (int i = 0; i < 600; i++) {
        char payload[64];
        snprintf(payload, sizeof payload, "{\"n\":%d,\"v\":%d}", i, i * i % 97);
        put(t, i * 1000, "meter/1", payload, false);
    }
    *totals = ended(t)->totals;
    estimate_traffic_free(t);
    return totals->bytes;
}

static void messages_that_wait_for_company_cost_less(void **state)
{
    struct estimate_totals alone, minute, full;
    bytes_of(0, &alone);
    bytes_of(60000, &minute);
    bytes_of(INT64_MAX, &full);
    assert_int_equal(alone.frames, 600);
    assert_int_equal(alone.back_frames, 600);
    assert_in_range(minute.frames, 10, 20);
    assert_true(full.bytes < minute.bytes && minute.bytes < alone.bytes / 2);
    /* All but the last are full: 220 bytes and two of framing. */
    assert_in_range(full.bytes, (full.frames - 1) * 222, full.frames * 222);
}

static void a_datagram_is_billed_by_started_credits(void **state)
{
    const struct estimate_link link = {.datagram = true,
                                       .frame_bytes = 340,
                                       .credit_bytes = 50,
                                       .tag_bytes = 4,
                                       .plain = true,
                                       .codec_memory = 1 << 20};
    struct estimate_traffic *t = estimate_traffic_new(NULL, &link, TIMESTAMPS_NO);
    put(t, 0, "a", "0123456789012345678901234567890123456789",
        false); /* with headers more than 50 */
    const struct estimate_peer *p = ended(t);
    assert_int_equal(p->totals.frames, 1);
    assert_in_range(p->totals.bytes, 51, 100);
    assert_int_equal(p->totals.back_frames, 1);
    assert_int_equal(p->totals.credits, 2 + 1);
    estimate_traffic_free(t);
}

static void routes_choose_replace_and_refuse(void **state)
{
    struct config *c =
        config_of("[route t]\npeer = hub\ntopics = t/#\nexclude = t/x\nmin_interval = 10s\n"
                  "[route l]\npeer = hub\ntopics = l\nkeep = latest\nmax_payload = 5\n"
                  "[route r]\npeer = hub\ntopics = r\nretain = on-change\n");
    struct estimate_link link = held;
    link.hold_ms = 60000;
    struct estimate_traffic *t = estimate_traffic_new(c, &link, -1);
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
    assert_int_equal(p->replaced, 2);
    assert_int_equal(p->refused, 1);
    assert_int_equal(p->unwanted, 1);
    assert_int_equal(p->sum.messages, 4); /* 1, 3, new, same */
    estimate_traffic_free(t);
    config_free(c);
}

static void an_alarm_does_not_wait(void **state)
{
    struct config *c = config_of(
        "[route a]\npeer = hub\ntopics = a\npriority = alarm\n[route n]\npeer = hub\ntopics = n\n");
    struct estimate_link link = held;
    link.hold_ms = 60000;
    struct estimate_traffic *t = estimate_traffic_new(c, &link, -1);
    for (int i = 0; i < 5; i++) {
        put(t, i * 1000, "n", "x", false);
        put(t, i * 1000 + 500, "a", "x", false);
    }
    assert_int_equal(ended(t)->totals.frames, 5);
    estimate_traffic_free(t);
    config_free(c);
}

static void large_messages_come_in_pieces_and_are_counted_once(void **state)
{
    struct estimate_link link = held;
    link.plain = true;
    struct estimate_traffic *t = estimate_traffic_new(NULL, &link, TIMESTAMPS_NO);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_line_is_named_with_its_file_and_number),
        cmocka_unit_test(payloads_come_as_text_or_base64_and_time_never_falls),
        cmocka_unit_test(mqtt_is_counted_with_its_headers_and_acknowledgements),
        cmocka_unit_test(messages_that_wait_for_company_cost_less),
        cmocka_unit_test(a_datagram_is_billed_by_started_credits),
        cmocka_unit_test(routes_choose_replace_and_refuse),
        cmocka_unit_test(an_alarm_does_not_wait),
        cmocka_unit_test(large_messages_come_in_pieces_and_are_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
