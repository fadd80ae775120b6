/* What is in flight on one connection, by packet id, each direction apart: it tells a misplaced
 * acknowledgement from a good one, and counts against both Receive Maximums. Pure.
 *
 * It begins empty with each connection. What lasts longer (ids and QoS 2 states of outgoing
 * messages) is in the owner's store; what was received on an earlier connection, the server sends
 * again. */
#ifndef MQTT_PACKET_IDS_H
#define MQTT_PACKET_IDS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attr.h"

struct packet_ids {
    uint8_t state[65536]; /* low half outgoing, high half incoming; by packet id */
    unsigned outgoing;    /* QoS > 0 PUBLISH, or PUBREL of a resumed one, without its last answer */
    unsigned incoming;    /* QoS > 0 PUBLISH that we have not given the last answer to */
};

void packet_ids_reset(struct packet_ids *ids);

/* ---- outgoing: we publish ---- */

/* A PUBLISH or a PUBREL leaves. One that resumes an id, or repeats one, counts once. */
void packet_ids_sent_publish(struct packet_ids *ids, uint16_t id, uint8_t qos);
void packet_ids_sent_pubrel(struct packet_ids *ids, uint16_t id);
/* An answer came; final: it is the last one (PUBACK, PUBCOMP, or PUBREC with an error).
 * Return: false when this connection's packet with that id has another kind of answer coming. An id
 * unknown here is good: a server may finish what an earlier connection began. */
bool packet_ids_got_puback(struct packet_ids *ids, uint16_t id) MUST_CHECK;
bool packet_ids_got_pubrec(struct packet_ids *ids, uint16_t id, bool final) MUST_CHECK;
bool packet_ids_got_pubcomp(struct packet_ids *ids, uint16_t id) MUST_CHECK;

/* ---- incoming: the server publishes ---- */

/* A QoS > 0 PUBLISH came. Return: false when the id belongs to another message that is not finished
 * (MQTT-2.2.1-4); a repetition (dup) of the same is good, and counts once. */
bool packet_ids_got_publish(struct packet_ids *ids, uint16_t id, uint8_t qos, bool dup) MUST_CHECK;
/* A PUBREL came, perhaps for a message of an earlier connection. Return: false for an id whose QoS
 * 1 PUBLISH waits for our PUBACK. */
bool packet_ids_got_pubrel(struct packet_ids *ids, uint16_t id) MUST_CHECK;
/* Our answer leaves. Return: false when this connection has nothing that it would answer. */
bool packet_ids_sent_puback(struct packet_ids *ids, uint16_t id) MUST_CHECK;
bool packet_ids_sent_pubrec(struct packet_ids *ids, uint16_t id) MUST_CHECK;
bool packet_ids_sent_pubcomp(struct packet_ids *ids, uint16_t id) MUST_CHECK;

#endif
