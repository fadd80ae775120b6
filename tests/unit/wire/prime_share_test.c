/* The budget that the two directions of a link share for learning their history tails: the same whichever end reckons it, and kept. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/wire/prime_share.h"

static void two_directions_together_never_have_more_than_the_budget(void **state)
{
    for (unsigned a = 0; a <= PRIME_SHARE_UNITS; a++)
        for (unsigned b = 0; b <= PRIME_SHARE_UNITS; b++) {
            assert_true(prime_share(a, b) + prime_share(b, a) <= PRIME_SHARE_UNITS);
            assert_true(prime_share(a, b) <= a);
        }
}

static void what_one_direction_leaves_the_other_has(void **state)
{
    for (unsigned a = 0; a <= PRIME_SHARE_UNITS; a++)
        for (unsigned b = 0; b <= PRIME_SHARE_UNITS; b++) {
            unsigned left = PRIME_SHARE_UNITS - prime_share(b, a);
            assert_true(prime_share(a, b) == a || prime_share(a, b) + 1 >= left);
            assert_true(prime_share(a, b) >= (a < PRIME_SHARE_UNITS / 2 ? a : PRIME_SHARE_UNITS / 2));
        }
    assert_int_equal(prime_share(PRIME_SHARE_UNITS, 0), PRIME_SHARE_UNITS);
    assert_int_equal(prime_share(PRIME_SHARE_UNITS, 5), PRIME_SHARE_UNITS - 5);
}

static void a_tail_alone_is_never_cut(void **state)
{
    for (uint64_t len = 0; len <= 262144; len += len < 2000 ? 1 : 997) {
        uint64_t count = len == 0 || 262144 / len > 1000 ? 1000 : 262144 / len;
        uint64_t work = count * prime_work((uint32_t)len);
        assert_true(work <= (uint64_t)PRIME_SHARE_UNITS * PRIME_UNIT_WORK);
        assert_true((uint64_t)prime_units(work) * PRIME_UNIT_WORK >= work);
        assert_true((uint64_t)(prime_units(work) - 1) * PRIME_UNIT_WORK < work);
    }
}

static void a_name_tells_the_units_and_is_never_none(void **state)
{
    for (unsigned units = 1; units <= PRIME_SHARE_UNITS; units++) {
        assert_int_equal(prime_tail_units(prime_tail_name(0, units)), units);
        assert_int_equal(prime_tail_units(prime_tail_name(UINT32_MAX, units)), units);
        assert_int_not_equal(prime_tail_name(0, units), 0);
        assert_int_not_equal(prime_tail_name(64, units), prime_tail_name(128, units));
    }
    assert_int_equal(prime_units(0), 1);
    assert_int_equal(prime_units(UINT64_MAX), PRIME_SHARE_UNITS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_directions_together_never_have_more_than_the_budget),
        cmocka_unit_test(what_one_direction_leaves_the_other_has),
        cmocka_unit_test(a_tail_alone_is_never_cut),
        cmocka_unit_test(a_name_tells_the_units_and_is_never_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
