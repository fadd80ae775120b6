/* The history tail by which the codec's model of a new epoch is primed ([P-12]): the newest messages of a
 * direction that both ends have, in the order of their numbers. Each end takes it from its own store; a hash
 * tells whether the two are the same. */
#ifndef BRIDGE_PRIMING_H
#define BRIDGE_PRIMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/msg.h"
#include "config/config.h"
#include "gateway/bridge/topic_slots.h"
#include "gateway/wire/record.h"
#include "store/peers.h"

/* [P-12]: whichever is less. */
#define PRIMING_MESSAGES    1000
#define PRIMING_BYTES       (256u << 10)

struct priming {
    struct priming_message {
        uint64_t number;
        struct msg *msg;
    } *tail; /* newest first, as the store gives them */
    size_t count, left;
    uint64_t work_left;              /* reckoned as in prime_share.h */
    uint32_t offset;                 /* of the payload of the message under way */
    uint64_t previous[CLASS_COUNT];  /* number given before, of each class */
};

/* Reads the tail of a direction from the store. timestamps: how the times of origin of its messages crossed the
 * link (TIMESTAMPS_S where they are as received). Return: 0; STORE_NONE: no tail; negative errno: the
 * store failed, or no memory. Nothing is held but after 0: priming_drop. */
int priming_load(struct priming *t, struct store *store, int peer, enum store_direction dir, int timestamps) MUST_CHECK;
/* The same of messages up to a number, at most so many and so many bytes. */
int priming_load_to(struct priming *t, struct store *store, int peer, enum store_direction dir,
                    int timestamps, uint64_t up_to, unsigned most, uint64_t max_bytes) MUST_CHECK;
/* Of a tail of which no record was given yet: the oldest messages go, until the others' work is of so many units at most
 * (prime_share.h). None may be left. */
void priming_cut(struct priming *t, unsigned units);
/* How the ends tell the tail from others. 0 = it is empty. */
uint32_t priming_name(const struct priming *t);
void priming_drop(struct priming *t);
/* The next record, oldest first; its pointers live until the next call. Return: false: there is no more. */
bool priming_next(struct priming *t, struct topic_slots *topics, struct record *r) MUST_CHECK;

#endif
