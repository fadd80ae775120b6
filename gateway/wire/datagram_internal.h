/* The inside of a datagram channel, for its own files alone:
 *     channel_datagram.c   pump, timers, acknowledgements due
 *     datagram_send.c      records -> frames
 *     datagram_acked.c     what became of them
 *     datagram_fill.c      which records a frame takes, and how long it waits for company
 *     datagram_receive.c   frames -> records
 *     datagram_epochs.c    the peer's epochs
 *     datagram_saved.c     what survives a restart
 *     datagram_model.c     what the codec of a frame has seen before it: primer and anchor
 *     datagram_lean.c      ... and, where the frame leans, the frames of its epoch
 *     datagram_seal.c      keys of epochs and answers
 *     datagram_share.c     X25519 in them */
#ifndef WIRE_DATAGRAM_INTERNAL_H
#define WIRE_DATAGRAM_INTERNAL_H

#include "gateway/wire/channel_datagram.h"
#include "gateway/wire/datagram_frame.h"
#include "gateway/wire/datagram_mix.h"
#include "gateway/wire/record_check.h"
#include "gateway/wire/record_list.h"
#include "gateway/wire/seal.h"

#define DATAGRAM_EPOCHS     (1 + DATAGRAM_EARLIER) /* of a direction that are alive: the newest, and those before it with frames under way */
#define DATAGRAM_FRAME_MAX  4096 /* bytes, whatever mtu is said */
#define DATAGRAM_HELD_MAX   64   /* frames kept until what they follow is here */
#define DATAGRAM_LEAP       (1u << 20) /* epochs that a sender cannot have begun since a copy was made: one a minute for two years */
#define DATAGRAM_DISTRUST   2    /* epochs in a row that were refused or never answered: frames of the next lean on nothing */
#define DATAGRAM_TRIES      6    /* of the oldest frame; then a new epoch begins */
#define METERED_TRIES       3    /* the same where hours lie between them */
#define DATAGRAM_FIXED      40   /* bytes that a record costs at most beside its texts and payload */
#define DATAGRAM_USUAL      12

/* What the leaning frames of an epoch may come to: so much a receiver decodes to make their model again. In bytes of frames and of
 * what is in them, and some for each record ([P-10.17]). */
#define DATAGRAM_CHAIN_MAX    (1u << 20)
#define DATAGRAM_CHAIN_RECORD 16

#define DATAGRAM_ACK_DELAY_MS 2000
#define DATAGRAM_ACK_FRAMES   8

/* Metered links, where the driver has no word of its own. */
#define METERED_WINDOW         64 /* frames */
#define METERED_RTO_MS         900000 /* an answer may wait for the peer's next session */
#define METERED_RTO_MAX_MS     21600000
#define METERED_ACK_DELAY_MS   (METERED_RTO_MS * 2 / 3) /* cheaper than the frame that the peer would send again */
#define METERED_FLOOR_EVERY_MS 600000

/* The shares that an epoch's key is of, by name. */
struct mixed_ids {
    bool offered; /* the announcement has the sender's */
    bool mixed;
    uint8_t sender[DATAGRAM_SHARE_ID], receiver[DATAGRAM_SHARE_ID];
};

#define DATAGRAM_OWN_SHARES  2 /* the newest, and the one before it, which the peer may still use */
#define DATAGRAM_PEER_SHARES 3 /* the newest, and those that an old answer must not bring back */
struct own_share {
    uint8_t private_key[CRYPTO_SHARE_BYTES], share[DATAGRAM_SHARE_BYTES];
};
struct datagram_shares {
    struct own_share own[DATAGRAM_OWN_SHARES];
    unsigned own_count;
    bool told;         /* the peer has own[0] */
    unsigned tellings; /* acknowledgements since it was drawn that could have brought it */
    unsigned epochs;   /* that began with it */
    int64_t age_ms;    /* of it, while processes ran */
    int64_t seen_ms;   /* when that was counted last; -1 = not by this process */
    uint8_t peer[DATAGRAM_PEER_SHARES][DATAGRAM_SHARE_BYTES];
    unsigned peer_count;
};

