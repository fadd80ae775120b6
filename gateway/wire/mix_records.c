#include "gateway/wire/mix_records.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/msg.h"
#include "gateway/wire/mix_counter.h"
#include "gateway/wire/mix_payload_contexts.h"
#include "gateway/wire/mix_record_contexts.h"
#include "gateway/wire/mix_steps.h"

#define UNIT_RECORDS_MAX   255
#define ORIGIN_MAX_MS      (INT64_MAX / 4) /* beyond it differences might not fit */

static const uint8_t symbol_bits[STEP_SYMBOLS] = {
    [STEP_UNIT_END] = 1, [STEP_USUAL] = 1,       [STEP_TYPE] = 3,        [STEP_CLASS] = 2,
    [STEP_PREVIOUS_KNOWN] = 1, [STEP_NUMBER_HOW] = 2, [STEP_SLOT_NEW] = 1, [STEP_SLOT] = 12,
    [STEP_STRAND] = MIX_STRAND_BITS,  [STEP_FLAGS_SAME] = 1,
    [STEP_FLAGS] = 8,    [STEP_FORM] = 5,        [STEP_CHUNK_KNOWN] = 1, [STEP_GAP_REASON] = 4,
    /* the others are numbers */
};

static_assert((int)STEP_SYMBOLS == MIX_SYMBOL_FLAGS, "symbols and flags share counters");
static_assert(STEP_SYMBOLS + 16 <= MIX_SYMBOL_SETS, "no weights for some symbols"); /* 16: the end flags' */

/* --- asking --- */

static enum mix_records_state ask(struct mix_records *w, enum step step)
{
    uint32_t c[MIX_SYMBOL_CONTEXTS];

    mix_record_contexts(w, step, c);
    w->step = step;
    w->phase = MIX_PHASE_SYMBOL;
    mix_symbols_begin(&w->symbols, step, symbol_bits[step], 511, c);
    return MIX_RECORDS_MORE;
}

static void ask_end_flag(struct mix_records *w)
{
    uint32_t c[MIX_SYMBOL_CONTEXTS];
    unsigned set = mix_payload_end_contexts(w->payload, c);

    w->phase = MIX_PHASE_END_FLAG;
    mix_symbols_begin(&w->symbols, STEP_SYMBOLS + set, 1, 511, c);
}

/* --- what follows what --- */

static enum mix_records_state string_end(struct mix_records *w);

/* A string's bytes come next: `length` of them, or (OPEN_END) as many as come before its end flag. */
static enum mix_records_state ask_string(struct mix_records *w, enum step step, uint32_t topic,
                                         enum mix_format format, uint32_t length)
{
    w->step = step;
    w->string_at = w->bytes.len;
    w->string_done = 0;
    w->length = length;
    w->even = step == STEP_PAYLOAD && (w->form & FORM_FORMAT) == FORM_STORED;
    if (length != OPEN_END) {
        if (!buf_reserve(&w->bytes, length))
            return MIX_RECORDS_BAD;
        buf_commit(&w->bytes, length);
    }
    if (!w->even)
        mix_payload_begin(w->payload, topic, format, step == STEP_PAYLOAD && w->form & FORM_FAST, length);
    if (length == OPEN_END)
        ask_end_flag(w);
    else if (length == 0)
        return string_end(w);
    else
        w->phase = MIX_PHASE_BYTES;
    return MIX_RECORDS_MORE;
}

static enum mix_records_state ask_text(struct mix_records *w, enum step step, enum mix_pseudo pseudo)
{
    return ask_string(w, step, mix_payload_pseudo(w->payload, pseudo), MIX_TEXT, OPEN_END);
}

static enum mix_records_state after_props(struct mix_records *w)
{
    if (w->flags & FLAG_HOPS)
        return ask_text(w, STEP_HOPS, MIX_PSEUDO_HOPS);
    return ask(w, STEP_FORM);
}

static enum mix_records_state after_expiry(struct mix_records *w)
{
    return w->flags & FLAG_PROPS ? ask(w, STEP_PROPS_LENGTH) : after_props(w);
}

static enum mix_records_state after_origin(struct mix_records *w)
{
    return w->record.has_expiry ? ask(w, STEP_EXPIRY) : after_expiry(w);
}

static enum mix_records_state after_flags(struct mix_records *w)
{
    struct record *r = &w->record;

