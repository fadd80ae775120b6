/* MQTT 5 properties: one table of what the specification allows where, and a reader that holds a
 * property section to it. Pure.
 *
 * The checks are complete (identifier known, allowed in this packet, not repeated, value in range,
 * strings UTF-8), so that whoever gets a property need not look at it again. */
#ifndef MQTT_PROPS_H
#define MQTT_PROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/buf.h"

/* Property identifiers. Spec: MQTT 5, 2.2.2.2. */
enum prop_id {
    PROP_PAYLOAD_FORMAT = 0x01,
    PROP_MESSAGE_EXPIRY = 0x02,
    PROP_CONTENT_TYPE = 0x03,
    PROP_RESPONSE_TOPIC = 0x08,
    PROP_CORRELATION_DATA = 0x09,
    PROP_SUBSCRIPTION_ID = 0x0b,
    PROP_SESSION_EXPIRY = 0x11,
    PROP_ASSIGNED_CLIENT_ID = 0x12,
    PROP_SERVER_KEEP_ALIVE = 0x13,
    PROP_AUTH_METHOD = 0x15,
    PROP_AUTH_DATA = 0x16,
    PROP_REQUEST_PROBLEM_INFO = 0x17,
    PROP_RESPONSE_INFO = 0x1a,
    PROP_SERVER_REFERENCE = 0x1c,
    PROP_REASON_STRING = 0x1f,
    PROP_RECEIVE_MAXIMUM = 0x21,
    PROP_TOPIC_ALIAS_MAXIMUM = 0x22,
    PROP_TOPIC_ALIAS = 0x23,
    PROP_MAXIMUM_QOS = 0x24,
    PROP_RETAIN_AVAILABLE = 0x25,
    PROP_USER = 0x26,
    PROP_MAXIMUM_PACKET_SIZE = 0x27,
    PROP_WILDCARD_AVAILABLE = 0x28,
    PROP_SUBSCRIPTION_ID_AVAILABLE = 0x29,
    PROP_SHARED_AVAILABLE = 0x2a,
};

#define PROP_SUBSCRIPTION_ID_MAX 268435455u /* MQTT 5, 3.3.2.3.8 */

/* Where a property section stands: the packets that a server sends us, and the properties that
 * struct msg keeps (a subset of PUBLISH's). A bit mask. */
enum prop_place {
    PROP_IN_CONNACK = 1,
    PROP_IN_PUBLISH = 2,
    PROP_IN_ACK = 4, /* PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK */
    PROP_IN_DISCONNECT = 8,
    PROP_IN_MSG = 16, /* struct msg: what passes through to the far end */
};

struct prop {
    enum prop_id id;
    bool kept;            /* one of those that struct msg keeps */
    uint32_t number;      /* value of a byte, integer or variable byte integer */
    const uint8_t *bytes; /* value of a string or of binary data; key of a user property */
    size_t len;
    const uint8_t *value; /* of a user property */
    size_t value_len;
    const uint8_t *raw; /* identifier and value as they came */
    size_t raw_len;
};

struct props_reader {
    struct reader r;
    enum prop_place place;
    uint64_t seen;     /* bit = identifier of a property that may come only once */
    const char *error; /* what is wrong (static), or NULL */
};

/* Begins to read a section of n bytes, without its length field. */
struct props_reader props_of(const void *bytes, size_t n, enum prop_place place);
/* Takes the length field and the section from a packet's body. A section that is longer than the
 * body sets body->bad and gives an empty section with an error. */
struct props_reader props_take(struct reader *body, enum prop_place place);
/* The next property. Return: true and *p, which points into the section; false at the end or at a
 * fault: look at error. */
bool props_next(struct props_reader *s, struct prop *p) MUST_CHECK;
/* Checks a whole section. Return: NULL when it is good, else what is wrong (static). */
const char *props_check(const void *bytes, size_t n, enum prop_place place) MUST_CHECK;

#endif
