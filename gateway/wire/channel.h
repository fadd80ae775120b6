/* One peer on one link: framing, seal, handshake, windowed selective repeat and codec joined into
 * one pure state machine. (state, bytes or event, now) in; frames, records and outcomes out,
 * through the ops. No fd, clock, log, SQLite.
 *
 *     owner (gateway/bridge)                    channel                                  link
 *     next_record()  <- pulled just in time --  encode -> frame -> arq -> seal -> framing ->
 * output() record(), frame_done()   <--------------  decode <- in order <- arq <- seal <- framing
 * <- channel_on_bytes() channel_committed()  ----------------->   acknowledgement (durable, I2)
 *     acked()  <-----------------------------   the peer's acknowledgement
 *
 * The ops are called from inside channel_* calls. They may call nothing of the same channel (marked
 * otherwise), and never free it. */
#ifndef WIRE_CHANNEL_H
#define WIRE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/seal_mode.h"
#include "gateway/wire/codec.h"
#include "gateway/wire/record.h"

#define CHANNEL_NAME_MAX    63
#define CHANNEL_NEVER       INT64_MAX
#define CHANNEL_WHOLE_BYTES 246 /* what fits one frame */
#define CHANNEL_TAKE_BACK_MAX 256

enum channel_kind { CHANNEL_STREAM, CHANNEL_DATAGRAM };

/* Pre-shared keys of a peer. While a key is changed there are two, and both open at any time; the
 * newest that both ends hold is used: each tells the other in the handshake what it holds. Whoever
 * fills this wipes its own copy after channel_new (which keeps one, and wipes it in channel_free). */
struct channel_secrets {
    uint8_t current[SECRET_BYTES], next[SECRET_BYTES];
    bool has_next;
    bool use_next; /* the peer has shown that it holds next (op key_in_use; kept by the owner): we
                      greet with it */
};

struct channel_config {
    enum channel_kind kind;
    char own_name[CHANNEL_NAME_MAX + 1];
    char peer_name[CHANNEL_NAME_MAX + 1]; /* who must be at the other end */
    bool metered; /* no byte when idle: no probes, handshake only when something waits */
    bool half_duplex;
    bool introduces;       /* metered: greet at each link_up all the same: the far end cannot know whose link it is */
    bool speaks_first;     /* half duplex: may start after silence without a random wait */
    int64_t probe_ms;      /* of a silent peer; 0 = never */
    uint32_t rate_bytes_s; /* of the line; 0 = not known */
    uint8_t avoid[8];      /* byte values never on the line */
    size_t avoid_count;
    size_t mtu;             /* DATAGRAM: largest frame */
    uint32_t quantum_bytes; /* DATAGRAM: billed in started multiples of this; 0 = by the frame */
    int64_t hold_ms;        /* DATAGRAM: how long normal and bulk may wait for company */
    int64_t ack_max_age_ms; /* DATAGRAM: what is on disk is acknowledged after this; 0 = as the protocol has it */
    unsigned alarm_places;  /* DATAGRAM: of the window, kept for frames with alarms */
    uint32_t max_message;   /* larger ones from the peer are refused */
    unsigned codec_version; /* highest that we offer */
    enum codec_effort effort; /* of what we encode, to begin with; it is kept to if effort_fixed, and */
    bool effort_fixed;        /* where the owner has no clock to measure it by */
    size_t codec_memory;
    size_t receive_memory; /* DATAGRAM: the peer's frames may be of models of so much; 1 MB in any case */
    struct primer_models *models; /* the process's, which outlive the channel; NULL: it makes its own */
    /* Both ends alike in the first two, or they never understand one another. */
    enum seal_mode seal;
    unsigned tag_bytes; /* 4, 6, 8 ... 16; 0 = 8 */
    struct channel_secrets secrets;
    bool forward_secrecy;  /* X25519, where the peer has it too */
    uint64_t number_limit; /* frames of an epoch and space at most; 0 = CHANNEL_NUMBERS_MAX */
};
/* A new epoch begins before so many frames: far below what would wear out a key. */
#define CHANNEL_NUMBERS_MAX (1ull << 40)

