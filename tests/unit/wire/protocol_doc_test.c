/* docs/PROTOCOL.md's examples, made anew by the code and compared byte for byte. */
#include <stdarg.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/codec.h"
#include "gateway/wire/datagram_mix.h"
#include "gateway/wire/frame.h"
#include "gateway/wire/handshake.h"
#include "gateway/wire/record_check.h"
#include "gateway/wire/sealed_handshake.h"

#define LINES 40

/* One fenced block: its kind and its `key = value` lines. */
struct example {
    char kind[20];
    unsigned at; /* line of the document */
    unsigned count;
    char key[LINES][32], value[LINES][600];
};

static const char *path;
static struct example examples[60];
static unsigned example_count;

static void read_examples(void)
{
    FILE *f = fopen(path, "r");
    char line[700];
    struct example *e = NULL;
    if (!f)
        return;
    for (unsigned at = 1; fgets(line, sizeof line, f); at++) {
        line[strcspn(line, "\n")] = 0;
        if (!e && strncmp(line, "```example ", 11) == 0 && example_count < 60) {
            e = &examples[example_count++];
            snprintf(e->kind, sizeof e->kind, "%s", line + 11);
            e->at = at;
        } else if (e && strcmp(line, "```") == 0) {
            e = NULL;
        } else if (e && e->count < LINES) {
            char *eq = strchr(line, '=');
            if (!eq || eq == line)
                continue;
            eq[-1] = 0;
            snprintf(e->key[e->count], sizeof e->key[0], "%s", line);
            snprintf(e->value[e->count++], sizeof e->value[0], "%s", eq[1] ? eq + 2 : "");
        }
    }
    fclose(f);
}

static const char *text(const struct example *e, const char *key)
{
    for (unsigned i = 0; i < e->count; i++)
        if (strcmp(e->key[i], key) == 0)
            return e->value[i];
    return NULL;
}

static uint64_t number(const struct example *e, const char *key, int base)
{
    const char *t = text(e, key);
    return t ? strtoull(t, NULL, base) : 0;
}

static size_t hex(const char *t, uint8_t *out)
{
    size_t n = 0;
    unsigned byte;
    for (; t && sscanf(t, "%2x", &byte) == 1; t += 2) {
        out[n++] = (uint8_t)byte;
        if (t[2] == ' ')
            t++;
        if (!t[0] || !t[1])
            break;
        if (!t[2])
            break;
    }
    return n;
}

static void compare(const struct example *e, const char *key, const uint8_t *bytes, size_t n)
{
    char have[1400] = "";
    for (size_t i = 0; i < n; i++)
        snprintf(have + 2 * i, sizeof have - 2 * i, "%02x", bytes[i]);
    const char *want = text(e, key);
    if (!want)
        fail_msg("line %u: the example has no %s", e->at, key);
    else if (strcmp(want, have) != 0)
        fail_msg("line %u: %s = %s", e->at, key, have);
}

static void compare_frame(const struct example *e, const uint8_t *frame, size_t n)
{
    struct framing_avoid avoid;
    uint8_t framed[FRAMING_MAX_BYTES], values[8];
    compare(e, "frame", frame, n);
    assert_true(framing_avoid_set(&avoid, values, hex(text(e, "avoid"), values)));
    compare(e, "line", framed, framing_encode(&avoid, false, frame, n, framed));
}

