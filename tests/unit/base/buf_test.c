#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"

static void a_new_buffer_is_empty_and_its_bytes_may_be_read(void **state)
{
    struct buf b;
    buf_init(&b, 100);
    assert_int_equal(b.len, 0);
    assert_non_null(buf_bytes(&b));
    buf_consume(&b, 0);
    buf_fini(&b);
}

static void what_is_put_comes_out_in_order(void **state)
{
    struct buf b;
    buf_init(&b, 100);
    assert_true(buf_put(&b, "abc", 3));
    assert_true(buf_put(&b, NULL, 0));
    assert_true(buf_put(&b, "def", 3));
    buf_consume(&b, 2);
    assert_int_equal(b.len, 4);
    assert_memory_equal(buf_bytes(&b), "cdef", 4);
    buf_fini(&b);
}

static void an_append_beyond_the_bound_changes_nothing_and_is_remembered(void **state)
{
    struct buf b;
    buf_init(&b, 4);
    assert_true(buf_put(&b, "abc", 3));
    assert_false(buf_put(&b, "de", 2));
    assert_true(b.failed);
    assert_memory_equal(buf_bytes(&b), "abc", 3);
    assert_int_equal(b.len, 3);
    assert_true(buf_put(&b, "d", 1));
    assert_true(b.failed);
    assert_null(buf_reserve(&b, SIZE_MAX));
    buf_clear(&b);
    assert_false(b.failed);
    assert_true(buf_put(&b, "wxyz", 4));
    buf_fini(&b);
}

static void a_buffer_over_the_callers_memory_keeps_to_it(void **state)
{
    uint8_t room[6] = "------";
    struct buf b;
    buf_init_over(&b, room, 5);
    assert_true(buf_put(&b, "abc", 3));
    assert_false(buf_put(&b, "def", 3));
    assert_true(b.failed);
    assert_true(buf_put(&b, "de", 2));
    assert_ptr_equal(buf_bytes(&b), room);
    assert_memory_equal(room, "abcde-", 6);
    buf_clear(&b);
    assert_true(buf_put(&b, "fghij", 5));
    assert_memory_equal(room, "fghij-", 6);
}

