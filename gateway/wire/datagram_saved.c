/* What of a datagram channel survives a restart: of the receiving half, which frames are on disk; of the sending half, the
 * epochs with frames under way, and which of those the link has taken. The frames themselves are the owner's to keep. */
#include <assert.h>
#include <string.h>

#include "gateway/wire/datagram_internal.h"

#define IN_FORMAT  7
#define OUT_FORMAT 4
#define IDS_BYTES  (1 + 2 * DATAGRAM_SHARE_ID)

static_assert(1 + 8 + 1 + DATAGRAM_NONCE_BYTES + 2 + DATAGRAM_EARLIER * (8 + 2 + 8) + DATAGRAM_EPOCHS * (4 + 8 + 8 + DATAGRAM_SALT_BYTES + 9 + 5 + IDS_BYTES + CRYPTO_KEY_BYTES + FRAME_BITMAP_MAX) +
                      DATAGRAM_SHARES_SAVED <= CHANNEL_SAVED_MAX,
              "what is saved has room");
static_assert(1 + 8 + 8 + 4 + 2 + DATAGRAM_EPOCHS * (4 + 8 + 8 + DATAGRAM_SALT_BYTES + 9 + IDS_BYTES) + 12 + 7 * FRAME_WINDOW <=
                  CHANNEL_SAVED_OUT_MAX,
              "what is saved has room");

/* Of the next secret; 0 = there is none. */
static uint32_t next_id(const struct channel *c)
{
    const struct channel_secrets *s = &c->config.secrets;
    return datagram_sealed(c) && s->has_next ? seal_secret_id(&c->datagram->terms, s->next) : 0;
}

/* A secret is saved by its id: when an epoch is read back, the operator may have moved it from one file to the other. */
static void put_secret(const struct channel *c, struct buf *b, bool next)
{
    const struct channel_secrets *s = &c->config.secrets;
    buf_put_be32(b, datagram_sealed(c) ? seal_secret_id(&c->datagram->terms, next && s->has_next ? s->next : s->current) : 0);
}

/* Return: false: it is in neither file any more. */
static bool read_secret(const struct channel *c, struct reader *r, bool *next)
{
    const struct channel_secrets *s = &c->config.secrets;
    uint32_t id = read_be32(r);
    *next = datagram_sealed(c) && s->has_next && id == seal_secret_id(&c->datagram->terms, s->next);
    return !datagram_sealed(c) || *next || id == seal_secret_id(&c->datagram->terms, s->current);
}

static void put_ids(struct buf *b, const struct mixed_ids *ids)
{
    buf_put_u8(b, (uint8_t)(ids->offered | ids->mixed << 1));
    buf_put(b, ids->sender, sizeof ids->sender);
    buf_put(b, ids->receiver, sizeof ids->receiver);
}

static void read_ids(struct reader *r, struct mixed_ids *ids)
{
    uint8_t flags = read_u8(r);
    ids->offered = flags & 1;
    ids->mixed = flags & 2;
    read_into(r, ids->sender, sizeof ids->sender);
    read_into(r, ids->receiver, sizeof ids->receiver);
}

/* ---- in ---- */

size_t datagram_save(const struct channel *c, uint8_t out[CHANNEL_SAVED_MAX])
{
    const struct datagram *d = c->datagram;
    struct buf b;
    buf_init_over(&b, out, CHANNEL_SAVED_MAX);
    buf_put_u8(&b, IN_FORMAT);
    buf_put_be64(&b, d->floor);
    buf_put_u8(&b, (uint8_t)(d->doubt | d->has_nonce << 1));
    buf_put(&b, d->nonce, sizeof d->nonce);
    buf_put_u8(&b, (uint8_t)d->in_count);
    for (unsigned i = 0; i < d->in_count; i++) {
        const struct in_epoch *e = &d->in[i];
        uint8_t bitmap[FRAME_BITMAP_MAX] = {0};
        /* Called where the records of all frames given are committed: these are on disk then. */
        for (size_t bit = 0; bit < FRAME_WINDOW; bit++)
            if (e->here[(e->cumulative + 1 + bit) % FRAME_WINDOW])
                bitmap[bit / 8] |= (uint8_t)(1u << bit % 8);
        buf_put_be32(&b, e->id);
        buf_put_be64(&b, e->counter);
        buf_put_be64(&b, e->cumulative);
        buf_put(&b, e->salt, sizeof e->salt);
        put_secret(c, &b, e->next_secret);
        buf_put_u8(&b, e->codec);
        buf_put_be32(&b, e->anchor);
        buf_put_u8(&b, e->broken);
        buf_put_be32(&b, (uint32_t)e->chain_cost);
        buf_put(&b, bitmap, sizeof bitmap);
        put_ids(&b, &e->ids);
        /* The shares that it was made of may be forgotten before the epoch is over. */
        if (e->ids.mixed)
            buf_put(&b, e->key.bytes, sizeof e->key.bytes);
    }
    buf_put_u8(&b, (uint8_t)d->earlier_count);
    for (unsigned i = 0; i < d->earlier_count; i++) {
        buf_put_be64(&b, d->earlier[i].counter);
        buf_put_be16(&b, d->earlier[i].id);
        buf_put_be64(&b, d->earlier[i].last);
    }
    datagram_shares_save(c, &b);
    assert(!b.failed);
    return b.len;
}

