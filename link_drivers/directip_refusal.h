/* What the gateway's answer to an MT message means for us: the status codes of DirectIP as a table.
 * Pure. */
#ifndef LINK_DRIVERS_DIRECTIP_REFUSAL_H
#define LINK_DRIVERS_DIRECTIP_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>
#include "link_drivers/directip_wait.h"

/* Whom the refusal is of. */
enum directip_scope {
    REFUSAL_OF_MODEM,   /* messages to other modems go on */
    REFUSAL_OF_US,      /* no message of ours would pass now */
};

struct directip_refusal {
    int16_t status;
    enum directip_scope scope;
    enum directip_wait wait; /* before the next try */
    bool lasting;            /* a person has to mend it: the station counts as down, and it is warned of */
    const char *words;
};

/* The row of a negative status; for one that is not known a row of status 0. Never NULL. */
const struct directip_refusal *directip_refusal_of(int16_t status);

#endif
