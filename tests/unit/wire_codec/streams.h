/* Streams of messages of many kinds, made from a seed alone: what the codec's tests and benchmarks run
 * on. Nothing recorded is in them. */
#ifndef TESTS_WIRE_CODEC_STREAMS_H
#define TESTS_WIRE_CODEC_STREAMS_H

#include <stddef.h>
#include <stdint.h>

#define STREAM_PAYLOAD_MAX 4096
#define STREAM_TOPIC_MAX   128

struct stream {
    uint64_t seed;
    uint32_t tick;
    int32_t walk[64];
};

struct stream_message {
    unsigned slot;
    char topic[STREAM_TOPIC_MAX];
    uint8_t payload[STREAM_PAYLOAD_MAX];
    size_t len;
};

struct stream_kind {
    const char *name;
    void (*next)(struct stream *s, struct stream_message *m);
};

extern const struct stream_kind stream_kinds[];
extern const size_t stream_kind_count;

void stream_begin(struct stream *s, uint64_t seed);
/* A random number below n. */
uint32_t stream_random(struct stream *s, uint32_t n);

#endif
