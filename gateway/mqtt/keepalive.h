/* When a PINGREQ is due, and when a server that does not answer is given up. Pure.
 *
 * MQTT asks for a packet of ours within each keepalive (MQTT-3.1.2-20). A PINGREQ goes out as well
 * when nothing has *come* for that long: an owner who only publishes would else never notice that
 * the server has stopped. */
#ifndef MQTT_KEEPALIVE_H
#define MQTT_KEEPALIVE_H

#include <stdbool.h>
#include <stdint.h>

#define KEEPALIVE_GRACE_MIN_MS 10000 /* a loaded broker on a slow line must have time to answer */

struct keepalive {
    int64_t interval_ms; /* 0 = off */
    int64_t sent_ms;     /* when we last wrote something */
    int64_t heard_ms;    /* when something last came */
    int64_t ping_ms;     /* when the PINGREQ that waits for its answer became due */
    bool waiting;
};

enum keepalive_due {
    KEEPALIVE_NOTHING,
    KEEPALIVE_PING, /* send PINGREQ, and call keepalive_pinged */
    KEEPALIVE_DEAD, /* no PINGRESP in time */
};

void keepalive_start(struct keepalive *k, uint32_t interval_s, int64_t now_ms);
void keepalive_wrote(struct keepalive *k, int64_t now_ms);
void keepalive_heard(struct keepalive *k, int64_t now_ms);
void keepalive_pinged(struct keepalive *k, int64_t now_ms);
void keepalive_answered(struct keepalive *k);
enum keepalive_due keepalive_due(const struct keepalive *k, int64_t now_ms);
/* When keepalive_due should be asked again; INT64_MAX = never. */
int64_t keepalive_deadline(const struct keepalive *k);

#endif
