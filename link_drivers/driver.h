/* The contract of a link driver: how one kind of link speaks. A driver is one static const ops
 * table. It sees neither loop nor store nor MQTT; it calls only its host's services. Everything
 * above is the same for all drivers.
 *
 * Two kinds. STREAM: bytes in order, maybe damaged or lost; framing is above. DATAGRAM: whole
 * frames of at most an MTU, maybe lost, repeated, late, reordered; each may cost money.
 *
 * A *station* is the opaque far address of a frame on a link that serves many (a TCP connection of
 * a listener, an IMEI, a callsign); point-to-point lines use STATION_NONE. Stations are never
 * reused within a process, so a late event cannot hit the wrong one. */
#ifndef LINK_DRIVERS_DRIVER_H
#define LINK_DRIVERS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/option.h"

typedef uint64_t station_t;
#define STATION_NONE 0

enum link_kind { LINK_STREAM, LINK_DATAGRAM };

enum link_state {
    LINK_DOWN,       /* nothing can pass; the driver tries again by itself */
    LINK_CONNECTING, /* dialling, connecting, opening */
    LINK_UP,         /* bytes can pass */
};

enum send_outcome {
    SEND_DONE,    /* the link has it (DATAGRAM: handed over; not: the peer has it) */
    SEND_FAILED,  /* certainly did not leave */
    SEND_UNKNOWN, /* may or may not have left */
};

#define LINK_NOTE_MAX 512 /* bytes */

enum watch { WATCH_NONE = 0, WATCH_READ = 1, WATCH_WRITE = 2 };

struct link_host;

/* One of the peers that a link which serves many may speak with: it has its station from the start, without having called. */
struct link_peer {
    station_t station;
    const char *name;    /* for the log */
    const char *imei;    /* the peer's address on a directip link; "" = none */
    size_t mt_max;       /* bytes of the largest frame to it */
};

/* DATAGRAM: what the layers above must know of the bill and the patience of a link (DESIGN 2). All 0: nothing. */
struct link_terms {
    uint32_t quantum_bytes;  /* billed in started multiples of this: a frame is filled towards one */
    int64_t hold_ms;         /* how long normal and bulk may wait for company; alarm and high do not */
    int64_t ack_max_age_ms;  /* what is on disk is acknowledged after this, if need be by a frame of its own; and a window
                                full for so long is resent from its oldest frame on */
    unsigned alarm_places;   /* of the window, kept for frames with alarms */
};

/* What a host offers. All are called from inside a driver's ops (start and stop too). From inside
 * `deliver` the host may call room, send and reset of the same driver, also for the station that
 * speaks; from inside the others, nothing of the driver. It never stops or frees the driver from
 * inside. send and room call back watch, timer and trace only. */
struct link_host_ops {
    /* Watch fd for `events` (replaces what was watched); WATCH_NONE forgets it and must come before
     * close(fd). */
    void (*watch)(struct link_host *h, int fd, unsigned events);
    /* The one timer of the driver: on_timer at or after at_ms (monotonic). INT64_MAX: none. */
    void (*timer)(struct link_host *h, int64_t at_ms);
    /* STREAM: n bytes as they came. DATAGRAM: one whole frame. */
    void (*deliver)(struct link_host *h, station_t station, const uint8_t *bytes, size_t n);
    /* DATAGRAM: what became of the send with this token. */
    void (*sent)(struct link_host *h, station_t station, uint64_t token, enum send_outcome outcome);
    /* room() has grown after it had been 0, or a send had been refused. May come without need. */
    void (*writable)(struct link_host *h, station_t station);
    /* The state of the link (STATION_NONE) or of one station changed. why: static or short-lived
     * words for the log. */
    void (*state)(struct link_host *h, station_t station, enum link_state state, const char *why);
    /* One event worth a log line at debug (level 0), info (1) or warning (2). */
    void (*trace)(struct link_host *h, int level, const char *fmt, ...) PRINTF_LIKE(3, 4);
    /* Random bits, for jitter only. */
    uint32_t (*random)(struct link_host *h);
    /* The i-th peer of this link (in the order of the configuration), NULL behind the last. Lives as long as the driver. */
    const struct link_peer *(*peer)(struct link_host *h, size_t i);
    /* A note of at most LINK_NOTE_MAX bytes that survives the process, one a link: synced before it returns. Return: 0 or
     * negative errno (-ENOSPC: a full disk). From inside any op. */
    int (*note_write)(struct link_host *h, const void *bytes, size_t n);
    /* Bytes of the last note, 0 = none. */
    size_t (*note_read)(struct link_host *h, uint8_t bytes[LINK_NOTE_MAX]);
    /* Unix ms, for ages across a restart (budgets); 0 where the clock is not to be trusted (I11). NULL: never. */
    int64_t (*wall_ms)(struct link_host *h);
    /* Something that the link learnt of a station (a position, a session): one JSON object, for status; publish: also as a
     * message under the gateway's topic_base. */
    void (*report)(struct link_host *h, station_t station, const char *json, bool publish);
};

