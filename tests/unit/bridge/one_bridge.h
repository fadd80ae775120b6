/* One bridge in a unit test: a store in a folder of its own, simulated time, a link that takes what it is given and a
 * broker that hears. */
#ifndef TESTS_UNIT_BRIDGE_ONE_BRIDGE_H
#define TESTS_UNIT_BRIDGE_ONE_BRIDGE_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "gateway/bridge/bridge.h"

struct one_bridge {
    char folder[64];
    struct config *config;
    struct store *store;
    struct bridge *bridge;
    struct bridge_link link;
    struct store_now now;
    struct buf to_broker;
    unsigned sent, warnings;
    uint64_t ended[256]; /* stations whose connection it had ended, in order */
    size_t ended_count;
    /* Where set, called with what it sends. */
    void (*on_send)(struct one_bridge *f, uint64_t station, const uint8_t *bytes, size_t n);
    void *ctx;
};

/* text: its INI file, with [store] path = s.db and one link. link: the properties of that. */
struct one_bridge *one_bridge_new(const char *text, struct bridge_link link);
void one_bridge_free(struct one_bridge *f);
/* As after kill -9: what was not committed is gone. */
void one_bridge_restart(struct one_bridge *f);
/* Bytes that are no more to be guessed than those of the environment. */
void one_bridge_random(void *ctx, void *bytes, size_t n);
/* Runs the timers up to then. */
void one_bridge_until(struct one_bridge *f, int64_t mono_ms);

#endif
