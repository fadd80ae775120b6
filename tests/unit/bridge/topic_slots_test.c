#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "gateway/bridge/topic_slots.h"
#include "gateway/wire/record.h"

static void set(struct topic_slots *t, unsigned slot, const char *topic)
{
    assert_int_equal(topic_slots_set(t, slot, topic, strlen(topic)), 0);
}

static void a_topic_is_found_in_its_slot(void **state)
{
    (void)state;
    struct topic_slots *t = topic_slots_new();
    unsigned slot = 99;
    assert_false(topic_slots_find(t, "a/b", &slot));
    set(t, 7, "a/b");
    assert_true(topic_slots_find(t, "a/b", &slot));
    assert_int_equal(slot, 7);
    assert_string_equal(topic_slots_get(t, 7), "a/b");
    assert_null(topic_slots_get(t, 8));
    assert_null(topic_slots_get(t, RECORD_NO_SLOT));
    topic_slots_free(t);
}

static void an_overwritten_topic_is_forgotten(void **state)
{
    (void)state;
    struct topic_slots *t = topic_slots_new();
    unsigned slot;
    set(t, 3, "old");
    set(t, 3, "new");
    assert_false(topic_slots_find(t, "old", &slot));
    assert_true(topic_slots_find(t, "new", &slot));
    topic_slots_free(t);
}

static void empty_slots_are_used_first_then_the_one_used_longest_ago(void **state)
{
    (void)state;
    struct topic_slots *t = topic_slots_new();
    char topic[32];
    unsigned slot;
    for (unsigned i = 0; i < RECORD_TOPIC_SLOTS; i++) {
        unsigned victim = topic_slots_victim(t);
        assert_null(topic_slots_get(t, victim));
        snprintf(topic, sizeof topic, "topic/%u", i);
        set(t, victim, topic);
    }
    assert_true(topic_slots_find(t, "topic/0", &slot)); /* now topic/1 is the one used longest ago */
    unsigned victim = topic_slots_victim(t);
    assert_string_equal(topic_slots_get(t, victim), "topic/1");
    set(t, victim, "another");
    assert_string_equal(topic_slots_get(t, topic_slots_victim(t)), "topic/2");
    assert_true(topic_slots_find(t, "topic/4000", &slot));
    assert_string_equal(topic_slots_get(t, slot), "topic/4000");
    topic_slots_free(t);
}

static void clearing_forgets_all(void **state)
{
    (void)state;
    struct topic_slots *t = topic_slots_new();
    unsigned slot;
    set(t, 0, "x");
    set(t, 5, "y");
    topic_slots_clear(t);
    assert_false(topic_slots_find(t, "x", &slot));
    assert_int_equal(topic_slots_victim(t), 0);
    set(t, 0, "z");
    assert_true(topic_slots_find(t, "z", &slot));
    topic_slots_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_is_found_in_its_slot),
        cmocka_unit_test(an_overwritten_topic_is_forgotten),
        cmocka_unit_test(empty_slots_are_used_first_then_the_one_used_longest_ago),
        cmocka_unit_test(clearing_forgets_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
