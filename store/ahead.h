/* Messages that came before what precedes them in their class (datagram links): kept until the mark
 * has reached them, so that they are passed on in order (I5). At most STORE_EARLY_MAX a class are
 * early at a time; a number that comes again replaces its row. */
#ifndef STORE_AHEAD_H
#define STORE_AHEAD_H

#include "store/marks.h"

/* message: an opaque blob of the caller's. Return: 0; negative errno (-ENOSPC when full). */
int store_ahead_put(struct store *s, int peer, enum msg_class class, uint64_t number,
                    const void *message, size_t n) MUST_CHECK;
/* Gives a copy, to be freed by the caller. Return: 0; STORE_NONE: none is kept under this number;
 * negative errno. */
int store_ahead_get(struct store *s, int peer, enum msg_class class, uint64_t number,
                    void **message, size_t *n) MUST_CHECK;
/* The same, and deletes it. */
int store_ahead_take(struct store *s, int peer, enum msg_class class, uint64_t number,
                     void **message, size_t *n) MUST_CHECK;

#endif
