/* The beginning of a connection to a listener: pieces [length, bytes]..., where a length of 0xff frames what follows
 * as a handshake frame with a right tag. A name that comes out is one that may stand in the operator's file. */
#include "tests/fuzz/fuzz.h"
#include "gateway/wire/channel.h"
#include "gateway/wire/framing.h"
#include "gateway/wire/seal.h"

static const struct seal_context any = {0, 0};
static const struct framing_avoid none;

/* A piece of the connection as it is, or as the content of a framed handshake. To be freed. */
static uint8_t *piece(struct reader *r, size_t *n)
{
    uint8_t length = read_u8(r);
    if (length != 0xff)
        return fuzz_take(r, length, n);
    uint8_t frame[FRAME_MAX_BYTES];
    uint8_t *content = fuzz_take(r, read_u8(r) % (FRAME_MAX_BYTES - SEAL_CRC_BYTES) + 1, n);
    uint8_t *line = malloc(FRAMING_MAX_BYTES);
    FUZZ_MUST(line);
    memcpy(frame, content, *n);
    free(content);
    *n = seal_frame(&any, SEAL_SPACE_HANDSHAKE, 0, frame, *n);
    *n = framing_encode(&none, true, frame, *n, line);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    struct channel_guest *g = channel_guest_new();
    enum channel_guest_outcome outcome = CHANNEL_GUEST_MORE;
    char name[CHANNEL_NAME_MAX + 1] = "";
    uint32_t epoch = 0;
    size_t n, fed = 0;
    FUZZ_MUST(g);
    while (r.left > 0 && outcome == CHANNEL_GUEST_MORE) {
        uint8_t *bytes = piece(&r, &n);
        outcome = channel_guest_feed(g, bytes, n, name, &epoch);
        fed += n;
        free(bytes);
    }
    FUZZ_MUST(channel_guest_bytes(g, &n) && n <= fed && n <= 512);
    FUZZ_MUST(outcome != CHANNEL_GUEST_MORE || n == fed); /* nothing is lost before it is told */
    FUZZ_MUST(outcome != CHANNEL_GUEST_BAD || n == 512);
    if (outcome == CHANNEL_GUEST_NAME)
        FUZZ_MUST(strlen(name) >= 1 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(name) && epoch);
    channel_guest_free(g);
    uint8_t refusal[FRAMING_MAX_BYTES];
    FUZZ_MUST(channel_guest_refusal(CHANNEL_REFUSED_UNKNOWN, refusal, sizeof refusal) > 0);
    return 0;
}
