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

struct record_list {
    struct record **records;
    size_t count, cap, bytes;
};

void record_list_init(struct record_list *l);
/* Frees the copies; the list may be used again. */
void record_list_clear(struct record_list *l);
void record_list_fini(struct record_list *l);
/* Return: 0; -ENOMEM: no memory; -EMSGSIZE: beyond the bounds. */
int record_list_add(struct record_list *l, const struct record *r) MUST_CHECK;

#endif
