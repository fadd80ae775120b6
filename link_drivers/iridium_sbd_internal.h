/* What the files of the iridium-sbd driver share; for nobody else. */
#ifndef LINK_DRIVERS_IRIDIUM_SBD_INTERNAL_H
#define LINK_DRIVERS_IRIDIUM_SBD_INTERNAL_H

#include "link_drivers/at_chat.h"
#include "link_drivers/iridium_sbd.h"
#include "link_drivers/iridium_sbd_budget.h"
#include "link_drivers/iridium_sbd_note.h"
#include "link_drivers/iridium_sbd_policy.h"
#include "link_drivers/link_report.h"
#include "link_drivers/serial_port.h"

/* That a frame was handed over by an earlier process is remembered for so long: a frame that is
 * asked for once more by the far end, much later, must go. */
#define SETTLED_MS (3600 * 1000ll)

#define SBD_BUDGET_WORDS "the budget is used up but for what is kept for alarms"

/* What the dialogue does now. Each but the first and those marked is one command to the modem. */
enum sbd_step {
    SBD_CLOSED, /* no port */
    SBD_IDLE,   /* no command: the modem is known and at rest */
    /* Is somebody there? */
    SBD_LISTEN, /* no command: a session that another process began must not be spoken into */
    SBD_HUSH,
    SBD_WAKE,
    SBD_HUSH_AGAIN,
    /* Set it up, whatever it was set to */
    SBD_ECHO_OFF,
    SBD_WORDS,
    SBD_DTR,
    SBD_FLOW,
    SBD_MODEL,
    SBD_FIRMWARE,
    SBD_IMEI,
    SBD_RING,
    SBD_EVENTS,
    SBD_TIMEOUT,
    SBD_REGISTERED,
    /* The cycle */
    SBD_LOOK,
    SBD_READ,
    SBD_COMMIT, /* no command: what was read is not on the host's disk yet */
    SBD_CLEAR_MT,
    SBD_CLEAR_MO,
    SBD_SYSTEM_TIME,
    SBD_WRITE,
    SBD_SESSION,
    SBD_ASK_WAIT,
    SBD_RADIO_ON,
    SBD_PLACE,
    SBD_REGISTER,
    SBD_STEPS
};

struct sbd {
    const struct sbd_options *options;
    const struct sbd_model *model;
    struct link_host *host;
    struct serial_port port;
    struct at_chat chat;
    struct link_report report;
    struct sbd_budget budget;
    struct sbd_note note; /* as it is to be written */
    bool started;

    enum sbd_step step;
    unsigned tries; /* of this step */
    char command[48];
    int64_t commit_until_ms;
    bool delivering, committed_early;

    /* The port and the modem */
    int64_t reopen_at_ms; /* while closed */
    unsigned open_failures;
    uint32_t baud;          /* at which we speak now */
    unsigned vain;          /* beginnings in a row that came to nothing */
    unsigned silences;      /* wakes in a row that nobody answered */
    int64_t quiet_until_ms; /* a session that was left may go on until then */
    uint64_t echoes;   /* as counted at the end of the set-up: one more tells of a restart ... */
    bool echo_stays;   /* ... unless this modem does not switch it off */
    bool old_firmware; /* may hang in a session while it does not know the time */
    char imei[SBD_IMEI_MAX], firmware[24], kind[24];
    int signal, service; /* -1 = not said */
    bool knows_modem;

    /* The frame in hand */
    struct {
        bool held, in_session, urgent;
        bool known_done;    /* an earlier process handed it over */
        bool known_refused; /* the gateway will never take it */
        uint64_t token;
        size_t n;
        uint8_t bytes[AT_BLOB_MAX];
    } frame;
    bool short_of_room; /* the host is owed a `writable` */

    /* Sessions */
    bool going;      /* a session is to follow this look at the buffers */
    bool after_done; /* this look follows a session that went well */
    bool mo_dirty;   /* the MO buffer may hold what must not be sent again */
    bool late_done;  /* a result came after it had been given up, and it was good */
    bool ring, rang_during, ring_stale;
    long queued; /* messages at the gateway, as it last said */
    long momsn;
    int64_t session_began_ms;
    int64_t next_session_ms; /* none before */
    bool waits_for_service;
    bool radio_tried;
    /* Rings reach only a modem that has registered; each session does so too. */
    bool unregistered;
    unsigned register_failures;
    int64_t register_at_ms; /* not before */
    bool blocked;           /* down until next_session_ms */
    int64_t last_done_ms, last_look_ms;
    int64_t
        company_until_ms; /* a session of our own accord waits so long for a frame; 0 = not asked */
    int64_t settled_until_ms;
    uint32_t refused_crc; /* of the frame that the gateway would not take; refused_bytes 0 = none */
    size_t refused_bytes;
    unsigned mt_damaged;
    bool place_due, no_place;
    const char *alert; /* the last fault that was told, so that it is told once */
    long last_status;  /* of the last session; -1 = none */