static bool read_in_epoch(struct channel *c, struct reader *r, struct in_epoch *e, bool *has_key)
{
    *e = (struct in_epoch){.id = read_be32(r)};
    e->counter = read_be64(r);
    e->cumulative = read_be64(r);
    read_into(r, e->salt, sizeof e->salt);
    *has_key = read_secret(c, r, &e->next_secret);
    e->codec = read_u8(r);
    e->anchor = read_be32(r);
    e->broken = read_u8(r);
    e->chain_cost = read_be32(r);
    const uint8_t *bitmap = read_bytes(r, FRAME_BITMAP_MAX);
    read_ids(r, &e->ids);
    if (e->ids.mixed) {
        const struct seal_terms *t = &c->datagram->terms;
        e->key = (struct seal_key){.mode = t->mode, .tag_bytes = t->tag_bytes, .downward = !t->greater};
        read_into(r, e->key.bytes, sizeof e->key.bytes);
    }
    if (r->bad || e->id == 0)
        return false;
    for (size_t bit = 0; bit < FRAME_WINDOW; bit++) {
        size_t at = (e->cumulative + 1 + bit) % FRAME_WINDOW;
        e->here[at] = e->on_disk[at] = bitmap[bit / 8] >> bit % 8 & 1;
    }
    for (uint64_t next; next = e->cumulative + 1, e->on_disk[next % FRAME_WINDOW]; e->cumulative++)
        e->here[next % FRAME_WINDOW] = e->on_disk[next % FRAME_WINDOW] = false;
    return true;
}

bool datagram_load(struct channel *c, const uint8_t *bytes, size_t n)
{
    struct datagram *d = c->datagram;
    struct reader r = reader_of(bytes, n);
    datagram_forget_in(c);
    if (n == 0)
        return true;
    if (read_u8(&r) != IN_FORMAT)
        return false;
    uint64_t floor = read_be64(&r);
    uint8_t flags = read_u8(&r);
    uint8_t nonce[DATAGRAM_NONCE_BYTES];
    read_into(&r, nonce, sizeof nonce);
    unsigned count = read_u8(&r);
    if (r.bad || count > DATAGRAM_EPOCHS)
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct in_epoch *e = &d->in[d->in_count];
        bool has_key;
        if (!read_in_epoch(c, &r, e, &has_key))
            return false;
        /* Its key is gone from the files: what comes of it can be read no more. */
        if (has_key && e->ids.mixed && datagram_sealed(c))
            d->in_count++;
        else if (has_key && !e->ids.mixed && datagram_epoch_key(c, SEAL_THEIRS, e->counter, e->id, e->salt, e->next_secret, &e->key))
            d->in_count++;
    }
    struct datagram_earlier earlier[DATAGRAM_EARLIER];
    unsigned earlier_count = read_u8(&r);
    for (unsigned i = 0; i < earlier_count && i < DATAGRAM_EARLIER; i++) {
        earlier[i].counter = read_be64(&r);
        earlier[i].id = read_be16(&r);
        earlier[i].last = read_be64(&r);
    }
    if (earlier_count > DATAGRAM_EARLIER || !datagram_shares_load(c, &r))
        return false;
    d->floor = floor;
    memcpy(d->earlier, earlier, earlier_count * sizeof earlier[0]);
    d->earlier_count = earlier_count;
    d->doubt = flags & 1;
    d->has_nonce = flags & 2;
    memcpy(d->nonce, nonce, sizeof nonce);
    c->peer_epoch = d->in_count > 0 ? d->in[0].id : 0;
    return r.left == 0;
}

