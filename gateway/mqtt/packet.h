/* MQTT control packets: what they are called, and how those of a server are read. Pure; each reader
 * takes one whole packet, whatever its bytes, and says what is wrong with it.
 *
 *     framer.h         bytes -> packets
 *     packet.h         packet -> struct (this file); props.h reads the MQTT 5 properties in it
 *     packet_write.h   struct -> bytes */
#ifndef MQTT_PACKET_H
#define MQTT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/buf.h"
#include "gateway/mqtt/session.h"

/* Spec: MQTT 5, table 2-1. */
enum packet_type {
    PACKET_CONNECT = 1,
    PACKET_CONNACK,
    PACKET_PUBLISH,
    PACKET_PUBACK,
    PACKET_PUBREC,
    PACKET_PUBREL,
    PACKET_PUBCOMP,
    PACKET_SUBSCRIBE,
    PACKET_SUBACK,
    PACKET_UNSUBSCRIBE,
    PACKET_UNSUBACK,
    PACKET_PINGREQ,
    PACKET_PINGRESP,
    PACKET_DISCONNECT,
    PACKET_AUTH,
};

#define PACKET_REMAINING_MAX    268435455u /* MQTT 5, 1.5.5: four bytes of seven bits */
#define PACKET_HEADER_MAX_BYTES 5
#define PACKET_MAX_BYTES        (PACKET_HEADER_MAX_BYTES + PACKET_REMAINING_MAX)

/* Reason codes that the session itself uses or tells apart. */
enum reason_code {
    REASON_SUCCESS = 0x00,
    REASON_WITH_WILL = 0x04,
    REASON_MALFORMED = 0x81,
    REASON_PROTOCOL = 0x82,
    REASON_VERSION = 0x84,
    REASON_RECEIVE_MAXIMUM = 0x93,
    REASON_TOO_LARGE = 0x95,
};
#define REASON_IS_ERROR(code) ((code) >= 0x80)
#define RETURN_CODE_VERSION   1 /* MQTT 3.1.1, 3.2.2.3 */

struct packet {
    enum packet_type type;
    uint8_t flags;       /* low four bits of the first byte */
    const uint8_t *body; /* what the remaining length counts */
    size_t len;
};

/* The name in capitals as the specification writes it; static. */
const char *packet_name(enum packet_type type);
/* Bytes of a whole packet whose body has n bytes, n <= PACKET_REMAINING_MAX. */
size_t packet_size(size_t n);
/* Bytes of a variable byte integer up to PACKET_REMAINING_MAX. */
size_t packet_varint_size(size_t v);

struct packet_connack {
    bool session_present;
    bool old_form; /* two bytes, as MQTT 3.1.1 has it, whatever version was asked for */
    uint8_t code;  /* reason code, or return code in the old form */
    uint16_t receive_maximum;
    uint32_t packet_max_bytes;
    uint8_t qos_max;
    bool retain_available, wildcard_available, sub_id_available;
    bool has_keepalive;
    uint16_t keepalive_s;
    bool client_id_assigned;
    bool wants_authentication;
    const uint8_t *reason; /* reason string, or NULL */
    size_t reason_len;
};

struct packet_ack { /* PUBACK, PUBREC, PUBREL, PUBCOMP */
    uint16_t packet_id;
    uint8_t reason; /* 0 under MQTT 3.1.1 */
};

struct packet_suback { /* SUBACK, UNSUBACK */
    uint16_t packet_id;
    const uint8_t *reasons; /* none in an UNSUBACK of MQTT 3.1.1 */
    size_t n;
};

struct packet_disconnect {
    uint8_t code;
    const uint8_t *reason; /* reason string, or NULL */
    size_t reason_len;
};

/* Is this a packet that a server may send, with the flag bits it must have (MQTT-2.1.3-1)?
 * Return: NULL, or what is wrong (static), as all readers below do. What they give points into the
 * packet. version is MQTT_5 or MQTT_311. */
const char *packet_check(const struct packet *p, enum mqtt_version version) MUST_CHECK;
const char *packet_read_connack(const struct packet *p, enum mqtt_version version,
                                struct packet_connack *out) MUST_CHECK;
/* props: emptied, then given the properties that struct msg keeps, in the order they came;
 * out->props points into it. A full props is the fault "out of memory". */
const char *packet_read_publish(const struct packet *p, enum mqtt_version version,
                                struct buf *props, struct mqtt_publish *out) MUST_CHECK;
const char *packet_read_ack(const struct packet *p, enum mqtt_version version,
                            struct packet_ack *out) MUST_CHECK;
const char *packet_read_suback(const struct packet *p, enum mqtt_version version,
                               struct packet_suback *out) MUST_CHECK;
const char *packet_read_disconnect(const struct packet *p,
                                   struct packet_disconnect *out) MUST_CHECK;

/* Topic and packet id from the first n bytes of a PUBLISH body, of which more may follow: for a
 * packet that is too large to be held. topic_len is what is there, perhaps less than the whole
 * topic.
 * Return: true when topic and packet id are complete. */
bool packet_peek_publish(uint8_t flags, const uint8_t *body, size_t n, struct mqtt_publish *out);

#endif
