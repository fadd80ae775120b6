/* A key is changed on a datagram link, where each end is started anew with other keys in its file: what is queued goes on under the key
 * that both have, also in epochs that began before the file was changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/channel.h"
#include "tests/unit/wire/datagram_pair.h"

#define MINUTE 60000

static const uint8_t keys[3][SECRET_BYTES] = {{0}, {1, 2, 3}, {4, 5, 6}};

/* The owner's part: what is in the file, and whether the peer has shown that it holds the next. */
static void with(struct sim *s, int side, int current, int next, bool use_next, void (*begin)(struct sim *s, int side))
{
    struct channel_secrets *k = &s->end[side].config.secrets;
    memset(k, 0, sizeof *k);
    memcpy(k->current, keys[current], SECRET_BYTES);
    k->has_next = next >= 0;
    if (k->has_next)
        memcpy(k->next, keys[next], SECRET_BYTES);
    k->use_next = use_next;
    begin(s, side);
}

static void talk(struct sim *s, unsigned n)
{
    for (int side = 0; side < 2; side++)
        sim_make(s, side, n);
    if (!sim_drain(s, 3000 * MINUTE))
        fail_msg("not everything arrived");
}

static bool next_in_use(const struct sim *s, int side)
{
    struct channel_status st;
    channel_status(s->end[side].channel, &st);
    return st.next_in_use;
}

/* From key `old` to key `new`, one end after the other; between all steps both talk. */
static void change(struct sim *s, int old, int new, void (*begin)(struct sim *s, int side))
{
    for (int side = 0; side < 2; side++) {
        with(s, side, old, new, false, begin);
        talk(s, 3);
    }
    for (int i = 0; i < 10 && !(next_in_use(s, 0) && next_in_use(s, 1)); i++)
        talk(s, 1);
    assert_true(next_in_use(s, 0) && next_in_use(s, 1));
    for (int side = 0; side < 2; side++) {
        with(s, side, new, -1, false, begin);
        talk(s, 3);
    }
}

static void change_twice(bool metered, void (*begin)(struct sim *s, int side))
{
    struct sim *s = sim_new(11, metered);
    talk(s, 5);
    change(s, 0, 1, begin);
    change(s, 1, 2, begin);
    sim_free(s);
}

static void a_key_is_changed_twice_with_a_restart_at_each_step(void **state)
{
    change_twice(false, sim_start);
    change_twice(true, sim_start);
}

static void a_key_is_changed_twice_while_the_processes_live(void **state)
{
    change_twice(false, sim_reload);
    change_twice(true, sim_reload);
}

/* The secret was the next one, and is the current one now beside another next: the epoch goes on under it. */
static void an_epoch_outlives_the_move_of_its_key_to_the_other_file(void **state)
{
    struct sim *s = sim_new(13, false);
    for (int side = 0; side < 2; side++)
        with(s, side, 0, 1, false, sim_reload);
    for (int i = 0; i < 10 && !(next_in_use(s, 0) && next_in_use(s, 1)); i++)
        talk(s, 1);
    assert_true(next_in_use(s, 0) && next_in_use(s, 1));
    with(s, 0, 1, -1, false, sim_reload); /* begins an epoch: what leaned on frames cannot be gone on with */
    talk(s, 3);
    unsigned greetings = s->end[1].greetings;
    with(s, 1, 1, 2, false, sim_reload);
    talk(s, 3);
    if (!sim_forward) /* an epoch with shares is not gone on with by another channel */
        assert_int_equal(s->end[1].greetings, greetings); /* end 0's, at end 1 */
    sim_free(s);
}

/* Frames that were handed over, and may be sent again, are of the key that they were sealed with. */
static void what_was_under_way_when_the_file_changed_arrives(void **state)
{
    struct sim *s = sim_new(12, false);
    talk(s, 5);
    change(s, 0, 1, sim_start);
    s->loss = 0.5;
    for (int side = 0; side < 2; side++)
        sim_make(s, side, 20);
    sim_run(s, 5000);
    with(s, 0, 1, 2, false, sim_start);
    sim_run(s, 5000);
    with(s, 1, 1, 2, false, sim_start);
    s->loss = 0;
    assert_true(sim_drain(s, 3000 * MINUTE));
    sim_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_changed_twice_with_a_restart_at_each_step),
        cmocka_unit_test(a_key_is_changed_twice_while_the_processes_live),
        cmocka_unit_test(an_epoch_outlives_the_move_of_its_key_to_the_other_file),
        cmocka_unit_test(what_was_under_way_when_the_file_changed_arrives),
    };
    sim_arguments(argc, argv);
    sim_seal = SEAL_FULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
