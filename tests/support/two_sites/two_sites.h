/* Two whole gateways, an edge and a hub, each with a small broker, joined by a line that loses nothing: the real bridge,
 * wire, store and MQTT session on simulated time. For tests that break something else than the line: tests/crash, and
 * tests/fuzz. (tests/sim has lines, disks and brokers that misbehave.) */
#ifndef TESTS_SUPPORT_TWO_SITES_TWO_SITES_H
#define TESTS_SUPPORT_TWO_SITES_TWO_SITES_H

#include "config/config.h"
#include "gateway/bridge/bridge.h"
#include "store/store.h"
#include "tests/support/two_sites/small_broker.h"

#define TWO_SITES_LINE 65536

struct site {
    struct two_sites *world;
    struct config *config;
    char path[96];
    struct store *store;
    struct bridge *bridge;
    struct small_broker broker;
    bool broker_open, broker_drop;      /* the socket; asked to be closed */
    bool link_up, reset, damaged;
    int64_t broker_at_ms, link_at_ms;   /* not before then is it opened again */
    uint8_t line[TWO_SITES_LINE];       /* bytes on their way to this site */
    size_t line_len;
    char to_broker[SMALL_BROKER_OUT];
    size_t to_broker_len;
    char last_error[600];               /* of the log, or of what could not start */
    unsigned errors;
};

struct two_sites {
    char folder[64];
    struct store_now now;
    uint32_t seed;
    struct site site[2];                /* edge, hub */
    /* Called around each call into a site's gateway, and (left, entered) around each of its services. NULL = not. */
    void (*enter)(unsigned site);
    void (*leave)(unsigned site);
};

/* Makes folder and configurations; nothing runs. Return: false: no room for them. */
bool two_sites_init(struct two_sites *w);
/* Stops what runs and removes the folder. */
void two_sites_fini(struct two_sites *w);
/* Opens store and bridge; links and broker come up as time goes on. Return: false: last_error says why, nothing runs. */
bool two_sites_start(struct two_sites *w, unsigned site);
/* As kill -9 leaves it. */
void two_sites_kill(struct two_sites *w, unsigned site);
/* Lets so much time pass, each event at its time. */
void two_sites_run(struct two_sites *w, int64_t ms);

#endif
