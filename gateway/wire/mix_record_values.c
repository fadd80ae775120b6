/* The encoder's side of a record: what each step has to say for it. The decoder has no use for this file. */
#include "gateway/wire/mix_records.h"

#include "gateway/wire/mix_record_contexts.h"
#include "gateway/wire/mix_steps.h"

/* The slot that a record's payload belongs to. */
static uint32_t slot_index_of(const struct mix_records *w, const struct record *r)
{
    if (r->type == RECORD_CHUNK)
        return w->numbering.partial[r->class].slot_index;
    return r->slot == RECORD_NO_SLOT ? mix_records_topic_index(r->topic, r->topic_len) : r->slot;
}

struct mix_choice mix_records_choose(const struct mix_records *w, const struct record *r)
{
    const struct mix_past *past = &w->slots[slot_index_of(w, r) % w->slot_count].past;
    struct mix_choice choice = mix_choose(past, r->bytes, r->len);

    if (r->type == RECORD_CHUNK || r->len < r->total) /* a piece of a container cannot be parsed */
        if (choice.format > MIX_BINARY)
            choice.format = MIX_BINARY;
    if (choice.format == MIX_BINARY && mix_looks_random(r->bytes, r->len))
        choice.stored = !mix_payload_repeats(
            w->payload, mix_payload_topic(w->payload, slot_index_of(w, r)), r->bytes, r->len);
    return choice;
}

static uint8_t flags_of(const struct record *r)
{
    return (uint8_t)(r->qos | (r->retain ? FLAG_RETAIN : 0) | (r->has_origin ? FLAG_ORIGIN : 0) |
                     (r->has_origin && r->origin_in_ms ? FLAG_ORIGIN_MS : 0) |
                     (r->has_expiry ? FLAG_EXPIRY : 0) | (r->props_len ? FLAG_PROPS : 0) |
                     (r->hops_len ? FLAG_HOPS : 0));
}

/* The value that the symbol under way must have for r. */
static uint64_t value_of(const struct mix_records *w, const struct record *r,
                         const struct mix_choice *choice)
{
    const struct record *now = &w->record; /* as far as it is coded */
    bool piece = r->type == RECORD_CHUNK || r->len < r->total;

    switch ((enum step)w->step) {
    case STEP_UNIT_END:
        return 0;
    case STEP_USUAL:
        return r->type == RECORD_MESSAGE && r->class == w->class &&
               r->previous == w->numbering.last[r->class] && r->number == r->previous + 1;
    case STEP_TYPE:
        return r->type;
    case STEP_CLASS:
        return r->class;
    case STEP_PREVIOUS_KNOWN:
        return r->previous == w->numbering.last[r->class];
    case STEP_PREVIOUS:
        return zigzag(r->previous - w->numbering.last[r->class]);
    case STEP_NUMBER_HOW:
        return r->number == r->previous + 1  ? NUMBER_NEXT
               : r->number == w->numbering.highest + 1 ? NUMBER_NEXT_OF_ALL
                                             : NUMBER_FAR;
    case STEP_NUMBER:
        return r->number - r->previous - 1;
    case STEP_SLOT_NEW:
        return r->slot == mix_records_new_slot(w);
    case STEP_STRAND:
        return r->slot == RECORD_NO_SLOT
                   ? MIX_STRAND_TEXT
                   : mix_strands_of(&w->strands, &w->slots[r->slot % w->slot_count].strand);
    case STEP_SLOT:
        return r->slot;
    case STEP_FLAGS_SAME:
        return flags_of(r) == slot_of(w)->flags;
    case STEP_FLAGS:
        return flags_of(r);
    case STEP_ORIGIN:
        return r->origin_in_ms ? zigzag((uint64_t)r->origin_ms - (uint64_t)w->origin)
                               : zigzag((uint64_t)seconds(r->origin_ms) - (uint64_t)seconds(w->origin));
    case STEP_EXPIRY:
        return zigzag(r->expiry_s - slot_of(w)->expiry);
    case STEP_PROPS_LENGTH:
        return r->props_len;
    case STEP_FORM:
        return (choice->stored ? FORM_STORED : (unsigned)choice->format) | (piece ? FORM_PIECE : 0u) |
               (choice->fast ? FORM_FAST : 0u);
    case STEP_TOTAL:
        return r->total;
    case STEP_LENGTH:
        return r->len;
    case STEP_CHUNK_KNOWN:
        return w->numbering.partial[r->class].open && w->numbering.partial[r->class].number == r->number &&
               w->numbering.partial[r->class].have == r->offset;
    case STEP_CHUNK_NUMBER:
        return zigzag(r->number - w->numbering.last[r->class]);
    case STEP_OFFSET:
        return r->offset;
    case STEP_GAP_SPAN:
        return r->number - r->first_number;
    case STEP_GAP_COUNT:
        return zigzag(now->number - now->first_number + 1 - r->count);
    case STEP_GAP_REASON:
        return r->reason;
    case STEP_GAP_FROM:
        return zigzag((uint64_t)seconds(r->from_ms) - (uint64_t)w->gap_s);
    case STEP_GAP_TO:
        return zigzag((uint64_t)seconds(r->to_ms) - (uint64_t)w->gap_s);
    case STEP_TOPIC:
    case STEP_PROPS:
    case STEP_HOPS:
    case STEP_ROUTE:
    case STEP_PAYLOAD:
        break;
    }
    return 0;
}

static const uint8_t *string_of(int step, const struct record *r, uint32_t *n)
{
    switch (step) {
    case STEP_TOPIC:
        *n = r->topic_len;
        return (const uint8_t *)r->topic;
    case STEP_PROPS:
        *n = r->props_len;
        return r->props;
    case STEP_HOPS:
        *n = r->hops_len;
        return (const uint8_t *)r->hops;
    case STEP_ROUTE:
        *n = r->route_len;
        return (const uint8_t *)r->route;
    default:
        *n = r->len;
        return r->bytes;
    }
}

unsigned mix_records_bit(const struct mix_records *w, const struct record *r,
                         const struct mix_choice *choice)
{
    if (!r)
        return 1; /* only asked for STEP_UNIT_END */
    if (w->phase == MIX_PHASE_SYMBOL)
        return (unsigned)mix_symbols_bit(&w->symbols, value_of(w, r, choice));
    uint32_t n;
    const uint8_t *bytes = string_of(w->step, r, &n);
    if (w->phase == MIX_PHASE_END_FLAG)
        return w->string_done == n;
    if (w->even)
        return bytes[w->string_done];
    return bytes[mix_payload_index(w->payload)] >> (7 - w->payload->bits) & 1;
}
