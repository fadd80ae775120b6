/* Retry delays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "link_drivers/retry.h"

static void test_bounds(void **state)
{
    for (unsigned failures = 0; failures < 2000; failures++)
        for (uint32_t random = 0; random < 5; random++) {
            int64_t delay = retry_delay_ms(failures, 60000, random * 1073741823u);
            assert_in_range(delay, RETRY_FIRST_MS, 60000);
        }
    assert_int_equal(retry_delay_ms(5, RETRY_FIRST_MS, 12345), RETRY_FIRST_MS);
}

static void test_doubles(void **state)
{
    assert_in_range(retry_delay_ms(1, 60000, 999999), 1000, 2000);
    assert_in_range(retry_delay_ms(2, 60000, 999999), 2000, 4000);
    assert_in_range(retry_delay_ms(3, 60000, 999999), 4000, 8000);
    assert_in_range(retry_delay_ms(9, 60000, 0), 30000, 60000);
    assert_in_range(retry_delay_ms(1000000, 30000, 0), 15000, 30000);
}

static void test_spreads(void **state)
{
    /* A thousand sites that lost the same hub at the same time. */
    unsigned in_tenth[10] = {0};
    for (uint32_t site = 0; site < 1000; site++) {
        int64_t delay = retry_delay_ms(1, 60000, site * 2654435761u);
        in_tenth[(delay - 1000) * 10 / 1001]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(in_tenth[i], 60, 140);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"a delay is within its bounds after any number of failures", test_bounds},
        {"the delay doubles up to its maximum", test_doubles},
        {"sites that failed together come back apart", test_spreads},
    };
    return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
