/* The typed records that one direction of a link carries: what the codec squeezes and the peer acts
 * on. [P-6] */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/msg_class.h"

#define RECORD_TOPIC_SLOTS 4096    /* of the topic table; slot numbers are below */
#define RECORD_NO_SLOT     0xffffu /* message carries its topic as text (datagram anchor frames) */
#define RECORD_CHUNK_MAX   65535u  /* payload bytes in one record, whatever the frame */
#define RECORD_REASONS     16

enum record_type {
    RECORD_MESSAGE = 0, /* a message, or its first piece */
    RECORD_CHUNK = 1,   /* a further piece of the class's partial message */
    RECORD_TOPIC = 2,   /* writes a slot of the topic table */
    RECORD_GAP = 3,     /* messages that will never come: counted, with the reason */
    RECORD_ABORT =
        4, /* the class's partial message will not be finished; a gap follows in its place */
    RECORD_TOPICS_RESET = 5, /* the table is begun anew, all slots empty */
};
#define RECORD_TYPES 6

/* Pointers belong to whoever made the record and live during the call that passes it. Only the
 * fields of the type are meant. */
struct record {
    enum record_type type;
    enum msg_class class; /* MESSAGE, CHUNK, GAP, ABORT */

    /* MESSAGE, GAP, ABORT: the number, and the number of the class before it that the sender has
     * sent or dropped; previous < number. CHUNK: number is that of the partial message (known to
     * both ends: costs nothing). */
    uint64_t number, previous;

    /* MESSAGE */
    unsigned slot; /* topic table slot, or RECORD_NO_SLOT: then topic, topic_len */
    uint8_t qos;
    bool retain;
    bool has_origin;   /* time of origin is carried, rounded as the route asks: */
    bool origin_in_ms; /*   in ms, else in whole seconds */
    int64_t origin_ms; /* Unix, ms */
    bool has_expiry;
    uint64_t expiry_s;    /* left to live when encoded, seconds, rounded up */
    const uint8_t *props; /* as struct msg has them */
    uint32_t props_len;
    const char *hops;
    uint32_t hops_len;
    uint32_t total; /* payload bytes of the whole message */

    /* MESSAGE, CHUNK: this piece of the payload, from offset (0 in MESSAGE) */
    uint32_t offset;
    const uint8_t *bytes;
    uint32_t len;

    /* TOPIC (slot, too), and MESSAGE with RECORD_NO_SLOT */
    const char *topic;
    uint32_t topic_len;

    /* GAP: number is the highest it covers */
    uint64_t first_number, count;
    unsigned reason; /* enum gap_reason of store/outbox.h; < RECORD_REASONS */
    int64_t from_ms,
        to_ms; /* origin times of first and last, ms, 0 = not known; carried in whole seconds */
    const char *route;
    uint32_t route_len;
};

#endif
