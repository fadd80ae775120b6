#include <stdlib.h>
#include <string.h>

#include "gateway/wire/channel_internal.h"
#include "gateway/wire/crypto.h"

/* More than a few HELLOs with the longest name, and some noise before them. */
#define GUEST_MAX_BYTES 512
/* Frames that look like a HELLO or RESUME and open under no key of ours: each costs a trial of every
 * peer's. */
#define GUEST_TRIALS 4

struct channel_guest {
    struct framing_avoid avoid; /* listeners have no bytes to avoid */
    struct framing_decoder framing;
    size_t n;
    uint8_t bytes[GUEST_MAX_BYTES];
    size_t begins; /* of the frame under way */
    unsigned trials;
    char name[CHANNEL_NAME_MAX + 1];
    /* Sealed: a HELLO of this peer has come, and was answered. */
    struct channel *whose;
    struct meeting meeting;
    size_t proof; /* where the frame that proved it begins; what is before it has done its work */
    size_t reply_n;
    uint8_t reply[CHANNEL_GUEST_REPLY_MAX];
};

struct channel_guest *channel_guest_new(void)
{
    struct channel_guest *g = calloc(1, sizeof *g);
    if (g)
        framing_decoder_init(&g->framing, &g->avoid);
    return g;
}

void channel_guest_free(struct channel_guest *g)
{
    if (!g)
        return;
    crypto_wipe(g, sizeof *g);
    free(g);
}

bool channel_guest_has_shown(const struct channel_guest *g)
{
    return g->whose != NULL;
}

struct guest_site { /* whom it may be */
    struct channel *const *channels;
    size_t count;
    bool any_sealed;
};

/* ---- without keys ---- */

static enum channel_guest_outcome on_name(struct channel_guest *g, const struct guest_site *s,
                                          const struct hello *h, struct channel **whose)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->channels[i]->sealed && strcmp(s->channels[i]->config.peer_name, h->name) == 0) {
            *whose = s->channels[i];
            return CHANNEL_GUEST_PROVEN;
        }
    memcpy(g->name, h->name, sizeof g->name);
    return CHANNEL_GUEST_UNKNOWN;
}

static enum channel_guest_outcome on_epoch(const struct guest_site *s, const struct resume *r,
                                           struct channel **whose)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->channels[i]->sealed && s->channels[i]->peer_epoch == r->epoch) {
            *whose = s->channels[i];
            return CHANNEL_GUEST_PROVEN;
        }
    return s->any_sealed ? CHANNEL_GUEST_MORE : CHANNEL_GUEST_STALE;
}

/* ---- with keys ---- */

static void reply(struct channel_guest *g, const uint8_t *frame, size_t n)
{
    if (n > 0 && g->reply_n + FRAMING_MAX_BYTES <= sizeof g->reply)
        g->reply_n += framing_encode(&g->avoid, true, frame, n, g->reply + g->reply_n);
}

/* HELLO where the guest does not know ours, and CONFIRM. */
static void answer(struct channel_guest *g)
{
    const struct channel *c = g->whose;
    struct meeting *m = &g->meeting;
    uint8_t frame[HANDSHAKE_MAX_BYTES];
    struct meeting_terms terms = {
        .codec_version = channel_offered_version(c),
        .memory_log2 = channel_memory_log2(c),
        .identity = &c->identity,
        .own_name = c->config.own_name,
    };
    if (meeting_spent(m))
        return;
    if (m->theirs.seen != (uint16_t)(meeting_own_epoch(m) >> 16))
        reply(g, frame, meeting_hello(m, &c->ring, m->peer_holds[1], &terms, false, frame));
    struct seal_context out = meeting_out(m);
    reply(g, frame, sealed_frame_encode(HANDSHAKE_CONFIRM, &out, ++m->sent, true, NULL, frame));
}

static bool same_random(const struct sealed_hello *h, const uint8_t *random)
{
    return memcmp(h->random, random, SEALED_RANDOM_BYTES) == 0;
}

/* Return: false = it opens under no key of this channel. */
static bool hello_of(struct channel_guest *g, struct channel *c, uint8_t *frame, size_t n)
{
    struct sealed_hello h;
    struct meeting *m = &g->meeting;
    unsigned which;
    if (!meeting_open_hello(&c->ring, &h, &which, frame, n))
        return false;
    if ((c->live && same_random(&h, c->peer_random)) ||
        (g->whose && same_random(&h, m->theirs.random) && h.number <= m->theirs.number)) {
        c->status.replayed++;
        g->trials++;
        return true;
    }
    if (g->whose && same_random(&h, m->theirs.random)) {
        m->theirs.number = h.number;
        m->theirs.seen = h.seen;
    } else {
        if (!m->begun && !meeting_begin(m, c->config.forward_secrecy, c->ops->random_bytes, c->ctx))
            return true;
        g->whose = meeting_accept(m, &c->ring, &h, which) ? c : NULL;
    }
    if (g->whose)
        answer(g);
    return true;
}

static void on_hello(struct channel_guest *g, const struct guest_site *s, uint8_t *frame, size_t n)
{
    bool opened = false;
    if (g->whose) {
        opened = hello_of(g, g->whose, frame, n);
    } else {
        for (size_t i = 0; i < s->count && !opened; i++)
            opened = s->channels[i]->sealed && hello_of(g, s->channels[i], frame, n);
    }
    g->trials += !opened;
}

