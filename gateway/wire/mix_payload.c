#include "gateway/wire/mix_payload.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include "gateway/wire/mix_counter.h"
#include "gateway/wire/mix_payload_contexts.h"

#define LONG_MATCH       6
#define SHORT_MATCH      3
#define LONG_LOOK        48 /* bytes compared to tell how good a match is */
#define SHORT_LOOK       16
#define STRIDE_MAX       80
#define NESTED_LOOK      256 /* bytes of a string that may turn out to be a message */

static_assert(MIX_CONTEXTS * MIX_CONTEXT_INPUTS + 4 * MIX_REFERENCE_INPUTS + 2 * MIX_EXPECTATIONS +
                      MIX_TEXT_NUMBER_INPUTS + 1 <= MIX_INPUTS, "one input more than the mixer takes");
/* Some of these are the same number today, which clang-tidy takes for a slip. */
// NOLINTNEXTLINE(misc-redundant-expression)
static_assert(MIX_VALUE_INPUTS <= MIX_TEXT_NUMBER_INPUTS, "numbers of all formats share their inputs");
// NOLINTNEXTLINE(misc-redundant-expression)
static_assert(MIX_BINARY_INPUTS <= MIX_TEXT_NUMBER_INPUTS, "numbers of all formats share their inputs");

uint32_t mix_payload_topic(const struct mix_payload *m, uint32_t slot)
{
    return slot % (m->topic_count - MIX_PSEUDO_ROUTE);
}

uint32_t mix_payload_pseudo(const struct mix_payload *m, enum mix_pseudo which)
{
    return m->topic_count - which;
}

void mix_payload_name(struct mix_payload *m, uint32_t topic, const char *text, size_t n)
{
    uint32_t h = 77;

    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)text[i];
        if (mix_is_digit(c)) {
            while (i + 1 < n && mix_is_digit((uint8_t)text[i + 1]))
                i++;
            c = '#';
        }
        h = mix_hash2(h, c);
    }
    if (m->topics[topic].class_hash != h)
        m->topics[topic] = (struct mix_topic){.class_hash = h};
}

/* --- a message --- */

static bool contains(const struct mix_payload *m)
{
    return m->format == MIX_PROTOBUF || m->format == MIX_CBOR;
}

void mix_payload_begin(struct mix_payload *m, uint32_t topic, enum mix_format format, bool fast,
                       uint32_t length)
{
    struct mix_topic *t = &m->topics[topic];
    const struct mix_window *w = &m->window;

    m->topic = t;
    m->topic_index = topic;
    m->format = format;
    m->fast = fast;
    m->begin = w->head;
    m->position = 0;
    m->length = length;
    m->history = (uint64_t)topic << 8;
    memset(m->pair_at, 0, sizeof m->pair_at);
    memset(&m->frame, 0, sizeof m->frame);
    m->node = 1;
    m->bits = 0;
    mix_reference_start(&m->aligned, w, t->last, t->last_length, 1);
    if (!t->last_length) { /* nothing of this topic: a message of a topic like it */
        const struct mix_topic *like = &m->class_last[t->class_hash & 63];
        mix_reference_start(&m->aligned, w, like->last, like->last_length, 0);
        if (!t->seen && like->class_hash == t->class_hash) {
            t->checksum = like->checksum;
            t->checksum_trust = like->checksum_trust;
        }
    }
    m->long_match = m->aligned;
    m->short_match.on = false;
    m->binary.last = m->aligned;
    mix_reference_start(&m->binary.before, w, t->before, t->before_length, 0);
    mix_text_begin(&m->text, topic + 1, t->class_hash);
    mix_binary_begin(&m->binary, topic + 1);
    mix_value_idle(&m->value);
    if (contains(m))
        mix_container_begin(&m->container, format == MIX_CBOR, topic + 1, length);
}