/* What both ends tell of themselves in the handshake, and what they have of each other. */
struct channel_identity {
    uint32_t generation; /* of the store */
    uint32_t segment, predecessor;
    uint64_t predecessor_end;
    uint64_t table; /* DATAGRAM: names the sender's topic table: one begun anew has another name */
    uint64_t settled[CLASS_COUNT]; /* DATAGRAM: all of the class up to here the receiver had on its disk; 0 =
                                      none. As channel_ops.settled says, not as given to channel_new */
};
struct channel_marks { /* what the receiver has of the sender's */
    uint64_t cumulative[CLASS_COUNT];
    bool partial[CLASS_COUNT]; /* one message of the class is partly here: */
    uint64_t partial_number[CLASS_COUNT];
    uint32_t partial_have[CLASS_COUNT];
    uint64_t topics_sequence;
    uint32_t topics_hash;
    uint32_t history_tail; /* that it would prime from, by prime_tail_name; 0 = none */
    uint64_t grant_bytes;  /* payload it can still commit */
    uint32_t max_message;
    bool branched; /* DATAGRAM: the peer's store is new or an older copy: what is under way of its
                      earlier epochs is of another branch */
};

/* DATAGRAM: what next_record would give. */
struct channel_pending {
    bool alarm, high;  /* of these classes something waits: it goes at once */
    int64_t oldest_ms; /* how long the oldest of the others has waited; -1 = none waits */
};

enum channel_state {
    CHANNEL_IDLE,     /* link down, or metered and nothing to say */
    CHANNEL_GREETING, /* handshake or resumption under way */
    CHANNEL_READY,    /* records pass */
    CHANNEL_SILENT,   /* was ready; the peer has not answered for long */
};

enum channel_prime {
    CHANNEL_PRIME_RECORD, /* *r is the next */
    CHANNEL_PRIME_END,    /* there is no more; or no tail that both ends have */
};

