/* Datagram links while there is no memory at all: frames' heads and answers, and what is saved of a channel, are the same as
 * ever. A head without its end would carry a valid tag; a channel saved as nothing would take old frames for new ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "gateway/wire/channel.h"
#include "gateway/wire/datagram_frame.h"
#include "tests/crash/fault.h"

#define HEAD_MAX (DATAGRAM_HEADER_BYTES + DATAGRAM_ANNOUNCE_MAX + DATAGRAM_ACK_BYTES)
#define ALL_MAX  (HEAD_MAX + 4 * DATAGRAM_ANSWER_MAX + CHANNEL_SAVED_MAX + CHANNEL_SAVED_OUT_MAX)

static const struct datagram_header longest_header = {
    .number = CHANNEL_NUMBERS_MAX - 1,
    .epoch_low = 0x44,
    .announces = true,
    .announcement = {.counter = UINT64_MAX,
                     .epoch = 0x11223344,
                     .behind = 511,
                     .codec = 2,
                     .anchor = 1,
                     .proposes = true,
                     .proposed_up_to = UINT64_MAX,
                     .proposed_id = 2,
                     .identity = {.generation = 1, .segment = 2, .predecessor = 3, .predecessor_end = UINT64_MAX},
                     .echoes = true,
                     .next_secret = 4,
                     .name = "a-name-that-is-as-long-as-a-name-may-be-sixty-three-letters-abc"},
    .has_ack = true,
    .ack = 5,
};

/* Each kind, one behind the other. Return: bytes. */
static size_t write_all(const struct channel *c, uint8_t *out)
{
    static const enum datagram_answer_type types[] = {DATAGRAM_ACK, DATAGRAM_NO_ANCHOR, DATAGRAM_FORGOTTEN, DATAGRAM_FLOOR};
    static const uint8_t salt[DATAGRAM_ANSWER_SALT_BYTES], bitmap[FRAME_BITMAP_MAX];
    size_t clear, n = datagram_header_encode(&longest_header, SEAL_AUTH, out, &clear);
    for (unsigned i = 0; i < 4; i++) {
        struct datagram_answer a = {.type = types[i], .ack = 1, .bitmap = bitmap, .bitmap_bytes = sizeof bitmap,
                                    .floor = UINT64_MAX, .wants_echo = true};
        n += datagram_answer_encode(&a, salt, out + n, &clear);
    }
    n += channel_save(c, out + n);
    return n + channel_save_out(c, out + n);
}

static void what_leaves_and_what_is_saved_is_whole_when_no_memory_can_be_had(void **state)
{
    static uint8_t usual[ALL_MAX], short_of_memory[ALL_MAX];
    static const struct channel_ops ops; /* none is called */
    const struct channel_config config = {.kind = CHANNEL_DATAGRAM, .seal = SEAL_NONE, .mtu = 340};
    const struct channel_identity identity = {.generation = 1, .segment = 2};
    struct fault f = {.kind = FAULT_ALLOC, .at = 1, .lasting = true};
    struct channel *c = channel_new(&config, &identity, &ops, NULL);
    assert_non_null(c);
    size_t n = write_all(c, usual);
    assert_true(n > HEAD_MAX / 2);
    fault_arm(&f);
    fault_enter();
    size_t got = write_all(c, short_of_memory);
    fault_leave();
    (void)fault_disarm();
    assert_int_equal(got, n);
    assert_memory_equal(short_of_memory, usual, n);
    channel_free(c);
}

int main(void)
{
    const struct CMUnitTest cases[] = {cmocka_unit_test(what_leaves_and_what_is_saved_is_whole_when_no_memory_can_be_had)};
    fault_init();
    return cmocka_run_group_tests(cases, NULL, NULL);
}