    slot_of(w)->flags = w->flags;
    r->qos = w->flags & FLAG_QOS;
    r->retain = w->flags & FLAG_RETAIN;
    r->has_origin = w->flags & FLAG_ORIGIN;
    r->origin_in_ms = w->flags & FLAG_ORIGIN_MS;
    r->has_expiry = w->flags & FLAG_EXPIRY;
    if (r->qos > 2)
        return MIX_RECORDS_BAD;
    return r->has_origin ? ask(w, STEP_ORIGIN) : after_origin(w);
}

static enum mix_records_state take_origin(struct mix_records *w, uint64_t v)
{
    struct record *r = &w->record;
    struct mix_slot *s = slot_of(w);
    int64_t unit = r->origin_in_ms ? 1 : SECOND_MS;
    int64_t base = r->origin_in_ms ? w->origin : seconds(w->origin);
    int64_t origin = (int64_t)((uint64_t)base + unzigzag(v));

    if (origin > ORIGIN_MAX_MS / unit || origin < -ORIGIN_MAX_MS / unit)
        return MIX_RECORDS_BAD;
    r->origin_ms = origin * unit;
    s->period = s->origin ? r->origin_ms - s->origin : 0;
    s->origin = r->origin_ms;
    w->origin_step = r->origin_ms - w->origin;
    w->origin = r->origin_ms;
    return after_origin(w);
}

static enum mix_records_state take_form(struct mix_records *w, unsigned form)
{
    unsigned format = form & FORM_FORMAT;

    if (format >= MIX_FORMATS && format != FORM_STORED)
        return MIX_RECORDS_BAD;
    w->form = form;
    slot_of(w)->form = (uint8_t)form;
    if (w->record.type == RECORD_CHUNK)
        return form & FORM_PIECE ? ask(w, STEP_LENGTH) : MIX_RECORDS_BAD;
    if (form & FORM_PIECE)
        return ask(w, STEP_TOTAL);
    if (format != MIX_TEXT)
        return ask(w, STEP_LENGTH);
    return ask_string(w, STEP_PAYLOAD, mix_payload_topic(w->payload, w->slot_index), MIX_TEXT, OPEN_END);
}

static enum mix_records_state done(struct mix_records *w)
{
    struct record *r = &w->record;

    if (r->type == RECORD_MESSAGE || r->type == RECORD_GAP || r->type == RECORD_ABORT) {
        w->numbering.last[r->class] = r->number;
        if (r->number > w->numbering.highest)
            w->numbering.highest = r->number;
    }
    switch (r->type) {
    case RECORD_MESSAGE:
        memmove(w->recent + 1, w->recent, (MIX_RECENT_SLOTS - 1) * sizeof *w->recent);
        w->recent[0] = w->slot_index + 1;
        mix_strands_add(&w->strands, r->slot == RECORD_NO_SLOT ? MIX_STRAND_TEXT
                                                               : mix_strands_of(&w->strands, &slot_of(w)->strand),
                        w->slot_index);
        slot_of(w)->seen = true;
        if (!w->even && r->len == r->total)
            mix_past_add(&slot_of(w)->past, buf_bytes(&w->bytes) + w->at[STEP_PAYLOAD - STEP_SYMBOLS], r->len);
        w->numbering.partial[r->class].open = r->len < r->total;
        w->numbering.partial[r->class].slot_index = w->slot_index;
        w->numbering.partial[r->class].number = r->number;
        w->numbering.partial[r->class].have = r->len;
        break;
    case RECORD_CHUNK:
        w->numbering.partial[r->class].open = true;
        w->numbering.partial[r->class].slot_index = w->slot_index;
        w->numbering.partial[r->class].number = r->number;
        w->numbering.partial[r->class].have = r->offset + r->len;
        break;
    case RECORD_ABORT:
        w->numbering.partial[r->class].open = false;
        break;
    case RECORD_TOPIC:
        w->named_slot = r->slot;
        w->next_slot = r->slot + 1;
        break;
    case RECORD_TOPICS_RESET:
        w->next_slot = 0;
        break;
    case RECORD_GAP:
        break;
    }
    w->type = r->type;
    if (r->type != RECORD_TOPIC && r->type != RECORD_TOPICS_RESET)
        w->class = r->class;
    if (w->unit_records < UNIT_RECORDS_MAX)
        w->unit_records++;

