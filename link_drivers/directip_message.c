#include "link_drivers/directip_message.h"

#include <assert.h>
#include <string.h>
#include "base/buf.h"
#include "base/hash.h"

#define REVISION       1
#define PREAMBLE_BYTES 3
#define ELEMENT_BYTES  3 /* identifier and length */

enum element {
    MO_HEADER = 0x01,
    MO_PAYLOAD = 0x02,
    MO_LOCATION = 0x03,
    MO_CONFIRMATION = 0x05,
    MT_HEADER = 0x41,
    MT_PAYLOAD = 0x42,
    MT_CONFIRMATION = 0x44,
    MT_PRIORITY = 0x46,
};

#define MO_HEADER_BYTES       28
#define MO_LOCATION_BYTES     11 /* the guide prints 20 for the same fields */
#define MT_HEADER_BYTES       21
#define MT_CONFIRMATION_BYTES 25
#define MT_PRIORITY_BYTES     2
#define MT_PRIORITY_HIGHEST   1

#define MT_FLAG_HIGH_PRIORITY 0x0010

static_assert(DIRECTIP_MT_BYTES_MAX == PREAMBLE_BYTES + ELEMENT_BYTES + MT_HEADER_BYTES +
                                           ELEMENT_BYTES + MT_PRIORITY_BYTES + ELEMENT_BYTES +
                                           DIRECTIP_MT_PAYLOAD_MAX,
              "the largest MT message");
static_assert(DIRECTIP_MO_CONFIRMATION_BYTES == PREAMBLE_BYTES + ELEMENT_BYTES + 1,
              "the MO confirmation");

/* --- reading --- */

static enum directip_outcome bad(const char **why, const char *what)
{
    *why = what;
    return DIRECTIP_BAD;
}

/* The elements of the message at the beginning of the bytes. */
static enum directip_outcome open_message(const uint8_t *bytes, size_t n, struct reader *elements,
                                          const char **why)
{
    if (n > 0 && bytes[0] != REVISION)
        return bad(why, "not revision 1 of the protocol");
    if (n < PREAMBLE_BYTES)
        return DIRECTIP_MORE;
    size_t length = (size_t)bytes[1] << 8 | bytes[2];
    if (length > DIRECTIP_MESSAGE_MAX - PREAMBLE_BYTES)
        return bad(why, "longer than any message");
    if (n - PREAMBLE_BYTES < length)
        return DIRECTIP_MORE;
    *elements = reader_of(bytes + PREAMBLE_BYTES, length);
    return DIRECTIP_WHOLE;
}

struct found {
    uint8_t id;
    struct reader content;
};

/* The next element. Return: false at the end, and where it reaches beyond it: *elements is bad. */
static bool next_element(struct reader *elements, struct found *out)
{
    if (elements->left == 0)
        return false;
    out->id = read_u8(elements);
    size_t length = read_be16(elements);
    const uint8_t *content = read_bytes(elements, length);
    if (elements->bad)
        return false;
    out->content = reader_of(content, length);
    return true;
}

static void read_imei(struct reader *r, char imei[DIRECTIP_IMEI_DIGITS + 1])
{
    const uint8_t *digits = read_bytes(r, DIRECTIP_IMEI_DIGITS);
    if (digits)
        memcpy(imei, digits, DIRECTIP_IMEI_DIGITS);
    imei[DIRECTIP_IMEI_DIGITS] = '\0';
}

static bool is_imei(const char *imei)
{
    return strspn(imei, "0123456789") == DIRECTIP_IMEI_DIGITS;
}

static const char *read_mo_header(struct found *e, struct directip_mo_message *out)
{
    if (e->content.left != MO_HEADER_BYTES)
        return "a header of another length";
    out->reference = read_be32(&e->content);
    read_imei(&e->content, out->imei);
    out->session = read_u8(&e->content);
    out->momsn = read_be16(&e->content);
    out->mtmsn = read_be16(&e->content);
    out->time_s = read_be32(&e->content);
    return is_imei(out->imei) ? NULL : "an IMEI that is not 15 digits";
}

/* Degrees and thousandths of a minute. Return: false where they lie beyond the globe. */
static bool read_angle(struct reader *r, unsigned degrees_max, bool negative, int32_t *out)
{
    unsigned degrees = read_u8(r), thousandths = read_be16(r);
    int32_t angle = (int32_t)(degrees * 60000 + thousandths);
    *out = negative ? -angle : angle;
    return thousandths < 60000 && angle <= (int32_t)degrees_max * 60000;
}

static bool read_location(struct found *e, struct directip_location *out)
{
    if (e->content.left < MO_LOCATION_BYTES)
        return false;
    uint8_t flags = read_u8(&e->content);
    bool format_known = (flags & 0x0c) == 0;
    bool latitude = read_angle(&e->content, 90, flags & 0x02, &out->latitude);
    bool longitude = read_angle(&e->content, 180, flags & 0x01, &out->longitude);
    out->radius_km = read_be32(&e->content);
    return format_known && latitude && longitude;
}

static const char *read_mo_element(struct found *e, struct directip_mo_message *out, bool seen[3])
{
    switch (e->id) {
    case MO_HEADER:
        if (seen[0])
            return "two headers";
        seen[0] = true;
        return read_mo_header(e, out);
    case MO_PAYLOAD:
        if (seen[1])
            return "two payloads";
        seen[1] = true;
        if (e->content.left > DIRECTIP_MO_PAYLOAD_MAX)
            return "a payload that no modem sends";
        out->payload = e->content.left > 0 ? e->content.p : NULL;
        out->payload_len = e->content.left;
        return NULL;
    case MO_LOCATION:
        /* A second one is not worth a message: the first holds. */
        if (!seen[2])
            out->located = read_location(e, &out->location);
        seen[2] = true;
        return NULL;
    default:
        return NULL;
    }
}

