/* Was the store set back? A copy that is put in its place (a backup, a card image) knows nothing of what came after it was made, so
 * it would take a recording of that for news. Beside the database lies a small file that bears witness of how far it had come:
 * each commit raises a counter, and is written down there once it is on disk. So the database is never behind its witness, but
 * where another took its place; not after a crash or a power cut either, which can only take from the witness.
 *
 * Both may be put back together. With the files alone it shows: a file's time of change cannot be copied, and the witness
 * knows its own. With the whole disk it shows only by how old the copy is (STORE_AGED_MS).
 *
 * Being wrong costs a few bytes for each peer on a datagram link ([P-10.12]) where it says "set back", and lets a recording pass where it
 * says "no": so what is not known counts as set back, but for the age without a clock to be trusted. Internal to store/. */
#ifndef STORE_WITNESS_H
#define STORE_WITNESS_H

#include "store/store.h"

/* Is the database, as it was found, the one that the witness speaks of? To be asked before anything is committed. Return: NULL = yes; a
 * sentence for the log: why not. */
const char *witness_contradicts(const struct store *s);
/* After a commit. sync: that this process has begun survives a power cut, too; else the file may fall behind. One that cannot be
 * written is removed: its lack counts as set back. Return: 0; negative errno. */
int witness_write(struct store *s, bool sync);

#endif
