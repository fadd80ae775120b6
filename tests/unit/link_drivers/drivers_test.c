/* The one list of drivers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "link_drivers/driver.h"

static void test_list(void **state)
{
    size_t n = 0;
    for (; link_drivers[n]; n++) {
        assert_ptr_equal(link_driver_find(link_drivers[n]->name), link_drivers[n]);
        assert_ptr_equal(link_driver_options[n], link_drivers[n]->options);
        assert_string_equal(link_driver_options[n]->name, link_drivers[n]->name);
    }
    assert_null(link_driver_options[n]);
    assert_true(n >= 3);
    assert_null(link_driver_find("carrier-pigeon"));
    assert_null(link_driver_find(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"each driver is found by its name, with its own options", test_list},
    };
    return cmocka_run_group_tests_name("drivers", tests, NULL, NULL);
}
