/* Codecs while each allocation fails once: what cannot be done is told as lack of memory, nothing is left, and a codec made
 * anew afterwards carries the records. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "gateway/wire/codec.h"
#include "gateway/wire/primer_models.h"
#include "tests/crash/fault.h"

#define MEMORY  (1u << 20)
#define RECORDS 3

static struct record record_of(unsigned i)
{
    static const uint8_t payload[600] = "{\"t\":1700000000,\"v\":21.5}";
    return (struct record){.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = i + 2, .previous = i + 1, .slot = RECORD_NO_SLOT,
                           .qos = 1, .topic = "sensors/temperature", .topic_len = 19, .total = sizeof payload, .bytes = payload,
                           .len = sizeof payload};
}

/* Both ends of a stream: primed or not, three records encoded and decoded. Return: how many came out, or negative errno. */
static int carry(const struct codec *codec, bool primed)
{
    const struct codec_limits limits = {.max_message = 1u << 20};
    struct codec_encoder *e = codec->encoder_new(MEMORY);
    struct codec_decoder *d = codec->decoder_new(MEMORY, &limits);
    struct record primer = record_of(0), r;
    struct buf out;
    uint64_t needed;
    int came = 0, rc = e && d ? 0 : -ENOMEM;
    buf_init(&out, 65536);
    if (rc == 0 && primed && codec->prime_encoder)
        rc = codec->prime_encoder(e, &primer);
    if (rc == 0 && primed && codec->prime_decoder)
        rc = codec->prime_decoder(d, &primer);
    for (unsigned i = 0; rc == 0 && i < RECORDS; i++) {
        r = record_of(i);
        rc = codec->encode(e, &r, &out, &needed);
    }
    if (rc == 0)
        rc = codec->flush(e, &out);
    if (rc == 0)
        rc = codec->feed(d, buf_bytes(&out), out.len, true);
    while (rc == 0 && (rc = codec->decode(d, &r, &needed)) == 0)
        came += r.len == primer.len && memcmp(r.bytes, primer.bytes, r.len) == 0;
    buf_fini(&out);
    codec->encoder_free(e);
    codec->decoder_free(d);
    /* A decoder that finds no room for a record may call the stream bad: it begins anew either way. */
    return rc == CODEC_MORE ? came : rc == CODEC_BAD ? -ENOMEM : rc;
}

static void lack_of_memory_is_an_outcome(void **state)
{
    for (unsigned i = 0; i < 2 * CODEC_VERSION_MAX; i++) {
        const struct codec *codec = codec_find(i / 2 + 1);
        size_t blocks = fault_live_blocks();
        struct fault f = {.kind = FAULT_ALLOC, .at = fault_first(), .error = ENOMEM};
        for (bool met = true; met; f.at++) {
            fault_arm(&f);
            fault_enter();
            int came = carry(codec, i % 2);
            fault_leave();
            met = fault_disarm();
            if (met ? came != -ENOMEM : came != RECORDS)
                fail_msg("%s, allocation %u: %d", codec->name, f.at, came);
            assert_int_equal(fault_live_blocks(), blocks);
        }
        assert_true(f.at > 4);
    }
}

/* Return: slices after which the primer's model was there, or negative errno. */
static int make_model(void)
{
    struct primer_models *m = primer_models_new();
    const struct codec_encoder *model;
    int slices = 0;
    if (!m)
        return -ENOMEM;
    for (;; slices++) {
        enum primer_model is = primer_models_get(m, codec_find(CODEC_VERSION_MAX), MEMORY, &model);
        if (is == PRIMER_MODEL_NO_MEMORY)
            slices = -ENOMEM;
        if (is != PRIMER_MODEL_UNDER_WAY)
            break;
        primer_models_work(m);
    }
    primer_models_free(m);
    return slices;
}

static void a_primers_model_that_has_no_memory_says_so(void **state)
{
    size_t blocks = fault_live_blocks();
    struct fault f = {.kind = FAULT_ALLOC, .at = fault_first(), .error = ENOMEM};
    for (bool met = true; met; f.at++) {
        fault_arm(&f);
        fault_enter();
        int slices = make_model();
        fault_leave();
        met = fault_disarm();
        if (met ? slices != -ENOMEM : slices <= 0)
            fail_msg("allocation %u: %d", f.at, slices);
        assert_int_equal(fault_live_blocks(), blocks);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {cmocka_unit_test(lack_of_memory_is_an_outcome), cmocka_unit_test(a_primers_model_that_has_no_memory_says_so)};
    fault_init();
    return cmocka_run_group_tests(cases, NULL, NULL);
}
