/* Runs a stream of messages through the codec: what the codec's test programs share. */
#ifndef TESTS_WIRE_CODEC_RUN_H
#define TESTS_WIRE_CODEC_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "gateway/wire/codec.h"
#include "tests/unit/wire_codec/streams.h"

#define RUN_RECORDS_MAX 8192
#define RUN_UNITS_MAX   4096

/* One record that was coded, with copies of all it points to. */
struct run_record {
    struct record r;
    uint8_t *bytes;
    uint64_t needed;
};

struct run {
    const struct codec *codec;
    struct codec_encoder *encoder;
    struct buf stream;                 /* all of it */
    struct run_record *records;
    size_t count;
    uint64_t unit_ends[RUN_UNITS_MAX]; /* bytes of the stream before each unit's end */
    size_t unit_records[RUN_UNITS_MAX];
    size_t units;
    bool named[RECORD_TOPIC_SLOTS];
    uint64_t number;
};

void run_begin(struct run *run, const struct codec *codec, size_t memory);
void run_end(struct run *run);
/* Codes a record and keeps a copy. */
void run_put(struct run *run, const struct record *r);
/* Codes a message, and its topic before it where the topic is new. */
void run_message(struct run *run, const struct stream_message *m);
void run_flush(struct run *run);
/* `messages` of a kind, a unit closed whenever it has unit_bytes (0: after each message). */
void run_kind(struct run *run, const struct stream_kind *kind, uint64_t seed, size_t messages,
              size_t unit_bytes);
/* Decodes all of it in pieces of piece_bytes and checks every record, and that each comes out with the
 * piece that brings the stream to what it needed. Return: NULL, or what was wrong. */
const char *run_check(const struct run *run, size_t memory, size_t piece_bytes);
uint64_t run_hash(const struct run *run);

#endif
