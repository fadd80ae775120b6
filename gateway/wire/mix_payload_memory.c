#include "gateway/wire/mix_payload_memory.h"

#include <assert.h>
#include <string.h>
#include "gateway/wire/mix_counter.h"

#define MEMORY_REFERENCE (4u << 20) /* the sizes below are meant for it, and scale with memory */

/* Weight sets a selector chooses from, at the reference size. */
static const uint16_t selector_sets[MIX_SELECTORS + 1] = {768, 648, 640, 768, 1536, 512, 144};
static const uint16_t map_contexts[MIX_MAPS] = {256, 1024};

/* Where everything stands in the storage. */
struct layout {
    size_t size;
    size_t histories, runs, window, columns, ends, fields, places, binary_columns, topics;
    size_t long_matches, short_matches, sets, uses, maps[MIX_MAPS];
    uint32_t lines, run_count, window_size, field_count, place_count, column_count, topic_count;
    uint32_t match_count, set_count[MIX_SELECTORS + 1], map_count[MIX_MAPS];
};

#define PAYLOAD_BYTES (96u << 10)
static_assert(sizeof(struct mix_payload) <= PAYLOAD_BYTES, "counted as less than it takes");

static size_t take(struct layout *l, size_t bytes)
{
    size_t at = l->size;

    l->size = (at + bytes + 63) & ~(size_t)63;
    return at;
}

/* n at the reference size, more or less with memory, but no fewer than `least` nor more than `most`. */
static uint32_t scaled(size_t memory, uint32_t n, uint32_t least, uint32_t most)
{
    uint64_t v = (uint64_t)n * memory / MEMORY_REFERENCE;

    return v < least ? least : v > most ? most : (uint32_t)v;
}

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 1;

    while (p <= n / 2)
        p *= 2;
    return p;
}

static void lay_out(struct layout *l, size_t memory)
{
    memset(l, 0, sizeof *l);
    take(l, sizeof(struct mix_payload));
    l->window_size = power_of_two(scaled(memory, 1u << 18, 1u << 13, 1u << 20));
    /* A sixteenth of the bytes in number, less what the smallest memory has no room for beside the rest. */
    l->run_count = (scaled(memory, 1u << 18, 12288, 1u << 19) - 10240) & ~(MIX_RUN_BUCKET - 1u);
    l->field_count = 2 * scaled(memory, 2048, 64, 8192);
    l->place_count = scaled(memory, 8192, 512, 32768);
    l->column_count = scaled(memory, 8192, 512, 16384);
    l->topic_count = scaled(memory, 4100, 260, 4100);
    l->match_count = scaled(memory, 1u << 14, 1u << 10, 1u << 16);
    l->window = take(l, l->window_size);
    l->columns = take(l, l->window_size / MIX_WINDOW_COLUMNS);
    l->ends = take(l, l->window_size / 8);
    l->runs = take(l, l->run_count * sizeof(struct mix_run));
    l->fields = take(l, l->field_count * sizeof(struct mix_number_field));
    l->places = take(l, l->place_count * sizeof(struct mix_place));
    l->binary_columns = take(l, l->column_count * sizeof(struct mix_column));
    l->topics = take(l, l->topic_count * sizeof(struct mix_topic));
    l->long_matches = take(l, l->match_count * sizeof(uint32_t));
    l->short_matches = take(l, l->match_count * sizeof(uint32_t));
    uint32_t sets = 0;
    for (unsigned k = 0; k <= MIX_FAST; k++) {
        l->set_count[k] = scaled(memory, selector_sets[k], 16, selector_sets[k]);
        sets += l->set_count[k];
    }
    l->sets = take(l, sets * sizeof(struct mix_weight_set));
    l->uses = take(l, sets * sizeof(uint16_t));
    for (unsigned k = 0; k < MIX_MAPS; k++) {
        l->map_count[k] = scaled(memory, map_contexts[k], 64, map_contexts[k]);
        l->maps[k] = take(l, l->map_count[k] * MIX_MAP_BUCKETS * sizeof(uint16_t));
    }
    /* Struct mix_payload counts as PAYLOAD_BYTES: its size depends on the machine's pointers. */
    size_t used = l->size - l->window + PAYLOAD_BYTES;
    l->lines = used + 64 * 64 < memory ? (uint32_t)((memory - used) / 64) : 64;
    l->histories = take(l, (size_t)l->lines * MIX_LINE * sizeof(uint16_t));
}

size_t mix_payload_size(size_t memory)
{
    struct layout l;

    lay_out(&l, memory);
    return l.size;
}

/* All that points into the storage that m begins. What points there in the middle of a message is set
 * again when the next one begins. */
static void point(struct mix_payload *m, const struct layout *l)
{
    uint8_t *base = (uint8_t *)m;

    m->window.bytes = base + l->window;
    m->window.columns = base + l->columns;
    m->window.ends = base + l->ends;
    m->contexts.histories = (void *)(base + l->histories);
    m->contexts.runs = (void *)(base + l->runs);
    m->mixer.sets = (void *)(base + l->sets);
    m->mixer.uses = (void *)(base + l->uses);
    for (unsigned k = 0; k < MIX_MAPS; k++)
        m->mixer.map[k] = (void *)(base + l->maps[k]);
    m->numbers.fields = (void *)(base + l->fields);
    m->numbers.field = NULL;
    m->text.window = &m->window;
    m->text.numbers = &m->numbers;
    m->text.places = (void *)(base + l->places);
    m->binary.window = &m->window;
    m->binary.columns = (void *)(base + l->binary_columns);
    m->value.numbers = &m->numbers;
    m->topics = (void *)(base + l->topics);
    m->long_matches = (void *)(base + l->long_matches);
    m->short_matches = (void *)(base + l->short_matches);
}

struct mix_payload *mix_payload_init(void *storage, size_t memory)
{
    struct mix_payload *m = storage;
    struct layout l;

    lay_out(&l, memory);
    point(m, &l);
    m->window.mask = l.window_size - 1;
    m->window.head = 1;
    mix_contexts_init(&m->contexts, l.lines, l.run_count);
    uint32_t first = 0;
    for (unsigned k = 0; k <= MIX_FAST; k++) {
        m->mixer.first[k] = first;
        m->mixer.count[k] = l.set_count[k];
        first += l.set_count[k];
    }
    for (unsigned k = 0; k < MIX_MAPS; k++)
        m->mixer.map_count[k] = l.map_count[k];
    mix_mixer_init(&m->mixer);
    m->numbers.field_count = l.field_count;
    m->text.place_count = l.place_count;
    mix_text_init(&m->text);
    m->binary.column_count = l.column_count;
    mix_binary_init(&m->binary);
    m->topic_count = l.topic_count;
    m->match_count = l.match_count;
    for (unsigned r = 0; r < 4; r++) {
        for (unsigned i = 0; i < MIX_REFERENCE_MAPS; i++) {
            uint32_t wrong = 65536 * 3 / (10 * (i / 32) + 12); /* the longer it agreed, the surer */
            m->reference_map[r][i] = mix_counter_of(65535 - wrong, 4);
        }
    }
    mix_value_init(&m->value);
    return m;
}

void mix_payload_copy(struct mix_payload *dst, const struct mix_payload *src, size_t memory)
{
    struct layout l;

    lay_out(&l, memory);
    memcpy(dst, src, l.size);
    point(dst, &l);
}
