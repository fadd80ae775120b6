/* Only numeric addresses and names that cannot be: a build machine may have no name service. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <cmocka.h>

#include "base/resolve.h"

#define PATIENCE_MS 30000 /* the test waits for an event; this only ends a broken run */

static int answer(struct resolve *r, struct resolve_result *out, int max)
{
    struct pollfd p = {.fd = resolve_fd(r), .events = POLLIN};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    return resolve_take(r, out, max);
}

static void a_numeric_address_resolves_to_itself(void **state)
{
    struct resolve *r;
    struct resolve_result out[RESOLVE_MAX_ADDRESSES];
    assert_int_equal(resolve_start(&r, "127.0.0.1", "1883", false), 0);
    assert_int_equal(answer(r, out, RESOLVE_MAX_ADDRESSES), 1);
    const struct sockaddr_in *in = (const struct sockaddr_in *)&out[0].address;
    assert_int_equal(out[0].address_len, sizeof(*in));
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(ntohs(in->sin_port), 1883);
    assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
    /* The answer stays. */
    assert_int_equal(resolve_take(r, out, RESOLVE_MAX_ADDRESSES), 1);
    assert_int_equal(resolve_take(r, out, 0), 0);
    resolve_free(r);
}

static void ipv6_addresses_fit(void **state)
{
    struct resolve *r;
    struct resolve_result out[1];
    assert_int_equal(resolve_start(&r, "::1", "7", false), 0);
    assert_int_equal(answer(r, out, 1), 1);
    assert_int_equal(out[0].address.ss_family, AF_INET6);
    resolve_free(r);
}

static void listening_may_be_on_any_address(void **state)
{
    static const char *const any[] = {"", "*"};
    for (int i = 0; i < 2; i++) {
        struct resolve *r;
        struct resolve_result out[RESOLVE_MAX_ADDRESSES];
        assert_int_equal(resolve_start(&r, any[i], "7450", true), 0);
        assert_true(answer(r, out, RESOLVE_MAX_ADDRESSES) >= 1);
        if (out[0].address.ss_family == AF_INET)
            assert_int_equal(((struct sockaddr_in *)&out[0].address)->sin_addr.s_addr, INADDR_ANY);
        resolve_free(r);
    }
}

static void a_name_that_cannot_be_gives_an_error_code(void **state)
{
    struct resolve *r;
    struct resolve_result out[RESOLVE_MAX_ADDRESSES];
    assert_int_equal(resolve_start(&r, "127.0.0.1", "no-such-service-name", false), 0);
    int n = answer(r, out, RESOLVE_MAX_ADDRESSES);
    assert_true(n < 0);
    assert_non_null(gai_strerror(n));
    resolve_free(r);
}

/* A number is there at once, so that nothing of it depends on when a thread runs. */
static void a_number_waits_for_nothing(void **state)
{
    struct resolve *r;
    struct resolve_result out[RESOLVE_MAX_ADDRESSES];
    assert_int_equal(resolve_start(&r, "127.0.0.1", "7", false), 0);
    assert_int_equal(resolve_take(r, out, RESOLVE_MAX_ADDRESSES), 1);
    struct pollfd p = {.fd = resolve_fd(r), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 1);
    resolve_free(r);
}

static void a_name_is_looked_up(void **state)
{
    struct resolve *r;
    struct resolve_result out[RESOLVE_MAX_ADDRESSES];
    assert_int_equal(resolve_start(&r, "localhost", "7", false), 0);
    assert_true(answer(r, out, RESOLVE_MAX_ADDRESSES) >= 1);
    resolve_free(r);
}

static void a_lookup_may_be_forgotten_at_any_moment(void **state)
{
    for (int i = 0; i < 200; i++) {
        struct resolve *r;
        assert_int_equal(resolve_start(&r, i % 2 ? "127.0.0.1" : "localhost", "1", false), 0);
        resolve_free(r);
    }
    resolve_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_numeric_address_resolves_to_itself),
        cmocka_unit_test(a_number_waits_for_nothing),
        cmocka_unit_test(a_name_is_looked_up),
        cmocka_unit_test(ipv6_addresses_fit),
        cmocka_unit_test(listening_may_be_on_any_address),
        cmocka_unit_test(a_name_that_cannot_be_gives_an_error_code),
        cmocka_unit_test(a_lookup_may_be_forgotten_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
