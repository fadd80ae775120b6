/* Two sites, a line, their brokers, traffic and faults: one run of one seed, from first start to rest. */
#ifndef TESTS_SIM_SIM_WORLD_H
#define TESTS_SIM_SIM_WORLD_H

#include "tests/sim/sim_plan.h"
#include "tests/sim/sim_site.h"

/* What a run counts; sim_figure_names has their names, in this order. */
enum sim_figure {
    /* what went on */
    SIM_SECONDS, SIM_STEPS, SIM_MESSAGES, SIM_CAME_OUT, SIM_PAYLOAD_BYTES, SIM_LINE_BYTES, SIM_SYNCS,
    /* what befell the machines */
    SIM_KILLS, SIM_POWER_CUTS, SIM_STOPS, SIM_DISKS_FILLED, SIM_DISKS_FAILING, SIM_STORES_LOST, SIM_STORES_SET_BACK, SIM_CLOCK_JUMPS,
    /* the brokers */
    SIM_BROKER_BREAKS, SIM_BROKER_AWAY, SIM_BROKER_SLOW, SIM_SESSIONS_LOST, SIM_REFUSALS, SIM_EXPIRED,
    /* the line */
    SIM_OUTAGES, SIM_SILENCES, SIM_BYTES_DAMAGED, SIM_BYTES_LOST, SIM_BYTES_ADDED, SIM_PIECES_GARBLED, SIM_PIECES_DOUBLED,
    SIM_COLLISIONS, SIM_DATAGRAMS_LOST, SIM_DATAGRAMS_DOUBLED, SIM_SENDS_FAILED, SIM_SENDS_UNKNOWN,
    /* who is on it, and what is sealed against it */
    SIM_ATTACKS, SIM_SEALINGS,
    SIM_FIGURES
};
extern const char *const sim_figure_names[SIM_FIGURES];

struct sim_figures {           /* of a run; summed over runs by who asks */
    uint64_t of[SIM_FIGURES];
};

/* What the world did to the sites, in order: a message given to a broker, or a fault begun. With chance's state before it, each can
 * happen again whether or not the others do. */
struct sim_deed {
    int64_t at_ms;
    uint64_t chance;
    bool fault;
};

struct sim_run {
    uint64_t seed;
    const struct sim_family *family; /* NULL = as the seed says */
    bool trace;                /* lines to stdout */
    const bool *keep;          /* NULL = all; else which of the deeds happen: deeds and keep_count of an earlier run of the seed */
    const struct sim_deed *deeds;
    size_t keep_count;
};

struct sim_world {
    struct sim_run run;
    struct sim_rng rng;
    struct sim_plan plan;
    struct sim_clock clock;
    struct sim_report report;
    struct sim_ledger ledger;
    struct sim_line line;
    struct sim_site sites[2];
    unsigned traffic_left;
    bool calm;                 /* faults have ended */
    int64_t calm_at;
    struct sim_file *copies[2]; /* of the sites' disks, for setting back */
    bool copy_waits[2];         /* for the peer's answer for itself, perhaps */
    uint64_t opens_seen[2];
    bool forgot_unseen[2]; /* its broker lost the session while it was down: seen once it is up again */
    struct sim_deed *deeds;
    size_t deed_count, deed_size;
    struct sim_figures figures;
};

/* Return: true: no check was violated; else report tells which. Both leave a world for sim_world_fini. */
bool sim_world_run(struct sim_world *w, const struct sim_run *run);
void sim_world_fini(struct sim_world *w);

/* ---- sim_faults.c ---- */
/* Begins the hazards of the plan; each fault makes the next. */
void sim_faults_begin(struct sim_world *w);
/* Begins one, as chance has it. */
void sim_faults_strike(struct sim_world *w);
/* Ends them all. */
void sim_faults_end(struct sim_world *w);
/* Before each deed. */
void sim_world_note(struct sim_world *w, bool fault);

/* ---- sim_checks.c: what must hold of the whole ---- */
/* After each start of a site: what was acknowledged is there. */
void sim_check_custody(struct sim_world *w, unsigned site);
/* Messages that are under way when a store is lost or set back: they are excused, and no others. */
void sim_check_excuse(struct sim_world *w);
/* What waits where, in words. */
const char *sim_check_queues(struct sim_world *w, char out[160]);
void sim_check_trace_queues(struct sim_world *w);
/* Before a site's store is lost: of a datagram that is still on its way to it a new store, without keys, cannot know that the old one
 * had it. */
void sim_check_late(struct sim_world *w, unsigned site);
/* Before a site's broker forgets: what is under way to it comes again, and 3.1.1 has no way to mark it. */
void sim_check_unmarked(struct sim_world *w, unsigned site);
/* Everything due has been delivered and no queue holds anything. */
bool sim_check_rest(struct sim_world *w);
/* The longest that it may take from calm to rest. */
int64_t sim_check_bound_ms(const struct sim_world *w);
/* Nothing is under way: the line must be silent, or nearly, and the processors asleep. Runs the world for some hours. */
void sim_check_idle(struct sim_world *w);
/* Garbage comes in on the link, to both: nothing of it is believed, and nothing is kept. Runs the world on until it is at rest. */
void sim_check_garbage(struct sim_world *w);
/* The last look. */
void sim_check_end(struct sim_world *w);

/* Runs events up to this time, or until a check fails. */
void sim_world_run_to(struct sim_world *w, int64_t until_ms);

#endif