struct channel;
struct primer_models;
struct channel_ops {
    /* STREAM: framed bytes for the line. DATAGRAM: one frame. token: to name it in channel_sent.
     * urgent: an alarm is in it. */
    void (*output)(void *ctx, const uint8_t *bytes, size_t n, uint64_t token, bool urgent);
    /* The next record to send, most urgent first. room: what is left of the frame, or, where little
     * is left, that and the next one; channel_piece tells what payload that makes. What overflows
     * begins the next frame. Numbers rise within a class. Return: true and *r (its pointers live until the next ops call), or false: nothing
     * waits (channel_kick says when that changes). Each record given is acked by count. */
    bool (*next_record)(void *ctx, size_t room, struct record *r);
    /* DATAGRAM: the record given last is not sent now: it, or another in its place, is asked for
     * again. Then the one before it may be taken back as well, where all these are whole messages, CHANNEL_TAKE_BACK_MAX at
     * most. Not called for TOPIC and TOPICS_RESET. */
    void (*take_back)(void *ctx);
    /* DATAGRAM: what waits, beside what was given. NULL: nothing is known of it, and nothing is made
     * to wait for company. */
    void (*pending)(void *ctx, struct channel_pending *out);
    /* DATAGRAM: the peer has lost what it had of ours (its store is gone, or an older copy): the
     * topic table is to be begun anew, and what the peer acknowledged and has no more is lost.
     * greeted(NULL) follows. */
    void (*forgotten)(void *ctx);
    /* DATAGRAM: of each class a number up to which the peer has acknowledged all, so that it sees whether its
     * store still has that; 0 (as it is before the call) = none, or what is lost is being told. NULL: as 0. */
    void (*settled)(void *ctx, uint64_t up_to[CLASS_COUNT]);
    /* DATAGRAM: a frame was made: to be on our disk, with what channel_save_out tells, before it
     * leaves. Say channel_kept then. NULL: frames are not kept, and leave at once. */
    void (*keep_frame)(void *ctx, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n);
    /* ... is no longer needed. */
    void (*drop_frame)(void *ctx, uint32_t epoch, uint64_t number);
    /* DATAGRAM: what the peer's leaning frames carried, so that the model which they made can be made again. keep: with
     * the frame's records. next: the first of the epoch whose number is above `after`, *n bytes (room for as many as a frame may
     * have) of it; false: none. only: what is of other epochs than these is of no more use. NULL, all three: nothing is kept, and what
     * leans on frames from before a restart comes again in another epoch. */
    void (*keep_leaning)(void *ctx, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n);
    bool (*next_leaning)(void *ctx, uint32_t epoch, uint64_t after, uint64_t *number, uint8_t *bytes, size_t *n);
    void (*only_leaning)(void *ctx, const uint32_t *epochs, unsigned count);
    /* What channel_save_out tells has changed: with the next commit will do. */
    void (*saved_changed)(void *ctx);
    /* A record of a frame given to channel_restore_frame, in their order: it is under way as if
     * next_record had just given it. Texts (but a TOPIC's) and payload are not told. */
    void (*restored)(void *ctx, const struct record *r);
    /* The first `count` records given since the epoch began are on the peer's disk. Rises. */
    void (*acked)(void *ctx, uint64_t count);
    /* DATAGRAM, where acked is not called: the record that was given as number `index` (from 0,
     * since channel_new or channel_restart) is on the peer's disk. In any order, each once. NULL
     * for STREAM. */
    void (*acked_record)(void *ctx, uint64_t index);
    /* A record of the peer's, its frame checked. frame: number of the frame that completed it; such
     * numbers rise through all epochs. Return: 0, or -EPROTO: it makes no sense (slot never
     * defined, chunk without partial ...): the channel begins a new epoch. DATAGRAM: frames come in
     * any order, some twice under another epoch; -EPROTO = this cannot be taken now (a chunk before
     * its message): the frame comes again, also with what of it was taken; -ENOENT = it names a slot
     * that was never defined here: the peer is told that its topic table is gone. */
    int (*record)(void *ctx, const struct record *r, uint64_t frame);
    /* All records up to this frame were given: when they are committed, say
     * channel_committed(frame). */
    void (*frame_done)(void *ctx, uint64_t frame);
    /* A handshake (DATAGRAM: an announcement) of the peer: who it says it is. The owner compares with its store and fills
     * marks: with what is on its disk (what is not committed by now must be committed first, or
     * forgotten: the peer sends again from the marks). A new epoch begins: what was not acked will
     * be asked for again by next_record, from the marks of greeted(). Return: 0, or a refusal code
     * (enum channel_refusal) that is told to the peer (DATAGRAM: not told; return one for a segment
     * that a later one has followed: a late frame). */
    int (*greeting)(void *ctx, const struct channel_identity *peer, struct channel_marks *ours);
    /* DATAGRAM: is all of each class up to these numbers, as the peer's `settled` gave them, on our disk? NULL: it is. */
    bool (*has_settled)(void *ctx, const uint64_t up_to[CLASS_COUNT]);
    /* DATAGRAM, sealed: is the peer's store, by what it says here, another than that of the process that greeting() was last told of?
     * NULL: it is not. */
    bool (*other_store)(void *ctx, const struct channel_identity *peer);
    /* DATAGRAM: what channel_save tells has changed though no frame was taken: with the next commit will do. May be NULL. */
    void (*receiver_changed)(void *ctx);
    /* STREAM: the handshake is done; what the peer has of ours. DATAGRAM: theirs is NULL (marks are
     * not told): a new epoch of ours begins, what was given and not acked is asked for again, and
     * indices begin at 0; called from channel_link_up, too. From here next_record starts over at
     * these marks. Records given and not covered by the marks will not be acked by count any more;
     * the counts begin again at 0. */
    void (*greeted)(void *ctx, const struct channel_marks *theirs);
    /* STREAM: the next record of a history tail, oldest first, that a new epoch's model is primed from: of
     * what we send (out), if it is the one that the peer's marks told the hash of, or of what we receive, if
     * our marks told of one. Asked for from inside channel_prime. *r lives until the next ops call. NULL: the
     * owner does not prime, and models begin with nothing. */
    enum channel_prime (*prime)(void *ctx, bool out, struct record *r);
    /* STREAM: before the first record of a tail is asked for: of this one, the newest messages alone whose work together is of so
     * many units (prime_share.h). Return: there are any. NULL where prime is. */
    bool (*prime_within)(void *ctx, bool out, unsigned units);
    /* STREAM: something waits that may not wait for priming: an alarm; late (priming has had its time): anything. NULL: never. */
    bool (*hurry)(void *ctx, bool late);
    /* No more of this tail is wanted. */
    void (*primed)(void *ctx, bool out);
    /* DATAGRAM: anchors: messages that both ends have, kept by both under an id made of them ([P-10.16]).
     * anchor_open: prime() is to give this one, from its beginning. Return: false: it is not here.
     * anchor_propose: one that the peer has on its disk as well as we, more of use than the one in
     * use. Return: false: none. anchor_proposed: the peer's word of one, with messages up to a
     * number; it is kept where ours make the same id. All may be NULL: there are none. */
    bool (*anchor_open)(void *ctx, bool out, uint32_t id);
    bool (*anchor_propose)(void *ctx, uint64_t *up_to, uint32_t *id);
    void (*anchor_proposed)(void *ctx, uint64_t up_to, uint32_t id);
    void (*state)(void *ctx, enum channel_state state, const char *why);
    /* The link should be reset: the peer has been silent too long, or speaks nonsense. */
    void (*give_up)(void *ctx, const char *why);
    uint32_t (*random)(void *ctx);
    /* n bytes that nobody can guess and that never come again: keys and nonces are made of them. May
     * be NULL with SEAL_NONE. */
    void (*random_bytes)(void *ctx, void *bytes, size_t n);
    /* The peer has proved, in a fresh exchange, that it holds this secret of ours, and both
     * directions use it from now on: next, or current. The owner keeps `next` on its disk
     * (channel_secrets.use_next): from then on the old key may be taken out of the file. NULL: not
     * wanted. */
    void (*key_in_use)(void *ctx, bool next);
    /* A clock by which our own work is measured, microseconds from any origin. NULL: none. */
    uint64_t (*work_us)(void *ctx);
    /* What we can still commit of payload bytes (told to the peer with each ack). */
    uint64_t (*grant)(void *ctx);
};

