/* The inside of a channel, for its own files alone:
 *     channel.c           the public calls, timers
 *     channel_state.c     status; what the next process begins with
 *     channel_greeting.c  handshake, resumption, epochs
 *     channel_sealed.c, channel_sealed_send.c
 *                         the same with keys: what replaces it on sealed links
 *     channel_priming.c   the models of a new epoch
 *     channel_send.c      records -> frames -> line
 *     channel_receive.c   line -> frames -> records
 *     channel_datagram.c  the other kind of link, on the same parts */
#ifndef WIRE_CHANNEL_INTERNAL_H
#define WIRE_CHANNEL_INTERNAL_H

#include "base/buf.h"
#include "gateway/wire/arq_receive.h"
#include "gateway/wire/arq_send.h"
#include "gateway/wire/channel.h"
#include "gateway/wire/codec.h"
#include "gateway/wire/effort.h"
#include "gateway/wire/frame.h"
#include "gateway/wire/framing.h"
#include "gateway/wire/handshake.h"
#include "gateway/wire/meeting.h"
#include "gateway/wire/pace.h"
#include "gateway/wire/piece_size.h"
#include "gateway/wire/primer_models.h"
#include "gateway/wire/record_list.h"
#include "gateway/wire/turn.h"

#define CHANNEL_RESUME_TRIES  3 /* then a handshake */
#define CHANNEL_GREET_GIVE_UP 8 /* unanswered HELLOs between two calls of give_up */
#define CHANNEL_PROBE_TRIES   3
#define CHANNEL_DOUBT         3 /* unanswered sendings; then it is asked whether the epoch is still known \
                                 */
#define CHANNEL_METERED_RTO_MAX_MS 900000
#define CHANNEL_REFUSED_MS         30000 /* before a refusal is tried again; doubles */
#define CHANNEL_REFUSED_MAX_MS     900000
#define CHANNEL_RESTART_MAX_MS     300000
#define CHANNEL_RESTART_CALM_MS    60000 /* an epoch that lasted so long was a good one */
#define CHANNEL_COMMIT_WAIT_MS     300   /* an acknowledgement that is due waits for the disk */
#define CHANNEL_ACK_FRAMES         32    /* received without an acknowledgement at most */
#define CHANNEL_PENDING_RECORDS RECORD_LIST_SENT_RECORDS /* encoded, not yet whole in a frame */
#define CHANNEL_STREAM_MAX         (1u << 20)
/* An acknowledgement names 16 bits of a number. One that rode on a frame which is repeated for so
 * long that it could be taken for another ends the epoch first. */
#define CHANNEL_STALE_ACK 32768u

/* Sealed links. */
#define CHANNEL_MEETING_MS    120000 /* a HELLO that has proved nothing by then never will */
#define CHANNEL_MARKS_TRIES   3      /* unanswered, to a peer that had proved itself: then anew */
#define CHANNEL_OTHER_KEY     3      /* every so many-th HELLO is sealed under the other secret */
#define CHANNEL_DOUBT_HELLO   2      /* and in doubt every so many-th RESUME is a HELLO instead */
#define CHANNEL_RESUME_AHEAD  16384  /* control frames that may have been lost before a RESUME */

enum greet { GREET_NONE, GREET_HELLO, GREET_RESUME };

#define CHANNEL_DISTRUST     3 /* epochs in a row that ended in nonsense: then the plain codec */
#define CHANNEL_PRIMED_CODEC 2 /* from this version on there is a model, and a first byte that tells */

enum prime_state {
    PRIME_NONE,   /* the model begins with nothing */
    PRIME_PRIMER, /* waits for the primer's model; nothing of the direction is coded before it is DONE, or NONE */
    PRIME_TAIL,   /* has that, and learns a history tail, if there is one */
    PRIME_DONE,
};

/* A record that is encoded, and not yet whole in a frame. */
struct pending_record {
    uint64_t needed; /* offset of the stream by which it is whole */
    uint64_t check;  /* running hash with it */
    size_t size;     /* of record_list_size */
    uint32_t payload;
    bool urgent;
};

