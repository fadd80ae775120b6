/* Cuts a byte stream into MQTT packets. Pure. Bytes may come in any pieces; a packet that lies
 * whole in what came is given in place, without a copy.
 *
 * Memory follows the bytes that have come, not the length that a header claims, and never passes
 * the largest packet, or the longest topic of one that is too large (FRAMER_PEEK_MAX_BYTES). */
#ifndef MQTT_FRAMER_H
#define MQTT_FRAMER_H

#include "base/attr.h"
#include "base/buf.h"
#include "gateway/mqtt/packet.h"

/* Header, topic and packet id of the largest PUBLISH that is only looked at. */
#define FRAMER_PEEK_MAX_BYTES (PACKET_HEADER_MAX_BYTES + 2 + 65535 + 2)

struct framer {
    struct buf held;   /* a packet that has come in part */
    size_t packet_max; /* bytes, header included */
    size_t done;       /* bytes of held that the caller has been given: dropped at the next call */
    bool skipping;     /* an oversize packet was told */
    size_t skip;       /* bytes of it that are still to be passed over */
};

enum framer_result {
    FRAMER_MORE = 1,  /* all bytes are taken; no whole packet is at hand */
    FRAMER_PACKET,    /* *p is a packet; it lives until the next call */
    FRAMER_OVERSIZE,  /* a packet above packet_max has begun: p->len is its whole length, while
                         only `known` bytes of p->body are there (of a PUBLISH: topic and packet
                         id). Give up, or call again: the rest is passed over */
    FRAMER_SKIPPED,   /* its last byte has passed */
    FRAMER_MALFORMED, /* no remaining length is spelled like this (MQTT 5, 1.5.5) */
    FRAMER_MEMORY,
};

/* packet_max_bytes: of a packet that is given whole; larger ones are FRAMER_OVERSIZE. */
void framer_init(struct framer *f, size_t packet_max_bytes);
void framer_fini(struct framer *f);
/* Forgets what it holds: a new connection. */
void framer_reset(struct framer *f);
/* Takes from *bytes (moving it and *n on) until something is to be told. *known is set with
 * FRAMER_OVERSIZE. After FRAMER_MALFORMED and FRAMER_MEMORY only framer_reset helps. */
enum framer_result framer_next(struct framer *f, const uint8_t **bytes, size_t *n, struct packet *p,
                               size_t *known) MUST_CHECK;

#endif
