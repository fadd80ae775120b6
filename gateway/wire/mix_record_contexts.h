/* What both ends know that may tell a symbol of a record: its contexts, step by step (docs/CODEC.md [C-4]). */
#ifndef WIRE_MIX_RECORD_CONTEXTS_H
#define WIRE_MIX_RECORD_CONTEXTS_H

#include <stdint.h>
#include "gateway/wire/mix_records.h"
#include "gateway/wire/mix_steps.h"

/* The contexts of the symbol that step asks for. */
void mix_record_contexts(const struct mix_records *w, enum step step, uint32_t c[MIX_SYMBOL_CONTEXTS]);
/* The slot that is likely because the table grows: in order, and each topic for a message that follows. */
unsigned mix_records_new_slot(const struct mix_records *w);

#endif