static void a_reservation_of_nothing_succeeds(void **state)
{
    struct buf b;
    buf_init(&b, 10);
    assert_non_null(buf_reserve(&b, 0));
    buf_commit(&b, 0);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

/* A long life of appends and consumption in uneven steps, compared with a counter. */
static void a_queue_used_for_long_keeps_its_bytes_and_its_bound(void **state)
{
    struct buf b;
    buf_init(&b, 3000);
    uint8_t put = 0, taken = 0;
    unsigned seed = 12345;
    print_message("# seed %u\n", seed);
    for (int step = 0; step < 20000; step++) {
        seed = seed * 1103515245u + 12345u;
        size_t n = seed >> 16 & 0x1ff;
        if (seed >> 30 & 1 && b.len + n <= b.max) {
            uint8_t *to = buf_reserve(&b, n);
            assert_non_null(to);
            for (size_t i = 0; i < n; i++)
                to[i] = put++;
            buf_commit(&b, n);
        } else {
            n = n < b.len ? n : b.len;
            for (size_t i = 0; i < n; i++)
                assert_int_equal(buf_bytes(&b)[i], taken++);
            buf_consume(&b, n);
        }
        assert_true(b.cap <= b.max);
        assert_true(b.head + b.len <= b.cap);
    }
    assert_false(b.failed);
    buf_fini(&b);
}

static void trimming_frees_an_empty_buffer_and_spares_a_full_one(void **state)
{
    struct buf b;
    buf_init(&b, 100000);
    uint8_t block[5000] = {0};
    assert_true(buf_put(&b, block, sizeof(block)));
    buf_trim(&b, 100);
    assert_int_equal(b.len, 5000);
    buf_consume(&b, 5000);
    buf_trim(&b, 100000);
    assert_true(b.cap >= 5000);
    buf_trim(&b, 100);
    assert_int_equal(b.cap, 0);
    assert_true(buf_put(&b, "again", 5));
    assert_memory_equal(buf_bytes(&b), "again", 5);
    buf_fini(&b);
}

static void numbers_are_big_endian(void **state)
{
    struct buf b;
    buf_init(&b, 100);
    buf_put_u8(&b, 0x01);
    buf_put_be16(&b, 0x0203);
    buf_put_be32(&b, 0x04050607);
    buf_put_be64(&b, 0x08090a0b0c0d0e0full);
    assert_int_equal(b.len, 15);
    for (int i = 0; i < 15; i++)
        assert_int_equal(buf_bytes(&b)[i], i + 1);
    struct reader r = reader_of(buf_bytes(&b), b.len);
    assert_int_equal(read_u8(&r), 0x01);
    assert_int_equal(read_be16(&r), 0x0203);
    assert_int_equal(read_be32(&r), 0x04050607);
    assert_true(read_be64(&r) == 0x08090a0b0c0d0e0full);
    assert_false(r.bad);
    assert_int_equal(r.left, 0);
    buf_fini(&b);
}

static void a_read_past_the_end_gives_zeros_from_then_on(void **state)
{
    struct reader r = reader_of("\xff\xff\xff", 3);
    assert_int_equal(read_be16(&r), 0xffff);
    assert_int_equal(read_be16(&r), 0);
    assert_true(r.bad);
    assert_int_equal(read_u8(&r), 0);
    assert_null(read_bytes(&r, 1));
    assert_null(read_bytes(&r, 0));
    r = reader_of(NULL, 0);
    assert_non_null(read_bytes(&r, 0));
    assert_false(r.bad);
}

static void varints_of_every_length_come_back(void **state)
{
    for (int bits = 0; bits <= 64; bits++) {
        uint64_t edge = bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
        uint64_t tries[] = {edge, edge + 1, edge - 1};
        for (int i = 0; i < 3; i++) {
            struct buf b;
            buf_init(&b, 100);
            assert_true(buf_put_varint(&b, tries[i]));
            assert_true(b.len <= VARINT_MAX_BYTES);
            struct reader r = reader_of(buf_bytes(&b), b.len);
            assert_true(read_varint(&r) == tries[i]);
            assert_false(r.bad);
            assert_int_equal(r.left, 0);
            buf_fini(&b);
        }
    }
}

static void bad_varints_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"", 0},
        {"\x80", 1},
        {"\xff\xff", 2},
        {"\x80\x00", 2},                                      /* not the shortest form of 0 */
        {"\xff\x80\x00", 3},                                  /* not the shortest form of 127 */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},     /* 65 bits */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01", 11}, /* eleven bytes */
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct reader r = reader_of(bad[i].bytes, bad[i].n);
        assert_int_equal(read_varint(&r), 0);
        assert_true(r.bad);
    }
    struct reader r = reader_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
    assert_true(read_varint(&r) == UINT64_MAX);
    assert_false(r.bad);
}

static void bytes_are_copied_whole_or_not_at_all(void **state)
{
    const uint8_t bytes[] = {0x11, 0x22, 0x33, 0x44, 0x55};
    uint8_t out[4] = {9, 9, 9, 9};
    struct reader r = reader_of(bytes, sizeof bytes);
    read_into(&r, out, sizeof out);
    assert_false(r.bad);
    assert_memory_equal(out, bytes, sizeof out);
    assert_int_equal(be32_of(out), 0x11223344);
    read_into(&r, out, sizeof out);
    assert_true(r.bad);
    assert_memory_equal(out, bytes, sizeof out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_buffer_is_empty_and_its_bytes_may_be_read),
        cmocka_unit_test(what_is_put_comes_out_in_order),
        cmocka_unit_test(an_append_beyond_the_bound_changes_nothing_and_is_remembered),
        cmocka_unit_test(a_buffer_over_the_callers_memory_keeps_to_it),
        cmocka_unit_test(a_reservation_of_nothing_succeeds),
        cmocka_unit_test(a_queue_used_for_long_keeps_its_bytes_and_its_bound),
        cmocka_unit_test(trimming_frees_an_empty_buffer_and_spares_a_full_one),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(a_read_past_the_end_gives_zeros_from_then_on),
        cmocka_unit_test(varints_of_every_length_come_back),
        cmocka_unit_test(bad_varints_are_refused),
        cmocka_unit_test(bytes_are_copied_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
