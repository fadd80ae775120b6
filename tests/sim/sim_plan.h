/* What a seed stands for: the link, the brokers, both configurations, the traffic, and the hazards that the run has. A family
 * demands some hazards and leaves others to chance. */
#ifndef TESTS_SIM_SIM_PLAN_H
#define TESTS_SIM_SIM_PLAN_H

#include "tests/sim/sim_broker.h"
#include "tests/sim/sim_line.h"

enum sim_hazard {
    HAZARD_NOISE = 1 << 0,       /* damaged, lost, added, repeated bytes */
    HAZARD_DELAY = 1 << 1,       /* up to seconds each way */
    HAZARD_HALF = 1 << 2,        /* half duplex */
    HAZARD_OUTAGE = 1 << 3,      /* that the drivers notice */
    HAZARD_SILENCE = 1 << 4,     /* that nobody notices */
    HAZARD_CRASH_EDGE = 1 << 5,
    HAZARD_CRASH_HUB = 1 << 6,
    HAZARD_BROKER = 1 << 7,      /* vanishes, comes back, is slow */
    HAZARD_SESSION = 1 << 8,     /* loses its session */
    HAZARD_DISK_FULL = 1 << 9,
    HAZARD_DISK_ERROR = 1 << 10,
    HAZARD_DISCARD = 1 << 11,    /* routes that may drop: expiry, latest, intervals, overflow, oversize */
    HAZARD_LARGE = 1 << 12,      /* payloads of many frames */
    HAZARD_STORE_LOST = 1 << 13,
    HAZARD_STORE_OLD = 1 << 14,  /* set back to an older copy */
    HAZARD_METERED = 1 << 15,
    HAZARD_TCP = 1 << 16,        /* the link is a TCP connection to a listener */
    HAZARD_CLOCK = 1 << 17,      /* wall clocks jump and lose trust */
    HAZARD_STOP = 1 << 18,       /* orderly stops and starts */
    HAZARD_DATAGRAM = 1 << 19,   /* the link carries whole frames: lost, late, doubled, overtaken, their fate told wrongly */
    HAZARD_EXPIRY = 1 << 20,     /* messages with an expiry interval (MQTT 5) */
    HAZARD_REFUSE = 1 << 21,     /* brokers will not have some messages */
    HAZARD_TOPICS = 1 << 22,     /* more topics than a peer has slots */
    HAZARD_HUGE = 1 << 23,       /* payloads up to a megabyte */
    HAZARD_SEALED = 1 << 24,     /* both ends hold a secret */
    HAZARD_ATTACKER = 1 << 25,   /* somebody on the line who does not (with HAZARD_SEALED alone) */
    HAZARD_SHARES = 1 << 26,     /* no hazard: both ends have forward secrecy, which else is left to chance (with HAZARD_SEALED alone) */
};

struct sim_family {
    const char *name;
    unsigned must, may;          /* hazards */
    bool slow;                   /* a seed takes seconds: few of them will do */
};
extern const struct sim_family sim_families[];
extern const unsigned sim_family_count;

struct sim_plan {
    const struct sim_family *family;
    unsigned hazards;
    struct sim_line_config line;
    struct sim_broker_config brokers[2];
    struct sim_route routes[2][SIM_ROUTES_MAX];
    unsigned route_count[2];
    char *config[2];             /* INI text */
    int64_t max_bytes[2];        /* in place of the file's, whose least is too much to fill; 0 = the file's */
    bool metered;
    unsigned seal, seal_tag;
    int64_t probe_ms;
    unsigned messages;
    size_t len_max;
    int64_t active_ms;           /* traffic and faults last so long */
    int64_t fault_every_ms;      /* on average */
};

/* rng: of the seed. Free with sim_plan_fini. */
void sim_plan_init(struct sim_plan *p, const struct sim_family *family, struct sim_rng *rng);
void sim_plan_fini(struct sim_plan *p);
const struct sim_family *sim_family_find(const char *name);

#endif
