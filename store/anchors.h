/* What datagram links keep: anchors, frames that may have left, and frames that came on which others lean. All are opaque here. */
#ifndef STORE_ANCHORS_H
#define STORE_ANCHORS_H

#include "store/store.h"

#define STORE_ANCHOR_MAX_BYTES (1024 * 1024)
#define STORE_FRAME_MAX_BYTES  65536
#define STORE_FRAMES_MAX       4096 /* a peer; a window is far smaller */

/* Keeps an anchor of this id for a peer and direction; of these the newest two are kept. Putting an
 * id again replaces it. Return: 0; STORE_REFUSED: too long; negative errno. */
int store_anchor_put(struct store *s, int peer, enum store_direction dir, uint32_t id,
                     const void *bytes, size_t n) MUST_CHECK;
/* *bytes is to be freed by the caller. STORE_NONE: not kept (any more). */
int store_anchor_get(struct store *s, int peer, enum store_direction dir, uint32_t id, void **bytes,
                     size_t *n) MUST_CHECK;

/* Frames committed before they are handed to a link, so that a restart resends the same bytes.
 * Putting a number again keeps the first bytes. Works while the disk is full: what is sent makes
 * room, and a window of them is small. Return: 0; STORE_REFUSED: too many or too long; negative
 * errno. */
int store_frame_put(struct store *s, int peer, uint32_t epoch, uint64_t number, const void *bytes,
                    size_t n) MUST_CHECK;
/* Drops those of the epoch up to a number, inclusive. */
int store_frames_drop(struct store *s, int peer, uint32_t epoch, uint64_t up_to) MUST_CHECK;
/* Drops one, if it is there. */
int store_frame_drop(struct store *s, int peer, uint32_t epoch, uint64_t number) MUST_CHECK;
/* By epoch, then number. each() calls nothing of the store. */
int store_frames_each(struct store *s, int peer,
                      void (*each)(void *ctx, uint32_t epoch, uint64_t number, const void *bytes,
                                   size_t n),
                      void *ctx) MUST_CHECK;

/* What frames of the peer carried that lean on one another. Putting a number again keeps the first bytes. Return: 0;
 * STORE_REFUSED: too long; negative errno. */
int store_leaning_put(struct store *s, int peer, uint32_t epoch, uint64_t number, const void *bytes,
                      size_t n) MUST_CHECK;
/* The first of the epoch whose number is above `after`. *n in: room; out: length. Return: 0; STORE_NONE; negative errno. */
int store_leaning_next(struct store *s, int peer, uint32_t epoch, uint64_t after, uint64_t *number,
                       void *bytes, size_t *n) MUST_CHECK;
/* Drops those of other epochs than these, STORE_LEANING_EPOCHS at most. */
#define STORE_LEANING_EPOCHS 4
int store_leaning_only(struct store *s, int peer, const uint32_t *epochs, unsigned count) MUST_CHECK;

#endif