    const uint8_t *bytes = buf_bytes(&w->bytes);
    if (w->bytes.len) {
        r->topic = (const char *)bytes + w->at[STEP_TOPIC - STEP_SYMBOLS];
        r->props = bytes + w->at[STEP_PROPS - STEP_SYMBOLS];
        r->hops = (const char *)bytes + w->at[STEP_HOPS - STEP_SYMBOLS];
        r->route = (const char *)bytes + w->at[STEP_ROUTE - STEP_SYMBOLS];
        r->bytes = bytes + w->at[STEP_PAYLOAD - STEP_SYMBOLS];
    }
    return MIX_RECORDS_DONE;
}

/* Stands in for the slot of a topic that comes as text. */
uint32_t mix_records_topic_index(const char *text, uint32_t n)
{
    uint32_t h = 0;

    for (uint32_t i = 0; i < n; i++)
        h = mix_hash2(h, (uint8_t)text[i]);
    return h % RECORD_TOPIC_SLOTS;
}

static enum mix_records_state take_topic(struct mix_records *w, const char *text, uint32_t n)
{
    if (w->record.type == RECORD_MESSAGE) { /* the text stands in for a slot: by its hash */
        w->slot_index = mix_records_topic_index(text, n);
        mix_payload_name(w->payload, mix_payload_topic(w->payload, w->slot_index), text, n);
        return ask(w, STEP_FLAGS_SAME);
    }
    *slot_of(w) = (struct mix_slot){0};
    mix_strands_name(&w->strands, &slot_of(w)->strand, text, n);
    mix_payload_name(w->payload, mix_payload_topic(w->payload, w->slot_index), text, n);
    return done(w);
}

static enum mix_records_state string_end(struct mix_records *w)
{
    struct record *r = &w->record;
    uint32_t n = (uint32_t)(w->bytes.len - w->string_at);

    if (w->even)
        mix_payload_store(w->payload, mix_payload_topic(w->payload, w->slot_index),
                          buf_bytes(&w->bytes) + w->string_at, n);
    else
        mix_payload_end(w->payload);
    w->at[w->step - STEP_SYMBOLS] = w->string_at;
    switch (w->step) {
    case STEP_TOPIC:
        r->topic_len = n;
        return take_topic(w, (const char *)buf_bytes(&w->bytes) + w->string_at, n);
    case STEP_PROPS:
        r->props_len = n;
        return after_props(w);
    case STEP_HOPS:
        r->hops_len = n;
        return ask(w, STEP_FORM);
    case STEP_ROUTE:
        r->route_len = n;
        return done(w);
    default: /* STEP_PAYLOAD */
        r->len = w->last_length = n;
        if (!(w->form & FORM_PIECE))
            r->total = n;
        return done(w);
    }
}

static enum mix_records_state after_numbers(struct mix_records *w)
{
    switch (w->record.type) {
    case RECORD_MESSAGE:
        return ask(w, w->type == RECORD_TOPIC ? STEP_SLOT_NEW : STEP_STRAND);
    case RECORD_GAP:
        return ask(w, STEP_GAP_SPAN);
    default:
        return done(w);
    }
}

static enum mix_records_state take_type(struct mix_records *w, uint64_t v)
{
    if (v >= RECORD_TYPES)
        return MIX_RECORDS_BAD;
    w->record.type = (enum record_type)v;
    if (v == RECORD_TOPIC)
        return ask(w, STEP_SLOT_NEW);
    return v == RECORD_TOPICS_RESET ? done(w) : ask(w, STEP_CLASS);
}

static enum mix_records_state take_slot(struct mix_records *w, uint64_t v)
{
    struct record *r = &w->record;
    bool text = v == RECORD_TOPIC_SLOTS; /* no slot: the topic itself */

    if (v > RECORD_TOPIC_SLOTS || (text && r->type == RECORD_TOPIC))
        return MIX_RECORDS_BAD;
    r->slot = text ? RECORD_NO_SLOT : (unsigned)v;
    w->slot_index = (uint32_t)v;
    if (text || r->type == RECORD_TOPIC)
        return ask_text(w, STEP_TOPIC, MIX_PSEUDO_TOPIC);
    return ask(w, STEP_FLAGS_SAME);
}

/* The number, `ahead` beyond the previous one. */
static enum mix_records_state take_number(struct mix_records *w, uint64_t number)
{
    w->record.number = number;
    return number > w->record.previous ? after_numbers(w) : MIX_RECORDS_BAD;
}

static enum mix_records_state take_length(struct mix_records *w, uint64_t v)
{
    struct record *r = &w->record;
    bool piece = w->form & FORM_PIECE && r->type == RECORD_MESSAGE;
    uint64_t end = piece ? r->total : r->offset + v;

