/* How long to wait before connecting again. Pure.
 *
 * Decorrelated jitter: each wait is drawn between the least and three times the one before. It
 * grows as exponential back-off does, and a thousand edges whose hub comes back do not all knock in
 * one second. */
#ifndef MQTT_BACKOFF_H
#define MQTT_BACKOFF_H

#include <stdint.h>

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 60000

/* previous_ms: the wait before this one; 0 = there was none. random: all 32 bits random.
 * Return: BACKOFF_MIN_MS..BACKOFF_MAX_MS. */
int64_t backoff_next_ms(int64_t previous_ms, uint32_t random);

#endif
