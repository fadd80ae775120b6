/* Bytes of the line into frames: [set of bytes to avoid, frame?] bytes. What comes out can be framed again, and comes
 * back the same; no byte to be avoided is ever on the line. */
#include "tests/fuzz/fuzz.h"
#include "gateway/wire/framing.h"

static void there_and_back(const struct framing_avoid *avoid, bool lead, const uint8_t *frame, size_t n)
{
    uint8_t line[FRAMING_MAX_BYTES];
    struct framing_decoder back;
    size_t got = 0;
    size_t len = framing_encode(avoid, lead, frame, n, line);
    enum framing_outcome last = FRAMING_MORE;

    FUZZ_MUST(len <= sizeof line && len == framing_length(avoid, lead, frame, n));
    framing_decoder_init(&back, avoid);
    for (size_t i = 0; i < len; i++) {
        FUZZ_MUST(last == FRAMING_MORE);
        FUZZ_MUST(!avoid->on || !avoid->escaped[line[i]] || line[i] == FRAMING_ESCAPE);
        last = framing_feed(&back, line[i], &got);
    }
    FUZZ_MUST(last == FRAMING_FRAME && got == n && memcmp(back.frame, frame, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t flow[] = {0x11, 0x13};
    struct reader r = reader_of(data, size);
    struct framing_avoid avoid;
    struct framing_decoder decoder;
    uint8_t mode = read_u8(&r);
    size_t n, len = 0;
    bool kept_out = framing_avoid_set(&avoid, flow, mode & 1 ? sizeof flow : 0);
    if (mode & 4)
        kept_out = framing_avoid_set(&avoid, read_bytes(&r, r.left < 4 ? 0 : 4), r.left < 4 ? 0 : 4);
    if (!kept_out)
        return 0;
    uint8_t *bytes = fuzz_take(&r, r.left, &n);
    if (n > 0 && n <= FRAME_MAX_BYTES)
        there_and_back(&avoid, mode & 2, bytes, n);
    framing_decoder_init(&decoder, &avoid);
    for (size_t i = 0; i < n; i++)
        if (framing_feed(&decoder, bytes[i], &len) == FRAMING_FRAME) {
            FUZZ_MUST(len > 0 && len <= FRAME_MAX_BYTES);
            there_and_back(&avoid, mode & 2, decoder.frame, len);
        }
    free(bytes);
    return 0;
}
