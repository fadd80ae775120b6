/* A host for link drivers under test: real descriptors, but its own time. Time stands still while
 * something happens, and then jumps to the next timer, so that back-offs of a minute cost nothing.
 * It keeps all that the driver says, and stops the test (assert) at a breach of driver.h: a service
 * called from outside an op, a watch on a closed fd, a close before WATCH_NONE. */
#ifndef TESTS_CONFORM_FAKE_HOST_H
#define TESTS_CONFORM_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "link_drivers/driver.h"

#define FAKE_LINKS_MAX    4
#define FAKE_STATIONS_MAX 64
#define FAKE_FDS_MAX      512
#define FAKE_PEERS_MAX    8

struct fake_station {
    station_t station;
    enum link_state state;
    unsigned ups, downs; /* times that it was told up, down */
    char why[128];       /* of the last state */
    uint8_t *bytes;      /* delivered, one after the other */
    size_t n;
    size_t frames; /* deliveries; their lengths: */
    size_t frame_len[4096];
    unsigned writables;
};

struct fake_world;

/* What a host has for a driver before it begins. */
struct fake_given {
    struct link_peer peers[FAKE_PEERS_MAX];
    size_t peer_count;
    uint8_t note[LINK_NOTE_MAX];
    size_t note_n;
    int64_t wall_ms; /* of the world's time 0; 0 = the clock is not to be trusted */
};

struct fake_link {
    struct link_host host;
    struct fake_world *world;
    const struct link_driver *driver;
    void *ctx;
    int64_t timer_at_ms;
    struct {
        int fd;
        unsigned events;
    } fds[FAKE_FDS_MAX];
    size_t fd_count;
    struct fake_station *stations[FAKE_STATIONS_MAX]; /* [0] is STATION_NONE */
    size_t station_count;
    unsigned sent_done, sent_failed, sent_unknown;
    uint64_t last_token;
    bool outcome_due; /* a datagram was handed over, and its outcome is not told yet */
    enum send_outcome last_outcome;
    station_t last_sent;                    /* whose outcome it was */
    struct fake_given given;                /* the note as it was written last */
    unsigned note_writes;
    int note_error; /* what the next note_write returns */
    char last_report[1024];
    station_t last_report_station;
    bool last_report_published;
    unsigned reports;
    bool disk_stands; /* what is delivered is not told to be on disk */
    bool commit_due;
    void (*on_deliver)(struct fake_link *l,
                       station_t station); /* the host's answer from inside deliver; NULL = none */
    unsigned warnings;                     /* traces of level 2 */
    char last_trace[256];
};

struct fake_world {
    int64_t now_ms;
    int grace_real_ms; /* what kernel and threads do by themselves gets this long before time jumps
                        */
    /* NULL, or waits for what is on its way between the ends under test, instead of grace_real_ms.
     * Return: whether anything arrived. */
    bool (*settle)(void *arg);
    void *settle_arg;
    uint32_t random;
    unsigned in_op; /* depth: a service may be called */
    int64_t op_began_real_ms;
    struct fake_link *links[FAKE_LINKS_MAX];
    size_t link_count;
};

void fake_world_init(struct fake_world *w);

/* Init of a driver under this host. Return: what the driver's init returned; fake_link_close is due
 * in any case. */
int fake_link_open(struct fake_world *w, struct fake_link *l, const struct link_driver *driver,
                   const void *options, bool metered);
/* The same, with peers, a note of an earlier life, a clock. */
int fake_link_open_given(struct fake_world *w, struct fake_link *l,
                         const struct link_driver *driver, const void *options, bool metered,
                         const struct fake_given *given);
/* Fini. Asserts that no watch and no timer is left. */
void fake_link_close(struct fake_link *l);

/* The ops, at the world's time. */
void fake_start(struct fake_link *l);
void fake_stop(struct fake_link *l);
size_t fake_room(struct fake_link *l, station_t station);
int fake_send(struct fake_link *l, station_t station, const void *bytes, size_t n);
void fake_reset(struct fake_link *l, station_t station, const char *why);
void fake_on_fd(struct fake_link *l, int fd, unsigned events);
void fake_on_timer(struct fake_link *l);
struct link_status fake_status(struct fake_link *l);
/* What was delivered is on disk: tells a driver that wants to know. Without disk_stands the host does
 * so by itself, after the op. */
void fake_commit(struct fake_link *l);
/* The next send is of an alarm. */
int fake_send_urgent(struct fake_link *l, station_t station, const void *bytes, size_t n);

/* What is known of a station; NULL when the driver never named it. STATION_NONE always is. */
struct fake_station *fake_station(struct fake_link *l, station_t station);
/* The station that came up last and still is; NULL when none is. */
struct fake_station *fake_latest_station(struct fake_link *l);
bool fake_is_up(const struct fake_link *l);
size_t fake_watches(const struct fake_link *l);

/* Runs until cond(arg) holds. Return: false when it never did: nothing is left to happen, a minute
 * of real time or a day of the world's has passed. */
bool fake_run(struct fake_world *w, bool (*cond)(void *arg), void *arg);
/* Lets happen what happens by itself within `ms` of the world's time. */
void fake_run_for(struct fake_world *w, int64_t ms);

#endif
