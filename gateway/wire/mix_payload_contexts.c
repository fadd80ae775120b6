#include "gateway/wire/mix_payload_contexts.h"

#include "gateway/wire/mix_counter.h"

/* The byte at the same position of an earlier message of the topic, or none. */
static unsigned byte_of(const struct mix_window *w, uint32_t begin, uint32_t length, uint32_t position)
{
    return position < length && mix_window_holds(w, begin) ? mix_window_at(w, begin + position)
                                                           : MIX_NO_BYTE;
}

void mix_payload_text_contexts(const struct mix_payload *m, uint32_t x[MIX_CONTEXTS])
{
    const struct mix_text *t = &m->text;
    const struct mix_window *w = &m->window;
    uint32_t c4 = (uint32_t)m->history, c1 = c4 & 255, position = mix_least(m->position, 255);
    unsigned aligned = mix_reference_byte(&m->aligned, w), last = mix_reference_byte(&t->last, w);
    unsigned next = m->aligned.on ? mix_window_at(w, m->aligned.place + 1) : MIX_NO_BYTE;
    unsigned match = mix_reference_byte(&m->long_match, w);
    unsigned near = mix_reference_byte(&m->short_match, w);
    unsigned line = mix_expectation_byte(&t->expected[MIX_EXPECT_LINE]);
    const struct mix_expectation *spelled = &t->expected[MIX_EXPECT_OTHER];
    unsigned other = mix_expectation_byte(spelled);
    unsigned told = spelled->diverged ? 99u : mix_least(spelled->length - spelled->at, 3);

    x[0] = c4 & 0xffff;
    x[1] = c4;
    x[2] = mix_hash2(t->field, t->value);
    x[3] = mix_hash3(t->field, last | t->last_diverged << 9, t->value_at);
    x[4] = mix_hash3(t->slot, position, c1);
    x[5] = mix_hash3(aligned | next << 9, mix_least(m->aligned.agreed, 15) | m->aligned.missed << 4, c1);
    x[6] = mix_hash3(line | last << 9, other | t->expected[MIX_EXPECT_LINE].diverged << 8,
                     t->expected[MIX_EXPECT_LINE].length - t->value_at);
    x[7] = mix_hash2(c4 & 0xffff00, (uint32_t)(m->history >> 32) & 255);
    x[8] = mix_hash3(match, last, mix_least(m->long_match.agreed, 31) | m->long_match.missed << 8);
    x[9] = t->number_known ? mix_hash3(t->field, t->trend | t->last_diverged << 8, last | t->value_at << 9)
           : t->armored     ? mix_hash3(t->value_at, match | c1 << 9, 78)
                            : mix_hash3(t->class_field, t->value, 77);
    x[10] = t->spelled ? mix_hash3(told, t->class_field, 5)
            : t->armored && !t->number_known
                ? mix_hash3(t->value_at, match, m->long_match.missed | mix_least(m->long_match.agreed, 3) << 2)
                       : mix_hash3(t->field, t->last_diverged, t->last_length - t->value_at);
    x[11] = mix_hash3(t->word, t->last_word, c1);
    x[12] = mix_hash2(t->word, c1);
    x[13] = mix_hash3(near | aligned << 9, match, c1);
    x[14] = mix_hash3(t->first_token, t->commas | t->part << 8, t->value);
}

void mix_payload_packed_contexts(const struct mix_payload *m, uint32_t x[MIX_CONTEXTS])
{
    const struct mix_binary *b = &m->binary;
    const struct mix_window *w = &m->window;
    uint32_t c4 = (uint32_t)m->history, c1 = c4 & 255;
    uint32_t column = 0x1000 | b->column, own = m->topic_index << 13 | column;
    unsigned aligned = mix_reference_byte(&m->aligned, w);
    unsigned match = mix_reference_byte(&m->long_match, w);
    unsigned near = mix_reference_byte(&m->short_match, w);
    unsigned next = b->last.on ? mix_window_at(w, b->last.place + 1) : MIX_NO_BYTE;
    unsigned was = b->last.on && b->last.place != b->last.begin ? mix_window_at(w, b->last.place - 1)
                   : byte_of(w, m->topic->last, m->topic->last_length, m->position - 1);
    unsigned moved = (c1 - was) & 255;
    unsigned stride = m->topic->stride;
    bool strides = stride && m->position >= stride;
    unsigned above = strides ? mix_window_at(w, w->head - stride) : MIX_NO_BYTE;
    unsigned above_next = strides ? mix_window_at(w, w->head - stride + 1) : MIX_NO_BYTE;
    unsigned above2 = stride && m->position >= 2 * stride ? mix_window_at(w, w->head - 2 * stride)
                                                          : MIX_NO_BYTE;

    x[0] = c4 & 0xffff;
    x[1] = c4;
    x[2] = mix_hash3(m->topic_index, m->position, c4 & 0xffff);
    x[3] = mix_hash3(own, b->last_byte, moved);
    x[4] = mix_hash2(own, c1);
    x[5] = mix_hash3(column, b->last_byte, b->before_byte);
    x[6] = mix_hash3(own, b->last_byte | b->before_byte << 9, c1);
    x[7] = mix_hash2(c4 & 0xffff00, (uint32_t)(m->history >> 32) & 255);
    x[8] = mix_hash3(match, mix_least(m->long_match.agreed, 31) | m->long_match.missed << 8, 256);
    x[9] = mix_hash3(column, b->last_byte, moved | c1 << 8);
    x[10] = mix_hash3(column, b->carried, next);
    x[11] = mix_hash3(above, above2, stride);
    x[12] = mix_hash3(above, above_next | c1 << 9, stride);
    x[13] = mix_hash3(near | aligned << 9, match, c1);
    x[14] = mix_hash3(column, c4 & 0xffff, b->last_byte);
}

unsigned mix_payload_end_contexts(const struct mix_payload *m, uint32_t out[MIX_END_CONTEXTS])
{
    const struct mix_window *w = &m->window;
    const struct mix_text *t = &m->text;
    bool same_length = m->topic->seen && m->position == m->topic->last_length;
    bool aligned = m->aligned.on && mix_window_ends(w, m->aligned.place);
    bool matched = m->long_match.on && mix_window_ends(w, m->long_match.place);
    bool outside = t->depth == 0 && !t->in_string;
    uint32_t c2 = (uint32_t)m->history & 0xffff;

    out[0] = mix_hash3(m->topic_index, same_length, outside * 2 + aligned);
    out[1] = mix_hash3(m->topic_index, c2, same_length);
    out[2] = aligned * 2u + matched + mix_least(m->aligned.agreed, 15) * 4 +
             mix_least(m->long_match.agreed, 15) * 64 + same_length * 1024u + outside * 2048u;
    out[3] = mix_hash3(m->topic_index, mix_least(m->position, 1000), m->format);
    out[4] = mix_hash3(c2 & 255, outside, aligned + matched * 2u);
    out[5] = mix_hash3(t->field, mix_reference_byte(&t->last, w),
                       t->last.on && mix_window_ends(w, t->last.place));
    return same_length + aligned * 2u + matched * 4u + outside * 8u;
}
