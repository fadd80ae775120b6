/* How a payload is best coded: as text, packed binary, a container, or not at all. The encoder chooses
 * and tells; the topic's past that it goes by is known to both ends, so that priming chooses alike. */
#ifndef WIRE_MIX_CHOICE_H
#define WIRE_MIX_CHOICE_H

#include <stdint.h>
#include "gateway/wire/mix_payload.h"

struct mix_choice {
    bool stored;            /* as it is */
    bool fast;
    enum mix_format format;
};

/* What a topic's payloads were so far. */
struct mix_past {
    int8_t protobuf, cbor;  /* how far we believe that its binary is such: negative = does not parse */
};

/* Do these bytes look like noise: encrypted, compressed? Only where there are enough to tell. */
bool mix_looks_random(const uint8_t *bytes, uint32_t n);

struct mix_choice mix_choose(const struct mix_past *past, const uint8_t *bytes, uint32_t n);
void mix_past_add(struct mix_past *past, const uint8_t *bytes, uint32_t n);

#endif
