/* One small note a link, for its driver: what a device beside us must not be asked twice, whatever
 * happens to us. It is a file of its own beside the database, because it must be on disk before the
 * driver goes on, in the midst of whatever transaction is open. */
#ifndef STORE_NOTE_H
#define STORE_NOTE_H

#include "store/store.h"

#define STORE_NOTE_MAX_BYTES 512

/* name: of the link ([a-z0-9_-]). Synced when it returns; at each moment the file holds the whole
 * of the old note or of the new one. Return: 0; negative errno (-ENOSPC: a full disk), the old note
 * stays. */
int store_note_write(const struct store *s, const char *name, const void *bytes,
                     size_t n) MUST_CHECK;
/* Return: bytes of the note; 0 = none, or none that can be read. */
size_t store_note_read(const struct store *s, const char *name,
                       uint8_t bytes[STORE_NOTE_MAX_BYTES]);

#endif
