/* Packet ids of the broker session that must survive (I4). An id is 1..65535, so nothing here grows
 * beyond that. */
#ifndef STORE_PACKET_IDS_H
#define STORE_PACKET_IDS_H

#include "store/store.h"

/* ---- of QoS 2 PUBLISHes received from the broker, until PUBREL ---- */

int store_qos2_add(struct store *s, uint16_t packet_id) MUST_CHECK;
/* Return: 0 = known; STORE_NONE; negative errno. */
int store_qos2_known(struct store *s, uint16_t packet_id) MUST_CHECK;
int store_qos2_remove(struct store *s, uint16_t packet_id) MUST_CHECK;
/* The broker lost its session: forgets all. */
int store_qos2_clear(struct store *s) MUST_CHECK;

/* ---- that we used as sender under this generation or segment fork: an unused one gets a PUBREL
 * first ---- */

/* Return: 0 = used before; STORE_NONE = not yet; negative errno. */
int store_packet_id_used(struct store *s, uint16_t packet_id) MUST_CHECK;
int store_packet_id_use(struct store *s, uint16_t packet_id) MUST_CHECK;
/* A forked segment: no id counts as used any more. */
int store_packet_ids_forget(struct store *s) MUST_CHECK;

#endif
