#include "gateway/wire/seal.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/crc32.h"

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)(v >> 32));
    put32(p + 4, (uint32_t)v);
}

/* ---- keys ---- */

bool seal_terms_init(struct seal_terms *t, enum seal_mode mode, unsigned tag_bytes,
                     const char *own_name, const char *peer_name)
{
    char both[2 * 256];
    bool greater = strcmp(own_name, peer_name) > 0;
    const char *first = greater ? peer_name : own_name, *second = greater ? own_name : peer_name;
    size_t n = strlen(first) + 1, m = strlen(second) + 1;
    assert(mode != SEAL_NONE && n + m <= sizeof both);
    *t = (struct seal_terms){
        .mode = mode, .tag_bytes = tag_bytes ? tag_bytes : SEAL_TAG_DEFAULT, .greater = greater};
    assert(t->tag_bytes >= 4 && t->tag_bytes <= SEAL_TAG_MAX && t->tag_bytes % 2 == 0);
    memcpy(both, first, n);
    memcpy(both + n, second, m);
    return crypto_sha256(both, n + m, t->names);
}

/* "longwire 0", 0, label, 0, mode, tag bytes, direction, names. */
static size_t info_of(const struct seal_terms *t, const char *label, bool downward, uint8_t *out)
{
    static const char version[] = "longwire 0";
    size_t n = sizeof version, m = strlen(label) + 1;
    memcpy(out, version, n);
    memcpy(out + n, label, m);
    n += m;
    out[n++] = (uint8_t)t->mode;
    out[n++] = (uint8_t)t->tag_bytes;
    out[n++] = downward;
    memcpy(out + n, t->names, sizeof t->names);
    return n + sizeof t->names;
}
#define INFO_MAX 128

bool seal_derive(struct seal_key *out, const struct seal_terms *t, const char *label,
                 enum seal_side side, const uint8_t *secret, size_t secret_n, const uint8_t *salt,
                 size_t salt_n)
{
    uint8_t info[INFO_MAX];
    bool downward = (side == SEAL_OURS) == t->greater;
    assert(strlen(label) < 32);
    *out = (struct seal_key){.mode = t->mode, .tag_bytes = t->tag_bytes, .downward = downward};
    size_t n = info_of(t, label, downward, info);
    return crypto_hkdf(salt, salt_n, secret, secret_n, info, n, out->bytes, sizeof out->bytes);
}

uint32_t seal_secret_id(const struct seal_terms *t, const uint8_t secret[SECRET_BYTES])
{
    uint8_t info[INFO_MAX], id[4];
    size_t n = info_of(t, "id", false, info);
    if (!crypto_hkdf(NULL, 0, secret, SECRET_BYTES, info, n, id, sizeof id))
        return 0;
    uint32_t v = be32_of(id);
    return v ? v : 1;
}

/* ---- frames ---- */

/* The seed is as long for every frame, so two seeds that differ always give different checks to the
 * same bytes (unless 20 bytes' difference is a multiple of the polynomial: once in 2^32). */
static uint32_t check_of(const struct seal_context *c, enum seal_space space, uint64_t number,
                         const uint8_t *frame, size_t n)
{
    uint8_t seed[20] = {'L', 'W', 0, (uint8_t)space};
    put32(seed + 4, c->epoch);
    put32(seed + 8, c->peer_epoch);
    put64(seed + 12, number);
    return crc32_add(crc32_add(0, seed, sizeof seed), frame, n);
}

/* Direction and space, epoch, number ([P-13.4]). */
static void nonce_of(const struct seal_context *c, enum seal_space space, uint64_t number,
                     uint8_t nonce[CRYPTO_NONCE_BYTES])
{
    nonce[0] = (uint8_t)((c->key->downward ? 0x10 : 0) | space);
    put32(nonce + 1, c->epoch);
    put64(nonce + 5, number);
}

size_t seal_overhead(const struct seal_context *c)
{
    return c->key ? c->key->tag_bytes : SEAL_CRC_BYTES;
}

size_t seal_frame(const struct seal_context *c, enum seal_space space, uint64_t number,
                  uint8_t *frame, size_t n)
{
    uint8_t nonce[CRYPTO_NONCE_BYTES];
    if (!c->key) {
        put32(frame + n, check_of(c, space, number, frame, n));
        return n + SEAL_CRC_BYTES;
    }
    assert(c->clear <= n);
    size_t readable = c->key->mode == SEAL_FULL ? c->clear : n;
    nonce_of(c, space, number, nonce);
    if (!crypto_ccm_seal(c->key->bytes, nonce, frame, readable, frame + readable, n - readable,
                         frame + n, c->key->tag_bytes))
        return 0;
    return n + c->key->tag_bytes;
}

static bool check_crc(const struct seal_context *c, enum seal_space space, uint64_t number,
                      const uint8_t *frame, size_t n)
{
    uint8_t tag[SEAL_CRC_BYTES], wrong = 0;
    put32(tag, check_of(c, space, number, frame, n));
    for (size_t i = 0; i < SEAL_CRC_BYTES; i++)
        wrong |= tag[i] ^ frame[n + i];
    return wrong == 0;
}

bool seal_open(const struct seal_context *c, enum seal_space space, uint64_t number, uint8_t *frame,
               size_t n, size_t *content)
{
    uint8_t nonce[CRYPTO_NONCE_BYTES], text[SEAL_FRAME_MAX];
    size_t tag = seal_overhead(c);
    if (n < tag)
        return false;
    *content = n - tag;
    if (!c->key)
        return check_crc(c, space, number, frame, *content);
    if (n > SEAL_FRAME_MAX || *content < c->clear)
        return false;
    size_t readable = c->key->mode == SEAL_FULL ? c->clear : *content;
    nonce_of(c, space, number, nonce);
    /* Not in place: what fails may still be tried with another key. */
    if (!crypto_ccm_open(c->key->bytes, nonce, frame, readable, frame + readable,
                         *content - readable, frame + *content, tag, text))
        return false;
    memcpy(frame + readable, text, *content - readable);
    return true;
}