struct link_host {
    const struct link_host_ops *ops;
    void *owner; /* the host's own */
    bool
        metered; /* each byte costs: the driver sends nothing of its own accord. Set before init. */
};

struct link_status {
    uint64_t bytes_in, bytes_out; /* on the line */
    char detail[128];             /* e.g. the resolved device, the remote address, why it is down */
};

struct link_driver {
    const char *name;
    enum link_kind kind;
    const struct option_group *options;
    size_t ctx_size; /* zeroed by the host before init */

    /* Takes options (valid until fini) and host. Opens nothing. Leaves a state that fini accepts,
     * also on failure. Return: 0 or negative errno. */
    int (*init)(void *ctx, const void *options, struct link_host *host);
    void (*fini)(void *ctx);
    /* Begins to bring the link up, and keeps it up until stop: failures are retried with back-off,
     * and told through state. */
    void (*start)(void *ctx, int64_t now_ms);
    /* Takes the link down now; what was accepted and has not left is lost. A host with last words
     * gives them the line time of its last sends before it stops. */
    void (*stop)(void *ctx, int64_t now_ms);

    /* STREAM: bytes that send takes now such that kernel and modem hold at most about a second of
     * line time (less where the line is fast: see the driver), and always enough for the largest
     * frame, or 0 until `writable`. 0 also while the link or the station is not up. DATAGRAM: 0 or
     * the mtu. */
    size_t (*room)(void *ctx, station_t station, int64_t now_ms);
    /* STREAM: takes all n bytes (n <= room) or, when the link went away, none. DATAGRAM: one frame,
     * n <= mtu; `sent` tells the outcome later. urgent: an alarm is in it. Return: 0, or -EAGAIN
     * (no room; a DATAGRAM link that has room says so when only frames with an alarm are taken now,
     * until `writable`), -ENOTCONN (not up), -EMSGSIZE. */
    int (*send)(void *ctx, station_t station, const uint8_t *bytes, size_t n, uint64_t token,
                bool urgent, int64_t now_ms) MUST_CHECK;
    /* DATAGRAM: the largest frame for this station. NULL for STREAM. */
    size_t (*mtu)(void *ctx, station_t station);
    /* DATAGRAM: see link_terms. NULL: nothing to tell. */
    void (*terms)(void *ctx, station_t station, struct link_terms *out);
    /* All that was delivered before this call is on our disk: what the far side waits to hear of it may be said. NULL: not
     * needed. */
    void (*committed)(void *ctx, int64_t now_ms);
    /* STREAM: bytes a second that the line carries at most; 0 = not known (TCP). */
    uint32_t (*rate)(void *ctx);
    /* STREAM: byte values that must not appear on the line (e.g. "\x11\x13" with xonxoff); *n their
     * number. NULL = none. */
    const uint8_t *(*avoid)(void *ctx, size_t *n);
    /* Half duplex line: only one end may speak at a time. NULL = full duplex. */
    bool (*half_duplex)(void *ctx);
    /* The far end is a listener, which cannot know who we are until we have said it: each connection begins with a greeting, also
     * on a metered link with nothing to send. NULL = no. */
    bool (*calls)(void *ctx);
    /* Of a link that serves many: how many stations may be there at a time that have not proved who they are. NULL = as many as the
     * host likes. */
    size_t (*guests)(void *ctx);
    /* Ends one station (TCP connection) or, for STATION_NONE, drops and reopens the link: the peer
     * is silent. why for the log. */
    void (*reset)(void *ctx, station_t station, const char *why, int64_t now_ms);

    void (*on_fd)(void *ctx, int fd, unsigned events, int64_t now_ms);
    void (*on_timer)(void *ctx, int64_t now_ms);
    void (*status)(void *ctx, struct link_status *out);
};

/* drivers.c: the one list, NULL-terminated, and the same drivers' option rows for config_load. */
extern const struct link_driver *const link_drivers[];
extern const struct option_group *const link_driver_options[];
const struct link_driver *link_driver_find(const char *name);

#endif
