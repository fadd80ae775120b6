/* How large a piece may be, so that an alarm never waits for long. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/wire/piece_size.h"

#define FRAME 246

/* Sends a message in pieces; ratio: payload bytes in a coded byte. Return: pieces; *worst: coded bytes of the largest. */
static unsigned send_message(struct piece_size *s, unsigned slot, uint32_t total, uint32_t ratio, uint64_t *worst)
{
    unsigned pieces = 0;
    *worst = 0;
    for (uint32_t at = 0; at < total; pieces++) {
        uint32_t n = piece_size_next(s, CLASS_BULK, slot, at > 0, total - at, FRAME, FRAME);
        assert_in_range(n, 1, total - at);
        uint64_t coded = n / ratio;
        struct record r = {.type = at ? RECORD_CHUNK : RECORD_MESSAGE,
                           .class = CLASS_BULK,
                           .slot = at ? RECORD_NO_SLOT : slot,
                           .offset = at,
                           .len = n,
                           .total = total};
        piece_size_coded(s, &r, coded);
        *worst = coded > *worst ? coded : *worst;
        at += n;
    }
    return pieces;
}

static struct piece_size sizes;

static void a_megabyte_of_noise_never_fills_more_than_a_frame_at_once(void **state)
{
    uint64_t worst;
    piece_size_init(&sizes);
    send_message(&sizes, 7, 300, 20, &worst); /* other topics are squeezed well */
    send_message(&sizes, 9, 1u << 20, 20, &worst);
    send_message(&sizes, 8, 1u << 20, 1, &worst);
    assert_true(worst <= FRAME);
}

static void pieces_grow_with_what_the_message_was_squeezed_to(void **state)
{
    uint64_t worst;
    piece_size_init(&sizes);
    unsigned pieces = send_message(&sizes, 7, 1u << 20, 20, &worst);
    assert_true(pieces < (1u << 20) / (FRAME * 15));
    assert_true(worst <= FRAME);
}

static void a_topic_that_is_squeezed_well_goes_whole(void **state)
{
    uint64_t worst;
    piece_size_init(&sizes);
    assert_true(send_message(&sizes, 7, 1500, 10, &worst) > 1);
    assert_int_equal(send_message(&sizes, 7, 1500, 10, &worst), 1);
    assert_true(send_message(&sizes, 6, 1500, 10, &worst) > 1); /* another topic is not known yet */
    assert_true(send_message(&sizes, 7, 5000, 10, &worst) > 1); /* nor does it fit */
}

static void a_short_message_goes_whole_whatever_is_left_of_the_frame(void **state)
{
    piece_size_init(&sizes);
    assert_int_equal(piece_size_next(&sizes, CLASS_HIGH, 3, false, 240, 10, FRAME), 240);
    assert_int_equal(piece_size_next(&sizes, CLASS_HIGH, RECORD_NO_SLOT, false, 0, 0, FRAME), 0);
    assert_int_equal(piece_size_next(&sizes, CLASS_HIGH, RECORD_NO_SLOT, true, 40, 0, FRAME), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_megabyte_of_noise_never_fills_more_than_a_frame_at_once),
        cmocka_unit_test(pieces_grow_with_what_the_message_was_squeezed_to),
        cmocka_unit_test(a_topic_that_is_squeezed_well_goes_whole),
        cmocka_unit_test(a_short_message_goes_whole_whatever_is_left_of_the_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
