/* The messages of Iridium's DirectIP, as bytes: what the gateway brings from a modem (MO, mobile
 * originated), what it takes for one (MT, mobile terminated), and what each side answers. Pure.
 *
 * All numbers are big-endian. A message is revision 1, an overall length of two bytes, and so many
 * bytes of information elements: identifier, length of two bytes, content. Elements come in any
 * order; one that is not known is skipped; one that reaches beyond the overall length makes the
 * message bad, for nobody can tell where the next one begins. Here an element that may stand only
 * once and stands twice makes it bad too. */
#ifndef LINK_DRIVERS_DIRECTIP_MESSAGE_H
#define LINK_DRIVERS_DIRECTIP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

#define DIRECTIP_IMEI_DIGITS    15
#define DIRECTIP_MO_PAYLOAD_MAX 1960
#define DIRECTIP_MT_PAYLOAD_MAX 1890
/* A whole message that we take: the largest payload, and as much again for elements to come. */
#define DIRECTIP_MESSAGE_MAX 4096
/* An MT message of ours: preamble 3, header 3 + 21, priority 3 + 2, payload 3 and its bytes. */
#define DIRECTIP_MT_BYTES_MAX         (35 + DIRECTIP_MT_PAYLOAD_MAX)
#define DIRECTIP_MO_CONFIRMATION_BYTES 7

enum directip_outcome {
    DIRECTIP_WHOLE,
    DIRECTIP_MORE, /* the bytes are the beginning of one */
    DIRECTIP_BAD,  /* no message begins so */
};

/* Of an MO session (header element, "session status"). */
enum directip_session {
    DIRECTIP_SESSION_OK = 0,
    DIRECTIP_SESSION_MT_TOO_LARGE = 1, /* the MO was taken; an MT was larger than the modem takes */
    DIRECTIP_SESSION_BAD_LOCATION = 2, /* the MO was taken */
    DIRECTIP_SESSION_TIMEOUT = 10,
    DIRECTIP_SESSION_MO_TOO_LARGE = 12,
    DIRECTIP_SESSION_RF_LOSS = 13,
    DIRECTIP_SESSION_PROTOCOL = 14,
    DIRECTIP_SESSION_BARRED = 15,
};

struct directip_location {
    int32_t latitude, longitude; /* thousandths of a minute; north and east are positive */
    uint32_t radius_km;          /* that it lies within, with a probability of 80 % */
};

struct directip_mo_message {
    uint32_t reference; /* the gateway's own number of the session */
    char imei[DIRECTIP_IMEI_DIGITS + 1];
    uint8_t session; /* enum directip_session, or a value that is not known */
    uint16_t momsn;
    uint16_t mtmsn; /* of the MT that the modem fetched in the session; 0 = none */
    uint32_t time_s; /* of the session, since 1970, UTC */
    const uint8_t *payload; /* in the bytes that were decoded; NULL = none: the modem looked into
                               its mailbox, or the session failed */
    size_t payload_len;
    bool located;
    struct directip_location location;
};

/* Reads a message of the gateway's at the beginning of n bytes. Return: WHOLE: *out, which points
 * into bytes; MORE; BAD: *why (static) says what is wrong. A location that cannot be one is left out, and no fault. */
enum directip_outcome directip_mo_decode(const uint8_t *bytes, size_t n, struct directip_mo_message *out,
                                         const char **why) MUST_CHECK;
/* What we answer where confirmation is provisioned: that the message is ours now. */
void directip_mo_confirm(uint8_t out[DIRECTIP_MO_CONFIRMATION_BYTES]);
/* Words for a session status; never NULL. */
const char *directip_session_words(uint8_t session);
/* Did the modem reach the gateway, so that it also fetched what waited for it? */
bool directip_session_reached(uint8_t session);

/* How an MT message says that it goes before others of its queue. Gateways know the element, older
 * ones the flag. */
enum directip_priority { DIRECTIP_PRIORITY_NONE, DIRECTIP_PRIORITY_ELEMENT, DIRECTIP_PRIORITY_FLAG };

struct directip_mt_message {
    uint32_t id; /* comes back in the answer */
    char imei[DIRECTIP_IMEI_DIGITS + 1];
    enum directip_priority priority;
    const uint8_t *payload;
    size_t payload_len; /* 1..DIRECTIP_MT_PAYLOAD_MAX */
};

/* Writes one; never with the flag that flushes the modem's queue. Return: its bytes. */
size_t directip_mt_encode(const struct directip_mt_message *m, uint8_t out[DIRECTIP_MT_BYTES_MAX]);

#define DIRECTIP_MT_PROTOCOL (-7) /* status: something in the message breaks the protocol */

struct directip_mt_answer {
    uint32_t id;
    char imei[DIRECTIP_IMEI_DIGITS + 1]; /* as it came: compare, do not print */
    uint32_t reference;                  /* the gateway's own number of the message; 0 = refused */
    int16_t status; /* 1.. = taken, place in the queue; 0 = taken; negative = refused */
};

/* Reads the gateway's answer. Return and *why: as directip_mo_decode. */
enum directip_outcome directip_mt_answer_decode(const uint8_t *bytes, size_t n,
                                                struct directip_mt_answer *out,
                                                const char **why) MUST_CHECK;

/* An identifier that the same payload to the same IMEI always has, so that what is sent again, also
 * by a process that knows nothing of the first time, is known as the same. Never 0. */
uint32_t directip_mt_id(const char *imei, const uint8_t *payload, size_t n);

#endif
