/* What the files of bridge/ share. Nobody else includes this. */
#ifndef BRIDGE_INTERNAL_H
#define BRIDGE_INTERNAL_H

#include <limits.h>
#include "base/buf.h"
#include "base/msg.h"
#include "gateway/bridge/bridge.h"
#include "gateway/bridge/priming.h"
#include "gateway/bridge/routes.h"
#include "gateway/bridge/topic_slots.h"
#include "gateway/mqtt/session.h"
#include "gateway/wire/channel.h"
#include "gateway/wire/primer_models.h"
#include "store/ahead.h"
#include "store/history.h"
#include "store/inbox.h"
#include "store/outbox.h"
#include "store/peers.h"
#include "store/store.h"

#define NEVER INT64_MAX

/* Group commit: what the link brought waits this long for company; what the broker brought is committed when its socket
 * has run dry, and never later than COMMIT_LATEST_MS (I1). */
#define COMMIT_SOON_MS   5
#define COMMIT_LATEST_MS 20

/* Rows at most this large are read whole with their payload; larger ones by piece, so that a 1 MB message costs no 1 MB of memory. */
#define INLINE_PAYLOAD_MAX 4096

/* ---- sender ---- */

/* What was given to the channel and not yet acknowledged, in order. */
struct sent {
    enum sent_kind { SENT_PIECE, SENT_MESSAGE, SENT_GAP, SENT_TOPIC, SENT_OTHER } kind; /* PIECE: more of it follows */
    enum msg_class class;
    uint64_t number;            /* SENT_TOPIC: the slot */
    bool acked;                 /* datagram links: acknowledgements come in any order */
};

/* One class of one peer's queue. */
struct lane {
    uint64_t cursor;            /* number of the last record given; what follows has not left in this epoch */
    uint64_t next_may_have_left;/* as the commit under way writes it */
    uint64_t may_have_left;     /* as committed in the store: nothing above it is given to the channel (I6) */
    bool have_row;
    struct outbox_row row;      /* the next row, if have_row */
    uint32_t offset;            /* bytes of its payload given so far */
    uint8_t *piece;             /* buffer of a piece read from the store */
    size_t piece_size;
    bool empty;                 /* no row beyond the cursor when last looked */
    uint64_t lost_to;           /* a gap record "lost" up to here goes before anything else; 0 = none */
    uint64_t lost_count;
    int64_t deficit;            /* of the 8:4:1 sharing, bytes */
    /* Datagram links. */
    bool waiting;               /* something waits beyond this cursor, without a break since then on the age clock */
    uint64_t waiting_cursor;
    int64_t waiting_age_ms;
    uint64_t tell_to;           /* of what is settled up to here the peer may have lost any: told in its place, between what is still queued */
    int64_t lost_age_ms;        /* since when that waits */
    uint64_t left_to;           /* numbers up to here may have left, given by this process or an earlier one */
    uint64_t partial;           /* while a restart is mended: the message of which pieces are under way, and how much */
    uint32_t partial_have;
};

/* A lane as it was before the record given last. */
struct given {
    enum msg_class class;
    uint64_t cursor;
    uint32_t offset;
    int64_t deficit;
    uint64_t lost_to, lost_count, tell_to;
};

struct topic_definition {       /* given to the channel, not yet known to be on the peer's disk */
    unsigned slot;
    char *topic;
    uint32_t epoch;             /* datagram: of the frame that it is in; 0: of one that was made before a restart */
};

