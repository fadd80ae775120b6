#include "tests/unit/wire/pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/support/primer_made.h"

#define DRIVER_MS 100
#define FRAMED    260
#define CODEC_MEMORY 1048576

unsigned pair_codec_version = 1;
enum seal_mode pair_seal = SEAL_NONE;

void pair_arguments(int argc, char **argv)
{
    if (argc > 1)
        pair_codec_version = (unsigned)atoi(argv[1]);
    if (argc > 2)
        pair_seal = strcmp(argv[2], "full") == 0   ? SEAL_FULL
                    : strcmp(argv[2], "auth") == 0 ? SEAL_AUTH
                                                   : SEAL_NONE;
    printf("# codec %u, seal %s\n", pair_codec_version, argc > 2 ? argv[2] : "none");
}

uint32_t pair_random(struct pair *p)
{
    p->seed = p->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(p->seed >> 32);
}

static bool chance(struct pair *p, double probability)
{
    return probability > 0 && pair_random(p) < probability * 4294967296.0;
}

static void broke(struct pair *p, const char *what, uint64_t a, uint64_t b)
{
    if (!p->wrong)
        snprintf(p->why, sizeof p->why, "%s: %llu %llu at %lld ms", what, (unsigned long long)a,
                 (unsigned long long)b, (long long)p->now_ms);
    p->wrong = true;
}

/* Noise, so that no codec makes it smaller than the tests of the line take it for. */
static uint8_t content(int side, uint64_t number, uint32_t at)
{
    uint64_t h = ((number * 2 + (uint64_t)side) << 32 | at) * 0x9e3779b97f4a7c15ull;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ull;
    h = (h ^ h >> 27) * 0x94d049bb133111ebull;
    return (uint8_t)(h >> 56);
}

static uint8_t payload_byte(const struct pair *p, int side, uint64_t number, uint32_t at)
{
    if (p->text)
        return (uint8_t)p->text[at % strlen(p->text)];
    return content(side, p->alike ? 0 : number, at);
}

/* ---- the line ---- */

static void line_push(struct line *l, int64_t leaves_us, int64_t arrives_us, uint8_t value)
{
    if (l->head + l->count == l->cap) {
        if (l->count > 0)
            memmove(l->bytes, l->bytes + l->head, l->count * sizeof *l->bytes);
        l->head = 0;
        if (l->count * 2 >= l->cap) {
            l->cap = l->cap ? l->cap * 2 : 4096;
            l->bytes = realloc(l->bytes, l->cap * sizeof *l->bytes);
        }
    }
    l->bytes[l->head + l->count++] = (struct wire_byte){leaves_us, arrives_us, value};
}

static void line_write(struct pair *p, int from, const uint8_t *bytes, size_t n)
{
    struct line *l = &p->line[from], *back = &p->line[!from];
    int64_t now_us = p->now_ms * 1000;
    if (l->port_rate)
        l->port_free_us = (l->port_free_us > now_us ? l->port_free_us : now_us) +
                          (int64_t)n * 1000000 / l->port_rate;
    for (size_t i = 0; i < n; i++) {
        if (l->free_us < now_us)
            l->free_us = now_us;
        if (l->rate)
            l->free_us += 1000000 / l->rate;
        l->carried++;
        uint8_t value = bytes[i];
        if (chance(p, l->byte_error))
            value ^= (uint8_t)(1u << (pair_random(p) % 8));
        /* Both at once on one medium: neither is understood. */
        if (p->half_duplex && back->free_us > l->free_us - 2000000 / (l->rate ? l->rate : 1000)) {
            value = (uint8_t)pair_random(p);
            l->collided++;
            for (size_t k = back->count;
                 k > 0 && back->bytes[back->head + k - 1].leaves_us > now_us; k--)
                back->bytes[back->head + k - 1].value = (uint8_t)pair_random(p);
        }
        if (p->echo)
            line_push(back, l->free_us, l->free_us + 1000, bytes[i]);
        if (l->dead || chance(p, l->byte_loss))
            continue;
        line_push(l, l->free_us, l->free_us + l->delay_ms * 1000, value);
        if (chance(p, l->byte_insert))
            line_push(l, l->free_us, l->free_us + l->delay_ms * 1000, (uint8_t)pair_random(p));
    }
}

