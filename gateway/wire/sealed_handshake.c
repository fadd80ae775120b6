#include "gateway/wire/sealed_handshake.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"

#define HELLO_CLEAR   (1 + SEALED_RANDOM_BYTES + 1)
#define FRAME_CLEAR   2
#define RESUME_CLEAR  7
#define RESUME_BITS   16
#define FLAG_SHARE    0x01
#define FLAG_OTHER    0x02
#define FLAG_NEWER    0x04
#define FLAG_NAME     0x08
#define FLAG_DOUBTS   0x10
#define FLAGS_KNOWN   0x1f
#define BODY_MAX      (HANDSHAKE_MAX_BYTES - SEAL_TAG_MAX)

void sealed_name(const char *name, char out[SEALED_NAME_MAX + 1])
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(name);
    memset(out, 0, SEALED_NAME_MAX + 1);
    if (n <= SEALED_NAME_MAX) {
        memcpy(out, name, n);
        return;
    }
    uint8_t hash[32] = {0};
    if (!crypto_sha256(name, n, hash))
        memset(hash, 0, sizeof hash); /* the key tells who it is; this is for human ears */
    memcpy(out, name, 7);
    out[7] = '~';
    for (unsigned i = 0; i < 8; i++)
        out[8 + i] = digits[hash[i / 2] >> (i % 2 ? 0 : 4) & 15];
}

/* The same key with a tag of at least SEALED_TAG_MIN bytes. */
static struct seal_key long_tag(const struct seal_key *key)
{
    struct seal_key k = *key;
    if (k.tag_bytes < SEALED_TAG_MIN)
        k.tag_bytes = SEALED_TAG_MIN;
    return k;
}

static uint64_t be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* The nonce of a HELLO: eleven of its random bytes and its number. */
struct seal_context sealed_hello_context(const uint8_t random[SEALED_RANDOM_BYTES],
                                         const struct seal_key *key)
{
    return (struct seal_context){(uint32_t)be(random, 4), 0, key, HELLO_CLEAR};
}

static uint64_t hello_number(const uint8_t random[SEALED_RANDOM_BYTES], unsigned number)
{
    return be(random + 4, 7) << 8 | number;
}

static size_t finish(const struct buf *b, const struct seal_context *c, enum seal_space space,
                     uint64_t number, uint8_t *out)
{
    struct seal_key key = long_tag(c->key);
    struct seal_context longer = *c;
    longer.key = &key;
    assert(!b->failed);
    size_t n = seal_frame(&longer, space, number, out, b->len);
    crypto_wipe(&key, sizeof key);
    return n;
}

static bool open_frame(const struct seal_context *c, enum seal_space space, uint64_t number,
                       uint8_t *frame, size_t n, size_t *content)
{
    struct seal_key key = long_tag(c->key);
    struct seal_context longer = *c;
    longer.key = &key;
    bool good = seal_open(&longer, space, number, frame, n, content);
    crypto_wipe(&key, sizeof key);
    return good;
}

size_t sealed_hello_encode(const struct sealed_hello *h, const struct seal_key *key, bool over,
                           uint8_t *out)
{
    struct buf b;
    size_t name = strlen(h->name);
    assert(h->number <= SEALED_NUMBER_MAX);
    buf_init_over(&b, out, BODY_MAX);
    buf_put_u8(&b, handshake_first_byte(HANDSHAKE_HELLO, over));
    buf_put(&b, h->random, sizeof h->random);
    buf_put_u8(&b, (uint8_t)h->number);
    buf_put_u8(&b, (uint8_t)((h->has_share ? FLAG_SHARE : 0) | (h->has_other ? FLAG_OTHER : 0) |
                             (h->newer ? FLAG_NEWER : 0) | (name ? FLAG_NAME : 0) |
                             (h->doubts ? FLAG_DOUBTS : 0)));
    buf_put_u8(&b, (uint8_t)h->codec_version);
    buf_put_u8(&b, (uint8_t)h->memory_log2);
    buf_put_be16(&b, h->seen);
    buf_put_be32(&b, h->identity.generation);
    buf_put_be32(&b, h->identity.segment);
    buf_put_be32(&b, h->identity.predecessor);
    buf_put_varint(&b, h->identity.predecessor_end);
    if (h->has_other)
        buf_put_be32(&b, h->other_id);
    if (h->doubts)
        buf_put_be32(&b, h->doubted);
    if (h->has_share)
        buf_put(&b, h->share, sizeof h->share);
    if (name) {
        buf_put_u8(&b, (uint8_t)name);
        buf_put(&b, h->name, name);
    }
    struct seal_context c = sealed_hello_context(h->random, key);
    return finish(&b, &c, SEAL_SPACE_HANDSHAKE, hello_number(h->random, h->number), out);
}

