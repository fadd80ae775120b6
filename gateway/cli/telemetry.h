/* Telemetry as a boat or a mast sends it, from a seed: a weather station, a GPS track, tank and
 * battery levels, switches and an alarm, NMEA 0183 sentences. Values drift, jitter and swing
 * with the hour as real ones do, because a codec or a gateway tried on constants or on noise
 * tells nothing. Integer arithmetic only: the same seed gives the same bytes on every machine. */
#ifndef GATEWAY_CLI_TELEMETRY_H
#define GATEWAY_CLI_TELEMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gateway/cli/seeded.h"

#define TELEMETRY_TOPIC_MAX   64
#define TELEMETRY_PAYLOAD_MAX 400
#define TELEMETRY_SOURCES     12

struct telemetry_message {
    char topic[TELEMETRY_TOPIC_MAX];     /* NUL-terminated */
    char payload[TELEMETRY_PAYLOAD_MAX]; /* text, NUL-terminated */
    size_t payload_len;
    int64_t offset_ms; /* since the start; never falls */
    bool retain;       /* states (switches, levels) are retained, measurements are not */
    bool alarm;        /* under alarms/: what an operator routes as priority = alarm */
};

/* Embedded by its owner; all members are the generator's own. */
struct telemetry {
    struct seeded chance;
    int64_t start_s; /* Unix time of offset 0 */
    int64_t next_ms[TELEMETRY_SOURCES];
    uint32_t sequence[TELEMETRY_SOURCES];
    int32_t value[32]; /* the world's state, in units of its own (telemetry.c) */
    int64_t lat_e6, lon_e6;
};

/* start_s: Unix seconds that time stamps in payloads count from. */
void telemetry_init(struct telemetry *t, uint64_t seed, int64_t start_s);
/* The next message in time order. It never ends. */
void telemetry_next(struct telemetry *t, struct telemetry_message *out);

#endif