static void remember(struct mix_payload *m, struct mix_topic *t, uint32_t begin, uint32_t length)
{
    mix_window_put(&m->window, 0, true);
    t->before = t->last;
    t->before_length = t->last_length;
    t->last = begin;
    t->last_length = length;
    if (t->seen < 255)
        t->seen++;
    m->class_last[t->class_hash & 63] = *t;
}

void mix_payload_store(struct mix_payload *m, uint32_t topic, const uint8_t *bytes, uint32_t n)
{
    uint32_t begin = m->window.head;

    for (uint32_t i = 0; i < n; i++)
        mix_window_put(&m->window, bytes[i], false);
    remember(m, &m->topics[topic], begin, n);
}

bool mix_payload_repeats(const struct mix_payload *m, uint32_t topic, const uint8_t *bytes, uint32_t n)
{
    const struct mix_topic *t = &m->topics[topic];

    if (t->last_length != n || !mix_window_holds(&m->window, t->last))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (mix_window_at(&m->window, t->last + i) != bytes[i])
            return false;
    return true;
}

/* Learns which checksum the message has at its end. */
static void learn_checksum(struct mix_payload *m)
{
    struct mix_topic *t = m->topic;

    if (m->position > m->window.mask / 2)
        return;
    if (t->checksum_trust) {
        bool fits = true;
        unsigned width = mix_checksum_width(t->checksum.kind), behind = width + t->checksum.tail;
        for (unsigned i = 0; i < width; i++)
            fits = fits && m->position > behind &&
                   mix_window_at(&m->window, m->begin + m->position - behind + i) == m->checksum[i];
        if (!fits)
            t->checksum_trust /= 2;
        else if (t->checksum_trust < MIX_CHECKSUM_TRUST)
            t->checksum_trust++;
    }
    if (t->checksum_trust)
        return;
    struct mix_message message = {m->begin, m->position};
    if (t->seen < MIX_CHECKSUM_TRIES) {
        t->checksum = mix_checksum_find(&m->window, message, (struct mix_message){t->last, t->last_length});
        t->checksum_trust = t->checksum.kind != 0;
    } else {
        t->checksum_trust = t->checksum.kind && mix_checksum_fits(&m->window, message, t->checksum);
    }
}

void mix_payload_end(struct mix_payload *m)
{
    struct mix_topic *t = m->topic;

    if (m->format == MIX_TEXT)
        mix_text_end(&m->text);
    else
        learn_checksum(m);
    remember(m, t, m->begin, m->position);
}

/* --- a byte --- */

uint32_t mix_payload_index(const struct mix_payload *m)
{
    return contains(m) ? mix_container_index(&m->container) : m->position;
}

static void expect_bytes(struct mix_payload *m, struct mix_message of, struct mix_checksum checksum, unsigned sure)
{
    struct mix_expectation *e = &m->value.expected[MIX_EXPECT_OTHER];

    mix_checksum_make(&m->window, of, checksum, e->text);
    e->length = (uint8_t)mix_checksum_width(checksum.kind);
    e->at = e->diverged = 0;
    e->sure = (uint8_t)sure;
}

/* The bytes of a checksum come, of the message or of a frame in it: they should be that. */
static void expect_checksum(struct mix_payload *m)
{
    const struct mix_topic *t = m->topic;
    struct mix_message message = {m->begin, m->length};

    if (mix_frame_at(&m->frame, &m->window, message, m->position)) {
        struct mix_message frame = {m->begin + m->frame.begin, m->frame.end - m->frame.begin};
        expect_bytes(m, frame, m->frame.checksum, MIX_CHECKSUM_TRUST);
    }
    if (t->checksum_trust && m->position + mix_checksum_width(t->checksum.kind) + t->checksum.tail == m->length) {
        expect_bytes(m, message, t->checksum, t->checksum_trust);
        memcpy(m->checksum, m->value.expected[MIX_EXPECT_OTHER].text, sizeof m->checksum);
    }
}

