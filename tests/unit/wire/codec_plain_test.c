#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/codec.h"
#include "gateway/wire/record_check.h"

static uint64_t seed = 5;
static uint8_t noise[70000];

static uint32_t rnd(void)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33);
}

/* A stream as an owner makes it: numbers rise, pieces follow their message. */
struct stream {
    uint64_t number, last[CLASS_COUNT];
    uint64_t partial[CLASS_COUNT];
    uint32_t have[CLASS_COUNT], total[CLASS_COUNT];
    uint64_t before[CLASS_COUNT];
};

static struct record message(struct stream *s, enum msg_class class, uint32_t len, uint32_t total)
{
    s->number += rnd() % 4 == 0 ? 1 + rnd() % 1000 : 1;
    struct record r = {
        .type = RECORD_MESSAGE,
        .class = class,
        .number = s->number,
        .previous = s->last[class],
        .slot = rnd() % RECORD_TOPIC_SLOTS,
        .qos = (uint8_t)(rnd() % 3),
        .retain = rnd() % 2,
        .has_origin = rnd() % 8 != 0,
        .origin_in_ms = rnd() % 2,
        .origin_ms = 1700000000000 + (int64_t)(rnd() % 100000000) - 50000000,
        .has_expiry = rnd() % 4 == 0,
        .expiry_s = rnd() % 100000,
        .props = noise,
        .props_len = rnd() % 5 == 0 ? rnd() % 300 : 0,
        .hops = "edge,hub",
        .hops_len = rnd() % 5 == 0 ? 8 : 0,
        .total = total,
        .bytes = noise + 3,
        .len = len,
    };
    r.origin_in_ms &= r.has_origin;
    if (!r.origin_in_ms)
        r.origin_ms -= r.origin_ms % 1000;
    if (!r.has_origin)
        r.origin_ms = 0;
    if (!r.has_expiry)
        r.expiry_s = 0;
    if (rnd() % 6 == 0) {
        r.slot = RECORD_NO_SLOT;
        r.topic = "sensors/a/b";
        r.topic_len = 11;
    }
    s->before[class] = s->last[class];
    s->last[class] = s->number;
    return r;
}

static struct record next(struct stream *s)
{
    enum msg_class c = (enum msg_class)(rnd() % CLASS_COUNT);
    struct record r;
    if (s->partial[c]) {
        uint32_t left = s->total[c] - s->have[c], len = 1 + rnd() % 400;
        if (rnd() % 10 == 0) {
            r = (struct record){.type = RECORD_ABORT,
                                .class = c,
                                .number = s->partial[c],
                                .previous = s->before[c]};
            s->partial[c] = 0;
            s->last[c] = s->before[c];
            return r;
        }
        len = len < left ? len : left;
        r = (struct record){.type = RECORD_CHUNK,
                            .class = c,
                            .number = s->partial[c],
                            .offset = s->have[c],
                            .bytes = noise + 9,
                            .len = len};
        s->have[c] += len;
        if (s->have[c] == s->total[c])
            s->partial[c] = 0;
        return r;
    }
    switch (rnd() % 12) {
    case 0:
        return (struct record){.type = RECORD_TOPIC,
                               .slot = rnd() % RECORD_TOPIC_SLOTS,
                               .topic = "a/topic/of/some/length",
                               .topic_len = rnd() % 22};
    case 1:
        return (struct record){.type = RECORD_TOPICS_RESET};
    case 2:
        s->number += 1 + rnd() % 9;
        r = (struct record){.type = RECORD_GAP,
                            .class = c,
                            .number = s->number,
                            .previous = s->last[c],
                            .first_number = s->number - rnd() % s->number,
                            .count = rnd() % 100, /* 0: numbers closed, no message known */
                            .reason = rnd() % 7,
                            .from_ms = rnd() % 2 ? 1700000000000 : 0,
                            .to_ms = rnd() % 2 ? 1700000100000 : 0,
                            .route = "telemetry",
                            .route_len = rnd() % 10};
        s->last[c] = s->number;
        return r;
    case 3:
        r = message(s, c, rnd() % 200, 0);
        r.total = r.len + 1 + rnd() % 5000;
        s->partial[c] = r.number;
        s->have[c] = r.len;
        s->total[c] = r.total;
        return r;
    default:
        r = message(s, c, rnd() % 100 ? rnd() % 200 : rnd() % RECORD_CHUNK_MAX, 0);
        r.total = r.len;
        return r;
    }
}

