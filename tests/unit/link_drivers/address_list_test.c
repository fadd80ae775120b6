/* Who may call: addresses and networks as an operator writes them. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "link_drivers/address_list.h"

static bool has(const char *item, const char *address)
{
    char *text = strdup(item), *items[] = {text};
    struct string_list list = {items, 1};
    struct sockaddr_storage from;
    assert_non_null(text);
    memset(&from, 0, sizeof(from));
    if (strchr(address, ':')) {
        from.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, address, &((struct sockaddr_in6 *)&from)->sin6_addr), 1);
    } else {
        from.ss_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, address, &((struct sockaddr_in *)&from)->sin_addr), 1);
    }
    bool found = address_list_has(&list, &from);
    free(text);
    return found;
}

static void test_check(void **state)
{
    static const char *const good[] = {"127.0.0.1",     "0.0.0.0/0",     "192.0.2.0/24", "::1",
                                       "2001:db8::/32", "10.1.2.3/32",   "any",          "::/0",
                                       "::ffff:1.2.3.4"};
    static const char *const wrong[] = {"",           "1.2.3",      "1.2.3.4.5",    "1.2.3.4/33",
                                        "1.2.3.4/",   "1.2.3.4/-1", "1.2.3.4/8x",   "::1/129",
                                        "gateway.example", "any/0", "1.2.3.256",    "*",
                                        "0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:1"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_null(address_list_check(good[i]));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_non_null(address_list_check(wrong[i]));
}

static void test_has(void **state)
{
    assert_true(has("127.0.0.1", "127.0.0.1"));
    assert_false(has("127.0.0.1", "127.0.0.2"));
    assert_true(has("192.0.2.0/24", "192.0.2.255"));
    assert_false(has("192.0.2.0/24", "192.0.3.0"));
    assert_true(has("192.0.2.128/25", "192.0.2.129"));
    assert_false(has("192.0.2.128/25", "192.0.2.127"));
    assert_true(has("0.0.0.0/0", "8.8.8.8"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "8.8.8.8")); /* as ::ffff:8.8.8.8, which every network has that has all */
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(has("any", "203.0.113.9"));
    assert_true(has("any", "2001:db8::1"));
}

static void test_mapped(void **state)
{
    assert_true(has("192.0.2.7", "::ffff:192.0.2.7"));
    assert_true(has("::ffff:192.0.2.7", "192.0.2.7"));
    assert_false(has("192.0.2.7", "::192.0.2.7"));
}

static void test_other_families(void **state)
{
    char any[] = "any", *items[] = {any};
    struct string_list list = {items, 1}, none = {NULL, 0};
    struct sockaddr_storage from;
    memset(&from, 0, sizeof(from));
    from.ss_family = AF_UNIX;
    assert_false(address_list_has(&list, &from));
    from.ss_family = AF_INET;
    assert_false(address_list_has(&none, &from));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"addresses, networks and any are taken, all else is refused", test_check},
        {"an address is in its network, and in no other", test_has},
        {"an IPv4 address counts as such however it came", test_mapped},
        {"nobody is in an empty list, nor from another family", test_other_families},
    };
    return cmocka_run_group_tests_name("address_list", tests, NULL, NULL);
}