/* ---- out ---- */

size_t datagram_save_out(const struct channel *c, uint8_t out[CHANNEL_SAVED_OUT_MAX])
{
    const struct datagram *d = c->datagram;
    struct buf b;
    buf_init_over(&b, out, CHANNEL_SAVED_OUT_MAX);
    buf_put_u8(&b, OUT_FORMAT);
    buf_put_be64(&b, d->counter);
    buf_put_be64(&b, d->table);
    buf_put_be32(&b, d->anchor);
    buf_put_be32(&b, c->identity.segment);
    buf_put_be32(&b, next_id(c));
    buf_put_u8(&b, (uint8_t)(d->begun | d->announced << 1 | d->out_chain.begun << 2));
    buf_put_u8(&b, (uint8_t)d->out_count);
    for (unsigned i = 0; i < d->out_count; i++) {
        const struct out_epoch *e = &d->out[i];
        buf_put_be32(&b, e->id);
        buf_put_be64(&b, e->counter);
        buf_put_be64(&b, e->next);
        buf_put(&b, e->salt, sizeof e->salt);
        put_secret(c, &b, e->next_secret);
        buf_put_u8(&b, e->codec);
        buf_put_be32(&b, e->anchor);
        put_ids(&b, &e->ids);
    }
    unsigned done = 0;
    for (unsigned i = 0; i < d->frame_count; i++)
        done += d->frames[i].handed_over;
    buf_put_be16(&b, (uint16_t)done);
    for (unsigned i = 0; i < d->frame_count; i++) {
        const struct out_frame *f = &d->frames[i];
        if (!f->handed_over)
            continue;
        buf_put_be32(&b, f->epoch);
        buf_put_be16(&b, (uint16_t)f->number);
    }
    assert(!b.failed);
    return b.len;
}

bool datagram_load_out(struct channel *c, const uint8_t *bytes, size_t n)
{
    struct datagram *d = c->datagram;
    struct reader r = reader_of(bytes, n);
    if (read_u8(&r) != OUT_FORMAT)
        return false;
    uint64_t counter = read_be64(&r), table = read_be64(&r);
    uint32_t anchor = read_be32(&r);
    uint32_t segment = read_be32(&r), told = read_be32(&r);
    uint8_t flags = read_u8(&r);
    unsigned count = read_u8(&r);
    struct out_epoch epochs[DATAGRAM_EPOCHS];
    if (r.bad || count > DATAGRAM_EPOCHS)
        return false;
    /* What is of a key that is gone from the files the peer may be unable to read too: its records go again. */
    unsigned kept = 0;
    bool has_key = false, newest_kept = false;
    for (unsigned i = 0; i < count; i++, kept += has_key) {
        struct out_epoch *e = &epochs[kept];
        *e = (struct out_epoch){.id = read_be32(&r)};
        e->counter = read_be64(&r);
        e->next = read_be64(&r);
        read_into(&r, e->salt, sizeof e->salt);
        has_key = read_secret(c, &r, &e->next_secret);
        e->codec = read_u8(&r);
        e->anchor = read_be32(&r);
        read_ids(&r, &e->ids);
        newest_kept |= i == 0 && has_key;
    }
    unsigned done = read_be16(&r);
    if (r.bad || r.left != done * 6ul || done > FRAME_WINDOW)
        return false;
    datagram_forget_frames(c);
    if (counter > d->counter)
        d->counter = counter;
    d->table = table;
    d->anchor = anchor;
    /* We used it because the peer has it: it may have no other by now. */
    c->config.secrets.use_next |= newest_kept && epochs[0].next_secret;
    memcpy(d->out, epochs, kept * sizeof epochs[0]);
    d->out_count = kept;
    d->handed_count = done;
    for (unsigned i = 0; i < done; i++) {
        d->handed[i].epoch = read_be32(&r);
        d->handed[i].number = read_be16(&r);
    }
    /* The same process as before (a configuration read anew): its epoch goes on, unless the peer is to be told of a further
     * secret, which an epoch's announcement does, or the epoch is announced with a share. Another process says who it is in an epoch of its
     * own, since a restored copy of this store may be saying other things under the same numbers. And what leaned on frames
     * can be gone on with only by who has their model. */
    if ((flags & 1) && !(flags & 4) && segment == c->identity.segment && newest_kept && !epochs[0].ids.offered && (next_id(c) == 0 || next_id(c) == told) &&
        datagram_epoch_key(c, SEAL_OURS, d->out[0].counter, d->out[0].id, d->out[0].salt, d->out[0].next_secret, &d->out_key)) {
        d->begun = true;
        d->announced = flags & 2;
        c->own_epoch = d->out[0].id;
    }
    d->records_given = 0;
    d->started = true;
    c->payload_given = c->payload_acked = 0;
    c->grant_end = UINT64_MAX;
    c->waiting = true;
    c->ops->greeted(c->ctx, NULL);
    return true;
}

