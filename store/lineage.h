/* The tree of a peer's segments, and marks as sets of numbers (see store_remote_seen). Pure.
 * Internal to store/. */
#ifndef STORE_LINEAGE_H
#define STORE_LINEAGE_H

#include "base/msg_class.h"
#include "store/marks.h"

struct lineage_node {
    int64_t key; /* of its row; orders nodes by when they were last the current one */
    uint32_t generation;
    struct store_segment segment;
};

/* Position of the segment among n nodes, or -1. */
int lineage_find(const struct lineage_node *nodes, int n, uint32_t generation, uint32_t id);
/* Up to which number the messages of nodes a and b are the same ones. UINT64_MAX: a is b. newest:
 * position of the newest node of that generation among the known ones, against which a predecessor
 * that nobody knows is taken; -1 = none. */
uint64_t lineage_shared(const struct lineage_node *nodes, int n, int a, int b, int newest);

/* Takes out what is above `limit`. */
void mark_cut(struct store_mark *mark, uint64_t limit);
/* Adds what `other` has. What does not fit as early is left out: it will come again. */
void mark_add(struct store_mark *mark, const struct store_mark *other);
/* Moves the cumulative number over early ones that follow it. */
void mark_advance(struct store_mark *mark);

#endif
