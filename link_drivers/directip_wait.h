/* Every time that the directip driver waits, in one table, so that a test shortens them all by one
 * factor. Pure. */
#ifndef LINK_DRIVERS_DIRECTIP_WAIT_H
#define LINK_DRIVERS_DIRECTIP_WAIT_H

#include <stdint.h>

enum directip_wait {
    /* MO: the gateway is at the other end. */
    WAIT_MO_IDLE,    /* between two pieces of a message */
    WAIT_MO_MESSAGE, /* for a whole message, however its bytes drip */
    WAIT_MO_COMMIT,  /* for our own disk */
    WAIT_MO_CLOSE,   /* for the gateway to hang up after our answer */
    WAIT_MO_YIELD,   /* a silent connection younger than this makes no room for another */
    /* MT: the gateway itself. */
    WAIT_MT_RESOLVE,
    WAIT_MT_CONNECT, /* each address */
    WAIT_MT_ANSWER,  /* from the connection to the end of the answer */
    WAIT_MT_AGAIN,   /* before a message whose answer was lost is sent again */
    WAIT_MT_GATEWAY, /* after the gateway could not be reached, or had trouble of its own */
    WAIT_MT_FULL,    /* after the modem's queue was full, unless the modem fetches sooner */
    WAIT_MT_REFUSED, /* after the gateway refused for a reason that a person has to mend */
    WAIT_MT_LIFE,    /* the gateway forgets a message that no modem fetched for so long */
    WAIT_COUNT
};

/* The time of the n-th wait (1 = the first) in a row: doubling where the row of the table has a
 * higher bound, its upper half then random. scale >= 1 divides it. Return: 1 ms or more. */
int64_t directip_wait_ms(enum directip_wait wait, unsigned n, uint32_t random, int64_t scale);

#endif
