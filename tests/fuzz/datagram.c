/* Datagram links against a peer that holds the keys: [config] then steps [what, ...]. Two real channels speak; frames between
 * them are lost, repeated, put in another order, and, what nobody else can do, opened, changed and sealed again, or made of any bytes under the
 * right key. As long as nobody does that, records arrive unaltered and what is acknowledged is on the peer's disk (I2, I9). After it,
 * all that must hold is that nothing crashes, hangs or grows (I8).
 *
 * With bit 7 of the config each check of records is right whatever they are, so that what changed frames hold is decoded, leaned on and given
 * to the owner. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/datagram_world.h"

#include <errno.h>

#define STEPS_MAX 300

/* ---- frames under the right key ---- */

/* As the receiver would come to it: a known epoch's, or that of one which is announced. */
static bool key_of(struct end *e, struct datagram_header *h, uint8_t *frame, size_t clear, struct seal_key *key, uint32_t *id,
                   uint64_t *number)
{
    struct channel *c = e->channel;
    struct datagram *d = c->datagram;
    struct datagram_announcement *a = &h->announcement;
    for (unsigned i = 0; i < d->in_count; i++)
        if ((uint8_t)d->in[i].id == h->epoch_low && (!h->announces || a->epoch == d->in[i].id)) {
            *key = d->in[i].key;
            *id = d->in[i].id;
            *number = h->announces ? h->number : frame_number(d->in[i].cumulative + 1, (uint16_t)h->number, FRAME_DATA_BITS);
            return true;
        }
    if (!h->announces)
        return false;
    struct in_epoch fresh = {.id = a->epoch, .counter = a->counter};
    memcpy(fresh.salt, a->salt, sizeof fresh.salt);
    if (a->mix.mixed) {
        const struct epoch_name name = {a->counter, a->epoch, a->salt};
        FUZZ_MUST(datagram_mix_proof(&d->terms, SEAL_THEIRS, datagram_secret(c, false), &name, &a->mix, a->mix.proof));
        memcpy(frame + clear - DATAGRAM_SHARE_PROOF, a->mix.proof, DATAGRAM_SHARE_PROOF);
    }
    if (datagram_share_open(c, a, &fresh) == DATAGRAM_KEYED)
        *key = fresh.key;
    *id = a->epoch;
    *number = h->number;
    return true;
}

/* Seals a data frame of n bytes as the peer would. Return: whole length; 0 = there is no key for it. */
static size_t seal_data(struct end *e, uint8_t *frame, size_t n)
{
    struct datagram_header h;
    struct seal_key key = {.mode = SEAL_FULL, .tag_bytes = SEAL_TAG_DEFAULT};
    uint32_t id;
    uint64_t number;
    size_t clear = n > 0 ? datagram_clear_decode(&h, e->config.seal, frame, n) : 0;
    if (clear == 0 || !key_of(e, &h, frame, clear, &key, &id, &number))
        return 0;
    struct seal_context seal = {id, 0, datagram_sealed(e->channel) ? &key : NULL, clear};
    world_reached[REACHED_HOSTILE_LEANING] += h.leans;
    world_reached[REACHED_HOSTILE_EPOCH] += h.announces && !datagram_in_epoch(e->channel->datagram, id);
    return seal_frame(&seal, SEAL_SPACE_DATA, number, frame, n);
}

/* Opens a data frame on its way to e. Return: bytes without the tag; 0 = not one, or of an epoch that e does not know. */
static size_t open_data(struct end *e, uint8_t *frame, size_t n)
{
    struct datagram_header h;
    struct seal_key key = {.mode = SEAL_FULL, .tag_bytes = SEAL_TAG_DEFAULT};
    uint32_t id;
    uint64_t number;
    size_t content, tag = datagram_tag_bytes(e->channel);
    size_t clear = n > tag && frame_kind(frame[0]) == FRAME_DATA ? datagram_clear_decode(&h, e->config.seal, frame, n - tag) : 0;
    if (clear == 0 || !key_of(e, &h, frame, clear, &key, &id, &number))
        return 0;
    struct seal_context seal = {id, 0, datagram_sealed(e->channel) ? &key : NULL, clear};
    return seal_open(&seal, SEAL_SPACE_DATA, number, frame, n, &content) ? content : 0;
}