struct channel {
    struct channel_config config;
    struct channel_identity identity;
    const struct channel_ops *ops;
    void *ctx;
    enum channel_state state;
    bool link_up;
    struct framing_avoid avoid;
    struct framing_decoder framing;
    struct pace pace;
    struct turn turn;
    int64_t last_output_ms; /* and how long until the line is taken for idle after it */

    /* Epochs. live: both ends have had the handshake of this pair: it can be resumed. */
    uint32_t own_epoch, peer_epoch;
    bool live;
    bool know_peer; /* the peer's HELLO was accepted: `ours` is what it asked for */
    struct channel_marks ours;
    unsigned codec_version; /* as agreed */
    size_t codec_memory;
    enum greet greet;
    unsigned greet_tries;
    int64_t greet_at_ms;   /* when to try (again) */
    int64_t hello_sent_ms; /* under this epoch; -1 = not yet */
    bool gone;             /* the peer said goodbye, and nothing since */
    bool left;             /* we did: nothing more until the link comes up again */
    bool send_hello, send_marks, send_resume, send_resumed, send_bye, send_poll;
    unsigned send_refusal; /* code; 0 = none */
    unsigned refusals;     /* of us, in a row */
    unsigned errors;       /* epochs in a row that ended in nonsense */
    int64_t ready_at_ms;

    /* Sealed links (channel_sealed.c). Epochs are those of the live pair, 0 before it. */
    bool sealed;
    struct key_ring ring;
    struct meeting meeting; /* under way, also beside a live epoch */
    int64_t meeting_until_ms;
    bool send_confirm;
    struct seal_key key_out, key_in; /* of the live epoch */
    uint8_t peer_random[SEALED_RANDOM_BYTES];
    unsigned shake_out, shake_in; /* highest numbers of handshake frames under them */
    unsigned which_key;           /* current or next */
    bool peer_has_next, forward_secret;
    int64_t marks_sent_ms; /* under this meeting or epoch; -1 = not yet */
    unsigned doubts;       /* RESUMEs wanted in doubt */
    unsigned answers;      /* metered: to HELLOs that nothing came of yet, and when the next may go */
    int64_t answer_at_ms;  /* also after nonsense: not before we would greet ourselves */
    size_t content_max; /* of a data frame */
    /* A frame whose number is spent and for which there was no room. */
    uint8_t held[FRAME_MAX_BYTES];
    size_t held_n;
    bool held_over;

    /* Priming of this epoch's models. */
    enum prime_state prime_out, prime_in;
    bool prime_out_tail; /* the encoder has seen a record of the tail */
    bool prime_in_tail;  /* a tail is the decoder's to learn */
    bool prime_in_wanted; /* a frame of the peer's waits for it */
    bool prime_out_first;
    struct primer_models *models, *own_models; /* config.models, or own_models */
    int64_t prime_until_ms; /* longer only while nothing waits */
    bool prime_late;
    unsigned distrust; /* epochs in a row, up to this one, that began because of nonsense */

    /* Out. */
    const struct codec *codec;
    struct codec_encoder *encoder;
    struct effort effort;
    struct piece_size pieces;
    uint64_t needed;   /* of the record encoded last */
    unsigned lead;     /* bytes of the stream before the codec's: the one that tells of priming */
    struct buf stream; /* encoded, not yet in a frame */
    uint64_t framed;   /* offset of the stream up to which frames were made */
    bool unit_open;    /* something was encoded since the last flush */
    bool flushed;      /* the unit ends at flush_at, which no frame has reached yet */
    uint64_t flush_at;
    struct pending_record
        *pending; /* ring of CHANNEL_PENDING_RECORDS, allocated with the encoder */
    size_t pending_head, pending_count, pending_bytes;
    uint64_t check_encoded, check_framed;
    uint64_t records_framed; /* whole in frames */
    uint64_t payload_given, payload_framed, payload_acked, grant_end;
    size_t whole; /* coded bytes that a message may come to and go whole into this frame and the next */
    bool granted; /* false: the peer's grant is used up */
    bool waiting; /* the owner may have more */
    struct arq_send out;
    uint64_t control_out;
    int64_t progress_ms; /* the retransmission timer runs from here */
    int64_t rto_spread_ms; /* added to a repeated wait */
    unsigned rto_tries, unheard;
    bool rto_anew;       /* the peer was heard after a silence: what is under way waits as if nothing had been in vain, */
    bool rto_anew_spent; /* once, until a round trip is measured */
    int64_t asked_ms;    /* in such a silence, when the peer was asked last */

