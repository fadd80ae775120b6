/* What the conformance suite needs of each driver: a link under test, and something real at its
 * other end. A driver that joins the list adds a fixture, and all cases hold for it. */
#ifndef TESTS_CONFORM_FIXTURE_H
#define TESTS_CONFORM_FIXTURE_H

#include "tests/conform/fake_host.h"

struct fixture {
    const struct fixture_kind *kind;
    struct fake_world world;
    struct fake_link link; /* under test, opened, not started */
    union {
        char bytes[2048];
        uint64_t aligned;
    } options;
    uint8_t *far_bytes; /* what came to the far end */
    size_t far_n;
    int far_fd, far_listen_fd; /* -1 = none */
    char path[256], text[256]; /* the kind's own */
    unsigned text_number;
    struct fake_given given; /* for the driver's init */
    unsigned serial_number;
    int call_fd; /* of the message that is coming to the far end, where each has its connection */
    uint8_t call[2048];
    size_t call_n;
    struct loop_line *line; /* loop kinds: the line and the far end on it */
    struct fake_link other;
};

struct fixture_kind {
    const char *name;
    const struct link_driver *driver;
    bool has_far_end;      /* false: null, which has nothing behind it */
    bool listens;          /* stations come; the link is up without one */
    bool each_alone;       /* each frame is an affair of its own: nothing shows that the far end has
                              gone but a frame that does not get there */
    bool hears_last_words; /* what was sent before a reset comes to the far end */
    const char *detail;    /* stands in status.detail when up; NULL = nothing certain */
    /* Makes the far end and fills options. */
    void (*prepare)(struct fixture *f);
    void (*clean_up)(struct fixture *f);
    void (*far_send)(struct fixture *f, const uint8_t *bytes, size_t n);
    /* Takes what came to the far end into far_bytes. */
    void (*far_take)(struct fixture *f);
    /* The far end goes without a word, and comes back. */
    void (*far_vanish)(struct fixture *f);
    void (*far_return)(struct fixture *f);
};

extern const struct fixture_kind *const fixture_kinds[];

void fixture_set_up(struct fixture *f, const struct fixture_kind *kind);
void fixture_tear_down(struct fixture *f);
/* Where bytes pass: the link itself, or the connection that came to a listener. NULL when they do
 * not. */
struct fake_station *fixture_station(struct fixture *f);
/* Starts (where not started), and runs until bytes can pass. */
bool fixture_bring_up(struct fixture *f);
void far_append(struct fixture *f, const uint8_t *bytes, size_t n);

#endif
