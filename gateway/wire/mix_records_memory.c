#include "gateway/wire/mix_records_memory.h"

#include <assert.h>
#include <string.h>
#include "gateway/wire/mix_payload_memory.h"

#define COUNTERS_REFERENCE 16384 /* in each of the symbols' tables, at 4M of memory */
#define MEMORY_REFERENCE   (4u << 20)

static uint32_t counter_count(size_t memory)
{
    uint64_t n = (uint64_t)COUNTERS_REFERENCE * memory / MEMORY_REFERENCE;

    return n < 1024 ? 1024 : n > 4 * COUNTERS_REFERENCE ? 4 * COUNTERS_REFERENCE : (uint32_t)n;
}

#define RECORDS_BYTES 14336
static_assert(sizeof(struct mix_records) <= RECORDS_BYTES, "counted as less than it takes");

static uint32_t slots_of(size_t memory)
{
    uint64_t n = (uint64_t)RECORD_TOPIC_SLOTS * memory / MEMORY_REFERENCE;

    return n < 256 ? 256 : n > RECORD_TOPIC_SLOTS ? RECORD_TOPIC_SLOTS : (uint32_t)n;
}

static size_t aligned(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

static size_t own_size(size_t memory)
{
    return aligned(sizeof(struct mix_records)) + aligned(slots_of(memory) * sizeof(struct mix_slot)) +
           aligned(counter_count(memory) * MIX_SYMBOL_CONTEXTS * sizeof(uint32_t));
}

/* What is left of `memory` for the payload's model. Struct mix_records counts as RECORDS_BYTES: its size
 * depends on the machine's pointers, and the tables' must not. */
static size_t payload_memory(size_t memory)
{
    return memory - (own_size(memory) - aligned(sizeof(struct mix_records)) + RECORDS_BYTES);
}

size_t mix_records_size(size_t memory)
{
    return own_size(memory) + mix_payload_size(payload_memory(memory));
}

/* Where its tables stand behind it in its storage. */
static uint32_t *counters_of(struct mix_records *w)
{
    return (void *)((uint8_t *)w + aligned(sizeof *w) + aligned(slots_of(w->memory) * sizeof(struct mix_slot)));
}

static void point(struct mix_records *w)
{
    w->slot_count = slots_of(w->memory);
    w->slots = (void *)((uint8_t *)w + aligned(sizeof *w));
    w->symbols.counters = counters_of(w);
    w->payload = (void *)((uint8_t *)w + own_size(w->memory));
}

struct mix_records *mix_records_init(void *storage, size_t memory, uint32_t max_bytes, uint32_t max_message)
{
    struct mix_records *w = storage;

    w->memory = memory;
    mix_symbols_init(&w->symbols, counters_of(w), counter_count(memory));
    point(w);
    mix_payload_init(w->payload, payload_memory(memory));
    w->max_bytes = max_bytes;
    w->max_message = max_message;
    w->class = CLASS_NORMAL;
    buf_init(&w->bytes, max_bytes);
    return w;
}

void mix_records_copy(struct mix_records *dst, const struct mix_records *src)
{
    struct buf bytes = dst->bytes;
    uint32_t max_bytes = dst->max_bytes, max_message = dst->max_message;

    assert(dst->memory == src->memory);
    memcpy(dst, src, own_size(src->memory));
    point(dst);
    dst->max_bytes = max_bytes;
    dst->max_message = max_message;
    dst->record = (struct record){0};
    dst->bytes = bytes;
    buf_clear(&dst->bytes);
    mix_payload_copy(dst->payload, src->payload, payload_memory(src->memory));
}

void mix_records_fini(struct mix_records *w)
{
    buf_fini(&w->bytes);
}
