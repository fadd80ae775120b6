/* Self-describing binary, Protocol Buffers and CBOR: tells of each byte which item of the message it
 * belongs to, so that values are compared with the same item's last ones, as numbers.
 *
 * Fixed numbers of Protocol Buffers come least byte first; they are coded the other way round, as a
 * number is guessed from its top. The parser sees the bytes in the order in which they are coded, and
 * takes whatever it does not understand as plain bytes to the end of what holds it. */
#ifndef WIRE_MIX_CONTAINER_H
#define WIRE_MIX_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIX_CONTAINER_DEPTH  8
#define MIX_CONTAINER_NESTED 256

enum mix_role {
    MIX_HEAD,   /* tag or initial byte */
    MIX_VARINT, /* seven bits a byte, least first */
    MIX_LENGTH, /* the same, as the length of what follows */
    MIX_UINT,   /* size bytes, most first */
    MIX_FLOAT,
    MIX_BYTES,  /* of a string, or not understood */
};

struct mix_container_level {
    uint32_t path;
    uint32_t end;       /* Protocol Buffers: position */
    uint32_t left;      /* CBOR: items */
    uint32_t index, key; /* CBOR: of the item; the map key that came */
    bool map, at_key;
    bool first;         /* Protocol Buffers: no item yet */
};

struct mix_container {
    bool cbor;
    uint32_t position, length;
    struct mix_container_level level[MIX_CONTAINER_DEPTH];
    unsigned depth;
    uint8_t nested[MIX_CONTAINER_NESTED]; /* learned: this field holds a message; 0 = not known, 1 no, 2 yes */

    enum mix_role role;
    uint32_t key;       /* of the item, by path and field */
    unsigned size, at;  /* of the number or bytes under way */
    uint64_t value;     /* so far */
    bool began;         /* the byte before ended a head: an item's value begins */
};

void mix_container_begin(struct mix_container *c, bool cbor, uint32_t slot, uint32_t length);
/* The byte, in coding order. */
void mix_container_byte(struct mix_container *c, uint8_t byte);
/* Where in the message the byte coded next stands. */
uint32_t mix_container_index(const struct mix_container *c);

/* Do these n bytes look like a whole message? For the encoder's choice alone. */
bool mix_container_is_protobuf(const uint8_t *bytes, size_t n);
bool mix_container_is_cbor(const uint8_t *bytes, size_t n);

#endif
