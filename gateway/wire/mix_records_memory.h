/* The storage of a whole model: of records, symbols and payloads, from one budget. */
#ifndef WIRE_MIX_RECORDS_MEMORY_H
#define WIRE_MIX_RECORDS_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include "gateway/wire/mix_records.h"

/* Bytes of storage that a budget of `memory` makes. */
size_t mix_records_size(size_t memory);
/* Storage: zero, mix_records_size bytes, the caller's. max_bytes: of one record's strings together. max_message: of a whole
 * message, payload, topic and properties, of which a record may be one piece. */
struct mix_records *mix_records_init(void *storage, size_t memory, uint32_t max_bytes, uint32_t max_message);
/* Makes dst, of the same memory, what src is, but for its limits: between records. */
void mix_records_copy(struct mix_records *dst, const struct mix_records *src);
/* Frees what it holds beside the storage. */
void mix_records_fini(struct mix_records *w);

#endif
