#include "tests/support/nonces.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "gateway/wire/crypto.h"

bool __real_crypto_ccm_seal(const uint8_t key[CRYPTO_KEY_BYTES],
                            const uint8_t nonce[CRYPTO_NONCE_BYTES], const void *clear,
                            size_t clear_n, uint8_t *text, size_t n, uint8_t *tag, size_t tag_n);
bool __wrap_crypto_ccm_seal(const uint8_t key[CRYPTO_KEY_BYTES],
                            const uint8_t nonce[CRYPTO_NONCE_BYTES], const void *clear,
                            size_t clear_n, uint8_t *text, size_t n, uint8_t *tag, size_t tag_n);

/* Hashes of key and nonce, open addressing, 0 = free. 64 bits: of a million, two are alike by chance
 * once in 37 million runs. */
static struct {
    uint64_t *seen;
    size_t size; /* a power of two */
    uint64_t used, reused;
} all;

/* Return: it was there. */
static bool put(uint64_t *table, size_t size, uint64_t hash)
{
    size_t at = hash & (size - 1);
    for (; table[at] != 0; at = (at + 1) & (size - 1))
        if (table[at] == hash)
            return true;
    table[at] = hash;
    return false;
}

static void grow(void)
{
    size_t size = all.size ? all.size * 2 : 1024;
    /* Not of what the simulator counts as the gateways' memory. */
    uint64_t *bigger = aligned_alloc(64, size * sizeof *bigger);
    assert(bigger);
    memset(bigger, 0, size * sizeof *bigger);
    for (size_t i = 0; i < all.size; i++)
        if (all.seen[i] != 0)
            put(bigger, size, all.seen[i]);
    free(all.seen);
    all.seen = bigger;
    all.size = size;
}

bool __wrap_crypto_ccm_seal(const uint8_t key[CRYPTO_KEY_BYTES],
                            const uint8_t nonce[CRYPTO_NONCE_BYTES], const void *clear,
                            size_t clear_n, uint8_t *text, size_t n, uint8_t *tag, size_t tag_n)
{
    uint64_t hash = hash64_add(HASH64_START, key, CRYPTO_KEY_BYTES);
    hash = hash64_add(hash, nonce, CRYPTO_NONCE_BYTES);
    hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15ull;
    if (2 * all.used >= all.size)
        grow();
    all.used++;
    all.reused += put(all.seen, all.size, hash ? hash : 1);
    return __real_crypto_ccm_seal(key, nonce, clear, clear_n, text, n, tag, tag_n);
}

uint64_t nonces_used(void)
{
    return all.used;
}

uint64_t nonces_reused(void)
{
    return all.reused;
}

void nonces_forget(void)
{
    free(all.seen);
    memset(&all, 0, sizeof all);
}
