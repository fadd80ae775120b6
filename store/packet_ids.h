/* Packet ids of QoS 2 PUBLISHes received from the broker, which must survive until PUBREL, and for some time after it (I4).
 * An id is 1..65535, so nothing here grows beyond that. */
#ifndef STORE_PACKET_IDS_H
#define STORE_PACKET_IDS_H

#include "store/store.h"

#define STORE_QOS2_RELEASED_MAX 4096 /* released ids kept: an in-flight window as large as any */

/* Takes an id for a new message; hash: of its topic and payload. A released one is overwritten. */
int store_qos2_add(struct store *s, uint16_t packet_id, uint64_t hash) MUST_CHECK;
/* Return: 0 = taken and not released; STORE_NONE; negative errno. */
int store_qos2_known(struct store *s, uint16_t packet_id) MUST_CHECK;
/* PUBREL came. The id may now be used for another message, but a broker that never got our PUBCOMP
 * may still send the old one (store_qos2_was): the last STORE_QOS2_RELEASED_MAX are remembered. */
int store_qos2_release(struct store *s, uint16_t packet_id) MUST_CHECK;
/* Return: 0 = the id was released lately, and its message had this hash; STORE_NONE. */
int store_qos2_was(struct store *s, uint16_t packet_id, uint64_t hash) MUST_CHECK;
/* The broker lost its session: forgets all. */
int store_qos2_clear(struct store *s) MUST_CHECK;

#endif