/* ---- what a frame carries, so that it need not be decoded after a restart ---- */

void datagram_put_contents(struct buf *out, const struct record_list *list, unsigned count)
{
    buf_put_varint(out, count);
    for (unsigned i = 0; i < count; i++) {
        const struct record *r = list->records[i];
        bool topic = r->type == RECORD_TOPIC;
        buf_put_u8(out, (uint8_t)(r->type | (topic ? 0 : r->class) << 4));
        buf_put_varint(out, topic ? r->slot : r->number);
        if (r->type == RECORD_MESSAGE || r->type == RECORD_CHUNK) {
            buf_put_varint(out, r->offset);
            buf_put_varint(out, r->len);
            buf_put_varint(out, r->total);
        }
        if (topic) {
            buf_put_varint(out, r->topic_len);
            buf_put(out, r->topic, r->topic_len);
        }
    }
}

static void get_record(struct reader *in, struct record *r)
{
    uint8_t first = read_u8(in);
    *r = (struct record){.type = (enum record_type)(first & 15), .class = (enum msg_class)(first >> 4)};
    if (r->type == RECORD_TOPIC)
        r->slot = (unsigned)read_varint(in);
    else
        r->number = read_varint(in);
    if (r->type == RECORD_MESSAGE || r->type == RECORD_CHUNK) {
        r->offset = (uint32_t)read_varint(in);
        r->len = (uint32_t)read_varint(in);
        r->total = (uint32_t)read_varint(in);
    }
    if (r->type == RECORD_TOPIC) {
        r->topic_len = (uint32_t)read_varint(in);
        r->topic = (const char *)read_bytes(in, r->topic_len);
    }
    in->bad |= r->type >= RECORD_TYPES || r->class >= CLASS_COUNT || (r->type == RECORD_TOPIC && r->slot >= RECORD_TOPIC_SLOTS);
}

bool datagram_restore_frame(struct channel *c, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct datagram *d = c->datagram;
    struct out_epoch *e = datagram_out_epoch(d, epoch);
    struct reader in = reader_of(bytes, n);
    struct record r;
    uint64_t count = read_varint(&in);
    for (uint64_t i = 0; i < count && !in.bad; i++)
        get_record(&in, &r);
    if (!e || in.bad || in.left == 0 || in.left > DATAGRAM_FRAME_MAX || count > RECORD_LIST_SENT_RECORDS)
        return false;
    struct out_frame *f = datagram_add_frame(c, epoch, number, in.p, in.left);
    if (!f)
        return false;
    f->kept = true;
    for (unsigned i = 0; i < d->handed_count; i++)
        if (d->handed[i].epoch == epoch && d->handed[i].number == (uint16_t)number) {
            f->handed_over = true;
            f->due = false;
            f->sent_count = 2; /* at least once; when is not known, so it tells no round trip */
        }
    if (number >= e->next)
        e->next = number + 1;
    f->records = (unsigned)count;
    d->records_given += f->records;
    in = reader_of(bytes, n);
    count = read_varint(&in);
    for (uint64_t i = 0; i < count; i++) {
        get_record(&in, &r);
        f->urgent |= r.type != RECORD_TOPIC && r.type != RECORD_TOPICS_RESET && r.class == CLASS_ALARM;
        c->ops->restored(c->ctx, &r);
    }
    return true;
}
