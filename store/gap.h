/* Discarded messages (I6): each leaves a gap row at its number, which travels in sequence and goes
 * when the peer has it. */
#ifndef STORE_GAP_H
#define STORE_GAP_H

#include "store/store.h"

enum gap_reason {
    GAP_EXPIRED = 1,
    GAP_OVERFLOW,
    GAP_OVERSIZE,
    GAP_REPLACED,
    GAP_INTERVAL,
    GAP_LOST,
    GAP_REFUSED
};
/* "expired", "overflow", "oversize", "replaced", "interval", "lost", "refused". Static. */
const char *gap_reason_name(enum gap_reason r);

/* Turns the message into a gap row, or into part of one: it is merged with the newest gap of the
 * same class, route and reason where that stands above `fixed` (the highest number that may have
 * left, as what may have left must stay as it was). The merged row has the higher of both numbers
 * and counts both; numbers between that it does not count are messages still queued, or gaps of
 * other routes. A message at or below `fixed`, whose fate the caller has learned (an aborted one),
 * gets a row of its own. Works while the disk is full. Return: 0; STORE_NONE: there is no such
 * message; negative errno. */
int store_outbox_discard(struct store *s, int peer, enum msg_class class, uint64_t number,
                         enum gap_reason reason, uint64_t fixed) MUST_CHECK;
/* A message that is not even queued (oversize, overflow with drop-newest, interval): takes a number
 * for it and adds the gap. origin_ms: its wall time, 0 = not known. Works while the disk is full.
 * Return: 0; STORE_REFUSED: no numbers are left; negative errno. */
int store_outbox_gap(struct store *s, int peer, enum msg_class class, const char *route,
                     enum gap_reason reason, int64_t origin_ms, uint64_t fixed) MUST_CHECK;

#endif