/* A container's item begins: looks up the same item's last value. */
static void item_begin(struct mix_payload *m)
{
    const struct mix_container *c = &m->container;
    struct mix_place *place = &m->text.places[mix_spread(c->key, m->text.place_count)];
    uint16_t check = (uint16_t)c->key;

    if (place->check == check && mix_window_holds(&m->window, place->place)) {
        struct mix_reference *last = &m->binary.last;
        uint32_t end = last->end;
        bool inside = last->begin != last->end && place->place - last->begin < end - last->begin;
        if (!inside || last->place != place->place)
            mix_reference_start(last, &m->window, place->place, inside ? end - place->place : c->length, 0);
    }
    place->check = check;
    place->place = m->window.head;
    if (c->role == MIX_VARINT || c->role == MIX_UINT || c->role == MIX_FLOAT)
        mix_value_begin(&m->value, c->key, c->size, c->role == MIX_FLOAT);
}

/* In a container the column is the item and how far into it. */
static int item_column(const struct mix_payload *m)
{
    const struct mix_container *c = &m->container;

    return contains(m) ? (int)(mix_hash3(c->key, c->role, c->at) & 255) : -1;
}

static void byte_begin(struct mix_payload *m)
{
    uint32_t x[MIX_CONTEXTS];
    bool binary = m->format != MIX_TEXT;

    if (binary) {
        expect_checksum(m);
        mix_binary_prepare(&m->binary, m->position, item_column(m));
        m->aligned = m->binary.last;
        mix_payload_packed_contexts(m, x);
    } else {
        mix_text_prepare(&m->text, m->fast);
        mix_payload_text_contexts(m, x);
    }
    for (unsigned i = 0; i < MIX_CONTEXTS; i++)
        x[i] = mix_hash2(x[i] + i * 0x3c6ef372u, i + (binary ? 101 : 1));
    mix_contexts_begin(&m->contexts, contains(m) ? 3 : binary ? 2 : m->text.last_is_number ? 1 : 0, m->fast, x);
}

static unsigned strength(int vote, int strong)
{
    int sure = vote < 0 ? -vote : vote;

    return sure == 0 ? 0 : sure > strong ? 2 : 1;
}

