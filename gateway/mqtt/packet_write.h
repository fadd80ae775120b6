/* Writes the MQTT control packets that a client sends. Pure.
 *
 * Each call appends one whole packet to out, or nothing at all. Return, of every one: 0; -ENOBUFS:
 * out has no room (its bound, or memory), and is as it was; PACKET_WRITE_TOO_LARGE: above
 * packet_max_bytes, or above what MQTT can spell. Lengths of strings are at most 65535; the caller
 * has seen to it. */
#ifndef MQTT_PACKET_WRITE_H
#define MQTT_PACKET_WRITE_H

#include "base/attr.h"
#include "base/buf.h"
#include "gateway/mqtt/packet.h"

enum packet_write_outcome {
    PACKET_WRITE_TOO_LARGE = 1,
};

/* level: the protocol level byte, 5 or 4, or 4 with the bridge bit.
 * Clean Start (Clean Session) is set only where the session is not to outlive the connection. */
int packet_write_connect(struct buf *out, const struct mqtt_session_config *config,
                         uint8_t level) MUST_CHECK;
/* topic, user strings and props are valid; for MQTT_311 props, user and expiry are left out. */
int packet_write_publish(struct buf *out, const struct mqtt_out *p, enum mqtt_version version,
                         size_t packet_max_bytes) MUST_CHECK;
/* PUBACK, PUBREC, PUBREL or PUBCOMP with success: four bytes in both versions. */
int packet_write_ack(struct buf *out, enum packet_type type, uint16_t packet_id) MUST_CHECK;
/* Under MQTT 5 with no-local (but for a shared subscription), retain-as-published and retain
 * handling 1. with_id: the server has subscription identifiers; one of 0 is not sent. */
int packet_write_subscribe(struct buf *out, const struct mqtt_subscription *sub, uint16_t packet_id,
                           enum mqtt_version version, bool with_id,
                           size_t packet_max_bytes) MUST_CHECK;
int packet_write_unsubscribe(struct buf *out, const char *filter, uint16_t packet_id,
                             enum mqtt_version version, size_t packet_max_bytes) MUST_CHECK;
int packet_write_pingreq(struct buf *out) MUST_CHECK;
/* reason is left out under MQTT 3.1.1. */
int packet_write_disconnect(struct buf *out, enum mqtt_version version, uint8_t reason) MUST_CHECK;

#endif