    uint64_t bytes_in, bytes_out, sessions, sessions_failed, mt_lost;
};

/* ---- iridium_sbd.c: for the dialogue ---- */

/* A span of the driver's own tables or keys, shortened for tests; at least 1 ms. */
int64_t sbd_scaled(const struct sbd *s, int64_t ms);
bool sbd_is_up(const struct sbd *s);
/* Tells the host what became of the frame in hand, if there is one, after noting it. */
void sbd_settle(struct sbd *s, enum send_outcome outcome, int64_t now_ms);
void sbd_save_note(struct sbd *s, int64_t now_ms);

/* ---- iridium_sbd_report.c ---- */

/* A fault that somebody must know: told once, until another comes or a session goes well. */
void sbd_alert(struct sbd *s, const char *words);
/* values: of +SBDIX, n of them. */
void sbd_report_session(struct sbd *s, const long *values, size_t n, int64_t credits);
/* line: of -MSGEO. */
void sbd_report_place(struct sbd *s, const char *line);

/* ---- iridium_sbd_port.c ---- */

bool sbd_is_open(const struct sbd *s);
void sbd_try_open(struct sbd *s, int64_t now_ms);
void sbd_close_port(struct sbd *s);
/* Closes it and opens it later. The frame in hand is given back: where its session had begun,
 * nobody knows yet; the note has it. */
void sbd_drop(struct sbd *s, const char *why, int64_t now_ms);
/* Writes what is to be said, as far as the port takes it. Return: false when the device is gone. */
bool sbd_flush(struct sbd *s);
/* The line's rate to try next after so many silences. */
void sbd_try_rate(struct sbd *s);

/* ---- iridium_sbd_cycle.c ---- */

/* Begins with the modem anew, from an open port. */
void sbd_begin(struct sbd *s, int64_t now_ms);
/* Goes to a step, and asks the modem what belongs to it. */
void sbd_enter(struct sbd *s, enum sbd_step step, int64_t now_ms);
/* The answer to the command under way is there. */
void sbd_on_answer(struct sbd *s, int64_t now_ms);
/* A line that nobody asked for. */
void sbd_on_news(struct sbd *s, const char *line, int64_t now_ms);
/* Begins again after an answer that was none; a modem that never answers as it should is told. */
void sbd_begin_again(struct sbd *s, int64_t now_ms);

/* What an answer leads to: the next step. One that has gone another way by itself returns s->step.
 */
typedef enum sbd_step sbd_handler(struct sbd *s, int64_t now_ms);

/* ---- iridium_sbd_setup.c ---- */

sbd_handler sbd_on_awake, sbd_on_echo_off, sbd_on_set_up, sbd_on_model, sbd_on_firmware,
    sbd_on_imei, sbd_on_registered, sbd_on_register, sbd_no_register, sbd_no_imei;
/* The next registration, after least_ms at the earliest. */
void sbd_register_later(struct sbd *s, int64_t least_ms, int64_t now_ms);

/* ---- iridium_sbd_session.c ---- */

/* What was read is on the host's disk; or it was waited for long enough. */
void sbd_on_committed(struct sbd *s, int64_t now_ms);
/* Should the gateway be asked for messages, apart from what a frame brings along? */
bool sbd_mailbox_due(const struct sbd *s, int64_t now_ms);

sbd_handler sbd_on_look, sbd_on_read, sbd_on_mt_clear, sbd_on_mo_clear, sbd_on_time_known,
    sbd_on_written, sbd_on_session, sbd_on_wait_told, sbd_on_radio_on, sbd_on_place, sbd_no_read,
    sbd_no_mo_clear, sbd_not_written, sbd_no_session, sbd_no_wait_told, sbd_no_radio, sbd_no_place,
    sbd_no_mt_clear;

#endif