    /* In. */
    struct codec_decoder *decoder;
    struct record_list records;
    uint64_t check_in;
    struct arq_receive in;
    uint64_t control_in;
    uint64_t frame_base; /* the owner's frame numbers go on through all epochs, so that a late
                            commit of one cannot be taken for a commit of the next */
    uint64_t acked_in;   /* cumulative number that we told last */
    bool ack_wanted, ack_now;
    int64_t ack_at_ms;
    unsigned unacked; /* frames since the last acknowledgement */
    int64_t heard_ms;
    int64_t polled_ms;
    unsigned polls;         /* unanswered */
    bool grant_news;        /* the grant has grown while nobody could be told: told once the peer is there */
    unsigned grant_repeats; /* metered: tellings of a grown grant still to come */
    int64_t grant_at_ms;

    struct datagram *datagram; /* of a CHANNEL_DATAGRAM, with c->out, c->pace and the
                                  acknowledgement's timer; else NULL */
    struct channel_status status;
};

/* ---- channel.c ---- */
void channel_set_state(struct channel *c, enum channel_state state, const char *why);
/* Something valid of the peer came. */
void channel_heard(struct channel *c, int64_t now_ms);
int64_t channel_rto_ms(const struct channel *c, unsigned tries);
/* What chance adds to that wait at the end of a half-duplex line that does not speak first; 0 elsewhere. */
int64_t channel_spread_ms(const struct channel *c, unsigned tries);

/* The part of channel_link_up that begins no greeting. */
void channel_link_begin(struct channel *c, int64_t now_ms);
/* What data and control frames are sealed with. */
struct seal_context channel_seal_out(const struct channel *c);
struct seal_context channel_seal_in(const struct channel *c);
/* A frame's tag fits nothing that we hold. */
void channel_unopened(struct channel *c);
/* Begins a new epoch if the numbers of this one are used up. Return: it did. */
bool channel_numbers_spent(struct channel *c, int64_t now_ms);

/* ---- channel_greeting.c ---- */
/* Both directions end, and their keys with them; no id is chosen yet on sealed links. */
void channel_new_epoch(struct channel *c);
void channel_ready(struct channel *c, const struct channel_marks *theirs, int64_t now_ms);
void channel_agree_codec(struct channel *c, unsigned version, unsigned memory_log2);
unsigned channel_offered_version(const struct channel *c);
unsigned channel_memory_log2(const struct channel *c);
void channel_refused(struct channel *c, enum channel_refusal why, int64_t now_ms);
/* The peer's process is new, or wants a new epoch: what it says of itself goes to the owner. Return: 0; a refusal. */
int channel_greeting_of(struct channel *c, const struct channel_identity *peer);
void channel_greet_tried(struct channel *c, int64_t now_ms);
void channel_greet(struct channel *c, enum greet how, int64_t at_ms);
/* What was said makes no sense: begins a new epoch, later each time. */
void channel_nonsense(struct channel *c, const char *why, int64_t now_ms);
/* The peer resumes, or answers that it does. Where our link came up, what was under way is gone. Where one of us was only in doubt it may be
 * on its way still: of that the oldest is sent again, soon, and what becomes of it tells of the rest. */
void channel_resume_sending(struct channel *c);
/* Proof that the peer holds our live epoch. */
void channel_resumed(struct channel *c, int64_t now_ms);
void channel_on_handshake(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms);
void channel_greet_timer(struct channel *c, int64_t now_ms);
bool channel_greet_pending(const struct channel *c);
/* Outputs one handshake frame that is pending. Return: bytes, 0 = none or no room. */
size_t channel_greet_pump(struct channel *c, size_t room, int64_t now_ms);

