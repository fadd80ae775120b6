/* The steps in which a record is coded, as mix_records.c walks them and mix_record_values.c fills them. Internal to these two. */
#ifndef WIRE_MIX_STEPS_H
#define WIRE_MIX_STEPS_H

#include <stdint.h>
#include "gateway/wire/mix_records.h"

#define SECOND_MS 1000

enum flag {
    FLAG_QOS = 3,
    FLAG_RETAIN = 4,
    FLAG_ORIGIN = 8,
    FLAG_ORIGIN_MS = 16,
    FLAG_EXPIRY = 32,
    FLAG_PROPS = 64,
    FLAG_HOPS = 128,
};

/* What is being coded. Symbols first; the strings are last. */
enum step {
    STEP_UNIT_END,
    STEP_USUAL,     /* a message of the same class as before, next in its numbers */
    STEP_TYPE,
    STEP_CLASS,
    STEP_PREVIOUS_KNOWN,
    STEP_PREVIOUS,
    STEP_NUMBER_HOW, /* enum number_how */
    STEP_NUMBER,
    STEP_SLOT_NEW,  /* the topic just named, or in a topic record the slot after it */
    STEP_STRAND,    /* of a message: whose turn it is */
    STEP_SLOT,
    STEP_FLAGS_SAME, /* as in the slot's last message */
    STEP_FLAGS,
    STEP_ORIGIN,
    STEP_EXPIRY,
    STEP_PROPS_LENGTH,
    STEP_FORM,       /* enum form */
    STEP_TOTAL,
    STEP_LENGTH,
    STEP_CHUNK_KNOWN,
    STEP_CHUNK_NUMBER,
    STEP_OFFSET,
    STEP_GAP_SPAN,
    STEP_GAP_COUNT,
    STEP_GAP_REASON,
    STEP_GAP_FROM,
    STEP_GAP_TO,
    STEP_SYMBOLS,

    STEP_TOPIC = STEP_SYMBOLS,
    STEP_PROPS,
    STEP_HOPS,
    STEP_ROUTE,
    STEP_PAYLOAD,
};

enum number_how { NUMBER_NEXT, NUMBER_NEXT_OF_ALL, NUMBER_FAR, NUMBER_HOWS };

/* How a payload is coded: its format, whether it is only a piece of its message, and the level. */
enum form { FORM_FORMAT = 7, FORM_STORED = 7, FORM_PIECE = 8, FORM_FAST = 16 };

#define OPEN_END UINT32_MAX /* a string's length that is told by its end flag */

static inline uint64_t zigzag(uint64_t v)
{
    return v << 1 ^ (v >> 63 ? UINT64_MAX : 0);
}

static inline uint64_t unzigzag(uint64_t v)
{
    return v >> 1 ^ (v & 1 ? UINT64_MAX : 0);
}

static inline struct mix_slot *slot_of(const struct mix_records *w)
{
    return &w->slots[w->slot_index % w->slot_count];
}

static inline int64_t seconds(int64_t ms)
{
    return ms / SECOND_MS - (ms % SECOND_MS < 0);
}

/* The model's slot of a topic that has none of the table's. */
uint32_t mix_records_topic_index(const char *text, uint32_t n);

#endif