enum directip_outcome directip_mo_decode(const uint8_t *bytes, size_t n, struct directip_mo_message *out,
                                         const char **why)
{
    struct reader elements;
    struct found e;
    bool seen[3] = {false, false, false}; /* header, payload, location */
    memset(out, 0, sizeof(*out));
    enum directip_outcome outcome = open_message(bytes, n, &elements, why);
    if (outcome != DIRECTIP_WHOLE)
        return outcome;
    while (next_element(&elements, &e)) {
        const char *wrong = read_mo_element(&e, out, seen);
        if (wrong)
            return bad(why, wrong);
    }
    if (elements.bad)
        return bad(why, "an element reaches beyond the message");
    if (!seen[0])
        return bad(why, "no header");
    return DIRECTIP_WHOLE;
}

enum directip_outcome directip_mt_answer_decode(const uint8_t *bytes, size_t n,
                                                struct directip_mt_answer *out, const char **why)
{
    struct reader elements;
    struct found e;
    bool seen = false;
    memset(out, 0, sizeof(*out));
    enum directip_outcome outcome = open_message(bytes, n, &elements, why);
    if (outcome != DIRECTIP_WHOLE)
        return outcome;
    while (next_element(&elements, &e)) {
        if (e.id != MT_CONFIRMATION)
            continue;
        if (seen)
            return bad(why, "two confirmations");
        if (e.content.left != MT_CONFIRMATION_BYTES)
            return bad(why, "a confirmation of another length");
        seen = true;
        out->id = read_be32(&e.content);
        read_imei(&e.content, out->imei);
        out->reference = read_be32(&e.content);
        out->status = (int16_t)read_be16(&e.content);
    }
    if (elements.bad)
        return bad(why, "an element reaches beyond the message");
    return seen ? DIRECTIP_WHOLE : bad(why, "no confirmation");
}

/* --- writing --- */

static uint8_t *put(uint8_t *at, uint32_t value, unsigned bytes)
{
    while (bytes-- > 0)
        *at++ = (uint8_t)(value >> 8 * bytes);
    return at;
}

static uint8_t *put_element(uint8_t *at, enum element id, size_t length)
{
    return put(put(at, id, 1), (uint32_t)length, 2);
}

void directip_mo_confirm(uint8_t out[DIRECTIP_MO_CONFIRMATION_BYTES])
{
    uint8_t *at = put(put(out, REVISION, 1), ELEMENT_BYTES + 1, 2);
    at = put_element(at, MO_CONFIRMATION, 1);
    put(at, 1, 1);
}

size_t directip_mt_encode(const struct directip_mt_message *m, uint8_t out[DIRECTIP_MT_BYTES_MAX])
{
    assert(m->payload_len > 0 && m->payload_len <= DIRECTIP_MT_PAYLOAD_MAX && is_imei(m->imei));
    uint8_t *at = put_element(out + PREAMBLE_BYTES, MT_HEADER, MT_HEADER_BYTES);
    at = put(at, m->id, 4);
    memcpy(at, m->imei, DIRECTIP_IMEI_DIGITS);
    at += DIRECTIP_IMEI_DIGITS;
    at = put(at, m->priority == DIRECTIP_PRIORITY_FLAG ? MT_FLAG_HIGH_PRIORITY : 0, 2);
    if (m->priority == DIRECTIP_PRIORITY_ELEMENT)
        at = put(put_element(at, MT_PRIORITY, MT_PRIORITY_BYTES), MT_PRIORITY_HIGHEST,
                 MT_PRIORITY_BYTES);
    at = put_element(at, MT_PAYLOAD, m->payload_len);
    memcpy(at, m->payload, m->payload_len);
    at += m->payload_len;
    size_t n = (size_t)(at - out);
    put(put(out, REVISION, 1), (uint32_t)(n - PREAMBLE_BYTES), 2);
    return n;
}

uint32_t directip_mt_id(const char *imei, const uint8_t *payload, size_t n)
{
    /* Not a CRC: a frame that ends with its own would give the same for all of one length. */
    uint64_t hash = hash64_add(hash64_add(HASH64_START, imei, strlen(imei)), payload, n);
    uint32_t id = hash64_fold32(hash);
    return id != 0 ? id : 1;
}

/* --- words --- */

const char *directip_session_words(uint8_t session)
{
    switch (session) {
    case DIRECTIP_SESSION_OK:
        return "ok";
    case DIRECTIP_SESSION_MT_TOO_LARGE:
        return "ok, but the waiting MT is too large for the modem";
    case DIRECTIP_SESSION_BAD_LOCATION:
        return "ok, but the location is not to be trusted";
    case DIRECTIP_SESSION_TIMEOUT:
        return "timed out";
    case DIRECTIP_SESSION_MO_TOO_LARGE:
        return "the MO was too large";
    case DIRECTIP_SESSION_RF_LOSS:
        return "the radio link was lost";
    case DIRECTIP_SESSION_PROTOCOL:
        return "the modem broke the protocol";
    case DIRECTIP_SESSION_BARRED:
        return "the modem may not use the service";
    default:
        return "failed";
    }
}

bool directip_session_reached(uint8_t session)
{
    return session <= DIRECTIP_SESSION_BAD_LOCATION;
}