int mix_payload_predict(struct mix_payload *m)
{
    int16_t *in = m->mixer.in;
    struct mix_text *t = &m->text;
    bool binary = m->format != MIX_TEXT;
    unsigned node = m->node, bits = m->bits;

    if (bits == 0)
        byte_begin(m);
    mix_contexts_predict(&m->contexts, node, bits, in);
    in += MIX_CONTEXTS * MIX_CONTEXT_INPUTS;

    struct mix_reference none = {0};
    struct mix_reference *reference[4] = {&m->aligned, binary ? &none : &t->last, &m->long_match,
                                          &m->short_match};
    int vote[4];
    for (unsigned r = 0; r < 4; r++, in += MIX_REFERENCE_INPUTS)
        vote[r] = mix_reference_predict(reference[r], &m->window, node, bits, binary,
                                        m->reference_map[r], in);
    unsigned expected[MIX_EXPECTATIONS] = {0};
    memset(in, 0, (2 * MIX_EXPECTATIONS + MIX_TEXT_NUMBER_INPUTS) * sizeof *in);
    if (binary) {
        unsigned last = mix_reference_byte(&m->binary.last, &m->window);
        for (unsigned k = 0; k < MIX_EXPECTATIONS; k++) {
            struct mix_expectation *e = &m->value.expected[k];
            expected[k] = mix_expectation_predict(e, &m->value.map, k, node, bits,
                                                  mix_expectation_byte(e) == last, in + 2 * k);
        }
        if (m->value.open && m->value.size && !m->fast)
            mix_value_predict(&m->value, node, bits, in + 2 * MIX_EXPECTATIONS);
        else if (!m->fast)
            mix_binary_predict(&m->binary, node, bits, in + 2 * MIX_EXPECTATIONS);
    } else {
        for (unsigned k = 0; k < MIX_EXPECTATIONS; k++)
            expected[k] = mix_text_predict_expected(t, k, node, bits, in + 2 * k);
        mix_text_predict_digit(t, node, bits, in + 2 * MIX_EXPECTATIONS);
    }
    in += 2 * MIX_EXPECTATIONS + MIX_TEXT_NUMBER_INPUTS;
    *in++ = 256; /* bias */
    memset(in, 0, (size_t)(m->mixer.in + MIX_INPUTS - in) * sizeof *in);
#ifdef MIX_WITHOUT /* tests/bench/ablation.py: what do these votes earn? */
    memset(m->mixer.in + MIX_WITHOUT, 0, MIX_WITHOUT_COUNT * sizeof *in);
#endif

    unsigned contained = contains(m);
    unsigned kind = contained ? 4 : binary ? 3 : t->in_string ? 2 : t->last_is_number ? 1 : 0;
    unsigned against = vote[3] == 0 ? 0 : (vote[3] > 0) != (vote[2] > 0) ? 2 : 1;
    unsigned last_vote = vote[1] == 0 ? 0 : t->last.agreed ? 2 : 1;
    uint32_t select[MIX_SELECTORS + 1] = {
        node + 256 * (binary + contained),
        ((strength(vote[0], 8) * 27 + last_vote * 9 + strength(vote[2], 12) * 3 + against) << 3) | bits,
        (kind * 8 + bits) * 16 + (binary ? mix_least(m->position, 15)
                                         : (t->last_diverged & 7) * 2 +
                                               (t->expected[MIX_EXPECT_LINE].diverged != 0)),
        binary ? 256 + m->binary.column + 256 * contained : t->field & 255,
        !binary && t->weighed ? 1024 + (t->place * 4 + t->steady) * 8 + bits
                              : binary * 512u + (m->topic_index & 15) * 32 +
                                    mix_least(binary ? m->position : t->value_at, 3) * 8 + bits,
        binary && m->value.open && m->value.size ? 216 + 2 * m->value.choices + (bits > 3)
        : binary && expected[MIX_EXPECT_OTHER]   ? 248 + expected[0] * 2 + expected[1] - 1
        : binary                                 ? 256 + ((uint32_t)m->history & 255)
                 : (expected[0] * 3 + expected[1]) * 24 + bits * 3 + mix_least(t->decimals, 2),
        (binary * 9 + strength(vote[0], 8) * 3 + strength(vote[2], 12)) * 8 + bits,
    };
    unsigned shadow = (m->long_match.on || (!binary && t->last.on)) * 512u +
                      (((!binary && t->last.on ? mix_reference_byte(&t->last, &m->window)
                                               : mix_reference_byte(&m->long_match, &m->window)) ^
                        node ^ t->last_diverged << 4) & 511);
    return mix_mixer_predict(&m->mixer, m->fast, select, kind * 8 + bits, (uint32_t[MIX_MAPS]){node, shadow});
}

/* Binary: learns how far apart like pairs of bytes stand (records within a message). */
static void learn_stride(struct mix_payload *m)
{
    struct mix_topic *t = m->topic;
    unsigned pair = (unsigned)((m->history & 255) ^ (m->history >> 8 & 255) * 37) & 255;
    unsigned distance = m->position - m->pair_at[pair];

    if (m->position < 2)
        return;
    if (m->pair_at[pair] && distance > 1 && distance < STRIDE_MAX) {
        if (t->stride == distance) {
            t->stride_trust += t->stride_trust < 60;
        } else if (t->stride_trust == 0) {
            t->stride = (uint8_t)distance;
            t->stride_trust = 2;
        } else if (m->position % 3 == 0) {
            t->stride_trust--;
        }
    }
    m->pair_at[pair] = (uint16_t)m->position;
}

static unsigned agreement(const struct mix_window *w, uint32_t place, unsigned most)
{
    unsigned n = 0;

    while (n < most && mix_window_at(w, place - 1 - n) == mix_window_at(w, w->head - 1 - n))
        n++;
    return n;
}