/* A codec that has seen the primer and an anchor, to be copied for each frame. */
struct datagram_model {
    uint8_t codec; /* 0 = none */
    uint32_t anchor;
    bool out;
    struct codec_encoder *encoder; /* out */
    struct codec_decoder *decoder; /* in */
    bool primed; /* has seen the primer */
    bool ready;
};

/* What the leaning frames of our newest epoch have made of its model. */
struct out_chain {
    struct codec_encoder *encoder; /* where begun */
    struct codec_encoder *work;    /* of the frame that is made; becomes the encoder above when it leans */
    uint8_t codec;                 /* that both are of */
    bool begun;                    /* a frame has leaned */
    uint64_t bytes, cost;          /* of the frames that leaned: of the stream; towards DATAGRAM_CHAIN_MAX */
};

/* The same of one epoch of the peer's. */
struct in_chain {
    uint32_t epoch; /* 0 = none */
    uint8_t codec;  /* that both are of */
    struct codec_decoder *decoder, *work;
    bool ready;    /* else it is being made again from what the owner kept */
    uint64_t last; /* frame of which it was made so far */
    uint64_t cost;
    /* Being made again: what the next frame carried, and how far that is decoded. */
    struct {
        uint64_t number; /* 0 = none is under way */
        uint8_t bytes[DATAGRAM_FRAME_MAX];
        size_t n, at;
        uint64_t check, cost;
    } frame;
};

struct out_epoch {
    uint32_t id;
    uint64_t counter;
    uint64_t next; /* number of the next frame */
    uint8_t salt[DATAGRAM_SALT_BYTES];
    bool next_secret; /* keyed with secrets.next */
    struct mixed_ids ids;
    struct datagram_mix mix; /* as it is announced; not after a restart */
    uint8_t codec;    /* version, and log2 of its memory << 3 */
    uint32_t anchor;
    /* Of a number, modulo FRAME_WINDOW: which acknowledgement first told of it, as d->acks counts; 0 = none. */
    uint32_t told_by[FRAME_WINDOW];
};

struct out_frame {
    uint32_t epoch;
    uint64_t number, token;
    uint8_t *bytes;
    size_t n;
    uint64_t first_record; /* index, and how many */
    unsigned records;
    uint64_t payload_end;
    uint32_t made, lacked; /* acknowledgements so far when it was made, and when one came that shows it not on the peer's disk */
    uint64_t first; /* all frames of the epoch before this one were acknowledged when it was made; 0 = not known */
    bool kept;      /* on our disk */
    bool due;       /* to be sent, or sent again */
    bool handed_over; /* the link has it */
    bool overtaken; /* an acknowledgement shows a later one, and not this */
    bool leans;
    bool arrived;   /* leans on what the peer does not have yet: it keeps it, but may forget it again */
    bool timed;     /* its round trip was measured */
    bool doubted;   /* was sent again because it may be lost */
    bool urgent;
    unsigned sent_count;
    int64_t sent_at_ms;
};

struct in_epoch {
    uint32_t id;
    uint64_t counter;
    uint8_t salt[DATAGRAM_SALT_BYTES];
    bool next_secret;
    uint8_t codec;
    uint32_t anchor;
    struct mixed_ids ids;
    bool lacks_share; /* one of them is not here */
    struct seal_key key;
    bool news; /* something of it is on disk that the peer was not told of */
    /* Bit of a number: modulo FRAME_WINDOW, for cumulative + 1 .. + FRAME_WINDOW. */
    uint64_t cumulative; /* all up to here is on disk */
    bool here[FRAME_WINDOW], on_disk[FRAME_WINDOW];
    bool broken;         /* a frame that others may lean on will not come: nothing that leans can be read any more */
    uint64_t chain_cost; /* of the leaning frames that are here */
};

