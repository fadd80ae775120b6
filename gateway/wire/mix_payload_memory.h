/* The storage of the payload's model: how a memory budget is shared out among its tables, and what stands in
 * them at first. Sizes are the same on every machine: bits depend on them (docs/MODEL.md [M-1.1]). */
#ifndef WIRE_MIX_PAYLOAD_MEMORY_H
#define WIRE_MIX_PAYLOAD_MEMORY_H

#include <stddef.h>
#include "gateway/wire/mix_payload.h"

/* Bytes of state for a memory budget of `memory`, and the model in them, zero before: storage of
 * mix_payload_size bytes belongs to the caller. */
size_t mix_payload_size(size_t memory);
struct mix_payload *mix_payload_init(void *storage, size_t memory);
/* Makes dst what src is, both of the same memory: between messages. */
void mix_payload_copy(struct mix_payload *dst, const struct mix_payload *src, size_t memory);

#endif
