/* Somebody on the line who can do everything to what goes by but open it: keeps frames, changes, cuts, drops, doubles, holds
 * back, plays back (also those of before a restart), sends them back to their maker, and makes up new ones. */
#ifndef TESTS_SIM_SIM_ATTACKER_H
#define TESTS_SIM_SIM_ATTACKER_H

#include <stddef.h>
#include <stdint.h>

#include "tests/sim/sim_rng.h"

#define SIM_ATTACKER_TAPE  256
#define SIM_ATTACKER_FRAME 2048

struct sim_attacker {
    struct sim_rng rng;
    uint32_t ppm; /* of frames that it does something to; 0 = not there */
    uint64_t attacks;
    unsigned recorded;
    struct sim_recording {
        unsigned from;
        size_t n;
        uint8_t bytes[SIM_ATTACKER_FRAME];
    } tape[SIM_ATTACKER_TAPE], held;
    void (*carry)(void *ctx, unsigned from, const uint8_t *bytes, size_t n);
    void *ctx;
};

/* A frame, as its maker gave it to the line. Carries what is to be carried. datagram: bytes are the frame itself, else framed for a
 * byte stream. */
void sim_attacker_see(struct sim_attacker *a, unsigned from, const uint8_t *bytes, size_t n, bool datagram);
/* All that it has of one end once more, in its order. */
void sim_attacker_play(struct sim_attacker *a, unsigned from);

#endif
