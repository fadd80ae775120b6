/* What each result of an Iridium SBD session means, and when the next may begin. Pure: tables and
 * functions of them. Sources: ISU AT Command Reference (+SBDIX), and what users of these modems
 * report. */
#ifndef LINK_DRIVERS_IRIDIUM_SBD_POLICY_H
#define LINK_DRIVERS_IRIDIUM_SBD_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include "link_drivers/driver.h"

enum sbd_wait {
    SBD_WAIT_NONE,    /* the least interval between sessions */
    SBD_WAIT_LADDER,  /* longer with each failure in a row, see sbd_ladder_ms; at least wait_ms */
    SBD_WAIT_FIXED,   /* wait_ms */
    SBD_WAIT_SERVICE, /* wait_ms, or until the modem says that it sees the network (+CIEV:1,1) */
};

enum sbd_remedy {
    SBD_REMEDY_NONE,
    SBD_REMEDY_RADIO_ON, /* AT*R1, once */
    SBD_REMEDY_ASK_WAIT, /* AT+SBDLOE says how long */
};

struct sbd_policy {
    int first, last;           /* MO status */
    enum send_outcome outcome; /* of the frame in the session. UNKNOWN: +SBDSX may know better */
    enum sbd_wait wait;
    int64_t wait_ms;
    enum sbd_remedy remedy;
    bool alert; /* somebody must know */
    bool never; /* this very frame will not be taken another time either */
    bool stop;  /* nothing can pass until somebody acts: the link is down for wait_ms, then tried
                   once */
    const char *words;
};

/* The row of a status; never NULL: what is not listed is a failure that may have delivered. */
const struct sbd_policy *sbd_policy_of(long mo_status);
/* The wait after `failures` (>= 1) in a row. */
int64_t sbd_ladder_ms(unsigned failures, uint32_t random);

#endif
