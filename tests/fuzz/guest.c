/* The beginning of a connection to a listener of three peers, one of them without a seal: pieces [length, bytes]..., where
 * a length of 0xff frames what follows as a handshake frame with a right checksum, 0xfe as a HELLO sealed with the key of
 * one of the others, with any content. A name that comes out is one that may stand in the operator's file, and who has
 * made no HELLO of a key gets no byte. */
#include "tests/fuzz/fuzz.h"
#include "gateway/wire/channel_internal.h"

static const struct seal_context any = {0, 0};
static const struct framing_avoid none;
static bool keyed; /* the input had a HELLO of a key */

static void random_bytes(void *ctx, void *bytes, size_t n)
{
    memset(bytes, 0x5a, n);
}

static struct channel *channel_of(enum seal_mode seal, const char *name)
{
    static const struct channel_ops ops = {.random_bytes = random_bytes};
    static const struct channel_identity identity = {1, 2, 3, 4};
    struct channel_config config = {.kind = CHANNEL_STREAM, .seal = seal, .own_name = "hub", .codec_version = 1,
                                    .codec_memory = 1u << 20, .forward_secrecy = seal == SEAL_AUTH};
    strcpy(config.peer_name, name);
    memset(config.secrets.current, name[0], sizeof config.secrets.current);
    struct channel *c = channel_new(&config, &identity, &ops, NULL);
    FUZZ_MUST(c);
    return c;
}

/* A piece of the connection as it is, or as the content of a framed handshake. To be freed. */
static uint8_t *piece(struct reader *r, const struct channel *full, size_t *n)
{
    uint8_t length = read_u8(r);
    if (length < 0xfe)
        return fuzz_take(r, length, n);
    uint8_t frame[FRAME_MAX_BYTES];
    uint8_t *content = fuzz_take(r, read_u8(r) % (FRAME_MAX_BYTES - SEAL_TAG_MAX) + 1, n);
    uint8_t *line = malloc(FRAMING_MAX_BYTES);
    FUZZ_MUST(line);
    memcpy(frame, content, *n);
    free(content);
    if (length == 0xff) {
        *n = seal_frame(&any, SEAL_SPACE_HANDSHAKE, 0, frame, *n);
    } else if (*n > SEALED_RANDOM_BYTES + 2) {
        keyed = true;
        frame[0] = 0xE1;
        struct seal_context c = sealed_hello_context(frame + 1, &full->ring.hello_in[0]);
        uint64_t number = 0;
        for (unsigned i = 5; i < 12; i++)
            number = number << 8 | frame[i];
        *n = seal_frame(&c, SEAL_SPACE_HANDSHAKE, number << 8 | frame[17], frame, *n);
    }
    if (*n > 0)
        *n = framing_encode(&none, true, frame, *n, line);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    struct channel *channels[] = {channel_of(SEAL_NONE, "buoy"), channel_of(SEAL_FULL, "mast"), channel_of(SEAL_AUTH, "ship")};
    struct channel *whose = NULL;
    struct channel_guest *g = channel_guest_new();
    enum channel_guest_outcome outcome = CHANNEL_GUEST_MORE;
    uint8_t reply[CHANNEL_GUEST_REPLY_MAX];
    size_t n, fed = 0;
    FUZZ_MUST(g);
    keyed = false;
    while (r.left > 0 && outcome == CHANNEL_GUEST_MORE) {
        uint8_t *bytes = piece(&r, channels[1], &n);
        outcome = channel_guest_feed(g, channels, 3, bytes, n, &whose);
        fed += n;
        free(bytes);
        n = channel_guest_reply(g, reply);
        FUZZ_MUST(n <= sizeof reply && (n == 0 || keyed));
    }
    FUZZ_MUST(outcome != CHANNEL_GUEST_MORE || fed < 512);
    FUZZ_MUST(outcome != CHANNEL_GUEST_STALE); /* a stranger is told nothing here */
    FUZZ_MUST(outcome != CHANNEL_GUEST_PROVEN || whose == channels[0]); /* nobody can prove what takes a key */
    const char *name = channel_guest_name(g);
    if (outcome == CHANNEL_GUEST_UNKNOWN)
        FUZZ_MUST(strlen(name) >= 1 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(name));
    channel_guest_free(g);
    for (int i = 0; i < 3; i++)
        channel_free(channels[i]);
    uint8_t refusal[FRAMING_MAX_BYTES];
    FUZZ_MUST(channel_guest_refusal(CHANNEL_REFUSED_UNKNOWN, refusal, sizeof refusal) > 0);
    return 0;
}