static size_t line_room(const struct pair *p, const struct line *l)
{
    if (!l->rate)
        return 32768;
    /* What the driver sees is the port; a modem behind it takes more than its radio sends, and
     * holds it. */
    int64_t ahead_us = (l->port_rate ? l->port_free_us : l->free_us) - p->now_ms * 1000;
    int64_t rate = l->port_rate ? l->port_rate : l->rate;
    int64_t queued = ahead_us > 0 ? ahead_us * rate / 1000000 : 0;
    int64_t room = FRAMED + rate * l->driver_ms / 1000 - queued;
    return room > 0 ? (size_t)room : 0;
}

static bool line_deliver(struct pair *p, int from)
{
    struct line *l = &p->line[from];
    uint8_t bytes[512];
    size_t n = 0;
    while (l->count > 0 && n < sizeof bytes && l->bytes[l->head].arrives_us <= p->now_ms * 1000) {
        bytes[n++] = l->bytes[l->head].value;
        l->head++;
        l->count--;
    }
    if (n > 0)
        channel_on_bytes(p->owner[!from].channel, bytes, n, p->now_ms);
    return n > 0;
}

void pair_inject(struct pair *p, int side, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        line_push(&p->line[!side], p->now_ms * 1000, p->now_ms * 1000, ((const uint8_t *)bytes)[i]);
}

/* ---- the owner ---- */

static void on_output(void *ctx, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    struct owner *o = ctx;
    o->bytes_out += n;
    o->alarms_urgent += urgent;
    for (size_t i = 0; i < o->config.avoid_count * n; i++)
        if (bytes[i % n] == o->config.avoid[i / n])
            broke(o->pair, "a byte to avoid is on the line", bytes[i % n], 0);
    if (o->pair->attacker)
        o->pair->attacker(o->pair, o->side, bytes, n);
    else
        line_write(o->pair, o->side, bytes, n);
}

void pair_carry(struct pair *p, int from, const uint8_t *bytes, size_t n)
{
    line_write(p, from, bytes, n);
}

/* The next number of the class above `after`, 0 = none. */
static uint64_t next_of(const struct owner *o, enum msg_class class, uint64_t after)
{
    for (uint64_t n = after + 1; n <= o->made; n++)
        if (o->messages[n].class == class)
            return n;
    return 0;
}

static bool on_next_record(void *ctx, size_t room, struct record *r)
{
    struct owner *o = ctx;
    uint64_t number = 0;
    enum msg_class class = CLASS_ALARM;
    for (unsigned k = 0; k < CLASS_COUNT && number == 0; k++) {
        class = (enum msg_class)k;
        number = o->piece[k] ? o->piece[k] : next_of(o, class, o->cursor[k]);
        if (number == 0)
            o->cursor[k] = o->made > o->cursor[k] ? o->made : o->cursor[k];
    }
    if (number == 0)
        return false;
    const struct message *m = &o->messages[number];
    uint32_t offset = o->piece[class] ? o->piece_have[class] : 0;
    uint32_t len = m->len - offset;
    len = channel_piece(o->channel, class, (unsigned)(number % 100), offset > 0, len, room);
    for (uint32_t i = 0; i < len; i++)
        o->payload[i] = payload_byte(o->pair, o->side, number, offset + i);
    bool begun = o->piece[class] && (offset > 0 || o->piece_begun[class]);
    *r = (struct record){
        .type = begun ? RECORD_CHUNK : RECORD_MESSAGE,
        .class = class,
        .number = number,
        .previous = m->previous,
        .slot = (unsigned)(number % 100),
        .qos = 1,
        .has_origin = true,
        .origin_ms = m->made_ms / 1000 * 1000,
        .total = m->len,
        .offset = offset,
        .bytes = o->payload,
        .len = len,
    };
    bool whole = offset + len == m->len;
    o->given[o->given_count++ % PAIR_GIVEN] = (struct given){class, number, offset + len, whole};
    if (o->given_count - o->acked_count > PAIR_GIVEN)
        broke(o->pair, "too much given", o->given_count, o->acked_count);
    o->piece[class] = whole ? 0 : number;
    o->piece_begun[class] = !whole;
    o->piece_have[class] = offset + len;
    if (whole)
        o->cursor[class] = number;
    return true;
}

