#include "gateway/wire/channel_datagram.h"
#include "gateway/wire/channel_internal.h"

/* What a channel tells of itself, and what of it outlives the process (of datagram links alone: a stream link's epoch ends with
 * it). */

/* ---- kept ---- */

size_t channel_save(const struct channel *c, uint8_t out[CHANNEL_SAVED_MAX])
{
    return c->datagram ? datagram_save(c, out) : 0;
}

bool channel_load(struct channel *c, const uint8_t *bytes, size_t n)
{
    return c->datagram && datagram_load(c, bytes, n);
}

size_t channel_save_out(const struct channel *c, uint8_t out[CHANNEL_SAVED_OUT_MAX])
{
    return c->datagram ? datagram_save_out(c, out) : 0;
}

bool channel_load_out(struct channel *c, const uint8_t *bytes, size_t n)
{
    return c->datagram && datagram_load_out(c, bytes, n);
}

bool channel_restore_frame(struct channel *c, uint32_t epoch, uint64_t number, const uint8_t *bytes,
                           size_t n)
{
    return c->datagram && datagram_restore_frame(c, epoch, number, bytes, n);
}

void channel_kept(struct channel *c)
{
    if (c->datagram)
        datagram_kept(c);
}

/* ---- told ---- */

size_t channel_models_in(const struct channel *c)
{
    return c->datagram ? datagram_models_in(c) : 0;
}

size_t channel_forget_models_in(struct channel *c)
{
    return c->datagram ? datagram_forget_models_in(c) : 0;
}

enum channel_kind channel_kind(const struct channel *c)
{
    return c->config.kind;
}

enum channel_state channel_state(const struct channel *c)
{
    return c->state;
}

bool channel_is_sealed(const struct channel *c)
{
    return c->config.seal != SEAL_NONE;
}

uint32_t channel_peer_epoch(const struct channel *c)
{
    return c->peer_epoch;
}

void channel_status(const struct channel *c, struct channel_status *out)
{
    *out = c->status;
    out->epoch = c->own_epoch;
    out->rtt_ms = c->pace.srtt_ms;
    out->in_flight = c->datagram ? datagram_in_flight(c) : c->out.in_flight;
    out->awaits_echo = c->datagram && datagram_awaits_echo(c);
    out->forward_secret = c->datagram && datagram_forward_secret(c);
    if (c->sealed) {
        out->peer_has_next = c->live && c->peer_has_next;
        out->next_in_use = c->live && c->which_key == 1;
        out->forward_secret = c->live && c->forward_secret;
    }
}