/* The same of an answer to an epoch of e's, as datagram_seal.c has it. */
static size_t seal_answer(struct end *e, const struct out_epoch *o, uint8_t *frame, size_t n)
{
    struct channel *c = e->channel;
    uint8_t all[EPOCH_NAME_BYTES + 2 * DATAGRAM_SHARE_ID + DATAGRAM_ANSWER_SALT_BYTES];
    struct seal_key key;
    struct seal_context seal = {0, o->id, NULL, 1};
    size_t at = EPOCH_NAME_BYTES;
    if (datagram_sealed(c)) {
        epoch_name_write(&(struct epoch_name){o->counter, o->id, o->salt}, all);
        if (o->ids.mixed) {
            memcpy(all + at, o->ids.sender, DATAGRAM_SHARE_ID);
            memcpy(all + at + DATAGRAM_SHARE_ID, o->ids.receiver, DATAGRAM_SHARE_ID);
            at += 2ul * DATAGRAM_SHARE_ID;
        }
        memcpy(all + at, frame + 1, DATAGRAM_ANSWER_SALT_BYTES);
        at += DATAGRAM_ANSWER_SALT_BYTES;
        if (!seal_derive(&key, &c->datagram->terms, "datagram answer", SEAL_THEIRS, datagram_secret(c, o->next_secret),
                         SECRET_BYTES, all, at))
            return 0;
        seal = (struct seal_context){0, o->id, &key, 1 + DATAGRAM_ANSWER_SALT_BYTES};
    }
    return seal_frame(&seal, SEAL_SPACE_CONTROL, 0, frame, n);
}

/* ---- what a hostile peer does ---- */

/* A frame in flight towards e, changed: [frame] then edits. */
static void tamper(struct end *e, struct reader *r)
{
    struct end *from = &e->world->end[!e->side];
    uint8_t frame[DATAGRAM_FRAME_MAX + SEAL_TAG_MAX];
    unsigned which = read_u8(r);
    if (from->flying_count == 0)
        return;
    struct flying *f = &from->flying[which % from->flying_count];
    memcpy(frame, f->bytes, f->n);
    size_t n = fuzz_edit(r, frame, open_data(e, frame, f->n), f->n);
    frame[0] = (uint8_t)(0x80 | (frame[0] & 0x3f));
    n = n > 0 ? seal_data(e, frame, n) : 0;
    if (n == 0)
        return;
    e->world->forged = true;
    world_deliver(e, frame, n);
}

/* The announcement of an epoch that is known, or not. */
static void announce(struct end *e, struct reader *r, struct datagram_header *h)
{
    const struct datagram *d = e->channel->datagram;
    const struct end *peer = &e->world->end[!e->side];
    struct datagram_announcement *a = &h->announcement;
    uint8_t how = read_u8(r), flags = read_u8(r);
    const struct in_epoch *known = (how & 3) < d->in_count ? &d->in[how & 3] : NULL;
    uint64_t counter = (how & 0x40 ? UINT64_MAX - 128 : d->floor) + read_u8(r) - 4;
    *a = (struct datagram_announcement){
        .counter = known ? known->counter : counter,
        .epoch = known ? known->id : read_be32(r),
        .identity = {.generation = read_u8(r), .segment = read_u8(r), .predecessor = 7, .settled = {[CLASS_NORMAL] = flags & 8 ? read_u8(r) : 0}},
        .codec = read_u8(r),
        .behind = read_u8(r) * (flags & 16 ? 2u : 0u),
        .echoes = flags & 1,
        .next_secret = flags & 2 ? 0x1234 : 0,
        .proposes = flags & 4,
        .proposed_up_to = read_u8(r),
        .anchor = flags & 32 ? read_u8(r) * 2654435761u | 1 : 0,
    };
    a->epoch += a->epoch == 0;
    a->proposed_id = (uint32_t)a->proposed_up_to * 2654435761u | 1;
    uint8_t before = read_u8(r);
    for (uint8_t i = 0; i < (before & 3) && i + 1u < a->counter; i++) {
        struct datagram_earlier *earlier = &a->earlier[a->earlier_count++];
        *earlier = (struct datagram_earlier){a->counter - 1 - i, before, before >> 3};
        for (unsigned k = 0; k < d->in_count; k++)
            if (d->in[k].counter == earlier->counter && !(before & 4))
                earlier->id = (uint16_t)d->in[k].id;
    }
    a->identity.table = a->counter - (read_u8(r) & 15);
    memcpy(a->echo, d->nonce, sizeof a->echo);
    a->mix.whole = flags & 64;
    a->mix.mixed = flags & 128;
    if (peer->channel->datagram->shares.own_count > 0 && !(how & 8))
        memcpy(a->mix.share, peer->channel->datagram->shares.own[0].share, DATAGRAM_SHARE_BYTES);
    if (d->shares.own_count > 0 && !(how & 16))
        memcpy(a->mix.with, d->shares.own[how >> 5 & 1].share, DATAGRAM_SHARE_ID);
    snprintf(a->name, sizeof a->name, "%s", how & 0x80 ? "other" : peer->config.own_name);
    h->epoch_low = (uint8_t)a->epoch;
}