static void every_kind_of_record_survives_whatever_the_frames(void **state)
{
    const struct codec *c = codec_find(1);
    for (int round = 0; round < 30; round++) {
        struct stream s = {.number = round % 2 ? 1000000 : 0};
        struct codec_encoder *e = c->encoder_new(0);
        struct codec_decoder *d = c->decoder_new(0, &(struct codec_limits){.max_message = 300000});
        struct buf out;
        struct record r, back;
        uint64_t sent = RECORD_CHECK_START, got = RECORD_CHECK_START, needed[400], need;
        unsigned given = 0, taken = 0;
        uint64_t fed = 0;
        buf_init(&out, 1 << 25);
        for (; given < 400; given++) {
            r = next(&s);
            sent = record_check_add(sent, &r);
            assert_int_equal(c->encode(e, &r, &out, &needed[given]), 0);
        }
        assert_int_equal(c->flush(e, &out), 0);
        while (out.len > 0) {
            size_t n = 1 + rnd() % 250;
            n = n < out.len ? n : out.len;
            fed += n;
            assert_int_equal(c->feed(d, buf_bytes(&out), n, n == out.len), 0);
            buf_consume(&out, n);
            int rc;
            while ((rc = c->decode(d, &back, &need)) == 0) {
                assert_int_equal(need, needed[taken]);
                assert_true(need <= fed);
                got = record_check_add(got, &back);
                taken++;
            }
            assert_int_equal(rc, CODEC_MORE);
            assert_true(taken == given || needed[taken] > fed);
        }
        assert_int_equal(taken, 400);
        assert_true(got == sent);
        c->encoder_free(e);
        c->decoder_free(d);
        buf_fini(&out);
    }
}

static void a_small_message_costs_four_bytes_beside_its_payload(void **state)
{
    const struct codec *c = codec_find(1);
    struct codec_encoder *e = c->encoder_new(0);
    struct buf out;
    uint64_t needed;
    buf_init(&out, 1 << 16);
    for (unsigned i = 1; i <= 20; i++) {
        size_t before = out.len;
        struct record r = {.type = RECORD_MESSAGE,
                           .class = CLASS_NORMAL,
                           .number = i,
                           .previous = i - 1,
                           .slot = i % 100,
                           .qos = 1,
                           .has_origin = true,
                           .origin_ms = 1700000000000 + i * 5000,
                           .total = 10,
                           .len = 10,
                           .bytes = noise};
        assert_int_equal(c->encode(e, &r, &out, &needed), 0);
        if (i > 1)
            assert_int_equal(out.len - before, 4 + 10);
    }
    c->encoder_free(e);
    buf_fini(&out);
}

static void a_large_message_goes_on_after_a_handshake(void **state)
{
    const struct codec *c = codec_find(1);
    struct codec_encoder *e = c->encoder_new(0);
    struct codec_decoder *d = c->decoder_new(0, &(struct codec_limits){.max_message = 1 << 20});
    struct buf out;
    struct record r;
    uint64_t needed;
    buf_init(&out, 1 << 16);
    for (uint32_t at = 5000; at < 5600; at += 200) {
        struct record chunk = {.type = RECORD_CHUNK,
                               .class = CLASS_BULK,
                               .number = 900,
                               .offset = at,
                               .bytes = noise,
                               .len = 200};
        assert_int_equal(c->encode(e, &chunk, &out, &needed), 0);
        assert_int_equal(c->feed(d, buf_bytes(&out), out.len, true), 0);
        /* Number and offset are told once. */
        assert_int_equal(out.len, at == 5000 ? 207 : 203);
        buf_clear(&out);
        assert_int_equal(c->decode(d, &r, &needed), 0);
        assert_int_equal(r.number, 900);
        assert_int_equal(r.offset, at);
    }
    c->encoder_free(e);
    c->decoder_free(d);
    buf_fini(&out);
}