enum channel_refusal {
    CHANNEL_REFUSED_UNKNOWN = 1,
    CHANNEL_REFUSED_VERSION,
    CHANNEL_REFUSED_SEAL,
    CHANNEL_REFUSED_BUSY
};

struct channel *channel_new(const struct channel_config *config, const struct channel_identity *own,
                            const struct channel_ops *ops, void *ctx) MUST_CHECK;
void channel_free(struct channel *c);

/* The link came up or went down (a TCP connection replaced counts as down, then up). The epoch
 * survives in RAM: on up, resumption is tried first. */
void channel_link_up(struct channel *c, int64_t now_ms);
void channel_link_down(struct channel *c, int64_t now_ms);
/* Bytes from the line (STREAM) or one datagram. */
void channel_on_bytes(struct channel *c, const uint8_t *bytes, size_t n, int64_t now_ms);
/* Something waits to be sent: next_record would give one. */
void channel_kick(struct channel *c, int64_t now_ms);
/* The line takes `room` bytes now: builds and outputs one frame (ack, resend, new data) where it fits. Only the link knows what room
 * it has after that: ask it, and call again. Return: bytes output; 0 = nothing to say, or no room. */
size_t channel_pump(struct channel *c, size_t room, int64_t now_ms);
/* To be asked by next_record, which alone may call it: how many payload bytes of a message or of its
 * rest (`left` of them, topic in `slot` where it is not begun) the next record should have. All of them where
 * that will not keep an alarm waiting; else what fills the `room` that next_record was given. */
uint32_t channel_piece(const struct channel *c, enum msg_class class, unsigned slot, bool begun,
                       uint32_t left, size_t room) MUST_CHECK;
/* DATAGRAM. To be asked by next_record, which alone may call them: of which epoch the frame is that is being filled; and whether
 * its receiver will have taken all frames of that epoch made before. If so, a slot that one of those defined means something in it. */
uint32_t channel_frame_epoch(const struct channel *c);
bool channel_frame_leans(const struct channel *c);
/* Models are still to be primed (STREAM: of an epoch that has begun; nothing of ours is sent until then), so the
 * owner calls channel_prime soon, and again: each call works for at most some 10 ms. */
bool channel_priming(const struct channel *c);
void channel_prime(struct channel *c, int64_t now_ms);
/* ... and what has come of the peer's waits for it. */
bool channel_prime_wanted(const struct channel *c);
/* Would channel_pump output something? Ask after every other call: what has become due leaves only
 * by pump. */
