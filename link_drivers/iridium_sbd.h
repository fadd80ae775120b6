/* The iridium-sbd driver: Iridium Short Burst Data through a modem on a serial port (9602, 9603,
 * voice units). DATAGRAM: a frame of ours is one MO message, a frame for us one MT message; each
 * started credit_bytes are billed.
 *
 *     iridium_sbd.c          the driver: frame in hand, timers, what is told to the host
 *     iridium_sbd_port.c     the serial port
 *     iridium_sbd_report.c   what the modem tells, for status and log
 *     iridium_sbd_cycle.c    the dialogue with the modem, a row a command
 *     iridium_sbd_setup.c    ... to set it up and register it
 *     iridium_sbd_session.c  ... to look at its buffers, and for a session
 *     iridium_sbd_policy.c   what a session's result means, and the wait behind it
 *     iridium_sbd_budget.c   credits spent and left
 *     iridium_sbd_note.c     what survives the process
 *     iridium_sbd_options.c  the operator's keys
 *     at_chat.c              AT commands and answers as such
 *
 * The order of a cycle keeps every message: what lies in the MT buffer is read, and is on the
 * host's disk, before a session (which clears it); the session is noted before it begins; the MO
 * buffer is cleared after it, since the modem would send (and bill) it again. Where the result of a
 * session is lost, the modem's own count of sessions (MOMSN) tells whether the frame was handed
 * over. */
#ifndef LINK_DRIVERS_IRIDIUM_SBD_H
#define LINK_DRIVERS_IRIDIUM_SBD_H

#include "link_drivers/driver.h"

struct sbd_model {
    const char *name;
    size_t mo_max, mt_max; /* bytes */
};

/* By the value of the option `model`. */
extern const struct sbd_model sbd_models[];

struct sbd_options {
    char *device;
    int64_t baud;
    int flow;  /* 0 none, 1 rtscts */
    int model; /* index into sbd_models */
    int64_t hold_ms, ack_max_age_ms;
    int64_t credit_bytes;
    struct string_list budget;
    int64_t poll_ms;  /* 0: ring alerts only */
    int64_t check_ms; /* 0: never */
    int64_t min_interval_ms, session_timeout_ms;
    bool location;
    int64_t time_scale;
};

extern const struct option_group sbd_option_group;
extern const struct link_driver sbd_driver;

#endif