static void settle(struct owner *o, enum msg_class class, uint64_t number)
{
    const struct owner *peer = &o->pair->owner[!o->side];
    if (peer->disk.cumulative[class] < number)
        broke(o->pair, "acknowledged and not on the peer's disk", number,
              peer->disk.cumulative[class]);
    if (number > o->settled[class])
        o->settled[class] = number;
}

static void on_acked(void *ctx, uint64_t count)
{
    struct owner *o = ctx;
    if (count < o->acked_count || count > o->given_count)
        broke(o->pair, "count of acknowledged records", count, o->given_count);
    for (; o->acked_count < count; o->acked_count++) {
        const struct given *g = &o->given[o->acked_count % PAIR_GIVEN];
        if (g->whole)
            settle(o, g->class, g->number);
    }
}

static int on_record(void *ctx, const struct record *r, uint64_t frame)
{
    struct owner *o = ctx;
    struct inbox *in = &o->live;
    const struct owner *peer = &o->pair->owner[!o->side];
    if (o->poison > 0) {
        o->poison--;
        return -EPROTO;
    }
    if (r->type != RECORD_MESSAGE && r->type != RECORD_CHUNK)
        return 0;
    enum msg_class k = r->class;
    if (r->number > peer->made || peer->messages[r->number].class != k)
        broke(o->pair, "a message that nobody sent", r->number, k);
    const struct message *m = &peer->messages[r->number];
    if (r->type == RECORD_MESSAGE) {
        if (r->previous != in->cumulative[k] || r->number <= in->cumulative[k])
            broke(o->pair, "out of order, doubled or missing", r->number, in->cumulative[k]);
        if (r->total != m->len || r->slot != r->number % 100 ||
            r->origin_ms != m->made_ms / 1000 * 1000)
            broke(o->pair, "fields changed on the way", r->number, r->total);
        in->partial[k] = true;
        in->partial_number[k] = r->number;
        in->partial_have[k] = 0;
        in->partial_total[k] = r->total;
    }
    if (!in->partial[k] || in->partial_number[k] != r->number || in->partial_have[k] != r->offset) {
        broke(o->pair, "a piece out of place", r->number, r->offset);
        return -EPROTO;
    }
    for (uint32_t i = 0; i < r->len; i++)
        if (r->bytes[i] != payload_byte(o->pair, !o->side, r->number, r->offset + i))
            broke(o->pair, "payload changed on the way", r->number, i);
    in->partial_have[k] += r->len;
    if (in->partial_have[k] < in->partial_total[k])
        return 0;
    in->partial[k] = false;
    in->cumulative[k] = r->number;
    in->count[k]++;
    in->last_at_ms[k] = o->pair->now_ms;
    int64_t took = o->pair->now_ms - m->made_ms;
    if (k == CLASS_ALARM && took > o->worst_alarm_ms)
        o->worst_alarm_ms = took;
    return 0;
}

static void on_frame_done(void *ctx, uint64_t frame)
{
    struct owner *o = ctx;
    o->frame_live = frame;
    if (o->commit_at_ms == CHANNEL_NEVER)
        o->commit_at_ms = o->pair->now_ms + o->commit_ms;
}

static unsigned tail_work(const struct owner *o)
{
    return o->tail_work ? o->tail_work : 100;
}

/* The newest messages of `side` that these marks cover. Return: a hash of them, 0 = none. */
static uint32_t load_tail(const struct owner *o, int side, const uint64_t marks[CLASS_COUNT],
                          struct tail *t)
{
    const struct owner *from = &o->pair->owner[side];
    uint64_t newest[PAIR_TAIL];
    uint32_t hash = 1;
    *t = (struct tail){0};
    for (uint64_t n = from->made; n > 0 && t->count < PAIR_TAIL && !o->forgetful; n--)
        if (n <= marks[from->messages[n].class])
            newest[t->count++] = n;
    for (unsigned i = 0; i < t->count; i++) {
        t->numbers[i] = newest[t->count - 1 - i];
        hash = hash * 31 + (uint32_t)t->numbers[i];
    }
    return t->count == 0 ? 0 : prime_tail_name(hash * 0x9e3779b1u, prime_units((uint64_t)t->count * tail_work(o)));
}