/* "message class=2 number=1 ..." */
static void parse_record(const char *t, struct record *r, uint8_t bytes[300], char words[2][64])
{
    char copy[600], *save = NULL;
    snprintf(copy, sizeof copy, "%s", t);
    const char *kind = strtok_r(copy, " ", &save);
    static const char *const kinds[] = {"message", "chunk", "topic", "gap", "abort", "reset"};
    *r = (struct record){.bytes = bytes};
    for (unsigned i = 0; i < RECORD_TYPES; i++)
        if (strcmp(kind, kinds[i]) == 0)
            r->type = (enum record_type)i;
    for (char *word; (word = strtok_r(NULL, " ", &save));) {
        char *eq = strchr(word, '=');
        *eq = 0;
        uint64_t v = strtoull(eq + 1, NULL, 10);
        if (strcmp(word, "class") == 0)
            r->class = (enum msg_class)v;
        else if (strcmp(word, "number") == 0)
            r->number = v;
        else if (strcmp(word, "previous") == 0)
            r->previous = v;
        else if (strcmp(word, "slot") == 0)
            r->slot = (unsigned)v;
        else if (strcmp(word, "qos") == 0)
            r->qos = (uint8_t)v;
        else if (strcmp(word, "retain") == 0)
            r->retain = v;
        else if (strcmp(word, "origin_ms") == 0)
            r->has_origin = true, r->origin_ms = (int64_t)v;
        else if (strcmp(word, "total") == 0)
            r->total = (uint32_t)v;
        else if (strcmp(word, "offset") == 0)
            r->offset = (uint32_t)v;
        else if (strcmp(word, "first") == 0)
            r->first_number = v;
        else if (strcmp(word, "count") == 0)
            r->count = v;
        else if (strcmp(word, "reason") == 0)
            r->reason = (unsigned)v;
        else if (strcmp(word, "payload") == 0)
            r->len = (uint32_t)hex(eq + 1, bytes);
        else if (strcmp(word, "topic") == 0)
            r->topic_len = (uint32_t)snprintf(words[0], 64, "%s", eq + 1), r->topic = words[0];
        else if (strcmp(word, "route") == 0)
            r->route_len = (uint32_t)snprintf(words[1], 64, "%s", eq + 1), r->route = words[1];
        else
            fail_msg("unknown field %s", word);
    }
    if (r->type == RECORD_MESSAGE && r->total == 0)
        r->total = r->len;
}

/* All `record` lines of the example, coded; *check over them. */
static size_t encode_records(const struct example *e, uint8_t *out, uint64_t *check)
{
    const struct codec *c = codec_find(1);
    struct codec_encoder *enc = c->encoder_new(0);
    struct codec_decoder *dec = c->decoder_new(0, &(struct codec_limits){.max_message = 1 << 20});
    struct buf b;
    uint64_t needed, back = RECORD_CHECK_START;
    buf_init(&b, 4096);
    *check = RECORD_CHECK_START;
    for (unsigned i = 0; i < e->count; i++) {
        struct record r;
        uint8_t bytes[300];
        char words[2][64];
        if (strcmp(e->key[i], "record") != 0)
            continue;
        parse_record(e->value[i], &r, bytes, words);
        *check = record_check_add(*check, &r);
        assert_int_equal(c->encode(enc, &r, &b, &needed), 0);
    }
    struct record r;
    assert_int_equal(c->feed(dec, buf_bytes(&b), b.len, true), 0);
    while (c->decode(dec, &r, &needed) == 0)
        back = record_check_add(back, &r);
    assert_true(back == *check);
    size_t n = b.len;
    memcpy(out, buf_bytes(&b), n);
    buf_fini(&b);
    c->encoder_free(enc);
    c->decoder_free(dec);
    return n;
}

static void check_data(const struct example *e)
{
    uint8_t frame[FRAME_MAX_BYTES], stream[300];
    uint64_t check;
    size_t len = encode_records(e, stream, &check);
    struct frame_data f = {.number = number(e, "number", 10),
                           .unit_end = number(e, "unit_end", 10),
                           .has_ack = text(e, "ack"),
                           .ack = (uint16_t)number(e, "ack", 10),
                           .grant = frame_grant_encode(number(e, "grant", 10)),
                           .check = record_check_fold(check)};
    size_t n = frame_data_encode(&f, frame);
    memcpy(frame + n, stream, len);
    struct seal_context c = {(uint32_t)number(e, "epoch", 16),
                             (uint32_t)number(e, "peer_epoch", 16)};
    compare_frame(e, frame, seal_frame(&c, SEAL_SPACE_DATA, f.number, frame, n + len));
}

static void check_control(const struct example *e)
{
    uint8_t frame[FRAME_MAX_BYTES], bitmap[FRAME_BITMAP_MAX];
    const char *what = text(e, "what");
    struct frame_control f = {.type = strcmp(what, "ack") == 0    ? CONTROL_ACK
                                      : strcmp(what, "poll") == 0 ? CONTROL_POLL
                                                                  : CONTROL_BYE,
                              .number = number(e, "number", 10),
                              .over = number(e, "over", 10),
                              .ack = (uint16_t)number(e, "ack", 10),
                              .grant = frame_grant_encode(number(e, "grant", 10)),
                              .bitmap = bitmap,
                              .bitmap_bytes = hex(text(e, "bitmap"), bitmap)};
    struct seal_context c = {(uint32_t)number(e, "epoch", 16),
                             (uint32_t)number(e, "peer_epoch", 16)};
    size_t n = frame_control_encode(&f, frame);
    compare_frame(e, frame, seal_frame(&c, SEAL_SPACE_CONTROL, f.number, frame, n));
}