/* ---- channel_sealed.c ---- */
/* Return: false = no memory. */
bool channel_sealed_init(struct channel *c) MUST_CHECK;
/* Wipes the keys of the live epoch. */
void channel_sealed_forget(struct channel *c);
void channel_sealed_handshake(struct channel *c, enum handshake_type type, uint8_t *frame, size_t n,
                              int64_t now_ms);
/* A meeting of ours, from its beginning. Return: false = no memory. */
bool channel_sealed_begin(struct channel *c) MUST_CHECK;
/* The peer's part has proved nothing in its time, or another one came: a recording, most likely. */
void channel_sealed_drop_unproven(struct channel *c);
/* The link is up, and a guest has proved on it that it is our peer: its meeting goes on here. */
void channel_sealed_join(struct channel *c, struct meeting *m, int64_t now_ms);
void channel_sealed_timer(struct channel *c, int64_t now_ms);
int64_t channel_sealed_deadline(const struct channel *c);

/* ---- channel_sealed_send.c ---- */
/* A HELLO (or MARKS, to a peer that has proved itself) is due. */
void channel_sealed_greet(struct channel *c, int64_t now_ms);
/* Outputs one of what is wanted. Return: bytes, 0 = none or no room. */
size_t channel_sealed_pump(struct channel *c, size_t room, int64_t now_ms);

/* ---- channel_priming.c ---- */
/* Begins the making of what epochs will most likely begin from, if many share it. */
void channel_prime_prepare(struct channel *c);
/* out_tail: as the peer's marks named it. */
void channel_prime_begin(struct channel *c, uint32_t out_tail, int64_t now_ms);
void channel_prime_end(struct channel *c);
/* Coding waits for the encoder to be primed, and nothing is so urgent that it may not. */
bool channel_prime_holds(const struct channel *c);
/* Before anything is coded: the encoder does with what it has seen so far, as much of it as both ends can name. */
void channel_prime_hurry(struct channel *c, int64_t now_ms);
/* The first byte of our stream. */
uint8_t channel_prime_tell(const struct channel *c);
/* The first byte of the peer's stream has come. Wait: the decoder is still to be primed as it says, and the frame to be kept.
 * Told, once that is not so: the decoder begins so. Return: NULL, or what is wrong. */
bool channel_prime_wait(struct channel *c, uint8_t told);
const char *channel_prime_told(struct channel *c, uint8_t told) MUST_CHECK;

/* ---- channel_send.c ---- */
/* A fresh encoder, as after channel_send_begin. Return: 0; -ENOMEM. */
int channel_encoder_renew(struct channel *c) MUST_CHECK;
int channel_send_begin(struct channel *c) MUST_CHECK;
void channel_send_end(struct channel *c);
/* Has new data that may leave now. */
bool channel_send_ready(const struct channel *c);
bool channel_ack_due(const struct channel *c, int64_t now_ms);
size_t channel_send_pump(struct channel *c, size_t room, int64_t now_ms);
/* Frames a whole frame and gives it to the link. Return: bytes, 0 = no room. */
size_t channel_emit(struct channel *c, const uint8_t *frame, size_t n, bool urgent, bool over,
                    size_t room, int64_t now_ms);
/* The same for a frame that must leave once: where there is no room now it is held, and goes before
 * anything else. Return: as if it had left. */
size_t channel_emit_once(struct channel *c, const uint8_t *frame, size_t n, bool over, size_t room,
                         int64_t now_ms);
void channel_on_ack(struct channel *c, uint16_t low, bool grant_known, uint8_t grant,
                    const uint8_t *bitmap, size_t bitmap_bytes, int64_t now_ms);

/* ---- channel_receive.c ---- */
int channel_receive_begin(struct channel *c) MUST_CHECK;
void channel_receive_end(struct channel *c);
/* A fresh decoder, as after channel_receive_begin. Return: 0; -ENOMEM. */
int channel_decoder_renew(struct channel *c) MUST_CHECK;
/* Takes the frames that were kept while the decoder was primed. */
void channel_take_held(struct channel *c, int64_t now_ms);
void channel_on_frame(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms);

#endif
