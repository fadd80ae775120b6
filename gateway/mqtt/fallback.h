/* Which protocol level to ask for next: MQTT 5, then 3.1.1 with the bridge bit, then plain 3.1.1.
 * Pure.
 *
 * A server that refuses a version in words is believed for good. One that closes without a word may
 * not know the version, or may be a proxy whose broker is down: where no version has worked yet,
 * the next one is tried, in turn and round again, and what was found by such a guess is forgotten
 * when that connection ends. */
#ifndef MQTT_FALLBACK_H
#define MQTT_FALLBACK_H

#include <stdbool.h>
#include <stdint.h>
#include "gateway/mqtt/session.h"

struct fallback {
    uint8_t configured, last; /* the steps that the configuration allows */
    uint8_t first;            /* the first of them that was not refused in words */
    uint8_t step;             /* the one to try now */
    uint8_t silent;           /* connections in a row that ended at this step without a CONNACK */
    bool proven;              /* `first` has worked: silence is not about the version */
};

void fallback_init(struct fallback *f, enum mqtt_version version);
/* The protocol level byte of the CONNECT to send: 5, 0x84 (4 with mosquitto's bridge bit) or 4. */
uint8_t fallback_level(const struct fallback *f);
enum mqtt_version fallback_version(const struct fallback *f);
bool fallback_is_bridge(const struct fallback *f);
/* The server refused this version. Return: false when there is none left to try. */
bool fallback_refused(struct fallback *f);
/* The transport ended after CONNECT and before CONNACK, and not by our own timeout. */
void fallback_silence(struct fallback *f);
/* CONNACK with success came; and: that connection has ended. */
void fallback_accepted(struct fallback *f);
void fallback_ended(struct fallback *f);

#endif
