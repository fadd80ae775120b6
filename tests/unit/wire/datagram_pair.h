/* Two channels on a datagram link that loses, repeats, delays and reorders, each with an owner that keeps a tiny store: what a
 * crash leaves of it is what was committed. Time is simulated; a seed replays a run exactly. */
#ifndef TESTS_UNIT_WIRE_DATAGRAM_PAIR_H
#define TESTS_UNIT_WIRE_DATAGRAM_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/wire/datagram_frame.h"

#define MESSAGES 14000
#define FLYING   400
#define MTU      340

#define KEPT    600
#define LEANING 5000

struct kept {
    bool used;
    uint32_t epoch;
    uint64_t number;
    uint16_t n;
    uint8_t *bytes; /* what the frame carries, and the frame; never changed, so that copies of a disk share it */
};

struct disk {
    bool have[MESSAGES + 1]; /* of the peer's messages */
    uint8_t saved[CHANNEL_SAVED_MAX];
    size_t saved_len;
    uint8_t saved_out[CHANNEL_SAVED_OUT_MAX];
    size_t saved_out_len;
    struct kept kept[KEPT];
    struct kept leaning[LEANING]; /* of the peer's */
    bool acked[MESSAGES + 1]; /* of its own */
};

struct end {
    struct sim *sim;
    int side;
    struct channel *channel;
    struct channel_config config;
    struct channel_identity identity;
    unsigned made;
    bool given[MESSAGES + 1];
    uint16_t index[20000]; /* records given in this epoch */
    unsigned given_count;
    struct disk live, disk;
    uint64_t frame_live;
    int64_t commit_at_ms;
    uint32_t greeted_generation; /* the peer's, as it said last */
    unsigned frames, largest, greetings, copies, give_ups;
    uint64_t bytes;
    uint8_t payload[300];
    uint16_t last; /* bytes of the frame that left last, and itself */
    uint8_t last_frame[MTU];
    int64_t made_ms[MESSAGES + 1];
    bool not_now[MESSAGES + 1];  /* of the peer's: cannot be taken */
    unsigned unknown;            /* of so many records say that their slot is not known */
    unsigned forgotten;
    uint64_t settled[CLASS_COUNT]; /* the newest that was acknowledged; 0 from the peer's loss until another is */
};

struct flying {
    bool used;
    int to;
    int64_t at_ms;
    size_t n;
    uint8_t bytes[MTU];
};

struct outcome {
    bool used;
    int side;
    uint64_t token;
    int what;
    int64_t at_ms;
};

#define BLOBS 60000

struct sim {
    uint8_t *blobs[BLOBS]; /* all that kept ever pointed to */
    unsigned blob_count;
    uint64_t seed;
    int64_t now_ms;
    double loss, twice, fail, unknown;
    int64_t delay_ms;
    struct end end[2];
    struct flying flying[FLYING];
    struct outcome outcome[FLYING];
};

/* Of all links: the programs are run once with checksums, once with keys, and with the mixing codec. */
extern enum seal_mode sim_seal;
extern unsigned sim_codec;
extern bool sim_forward; /* secrecy, at both ends */
/* Takes it from a test program's arguments. */
void sim_arguments(int argc, char **argv);

/* Both ends up, nothing to say. Checks, in all tests: frames leave only as they are on their sender's disk; a message is what it was;
 * what is acknowledged is on the other's disk. */
struct sim *sim_new(uint64_t seed, bool metered);
void sim_free(struct sim *s);
/* Kill -9 of an end and a new start. */
void sim_start(struct sim *s, int side);
/* The same process reads its configuration again: the channel is made anew, from what is committed. */
void sim_reload(struct sim *s, int side);
/* Queues messages 1, 2 ...; each fiftieth is an alarm. */
void sim_make(struct sim *s, int side, unsigned count);
unsigned sim_length(unsigned number);
void sim_step(struct sim *s, int64_t until);
void sim_run(struct sim *s, int64_t ms);
bool sim_all_acked(const struct sim *s);
uint32_t sim_random(struct sim *s);
/* Runs until all is acknowledged, at most `ms`. Return: it is. */
bool sim_drain(struct sim *s, int64_t ms);
/* Frames that a sealed link needs before the first data are taken: its ends know nothing of one another. */
unsigned sim_contact(void);

#endif
