/* The codec's bytes and tables, held fast by their hashes. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/mix_tables.h"
#include "gateway/wire/primer.h"
#include "tests/unit/wire_codec/run.h"

#define SEED 20240517

#define FAST   0x9f2aa2137bd52ed3ull
#define PRIMER 0x066c56d78829c7b5ull
#define TABLES 0xfdd943aa6795c0f6ull

/* A change of one bit in any output is a new codec version: these may only change with it. */
static void the_bytes_are_those_of_this_codec_version(void **state)
{
    static const uint64_t pinned[] = {
        0x6a381ce1add14e4c, 0xac7cd844fc1555ab, 0xef7dbdf7fe6bfaf0,
        0x2050379586b932f3, 0x6c6a654998989478, 0x0b7cb1a0f8ca1ac5,
        0x0bd99611e19b0c97, 0xc8e3f53a912d940e, 0x9c0e5f9bb7ad8983,
        0xcab9d33afd821f14, 0xaf70f395dac95da1,
    };

    unsigned others = 0;

    assert_int_equal(stream_kind_count, sizeof pinned / sizeof *pinned);
    for (size_t k = 0; k < stream_kind_count; k++) {
        struct run run;
        run_begin(&run, &codec_mix, CODEC_MIX_MEMORY_MIN << (k % 5));
        run_kind(&run, &stream_kinds[k], SEED, 100, 220);
        if (run_hash(&run) != pinned[k]) {
            print_error("%s: hash 0x%016llx (%zu bytes) is not the pinned one\n", stream_kinds[k].name,
                        (unsigned long long)run_hash(&run), (size_t)run.stream.len);
            others++;
        }
        run_end(&run);
    }
    assert_int_equal(others, 0);
}

static void so_are_those_of_the_fast_level(void **state)
{
    uint64_t all = HASH64_START;

    for (size_t k = 0; k < stream_kind_count; k++) {
        struct run run;
        run_begin(&run, &codec_mix, CODEC_MIX_MEMORY_MIN << (k % 5));
        codec_mix.set_effort(run.encoder, CODEC_EFFORT_FAST);
        run_kind(&run, &stream_kinds[k], SEED, 100, 220);
        all = hash64_add(all, buf_bytes(&run.stream), run.stream.len);
        run_end(&run);
    }
    if (all != FAST)
        fail_msg("hash 0x%016llx is not the pinned one", (unsigned long long)all);
}

static void the_tables_are_those_of_the_generator(void **state)
{
    uint64_t h = HASH64_START;

    /* Value by value, so that byte order does not matter. */
    for (size_t i = 0; i < sizeof mix_squash_table / sizeof *mix_squash_table; i++)
        h = hash64_add(h, (uint8_t[]){(uint8_t)(mix_squash_table[i] >> 8), (uint8_t)mix_squash_table[i]}, 2);
    for (size_t i = 0; i < sizeof mix_stretch_tail / sizeof *mix_stretch_tail; i++)
        h = hash64_add(h, (uint8_t[]){(uint8_t)(mix_stretch_tail[i] >> 8), (uint8_t)mix_stretch_tail[i]}, 2);
    for (size_t i = 0; i < sizeof mix_stretch_middle / sizeof *mix_stretch_middle; i++)
        h = hash64_add(h, (uint8_t[]){(uint8_t)(mix_stretch_middle[i] >> 8), (uint8_t)mix_stretch_middle[i]}, 2);
    for (size_t i = 0; i < sizeof mix_reciprocal / sizeof *mix_reciprocal; i++)
        h = hash64_add(h, (uint8_t[]){(uint8_t)(mix_reciprocal[i] >> 8), (uint8_t)mix_reciprocal[i]}, 2);
    for (size_t i = 0; i < sizeof mix_exp_tail / sizeof *mix_exp_tail; i++)
        for (int shift = 24; shift >= 0; shift -= 8)
            h = hash64_add(h, (uint8_t[]){(uint8_t)(mix_exp_tail[i] >> shift)}, 1);
    for (size_t i = 0; i < sizeof mix_states / sizeof *mix_states; i++)
        h = hash64_add(h, (uint8_t[]){mix_states[i].next[0], mix_states[i].next[1], mix_states[i].zeros,
                                      mix_states[i].ones}, 4);
    if (h != TABLES)
        fail_msg("hash 0x%016llx of the tables is not the pinned one", (unsigned long long)h);
}

static void the_primer_is_that_of_this_codec_version(void **state)
{
    uint64_t h = HASH64_START;

    for (size_t i = 0; i < primer_count(); i++) { /* what stands between them tells topics from payloads */
        struct record r = primer_record(i);
        h = hash64_add(h, r.topic, r.topic_len);
        h = hash64_add(h, "\n", 1);
        h = hash64_add(h, r.bytes, r.len);
        h = hash64_add(h, "\n", 1);
    }
    if (h != PRIMER)
        fail_msg("hash 0x%016llx of the primer is not the pinned one", (unsigned long long)h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_those_of_the_generator),
        cmocka_unit_test(the_primer_is_that_of_this_codec_version),
        cmocka_unit_test(the_bytes_are_those_of_this_codec_version),
        cmocka_unit_test(so_are_those_of_the_fast_level),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
