/* The model of payload bytes: joins contexts, references, text, numbers and binary columns, and mixes
 * their votes bit by bit. Topic texts, properties and the like are payloads of pseudo topics.
 *
 * Call mix_payload_begin, then for each byte eight times predict and update, then mix_payload_end. What
 * the model does depends on the calls alone, so both ends keep the same (docs/MODEL.md). */
#ifndef WIRE_MIX_PAYLOAD_H
#define WIRE_MIX_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gateway/wire/mix_binary.h"
#include "gateway/wire/mix_checksums.h"
#include "gateway/wire/mix_container.h"
#include "gateway/wire/mix_contexts.h"
#include "gateway/wire/mix_mixer.h"
#include "gateway/wire/mix_numbers.h"
#include "gateway/wire/mix_reference.h"
#include "gateway/wire/mix_text.h"
#include "gateway/wire/mix_value.h"
#include "gateway/wire/mix_window.h"

#define MIX_CHECKSUM_TRUST 14
#define MIX_CHECKSUM_TRIES 32 /* messages of a topic: then no other kind is looked for */

enum mix_format { MIX_TEXT, MIX_BINARY, MIX_PROTOBUF, MIX_CBOR, MIX_FORMATS };

/* Pseudo topics, counted from the end of the table. */
enum mix_pseudo { MIX_PSEUDO_TOPIC = 1, MIX_PSEUDO_PROPERTIES, MIX_PSEUDO_HOPS, MIX_PSEUDO_ROUTE };

/* What is kept of a topic: where its last two messages stand. */
struct mix_topic {
    uint32_t last, last_length, before, before_length;
    uint32_t class_hash;      /* of its text with digits taken as one */
    uint8_t seen;
    uint8_t stride, stride_trust; /* binary: how far apart like pairs of bytes stand */
    uint8_t checksum_trust;
    struct mix_checksum checksum; /* binary: at the end of each message */
};

struct mix_payload {
    struct mix_window window;
    struct mix_contexts contexts;
    struct mix_mixer mixer;
    struct mix_numbers numbers;
    struct mix_text text;
    struct mix_binary binary;
    struct mix_container container;
    struct mix_value value;

    struct mix_topic *topics;
    uint32_t topic_count;
    struct mix_topic class_last[64]; /* the last message of each class of topics, for a new topic */
    uint32_t *long_matches, *short_matches; /* places by hash of the last 6 and 3 bytes */
    uint32_t match_count;

    /* The message under way. */
    struct mix_topic *topic;
    uint32_t topic_index;
    enum mix_format format;
    bool fast;
    uint32_t begin, position; /* place of its first byte; bytes so far */
    uint32_t length;          /* binary: all its bytes */
    uint8_t checksum[MIX_CHECKSUM_MAX]; /* that it should have */
    struct mix_frame frame;
    struct mix_reference aligned, long_match, short_match;
    uint64_t history;         /* its last eight bytes */
    uint16_t pair_at[256];

    /* The byte under way. */
    unsigned node, bits;
    uint32_t reference_map[4][MIX_REFERENCE_MAPS];
};

/* The index of a topic slot, or of a pseudo topic, in the table. */
uint32_t mix_payload_topic(const struct mix_payload *m, uint32_t slot);
uint32_t mix_payload_pseudo(const struct mix_payload *m, enum mix_pseudo which);
/* A topic got a text: where that is of another class, what it learned of the old one no longer counts. */
void mix_payload_name(struct mix_payload *m, uint32_t topic, const char *text, size_t n);

/* fast: with the fewer of the contexts, one weight set, and no distribution of numbers. length: of a binary message; text tells its end as it comes. */
void mix_payload_begin(struct mix_payload *m, uint32_t topic, enum mix_format format, bool fast,
                       uint32_t length);
/* Probability of a 1 in 1/65536. */
int mix_payload_predict(struct mix_payload *m);
void mix_payload_update(struct mix_payload *m, int bit);
void mix_payload_end(struct mix_payload *m);
/* A message of the topic that was not coded by the model: kept to be referred to. */
void mix_payload_store(struct mix_payload *m, uint32_t topic, const uint8_t *bytes, uint32_t n);
/* Is it the same as the topic's last message? */
bool mix_payload_repeats(const struct mix_payload *m, uint32_t topic, const uint8_t *bytes, uint32_t n);
/* Where in its message the byte coded next stands: containers turn some numbers round. */
uint32_t mix_payload_index(const struct mix_payload *m);

#endif
