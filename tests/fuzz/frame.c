/* One frame, opened: [kind] bytes. The tag is mended first, or a fuzzer would never get past it; what is read from a
 * frame and written again is the same frame. */
#include "tests/fuzz/fuzz.h"
#include "gateway/wire/frame.h"
#include "gateway/wire/handshake.h"

static const struct seal_context context = {0x12345678, 0x9abcdef0};

static void data_frame(const uint8_t *frame, size_t n)
{
    struct frame_data f;
    uint8_t again[FRAME_MAX_BYTES];
    size_t header = frame_data_decode(&f, frame, n);
    if (header == 0)
        return;
    FUZZ_MUST(header <= n);
    FUZZ_MUST(frame_data_encode(&f, again) == header);
    if (frame_kind(frame[0]) == FRAME_DATA)
        FUZZ_MUST(memcmp(frame, again, header) == 0);
}

static void control_frame(const uint8_t *frame, size_t n)
{
    struct frame_control f, second;
    uint8_t again[FRAME_CONTROL_MAX_BYTES];
    if (!frame_control_decode(&f, frame, n))
        return;
    FUZZ_MUST(f.bitmap_bytes <= FRAME_BITMAP_MAX);
    size_t len = frame_control_encode(&f, again);
    FUZZ_MUST(len <= sizeof again && frame_control_decode(&second, again, len));
    FUZZ_MUST(second.type == f.type && second.over == f.over && second.number == f.number);
    FUZZ_MUST(f.type > CONTROL_POLL || (second.ack == f.ack && second.grant == f.grant));
}

static void grant(uint8_t code)
{
    uint64_t bytes = frame_grant_decode(code);
    uint8_t again = frame_grant_encode(bytes);
    FUZZ_MUST(frame_grant_decode(again) == bytes);
}

/* The tag is right only for just these bytes, number, space and epochs (I9). */
static void tag(uint8_t *frame, size_t n, size_t whole, uint64_t number, uint16_t where)
{
    struct seal_context other = {context.peer_epoch, context.epoch};
    size_t content;
    FUZZ_MUST(seal_open(&context, SEAL_SPACE_DATA, number, frame, whole, &content) && content == n);
    FUZZ_MUST(!seal_open(&other, SEAL_SPACE_DATA, number, frame, whole, &content));
    FUZZ_MUST(!seal_open(&context, SEAL_SPACE_CONTROL, number, frame, whole, &content));
    FUZZ_MUST(!seal_open(&context, SEAL_SPACE_DATA, number + 1, frame, whole, &content));
    frame[where % whole] ^= 0x40;
    FUZZ_MUST(!seal_open(&context, SEAL_SPACE_DATA, number, frame, whole, &content));
    frame[where % whole] ^= 0x40;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    uint64_t number = read_be32(&r);
    uint16_t where = read_be16(&r);
    size_t n, content;
    uint8_t *bytes = fuzz_take(&r, FRAME_MAX_BYTES - SEAL_CRC_BYTES, &n);
    uint8_t *frame = malloc(FRAME_MAX_BYTES);
    FUZZ_MUST(frame);

    (void)frame_kind(n > 0 ? bytes[0] : 0);
    data_frame(bytes, n);
    control_frame(bytes, n);
    grant(n > 0 ? bytes[0] : 0);
    memcpy(frame, bytes, n);
    FUZZ_MUST(!seal_open(&context, SEAL_SPACE_DATA, number, frame, n < SEAL_CRC_BYTES ? n : SEAL_CRC_BYTES - 1, &content));
    memcpy(frame, bytes, n);
    size_t whole = seal_frame(&context, SEAL_SPACE_DATA, number, frame, n);
    FUZZ_MUST(whole == n + seal_overhead(&context));
    tag(frame, n, whole, number, where);
    uint64_t near = number << (where % 20);
    FUZZ_MUST((frame_number(near, where & 0x7ff, FRAME_DATA_BITS) & 0x7ff) == (where & 0x7ff));
    free(frame);
    free(bytes);
    return 0;
}
