/* One site: a machine with a disk and clocks, longwire on it (the real configuration reader, store and bridge), its broker and
 * the socket between them. What the daemon's loop does for the bridge is done here on simulated time. */
#ifndef TESTS_SIM_SIM_SITE_H
#define TESTS_SIM_SIM_SITE_H

#include "config/config.h"
#include "gateway/bridge/bridge.h"
#include "tests/sim/sim_broker.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_line.h"

enum sim_socket_state { SIM_SOCKET_CLOSED, SIM_SOCKET_WAITING, SIM_SOCKET_OPEN };

struct sim_socket {
    enum sim_socket_state state;
    struct sim_pipe to_broker, from_broker;
    uint64_t generation;        /* of a pending attempt or close */
    int64_t backoff_ms;
    unsigned at_once;
    bool low_told;              /* writable was told since it last was high */
};

struct sim_site {
    unsigned index;
    const char *name;
    struct sim_clock *clock;
    struct sim_report *report;
    struct sim_ledger *ledger;
    struct sim_line *line;
    struct sim_rng rng;
    char *config_text;          /* of the INI file */
    int64_t max_bytes;          /* in place of the one of the file; 0 = as it says */
    struct sim_disk disk;
    struct sim_broker broker;
    bool broker_up;             /* it takes connections */
    struct sim_socket socket;
    /* the process: */
    bool alive;
    bool gives_up;              /* says that its store is damaged */
    struct config *config;
    struct bridge_link described;
    struct store *store;
    struct bridge *bridge;
    struct primer_models *models; /* ready before it starts; NULL: the process makes its own while it runs */
    bool inside;                /* a call of the bridge is under way */
    int64_t deadline;           /* world time of the next bridge_on_timer */
    unsigned spins;             /* timer calls at one and the same moment */
    /* the clocks: */
    int64_t mono_offset_ms, wall_offset_ms;
    bool wall_trusted;
    /* what befell it: */
    /* What was on the line before its store was set back or lost (hashes): nothing of that may be taken any more. */
    uint64_t stale[SIM_ATTACKER_TAPE];
    unsigned stale_count;
    uint64_t stale_refused;
    size_t memory_peak;
    uint64_t timers, kills, power_cuts, opens, damaged;
    bool restart_pending;
};

/* What the models of all gateways begin from is made once for all runs of the program: it takes longer than many a run. NULL: no memory. */
struct primer_models *sim_site_models(void);

void sim_site_init(struct sim_site *s, unsigned index, struct sim_clock *clock, struct sim_rng *rng, struct sim_report *report,
                   struct sim_ledger *ledger, struct sim_line *line, const struct sim_broker_config *broker, const char *config_text);
void sim_site_fini(struct sim_site *s);

/* Starts longwire. Failure to is a violation of its own. */
void sim_site_start(struct sim_site *s);
/* Kill -9, or the power fails; it starts again after a while (never: restart_after_ms < 0). */
void sim_site_crash(struct sim_site *s, bool power_cut, int64_t restart_after_ms);
/* The machine stops at its n-th disk operation from now. */
void sim_site_crash_at(struct sim_site *s, uint64_t operations);
/* Its store will know less than it did: of datagrams that were recorded so far none is news any more. */
void sim_site_memory_lost(struct sim_site *s);
/* Its disk says that it waits for the peer to answer for itself, or may say so. */
bool sim_site_awaits_echo(struct sim_site *s);
/* SIGTERM, as the daemon does it. */
void sim_site_stop(struct sim_site *s);
/* After each event: a machine that stopped inside it is taken down. */
void sim_site_look(struct sim_site *s);
/* Calls the bridge's timer if it is due. */
void sim_site_timer(struct sim_site *s);

/* ---- its broker ---- */
void sim_site_broker(struct sim_site *s, bool up);
void sim_site_broker_slow(struct sim_site *s, bool to, bool from);
void sim_site_break_socket(struct sim_site *s);
void sim_site_publish(struct sim_site *s, uint32_t message);

/* ---- its link: called by the line ---- */
void sim_site_link_state(struct sim_site *s, uint64_t station, enum sim_line_state state, const char *why);
void sim_site_link_bytes(struct sim_site *s, uint64_t station, const uint8_t *bytes, size_t n);
void sim_site_link_writable(struct sim_site *s, uint64_t station);
void sim_site_link_sent(struct sim_site *s, uint64_t token, int outcome);

struct store_now sim_site_now(const struct sim_site *s);

#endif
