#include "gateway/wire/mix_choice.h"

#include "base/utf8.h"
#include "gateway/wire/mix_container.h"

#define TRUST_MAX  8
#define TRUST_LOST (-8) /* so many messages must parse before it is believed again */
#define RANDOM_LEAST    100
#define CONTAINER_LEAST 6 /* bytes: shorter ones parse by chance */

static bool is_text(const uint8_t *bytes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint8_t c = bytes[i];
        if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
            return false;
    }
    return utf8_valid((const char *)bytes, n);
}

bool mix_looks_random(const uint8_t *bytes, uint32_t n)
{
    uint32_t count[256] = {0};
    uint64_t pairs = 0;

    if (n < RANDOM_LEAST)
        return false;
    for (uint32_t i = 0; i < n; i++)
        pairs += count[bytes[i]]++; /* equal ones before it */
    /* n (n - 1) / 512 of them by chance; half as many again is beyond chance for 100 bytes and more. */
    return pairs * 512 < (uint64_t)n * (n - 1) * 3 / 2;
}

struct mix_choice mix_choose(const struct mix_past *past, const uint8_t *bytes, uint32_t n)
{
    if (is_text(bytes, n))
        return (struct mix_choice){.format = MIX_TEXT};
    if (n >= CONTAINER_LEAST && past->protobuf >= 0 && mix_container_is_protobuf(bytes, n))
        return (struct mix_choice){.format = MIX_PROTOBUF};
    if (n >= CONTAINER_LEAST && past->cbor >= 0 && mix_container_is_cbor(bytes, n))
        return (struct mix_choice){.format = MIX_CBOR};
    return (struct mix_choice){.format = MIX_BINARY};
}

static int8_t believe(int8_t trust, bool parses)
{
    if (!parses)
        return TRUST_LOST;
    return trust < TRUST_MAX ? (int8_t)(trust + 1) : trust;
}

void mix_past_add(struct mix_past *past, const uint8_t *bytes, uint32_t n)
{
    if (is_text(bytes, n))
        return;
    past->protobuf = believe(past->protobuf, mix_container_is_protobuf(bytes, n));
    past->cbor = believe(past->cbor, mix_container_is_cbor(bytes, n));
}