bool channel_wants(const struct channel *c, int64_t now_ms);
/* The records of all frames up to this one are on our disk. A frame of an epoch that is over is
 * ignored. */
void channel_committed(struct channel *c, uint64_t frame, int64_t now_ms);
/* The grant has grown after it was too small for the peer. */
void channel_grant_changed(struct channel *c, int64_t now_ms);
/* DATAGRAM: what became of a frame: the link has it, has it not, or does not know. As enum send_outcome of link_drivers/driver.h,
 * which wire/ does not know. REFUSED: the link did not take it, though it had room: until channel_writable it takes only frames
 * with an alarm (a budget). */
enum channel_sent { CHANNEL_SENT_DONE, CHANNEL_SENT_FAILED, CHANNEL_SENT_UNKNOWN, CHANNEL_SENT_REFUSED };
/* The link says that it takes frames: whatever was refused may be offered again. */
void channel_writable(struct channel *c);
void channel_sent(struct channel *c, uint64_t token, int outcome, int64_t now_ms);
/* Timers: does what is due; then channel_deadline tells when to call again (CHANNEL_NEVER: not
 * needed). */
void channel_on_timer(struct channel *c, int64_t now_ms);
int64_t channel_deadline(const struct channel *c, int64_t now_ms);
/* Ends the epoch: a new handshake follows (store rolled back, owner's state lost). DATAGRAM: the
 * owner begins its topic table anew. */
void channel_restart(struct channel *c, const char *why, int64_t now_ms);
/* Says goodbye (not on metered links): the peer knows at once. Output follows by pump. */
void channel_goodbye(struct channel *c, int64_t now_ms);

/* DATAGRAM: bytes of the models that the peer's frames are decoded with, about; and they are given up, if they are not just being
 * made: the next frame has them made again, of what is in the store. Return: bytes given up. */
size_t channel_models_in(const struct channel *c);
size_t channel_forget_models_in(struct channel *c);

/* DATAGRAM: what of the receiving half must survive a restart, to be committed with the records of
 * all frames done so far, and given back after channel_new, and after a rollback (n = 0: nothing was
 * saved). Load: false = not what was saved; the
 * channel is as new, and the peer's frames are asked for again only if its owner restarts: keep it
 * with care. */
#define CHANNEL_SAVED_MAX 960 /* SQLite keeps so much in the row's own page: what was there before is overwritten in place */
size_t channel_save(const struct channel *c, uint8_t out[CHANNEL_SAVED_MAX]);
bool channel_load(struct channel *c, const uint8_t *bytes, size_t n) MUST_CHECK;
/* DATAGRAM, sealed (else nothing happens), after channel_load: what was saved may be older than what was last used, so that recordings
 * would pass for news. Nothing of the peer is taken until it has answered a fresh word of ours: it is asked for that when a frame of it
 * comes, once in a while. This is saved, too. anew: a word that was asked for before is no good any more. */
void channel_doubt(struct channel *c, bool anew);

/* DATAGRAM: the sending half. save_out: to be committed with the frames that keep_frame gave, then
 * channel_kept. After channel_new (and after channel_restart, where the store was rolled back):
 * load_out, which begins as greeted(NULL) does, then restore_frame for each frame kept, by epoch and
 * number. Return of restore_frame: false = not of an epoch that is under way: to be dropped. */
#define CHANNEL_SAVED_OUT_MAX 4096
size_t channel_save_out(const struct channel *c, uint8_t out[CHANNEL_SAVED_OUT_MAX]);
bool channel_load_out(struct channel *c, const uint8_t *bytes, size_t n) MUST_CHECK;
bool channel_restore_frame(struct channel *c, uint32_t epoch, uint64_t number, const uint8_t *bytes,
                           size_t n) MUST_CHECK;
void channel_kept(struct channel *c);

/* DATAGRAM: a slot may be used once its RECORD_TOPIC is acknowledged; before, RECORD_NO_SLOT (but see channel_frame_leans).
 * STREAM: at once. */
enum channel_kind channel_kind(const struct channel *c);
enum channel_state channel_state(const struct channel *c);

