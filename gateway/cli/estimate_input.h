/* Recordings of MQTT traffic: NDJSON, one message a line,
 *     {"t": seconds, "topic": "...", "payload": "text"}      or "payload_b64", or "payload_hex"
 * with "retain": true (or 1) where the broker's message had it. Further members are ignored. */
#ifndef CLI_ESTIMATE_INPUT_H
#define CLI_ESTIMATE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/attr.h"

struct estimate_message {
    int64_t at_ms; /* since some beginning; never falls */
    const char *topic;
    const uint8_t *payload;
    size_t payload_len;
    bool retain;
};

struct estimate_input;

/* name: for messages. f belongs to the caller. Return: NULL when out of memory. */
struct estimate_input *estimate_input_new(FILE *f, const char *name) MUST_CHECK;
void estimate_input_free(struct estimate_input *in); /* NULL is allowed */
/* The next message; its pointers live until the next call. Return: 1: *m is filled; 0: the end;
 * negative: a line that is no such message, or cannot be read: one line about it, with file and
 * line, went to errors. */
int estimate_input_next(struct estimate_input *in, struct estimate_message *m,
                        FILE *errors) MUST_CHECK;
/* Bytes read so far, for progress. */
uint64_t estimate_input_read(const struct estimate_input *in);

#endif
