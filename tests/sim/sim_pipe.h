/* One direction of a byte stream: a socket to a broker, or one way of a serial line. Bytes wait in a queue (what kernel and modem
 * hold), leave at the line's rate in pieces, and arrive after the delay, damaged as the profile says. Pieces arrive in order,
 * and are cut anywhere. */
#ifndef TESTS_SIM_SIM_PIPE_H
#define TESTS_SIM_SIM_PIPE_H

#include "base/buf.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_rng.h"

struct sim_pipe_profile {
    uint32_t rate_bytes_s;    /* 0 = at once */
    uint32_t piece_max_bytes; /* that leave and arrive together */
    int64_t delay_ms, jitter_ms;
    /* in a million bytes: */
    uint32_t flip_ppm, drop_ppm, insert_ppm;
    uint32_t burst_ppm;       /* of pieces: wholly garbled */
    uint32_t repeat_ppm;      /* of pieces: arrive twice */
};

struct sim_pipe_arrival {
    int64_t at_ms;
    size_t n;
    uint8_t *bytes;
};

struct sim_pipe_ops {
    /* more: another piece arrives at this same time. */
    void (*deliver)(void *ctx, const uint8_t *bytes, size_t n, bool more);
    /* The queue has become shorter. */
    void (*drained)(void *ctx);
};

struct sim_pipe {
    struct sim_clock *clock;
    struct sim_rng rng;
    struct sim_pipe_profile profile;
    const struct sim_pipe_ops *ops;
    void *ctx;
    struct buf queue;
    size_t on_air;             /* bytes of the piece that is leaving; 0 = none */
    int64_t on_air_since_us, free_at_us;
    bool garbled;              /* the piece on the air met another */
    bool stalled;              /* nothing leaves for now */
    bool mute;                 /* what leaves does not arrive */
    struct sim_pipe *medium;   /* half duplex: the other direction on the same air; else NULL */
    uint64_t generation;       /* of the events that are meant */
    struct sim_pipe_arrival *arrivals;
    size_t arrival_head, arrival_count, arrival_size;
    uint64_t bytes_in, bytes_out; /* given to it, delivered by it */
    uint8_t *taken;            /* what sim_pipe_take gave */
    uint64_t collisions, flipped, dropped, inserted, bursts, repeated; /* what befell the bytes and pieces */
};

void sim_pipe_init(struct sim_pipe *p, struct sim_clock *clock, struct sim_rng *rng, const struct sim_pipe_profile *profile,
                   const struct sim_pipe_ops *ops, void *ctx);
void sim_pipe_fini(struct sim_pipe *p);
void sim_pipe_write(struct sim_pipe *p, const void *bytes, size_t n);
/* Bytes not yet on the air. */
size_t sim_pipe_waiting(const struct sim_pipe *p);
void sim_pipe_stall(struct sim_pipe *p, bool stalled);
/* The next bytes that were written and have not arrived, whatever the time; they live until the next call. NULL: none. */
const uint8_t *sim_pipe_take(struct sim_pipe *p, size_t *n);
/* Forgets what waits (queue) and what is on its way (air). */
void sim_pipe_cut(struct sim_pipe *p, bool queue, bool air);

#endif
