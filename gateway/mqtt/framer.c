#include "gateway/mqtt/framer.h"

#include <assert.h>

/* A large packet's memory is given back; what ordinary traffic needs stays. */
#define KEEP_BYTES 16384

void framer_init(struct framer *f, size_t packet_max_bytes)
{
    *f = (struct framer){.packet_max = packet_max_bytes};
    buf_init(&f->held,
             packet_max_bytes > FRAMER_PEEK_MAX_BYTES ? packet_max_bytes : FRAMER_PEEK_MAX_BYTES);
}

void framer_fini(struct framer *f)
{
    buf_fini(&f->held);
}

void framer_reset(struct framer *f)
{
    buf_clear(&f->held);
    buf_trim(&f->held, KEEP_BYTES);
    f->done = 0;
    f->skipping = false;
    f->skip = 0;
}

struct header {
    size_t len; /* of the fixed header; 0 = not yet whole */
    size_t remaining;
    bool bad;
};

static struct header read_header(const uint8_t *p, size_t n)
{
    struct header h = {0};
    for (size_t i = 1; i < n && i < PACKET_HEADER_MAX_BYTES; i++) {
        h.remaining |= (size_t)(p[i] & 0x7f) << (7 * (i - 1));
        if (p[i] & 0x80)
            continue;
        h.bad = i > 1 && p[i] == 0; /* MQTT-1.5.5-1: the shortest form only */
        h.len = i + 1;
        return h;
    }
    h.bad = n >= PACKET_HEADER_MAX_BYTES;
    return h;
}

static bool is_oversize(const struct framer *f, const struct header *h)
{
    return h->len + h->remaining > f->packet_max;
}

/* How many bytes of the packet must be at hand before anything can be told, as far as the n bytes
 * at p show. */
static size_t wanted(const struct framer *f, const struct header *h, const uint8_t *p, size_t n)
{
    if (h->len == 0)
        return n + 1;
    size_t total = h->len + h->remaining;
    if (!is_oversize(f, h))
        return total;
    size_t want = h->len;
    if (p[0] >> 4 == PACKET_PUBLISH) {
        want += 2;
        if (n >= want)
            want += ((size_t)p[h->len] << 8 | p[h->len + 1]) + (p[0] & 0x06 ? 2 : 0); /* QoS > 0 */
    }
    return want < total ? want : total;
}

static void drop_done(struct framer *f)
{
    buf_consume(&f->held, f->done);
    f->done = 0;
    buf_trim(&f->held, KEEP_BYTES);
}

static enum framer_result pass_over(struct framer *f, const uint8_t **bytes, size_t *n)
{
    size_t take = f->skip < *n ? f->skip : *n;
    *bytes += take;
    *n -= take;
    f->skip -= take;
    if (f->skip > 0)
        return FRAMER_MORE;
    f->skipping = false;
    return FRAMER_SKIPPED;
}

/* The `have` bytes at p are all that was wanted. */
static enum framer_result give(struct framer *f, const struct header *h, const uint8_t *p,
                               size_t have, struct packet *out, size_t *known)
{
    *out = (struct packet){
        .type = (enum packet_type)(p[0] >> 4),
        .flags = p[0] & 15,
        .body = p + h->len,
        .len = h->remaining,
    };
    if (!is_oversize(f, h))
        return FRAMER_PACKET;
    *known = have - h->len;
    f->skipping = true;
    f->skip = h->len + h->remaining - have;
    return FRAMER_OVERSIZE;
}

enum framer_result framer_next(struct framer *f, const uint8_t **bytes, size_t *n,
                               struct packet *out, size_t *known)
{
    drop_done(f);
    if (f->skipping)
        return pass_over(f, bytes, n);
    for (;;) {
        bool in_place = f->held.len == 0;
        const uint8_t *p = in_place ? *bytes : buf_bytes(&f->held);
        size_t have = in_place ? *n : f->held.len;
        struct header h = read_header(p, have);
        if (h.bad)
            return FRAMER_MALFORMED;
        size_t want = wanted(f, &h, p, have);
        if (have >= want && in_place) {
            *bytes += want;
            *n -= want;
            return give(f, &h, p, want, out, known);
        }
        if (have >= want) {
            assert(have == want); /* no more than what was wanted is ever held */
            f->done = want;
            return give(f, &h, p, want, out, known);
        }
        if (*n == 0)
            return FRAMER_MORE;
        size_t take = in_place || want - have > *n ? *n : want - have;
        if (!buf_put(&f->held, *bytes, take))
            return FRAMER_MEMORY;
        *bytes += take;
        *n -= take;
    }
}