struct channel_status {
    uint32_t epoch;
    uint64_t frames_out, frames_in, retransmits, bad_frames, echoes, refused;
    uint64_t stream_bytes_out, stream_bytes_in; /* of record stream in frames, first sendings */
    int64_t rtt_ms;                             /* smoothed; -1 = not measured */
    unsigned in_flight;                         /* frames */
    /* Sealed. */
    uint64_t forged;   /* of bad_frames: fit no key in use: noise, a forgery, another epoch's recording */
    uint64_t repeated; /* data frames that were here already: our acknowledgement was lost, or they
                          were played back */
    uint64_t replayed; /* were ours to open and had been said before, or proved nothing: refused */
    bool peer_has_next;   /* the peer said that it holds our next secret */
    bool next_in_use;     /* the epoch is keyed with next: both ends have it */
    uint64_t forgotten;   /* of what channel_save wrote, secrets that it writes no more: their old bytes are to be overwritten */
    bool awaits_echo;     /* DATAGRAM: nothing is taken until the peer has answered a fresh word of ours (channel_doubt) */
    bool forward_secret;  /* the keys of both directions have an X25519 secret in them */
};
void channel_status(const struct channel *c, struct channel_status *out);

/* For listeners that serve many peers: reads the beginning of a connection, answers it where the guest
 * has shown that it holds a key of one of them, and tells whose it is, without the peer's channel
 * being disturbed before that is proved.
 *
 *     g = channel_guest_new();
 *     what = channel_guest_feed(g, channels, count, bytes, n, &whose);           for each read
 *     n = channel_guest_reply(g, out); send it if n > 0                          after each feed
 *     CHANNEL_GUEST_PROVEN: take whose's present connection away (channel_link_down), then
 *         channel_guest_join(g, whose, now), which is its channel_link_up; channel_guest_free(g).
 *
 * A guest that proves nothing is the owner's to end after a while, and their number to bound. */
struct channel_guest; /* bounded memory */
enum channel_guest_outcome {
    CHANNEL_GUEST_MORE,
    CHANNEL_GUEST_PROVEN,  /* *whose is the channel (SEAL_NONE: it says so) */
    CHANNEL_GUEST_UNKNOWN, /* it named itself without a key, and none of the channels is of that name:
                              channel_guest_name; where no channel has a seal, it may be told so */
    CHANNEL_GUEST_STALE,   /* it asked for an epoch that none of the channels holds, and no channel has
                              a seal: told CHANNEL_REFUSED_BUSY, it greets anew on this connection */
    CHANNEL_GUEST_BAD,     /* 512 bytes, or too many attempts, without a proof */
};
struct channel_guest *channel_guest_new(void) MUST_CHECK;
void channel_guest_free(struct channel_guest *g);
/* It has said a HELLO under a key of ours: it holds that, or a recording. */
bool channel_guest_has_shown(const struct channel_guest *g);
/* channels: of the peers that may come by this listener, STREAM all. They are only read, but for
 * their counts of what was forged or replayed. */
enum channel_guest_outcome channel_guest_feed(struct channel_guest *g,
                                              struct channel *const *channels, size_t count,
                                              const uint8_t *bytes, size_t n,
                                              struct channel **whose) MUST_CHECK;
/* Its connection has ended, or is about to, and nothing was proved: a HELLO that it may have said was a
 * recording, most likely, and is counted as replayed. */
void channel_guest_unproven(const struct channel_guest *g);
/* What is to be sent to the guest, framed. Return: its length, 0 = nothing. */
#define CHANNEL_GUEST_REPLY_MAX 1024
size_t channel_guest_reply(struct channel_guest *g, uint8_t out[CHANNEL_GUEST_REPLY_MAX]);
/* After CHANNEL_GUEST_UNKNOWN. */
const char *channel_guest_name(const struct channel_guest *g);
/* The guest's connection becomes the link of its channel, which is down: all that was read so far is
 * in it. The guest may still read what its owner feeds, but is best freed. */
void channel_guest_join(struct channel_guest *g, struct channel *c, int64_t now_ms);
/* A refusal for a guest, framed; returns its length (at most room). Never sent where a channel of the
 * listener has a seal: a stranger is given nothing. */
size_t channel_guest_refusal(enum channel_refusal why, uint8_t *out, size_t room);
bool channel_is_sealed(const struct channel *c);
uint32_t channel_peer_epoch(const struct channel *c);

#endif
