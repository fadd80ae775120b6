/* Two channels on a datagram link, for fuzz targets: [config] then steps. Each has an owner with a small store, of which a crash
 * leaves what was committed. Frames lie in flight until a step says what becomes of them. */
#ifndef TESTS_FUZZ_DATAGRAM_WORLD_H
#define TESTS_FUZZ_DATAGRAM_WORLD_H

#include <stdbool.h>
#include "gateway/wire/datagram_internal.h"

#define MESSAGES_MAX 60   /* made by each end, whole and deterministic */
#define FLYING_MAX   64   /* each way; what is more is lost */
#define KEPT_MAX     600
#define LEANING_MAX  600
#define ANCHORS_MAX  8
#define GIVEN_MAX    8192
#define BLOBS_MAX    20000
#define TURNS_MAX    20000 /* of one instant: beyond, it spins */

struct kept {
    uint32_t epoch;
    uint64_t number;
    size_t n;
    const uint8_t *bytes; /* one of world.blobs, which copies of a disk share */
};

struct disk {
    bool have[MESSAGES_MAX + 1];  /* of the peer's messages */
    bool acked[MESSAGES_MAX + 1]; /* of its own */
    uint8_t saved[CHANNEL_SAVED_MAX], saved_out[CHANNEL_SAVED_OUT_MAX];
    size_t saved_len, saved_out_len;
    struct kept kept[KEPT_MAX], leaning[LEANING_MAX];
    unsigned kept_count, leaning_count;
    unsigned anchors[ANCHORS_MAX]; /* each: of the messages up to a number */
    bool anchor_out[ANCHORS_MAX];
    unsigned anchor_count;
};

struct message {
    enum msg_class class;
    uint8_t len;
};

struct flying {
    uint8_t bytes[DATAGRAM_FRAME_MAX];
    size_t n;
};

struct end {
    struct world *world;
    int side;
    struct channel *channel;
    struct channel_config config;
    struct channel_identity identity;
    bool up;
    struct message made[MESSAGES_MAX + 1];
    unsigned count;
    bool given[MESSAGES_MAX + 1];
    uint8_t given_as[GIVEN_MAX]; /* number of each record given in this epoch; 0 = one that makes no sense */
    unsigned given_count;
    struct disk live, disk, older;
    uint64_t frame;
    unsigned settled;
    unsigned prime_at, prime_end;
    uint64_t base;         /* of the numbers that are given: they rise, also after one that was made up */
    struct record hostile; /* to be given next, once */
    bool has_hostile;
    int refusals, refusal; /* so many records are answered so */
    uint64_t grant;
    struct flying flying[FLYING_MAX]; /* on their way to the other end */
    unsigned flying_count;
    uint64_t token; /* of the last frame */
    uint8_t payload[256];
};

struct world {
    struct end end[2];
    int64_t now_ms;
    uint64_t seed;
    bool forged;   /* somebody with the keys says what no honest sender would */
    bool set_back; /* a store was */
    uint8_t *blobs[BLOBS_MAX];
    unsigned blob_count;
};

/* What an input has reached, over all inputs of a process: the replay says what must be reached. */
enum reached {
    REACHED_LEANING, REACHED_MIXED_EPOCH, REACHED_LACKS_SHARE, REACHED_NO_ANCHOR, REACHED_FORGOTTEN, REACHED_FLOOR, REACHED_ECHO,
    REACHED_ANCHOR, REACHED_CHAIN_AGAIN, REACHED_HOSTILE_RECORD, REACHED_HOSTILE_LEANING, REACHED_HOSTILE_EPOCH, REACHED_HOSTILE_ACK,
    REACHED_COUNT
};
extern unsigned world_reached[REACHED_COUNT];
extern const char *const world_reached_names[REACHED_COUNT];

struct world *world_new(uint8_t how);
void world_free(struct world *w);
/* What the loop does: timers that are due, priming, and all that wants to leave. commits: the disks keep up. */
void world_serve(struct world *w, bool commits);
void world_commit(struct end *e);
/* A new process on what is on disk. */
void world_restart(struct end *e);
/* Gives the frame i towards e, or n bytes. */
void world_deliver(struct end *e, const uint8_t *bytes, size_t n);
/* Time goes to the next thing that is due, at most so far. */
void world_wait(struct world *w, int64_t most_ms);
/* A good line for a while. */
void world_good_line(struct world *w, int rounds);
/* What must hold of both ends whatever was said. */
void world_check(const struct world *w);

#endif
