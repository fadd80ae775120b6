/* What RAM mirrors of each peer: running sums, marks, counters. It is read at opening and after a
 * rollback, changed by the calls, and written before each commit, a row a peer and class: so a
 * message costs one row, its figures none. Internal to store/. */
#ifndef STORE_PEER_ROW_H
#define STORE_PEER_ROW_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/msg_class.h"

#define PEER_NAME_MAX     63
#define PEER_COUNTERS_MAX 64
#define COUNTER_NAME_MAX  47

struct store;

enum expiry_known { EXPIRY_UNKNOWN = 0, EXPIRY_NONE, EXPIRY_KNOWN };

struct class_row {
    uint64_t messages, bytes, gaps; /* queued; gap rows beside them */
    uint64_t may_have_left;
    uint64_t settled;    /* highest number that the peer has said to have */
    uint64_t cumulative; /* the receive mark */
    unsigned early;      /* numbers ahead of it */
    /* Not persistent: the first of the class to expire. */
    enum expiry_known expiry;
    int64_t expires, expires_key;
    /* Not persistent either: the first row of the class, and when it was queued; 0 = not known. */
    int64_t oldest_key, oldest_queued;
};

struct side_row { /* a direction */
    uint64_t topics_sequence;
    uint32_t topics_hash;
    uint64_t history_bytes;
};

struct counter {
    char name[COUNTER_NAME_MAX + 1];
    uint64_t value;
    bool changed;
};

struct peer_row {
    int id;
    char name[PEER_NAME_MAX + 1];
    /* Ours: the segment under which the last number was given, and what it followed. */
    uint64_t next_number;
    uint32_t segment, predecessor;
    uint64_t predecessor_end;
    /* The peer's: the newest segment that we met. */
    bool met;
    uint32_t remote_generation, remote_segment, remote_predecessor;
    uint64_t remote_predecessor_end;

    uint64_t inbox_messages, inbox_bytes, held_messages, held_bytes, intervals, retained, frames;
    struct side_row side[2];
    struct class_row class[CLASS_COUNT];
    struct counter *counters;
    unsigned counter_count;

    bool changed;
    unsigned changed_classes; /* bits */
    struct peer_row *next_changed;
};

/* Reads all. Return: 0 or negative errno; then none are there. */
int peer_rows_load(struct store *s) MUST_CHECK;
/* Writes the changed ones into the open transaction. */
int peer_rows_save(struct store *s) MUST_CHECK;
void peer_rows_free(struct store *s);
/* The peer of this id, NULL where there is none. */
struct peer_row *peer_row(struct store *s, int peer);
/* To be called with each change. */
void peer_row_changed(struct store *s, struct peer_row *p);
void peer_class_changed(struct store *s, struct peer_row *p, enum msg_class class);
/* Makes one. */
int peer_row_new(struct store *s, const char *name, struct peer_row **out) MUST_CHECK;

#endif