struct sender {
    struct lane lanes[CLASS_COUNT];
    struct sent *sent;          /* ring */
    size_t sent_head, sent_count, sent_size;
    uint64_t acked;             /* records acknowledged since the epoch began */
    struct topic_slots *topics;
    struct store_topics_state confirmed; /* what the peer has for certain, and our store */
    struct topic_definition *pending;    /* definitions beyond it, oldest first */
    size_t pending_count, pending_size;
    bool reset_topics;          /* the peer's table is unknown: tell it to begin anew */
    uint64_t committed;         /* highest number that is on our disk */
    uint64_t next_committed;    /* as the commit under way writes it */
    bool kick;                  /* something else waits to be sent after the commit */
    bool uncommitted;           /* rows beyond the cursors were changed and not yet committed: give nothing */
    unsigned turn;              /* of the 8:4:1 sharing */
    bool greeted;
    uint32_t peer_max_message;  /* payload bytes that the peer takes at most, as it said; 0 = not known */
    struct given given[CHANNEL_TAKE_BACK_MAX]; /* datagram: ring, of the records given last */
    unsigned given_top;
    uint64_t lost_given;        /* datagram: the records before this one told of it; all acknowledged: the peer knows */
    bool tell_lost;             /* datagram: the peer's store is not the one that had what we have settled */
    bool datagram;              /* the channel's kind: acknowledgements in any order, no handshake */
};

/* ---- peers ---- */

/* What a link has told of a station, or of itself. */
struct report {
    char *json;
    bool publish;
};
#define REPORT_MAX_BYTES 4096

/* How far a link's deliveries have been dealt with (bridge_link_covered). */
struct deliveries {
    uint64_t given, covered;
};

struct peer {
    struct bridge *bridge;
    const struct config_peer *config;
    int id;                     /* in the store */
    size_t link;
    uint64_t station;
    size_t mtu;                 /* datagram */
    bool link_up;
    struct channel *channel;
    struct peer_keys {          /* ids, 0 = none (keys.h) */
        uint32_t id[2];         /* of secret_file and next_secret_file */
        uint32_t in_use;        /* as last proved by the peer, whether or not it is one of these */
        uint64_t frames_in, forged; /* when a frame last fitted */
        bool misfit;            /* nothing that comes fits */
    } keys;
    struct sender sender;
    struct topic_slots *topics_in;
    struct codec_decoder *anchors[2]; /* datagram: anchors that models are being made from: in, out */
    struct priming prime_out, prime_in; /* tails that the models of a new epoch are being primed from */
    uint64_t models_used;       /* when, as bridge.models_used counts */
    uint64_t frame_done;        /* last frame whose records were all given; to be committed and acknowledged: */
    bool frames_waiting;
    bool save_out;              /* what the channel keeps of its sending half has changed */
    bool save_in;               /* what it keeps of its receiving half has, without a frame */
    struct store_doubts doubts; /* that the channel knows of */
    uint64_t forgotten;         /* secrets that it kept once, as last saved */
    bool frames_kept;           /* ... and frames were put, that may leave after the commit */
    bool restart_channel;       /* at the turn's end */
    bool not_now;               /* the record under way cannot be taken yet: its frame must come again */
    uint64_t refused_token;     /* of a frame that the link did not take after all; 0 = none */
    struct report report;
    bool grant_small;           /* the peer was last told less than it may need */
    enum channel_state shown_state;
};

struct guest;                   /* a station of a listener that has not said who it is: guests.c */
#define GUESTS_DEFAULT   64     /* a listener */
#define GUEST_TIMEOUT_MS 30000

/* ---- publisher ---- */

#define FLIGHTS_MAX 128         /* messages between inbox and broker; packet ids 1..FLIGHTS_MAX are used for them */

struct flight {
    enum flight_state {
        FLIGHT_NEW,             /* packet id written, not committed */
        FLIGHT_READY,           /* committed: may be sent */
        FLIGHT_SENT,
        FLIGHT_RECEIVED,        /* PUBREC came, not committed */
        FLIGHT_RELEASE,         /* committed: PUBREL may be sent */
        FLIGHT_RELEASED,
    } state;
    int64_t key;                /* of the inbox row */
    enum msg_class class;
    uint16_t packet_id;         /* 0 with QoS 0 */
    uint8_t qos;
    bool dup, again;
    unsigned refusals;
    int peer;
    int64_t received_age_ms;
    struct msg *msg;            /* until sent; NULL: read it from the store again */
};

struct publisher {
    struct flight flights[FLIGHTS_MAX];
    unsigned count;             /* in order of assignment */
    int64_t cursor[CLASS_COUNT];
    bool empty[CLASS_COUNT];    /* nothing beyond the cursor when last looked */
    bool cleared[FLIGHTS_MAX + 1]; /* packet ids that the broker holds nothing of (I4) */
    bool careful;               /* the broker closed with messages in flight: one at a time, to find the one it refuses */
    bool running;
};

