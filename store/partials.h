/* Messages of which only a part is here yet: at most one a peer and class (I2). */
#ifndef STORE_PARTIALS_H
#define STORE_PARTIALS_H

#include "store/store.h"

struct store_partial {
    uint64_t number;
    uint32_t total, have; /* payload bytes */
};
/* Begins one (an older of the class is dropped): header is an opaque blob of the caller's (the
 * message without payload). The caller bounds total and header_len. -ENOSPC when full. */
int store_partial_begin(struct store *s, int peer, enum msg_class class, uint64_t number,
                        uint32_t total, const void *header, size_t header_len) MUST_CHECK;
/* Appends at offset; it must be == have. STORE_REFUSED where not, or beyond total; STORE_NONE where
 * there is none. -ENOSPC when full. */
int store_partial_add(struct store *s, int peer, enum msg_class class, uint32_t offset,
                      const void *bytes, size_t n) MUST_CHECK;
/* STORE_NONE where there is none. */
int store_partial_get(struct store *s, int peer, enum msg_class class,
                      struct store_partial *out) MUST_CHECK;
/* The header and the n bytes so far, both to be freed by the caller. The partial stays until it is
 * dropped. STORE_NONE. */
int store_partial_take(struct store *s, int peer, enum msg_class class, void **header,
                       size_t *header_len, uint8_t **payload, uint32_t *n) MUST_CHECK;
/* Return: 0, also where there was none. */
int store_partial_drop(struct store *s, int peer, enum msg_class class) MUST_CHECK;

#endif