    if (v > RECORD_CHUNK_MAX || (piece && v > r->total))
        return MIX_RECORDS_BAD;
    if (end + r->topic_len + r->props_len > w->max_message)
        return MIX_RECORDS_BAD;
    return ask_string(w, STEP_PAYLOAD, mix_payload_topic(w->payload, w->slot_index),
                      (enum mix_format)(w->form & FORM_FORMAT), (uint32_t)v);
}

/* The symbol asked for has the value v. */
static enum mix_records_state advance(struct mix_records *w, uint64_t v)
{
    struct record *r = &w->record;

    switch ((enum step)w->step) {
    case STEP_UNIT_END:
        if (!v)
            return ask(w, STEP_USUAL);
        w->unit_last = w->unit_records;
        w->unit_records = 0;
        return MIX_RECORDS_UNIT_END;
    case STEP_USUAL:
        if (!v)
            return ask(w, STEP_TYPE);
        r->type = RECORD_MESSAGE;
        r->class = w->class;
        r->previous = w->numbering.last[r->class];
        return take_number(w, r->previous + 1);
    case STEP_TYPE:
        return take_type(w, v);
    case STEP_CLASS:
        r->class = (enum msg_class)v;
        return ask(w, r->type == RECORD_CHUNK ? STEP_CHUNK_KNOWN : STEP_PREVIOUS_KNOWN);
    case STEP_PREVIOUS_KNOWN:
        r->previous = w->numbering.last[r->class];
        return ask(w, v ? STEP_NUMBER_HOW : STEP_PREVIOUS);
    case STEP_PREVIOUS:
        r->previous += unzigzag(v);
        return ask(w, STEP_NUMBER_HOW);
    case STEP_NUMBER_HOW:
        if (v >= NUMBER_HOWS)
            return MIX_RECORDS_BAD;
        if (v == NUMBER_FAR)
            return ask(w, STEP_NUMBER);
        return take_number(w, (v == NUMBER_NEXT ? r->previous : w->numbering.highest) + 1);
    case STEP_NUMBER:
        return v < UINT64_MAX - r->previous ? take_number(w, r->previous + 1 + v) : MIX_RECORDS_BAD;
    case STEP_SLOT_NEW:
        if (v)
            return take_slot(w, mix_records_new_slot(w));
        return ask(w, r->type == RECORD_TOPIC ? STEP_SLOT : STEP_STRAND);
    case STEP_STRAND:
        w->strand = (unsigned)v;
        return v == MIX_STRAND_TEXT ? take_slot(w, RECORD_TOPIC_SLOTS) : ask(w, STEP_SLOT);
    case STEP_SLOT:
        return take_slot(w, v);
    case STEP_FLAGS_SAME:
        w->flags = v ? slot_of(w)->flags : w->flags;
        return v ? after_flags(w) : ask(w, STEP_FLAGS);
    case STEP_FLAGS:
        w->flags = (uint8_t)v;
        return after_flags(w);
    case STEP_ORIGIN:
        return take_origin(w, v);
    case STEP_EXPIRY:
        r->expiry_s = slot_of(w)->expiry += unzigzag(v);
        return after_expiry(w);
    case STEP_PROPS_LENGTH:
        if (v > MSG_PROPS_MAX_BYTES)
            return MIX_RECORDS_BAD;
        return ask_string(w, STEP_PROPS, mix_payload_pseudo(w->payload, MIX_PSEUDO_PROPERTIES),
                          MIX_BINARY, (uint32_t)v);
    case STEP_FORM:
        return take_form(w, (unsigned)v);
    case STEP_TOTAL:
        r->total = (uint32_t)v;
        return v > w->max_message ? MIX_RECORDS_BAD : ask(w, STEP_LENGTH);
    case STEP_LENGTH:
        return take_length(w, v);
    case STEP_CHUNK_KNOWN:
        if (!v)
            return ask(w, STEP_CHUNK_NUMBER);
        if (!w->numbering.partial[r->class].open)
            return MIX_RECORDS_BAD;
        r->number = w->numbering.partial[r->class].number;
        r->offset = w->numbering.partial[r->class].have;
        w->slot_index = w->numbering.partial[r->class].slot_index;
        return ask(w, STEP_FORM);
    case STEP_CHUNK_NUMBER:
        r->number = w->numbering.last[r->class] + unzigzag(v);
        return ask(w, STEP_OFFSET);
    case STEP_OFFSET:
        r->offset = (uint32_t)v;
        w->slot_index = 0;
        return v > UINT32_MAX ? MIX_RECORDS_BAD : ask(w, STEP_FORM);
    case STEP_GAP_SPAN:
        r->first_number = r->number - v;
        return v > r->number ? MIX_RECORDS_BAD : ask(w, STEP_GAP_COUNT);
    case STEP_GAP_COUNT:
        r->count = r->number - r->first_number + 1 - unzigzag(v);
        return ask(w, STEP_GAP_REASON);
    case STEP_GAP_REASON:
        r->reason = (unsigned)v;
        return ask(w, STEP_GAP_FROM);
    case STEP_GAP_FROM:
    case STEP_GAP_TO: {
        int64_t s = (int64_t)((uint64_t)w->gap_s + unzigzag(v));
        if (s > ORIGIN_MAX_MS / SECOND_MS || s < -ORIGIN_MAX_MS / SECOND_MS)
            return MIX_RECORDS_BAD;
        w->gap_s = s;
        *(w->step == STEP_GAP_FROM ? &r->from_ms : &r->to_ms) = s * SECOND_MS;
        return w->step == STEP_GAP_FROM ? ask(w, STEP_GAP_TO)
                                        : ask_text(w, STEP_ROUTE, MIX_PSEUDO_ROUTE);
    }
    case STEP_TOPIC: /* strings end in string_end */
    case STEP_PROPS:
    case STEP_HOPS:
    case STEP_ROUTE:
    case STEP_PAYLOAD:
        break;
    }
    return MIX_RECORDS_BAD;
}

