/* A growable byte buffer with a bound, consumed from the front: the one way bytes are queued here.
 * Embedded by its owner. `data + head` .. `data + head + len` are the bytes held. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include "base/attr.h"

#define VARINT_MAX_BYTES 10 /* ceil(64 / 7) */

struct buf {
    uint8_t *data;
    size_t head, len, cap;
    size_t max;  /* bytes that may be held; an append beyond it fails */
    bool failed; /* an append did not fit (bound or memory); stays set until buf_clear */
};

/* Empty, without memory yet; max_bytes bounds what it may ever hold. */
void buf_init(struct buf *b, size_t max_bytes);
/* Empty, over memory of the caller's: room bytes, which is also its bound. It allocates nothing and frees nothing: an append
 * fails only where it does not fit. No buf_fini, no buf_trim. */
void buf_init_over(struct buf *b, void *memory, size_t room);
/* Frees the memory. The struct may be initialised again. */
void buf_fini(struct buf *b);
/* Empties it, keeps the memory, forgets `failed`. */
void buf_clear(struct buf *b);
/* Frees memory beyond keep_bytes when empty, so that a burst does not stay in RSS. */
void buf_trim(struct buf *b, size_t keep_bytes);

/* Append. On failure nothing is appended, `failed` is set, and false returned; a run of appends may
 * be written without looking, and `failed` looked at once at the end. */
bool buf_put(struct buf *b, const void *bytes, size_t n);
bool buf_put_u8(struct buf *b, uint8_t v);
bool buf_put_be16(struct buf *b, uint16_t v);
bool buf_put_be32(struct buf *b, uint32_t v);
bool buf_put_be64(struct buf *b, uint64_t v);
/* LEB128, low 7 bits first, at most 10 bytes ([P-1] of docs/PROTOCOL.md). */
bool buf_put_varint(struct buf *b, uint64_t v);
/* Room for n bytes at the end, valid until the next call on b; NULL on failure (`failed` is set).
 * buf_commit adds the n bytes that were written there, at most what was reserved. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* The first byte held; never NULL, valid until the next append. */
const uint8_t *buf_bytes(const struct buf *b);
/* Takes n bytes (at most len) off the front. */
void buf_consume(struct buf *b, size_t n);

/* The number in four bytes, highest first. */
uint32_t be32_of(const uint8_t bytes[4]);

/* A bounded reader over bytes that belong to somebody else. A read past the end sets `bad` and gives
 * zeros from then on; look at `bad` once at the end. */
struct reader {
    const uint8_t *p;
    size_t left;
    bool bad;
};
struct reader reader_of(const void *bytes, size_t n);
uint8_t read_u8(struct reader *r);
uint16_t read_be16(struct reader *r);
uint32_t read_be32(struct reader *r);
uint64_t read_be64(struct reader *r);
/* Sets bad on more than 10 bytes, on overflow of 64 bits, and on a non-shortest form. */
uint64_t read_varint(struct reader *r);
/* n bytes in place, or NULL and bad. */
const uint8_t *read_bytes(struct reader *r, size_t n);
/* n bytes copied to out, which stays as it was where there are fewer. */
void read_into(struct reader *r, void *out, size_t n);

#endif
