/* Handshake frames, with checksums and with keys: bytes of a frame, whose tag is mended. What a decoder accepts is written again and read the same,
 * fits its bound, and carries only names and numbers within theirs. */
#include "tests/fuzz/fuzz.h"
#include "gateway/wire/handshake.h"
#include "gateway/wire/sealed_handshake.h"

#define EPOCH      0x12345678u
#define PEER_EPOCH 0x9abcdef0u
static const struct seal_context any = {0, 0}, pair = {EPOCH, PEER_EPOCH};

static void hello(uint8_t *frame, size_t n, bool over)
{
    struct hello h, again;
    uint8_t out[HANDSHAKE_MAX_BYTES];
    if (!hello_decode(&h, frame, n))
        return;
    FUZZ_MUST(h.epoch != 0 && h.memory_log2 <= 31 && memchr(h.name, '\0', sizeof h.name) && h.name[0] != '\0');
    size_t len = hello_encode(&h, over, out);
    FUZZ_MUST(len <= sizeof out && hello_decode(&again, out, len));
    FUZZ_MUST(memcmp(&h.identity, &again.identity, sizeof h.identity) == 0 && strcmp(h.name, again.name) == 0);
    FUZZ_MUST(h.epoch == again.epoch && h.seen == again.seen && h.protocol == again.protocol);
    FUZZ_MUST(h.codec_version == again.codec_version && h.memory_log2 == again.memory_log2);
}

static void marks(uint8_t *frame, size_t n, bool over)
{
    struct channel_marks m, again;
    uint8_t out[HANDSHAKE_MAX_BYTES];
    if (!marks_decode(&m, EPOCH, PEER_EPOCH, frame, n))
        return;
    size_t len = marks_encode(&m, EPOCH, PEER_EPOCH, over, out);
    FUZZ_MUST(len <= sizeof out && marks_decode(&again, EPOCH, PEER_EPOCH, out, len));
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        FUZZ_MUST(m.cumulative[c] == again.cumulative[c] && m.partial[c] == again.partial[c]);
        FUZZ_MUST(!m.partial[c] || (m.partial_number[c] == again.partial_number[c] && m.partial_have[c] == again.partial_have[c]));
    }
    FUZZ_MUST(m.topics_sequence == again.topics_sequence && m.topics_hash == again.topics_hash);
    FUZZ_MUST(m.grant_bytes == again.grant_bytes && m.max_message == again.max_message);
}

static void others(uint8_t *frame, size_t n, bool over)
{
    struct resume r, again;
    enum channel_refusal why = CHANNEL_REFUSED_UNKNOWN, why_again = CHANNEL_REFUSED_UNKNOWN;
    uint8_t out[HANDSHAKE_MAX_BYTES];
    if (resume_decode(&r, frame, n)) {
        size_t len = resume_encode(&r, over, out);
        FUZZ_MUST(len <= sizeof out && resume_decode(&again, out, len));
        FUZZ_MUST(r.epoch == again.epoch && r.seen == again.seen && r.ack == again.ack && r.answer == again.answer);
    }
    if (refuse_decode(&why, frame, n)) {
        FUZZ_MUST(refusal_text(why));
        size_t len = refuse_encode(why, over, out);
        FUZZ_MUST(len <= sizeof out && refuse_decode(&why_again, out, len) && why == why_again);
    }
}

static void sealed(const uint8_t *data, size_t n, enum handshake_type type, bool over)
{
    static const struct seal_key key = {.mode = SEAL_AUTH, .tag_bytes = 8};
    struct seal_context c = {EPOCH, 0, &key, 0};
    struct sealed_hello h, again;
    struct channel_marks marks_in;
    struct reader body;
    uint8_t frame[FRAME_MAX_BYTES], out[HANDSHAKE_MAX_BYTES];
    unsigned number;
    bool lacking;
    memcpy(frame, data, n);
    if (type == HANDSHAKE_HELLO && n >= 2 + SEALED_RANDOM_BYTES) {
        struct seal_context hello_context = sealed_hello_context(frame + 1, &key);
        uint64_t low = 0;
        for (unsigned i = 5; i < 12; i++)
            low = low << 8 | frame[i];
        size_t len = seal_frame(&hello_context, SEAL_SPACE_HANDSHAKE, low << 8 | frame[17], frame, n);
        if (!sealed_hello_open(&h, &key, frame, len))
            return;
        FUZZ_MUST(h.memory_log2 <= 31 && h.codec_version > 0 && memchr(h.name, '\0', sizeof h.name));
        len = sealed_hello_encode(&h, &key, over, out);
        FUZZ_MUST(len > 0 && len <= sizeof out && sealed_hello_open(&again, &key, out, len));
        FUZZ_MUST(memcmp(&h.identity, &again.identity, sizeof h.identity) == 0 && strcmp(h.name, again.name) == 0);
        FUZZ_MUST(memcmp(h.share, again.share, sizeof h.share) == 0 && h.other_id == again.other_id && h.doubted == again.doubted);
    } else if (type != 0 && n >= 2) {
        c.clear = 2;
        size_t len = seal_frame(&c, SEAL_SPACE_HANDSHAKE, frame[1], frame, n);
        FUZZ_MUST(sealed_frame_open(&c, frame, len, &number, &body) && number == frame[1] && body.left == n - 2);
        if (type == HANDSHAKE_MARKS && marks_read(&marks_in, &lacking, &body))
            FUZZ_MUST(marks_in.max_message <= UINT32_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *frame = malloc(FRAME_MAX_BYTES);
    size_t n = size < FRAME_MAX_BYTES - SEAL_CRC_BYTES ? size : FRAME_MAX_BYTES - SEAL_CRC_BYTES;
    bool over = false;
    FUZZ_MUST(frame);
    memcpy(frame, data, n);
    enum handshake_type type = handshake_type(frame, n, &over);
    sealed(frame, n < HANDSHAKE_MAX_BYTES - SEAL_TAG_MAX ? n : 0, type, over);
    size_t whole = seal_frame(type == HANDSHAKE_MARKS ? &pair : &any, SEAL_SPACE_HANDSHAKE, 0, frame, n);
    if (type == HANDSHAKE_HELLO)
        hello(frame, whole, over);
    if (type == HANDSHAKE_MARKS)
        marks(frame, whole, over);
    if (type == HANDSHAKE_RESUME || type == HANDSHAKE_RESUMED || type == HANDSHAKE_REFUSE)
        others(frame, whole, over);
    free(frame);
    return 0;
}