/* --- decisions --- */

void mix_records_begin(struct mix_records *w, uint64_t unit_bytes)
{
    w->record = (struct record){0};
    w->unit_bytes = unit_bytes;
    buf_clear(&w->bytes);
    memset(w->at, 0, sizeof w->at);
    (void)ask(w, STEP_UNIT_END);
}

int mix_records_predict(struct mix_records *w)
{
    if (w->phase != MIX_PHASE_BYTES)
        return mix_symbols_predict(&w->symbols);
    return w->even ? 0 : mix_payload_predict(w->payload);
}

/* A byte that stands `index` bytes into the string. */
static enum mix_records_state take_byte(struct mix_records *w, uint32_t index, uint8_t byte)
{
    w->string_done++;
    if (w->length == OPEN_END) {
        if (w->string_done > RECORD_CHUNK_MAX || !buf_put_u8(&w->bytes, byte))
            return MIX_RECORDS_BAD;
        ask_end_flag(w);
        return MIX_RECORDS_MORE;
    }
    w->bytes.data[w->bytes.head + w->string_at + index] = byte;
    return w->string_done == w->length ? string_end(w) : MIX_RECORDS_MORE;
}

enum mix_records_state mix_records_update(struct mix_records *w, unsigned bit)
{
    switch (w->phase) {
    case MIX_PHASE_SYMBOL:
        if (!mix_symbols_update(&w->symbols, (int)bit))
            return MIX_RECORDS_MORE;
        return advance(w, w->symbols.value);
    case MIX_PHASE_END_FLAG:
        (void)mix_symbols_update(&w->symbols, (int)bit);
        if (bit)
            return string_end(w);
        w->phase = MIX_PHASE_BYTES;
        return MIX_RECORDS_MORE;
    case MIX_PHASE_BYTES: {
        if (w->even)
            return take_byte(w, w->string_done, (uint8_t)bit);
        uint32_t index = mix_payload_index(w->payload);
        mix_payload_update(w->payload, (int)bit);
        if (w->payload->bits)
            return MIX_RECORDS_MORE;
        return take_byte(w, index, (uint8_t)w->payload->history);
    }
    }
    return MIX_RECORDS_BAD;
}

int mix_records_learn(struct mix_records *w, const struct record *r)
{
    enum mix_records_state state = MIX_RECORDS_MORE;

    if (!r) {
        w->numbering = (struct mix_numbering){0};
        return 0;
    }
    struct mix_choice choice = mix_records_choose(w, r);
    mix_records_begin(w, 0);
    while (state == MIX_RECORDS_MORE) {
        (void)mix_records_predict(w);
        state = mix_records_update(w, mix_records_bit(w, r, &choice));
    }
    w->unit_records = 0;
    return w->bytes.failed ? -ENOMEM : 0;
}
