/* The few cryptographic functions that sealing stands on, and the one file of the wire that includes
 * OpenSSL. Pure: no state, and randomness is brought by the caller, so that a simulated run can be
 * repeated.
 *
 * Each returns false where the library had no memory, or as said below; what it would have written
 * is then not to be used. */
#ifndef WIRE_CRYPTO_H
#define WIRE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

#define CRYPTO_KEY_BYTES   16 /* AES-128 */
#define CRYPTO_NONCE_BYTES 13 /* CCM with two bytes of length (L = 2) */
#define CRYPTO_TAG_MAX     16
#define CRYPTO_CCM_MAX     65535 /* bytes sealed under one nonce: what two bytes of length tell */
#define CRYPTO_SHARE_BYTES 32    /* X25519: private key, public key, shared secret */

/* HKDF-SHA256 (RFC 5869), extract and expand. salt_n may be 0. out_n at most 255 * 32. */
bool crypto_hkdf(const void *salt, size_t salt_n, const void *secret, size_t secret_n,
                 const void *info, size_t info_n, uint8_t *out, size_t out_n) MUST_CHECK;

/* AES-128-CCM (RFC 3610). tag_n: 4, 6, 8, 10, 12, 14 or 16. Encrypts n bytes of text in place and
 * writes the tag over clear and text. */
bool crypto_ccm_seal(const uint8_t key[CRYPTO_KEY_BYTES], const uint8_t nonce[CRYPTO_NONCE_BYTES],
                     const void *clear, size_t clear_n, uint8_t *text, size_t n, uint8_t *tag,
                     size_t tag_n) MUST_CHECK;
/* text -> out, which may not overlap. Return: false = the tag is wrong; out then holds nothing of
 * the text. */
bool crypto_ccm_open(const uint8_t key[CRYPTO_KEY_BYTES], const uint8_t nonce[CRYPTO_NONCE_BYTES],
                     const void *clear, size_t clear_n, const uint8_t *text, size_t n,
                     const uint8_t *tag, size_t tag_n, uint8_t *out) MUST_CHECK;

/* X25519 (RFC 7748). private_key: 32 random bytes. */
bool crypto_x25519_public(const uint8_t private_key[CRYPTO_SHARE_BYTES],
                          uint8_t public_key[CRYPTO_SHARE_BYTES]) MUST_CHECK;
/* Return: false also where the peer's share is one of the few that give no secret. */
bool crypto_x25519_shared(const uint8_t private_key[CRYPTO_SHARE_BYTES],
                          const uint8_t peer[CRYPTO_SHARE_BYTES],
                          uint8_t shared[CRYPTO_SHARE_BYTES]) MUST_CHECK;

/* SHA-256. */
bool crypto_sha256(const void *bytes, size_t n, uint8_t out[32]) MUST_CHECK;

/* Sets to zero what is a secret no longer needed; no compiler leaves it out. */
void crypto_wipe(void *bytes, size_t n);

#endif
