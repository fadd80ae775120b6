/* Which topic the bytes of a stream are spent on: every message coded once more, one after the other,
 * in one running model. What the gateways' own frames come to is shared out by it. */
#ifndef CLI_ESTIMATE_SHARE_H
#define CLI_ESTIMATE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

struct estimate_share;

/* plain: the codec that does not squeeze. Return: NULL when out of memory. */
struct estimate_share *estimate_share_new(bool plain, size_t codec_memory) MUST_CHECK;
void estimate_share_free(struct estimate_share *s); /* NULL is allowed */
/* Codes a message; *bytes: by how much the stream has grown with it. Return: 0 or -ENOMEM. */
int estimate_share_put(struct estimate_share *s, const char *topic, const uint8_t *payload,
                       size_t n, uint64_t *bytes) MUST_CHECK;

#endif
