/* How much payload one record may have, where the codec squeezes by a measure that is known only
 * afterwards: what is encoded can no longer be overtaken, so an alarm waits for all of it. Pure.
 *
 * A large message begins with a piece that fits a frame even if nothing can be squeezed; each
 * further piece may be twice the one before, as far as what was seen of this message bears it out. A
 * message that fits a frame by what its topic's last one came to goes whole: a piece costs the far
 * end's disk a row, and the codec the view of the whole. */
#ifndef WIRE_PIECE_SIZE_H
#define WIRE_PIECE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gateway/wire/record.h"

struct piece_size {
    /* Payload bytes that go into one coded byte, times 16; 0 is taken for 16. */
    uint16_t topic16[RECORD_TOPIC_SLOTS]; /* of a slot's last message */
    uint16_t message16[CLASS_COUNT];      /* of the class's message under way */
    uint16_t slot[CLASS_COUNT];           /* its topic */
};

/* A new stream: nothing is known. */
void piece_size_init(struct piece_size *s);
/* Payload bytes of the next record of a message, 1..left where left > 0. begun: pieces of it went before. left: bytes of it
 * still to go. room: coded bytes until the end of the frame; whole: coded bytes that a frame takes. */
uint32_t piece_size_next(const struct piece_size *s, enum msg_class class, unsigned slot,
                         bool begun, uint32_t left, size_t room, size_t whole);
/* The record (MESSAGE or CHUNK) came to so many coded bytes. */
void piece_size_coded(struct piece_size *s, const struct record *r, uint64_t coded);

#endif