/* Any records in a frame with a header that makes sense: [header, epoch, number, ...], then bytes. */
static void forge_data(struct end *e, struct reader *r)
{
    const struct datagram *d = e->channel->datagram;
    uint8_t frame[DATAGRAM_FRAME_MAX + SEAL_TAG_MAX], first = read_u8(r), which = read_u8(r);
    const struct in_epoch *in = which % 4 < d->in_count ? &d->in[which % 4] : NULL;
    struct datagram_header h = {.announces = first & 0x20, .leans = first & 0x10, .has_ack = first & 8, .ack = read_u8(r),
                                .grant = 0x60, .bitmap = which, .epoch_low = in ? (uint8_t)in->id : which};
    size_t clear, room;
    h.number = (in ? in->cumulative : 0) + 1 + read_u8(r) * (first & 1 ? 16u : 1u);
    h.ack_epoch = (uint16_t)(e->channel->datagram->out_count > 0 ? e->channel->datagram->out[0].id : which);
    if (h.announces)
        announce(e, r, &h);
    size_t n = datagram_header_encode(&h, e->config.seal, frame, &clear);
    if (first & 2)
        frame[n++] = 0; /* the check, where it is void */
    uint8_t *records = fuzz_take(r, read_u8(r) * (first & 4 ? 4u : 1u), &room);
    memcpy(frame + n, records, room);
    n += room;
    free(records);
    n = seal_data(e, frame, n);
    if (n == 0)
        return;
    e->world->forged = true;
    world_deliver(e, frame, n);
}

/* An answer to an epoch: [type, which, length] then bytes. */
static void forge_answer(struct end *e, struct reader *r)
{
    struct datagram *d = e->channel->datagram;
    uint8_t frame[DATAGRAM_ANSWER_MAX + 256] = {0}, type = read_u8(r), which = read_u8(r);
    size_t n = datagram_sealed(e->channel) ? 1 + DATAGRAM_ANSWER_SALT_BYTES : 1, room;
    uint8_t *body = fuzz_take(r, read_u8(r), &room);
    frame[0] = 0xC0 | (type & 0x0F);
    memcpy(frame + n, body, room);
    free(body);
    n = d->out_count > 0 ? seal_answer(e, &d->out[which % d->out_count], frame, n + room) : 0;
    if (n == 0)
        return;
    e->world->forged = true;
    world_reached[REACHED_HOSTILE_ACK] += (type & 0x0C) == 0;
    world_deliver(e, frame, n);
}

/* A record that the codec can carry, and no owner would give: [what, number, slot, length]. */
static void say(struct end *e, struct reader *r)
{
    static const char text[] = "a/topic/that/nobody/asked/for";
    uint8_t what = read_u8(r);
    uint64_t number = e->base + MESSAGES_MAX + 1 + read_u8(r);
    unsigned slot = read_u8(r) * 16u;
    uint32_t len = read_u8(r);
    if (e->has_hostile)
        return;
    e->base += MESSAGES_MAX + 256;
    e->has_hostile = e->world->forged = true;
    memset(e->payload, (int)len, sizeof e->payload);
    e->hostile = (struct record){
        .type = (enum record_type)(what % RECORD_TYPES), .class = (enum msg_class)(what >> 6), .number = number, .previous = number - 1,
        .slot = slot, .qos = 1, .total = len + (what & 8 ? 1000000u : 0), .bytes = e->payload, .len = len,
        .first_number = number, .count = 1, .route = text, .route_len = 8,
    };
    if (e->hostile.type == RECORD_TOPIC) {
        e->hostile.topic = text;
        e->hostile.topic_len = len % sizeof text;
    }
    if (e->hostile.type == RECORD_CHUNK)
        e->hostile.offset = slot;
    channel_kick(e->channel, e->world->now_ms);
}

