/* Recordings of MQTT messages: NDJSON, one {"t", "topic", "payload" or "payload_b64"} a line. */
#ifndef TESTS_BENCH_RECORDING_H
#define TESTS_BENCH_RECORDING_H

#include <stddef.h>
#include <stdint.h>

struct message {
    double when; /* seconds, as recorded */
    unsigned topic, site;
    uint8_t *payload;
    uint32_t len;
};

struct recording {
    char **topics;
    unsigned topic_count;
    struct message *messages;
    size_t count;
    uint64_t payload_bytes;
    unsigned sites;
};

/* Adds a file's messages to r, zeroed before the first, as those of a further site. Return: 0, or negative errno (-ENODATA: no
 * message yet). */
int recording_add(struct recording *r, const char *path);
void recording_free(struct recording *r);
/* The recordings (*.ndjson) of a folder, or of a file itself: calls of each. Return: the sum of what it returned; 1 where there is none. */
int recordings_each(const char *path, int (*each)(void *ctx, const char *file), void *ctx);

#endif
