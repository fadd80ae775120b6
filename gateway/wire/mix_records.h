/* Records as symbols: the order in which a record's parts are coded, each under contexts of its own.
 *
 * A state machine that encoder and decoder share, so that they cannot come apart: it asks for one
 * decision after the other (mix_records_predict), is told each (mix_records_update), and has filled
 * `record` when it is done. The encoder reads the decisions off the record that it sends
 * (mix_records_bit), the decoder off the range coder, and may stop between any two. */
#ifndef WIRE_MIX_RECORDS_H
#define WIRE_MIX_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/buf.h"
#include "gateway/wire/mix_choice.h"
#include "gateway/wire/mix_payload.h"
#include "gateway/wire/mix_strands.h"
#include "gateway/wire/mix_symbols.h"
#include "gateway/wire/record.h"

#define MIX_RECENT_SLOTS 3

enum mix_records_state {
    MIX_RECORDS_MORE,     /* a further decision is wanted */
    MIX_RECORDS_DONE,     /* `record` is whole */
    MIX_RECORDS_UNIT_END, /* no record: the unit ends here */
    MIX_RECORDS_BAD,      /* no encoder writes this, or it is beyond the limits */
};

/* What is remembered of a topic slot. */
struct mix_slot {
    _Alignas(8) int64_t origin; /* ms, of its last message; the struct is as large on every machine */
    int64_t period;             /* ms, since the one before */
    uint64_t expiry;
    uint8_t flags, form;
    bool seen;
    struct mix_past past;
    struct mix_strand_name strand;
};

/* Numbers and half-sent messages of the classes. */
struct mix_numbering {
    uint64_t last[CLASS_COUNT], highest;
    struct {
        bool open;
        uint32_t slot_index;
        uint64_t number;
        uint32_t have;
    } partial[CLASS_COUNT];
};

enum mix_phase { MIX_PHASE_SYMBOL, MIX_PHASE_BYTES, MIX_PHASE_END_FLAG };

#define MIX_STRINGS 5 /* topic, properties, hops, route, payload */

struct mix_records {
    struct mix_payload *payload;
    struct mix_symbols symbols;
    size_t memory;          /* that the sizes of all tables follow from */
    struct mix_slot *slots;
    uint32_t slot_count;
    uint32_t max_bytes;     /* of one record's strings together */
    uint32_t max_message;   /* of a whole message: payload, topic and properties */

    /* What has gone before. */
    struct mix_numbering numbering;
    enum msg_class class;
    enum record_type type;
    uint32_t recent[MIX_RECENT_SLOTS];
    struct mix_strands strands;
    unsigned named_slot, next_slot; /* of the last topic record, and the one after */
    int64_t origin, origin_step, gap_s;
    uint32_t last_length;
    unsigned unit_records;  /* in this unit so far; unit_last: in the one before */
    unsigned unit_last;
    uint64_t unit_bytes;    /* set by the coder's owner when a record begins */

    /* The record under way. */
    struct record record;
    int step;
    enum mix_phase phase;
    uint8_t flags;
    unsigned form;
    unsigned strand;
    uint32_t slot_index;
    uint32_t length, string_done; /* of the string under way; bytes coded */
    bool even;              /* its bytes are coded as they are */
    struct buf bytes;       /* the strings, one after the other */
    size_t string_at, at[MIX_STRINGS];
};

/* A record begins; unit_bytes: bytes of the unit that were coded before it. */
void mix_records_begin(struct mix_records *w, uint64_t unit_bytes);
/* Probability of a 1 in the next decision, in 1/65536; 0: a byte of even bits comes. */
int mix_records_predict(struct mix_records *w);
/* The decision, or that byte. */
enum mix_records_state mix_records_update(struct mix_records *w, unsigned bit) MUST_CHECK;
/* Lets the model see a record as if it had been coded; NULL: forgets the numbers of those seen. Return: 0;
 * -ENOMEM = no memory for a copy of it: the model has seen a part, and is of no more use. */
int mix_records_learn(struct mix_records *w, const struct record *r) MUST_CHECK;
/* How a record's payload is best coded. */
struct mix_choice mix_records_choose(const struct mix_records *w, const struct record *r);
/* The decision, or byte, that leads to r (NULL: to the unit's end). */
unsigned mix_records_bit(const struct mix_records *w, const struct record *r,
                         const struct mix_choice *choice);

#endif