static enum channel_prime on_prime(void *ctx, bool out, struct record *r)
{
    struct owner *o = ctx;
    struct tail *t = out ? &o->tail_out : &o->tail_in;
    if (t->next == t->count)
        return CHANNEL_PRIME_END;
    uint64_t number = t->numbers[t->next++];
    int side = out ? o->side : !o->side;
    const struct message *m = &o->pair->owner[side].messages[number];
    for (uint32_t i = 0; i < m->len && i < 512; i++)
        o->prime_payload[i] = payload_byte(o->pair, side, number, i);
    *r = (struct record){
        .type = RECORD_MESSAGE,
        .class = m->class,
        .number = number,
        .previous = m->previous,
        .slot = (unsigned)(number % 100),
        .qos = 1,
        .total = m->len < 512 ? m->len : 512,
        .bytes = o->prime_payload,
        .len = m->len < 512 ? m->len : 512,
    };
    *(out ? &o->primed_out : &o->primed_in) += 1;
    return CHANNEL_PRIME_RECORD;
}

static bool on_prime_within(void *ctx, bool out, unsigned units)
{
    struct owner *o = ctx;
    struct tail *t = out ? &o->tail_out : &o->tail_in;
    unsigned most = units * PRIME_UNIT_WORK / tail_work(o);
    t->next = t->count > most ? t->count - most : 0;
    return t->next < t->count;
}

static bool on_hurry(void *ctx, bool late)
{
    struct owner *o = ctx;
    bool any = false;
    for (unsigned k = 0; k < CLASS_COUNT; k++)
        any = any || ((late || k == CLASS_ALARM) && next_of(o, (enum msg_class)k, o->cursor[k]) != 0);
    return any;
}

static void on_primed(void *ctx, bool out)
{
    struct owner *o = ctx;
    *(out ? &o->tail_out : &o->tail_in) = (struct tail){0};
}

static int on_greeting(void *ctx, const struct channel_identity *peer, struct channel_marks *ours)
{
    struct owner *o = ctx;
    o->greetings++;
    if (o->refuse)
        return o->refuse;
    /* What is not on disk was never acknowledged: it will come again. */
    o->live = o->disk;
    *ours = (struct channel_marks){.grant_bytes = o->grant,
                                   .max_message = 1048576,
                                   .topics_sequence = 100,
                                   .topics_hash = 0xabcdef01};
    for (unsigned k = 0; k < CLASS_COUNT; k++) {
        ours->cumulative[k] = o->disk.cumulative[k];
        ours->partial[k] = o->disk.partial[k];
        ours->partial_number[k] = o->disk.partial_number[k];
        ours->partial_have[k] = o->disk.partial_have[k];
    }
    ours->history_tail = load_tail(o, !o->side, o->disk.cumulative, &o->tail_in);
    o->primed_in = 0;
    return 0;
}

static void on_greeted(void *ctx, const struct channel_marks *theirs)
{
    struct owner *o = ctx;
    o->greeteds++;
    o->given_count = o->acked_count = 0;
    for (unsigned k = 0; k < CLASS_COUNT; k++) {
        settle(o, (enum msg_class)k, theirs->cumulative[k]);
        o->cursor[k] = theirs->cumulative[k];
        o->piece[k] = theirs->partial[k] ? theirs->partial_number[k] : 0;
        o->piece_have[k] = theirs->partial[k] ? theirs->partial_have[k] : 0;
        o->piece_begun[k] = theirs->partial[k];
    }
    o->primed_out = 0;
    if (load_tail(o, o->side, theirs->cumulative, &o->tail_out) != theirs->history_tail)
        o->tail_out = (struct tail){0};
}

static void on_state(void *ctx, enum channel_state state, const char *why)
{
    struct owner *o = ctx;
    o->state = state;
    snprintf(o->why, sizeof o->why, "%s", why);
}

static void on_give_up(void *ctx, const char *why)
{
    struct owner *o = ctx;
    o->give_ups++;
}

static uint32_t on_random(void *ctx)
{
    return pair_random(((struct owner *)ctx)->pair);
}

static void on_random_bytes(void *ctx, void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)(on_random(ctx) >> 24);
}

