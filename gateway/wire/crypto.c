#include "gateway/wire/crypto.h"

#include <assert.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

/* What fails here is told by the return value alone: the library's queue of errors, which belongs to
 * the thread, must not grow or be taken by TLS for its own. */
static bool done(bool good)
{
    if (!good)
        ERR_clear_error();
    return good;
}

bool crypto_hkdf(const void *salt, size_t salt_n, const void *secret, size_t secret_n,
                 const void *info, size_t info_n, uint8_t *out, size_t out_n)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[5], *p = params;
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_n);
    if (salt_n > 0)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, salt_n);
    if (info_n > 0)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_n);
    *p = OSSL_PARAM_construct_end();
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool good = ctx && EVP_KDF_derive(ctx, out, out_n, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return done(good);
}

/* Sets a context up as far as both directions have it in common. CCM wants to know all lengths, and
 * the tag's, before the first byte. */
static bool begin(EVP_CIPHER_CTX *ctx, bool seal, const uint8_t *key, const uint8_t *nonce,
                  const void *clear, size_t clear_n, size_t n, uint8_t *tag, size_t tag_n)
{
    int len;
    assert(clear_n <= CRYPTO_CCM_MAX && n <= CRYPTO_CCM_MAX);
    return EVP_CipherInit_ex(ctx, EVP_aes_128_ccm(), NULL, NULL, NULL, seal) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, CRYPTO_NONCE_BYTES, NULL) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)tag_n, tag) == 1 &&
           EVP_CipherInit_ex(ctx, NULL, NULL, key, nonce, seal) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &len, NULL, (int)n) == 1 &&
           (clear_n == 0 || EVP_CipherUpdate(ctx, NULL, &len, clear, (int)clear_n) == 1);
}

bool crypto_ccm_seal(const uint8_t key[CRYPTO_KEY_BYTES], const uint8_t nonce[CRYPTO_NONCE_BYTES],
                     const void *clear, size_t clear_n, uint8_t *text, size_t n, uint8_t *tag,
                     size_t tag_n)
{
    static const uint8_t nothing[1];
    uint8_t none[1];
    int len;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool good = ctx && begin(ctx, true, key, nonce, clear, clear_n, n, NULL, tag_n) &&
                EVP_CipherUpdate(ctx, n > 0 ? text : none, &len, n > 0 ? text : nothing, (int)n) ==
                    1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)tag_n, tag) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return done(good);
}

bool crypto_ccm_open(const uint8_t key[CRYPTO_KEY_BYTES], const uint8_t nonce[CRYPTO_NONCE_BYTES],
                     const void *clear, size_t clear_n, const uint8_t *text, size_t n,
                     const uint8_t *tag, size_t tag_n, uint8_t *out)
{
    static const uint8_t nothing[1];
    uint8_t expected[CRYPTO_TAG_MAX], none[1];
    int len;
    assert(tag_n <= sizeof expected);
    memcpy(expected, tag, tag_n);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    /* For CCM the one update both decrypts and compares the tag. */
    bool good = ctx && begin(ctx, false, key, nonce, clear, clear_n, n, expected, tag_n) &&
                EVP_CipherUpdate(ctx, n > 0 ? out : none, &len, n > 0 ? text : nothing, (int)n) ==
                    1;
    EVP_CIPHER_CTX_free(ctx);
    if (!good)
        OPENSSL_cleanse(out, n);
    return done(good);
}

bool crypto_x25519_public(const uint8_t private_key[CRYPTO_SHARE_BYTES],
                          uint8_t public_key[CRYPTO_SHARE_BYTES])
{
    size_t n = CRYPTO_SHARE_BYTES;
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, CRYPTO_SHARE_BYTES);
    bool good = key && EVP_PKEY_get_raw_public_key(key, public_key, &n) == 1;
    EVP_PKEY_free(key);
    return done(good && n == CRYPTO_SHARE_BYTES);
}

bool crypto_x25519_shared(const uint8_t private_key[CRYPTO_SHARE_BYTES],
                          const uint8_t peer[CRYPTO_SHARE_BYTES],
                          uint8_t shared[CRYPTO_SHARE_BYTES])
{
    size_t n = CRYPTO_SHARE_BYTES;
    EVP_PKEY *own =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, CRYPTO_SHARE_BYTES);
    EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer, CRYPTO_SHARE_BYTES);
    EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    bool good = ctx && theirs && EVP_PKEY_derive_init(ctx) == 1 &&
                EVP_PKEY_derive_set_peer(ctx, theirs) == 1 &&
                EVP_PKEY_derive(ctx, shared, &n) == 1 && n == CRYPTO_SHARE_BYTES;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(own);
    return done(good);
}

bool crypto_sha256(const void *bytes, size_t n, uint8_t out[32])
{
    return done(EVP_Digest(bytes, n, out, NULL, EVP_sha256(), NULL) == 1);
}

void crypto_wipe(void *bytes, size_t n)
{
    OPENSSL_cleanse(bytes, n);
}