static enum channel_guest_outcome on_proof(struct channel_guest *g, uint8_t *frame, size_t n,
                                           struct channel **whose)
{
    struct seal_context in = meeting_in(&g->meeting);
    struct reader body;
    unsigned number;
    if (!g->whose || !g->meeting.known ||
        !sealed_frame_open(&in, frame, n, &number, &body) || number <= g->meeting.received) {
        g->trials++;
        return CHANNEL_GUEST_MORE;
    }
    *whose = g->whose;
    g->proof = g->begins;
    return CHANNEL_GUEST_PROVEN;
}

static enum channel_guest_outcome on_resume(struct channel_guest *g, const struct guest_site *s,
                                            uint8_t *frame, size_t n, struct channel **whose)
{
    uint64_t number;
    uint16_t ack;
    uint32_t epoch = sealed_resume_epoch(frame, n);
    for (size_t i = 0; i < s->count; i++) {
        struct channel *c = s->channels[i];
        if (!c->sealed || !c->live || c->peer_epoch != epoch)
            continue;
        struct seal_context in = channel_seal_in(c);
        if (!sealed_resume_open(&in, frame, n, c->control_in + CHANNEL_RESUME_AHEAD, &number,
                                &ack)) {
            channel_unopened(c);
        } else if (number <= c->control_in) {
            c->status.replayed++;
        } else {
            *whose = c;
            g->whose = NULL; /* an epoch that lives is worth more than a meeting */
            return CHANNEL_GUEST_PROVEN;
        }
    }
    g->trials++; /* of before our restart, or a stranger's: silence makes an honest one greet */
    return CHANNEL_GUEST_MORE;
}

void channel_guest_unproven(const struct channel_guest *g)
{
    if (g->whose)
        g->whose->status.replayed++;
}

/* ---- both ---- */

static enum channel_guest_outcome on_frame(struct channel_guest *g, const struct guest_site *s,
                                           const uint8_t *bytes, size_t n, struct channel **whose)
{
    uint8_t frame[FRAME_MAX_BYTES]; /* opened in place, and read again by the channel */
    struct hello h;
    struct resume r;
    bool over;
    enum handshake_type type = handshake_type(bytes, n, &over);
    memcpy(frame, bytes, n);
    switch (type) {
    case HANDSHAKE_HELLO:
        if (hello_decode(&h, frame, n))
            return on_name(g, s, &h, whose);
        if (s->any_sealed)
            on_hello(g, s, frame, n);
        return CHANNEL_GUEST_MORE;
    case HANDSHAKE_RESUME:
    case HANDSHAKE_RESUMED:
        if (resume_decode(&r, frame, n))
            return on_epoch(s, &r, whose);
        return s->any_sealed ? on_resume(g, s, frame, n, whose) : CHANNEL_GUEST_MORE;
    case HANDSHAKE_CONFIRM:
    case HANDSHAKE_MARKS:
        return s->any_sealed ? on_proof(g, frame, n, whose) : CHANNEL_GUEST_MORE;
    case HANDSHAKE_REFUSE:
        break;
    }
    return CHANNEL_GUEST_MORE;
}

enum channel_guest_outcome channel_guest_feed(struct channel_guest *g,
                                              struct channel *const *channels, size_t count,
                                              const uint8_t *bytes, size_t n,
                                              struct channel **whose)
{
    struct guest_site s = {channels, count, false};
    enum channel_guest_outcome outcome = CHANNEL_GUEST_MORE;
    size_t known = g->n;
    for (size_t i = 0; i < count; i++)
        s.any_sealed |= channels[i]->sealed;
    if (n > sizeof g->bytes - g->n)
        n = sizeof g->bytes -
            g->n; /* a frame that begins within the bound and ends beyond it is not waited for */
    memcpy(g->bytes + g->n, bytes, n);
    g->n += n;
    for (size_t i = known; i < g->n && outcome == CHANNEL_GUEST_MORE; i++) {
        size_t len = 0;
        if (framing_feed(&g->framing, g->bytes[i], &len) == FRAMING_FRAME)
            outcome = on_frame(g, &s, g->framing.frame, len, whose);
        if (g->bytes[i] == FRAMING_DELIMITER)
            g->begins = i + 1;
    }
    if (outcome == CHANNEL_GUEST_MORE && (g->n == sizeof g->bytes || g->trials >= GUEST_TRIALS))
        return CHANNEL_GUEST_BAD;
    return outcome;
}

size_t channel_guest_reply(struct channel_guest *g, uint8_t out[CHANNEL_GUEST_REPLY_MAX])
{
    size_t n = g->reply_n;
    memcpy(out, g->reply, n);
    g->reply_n = 0;
    return n;
}

const char *channel_guest_name(const struct channel_guest *g)
{
    return g->name;
}

void channel_guest_join(struct channel_guest *g, struct channel *c, int64_t now_ms)
{
    if (g->whose == c)
        channel_sealed_join(c, &g->meeting, now_ms);
    else
        channel_link_up(c, now_ms);
    size_t from = g->whose == c ? g->proof : 0;
    channel_on_bytes(c, g->bytes + from, g->n - from, now_ms);
}

size_t channel_guest_refusal(enum channel_refusal why, uint8_t *out, size_t room)
{
    static const struct framing_avoid none;
    uint8_t frame[HANDSHAKE_MAX_BYTES], framed[FRAMING_MAX_BYTES];
    size_t n = refuse_encode(why, true, frame);
    n = framing_encode(&none, true, frame, n, framed);
    if (n > room)
        return 0;
    memcpy(out, framed, n);
    return n;
}
