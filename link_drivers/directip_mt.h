/* The calling half of the directip driver: brings messages for modems to the gateway, one a
 * connection, and finds out what became of each.
 *
 * A modem's queue at the gateway holds 50 messages; into a full one the next pushes the oldest out,
 * and nobody is told. So at most `window` messages of a modem lie there: the gateway tells a
 * message's place in the queue, and each session of the modem that it fetched one. What the count says
 * wrongly (others use the queue, reports are lost) the next answer or session mends, and at the
 * latest the time after which the gateway forgets a message.
 *
 * A message that was given away whole and not answered may be in the queue or not. It is brought
 * again a few times with the same identifier, also by the next process, and what comes twice the
 * modem's end knows as the same. */
#ifndef LINK_DRIVERS_DIRECTIP_MT_H
#define LINK_DRIVERS_DIRECTIP_MT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/resolve.h"
#include "link_drivers/directip_message.h"
#include "link_drivers/driver.h"
#include "link_drivers/tcp_address.h"

#define DIRECTIP_MT_CONNECTIONS_MAX 4 /* at a time; one a modem */
#define DIRECTIP_MT_TRIES_MAX       3 /* of a message whose answer is lost */

struct directip_mt_settings {
    struct tcp_address connect;
    unsigned window;
    enum directip_priority priority; /* of alarms */
    int64_t time_scale;
};

struct directip_mt_job;

struct directip_mt_station {
    station_t station;
    const char *name, *imei; /* the host's */
    size_t mt_max;
    struct directip_mt_job *job; /* the message in hand; NULL = none */
    unsigned queued;             /* at the gateway, as far as is known */
    int64_t queued_ms;           /* of the last message that came into the queue */
    bool heard;                /* the last session that was reported: */
    uint16_t heard_momsn;
    uint32_t heard_time_s;
    uint16_t mtmsn;            /* of the last MT that the modem is known to have fetched; 0 = none */
    int64_t closed_until_ms;   /* nothing is sent before */
    unsigned refusals;         /* in a row */
    bool lasting;              /* the last refusal was for a reason that a person has to mend */
    bool down;                 /* and the host has been told so */
    bool short_of_room;        /* the host is owed a `writable` */
};

struct directip_mt {
    bool started;
    struct directip_mt_settings settings;
    struct link_host *host;
    struct directip_mt_station *stations;  /* by station */
    struct directip_mt_station **by_imei;
    size_t count;
    struct resolve *resolve;
    int64_t resolve_until_ms;
    struct resolve_result addresses[RESOLVE_MAX_ADDRESSES];
    int address_count; /* 0 = to be looked up */
    struct directip_mt_station *active[DIRECTIP_MT_CONNECTIONS_MAX]; /* those with a connection */
    size_t active_count;
    int64_t closed_until_ms; /* the gateway is left alone until then */
    unsigned failures;       /* of the gateway, in a row */
    char trouble[96];        /* why; "" = none */
    uint64_t taken, refused, unanswered;
    uint64_t bytes_out; /* of payload: what is billed */
};

/* Learns the host's peers; opens nothing. A peer without an IMEI of 15 digits, or with that of one
 * before it, has no place on the link and is left out. Return: 0, or -ENOMEM: fini is still to be
 * called. */
int directip_mt_init(struct directip_mt *c, const struct directip_mt_settings *settings,
                     struct link_host *host) MUST_CHECK;
void directip_mt_fini(struct directip_mt *c);
/* From here messages are taken, and the host is told that the stations are up. */
void directip_mt_start(struct directip_mt *c, int64_t now_ms);
/* Gives each message in hand up and tells what is known of it; all stations are down, for `why`. */
void directip_mt_stop(struct directip_mt *c, const char *why, int64_t now_ms);
/* Gives up a station's message in hand, and lets the station rest for a while. */
void directip_mt_reset(struct directip_mt *c, station_t station, const char *why, int64_t now_ms);

/* NULL where there is none. */
struct directip_mt_station *directip_mt_station(struct directip_mt *c, station_t station);
struct directip_mt_station *directip_mt_find(struct directip_mt *c, const char *imei);

/* The ops of driver.h. */
size_t directip_mt_room(struct directip_mt *c, station_t station, int64_t now_ms);
int directip_mt_send(struct directip_mt *c, station_t station, const uint8_t *bytes, size_t n,
                     uint64_t token, bool urgent, int64_t now_ms) MUST_CHECK;
/* A session of the modem has been reported. It fetches one message if any waits, so that one place of
 * the window at least is free: where nothing was fetched, the queue was empty. More are free where the
 * number of what it fetched has jumped. What this gets wrong the next answer mends. */
void directip_mt_heard(struct directip_mt *c, struct directip_mt_station *s,
                       const struct directip_mo_message *session, int64_t now_ms);
void directip_mt_on_fd(struct directip_mt *c, int fd, int64_t now_ms);
/* Does what is due; to be called after every event. */
void directip_mt_settle(struct directip_mt *c, int64_t now_ms);
/* When settle is due; INT64_MAX = not. */
int64_t directip_mt_deadline(const struct directip_mt *c, int64_t now_ms);

#endif
