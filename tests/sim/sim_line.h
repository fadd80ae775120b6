/* The link between the two sites: a serial line or radio (both ways at byte level, full or half duplex), or a TCP connection
 * that the edge makes to the hub's listener. Outages show as link states, or do not show at all. */
#ifndef TESTS_SIM_SIM_LINE_H
#define TESTS_SIM_SIM_LINE_H

#include "tests/sim/sim_attacker.h"
#include "tests/sim/sim_pipe.h"

enum sim_line_state { SIM_LINE_DOWN, SIM_LINE_CONNECTING, SIM_LINE_UP };

struct sim_line_config {
    struct sim_pipe_profile profile; /* of each way */
    bool half_duplex;
    bool tcp;               /* no damage; a reset cuts both ends; each connection is a new station at the hub */
    uint32_t horizon_bytes; /* while kernel and modem hold more, the driver takes nothing; else one whole frame: */
    uint32_t frame_bytes;
    uint8_t avoid[2];       /* byte values that must not be on the line */
    size_t avoid_count;
    /* A datagram link: whole frames of at most mtu, each on its own way: late, lost, doubled, overtaken; 0 = a byte stream.
     * What is told of a send may be false: "unknown" of one that arrives. In a million frames: */
    size_t mtu;
    uint32_t lose_ppm, double_ppm, fail_ppm, unknown_ppm;
    uint32_t attack_ppm;    /* of frames, what an attacker does something to; 0 = nobody is there */
};

struct sim_line_ops {
    void (*state)(void *ctx, unsigned side, uint64_t station, enum sim_line_state state, const char *why);
    void (*bytes)(void *ctx, unsigned side, uint64_t station, const uint8_t *bytes, size_t n);
    void (*writable)(void *ctx, unsigned side, uint64_t station);
    /* DATAGRAM: outcome: enum send_outcome of link_drivers/driver.h. */
    void (*sent)(void *ctx, unsigned side, uint64_t token, int outcome);
};

struct sim_line;
struct sim_datagram {
    uint32_t id;
    unsigned to;
    size_t n;
    uint8_t bytes[];
};
struct sim_line_end {
    struct sim_line *line;
    unsigned side;
    struct sim_pipe out;    /* from this end */
    bool running;           /* the program that uses it is there */
    enum sim_line_state state;
    uint64_t generation;    /* of pending state changes */
    bool busy;              /* DATAGRAM: a send is under way: */
    uint64_t token;
    int outcome;
    bool wants_room;        /* was told 0 */
    uint64_t forbidden;     /* bytes of `avoid` that it was given to send */
};

struct sim_line {
    struct sim_clock *clock;
    struct sim_rng rng;
    struct sim_line_config config;
    const struct sim_line_ops *ops;
    void *ctx;
    struct sim_line_end ends[2];
    bool out_of_order;      /* an outage that both drivers notice */
    uint64_t station;       /* of the hub's side; TCP */
    struct sim_datagram **datagrams; /* on their way */
    size_t datagram_count, datagram_size;
    uint32_t last_datagram;
    uint64_t datagram_bytes, datagrams_lost, datagrams_doubled, sends_failed, sends_unknown;
    struct sim_attacker attacker;
};

void sim_line_init(struct sim_line *l, struct sim_clock *clock, struct sim_rng *rng, const struct sim_line_config *config,
                   const struct sim_line_ops *ops, void *ctx);
void sim_line_fini(struct sim_line *l);

/* The program of this side starts, or dies: what it had written and the kernel not yet sent is lost, or not. */
void sim_line_start(struct sim_line *l, unsigned side);
void sim_line_stop(struct sim_line *l, unsigned side);

/* ---- what a driver offers ---- */
size_t sim_line_room(struct sim_line *l, unsigned side);
/* Return: 0 or negative errno. */
int sim_line_send(struct sim_line *l, unsigned side, const uint8_t *bytes, size_t n, uint64_t token);
/* Closes and opens again after a while. */
void sim_line_reset(struct sim_line *l, unsigned side);
uint64_t sim_line_station(const struct sim_line *l, unsigned side);

/* ---- what befalls it ---- */
/* Both drivers see it go down, and up again when it ends. */
void sim_line_outage(struct sim_line *l, bool begins);
/* Nothing arrives, in one direction or both, and nobody is told. */
void sim_line_silence(struct sim_line *l, bool from_edge, bool from_hub);
/* The attacker goes; what it held back goes with it. */
void sim_line_attacker_ends(struct sim_line *l);
/* Bytes that both ends gave it to carry. */
uint64_t sim_line_bytes(const struct sim_line *l);

#endif