static void check_hello(const struct example *e)
{
    uint8_t frame[HANDSHAKE_MAX_BYTES];
    struct hello h = {
        .protocol = (unsigned)number(e, "protocol", 10),
        .codec_version = (unsigned)number(e, "codec", 10),
        .epoch = (uint32_t)number(e, "epoch", 16),
        .seen = (uint16_t)number(e, "seen", 16),
        .identity = {(uint32_t)number(e, "generation", 16), (uint32_t)number(e, "segment", 16),
                     (uint32_t)number(e, "predecessor", 16), number(e, "predecessor_end", 10)}};
    while (1u << h.memory_log2 < number(e, "memory", 10))
        h.memory_log2++;
    snprintf(h.name, sizeof h.name, "%s", text(e, "name"));
    compare_frame(e, frame, hello_encode(&h, false, frame));
}

static void check_marks(const struct example *e)
{
    uint8_t frame[HANDSHAKE_MAX_BYTES];
    struct channel_marks m = {.topics_sequence = number(e, "topics_sequence", 10),
                              .topics_hash = (uint32_t)number(e, "topics_hash", 16),
                              .history_tail = (uint32_t)number(e, "history_hash", 16),
                              .grant_bytes = number(e, "grant", 10),
                              .max_message = (uint32_t)number(e, "max_message", 10)};
    unsigned long long v[4];
    assert_int_equal(sscanf(text(e, "marks"), "%llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3]),
                     4);
    for (unsigned i = 0; i < 4; i++)
        m.cumulative[i] = v[i];
    if (text(e, "partial")) {
        assert_int_equal(sscanf(text(e, "partial"), "%llu %llu %llu", &v[0], &v[1], &v[2]), 3);
        m.partial[v[0]] = true;
        m.partial_number[v[0]] = v[1];
        m.partial_have[v[0]] = (uint32_t)v[2];
    }
    compare_frame(e, frame,
                  marks_encode(&m, (uint32_t)number(e, "epoch", 16),
                               (uint32_t)number(e, "peer_epoch", 16), false, frame));
}

static void check_datagram(const struct example *e)
{
    uint8_t frame[512], bitmap[8] = {0};
    uint64_t check;
    hex(text(e, "bitmap"), bitmap);
    size_t clear;
    struct datagram_header h = {
        .number = number(e, "number", 10),
        .epoch_low = (uint8_t)number(e, "epoch", 16),
        .announces = text(e, "name"),
        .leans = text(e, "leans"),
        .announcement = {.counter = number(e, "counter", 10),
                         .epoch = (uint32_t)number(e, "epoch", 16),
                         .behind = number(e, "number", 10) - number(e, "lowest", 10),
                         .codec = (uint8_t)number(e, "codec", 10),
                         .identity = {(uint32_t)number(e, "generation", 16),
                                      (uint32_t)number(e, "segment", 16),
                                      (uint32_t)number(e, "predecessor", 16),
                                      number(e, "predecessor_end", 10), number(e, "table", 10)}},
        .has_ack = text(e, "ack"),
        .ack_epoch = (uint16_t)number(e, "ack_epoch", 16),
        .ack = (uint16_t)number(e, "ack", 10),
        .grant = frame_grant_encode(number(e, "grant", 10)),
        .bitmap = bitmap[0]};
    snprintf(h.announcement.name, sizeof h.announcement.name, "%s", h.announces ? text(e, "name") : "");
    uint64_t *up_to = h.announcement.identity.settled;
    if (text(e, "settled"))
        assert_int_equal(sscanf(text(e, "settled"), "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &up_to[0], &up_to[1], &up_to[2],
                                &up_to[3]),
                         CLASS_COUNT);
    struct datagram_earlier *earlier = h.announcement.earlier;
    if (text(e, "earlier"))
        h.announcement.earlier_count = sscanf(text(e, "earlier"), "%" SCNu64 " %" SCNx16 " %" SCNu64, &earlier->counter, &earlier->id,
                                              &earlier->last) == 3;
    size_t n = datagram_header_encode(&h, SEAL_NONE, frame, &clear);
    n += encode_records(e, frame + n, &check);
    struct seal_context c = {(uint32_t)number(e, "epoch", 16), 0};
    compare(e, "frame", frame, seal_frame(&c, SEAL_SPACE_DATA, h.number, frame, n));
}

static void check_answer(const struct example *e, struct datagram_answer *a)
{
    uint8_t frame[DATAGRAM_ANSWER_MAX];
    size_t clear, n = datagram_answer_encode(a, NULL, frame, &clear);
    struct seal_context c = {0, (uint32_t)number(e, "epoch", 16)};
    compare(e, "frame", frame, seal_frame(&c, SEAL_SPACE_CONTROL, 0, frame, n));
}

static void check_datagram_ack(const struct example *e)
{
    uint8_t bitmap[FRAME_BITMAP_MAX];
    struct datagram_answer a = {.type = DATAGRAM_ACK,
                                .ack = number(e, "ack", 10),
                                .grant = frame_grant_encode(number(e, "grant", 10)),
                                .bitmap = bitmap};
    a.bitmap_bytes = hex(text(e, "bitmap"), bitmap);
    check_answer(e, &a);
}

static void check_datagram_floor(const struct example *e)
{
    struct datagram_answer a = {.type = DATAGRAM_FLOOR, .floor = number(e, "floor", 10)};
    check_answer(e, &a);
}

/* ---- with keys; the document's values are computed by seal_examples.py ---- */

static bool is(const struct example *e, const char *key, const char *value)
{
    return text(e, key) && strcmp(text(e, key), value) == 0;
}

static struct seal_key key_of(const struct example *e)
{
    struct seal_key k = {.mode = is(e, "mode", "auth") ? SEAL_AUTH : SEAL_FULL,
                         .tag_bytes = (unsigned)number(e, "tag_bytes", 10),
                         .downward = is(e, "of", "greater")};
    hex(text(e, "key"), k.bytes);
    return k;
}

static void check_key(const struct example *e)
{
    struct seal_terms lesser, greater;
    struct seal_key a, b, of = key_of(e);
    uint8_t secret[SECRET_BYTES], salt[64];
    hex(text(e, "secret"), secret);
    size_t salt_n = hex(text(e, "salt"), salt);
    assert_true(seal_terms_init(&lesser, of.mode, of.tag_bytes, text(e, "lesser"), text(e, "greater")));
    assert_true(seal_terms_init(&greater, of.mode, of.tag_bytes, text(e, "greater"), text(e, "lesser")));
    /* Each end derives the same for this direction. */
    assert_true(seal_derive(&a, &lesser, text(e, "label"), of.downward ? SEAL_THEIRS : SEAL_OURS, secret, SECRET_BYTES, salt, salt_n));
    assert_true(seal_derive(&b, &greater, text(e, "label"), of.downward ? SEAL_OURS : SEAL_THEIRS, secret, SECRET_BYTES, salt, salt_n));
    assert_memory_equal(a.bytes, b.bytes, sizeof a.bytes);
    compare(e, "key", a.bytes, sizeof a.bytes);
}

static void check_sealed(const struct example *e)
{
    struct seal_key key = key_of(e);
    uint8_t frame[300], plain[300];
    size_t n = hex(text(e, "plain"), plain), content;
    struct seal_context c = {(uint32_t)number(e, "epoch", 16), 0, &key, number(e, "clear", 10)};
    enum seal_space space = (enum seal_space)number(e, "space", 10);
    memcpy(frame, plain, n);
    size_t len = seal_frame(&c, space, number(e, "number", 10), frame, n);
    compare(e, "frame", frame, len);
    assert_true(seal_open(&c, space, number(e, "number", 10), frame, len, &content));
    assert_int_equal(content, n);
    assert_memory_equal(frame, plain, n);
}

static void check_sealed_hello(const struct example *e)
{
    struct seal_key key = key_of(e);
    uint8_t frame[HANDSHAKE_MAX_BYTES];
    struct sealed_hello back, h = {
        .number = (unsigned)number(e, "number", 10),
        .codec_version = (unsigned)number(e, "codec", 10),
        .seen = (uint16_t)number(e, "seen", 16),
        .identity = {(uint32_t)number(e, "generation", 16), (uint32_t)number(e, "segment", 16),
                     (uint32_t)number(e, "predecessor", 16), number(e, "predecessor_end", 10)},
        .newer = number(e, "newer", 10),
        .has_other = text(e, "other"),
        .other_id = (uint32_t)number(e, "other", 16),
        .has_share = text(e, "share"),
    };
    hex(text(e, "random"), h.random);
    hex(text(e, "share"), h.share);
    if (text(e, "name"))
        sealed_name(text(e, "name"), h.name);
    while (1u << h.memory_log2 < number(e, "memory", 10))
        h.memory_log2++;
    size_t n = sealed_hello_encode(&h, &key, false, frame);
    compare_frame(e, frame, n);
    assert_true(sealed_hello_open(&back, &key, frame, n));
    assert_memory_equal(&back, &h, sizeof h);
}

static void check_sealed_handshake(const struct example *e)
{
    struct seal_key key = key_of(e);
    uint8_t frame[HANDSHAKE_MAX_BYTES], bytes[100];
    struct buf body;
    struct seal_context c = {(uint32_t)number(e, "epoch", 16), 0, &key, 0};
    buf_init_over(&body, bytes, sizeof bytes);
    buf_commit(&body, hex(text(e, "body"), bytes));
    compare_frame(e, frame, sealed_frame_encode((enum handshake_type)number(e, "type", 10), &c,
                                                (unsigned)number(e, "number", 10), false, &body, frame));
}

static void check_sealed_resume(const struct example *e)
{
    struct seal_key key = key_of(e);
    uint8_t frame[HANDSHAKE_MAX_BYTES];
    struct seal_context c = {(uint32_t)number(e, "epoch", 16), 0, &key, 0};
    compare_frame(e, frame, sealed_resume_encode(&c, number(e, "answer", 10), number(e, "number", 10),
                                                 (uint16_t)number(e, "ack", 10), false, frame));
}

/* The clear part of an announcement, and the epoch's key as each end makes it. */
static void check_datagram_mixed(const struct example *e)
{
    struct seal_terms terms[2];
    struct seal_key key, of = key_of(e);
    uint8_t secret[SECRET_BYTES], private_key[2][CRYPTO_SHARE_BYTES], share[2][CRYPTO_SHARE_BYTES], proof[DATAGRAM_SHARE_PROOF], frame[512];
    struct datagram_header h = {.number = number(e, "number", 10), .epoch_low = (uint8_t)number(e, "epoch", 16), .announces = true};
    struct datagram_announcement *a = &h.announcement;
    size_t clear;
    a->counter = number(e, "counter", 10);
    a->epoch = (uint32_t)number(e, "epoch", 16);
    hex(text(e, "secret"), secret);
    hex(text(e, "salt"), a->salt);
    hex(text(e, "sender"), private_key[0]);
    hex(text(e, "receiver"), private_key[1]);
    for (int i = 0; i < 2; i++)
        assert_true(crypto_x25519_public(private_key[i], share[i]));
    a->mix = (struct datagram_mix){.whole = number(e, "whole", 10), .mixed = true};
    memcpy(a->mix.share, share[0], sizeof a->mix.share);
    memcpy(a->mix.with, share[1], sizeof a->mix.with);
    const char *names[] = {text(e, of.downward ? "greater" : "lesser"), text(e, of.downward ? "lesser" : "greater")};
    const struct epoch_name name = {a->counter, a->epoch, a->salt};
    for (int i = 0; i < 2; i++) {
        enum seal_side side = i == 0 ? SEAL_OURS : SEAL_THEIRS;
        const struct share_pair pair = {share[0], share[1], private_key[i]};
        assert_true(seal_terms_init(&terms[i], of.mode, of.tag_bytes, names[i], names[!i]));
        assert_true(datagram_mixed_key(&terms[i], side, secret, &name, &pair, &key));
        compare(e, "key", key.bytes, sizeof key.bytes);
        assert_true(datagram_mix_proof(&terms[i], side, secret, &name, &a->mix, proof));
        compare(e, "proof", proof, sizeof proof);
    }
    memcpy(a->mix.proof, proof, sizeof proof);
    snprintf(a->name, sizeof a->name, "x");
    assert_true(datagram_header_encode(&h, of.mode, frame, &clear) > clear);
    compare(e, "clear", frame, clear);
}

static unsigned check_all(const char *kind)
{
    unsigned count = 0;
    for (unsigned i = 0; i < example_count; i++) {
        const struct example *e = &examples[i];
        uint8_t frame[HANDSHAKE_MAX_BYTES], stream[4096];
        uint64_t check;
        if (strcmp(e->kind, kind) != 0)
            continue;
        count++;
        if (strcmp(kind, "data") == 0)
            check_data(e);
        else if (strcmp(kind, "control") == 0)
            check_control(e);
        else if (strcmp(kind, "datagram") == 0)
            check_datagram(e);
        else if (strcmp(kind, "datagram_ack") == 0)
            check_datagram_ack(e);
        else if (strcmp(kind, "datagram_floor") == 0)
            check_datagram_floor(e);
        else if (strcmp(kind, "datagram_mixed") == 0)
            check_datagram_mixed(e);
        else if (strcmp(kind, "key") == 0)
            check_key(e);
        else if (strcmp(kind, "sealed") == 0)
            check_sealed(e);
        else if (strcmp(kind, "sealed_hello") == 0)
            check_sealed_hello(e);
        else if (strcmp(kind, "sealed_handshake") == 0)
            check_sealed_handshake(e);
        else if (strcmp(kind, "sealed_resume") == 0)
            check_sealed_resume(e);
        else if (strcmp(kind, "hello") == 0)
            check_hello(e);
        else if (strcmp(kind, "marks") == 0)
            check_marks(e);
        else if (strcmp(kind, "plain") == 0)
            compare(e, "stream", stream, encode_records(e, stream, &check));
        else if (strcmp(kind, "refuse") == 0)
            compare_frame(e, frame,
                          refuse_encode((enum channel_refusal)number(e, "code", 10), false, frame));
        else if (strcmp(kind, "resume") == 0) {
            struct resume r = {number(e, "answer", 10), (uint32_t)number(e, "epoch", 16),
                               (uint16_t)number(e, "seen", 16), (uint16_t)number(e, "ack", 10)};
            compare_frame(e, frame, resume_encode(&r, false, frame));
        }
    }
    return count;
}

#define CASE(kind, least)                                                                          \
    static void the_document_tells_the_bytes_of_##kind(void **state)                               \
    {                                                                                              \
        assert_true(check_all(#kind) >= least);                                                    \
    }
CASE(data, 2)
CASE(control, 3)
CASE(hello, 1)
CASE(marks, 1)
CASE(resume, 1)
CASE(refuse, 1)
CASE(plain, 1)
CASE(datagram, 3)
CASE(datagram_ack, 1)
CASE(datagram_floor, 1)
CASE(datagram_mixed, 2)
CASE(key, 3)
CASE(sealed, 2)
CASE(sealed_hello, 2)
CASE(sealed_handshake, 2)
CASE(sealed_resume, 1)

int main(int argc, char **argv)
{
    path = argc > 1 ? argv[1] : "docs/PROTOCOL.md";
    read_examples();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_tells_the_bytes_of_data),
        cmocka_unit_test(the_document_tells_the_bytes_of_control),
        cmocka_unit_test(the_document_tells_the_bytes_of_hello),
        cmocka_unit_test(the_document_tells_the_bytes_of_marks),
        cmocka_unit_test(the_document_tells_the_bytes_of_resume),
        cmocka_unit_test(the_document_tells_the_bytes_of_refuse),
        cmocka_unit_test(the_document_tells_the_bytes_of_plain),
        cmocka_unit_test(the_document_tells_the_bytes_of_datagram),
        cmocka_unit_test(the_document_tells_the_bytes_of_datagram_ack),
        cmocka_unit_test(the_document_tells_the_bytes_of_datagram_floor),
        cmocka_unit_test(the_document_tells_the_bytes_of_datagram_mixed),
        cmocka_unit_test(the_document_tells_the_bytes_of_key),
        cmocka_unit_test(the_document_tells_the_bytes_of_sealed),
        cmocka_unit_test(the_document_tells_the_bytes_of_sealed_hello),
        cmocka_unit_test(the_document_tells_the_bytes_of_sealed_handshake),
        cmocka_unit_test(the_document_tells_the_bytes_of_sealed_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