static int decode_all(const uint8_t *bytes, size_t n, bool unit_end, uint32_t max_message,
                      struct record *r)
{
    const struct codec *c = codec_find(1);
    struct codec_decoder *d = c->decoder_new(0, &(struct codec_limits){.max_message = max_message});
    uint64_t needed;
    int rc = c->feed(d, bytes, n, unit_end);
    while (rc == 0)
        rc = c->decode(d, r, &needed);
    c->decoder_free(d);
    return rc;
}

static void what_cannot_be_is_refused(void **state)
{
    struct record r;
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"\x98\x00\x00", 3},             /* QoS 3 */
        {"\xc0\x80\x20\x01x", 5},        /* slot 4096 */
        {"\x81\x80\x00\x00", 4},         /* reserved extension */
        {"\x81\x02\x00\x00\x00", 5},     /* milliseconds of no time */
        {"\x00", 1},                     /* message in the other form */
        {"\x60", 1},                     /* no such type */
        {"\x51", 1},                     /* reserved bits */
        {"\x10\x01x", 3},                /* a piece of nothing */
        {"\x12\x05\x00\x00", 4},         /* an empty piece */
        {"\x30\x02\x10\x01\x00\x00", 6}, /* reason 16 */
        {"\xc0\x80\x00", 3},             /* not the shortest varint */
        {"\xc0\x05\xff\xff\x7f", 5},     /* longer than a piece may be */
        {"\xa1\x20\x05\x03\x05", 5},     /* a piece longer than the whole */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (decode_all((const uint8_t *)bad[i].bytes, bad[i].n, false, 1 << 20, &r) != CODEC_BAD)
            fail_msg("case %zu was taken", i);
    }
    /* Half a record is only half, until the unit ends with it. */
    assert_int_equal(decode_all((const uint8_t *)"\xc0\x05\x0a", 3, false, 1 << 20, &r),
                     CODEC_MORE);
    assert_int_equal(decode_all((const uint8_t *)"\xc0\x05\x0a", 3, true, 1 << 20, &r), CODEC_BAD);
    assert_int_equal(decode_all((const uint8_t *)"\xc0\x05\x05hello", 8, false, 4, &r), CODEC_BAD);
    assert_int_equal(decode_all((const uint8_t *)"\xc0\x05\x05hello", 8, false, 5, &r), CODEC_MORE);
}

static void any_bytes_at_all_only_give_valid_records(void **state)
{
    const struct codec *c = codec_find(1);
    print_message("# seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 100000; i++) {
        uint8_t bytes[64];
        struct record r;
        uint64_t needed;
        size_t n = 1 + rnd() % sizeof bytes;
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)(rnd() % 3 ? rnd() & 0x8f : rnd());
        struct codec_decoder *d = c->decoder_new(0, &(struct codec_limits){.max_message = 100000});
        for (int part = 0; part < 2; part++) {
            int rc = c->feed(d, bytes + (part ? n / 2 : 0), part ? n - n / 2 : n / 2, part);
            while (rc == 0 && (rc = c->decode(d, &r, &needed)) == 0) {
                assert_true(r.type < RECORD_TYPES && r.class < CLASS_COUNT && r.qos < 3);
                assert_true(r.slot < RECORD_TOPIC_SLOTS || r.slot == RECORD_NO_SLOT);
                assert_true(r.len <= RECORD_CHUNK_MAX && needed <= n);
                assert_true(r.type == RECORD_TOPIC || r.type == RECORD_TOPICS_RESET ||
                            r.type == RECORD_CHUNK || r.previous < r.number);
                if (r.type == RECORD_MESSAGE)
                    assert_true(r.len <= r.total && r.total <= 100000);
                record_check_add(0, &r); /* reads all of it: the sanitizer watches */
            }
            if (rc == CODEC_BAD)
                break;
        }
        c->decoder_free(d);
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)rnd();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_record_survives_whatever_the_frames),
        cmocka_unit_test(a_small_message_costs_four_bytes_beside_its_payload),
        cmocka_unit_test(a_large_message_goes_on_after_a_handshake),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(any_bytes_at_all_only_give_valid_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
