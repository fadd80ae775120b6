/* Copies of the records that one frame completed, kept until its check is seen to be right: the
 * decoder's own pointers live only until its next call. Bounded. */
#ifndef WIRE_RECORD_LIST_H
#define WIRE_RECORD_LIST_H

#include <stddef.h>
#include "base/attr.h"
#include "gateway/wire/record.h"

/* A frame of 250 bytes cannot honestly become more, whatever the codec. */
#define RECORD_LIST_MAX_RECORDS 4096
#define RECORD_LIST_MAX_BYTES   (1u << 20)

/* A sender closes a frame that completes so much before it takes a further record. The longest
 * record more stays below the bound above. */
#define RECORD_LIST_SENT_RECORDS 1024
#define RECORD_LIST_SENT_BYTES (RECORD_LIST_MAX_BYTES / 2)

struct record_list {
    struct record **records;
    size_t count, cap, bytes;
};

/* What it takes of the bound. */
size_t record_list_size(const struct record *r);
void record_list_init(struct record_list *l);
/* Frees the copies; the list may be used again. */
void record_list_clear(struct record_list *l);
void record_list_fini(struct record_list *l);
/* Return: 0; -ENOMEM: no memory; -EMSGSIZE: beyond the bounds. */
int record_list_add(struct record_list *l, const struct record *r) MUST_CHECK;

/* Takes the one added last away again. */
void record_list_drop_last(struct record_list *l);

#endif
