#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/codec_mix.h"
#include "tests/unit/wire_codec/run.h"

#define MEMORY (1u << 20)
#define SEED   20240517

static void assert_right(const struct run *run, size_t memory, size_t piece, const char *what)
{
    const char *wrong = run_check(run, memory, piece);

    if (wrong)
        fail_msg("%s in pieces of %zu: %s (seed %d)", what, piece, wrong, SEED);
}

static void every_kind_comes_back_from_frames_of_any_size(void **state)
{
    static const size_t pieces[] = {1, 2, 7, 50, 220, 100000};

    for (size_t k = 0; k < stream_kind_count; k++) {
        for (size_t u = 0; u < 3; u++) {
            struct run run;
            run_begin(&run, &codec_mix, MEMORY);
            run_kind(&run, &stream_kinds[k], SEED, 120, (size_t[]){0, 220, 1u << 30}[u]);
            assert_right(&run, MEMORY, pieces[(k + u) % 6], stream_kinds[k].name);
            run_end(&run);
        }
    }
}

static void every_memory_size_works_and_is_kept_to(void **state)
{
    for (size_t memory = CODEC_MIX_MEMORY_MIN; memory <= CODEC_MIX_MEMORY_MAX; memory *= 2) {
        struct run run;
        run_begin(&run, &codec_mix, memory);
        run_kind(&run, &stream_kinds[stream_kind_count - 1], SEED, 60, 220);
        assert_right(&run, memory, 220, "mixed");
        run_end(&run);
    }
}

static void all_types_of_records_come_back_with_all_their_fields(void **state)
{
    struct run run;
    uint8_t piece[300];

    memset(piece, 'x', sizeof piece);
    run_begin(&run, &codec_mix, MEMORY);
    run_put(&run, &(struct record){.type = RECORD_TOPICS_RESET});
    run_put(&run, &(struct record){.type = RECORD_TOPIC, .slot = 4095, .topic = "a/b", .topic_len = 3});
    run_put(&run, &(struct record){.type = RECORD_MESSAGE, .class = CLASS_ALARM, .number = 77, .previous = 12,
                                   .slot = 4095, .qos = 2, .retain = true, .has_origin = true,
                                   .origin_ms = 1700000000000, .has_expiry = true, .expiry_s = 86400,
                                   .props = (const uint8_t *)"\x01\x01", .props_len = 2, .hops = "hub,mast",
                                   .hops_len = 8, .bytes = (const uint8_t *)"fire", .len = 4, .total = 4});
    run_put(&run, &(struct record){.type = RECORD_MESSAGE, .class = CLASS_BULK, .number = UINT64_MAX,
                                   .previous = UINT64_MAX - 1, .slot = RECORD_NO_SLOT, .topic = "c",
                                   .topic_len = 1, .qos = 1, .has_origin = true, .origin_in_ms = true,
                                   .origin_ms = -1234567, .bytes = piece, .len = 300, .total = 1000});
    run_put(&run, &(struct record){.type = RECORD_CHUNK, .class = CLASS_BULK, .number = UINT64_MAX,
                                   .offset = 300, .bytes = piece, .len = 300});
    run_flush(&run);
    run_put(&run, &(struct record){.type = RECORD_CHUNK, .class = CLASS_HIGH, .number = 5, .offset = 4096,
                                   .bytes = piece, .len = 1});
    run_put(&run, &(struct record){.type = RECORD_ABORT, .class = CLASS_BULK, .number = UINT64_MAX,
                                   .previous = 9});
    run_put(&run, &(struct record){.type = RECORD_GAP, .class = CLASS_NORMAL, .number = 900, .previous = 1,
                                   .first_number = 2, .count = 40, .reason = 15, .from_ms = 1700000001000,
                                   .to_ms = -5000, .route = "telemetry", .route_len = 9});
    run_put(&run, &(struct record){.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = 901,
                                   .previous = 900, .slot = 0});
    run_flush(&run);
    assert_right(&run, MEMORY, 3, "records");
    assert_right(&run, MEMORY, 1000, "records");
    run_end(&run);
}

static void an_empty_unit_costs_nothing(void **state)
{
    struct run run;

    run_begin(&run, &codec_mix, MEMORY);
    run_flush(&run);
    assert_int_equal(run.stream.len, 0);
    run_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_from_frames_of_any_size),
        cmocka_unit_test(every_memory_size_works_and_is_kept_to),
        cmocka_unit_test(all_types_of_records_come_back_with_all_their_fields),
        cmocka_unit_test(an_empty_unit_costs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