struct held_frame {
    uint32_t epoch;
    uint64_t number;
    bool leans;
    uint8_t *bytes; /* records */
    size_t n;
    uint64_t refused_at; /* how many frames were given when the owner could not take it last; UINT64_MAX = it was not asked */
};

/* An epoch that was refused, and is to be told why. */
struct refused_epoch {
    bool due;
    enum datagram_answer_type why;
    uint32_t id;
    uint64_t counter;
    uint8_t salt[DATAGRAM_SALT_BYTES];
    bool next_secret;
    struct mixed_ids ids;
    bool lacks_share;
};

struct datagram {
    struct seal_terms terms;
    struct datagram_shares shares;
    /* Out. epochs[0] is the one under way, once a frame was made; those behind it have frames under way. */
    struct out_epoch out[DATAGRAM_EPOCHS];
    unsigned out_count;
    struct seal_key out_key;  /* of out[0] */
    bool begun;               /* out[0] takes new frames */
    bool announced;           /* the peer has acknowledged something of out[0] */
    uint64_t counter;         /* the highest that an epoch of ours had, or must exceed */
    uint64_t table;           /* of our topic table: the counter when it was begun */
    bool has_echo;
    uint8_t echo[DATAGRAM_NONCE_BYTES];
    uint32_t peer_next_secret; /* as the peer said */
    struct out_frame frames[FRAME_WINDOW]; /* in the order of their making */
    unsigned frame_count;
    unsigned tries; /* timeouts since something was acknowledged */
    uint32_t acks; /* since the start */
    uint64_t last_token;
    uint64_t records_given;
    bool started;               /* the owner was told that indices begin at 0 */
    struct {
        uint32_t epoch;
        uint16_t number;
    } handed[FRAME_WINDOW];     /* as it was at the restart */
    unsigned handed_count;
    struct record_list carried; /* one TOPIC that did not fit the last frame */
    struct record_list filling;
    bool alarms_only; /* the link refused a frame without one */
    unsigned ratio; /* payload bytes to bytes of a frame, in 1/16, as frames have shown */
    bool leaving; /* what waited has waited long enough: all that waits goes */
    uint32_t anchor; /* of new epochs; 0 = the primer alone */
    uint32_t proposed; /* an anchor that a frame of ours names: once that is acknowledged both ends have it; 0 = none */
    uint32_t proposed_epoch;
    uint64_t proposed_number;
    bool proposed_alone; /* for frames that stand alone: both ends having it, an epoch that leans on it begins at once */
    unsigned alone_since; /* records acknowledged of frames that stood alone, since the last was proposed */
    bool anchor_due;      /* the next frame begins an epoch that leans on it */
    bool frame_leans;     /* that is being filled */
    unsigned distrust;    /* epochs in a row that ended without an acknowledgement */
    struct out_chain out_chain;
    struct in_chain in_chain;
    bool plain; /* the peer has no such model as ours */
    bool modest; /* nor one as large; a smaller one may do */
    struct datagram_model out_model, in_models[2];
    unsigned in_model_turn; /* which is replaced next */
    /* In. in[0] is the newest. */
    struct in_epoch in[DATAGRAM_EPOCHS];
    unsigned in_count;
    uint64_t floor; /* the highest counter accepted */
    struct datagram_earlier earlier[DATAGRAM_EARLIER]; /* than in[0], as its sender said when it began */
    unsigned earlier_count;
    bool doubt;     /* the floor may be that of an older copy: the next epoch must echo the nonce */
    bool has_nonce; /* drawn, and not echoed yet */
    uint8_t nonce[DATAGRAM_NONCE_BYTES];
    struct refused_epoch refused;
    int64_t floor_not_before_ms, forgotten_not_before_ms, repeated_not_before_ms;
    uint32_t forgotten_epoch; /* that was told so last */
    struct held_frame held[DATAGRAM_HELD_MAX];
    unsigned held_count;
    struct {
        uint32_t epoch;
        uint64_t number;
    } waiting[FRAME_WINDOW];   /* ring: frames given to the owner and not committed */
    uint64_t given, committed; /* frames, as the owner counts them */
};