/* ---- broker ---- */

struct owed_ack {               /* to the broker, after the next commit, in order of arrival */
    enum owed_kind { OWED_PUBACK, OWED_PUBREC, OWED_PUBCOMP } kind;
    uint16_t packet_id;
};

struct broker {
    struct mqtt_session *session;
    struct buf out;
    bool connected;
    struct owed_ack *owed;
    size_t owed_count, owed_size;
    uint64_t received, published, refused_full;
    bool took_nothing;          /* full store: something was not taken; reconnect when there is room (I1) */
    bool dropping;              /* the connection is to be closed: nothing it brings counts any more */
    bool by_broker;             /* ... and it was the broker who ended it: a message may be why */
};

struct bridge {
    const struct config *config;
    const struct bridge_link *links;
    struct store *store;
    struct bridge_env env;
    struct routes routes;
    struct store_now now;       /* of the event under way */
    int64_t started_ms;
    struct broker broker;
    struct publisher publisher;
    struct peer *peers;
    size_t peer_count;
    struct primer_models *models, *own_models; /* env.models, or own_models */
    uint64_t models_used;       /* frames of datagram links that came */
    size_t prime_turn;          /* of the peers whose models are being primed */
    bool *link_up;              /* per config link */
    struct deliveries *deliveries; /* per config link */
    struct report *reports;     /* per config link: what it told of itself */
    struct guest *guests;       /* room for as many as all listeners together may have */
    size_t guest_count;
    struct channel **guests_of; /* the channels that a guest may be of, while it is read */
    uint64_t guests_refused;
    int64_t commit_at;          /* NEVER = nothing to commit */
    bool failed;                /* a store call failed: everything since the last commit is gone; see custody_recover */
    int failed_error;
    int64_t recover_at;         /* not before then is it recovered: what fails again and again must not spin */
    int64_t expiry_age_ms;      /* age clock of the next expiry; NEVER */
    int64_t held_age_ms;        /* age clock of the next message held by min_interval that is due */
    int64_t probe_space_at;
    int64_t tidy_at;
    int64_t state_at;           /* when the state topics are looked at again */
};

/* ---- custody.c ---- */
/* Something was written: commit within delay_ms. */
void custody_dirty(struct bridge *b, int64_t delay_ms);
/* Looks at the result of a store call. Return: true when it failed (negative): the transaction is gone, and the turn's end recovers. */
bool custody_failed(struct bridge *b, int rc);
/* Commits now what is open. Return: false: failed. What may be told outside is told at the end of the turn. */
bool custody_commit(struct bridge *b);
/* Does all that the events since the last turn call for: recovery, commit, publishing, sending. Ends each public call. */
void bridge_turn(struct bridge *b);

/* ---- outbound.c ---- */
/* A message (local topic) for all peers whose routes take it, but not for `from` (NULL: from our broker) nor for a site in its hops.
 * Return: false: the store failed. */
bool outbound_offer(struct bridge *b, const struct msg *m, const struct peer *from);
void outbound_on_timer(struct bridge *b);
int64_t outbound_deadline(const struct bridge *b);

/* ---- sender_topics.c ---- */
/* Takes a slot for a topic, and remembers that the peer is not known to have it yet. Return: false: too many under way, or no memory. */
bool sender_define_topic(struct peer *p, const char *topic, unsigned *slot);
/* Is this slot's definition on its way? */
bool sender_topic_pending(const struct sender *s, unsigned slot);
/* May a record of the frame that is being made name its topic by this slot? */
bool sender_slot_usable(const struct peer *p, unsigned slot);
/* Its definition is on the peer's disk: written to ours. Return: false: the store failed. */
bool sender_confirm_topic(struct peer *p, unsigned slot);
/* Brings our table to what the peer's marks say. Return: false: the store failed. */
bool sender_agree_on_topics(struct peer *p, const struct channel_marks *theirs);
/* Forgets what was under way and reads the table. */
int sender_load_topics(struct peer *p) MUST_CHECK;