/* ---- what lines and boxes do ---- */

static void make(struct end *e, uint8_t what)
{
    if (e->count == MESSAGES_MAX)
        return;
    e->made[++e->count] = (struct message){(enum msg_class)(what & 3), what >> 2};
    channel_kick(e->channel, e->world->now_ms);
}

/* Frame i of those in flight towards e: arrives, and stays to arrive again, or is lost. */
static void pass(struct end *e, uint8_t i, bool arrives, bool stays)
{
    struct end *from = &e->world->end[!e->side];
    if (from->flying_count == 0)
        return;
    struct flying f = from->flying[i %= from->flying_count];
    if (!stays)
        memmove(&from->flying[i], &from->flying[i + 1], (--from->flying_count - i) * sizeof from->flying[0]);
    if (arrives)
        world_deliver(e, f.bytes, f.n);
}

static void set_back(struct end *e, bool lost)
{
    if (lost)
        memset(&e->disk, 0, sizeof e->disk);
    else
        e->disk = e->older;
    e->world->set_back = true;
    e->identity.generation += lost;
    world_restart(e);
}

static void link(struct end *e, bool up)
{
    e->up = up;
    if (up)
        channel_link_up(e->channel, e->world->now_ms);
    else
        channel_link_down(e->channel, e->world->now_ms);
}

static void invent(struct end *e, struct reader *r)
{
    size_t n;
    uint8_t *bytes = fuzz_take(r, read_u8(r), &n);
    channel_on_bytes(e->channel, bytes, n, e->world->now_ms);
    free(bytes);
}

static void step(struct world *w, struct reader *r)
{
    static const int outcomes[] = {CHANNEL_SENT_DONE, CHANNEL_SENT_FAILED, CHANNEL_SENT_UNKNOWN, CHANNEL_SENT_REFUSED};
    uint8_t what = read_u8(r);
    struct end *e = &w->end[what >> 5 & 1];
    bool other_way = what & 0x40;
    switch (what & 0x1f) {
    case 0:
        make(e, read_u8(r));
        break;
    case 1:
        pass(e, read_u8(r), true, other_way);
        break;
    case 2:
        pass(e, read_u8(r), false, false);
        break;
    case 3:
        world_wait(w, (int64_t)10 << (read_u8(r) & 31));
        break;
    case 4:
        world_commit(e);
        break;
    case 5:
        world_restart(e);
        break;
    case 6:
        e->older = e->disk;
        break;
    case 7:
        set_back(e, other_way);
        break;
    case 8:
        channel_sent(e->channel, e->token - (other_way ? read_u8(r) : 0), outcomes[read_u8(r) & 3], w->now_ms);
        break;
    case 9:
        link(e, other_way);
        break;
    case 10:
        e->grant = (uint64_t)read_u8(r) << (other_way ? 12 : 0);
        channel_grant_changed(e->channel, w->now_ms);
        break;
    case 11:
        channel_restart(e->channel, "asked", w->now_ms);
        break;
    case 12:
        (void)channel_forget_models_in(e->channel);
        break;
    case 13:
        channel_writable(e->channel);
        break;
    case 14:
        tamper(e, r);
        break;
    case 15:
        forge_data(e, r);
        break;
    case 16:
        forge_answer(e, r);
        break;
    case 17:
        say(e, r);
        break;
    case 18:
        invent(e, r);
        break;
    case 19:
        e->refusals = read_u8(r);
        e->refusal = other_way ? -ENOENT : -EPROTO;
        break;
    default:
        world_good_line(w, 4);
        break;
    }
    world_serve(w, what & 0x80);
    world_check(w);
}

const char *fuzz_unreached(void)
{
    return fuzz_first_zero(world_reached, world_reached_names, REACHED_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size < 2048 ? size : 2048);
    struct world *w = world_new(read_u8(&r));
    for (int i = 0; i < 2; i++)
        channel_kick(w->end[i].channel, w->now_ms);
    for (unsigned steps = 0; r.left > 0 && steps < STEPS_MAX; steps++)
        step(w, &r);
    world_free(w);
    return 0;
}
