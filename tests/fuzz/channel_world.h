/* Two channels on a byte stream, for fuzz targets: [config] then steps. Each has an owner whose disk is a count of messages. Bytes lie on
 * the line until a step says what becomes of them. */
#ifndef TESTS_FUZZ_CHANNEL_WORLD_H
#define TESTS_FUZZ_CHANNEL_WORLD_H

#include <stdbool.h>
#include "gateway/wire/channel.h"
#include "gateway/wire/channel_internal.h"

#define MESSAGES_MAX 64  /* made by each end */
#define LINE_MAX     65536
#define TURNS_MAX    2000 /* of one instant: beyond, it spins */
#define TAIL         12   /* messages of a history tail */

struct message {
    enum msg_class class;
    uint64_t previous;
    uint16_t len;
};

struct end {
    struct world *world;
    int side;
    struct channel *channel;
    struct channel_config config;
    struct channel_identity identity;
    struct buf line;                     /* bytes on their way to the other end */
    struct message made[MESSAGES_MAX + 1];
    unsigned count, cursor;              /* all after cursor are still to be given, in order of number */
    uint32_t offset;                     /* of the one after cursor */
    unsigned given[8192];                /* number of each record given, 0 = a piece */
    uint64_t given_count, acked_count;
    unsigned live, disk;                 /* numbers received, all classes in one order */
    uint32_t live_have, disk_have;       /* bytes of the next one */
    uint64_t frame;
    bool refuses;
    unsigned tail_at[2], tail_end[2];    /* of the history that models are primed from: in, out */
    uint8_t payload[4096];
};

struct world {
    struct end end[2];
    int64_t now_ms;
    uint64_t seed;
    bool forged;
};

/* What an input has reached, over all inputs of a process. */
enum reached {
    REACHED_PRIMED, REACHED_HOSTILE_RECORD, REACHED_TAMPERED_DATA, REACHED_TAMPERED_CONTROL, REACHED_FORGED_DATA,
    REACHED_FORGED_CONTROL, REACHED_COUNT
};
extern unsigned world_reached[REACHED_COUNT];
extern const char *const world_reached_names[REACHED_COUNT];

/* One end of two, its link down; how: the config. */
void world_begin(struct world *w, int side, uint8_t how);
void world_restart(struct end *e);
void world_commit(struct end *e);
/* Gives the first n bytes on the line towards e, or loses them. */
void world_deliver(struct end *e, size_t n, bool lose);
/* What the loop does: timers that are due, priming, and all that wants to leave. */
void world_serve(struct world *w, bool commits);
/* Time goes to the next thing that is due. */
void world_wait(struct world *w, int64_t most_ms);

#endif
