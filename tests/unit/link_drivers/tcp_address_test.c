/* host:port as operators write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "link_drivers/tcp_address.h"

static void expect(const char *text, const char *host, const char *port)
{
    struct tcp_address a;
    const char *wrong = tcp_address_parse(text, &a);
    if (wrong)
        fail_msg("%s: %s", text, wrong);
    assert_string_equal(a.host, host);
    assert_string_equal(a.port, port);
}

static void test_good(void **state)
{
    expect("hub.example:5000", "hub.example", "5000");
    expect("192.0.2.7:1", "192.0.2.7", "1");
    expect("[2001:db8::1]:65535", "2001:db8::1", "65535");
    expect("[fe80::1%eth0]:5", "fe80::1%eth0", "5");
    expect("*:5000", "*", "5000");
    expect(":5000", "", "5000");
    expect("127.0.0.1:0", "127.0.0.1", "0");
}

static void test_bad(void **state)
{
    static const char *const bad[] = {
        "",
        "hub",
        "5000",
        "hub:",
        "hub:port",
        "hub:65536",
        "hub:99999999999999999999",
        "hub:-1",
        "hub:+5",
        "hub:05",
        "hub: 5",
        "hub :5",
        "2001:db8::1:5000",
        "::1",
        "[::1]",
        "[::1]5000",
        "[::1:5000",
        "::1]:5000",
        "[]:5000",
        "[hub]:5000",
        "[[::1]]:5",
        "http://hub:80",
        "hub:80/x",
        "[::1]x:5",
    };
    struct tcp_address a;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (!tcp_address_parse(bad[i], &a))
            fail_msg("\"%s\" was taken", bad[i]);
    char longest[400];
    memset(longest, 'a', sizeof(longest));
    strcpy(longest + TCP_HOST_MAX, ":80");
    assert_null(tcp_address_parse(longest, &a));
    memset(longest, 'a', sizeof(longest));
    strcpy(longest + TCP_HOST_MAX + 1, ":80");
    assert_non_null(tcp_address_parse(longest, &a));
}

static void test_checks(void **state)
{
    assert_null(tcp_address_check_connect(""));
    assert_null(tcp_address_check_connect("hub:5000"));
    assert_non_null(tcp_address_check_connect("hub:0"));
    assert_non_null(tcp_address_check_connect("*:5000"));
    assert_non_null(tcp_address_check_connect(":5000"));
    assert_null(tcp_address_check_listen(""));
    assert_null(tcp_address_check_listen("*:5000"));
    assert_null(tcp_address_check_listen(":5000"));
    assert_non_null(tcp_address_check_listen("*:0"));
    assert_non_null(tcp_address_check_listen("5000"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"names, addresses and bracketed IPv6 are read", test_good},
        {"what could mean two things is refused", test_bad},
        {"connect wants a host, both want a port", test_checks},
    };
    return cmocka_run_group_tests_name("tcp_address", tests, NULL, NULL);
}