/* A definition that was on its way before a restart. Return: false = no memory. */
bool sender_topic_under_way(struct peer *p, unsigned slot, const char *topic, uint32_t epoch);

/* ---- sender_datagram.c ---- */
void sender_pending(struct peer *p, struct channel_pending *out);
/* Remembers a lane before a record of it is given (which sender_take_back, or given_top less one, takes back). */
void sender_remember(struct peer *p, enum msg_class class);
void sender_take_back(struct peer *p);
/* Where each class stands, to be committed with the frames that were made of it. */
#define SENDER_LANES_MAX 128
size_t sender_save_lanes(const struct peer *p, uint8_t out[SENDER_LANES_MAX]);
/* A record of a frame that was under way before a restart; then the lanes as they were saved, n = 0: nothing was.
 * Return: false: the store failed. */
void sender_restored(struct peer *p, const struct record *r);
bool sender_load_lanes(struct peer *p, const uint8_t *bytes, size_t n);

/* ---- sender_acked.c ---- */
void sender_acked(struct peer *p, uint64_t count);
/* Datagram links: the record given as number `index` since the epoch began is on the peer's disk. */
void sender_acked_record(struct peer *p, uint64_t index);
void sender_greeted(struct peer *p, const struct channel_marks *theirs);
/* Datagram links: has the peer lost something that it has not acknowledged to have been told of? */
bool sender_telling(const struct peer *p);
/* Before the row that follows in the lane: what was settled there is lost. Return: lane.lost_to is to be told first. */
bool sender_tell_lost(struct peer *p, enum msg_class class);
/* Datagram links: an epoch of ours begins; what was given and not acknowledged goes again. */
void sender_epoch(struct peer *p);
/* The peer has a new store: it knows no topic of ours. */
void sender_forget_topics(struct peer *p);
/* Has the peer ever had anything of ours, a topic or a message? */
bool sender_ever_settled(struct peer *p);
/* Of each class the newest record that the peer acknowledged, all before it too; left at 0 = none, or a loss is being told. */
void sender_settled(struct peer *p, uint64_t up_to[CLASS_COUNT]);

/* ---- sender.c ---- */
int sender_init(struct peer *p) MUST_CHECK;
void sender_fini(struct peer *p);
bool sender_next_record(struct peer *p, size_t room, struct record *r);
/* Adds to what was given. Return: false: as many as may be, or no memory, which ends the epoch. */
bool sender_push(struct peer *p, struct sent what);
/* Reads the next row ahead. Return: true: lane->row is there and may be given now. */
bool sender_lane_ready(struct peer *p, enum msg_class class);
/* Forgets the row read ahead. */
void sender_drop_row(struct lane *l);
/* New rows or changed ones: forget what was read ahead of the class. */
void sender_changed(struct peer *p, enum msg_class class);
void sender_before_commit(struct peer *p);
void sender_after_commit(struct peer *p);
/* After a rollback, or when the epoch ends: nothing read ahead or given counts any more. */
int sender_reload(struct peer *p) MUST_CHECK;
/* Is anything queued for the peer, gap records included? */
bool sender_waits(struct peer *p);
/* Numbers of this class up to here may have left: not to be discarded (I6). */
uint64_t sender_fixed(const struct peer *p, enum msg_class class);

/* ---- peers_priming.c ---- */
/* The tail of what the peer sent, for our marks. Return: its name; 0 = none. */
uint32_t peers_tail_in(struct peer *p);
/* The tail of what we sent, settled to the peer's marks: kept if it is the one that they name. */
void peers_tail_out(struct peer *p, uint32_t theirs);
/* Of the tails so begun, the newest messages of so much work. Return: there are any. */
bool peers_prime_within(struct peer *p, bool out, unsigned units);
enum channel_prime peers_prime(struct peer *p, bool out, struct record *r);
/* One slice of one peer's work a turn, however many there are: the others have theirs in the next. */
void peers_prime_some(struct bridge *b);
bool peers_priming(const struct bridge *b);

