/* Frames of the handshake while there is no memory at all: they are the same as ever. One that lacked its end would carry a
 * valid tag, and the far end would believe it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "gateway/wire/handshake.h"
#include "tests/crash/fault.h"

#define EPOCH 0x11223344u
#define PEER  0x55667788u

static const struct hello longest_hello = {
    .protocol = HANDSHAKE_PROTOCOL,
    .codec_version = 3,
    .memory_log2 = 22,
    .epoch = EPOCH,
    .seen = 0x7788,
    .identity = {.generation = 1, .segment = 2, .predecessor = 3, .predecessor_end = UINT64_MAX >> 2},
    .name = "a-name-that-is-as-long-as-a-name-may-be-sixty-three-letters-abc",
};

static struct channel_marks longest_marks(void)
{
    struct channel_marks m = {.topics_sequence = UINT64_MAX >> 3, .topics_hash = 5, .history_tail = 6, .grant_bytes = 1 << 20,
                              .max_message = UINT32_MAX};
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        m.cumulative[c] = (UINT64_MAX >> 3) / (c + 1);
        m.partial[c] = true;
        m.partial_number[c] = m.cumulative[c] + (UINT64_MAX >> 4);
        m.partial_have[c] = UINT32_MAX;
    }
    return m;
}

/* All four kinds, one behind the other. Return: bytes. */
static size_t write_all(uint8_t *out)
{
    struct channel_marks m = longest_marks();
    struct resume r = {.answer = true, .epoch = EPOCH, .seen = 1, .ack = 2};
    size_t n = hello_encode(&longest_hello, true, out);
    n += marks_encode(&m, EPOCH, PEER, false, out + n);
    n += resume_encode(&r, true, out + n);
    n += refuse_encode(CHANNEL_REFUSED_BUSY, false, out + n);
    return n;
}

static void handshake_frames_are_whole_when_no_memory_can_be_had(void **state)
{
    uint8_t usual[4 * HANDSHAKE_MAX_BYTES], short_of_memory[4 * HANDSHAKE_MAX_BYTES];
    struct fault f = {.kind = FAULT_ALLOC, .at = 1, .lasting = true};
    struct hello h;
    size_t n = write_all(usual);
    fault_arm(&f);
    fault_enter();
    size_t got = write_all(short_of_memory);
    fault_leave();
    (void)fault_disarm();
    assert_int_equal(got, n);
    assert_memory_equal(short_of_memory, usual, n);
    assert_true(hello_decode(&h, usual, hello_encode(&longest_hello, true, usual)));
    assert_string_equal(h.name, longest_hello.name);
}

int main(void)
{
    const struct CMUnitTest cases[] = {cmocka_unit_test(handshake_frames_are_whole_when_no_memory_can_be_had)};
    fault_init();
    return cmocka_run_group_tests(cases, NULL, NULL);
}
