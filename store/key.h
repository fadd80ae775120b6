/* Composite keys: what would be an index becomes one 63-bit rowid, so that every query of the store
 * is a walk from one key. Internal to store/. */
#ifndef STORE_KEY_H
#define STORE_KEY_H

#include <assert.h>
#include <stdint.h>
#include "base/msg_class.h"
#include "store/topics.h"

#define KEY_NUMBER_BITS 46
#define KEY_PEER_BITS   13 /* ids 1..STORE_PEERS_MAX */
#define KEY_NUMBER_MASK ((int64_t)STORE_NUMBER_MAX)

static_assert(STORE_NUMBER_MAX == (1ull << KEY_NUMBER_BITS) - 1, "numbers fill their field");
static_assert(STORE_PEERS_MAX < 1 << KEY_PEER_BITS, "every peer id fits");
static_assert(CLASS_COUNT <= 4, "a class takes two bits");
static_assert(KEY_PEER_BITS + 2 + KEY_NUMBER_BITS <= 63, "keys are positive rowids");
static_assert((STORE_TOPIC_SLOTS & (STORE_TOPIC_SLOTS - 1)) == 0, "slots fill their field");

/* The key above all numbers of (peer, class or direction); number 0 is never given, so this is an
 * exclusive lower bound. */
static inline int64_t key_base(int peer, int class_or_direction)
{
    return ((int64_t)peer << (KEY_NUMBER_BITS + 2)) |
           ((int64_t)class_or_direction << KEY_NUMBER_BITS);
}

static inline int64_t key_of(int peer, int class_or_direction, uint64_t number)
{
    return key_base(peer, class_or_direction) | (int64_t)(number & STORE_NUMBER_MAX);
}

static inline uint64_t key_number(int64_t key)
{
    return (uint64_t)(key & KEY_NUMBER_MASK);
}

static inline enum msg_class key_class(int64_t key)
{
    return (enum msg_class)(key >> KEY_NUMBER_BITS & 3);
}

static inline int key_peer(int64_t key)
{
    return (int)(key >> (KEY_NUMBER_BITS + 2));
}

/* (peer, class), the group of the expiry index and of small tables with a row a class. */
static inline int64_t key_group(int peer, int class)
{
    return (int64_t)peer << 2 | class;
}

/* (peer, direction). */
static inline int64_t key_side(int peer, enum store_direction dir)
{
    return (int64_t)peer << 1 | (int64_t)dir;
}

#endif