/* ---- keys.c ---- */
/* What the channel must know of seal and keys. The caller wipes out->secrets after use. Return: 0; -ENOKEY, -ENOMEM, or of the store. */
int keys_fill(struct peer *p, struct channel_config *out) MUST_CHECK;
/* The channel's news: the peer has proved that it holds this key. */
void keys_in_use(struct peer *p, bool next);
/* Looks at what came of the last bytes; to be called after each channel_on_bytes. */
void keys_watch(struct peer *p);
struct json_t *keys_json(const struct peer *p, const struct channel_status *s);

/* ---- peers_models.c ---- */
/* Two directions each. The primer's models, one for each size in use, are less than two of the largest. */
int64_t peers_model_share(const struct bridge *b);
/* Bytes of each model of a direction of this peer: what it asks for, and no more than fits its share of codec_cache. */
size_t peers_model_memory(const struct bridge *b, const struct config_peer *c, bool datagram);
/* The models that datagram links decode with are as large as their senders chose. So that all together keep to their part of
 * codec_cache, those of the peers that were heard longest ago, and not of the newest, are given up: they can be made again. */
void peers_bound_models(struct bridge *b, const struct peer *newest);

/* ---- peers_anchor.c ---- */
/* The channel's ops. */
bool peers_anchor_propose(struct peer *p, uint64_t *up_to, uint32_t *id);
void peers_anchor_proposed(struct peer *p, uint64_t up_to, uint32_t id);
bool peers_anchor_open(struct peer *p, bool out, uint32_t id);
bool peers_anchor_next(struct peer *p, bool out, struct record *r);
void peers_anchor_close(struct peer *p, bool out);

/* ---- peers_saved.c ---- */
/* The channel's ops; ctx: the peer. */
void peers_keep_frame(void *ctx, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n);
void peers_drop_frame(void *ctx, uint32_t epoch, uint64_t number);
void peers_saved_changed(void *ctx);
void peers_receiver_changed(void *ctx);
void peers_keep_leaning(void *ctx, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n);
bool peers_next_leaning(void *ctx, uint32_t epoch, uint64_t after, uint64_t *number, uint8_t *bytes, size_t *n);
void peers_only_leaning(void *ctx, const uint32_t *epochs, unsigned count);
/* Writes what datagram channels must remember with what is committed now. */
void peers_before_commit(struct bridge *b);
/* Gives a new channel what the store has of it. Return: 0; negative errno. */
int peers_load_channel(struct peer *p) MUST_CHECK;
/* Tells the channel when there is more doubt in the store than it knows of. */
void peers_doubt(struct peer *p);
/* After a rollback: the channel as the store has it. */
void peers_read_back(struct peer *p);

/* ---- receiver.c ---- */
int receiver_init(struct peer *p) MUST_CHECK;
void receiver_fini(struct peer *p);
int receiver_record(struct peer *p, const struct record *r);
int receiver_greeting(struct peer *p, const struct channel_identity *them, struct channel_marks *ours);
/* Is all of each class up to these numbers on our disk? */
bool receiver_has_settled(struct peer *p, const uint64_t up_to[CLASS_COUNT]);
/* Is the store that the peer tells of another than the one that it had when it was greeted last? */
bool receiver_other_store(struct peer *p, const struct channel_identity *them);
uint64_t receiver_grant(struct peer *p);
int receiver_reload(struct peer *p) MUST_CHECK;

/* ---- arrival.c ---- */
/* The message that a record (or, of one kept, its header) and a payload make. NULL: out of memory, and the turn fails. */
struct msg *arrival_msg(struct peer *p, const struct record *r, const char *topic, const uint8_t *payload, uint32_t n);
/* Takes custody of a message whose number was new. */
void arrival_pass_on(struct peer *p, uint64_t number, const struct msg *m);
/* May the peer publish this here? topic: as it sends it. */
bool arrival_accepts(const struct peer *p, const char *topic);
/* Counts and tells of a message that it may not, and that is settled. */
void arrival_not_accepted(struct peer *p, const char *topic);
bool arrival_put_inbox(struct peer *p, const struct msg *m, uint64_t number);

