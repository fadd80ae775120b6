/* What the payload's model looks at: the contexts of the byte that comes next, and of "does the message end
 * here" (docs/MODEL.md has them one by one). */
#ifndef WIRE_MIX_PAYLOAD_CONTEXTS_H
#define WIRE_MIX_PAYLOAD_CONTEXTS_H

#include <stdint.h>
#include "gateway/wire/mix_payload.h"

#define MIX_END_CONTEXTS 6

/* Contexts of a byte of text, and of packed binary and containers; the parsers have been prepared for the byte. */
void mix_payload_text_contexts(const struct mix_payload *m, uint32_t x[MIX_CONTEXTS]);
void mix_payload_packed_contexts(const struct mix_payload *m, uint32_t x[MIX_CONTEXTS]);
/* Between bytes: views of "does the message end here". Return: which weight set fits, 0 .. 15. */
unsigned mix_payload_end_contexts(const struct mix_payload *m, uint32_t out[MIX_END_CONTEXTS]);

#endif