/* ---- channel_datagram.c ---- */
unsigned datagram_window(const struct channel *c);
/* How long a frame may be on its way before one that overtook it proves it lost: each costs, so doubt is on its side. */
int64_t datagram_patience_ms(const struct channel *c);
size_t datagram_mtu(const struct channel *c);
size_t datagram_tag_bytes(const struct channel *c);

/* ---- datagram_send.c ---- */
/* All records that were given and not acknowledged are asked for again, in a new epoch; frames under way are over. */
void datagram_abandon(struct channel *c);
/* Makes a frame. Return: false = nothing to send. */
bool datagram_build(struct channel *c, int64_t now_ms);
bool datagram_model_ready(struct channel *c);
struct out_frame *datagram_next_due(struct channel *c);
/* The peer cannot read what leans on the epoch's anchor, or on our model at all. */
void datagram_on_no_anchor(struct channel *c, const struct out_epoch *e);
void datagram_on_floor(struct channel *c, const struct datagram_answer *a);
/* The topic table is begun anew, and a new epoch with it. */
void datagram_new_table(struct channel *c);
/* The same, for the peer has lost what it had. */
void datagram_forgotten(struct channel *c);
struct out_epoch *datagram_out_epoch(struct datagram *d, uint32_t id);
/* Forgets epochs behind the first of which nothing is under way. */
void datagram_drop_idle_epochs(struct datagram *d);
struct out_frame *datagram_add_frame(struct channel *c, uint32_t epoch, uint64_t number,
                                     const uint8_t *bytes, size_t n);
void datagram_remove_frame(struct datagram *d, unsigned i);
void datagram_forget_frames(struct channel *c);

/* ---- datagram_acked.c ---- */
/* The lowest number under way of an epoch; its next, where none is. */
uint64_t datagram_first_of(const struct datagram *d, const struct out_epoch *e);
/* whole: the bitmap tells of all that is behind `low`; else of as many as it has bits. */
void datagram_on_ack(struct channel *c, uint32_t epoch, uint16_t low, uint8_t grant,
                     const uint8_t *bitmap, size_t bitmap_bytes, bool whole, int64_t now_ms);

/* ---- datagram_fill.c ---- */
/* May a frame of new records be made now? */
bool datagram_has_data(const struct channel *c);
bool datagram_alarm_waits(const struct channel *c);
/* When it will be, if something waits for company; CHANNEL_NEVER. */
int64_t datagram_hold_at(const struct channel *c, int64_t now_ms);
/* Codes records into out: at most `content` bytes, as d->frame_leans says (it is taken back where what comes is urgent). overhead:
 * bytes of the frame beside them. Return: how many records: the first of d->filling. */
unsigned datagram_fill(struct channel *c, struct buf *out, size_t content, size_t overhead,
                       bool *urgent);

/* ---- datagram_model.c ---- */
/* Of the frames that we make. */
uint8_t datagram_codec(const struct channel *c);
/* One of a size that every receiver takes. */
bool datagram_codec_modest(uint8_t codec);
/* May the peer's frames be of this codec? */
bool datagram_codec_known(const struct channel *c, uint8_t codec);
const struct codec *datagram_codec_of(uint8_t codec);
size_t datagram_codec_memory(uint8_t codec);
/* Is the model for frames of ours made? Else its making is begun. */
bool datagram_out_model(struct channel *c, uint8_t codec, uint32_t anchor);
enum datagram_decoding {
    DATAGRAM_DECODED,  /* into c->records */
    DATAGRAM_LATER,    /* the model is not made yet, or there is no memory */
    DATAGRAM_NO_MODEL, /* the anchor is not here */
    DATAGRAM_NONSENSE,
};
/* The model that frames of this codec and anchor begin from: DATAGRAM_DECODED and *out; LATER; NO_MODEL. */
enum datagram_decoding datagram_in_model(struct channel *c, uint8_t codec, uint32_t anchor, struct codec_decoder **out);
bool datagram_priming(const struct channel *c);
/* ... and a frame of the peer's is held meanwhile. */
bool datagram_prime_wanted(const struct channel *c);
void datagram_prime(struct channel *c, int64_t now_ms);
void datagram_model_drop(struct datagram_model *m);