/* ---- kept.c ---- */
/* A message's first piece, and its last: it is whole then. */
void kept_begin(struct peer *p, const struct record *r, const char *topic);
void kept_finish(struct peer *p, const struct record *chunk);
/* Settles a number; m: its message, NULL for a gap. It is passed on, or kept until its predecessors are here; what waited for it follows it.
 * Return: it was new. */
bool kept_settle_number(struct peer *p, enum msg_class class, uint64_t previous, uint64_t number, const struct msg *m);
void kept_deliver(struct peer *p, uint64_t previous, uint64_t number, const struct msg *m);
bool kept_is_settled(struct peer *p, enum msg_class class, uint64_t number);

/* ---- publisher.c ---- */
void publisher_connected(struct bridge *b, bool session_present);
/* by_broker: the broker ended the connection, perhaps because of the one message that it had not answered. */
void publisher_closed(struct bridge *b, bool by_broker);
void publisher_pump(struct bridge *b);
void publisher_after_commit(struct bridge *b);
void publisher_puback(struct bridge *b, uint16_t packet_id, uint8_t reason);
void publisher_pubrec(struct bridge *b, uint16_t packet_id, uint8_t reason);
void publisher_pubcomp(struct bridge *b, uint16_t packet_id);
/* A row was added to the inbox. */
void publisher_added(struct bridge *b, enum msg_class class);

/* ---- broker.c ---- */
int broker_init(struct bridge *b, const void *password, size_t password_len) MUST_CHECK;
void broker_fini(struct bridge *b);
void broker_release_acks(struct bridge *b);
/* Asks for the connection to be closed, from any callback; the turn's end does the rest (broker_finish_drop). */
void broker_drop(struct bridge *b, bool at_once, const char *why);
void broker_finish_drop(struct bridge *b);

/* ---- guests.c ---- */
int guests_init(struct bridge *b) MUST_CHECK;
void guests_fini(struct bridge *b);
struct guest *guests_find(struct bridge *b, size_t link, uint64_t station);
/* A connection has come; where there are too many the oldest goes. */
void guests_add(struct bridge *b, size_t link, uint64_t station, const char *name);
/* The connection is gone. */
void guests_remove(struct bridge *b, struct guest *g);
/* What it says; where that tells who it is, the connection becomes that peer's. */
void guests_bytes(struct bridge *b, struct guest *g, const uint8_t *bytes, size_t n);
void guests_on_timer(struct bridge *b);
int64_t guests_deadline(const struct bridge *b);

/* ---- peers.c ---- */
/* The station of a listener is this peer; an older one of it is ended. */
void peers_attach(struct peer *p, uint64_t station, struct channel_guest *guest);
int peers_init(struct bridge *b) MUST_CHECK;
void peers_fini(struct bridge *b);
void peers_pump(struct bridge *b);
void peers_on_timer(struct bridge *b);
int64_t peers_deadline(const struct bridge *b);
struct peer *peers_find(struct bridge *b, const char *name);
struct peer *peers_by_id(struct bridge *b, int id);

/* ---- deliveries.c ---- */
/* All that was delivered before is committed, or nothing of it waits to be. */
void deliveries_covered(struct bridge *b);
/* What was delivered since the last commit is gone with it. */
void deliveries_lost(struct bridge *b);

/* ---- state.c ---- */

void state_connected(struct bridge *b);
void state_changed(struct bridge *b);
void state_on_timer(struct bridge *b);
/* "topic_base/NAME/rest", in a static-size buffer of the caller. */
#define STATE_TOPIC_MAX 512
const char *state_topic(const struct bridge *b, char out[STATE_TOPIC_MAX], const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- small ---- */
void bridge_logf(struct bridge *b, enum bridge_log level, const char *subsystem, const char *fmt, ...) PRINTF_LIKE(4, 5);
int64_t bridge_age(const struct bridge *b);
uint32_t bridge_random32(struct bridge *b);
void bridge_count(struct peer *p, const char *name, uint64_t add);

#endif
