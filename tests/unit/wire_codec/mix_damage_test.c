/* What the decoder does with bytes that no encoder made. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/codec_mix.h"
#include "gateway/wire/mix_coder.h"
#include "tests/unit/wire_codec/run.h"

#define SEED 20240517

#define MEMORY (1u << 20)

/* Feeds bytes that no encoder made, until they are refused or used up. */
static void survive(const uint8_t *bytes, size_t n, size_t piece, uint32_t max_message)
{
    const struct codec_limits limits = {.max_message = max_message};
    struct codec_decoder *d = codec_mix.decoder_new(CODEC_MIX_MEMORY_MIN, &limits);
    struct record r;
    uint64_t needed;
    int rc = 0;

    assert_non_null(d);
    for (size_t at = 0; at < n && rc != CODEC_BAD; at += piece) {
        size_t len = n - at < piece ? n - at : piece;
        rc = codec_mix.feed(d, bytes + at, len, at / piece % 3 == 2 || at + len == n);
        while (rc == 0 && (rc = codec_mix.decode(d, &r, &needed)) == 0) {
            uint64_t strings = (uint64_t)r.len + r.props_len + r.hops_len + r.route_len + r.topic_len;
            assert_true(strings <= max_message);
            assert_true(r.total <= max_message || r.type != RECORD_MESSAGE);
            assert_in_range(r.class, 0, CLASS_COUNT - 1);
            if (r.type == RECORD_MESSAGE)
                assert_true(r.slot < RECORD_TOPIC_SLOTS || r.slot == RECORD_NO_SLOT);
        }
        rc = rc == CODEC_MORE ? 0 : rc;
        assert_true(rc == 0 || rc == CODEC_BAD || rc == -ENOMEM);
    }
    if (rc == CODEC_BAD) {
        assert_int_equal(codec_mix.feed(d, bytes, 1, false), CODEC_BAD);
        assert_int_equal(codec_mix.decode(d, &r, &needed), CODEC_BAD);
    }
    codec_mix.decoder_free(d);
}

static void any_bytes_are_refused_or_taken_within_the_limits(void **state)
{
    struct stream s;
    uint8_t bytes[600];

    stream_begin(&s, SEED);
    for (unsigned round = 0; round < 150; round++) {
        size_t n = 1 + stream_random(&s, sizeof bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = round % 3 ? (uint8_t)stream_random(&s, 256)
                                 : (uint8_t)(stream_random(&s, 8) ? 0 : stream_random(&s, 256));
        survive(bytes, n, 1 + stream_random(&s, 300), 1000);
    }
    memset(bytes, 0, sizeof bytes);
    survive(bytes, sizeof bytes, 200, 1000);
    memset(bytes, 0xff, sizeof bytes);
    survive(bytes, sizeof bytes, 200, 1000);
}

static void damaged_streams_are_refused_or_taken_within_the_limits(void **state)
{
    struct stream s;

    stream_begin(&s, SEED);
    for (size_t k = 0; k < stream_kind_count; k++) {
        struct run run;
        run_begin(&run, &codec_mix, CODEC_MIX_MEMORY_MIN);
        run_kind(&run, &stream_kinds[k], SEED, 40, 220);
        for (unsigned round = 0; round < 4; round++) {
            uint8_t *copy = malloc(run.stream.len);
            assert_non_null(copy);
            memcpy(copy, buf_bytes(&run.stream), run.stream.len);
            for (unsigned hits = 1 + stream_random(&s, 3); hits > 0; hits--)
                copy[stream_random(&s, (uint32_t)run.stream.len)] ^= (uint8_t)(1u << stream_random(&s, 8));
            survive(copy, run.stream.len, 1 + stream_random(&s, 400), STREAM_PAYLOAD_MAX + 64);
            free(copy);
        }
        run_end(&run);
    }
}

static void a_record_beyond_the_limit_is_refused(void **state)
{
    struct run run;
    struct stream_message m = {.topic = "a", .len = 101};
    struct codec_decoder *d = codec_mix.decoder_new(MEMORY, &(struct codec_limits){.max_message = 100});
    struct record r;
    uint64_t needed;
    int rc;

    memset(m.payload, 'x', m.len);
    run_begin(&run, &codec_mix, MEMORY);
    run_message(&run, &m);
    run_flush(&run);
    assert_int_equal(codec_mix.feed(d, buf_bytes(&run.stream), run.stream.len, true), 0);
    while ((rc = codec_mix.decode(d, &r, &needed)) == 0)
        assert_int_equal(r.type, RECORD_TOPIC);
    assert_int_equal(rc, CODEC_BAD);
    codec_mix.decoder_free(d);
    run_end(&run);
}

static void a_piece_beyond_the_largest_message_is_refused(void **state)
{
    struct codec_encoder *e = codec_mix.encoder_new(MEMORY);
    struct codec_decoder *d = codec_mix.decoder_new(MEMORY, &(struct codec_limits){.max_message = 5000});
    struct record r = {.type = RECORD_CHUNK, .class = CLASS_BULK, .number = 1, .offset = 4990,
                       .bytes = (const uint8_t *)"0123456789a", .len = 11};
    struct buf out;
    uint64_t needed;

    assert_true(e && d);
    buf_init(&out, 1000);
    assert_int_equal(codec_mix.encode(e, &r, &out, &needed), 0);
    assert_int_equal(codec_mix.flush(e, &out), 0);
    assert_int_equal(codec_mix.feed(d, buf_bytes(&out), out.len, true), 0);
    assert_int_equal(codec_mix.decode(d, &r, &needed), CODEC_BAD);
    buf_fini(&out);
    codec_mix.encoder_free(e);
    codec_mix.decoder_free(d);
}

/* Beyond a unit's end there are zeros without end, and records in them might have none either. */
static void reading_far_beyond_the_end_of_a_unit_is_noticed(void **state)
{
    struct mix_decoder d = {.unit_end = true};

    mix_decoder_begin(&d);
    for (unsigned i = 0; i < MIX_CODER_TRIM; i++) {
        assert_true(mix_decoder_ready(&d));
        assert_int_equal(mix_decode_even(&d, 8), 0);
        assert_false(mix_decoder_overrun(&d));
    }
    for (unsigned i = 0; i < 4 * MIX_CODER_WORD; i++) {
        assert_true(mix_decoder_ready(&d));
        (void)mix_decode_even(&d, 8);
    }
    assert_true(mix_decoder_overrun(&d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_beyond_the_limit_is_refused),
        cmocka_unit_test(a_piece_beyond_the_largest_message_is_refused),
        cmocka_unit_test(reading_far_beyond_the_end_of_a_unit_is_noticed),
        cmocka_unit_test(any_bytes_are_refused_or_taken_within_the_limits),
        cmocka_unit_test(damaged_streams_are_refused_or_taken_within_the_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
