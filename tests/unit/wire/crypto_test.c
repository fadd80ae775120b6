/* Known answers of what sealing stands on: RFC 3610 (AES-CCM), RFC 5869 (HKDF), RFC 7748 (X25519). */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/crypto.h"

static size_t unhex(const char *text, uint8_t *out)
{
    size_t n = strlen(text) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned v = 0;
        for (int k = 0; k < 2; k++) {
            char c = text[2 * i + (size_t)k];
            v = v << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        out[i] = (uint8_t)v;
    }
    return n;
}

/* Packet vectors of RFC 3610, 8: all of the first key, and four of the second. */
static const struct ccm_vector {
    int number;
    const char *key, *nonce, *clear, *text, *sealed;
} ccm_vectors[] = {
    {1, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000003020100a0a1a2a3a4a5", "0001020304050607",
     "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e",
     "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0"},
    {2, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000004030201a0a1a2a3a4a5", "0001020304050607",
     "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916"},
    {3, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000005040302a0a1a2a3a4a5", "0001020304050607",
     "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
     "51b1e5f44a197d1da46b0f8e2d282ae871e838bb64da8596574adaa76fbd9fb0c5"},
    {4, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000006050403a0a1a2a3a4a5", "000102030405060708090a0b",
     "0c0d0e0f101112131415161718191a1b1c1d1e",
     "a28c6865939a9a79faaa5c4c2a9d4a91cdac8c96c861b9c9e61ef1"},
    {5, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000007060504a0a1a2a3a4a5", "000102030405060708090a0b",
     "0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "dcf1fb7b5d9e23fb9d4e131253658ad86ebdca3e51e83f077d9c2d93"},
    {6, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000008070605a0a1a2a3a4a5", "000102030405060708090a0b",
     "0c0d0e0f101112131415161718191a1b1c1d1e1f20",
     "6fc1b011f006568b5171a42d953d469b2570a4bd87405a0443ac91cb94"},
    {7, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000009080706a0a1a2a3a4a5", "0001020304050607",
     "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e",
     "0135d1b2c95f41d5d1d4fec185d166b8094e999dfed96c048c56602c97acbb7490"},
    {8, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "0000000a090807a0a1a2a3a4a5", "0001020304050607",
     "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "7b75399ac0831dd2f0bbd75879a2fd8f6cae6b6cd9b7db24c17b4433f434963f34b4"},
    {9, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "0000000b0a0908a0a1a2a3a4a5", "0001020304050607",
     "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
     "82531a60cc24945a4b8279181ab5c84df21ce7f9b73f42e197ea9c07e56b5eb17e5f4e"},
    {10, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "0000000c0b0a09a0a1a2a3a4a5", "000102030405060708090a0b",
     "0c0d0e0f101112131415161718191a1b1c1d1e",
     "07342594157785152b074098330abb141b947b566aa9406b4d999988dd"},
    {11, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "0000000d0c0b0aa0a1a2a3a4a5", "000102030405060708090a0b",
     "0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "676bb20380b0e301e8ab79590a396da78b834934f53aa2e9107a8b6c022c"},
    {12, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "0000000e0d0c0ba0a1a2a3a4a5", "000102030405060708090a0b",
     "0c0d0e0f101112131415161718191a1b1c1d1e1f20",
     "c0ffa0d6f05bdb67f24d43a4338d2aa4bed7b20e43cd1aa31662e7ad65d6db"},
    {13, "d7828d13b2b0bdc325a76236df93cc6b", "00412b4ea9cdbe3c9696766cfa", "0be1a88bace018b1",
     "08e8cf97d820ea258460e96ad9cf5289054d895ceac47c",
     "4cb97f86a2a4689a877947ab8091ef5386a6ffbdd080f8e78cf7cb0cddd7b3"},
    {16, "d7828d13b2b0bdc325a76236df93cc6b", "00764c63b8058e3c9696766cfa", "d0d0735c531e1becf049c244",
     "12daac5630efa5396f770ce1a66b21f7b2101c",
     "14d253c3967b70609b7cbb7c499160283245269a6f49975bcadeaf"},
    {19, "d7828d13b2b0bdc325a76236df93cc6b", "0042fff8f1951c3c9696766cfa", "d85bc7e69f944fb8",
     "8a19b950bcf71a018e5e6701c91787659809d67dbedd18",
     "bc218daa947427b6db386a99ac1aef23ade0b52939cb6a637cf9bec2408897c6ba"},
    {24, "d7828d13b2b0bdc325a76236df93cc6b", "008d493b30ae8b3c9696766cfa", "6e37a6ef546d955d34ab6059",
     "abf21c0b02feb88f856df4a37381bce3cc128517d4",
     "f32905b88a641b04b9c9ffb58cc390900f3da12ab16dce9e82efa16da62059"},
};

static void rfc_3610_packet_vectors(void **state)
{
    for (size_t i = 0; i < sizeof ccm_vectors / sizeof *ccm_vectors; i++) {
        const struct ccm_vector *v = &ccm_vectors[i];
        uint8_t key[16], nonce[13], clear[16], text[64], sealed[64], out[64], tag[16];
        print_message("# packet vector %d\n", v->number);
        unhex(v->key, key);
        assert_int_equal(unhex(v->nonce, nonce), CRYPTO_NONCE_BYTES);
        size_t clear_n = unhex(v->clear, clear), n = unhex(v->text, text), tag_n = unhex(v->sealed, sealed) - n;
        memcpy(out, text, n);
        assert_true(crypto_ccm_seal(key, nonce, clear, clear_n, out, n, tag, tag_n));
        assert_memory_equal(out, sealed, n);
        assert_memory_equal(tag, sealed + n, tag_n);
        assert_true(crypto_ccm_open(key, nonce, clear, clear_n, sealed, n, sealed + n, tag_n, out));
        assert_memory_equal(out, text, n);
    }
}

static void nothing_comes_out_where_a_bit_is_wrong(void **state)
{
    static const uint8_t nothing[23];
    const struct ccm_vector *v = &ccm_vectors[0];
    uint8_t key[16], nonce[13], clear[8], sealed[64], out[64];
    unhex(v->key, key);
    unhex(v->nonce, nonce);
    unhex(v->clear, clear);
    size_t n = unhex(v->sealed, sealed) - 8;
    struct {
        uint8_t *bytes;
        size_t n;
    } parts[] = {{key, sizeof key}, {nonce, sizeof nonce}, {clear, sizeof clear}, {sealed, n + 8}};
    for (unsigned part = 0; part < 4; part++)
        for (size_t bit = 0; bit < 8 * parts[part].n; bit++) {
            parts[part].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            memset(out, 0xee, sizeof out);
            assert_false(crypto_ccm_open(key, nonce, clear, sizeof clear, sealed, n, sealed + n, 8, out));
            assert_memory_equal(out, nothing, n);
            parts[part].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    assert_true(crypto_ccm_open(key, nonce, clear, sizeof clear, sealed, n, sealed + n, 8, out));
}

static void every_tag_length_seals_and_opens_also_where_there_is_no_text(void **state)
{
    uint8_t key[16] = {1}, nonce[13] = {2}, clear[5] = {3}, tag[16], out[4];
    for (size_t tag_n = 4; tag_n <= 16; tag_n += 2)
        for (size_t n = 0; n <= 3; n += 3) {
            uint8_t text[4] = "abc";
            assert_true(crypto_ccm_seal(key, nonce, clear, sizeof clear, text, n, tag, tag_n));
            assert_true(crypto_ccm_open(key, nonce, clear, sizeof clear, text, n, tag, tag_n, out));
            assert_memory_equal(out, "abc", n);
            tag[tag_n - 1] ^= 1;
            assert_false(crypto_ccm_open(key, nonce, clear, sizeof clear, text, n, tag, tag_n, out));
        }
}

static void rfc_5869_test_cases(void **state)
{
    uint8_t secret[80], salt[80], info[80], out[82], expected[82];
    memset(secret, 0x0b, 22);
    for (unsigned i = 0; i < 13; i++)
        salt[i] = (uint8_t)i;
    for (unsigned i = 0; i < 10; i++)
        info[i] = (uint8_t)(0xf0 + i);
    assert_true(crypto_hkdf(salt, 13, secret, 22, info, 10, out, 42));
    unhex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865", expected);
    assert_memory_equal(out, expected, 42);

    for (unsigned i = 0; i < 80; i++) {
        secret[i] = (uint8_t)i;
        salt[i] = (uint8_t)(0x60 + i);
        info[i] = (uint8_t)(0xb0 + i);
    }
    assert_true(crypto_hkdf(salt, 80, secret, 80, info, 80, out, 82));
    unhex("b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
          "cc30c58179ec3e87c14c01d5c1f3434f1d87",
          expected);
    assert_memory_equal(out, expected, 82);

    memset(secret, 0x0b, 22);
    assert_true(crypto_hkdf(NULL, 0, secret, 22, NULL, 0, out, 42));
    unhex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8", expected);
    assert_memory_equal(out, expected, 42);
}

static void rfc_7748_diffie_hellman(void **state)
{
    uint8_t a[32], b[32], a_public[32], b_public[32], shared[32], expected[32];
    unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", a);
    unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", b);
    assert_true(crypto_x25519_public(a, a_public) && crypto_x25519_public(b, b_public));
    unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", expected);
    assert_memory_equal(a_public, expected, 32);
    unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", expected);
    assert_true(crypto_x25519_shared(a, b_public, shared));
    assert_memory_equal(shared, expected, 32);
    assert_true(crypto_x25519_shared(b, a_public, shared));
    assert_memory_equal(shared, expected, 32);
    /* A share that makes the same secret with everyone is none. */
    uint8_t zero[32] = {0};
    assert_false(crypto_x25519_shared(a, zero, shared));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_3610_packet_vectors),
        cmocka_unit_test(nothing_comes_out_where_a_bit_is_wrong),
        cmocka_unit_test(every_tag_length_seals_and_opens_also_where_there_is_no_text),
        cmocka_unit_test(rfc_5869_test_cases),
        cmocka_unit_test(rfc_7748_diffie_hellman),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