bool sealed_hello_open(struct sealed_hello *h, const struct seal_key *key, uint8_t *frame, size_t n)
{
    size_t content;
    *h = (struct sealed_hello){0};
    if (n < HELLO_CLEAR)
        return false;
    memcpy(h->random, frame + 1, sizeof h->random);
    h->number = frame[1 + SEALED_RANDOM_BYTES];
    struct seal_context c = sealed_hello_context(h->random, key);
    if (!open_frame(&c, SEAL_SPACE_HANDSHAKE, hello_number(h->random, h->number), frame, n,
                    &content))
        return false;
    struct reader r = reader_of(frame + HELLO_CLEAR, content - HELLO_CLEAR);
    uint8_t flags = read_u8(&r);
    h->newer = flags & FLAG_NEWER;
    h->codec_version = read_u8(&r);
    h->memory_log2 = read_u8(&r);
    h->seen = read_be16(&r);
    h->identity.generation = read_be32(&r);
    h->identity.segment = read_be32(&r);
    h->identity.predecessor = read_be32(&r);
    h->identity.predecessor_end = read_varint(&r);
    h->has_other = flags & FLAG_OTHER;
    if (h->has_other)
        h->other_id = read_be32(&r);
    h->doubts = flags & FLAG_DOUBTS;
    if (h->doubts)
        h->doubted = read_be32(&r);
    h->has_share = flags & FLAG_SHARE;
    const uint8_t *share = h->has_share ? read_bytes(&r, sizeof h->share) : NULL;
    if (share)
        memcpy(h->share, share, sizeof h->share);
    if (flags & FLAG_NAME) {
        size_t name = read_u8(&r);
        const uint8_t *text = name <= SEALED_NAME_MAX ? read_bytes(&r, name) : NULL;
        if (!text)
            return false;
        memcpy(h->name, text, name);
    }
    /* Bytes behind it are a later version's: left alone. */
    return !r.bad && !(flags & ~FLAGS_KNOWN) && h->codec_version > 0 && h->memory_log2 <= 31 &&
           h->identity.predecessor_end <= HANDSHAKE_NUMBER_MAX;
}

size_t sealed_frame_encode(enum handshake_type type, const struct seal_context *c, unsigned number,
                           bool over, const struct buf *body, uint8_t *out)
{
    struct buf b;
    struct seal_context clear = *c;
    assert(number <= SEALED_NUMBER_MAX);
    clear.clear = FRAME_CLEAR;
    buf_init_over(&b, out, BODY_MAX);
    buf_put_u8(&b, handshake_first_byte(type, over));
    buf_put_u8(&b, (uint8_t)number);
    if (body)
        buf_put(&b, buf_bytes(body), body->len);
    return finish(&b, &clear, SEAL_SPACE_HANDSHAKE, number, out);
}

bool sealed_frame_open(const struct seal_context *c, uint8_t *frame, size_t n, unsigned *number,
                       struct reader *body)
{
    struct seal_context clear = *c;
    size_t content;
    clear.clear = FRAME_CLEAR;
    if (n < FRAME_CLEAR)
        return false;
    *number = frame[1];
    if (!open_frame(&clear, SEAL_SPACE_HANDSHAKE, *number, frame, n, &content))
        return false;
    *body = reader_of(frame + FRAME_CLEAR, content - FRAME_CLEAR);
    return true;
}

size_t sealed_resume_encode(const struct seal_context *c, bool answer, uint64_t number,
                            uint16_t ack, bool over, uint8_t *out)
{
    struct buf b;
    struct seal_context clear = *c;
    clear.clear = RESUME_CLEAR;
    buf_init_over(&b, out, BODY_MAX);
    buf_put_u8(&b, handshake_first_byte(answer ? HANDSHAKE_RESUMED : HANDSHAKE_RESUME, over));
    buf_put_be32(&b, c->epoch);
    buf_put_be16(&b, (uint16_t)number);
    buf_put_be16(&b, ack);
    return finish(&b, &clear, SEAL_SPACE_CONTROL, number, out);
}

bool sealed_resume_open(const struct seal_context *c, uint8_t *frame, size_t n, uint64_t near,
                        uint64_t *number, uint16_t *ack)
{
    struct seal_context clear = *c;
    size_t content;
    clear.clear = RESUME_CLEAR;
    if (n < RESUME_CLEAR || sealed_resume_epoch(frame, n) != c->epoch)
        return false;
    *number = frame_number(near, (uint16_t)be(frame + 5, 2), RESUME_BITS);
    if (!open_frame(&clear, SEAL_SPACE_CONTROL, *number, frame, n, &content) ||
        content != RESUME_CLEAR + 2)
        return false;
    *ack = (uint16_t)be(frame + RESUME_CLEAR, 2);
    return true;
}

uint32_t sealed_resume_epoch(const uint8_t *frame, size_t n)
{
    return n < RESUME_CLEAR ? 0 : (uint32_t)be(frame + 1, 4);
}
