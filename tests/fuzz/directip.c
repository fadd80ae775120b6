/* DirectIP's messages: [0 = from the gateway, 1 = its answer, 2 = one of ours] bytes. Whatever they are, nothing is read
 * beyond them; a message is whole at one length alone, whatever comes behind it; and one of ours reads as it was meant. */
#include "tests/fuzz/fuzz.h"
#include "link_drivers/directip_message.h"

static enum directip_outcome decode(bool answer, const uint8_t *bytes, size_t n)
{
    struct directip_mo_message m;
    struct directip_mt_answer a;
    const char *why = NULL;
    enum directip_outcome outcome =
        answer ? directip_mt_answer_decode(bytes, n, &a, &why) : directip_mo_decode(bytes, n, &m, &why);
    FUZZ_MUST((outcome == DIRECTIP_BAD) == (why != NULL));
    if (answer || outcome != DIRECTIP_WHOLE)
        return outcome;
    FUZZ_MUST(strspn(m.imei, "0123456789") == DIRECTIP_IMEI_DIGITS && m.imei[DIRECTIP_IMEI_DIGITS] == '\0');
    FUZZ_MUST((m.payload == NULL) == (m.payload_len == 0));
    FUZZ_MUST(!m.payload || (m.payload_len <= DIRECTIP_MO_PAYLOAD_MAX && m.payload >= bytes &&
                             m.payload + m.payload_len <= bytes + n));
    FUZZ_MUST(abs(m.location.latitude) <= 90 * 60000 || !m.located);
    FUZZ_MUST(abs(m.location.longitude) <= 180 * 60000 || !m.located);
    return outcome;
}

/* As the bytes of a stream come: more are wanted until it is decided, and then it stays decided. */
static void decode_growing(bool answer, const uint8_t *bytes, size_t n)
{
    enum directip_outcome decided = DIRECTIP_MORE;
    for (size_t i = 0; i <= n; i++) {
        uint8_t *exact = malloc(i ? i : 1);
        FUZZ_MUST(exact);
        if (i > 0)
            memcpy(exact, bytes, i);
        enum directip_outcome outcome = decode(answer, exact, i);
        free(exact);
        FUZZ_MUST(decided == DIRECTIP_MORE || outcome == decided);
        FUZZ_MUST(i < DIRECTIP_MESSAGE_MAX || outcome != DIRECTIP_MORE);
        decided = outcome;
    }
}

static void write_ours(struct reader *r)
{
    uint8_t out[DIRECTIP_MT_BYTES_MAX];
    struct directip_mt_message m = {.id = read_be32(r), .priority = read_u8(r) % 3};
    for (int i = 0; i < DIRECTIP_IMEI_DIGITS; i++)
        m.imei[i] = (char)('0' + read_u8(r) % 10);
    uint8_t *payload = fuzz_take(r, DIRECTIP_MT_PAYLOAD_MAX, &m.payload_len);
    m.payload = payload;
    if (m.payload_len > 0) {
        size_t n = directip_mt_encode(&m, out);
        struct reader header = reader_of(out, n);
        FUZZ_MUST(read_u8(&header) == 1 && read_be16(&header) == n - 3);
        FUZZ_MUST(read_u8(&header) == 0x41 && read_be16(&header) == 21 && read_be32(&header) == m.id);
        FUZZ_MUST(memcmp(read_bytes(&header, DIRECTIP_IMEI_DIGITS), m.imei, DIRECTIP_IMEI_DIGITS) == 0);
        FUZZ_MUST((read_be16(&header) & ~0x0010) == 0);
        FUZZ_MUST(memcmp(out + n - m.payload_len, m.payload, m.payload_len) == 0);
        FUZZ_MUST(directip_mt_id(m.imei, m.payload, m.payload_len) != 0);
    }
    free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    uint8_t which = read_u8(&r) % 3;
    size_t n;
    if (which == 2) {
        write_ours(&r);
        return 0;
    }
    uint8_t *bytes = fuzz_take(&r, DIRECTIP_MESSAGE_MAX, &n);
    decode_growing(which == 1, bytes, n);
    free(bytes);
    return 0;
}
