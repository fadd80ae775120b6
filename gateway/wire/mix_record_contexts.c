#include "gateway/wire/mix_record_contexts.h"

#include <string.h>
#include "gateway/wire/mix_counter.h"

/* The step to the origin time that the slot's next message has if it keeps its period. */
static int64_t due(const struct mix_records *w)
{
    const struct mix_slot *s = slot_of(w);

    return s->origin ? s->origin + s->period - w->origin : w->origin_step;
}

/* The slot that is likely because the table grows: in order, and each topic for a message that follows. */
unsigned mix_records_new_slot(const struct mix_records *w)
{
    return w->record.type == RECORD_TOPIC ? w->next_slot % RECORD_TOPIC_SLOTS : w->named_slot;
}

void mix_record_contexts(const struct mix_records *w, enum step step, uint32_t c[MIX_SYMBOL_CONTEXTS])
{
    const struct mix_slot *s = slot_of(w);
    const struct mix_topic *t = &w->payload->topics[mix_payload_topic(w->payload, w->slot_index)];
    const uint32_t *recent = w->recent;
    const struct record *r = &w->record;

    memset(c, 0, MIX_SYMBOL_CONTEXTS * sizeof *c);
    switch (step) {
    case STEP_UNIT_END:
        c[1] = w->unit_records;
        c[2] = (uint32_t)(w->unit_bytes / 4);
        c[3] = w->unit_records >= w->unit_last;
        c[4] = mix_hash2(w->type, w->class);
        c[5] = w->unit_bytes >= 220;
        break;
    case STEP_USUAL:
    case STEP_TYPE:
    case STEP_CLASS:
        c[1] = w->type;
        c[2] = mix_hash2(w->type, w->class);
        c[3] = mix_hash3(recent[0], w->type, 1);
        c[4] = mix_hash3(recent[0], recent[1], w->type);
        c[5] = mix_hash3(r->type, r->class, w->class);
        break;
    case STEP_SLOT_NEW:
        c[0] = mix_hash2(w->type, r->type);
        c[1] = r->type;
        c[2] = mix_hash3(w->type, recent[0], r->type);
        break;
    case STEP_STRAND:
        mix_strands_contexts(&w->strands, recent, c);
        break;
    case STEP_SLOT: {
        if (r->type == RECORD_TOPIC) {
            c[4] = w->next_slot;
            break;
        }
        const uint32_t *own = w->strands.strand[w->strand].recent;
        c[0] = mix_hash3(own[0], w->strand, 1);
        c[1] = mix_hash3(own[0], own[1], 2);
        c[2] = mix_hash3(mix_hash2(own[0], own[1]), own[2], 3);
        c[3] = mix_hash3(mix_hash3(own[0], own[1], own[2]), mix_hash3(own[3], own[4], own[5]), 4);
        c[4] = mix_hash3(recent[0], w->strand, 5);
        c[5] = mix_hash2(w->strand, 6);
        break;
    }
    case STEP_FLAGS_SAME:
    case STEP_FLAGS:
        c[1] = w->slot_index;
        c[2] = s->flags;
        c[3] = mix_hash2(s->seen, r->class);
        c[4] = w->flags; /* still the last message's */
        break;
    case STEP_ORIGIN:
        c[0] = mix_hash2(recent[0], w->slot_index);
        c[1] = w->slot_index;
        c[2] = (uint32_t)w->origin_step;
        c[3] = (uint32_t)due(w);
        c[4] = mix_hash2((uint32_t)due(w), w->slot_index);
        c[5] = mix_hash2((uint32_t)w->origin_step, w->slot_index);
        break;
    case STEP_EXPIRY:
    case STEP_PROPS_LENGTH:
        c[1] = w->slot_index;
        c[2] = (uint32_t)s->expiry;
        break;
    case STEP_FORM:
        c[0] = r->type;
        c[1] = mix_hash2(w->slot_index, r->type);
        c[2] = s->form;
        c[3] = mix_hash2(w->slot_index, s->form);
        break;
    case STEP_LENGTH:
    case STEP_TOTAL:
        c[0] = r->type;
        c[1] = mix_hash2(w->slot_index, w->form);
        c[2] = mix_hash3(w->slot_index, t->last_length, w->form);
        c[3] = mix_hash3(w->slot_index, recent[0], t->last_length);
        c[4] = mix_hash3(w->slot_index, t->last_length, t->before_length);
        c[5] = w->last_length;
        break;
    default:
        c[1] = r->class;
        c[2] = mix_hash2(r->class, w->type);
        c[3] = r->type;
        break;
    }
}
