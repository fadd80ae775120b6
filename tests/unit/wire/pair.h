/* Two channels joined by a simulated line, each with an owner that keeps a tiny store: what the
 * tests of the whole wire stand on. Time is simulated; a seed replays a run exactly. */
#ifndef TESTS_UNIT_WIRE_PAIR_H
#define TESTS_UNIT_WIRE_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/wire/channel.h"

#define PAIR_MESSAGES 200000
#define PAIR_GIVEN    65536

struct message {
    enum msg_class class;
    uint64_t previous; /* number of the class before it */
    uint32_t len;
    int64_t made_ms;
};

/* What a store would hold of the peer. */
struct inbox {
    uint64_t cumulative[CLASS_COUNT];
    bool partial[CLASS_COUNT];
    uint64_t partial_number[CLASS_COUNT];
    uint32_t partial_have[CLASS_COUNT], partial_total[CLASS_COUNT];
    uint64_t count[CLASS_COUNT];
    int64_t last_at_ms[CLASS_COUNT]; /* when the class's latest came */
};

struct given {
    enum msg_class class;
    uint64_t number;
    uint32_t end; /* payload bytes up to here */
    bool whole;
};

/* The history tail that a model is primed from: numbers of messages, oldest first. */
#define PAIR_TAIL 100
struct tail {
    uint64_t numbers[PAIR_TAIL];
    unsigned count, next;
};

struct owner {
    struct pair *pair;
    int side;
    struct channel *channel;
    struct channel_config config;
    struct channel_identity identity;
    /* Out: number n is messages[n]. */
    struct message *messages;
    uint64_t made, last_of[CLASS_COUNT], settled[CLASS_COUNT];
    uint64_t cursor[CLASS_COUNT]; /* last number given whole */
    uint64_t piece[CLASS_COUNT];  /* number of which `piece_have` bytes are given; 0 = none */
    uint32_t piece_have[CLASS_COUNT];
    bool piece_begun[CLASS_COUNT];
    struct given given[PAIR_GIVEN];
    uint64_t given_count, acked_count;
    uint8_t payload[70000];
    uint32_t chunk_max; /* messages above it go in pieces; 0 = as room says */
    /* In. */
    struct inbox live, disk;
    uint64_t frame_live, frame_disk;
    int64_t commit_at_ms;
    int64_t commit_ms; /* how long the disk takes */
    uint64_t grant;
    int refuse;      /* answer greetings with this */
    unsigned poison; /* say of so many records that they make no sense */
    /* Priming. */
    struct tail tail_out, tail_in;
    bool forgetful;        /* has lost its history */
    int64_t prime_slow_ms; /* its processor takes so long for one slice */
    unsigned tail_work;    /* said of each message of a tail; 0 = 100 */
    int64_t prime_at_ms;
    unsigned primed_out, primed_in; /* records seen of this epoch's tails */
    uint8_t prime_payload[70000];
    /* Counted. */
    unsigned greetings, greeteds, give_ups, restarts;
    unsigned keys_in_use[2]; /* calls of key_in_use: current, next */
    uint64_t bytes_out, alarms_urgent;
    int64_t worst_alarm_ms;
    enum channel_state state;
    char why[80];
};

struct wire_byte {
    int64_t leaves_us, arrives_us;
    uint8_t value;
};

struct line {
    uint32_t rate; /* bytes a second; 0 = not limited */
    int64_t delay_ms;
    double byte_error, byte_loss, byte_insert;
    bool dead; /* swallows everything */
    uint32_t
        port_rate; /* of the serial port before the modem, where that is faster; 0 = the same */
    int64_t port_free_us;
    int64_t free_us;
    struct wire_byte *bytes;
    size_t head, count, cap;
    uint64_t carried, collided;
    uint32_t driver_ms; /* what the driver takes ahead, beside a frame */
};

struct pair {
    uint64_t seed;
    int64_t now_ms;
    struct owner owner[2];
    struct line line[2]; /* [i]: from owner i */
    bool half_duplex, echo;
    bool alike; /* all messages of an end have the same payload */
    const char *text; /* that of all messages of both, over and over; NULL: noise */
    /* Where set, called for what an end puts on the line, in place of it being carried. */
    void (*attacker)(struct pair *p, int from, const uint8_t *bytes, size_t n);
    bool wrong; /* an invariant broke: see why */
    char why[200];
};

struct pair_options {
    uint32_t rate;
    int64_t delay_ms;
    double bit_error;
    bool metered, half_duplex, avoid;
    bool cold; /* the primer's models are not made yet when the link comes up */
    int64_t probe_ms;
    uint64_t seed;
    bool forward_secrecy;
    unsigned tag_bytes;
};

/* The codec that both ends offer: a test program says which, since what holds must hold with each. */
extern unsigned pair_codec_version;
/* And the same with each seal. */
extern enum seal_mode pair_seal;
/* Sets both from a test program's arguments, and prints them. */
void pair_arguments(int argc, char **argv);

struct pair *pair_new(const struct pair_options *options);
void pair_free(struct pair *p);
/* Link events at one end (0, 1) or both (2). */
void pair_up(struct pair *p, int side);
void pair_down(struct pair *p, int side);
/* Kill -9 and start anew: only what was committed stays. The link of that end goes down and up. */
void pair_kill(struct pair *p, int side);
/* The same, and its channel is kicked: something may wait. */
void pair_restart(struct pair *p, int side);
/* Queues one message; kicks the channel. */
void pair_send(struct pair *p, int side, enum msg_class class, uint32_t len);
/* Bytes out of nowhere on the line towards `side`. */
void pair_inject(struct pair *p, int side, const void *bytes, size_t n);
/* Carries bytes as the line would have: for an attacker that lets something through. */
void pair_carry(struct pair *p, int from, const uint8_t *bytes, size_t n);
void pair_run(struct pair *p, int64_t ms);
/* Runs until all that was sent is committed and acknowledged, at most `ms`. Return: it is. */
bool pair_drain(struct pair *p, int64_t ms);
uint32_t pair_random(struct pair *p);

#endif