static void on_key_in_use(void *ctx, bool next)
{
    ((struct owner *)ctx)->keys_in_use[next]++;
}

static uint64_t on_grant(void *ctx)
{
    return ((struct owner *)ctx)->grant;
}

static const struct channel_ops ops = {
    .output = on_output,
    .next_record = on_next_record,
    .acked = on_acked,
    .record = on_record,
    .frame_done = on_frame_done,
    .greeting = on_greeting,
    .greeted = on_greeted,
    .prime = on_prime,
    .prime_within = on_prime_within,
    .primed = on_primed,
    .hurry = on_hurry,
    .state = on_state,
    .give_up = on_give_up,
    .random = on_random,
    .random_bytes = on_random_bytes,
    .key_in_use = on_key_in_use,
    .grant = on_grant,
};

static void commit(struct owner *o)
{
    o->disk = o->live;
    o->frame_disk = o->frame_live;
    o->commit_at_ms = CHANNEL_NEVER;
    channel_committed(o->channel, o->frame_disk, o->pair->now_ms);
}

/* ---- the pair ---- */

static struct primer_models *models_made(void)
{
    static const size_t size = CODEC_MEMORY;
    return primer_made(&size, 1);
}

struct pair *pair_new(const struct pair_options *options)
{
    struct pair *p = calloc(1, sizeof *p);
    p->seed = options->seed ? options->seed : 1;
    p->now_ms = 1000000;
    p->half_duplex = options->half_duplex;
    printf("# seed %llu\n", (unsigned long long)p->seed);
    for (int i = 0; i < 2; i++) {
        struct owner *o = &p->owner[i];
        o->pair = p;
        o->side = i;
        o->messages = calloc(PAIR_MESSAGES + 1, sizeof *o->messages);
        o->commit_ms = 10;
        o->commit_at_ms = CHANNEL_NEVER;
        o->grant = 100000000;
        o->identity = (struct channel_identity){.generation = 7u + (unsigned)i,
                                                .segment = 100,
                                                .predecessor = 99,
                                                .predecessor_end = 100000};
        o->config = (struct channel_config){
            .kind = CHANNEL_STREAM,
            .seal = pair_seal,
            .tag_bytes = options->tag_bytes,
            .forward_secrecy = options->forward_secrecy,
            .metered = options->metered,
            .half_duplex = options->half_duplex,
            .speaks_first = i == 1,
            .probe_ms = options->probe_ms,
            .rate_bytes_s = options->rate,
            .avoid = {0x11, 0x13},
            .avoid_count = options->avoid ? 2 : 0,
            .max_message = 1048576,
            .codec_version = pair_codec_version,
            .codec_memory = CODEC_MEMORY,
            .models = options->cold ? NULL : models_made(),
        };
        memset(o->config.secrets.current, 0x42, SECRET_BYTES);
        snprintf(o->config.own_name, sizeof o->config.own_name, "%s", i ? "hub" : "buoy-17");
        snprintf(o->config.peer_name, sizeof o->config.peer_name, "%s", i ? "buoy-17" : "hub");
        o->channel = channel_new(&o->config, &o->identity, &ops, o);
        p->line[i] = (struct line){.rate = options->rate,
                                   .delay_ms = options->delay_ms,
                                   .byte_error = options->bit_error * 10,
                                   .driver_ms = DRIVER_MS};
    }
    return p;
}

void pair_free(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        channel_free(p->owner[i].channel);
        free(p->owner[i].messages);
        free(p->line[i].bytes);
    }
    free(p);
}

void pair_up(struct pair *p, int side)
{
    for (int i = 0; i < 2; i++)
        if (side == i || side == 2)
            channel_link_up(p->owner[i].channel, p->now_ms);
}

void pair_down(struct pair *p, int side)
{
    for (int i = 0; i < 2; i++)
        if (side == i || side == 2) {
            channel_link_down(p->owner[i].channel, p->now_ms);
            p->line[i].count = p->line[i].head = 0;
            p->line[i].free_us = 0;
        }
}

