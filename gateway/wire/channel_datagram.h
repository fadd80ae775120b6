/* The other kind of link: whole frames that may be lost, repeated, late, reordered, and cost money
 * ([P-10]). For channel.c alone, which hands every call of a CHANNEL_DATAGRAM channel to its
 * namesake here.
 *
 * Data flows in the first frame, without waiting for an answer. A frame leans on all leaning frames of its
 * epoch before it, or decodes alone: then on nothing but the topic slots that its receiver has confirmed. Only the sender's restart begins
 * an epoch, and frames announce the epoch until an acknowledgement of one has come; what was under
 * way before the restart is sent again as it was, in its own epoch. */
#ifndef WIRE_CHANNEL_DATAGRAM_H
#define WIRE_CHANNEL_DATAGRAM_H

#include "gateway/wire/channel_internal.h"

struct datagram;

struct datagram *datagram_new(const struct channel_config *config) MUST_CHECK;
void datagram_free(struct datagram *d);
void datagram_link_up(struct channel *c, int64_t now_ms);
void datagram_on_frame(struct channel *c, const uint8_t *bytes, size_t n, int64_t now_ms);
size_t datagram_pump(struct channel *c, size_t room, int64_t now_ms);
bool datagram_wants(const struct channel *c, int64_t now_ms);
void datagram_committed(struct channel *c, uint64_t frame, int64_t now_ms);
void datagram_kept(struct channel *c);
void datagram_grant_changed(struct channel *c);
void datagram_writable(struct channel *c);
void datagram_sent(struct channel *c, uint64_t token, int outcome, int64_t now_ms);
void datagram_on_timer(struct channel *c, int64_t now_ms);
int64_t datagram_deadline(const struct channel *c, int64_t now_ms);
unsigned datagram_in_flight(const struct channel *c);
size_t datagram_models_in(const struct channel *c);
size_t datagram_forget_models_in(struct channel *c);
/* Both directions, as far as they are in use, are keyed with X25519 as well. */
bool datagram_forward_secret(const struct channel *c);
void datagram_restart(struct channel *c);
void datagram_doubt(struct channel *c, bool anew);
/* Nothing of the peer is taken until it has echoed a word of ours. */
bool datagram_awaits_echo(const struct channel *c);
size_t datagram_save(const struct channel *c, uint8_t out[CHANNEL_SAVED_MAX]);
bool datagram_load(struct channel *c, const uint8_t *bytes, size_t n) MUST_CHECK;
size_t datagram_save_out(const struct channel *c, uint8_t out[CHANNEL_SAVED_OUT_MAX]);
bool datagram_load_out(struct channel *c, const uint8_t *bytes, size_t n) MUST_CHECK;
bool datagram_restore_frame(struct channel *c, uint32_t epoch, uint64_t number, const uint8_t *bytes,
                            size_t n) MUST_CHECK;

#endif