/* Finds where the last bytes stood before. */
static void find_matches(struct mix_payload *m)
{
    const struct mix_window *w = &m->window;
    uint32_t h6 = mix_hash2((uint32_t)m->history, (uint32_t)(m->history >> 32) & 0xffff);
    uint32_t *six = &m->long_matches[mix_spread(h6, m->match_count)];
    uint32_t *three = &m->short_matches[mix_spread(mix_hash2((uint32_t)m->history & 0xffffff, 99),
                                                   m->match_count)];

    if (!m->long_match.on || m->long_match.agreed < 8) {
        if (mix_window_holds(w, *six)) {
            unsigned n = agreement(w, *six, LONG_LOOK);
            if (n >= LONG_MATCH && n > m->long_match.agreed)
                mix_reference_start(&m->long_match, w, *six, 0, n);
        }
    }
    if (!m->short_match.on && mix_window_holds(w, *three)) {
        unsigned n = agreement(w, *three, SHORT_LOOK);
        if (n >= SHORT_MATCH)
            mix_reference_start(&m->short_match, w, *three, 0, n);
    }
    *six = *three = w->head;
}

/* Protocol Buffers: a string that reads as a message is taken for one from now on. */
static void learn_nested(struct mix_payload *m, uint32_t key, uint32_t size)
{
    uint8_t copy[NESTED_LOOK];
    uint8_t *nested = &m->container.nested[key % MIX_CONTAINER_NESTED];

    if (*nested || size > sizeof copy)
        return;
    for (uint32_t i = 0; i < size; i++)
        copy[i] = mix_window_at(&m->window, m->window.head - size + i);
    *nested = mix_container_is_protobuf(copy, size) ? 2 : 1;
}

static void container_byte(struct mix_payload *m, uint8_t byte)
{
    struct mix_container *c = &m->container;
    bool string = m->format == MIX_PROTOBUF && c->role == MIX_BYTES && c->at + 1 == c->size;
    uint32_t key = c->key, size = c->size;

    mix_value_byte(&m->value, byte);
    mix_container_byte(c, byte);
    if (string)
        learn_nested(m, key, size);
    if (c->began)
        item_begin(m);
    else if (c->at == 0)
        mix_value_idle(&m->value);
}

static void byte_end(struct mix_payload *m, uint8_t c)
{
    bool binary = m->format != MIX_TEXT;

    mix_contexts_end(&m->contexts, c);
    if (binary) {
        mix_binary_follow(&m->binary, c);
        mix_reference_follow_binary(&m->long_match, &m->window, c);
    } else {
        mix_text_follow(&m->text, c);
        mix_reference_follow_text(&m->aligned, &m->window, m->text.armored, c);
        mix_reference_follow_text(&m->long_match, &m->window, m->text.armored, c);
    }
    mix_reference_follow_match(&m->short_match, &m->window, c);
    m->history = m->history << 8 | c;
    mix_window_put(&m->window, c, false);
    m->position++;
    if (contains(m)) {
        container_byte(m, c);
    } else if (binary) {
        mix_value_byte(&m->value, c);
        learn_stride(m);
        mix_binary_align(&m->binary, m->position);
    } else {
        mix_text_parse(&m->text, c, m->position);
    }
    find_matches(m);
    m->node = 1;
    m->bits = 0;
}

void mix_payload_update(struct mix_payload *m, int bit)
{
    bool surprise = mix_mixer_update(&m->mixer, bit);

    mix_contexts_update(&m->contexts, m->node, m->bits, bit, surprise);
    mix_reference_update(&m->aligned, bit);
    if (m->format == MIX_TEXT) {
        mix_reference_update(&m->text.last, bit);
        mix_text_update(&m->text, bit);
    } else {
        for (unsigned k = 0; k < MIX_EXPECTATIONS; k++)
            mix_expectation_update(&m->value.expected[k], bit);
    }
    mix_reference_update(&m->long_match, bit);
    mix_reference_update(&m->short_match, bit);
    m->node = m->node << 1 | (unsigned)bit;
    if (++m->bits == 8)
        byte_end(m, (uint8_t)m->node);
}