void pair_kill(struct pair *p, int side)
{
    struct owner *o = &p->owner[side];
    channel_free(o->channel);
    o->live = o->disk;
    o->commit_at_ms = CHANNEL_NEVER;
    o->given_count = o->acked_count = 0;
    o->restarts++;
    o->identity.predecessor = o->identity.segment++;
    p->line[side].count = p->line[side].head = 0;
    o->channel = channel_new(&o->config, &o->identity, &ops, o);
    channel_link_up(o->channel, p->now_ms);
}

void pair_restart(struct pair *p, int side)
{
    pair_kill(p, side);
    channel_kick(p->owner[side].channel, p->now_ms);
}

void pair_send(struct pair *p, int side, enum msg_class class, uint32_t len)
{
    struct owner *o = &p->owner[side];
    if (o->made >= PAIR_MESSAGES)
        return;
    o->messages[++o->made] = (struct message){class, o->last_of[class], len, p->now_ms};
    o->last_of[class] = o->made;
    channel_kick(o->channel, p->now_ms);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* One instant: everything due now, then the time of the next thing. */
static void step(struct pair *p, int64_t until_ms)
{
    int64_t next = until_ms;
    for (int i = 0; i < 2; i++) {
        struct owner *o = &p->owner[i];
        while (line_deliver(p, !i))
            ;
        if (o->commit_at_ms <= p->now_ms)
            commit(o);
        if (channel_priming(o->channel) && p->now_ms >= o->prime_at_ms) {
            channel_prime(o->channel, p->now_ms);
            o->prime_at_ms = p->now_ms + (o->prime_slow_ms ? o->prime_slow_ms : 1);
        }
        if (channel_deadline(o->channel, p->now_ms) <= p->now_ms)
            channel_on_timer(o->channel, p->now_ms);
        for (int k = 0; k < 2000 && channel_wants(o->channel, p->now_ms); k++)
            if (channel_pump(o->channel, line_room(p, &p->line[i]), p->now_ms) == 0)
                break;
    }
    for (int i = 0; i < 2; i++) {
        struct owner *o = &p->owner[i];
        const struct line *l = &p->line[i];
        next = earlier(next, channel_deadline(o->channel, p->now_ms));
        next = earlier(next, o->commit_at_ms);
        if (channel_priming(o->channel))
            next = earlier(next, o->prime_at_ms);
        if (l->count > 0) /* bytes are read in clumps, as a tty gives them */
            next = earlier(next, l->bytes[l->head].arrives_us / 1000 + 5);
        if (channel_wants(o->channel, p->now_ms))
            next = earlier(next, p->now_ms + 5);
    }
    p->now_ms = next > p->now_ms ? next : p->now_ms + 1;
}

void pair_run(struct pair *p, int64_t ms)
{
    int64_t until = p->now_ms + ms;
    while (p->now_ms < until && !p->wrong)
        step(p, until);
}

static bool drained(const struct pair *p)
{
    for (int i = 0; i < 2; i++)
        for (unsigned k = 0; k < CLASS_COUNT; k++)
            if (p->owner[i].settled[k] != p->owner[i].last_of[k])
                return false;
    return true;
}

bool pair_drain(struct pair *p, int64_t ms)
{
    struct channel_status st;
    int64_t until = p->now_ms + ms;
    while (p->now_ms < until && !p->wrong && !drained(p))
        step(p, earlier(until, p->now_ms + 20));
    if (p->wrong)
        printf("# %s\n", p->why);
    for (int i = 0; i < 2 && !p->wrong; i++)
        for (unsigned k = 0; k < CLASS_COUNT; k++)
            if (p->owner[i].settled[k] != p->owner[i].last_of[k]) {
                channel_status(p->owner[i].channel, &st);
                printf("# side %d inflight %u out %d in %d bad %d resent %d deadline %d wants %d\n",
                       i, st.in_flight, (int)st.frames_out, (int)st.frames_in, (int)st.bad_frames,
                       (int)st.retransmits,
                       (int)(channel_deadline(p->owner[i].channel, p->now_ms) - p->now_ms),
                       channel_wants(p->owner[i].channel, p->now_ms));
                printf("# side %d class %u: %llu of %llu (state %d, %s)\n", i, k,
                       (unsigned long long)p->owner[i].settled[k],
                       (unsigned long long)p->owner[i].last_of[k], p->owner[i].state,
                       p->owner[i].why);
            }
    return !p->wrong && drained(p);
}