/* ---- datagram_lean.c ---- */
/* May the next frame lean? */
bool datagram_may_lean(const struct channel *c);
/* So much leans already that a new epoch is due. */
bool datagram_chain_full(const struct datagram *d);
/* For one frame, as d->frame_leans says; another call makes it anew. NULL: no memory. */
struct codec_encoder *datagram_encoder(struct channel *c);
/* The frame that it was for is made: n bytes of stream, of the first `count` records of d->filling. */
void datagram_chain_add(struct channel *c, unsigned count, size_t n);
/* Of a new epoch. */
void datagram_chain_begin(struct datagram *d);
/* Decodes a frame. Where it leans, all before it must be here. */
enum datagram_decoding datagram_decode(struct channel *c, struct in_epoch *e, bool leans, const uint8_t *bytes, size_t n);
/* The leaning frame decoded last was taken: it is kept, and others may lean on it. */
void datagram_chain_taken(struct channel *c, struct in_epoch *e, uint64_t number, const uint8_t *bytes, size_t n);
/* Forgets what is in memory of the peer's; it is made again when it is needed. */
void datagram_chain_forget(struct datagram *d);
/* ... and gives its memory back. */
void datagram_chain_drop_in(struct datagram *d);
void datagram_chains_free(struct datagram *d);
/* Something is being made again, and can go on. */
bool datagram_chain_priming(const struct channel *c);
/* A few bytes of a frame more. Return: what that was, in bytes of records; 0 = nothing is left to do. */
size_t datagram_chain_step(struct channel *c);

/* ---- datagram_receive.c ---- */
/* What waited for a model, or for a frame before it. */
void datagram_take_held(struct channel *c, int64_t now_ms);
void datagram_on_data(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms);
/* What is on disk behind the cumulative number, and what waits in memory to lean on what is missing. Return: bytes of it. */
size_t datagram_told_bitmap(const struct datagram *d, const struct in_epoch *e, uint8_t bitmap[FRAME_BITMAP_MAX]);
/* The epoch that an acknowledgement should name next; NULL: nothing is new. */
struct in_epoch *datagram_ack_epoch(struct datagram *d);
void datagram_ack_told(struct channel *c, struct in_epoch *e, int64_t now_ms);

/* ---- datagram_epochs.c ---- */
struct in_epoch *datagram_in_epoch(struct datagram *d, uint32_t id);
/* As if nothing had ever come. */
void datagram_forget_in(struct channel *c);
/* A frame of an epoch that we know, while the floor is in doubt: it may be a recording. Refused, and its sender asked for an echo. */
void datagram_refuse_doubted(struct channel *c, const struct in_epoch *e, int64_t now_ms);
/* What a FLOOR of ours tells. */
uint64_t datagram_told_floor(const struct datagram *d);
/* Is this announced epoch one that may begin now? Return: it, in its place; NULL: no, and the sender may have to be told why. */
struct in_epoch *datagram_accept_epoch(struct channel *c, const struct datagram_announcement *a, struct in_epoch *e, int64_t now_ms);
/* May the sender of the newest epoch have made this frame? One that was set back began that epoch without knowing of all that it
 * had sent in those before: what else comes of them is of another branch, under numbers and slots that mean something else by now. */
bool datagram_is_of_branch(const struct datagram *d, const struct in_epoch *e, uint64_t number);
/* Has our store what the sender says that it had? Else it is a new one, or an older copy: what is lost must be told of first. */
bool datagram_has_settled(const struct channel *c, const struct datagram_announcement *a);
/* An answer is due to the epoch. Seldom, since each answer costs, and a recorded frame costs whoever repeats it nothing. But an epoch that was accepted after
 * another had been refused is told at once what is wrong with it: nobody can repeat that at will. */
void datagram_refuse(struct channel *c, const struct in_epoch *e, enum datagram_answer_type why, int64_t now_ms);
/* The same of one that is keyed with a share which is not here any more; a receiver without memory asks for a fresh word, too. */
void datagram_refuse_unread(struct channel *c, const struct in_epoch *e, int64_t now_ms);
/* How often an answer may go that anybody can draw by repeating a recorded frame. */
int64_t datagram_answer_every_ms(const struct channel *c);
void datagram_forget_held(struct datagram *d, unsigned i);

/* ---- datagram_saved.c ---- */
/* What the first `count` records of the list are, without their texts and payloads. */
void datagram_put_contents(struct buf *out, const struct record_list *list, unsigned count);

/* ---- datagram_seal.c ---- */
bool datagram_sealed(const struct channel *c);
/* Which of ours. Return: NULL = there is none. */
const uint8_t *datagram_secret(const struct channel *c, bool next);
/* Without X25519. Return: false = no memory, or no such secret. */
bool datagram_epoch_key(const struct channel *c, enum seal_side side, uint64_t counter, uint32_t id,
                        const uint8_t *salt, bool next_secret, struct seal_key *out) MUST_CHECK;
/* What an answer to an epoch is bound to. */
struct answered {
    struct epoch_name name;
    bool next_secret;
    const struct mixed_ids *ids;
};
/* Seals an answer to an epoch of the peer's. Return: whole length; 0 = no memory. */
size_t datagram_seal_answer(struct channel *c, const struct datagram_answer *a, const struct answered *to, uint8_t *out);
/* Opens an answer to an epoch of ours, of n bytes. */
bool datagram_open_answer(const struct channel *c, const struct out_epoch *e, uint8_t *frame,
                          size_t n, struct datagram_answer *a) MUST_CHECK;

/* ---- datagram_share.c ---- */
/* Draws a share where there is none, or the last is old. Before an epoch of ours begins, or an acknowledgement leaves. */
void datagram_share_tend(struct channel *c, int64_t now_ms);
/* The epoch is as good as one that began now would be. */
bool datagram_share_current(const struct channel *c, const struct out_epoch *e);
/* Sets mix and ids of a new epoch of ours, and makes its key. Return: false = no memory, or no such secret. */
bool datagram_share_begin(struct channel *c, struct out_epoch *e) MUST_CHECK;
/* The key of an epoch that is announced, under e->next_secret. */
enum datagram_keying {
    DATAGRAM_KEYED,
    DATAGRAM_NO_SHARE, /* one that it names is not here, and the announcement is of somebody who holds the secret */
    DATAGRAM_NO_KEY,
};
enum datagram_keying datagram_share_open(struct channel *c, const struct datagram_announcement *a, struct in_epoch *e);
/* It was opened, and is the peer's newest. */
void datagram_share_accepted(struct channel *c, const struct datagram_announcement *a, const struct in_epoch *e);
/* The peer has heard of this epoch of ours. */
void datagram_share_acked(struct channel *c, const struct out_epoch *e);
/* What an answer brought. */
void datagram_share_answered(struct channel *c, const struct datagram_answer *a);
/* What one of ours is to bring: a refusal (of the epoch with these ids), or an acknowledgement. */
void datagram_share_refuse(struct channel *c, const struct mixed_ids *ids, struct datagram_answer *a);
void datagram_share_tell(struct channel *c, struct datagram_answer *a);
/* What of it survives a restart. */
#define DATAGRAM_SHARES_SAVED (2 + 8 + DATAGRAM_OWN_SHARES * CRYPTO_SHARE_BYTES + 1 + DATAGRAM_PEER_SHARES * DATAGRAM_SHARE_BYTES)
void datagram_shares_save(const struct channel *c, struct buf *b);
/* Return: false = not what was saved. */
bool datagram_shares_load(struct channel *c, struct reader *r) MUST_CHECK;

#endif
