/* The dialogue with an Iridium SBD modem: one row a command, with what its answer leads to.
 *
 *     begin:  hush, wake, set up, look
 *     cycle:  look at the buffers; read MT, wait until it is on disk, clear it; clear MO;
 *             write MO, session; then look again, to be sure and to leave both buffers empty
 *
 * Whatever goes wrong with the modem (no answer, power lost, another rate) leads back to `begin`,
 * and from there the look tells what became of a session that was under way. */
#include "link_drivers/iridium_sbd_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/crc32.h"

#define SECOND 1000ll
#define MINUTE (60 * SECOND)

#define HUSH_MS          100
#define WAKE_MS          (1 * SECOND)
#define WAKE_SLOW_MS     (10 * SECOND)
#define WAKE_TRIES       20  /* then it is told that nobody answers: a bare 9602 starts within 10 s ... */
#define WAKE_FAST_TRIES  240 /* ... one behind a capacitor within 4 minutes */
#define ANSWER_MS        (5 * SECOND)
#define ANSWER_LEAST_MS  (2 * SECOND) /* however much a test shortens time: its machine may be busy */
#define TAIL_MS          (5 * SECOND) /* for an OK behind what was wanted */
#define READY_MS         (15 * SECOND) /* up to 10 s are seen */
#define GUARD_MS         (90 * SECOND) /* beyond session_timeout: then the result is unknown */
#define LINGER_MS        (30 * SECOND) /* beyond session_timeout: then no session goes on any more */
#define COMMIT_MS        (60 * SECOND)
#define REGISTER_LEAST_MS (3 * MINUTE) /* between two registrations: else status 36 */
#define NOT_BEGUN_MS     (30 * SECOND) /* after a session that the modem would not begin */
#define BUFFER_STUCK_MS  (5 * MINUTE)
#define DAMAGED_MAX      6 /* looks at an MT message that never comes over whole */
#define VAIN_MAX         5 /* beginnings in a row without a look at the buffers: this is no modem for us */
#define VAIN_WAIT_MS     (30 * SECOND)
#define MOMSN_AHEAD_MAX  16 /* more is not the same modem, or its count was cleared */
#define ASKED_WAIT_MAX_S (24 * 3600)
/* Firmware before this hangs in a session while it does not know the system time (9602 bulletin of May 2013). */
#define FIRMWARE_SOUND   13001

typedef enum sbd_step handler(struct sbd *s, int64_t now_ms);

static handler on_awake, on_echo_off, on_set_up, on_model, on_firmware, on_imei, on_look, on_read, on_mt_clear, on_mo_clear,
    on_registered, on_register, no_register, on_time_known, on_written, on_session, on_wait_told, on_radio_on, on_place, no_imei, no_read, no_mo_clear,
    not_written, no_session, no_wait_told, no_radio, no_place, no_mt_clear;

/* A refusal is tried again `tries` times; silence never is: it leads to `begin`. */
static const struct row {
    const char *command; /* NULL: see command_of */
    enum at_form form;
    const char *info;
    bool info_may_miss;
    int64_t timeout_ms;
    unsigned tries;
    enum sbd_step next; /* unless a function says otherwise */
    handler *answered;  /* NULL: next */
    handler *refused;   /* NULL: next too: the modem need not know this command */
} rows[SBD_STEPS] = {
    [SBD_LISTEN] = {.form = AT_LISTEN, .next = SBD_HUSH},
    [SBD_HUSH] = {.form = AT_HUSH, .timeout_ms = HUSH_MS, .next = SBD_WAKE},
    /* ATQ0 and not AT: a modem left at Q1 would never answer. */
    [SBD_WAKE] = {"ATQ0", .timeout_ms = WAKE_MS, .next = SBD_HUSH_AGAIN, .answered = on_awake, .refused = on_awake},
    [SBD_HUSH_AGAIN] = {.form = AT_HUSH, .timeout_ms = HUSH_MS, .next = SBD_ECHO_OFF},
    [SBD_ECHO_OFF] = {"ATE0", .timeout_ms = ANSWER_MS, .tries = 2, .next = SBD_WORDS, .answered = on_echo_off,
                      .refused = on_echo_off},
    [SBD_WORDS] = {"ATV1", .timeout_ms = ANSWER_MS, .tries = 2, .next = SBD_DTR},
    [SBD_DTR] = {"AT&D0", .timeout_ms = ANSWER_MS, .next = SBD_FLOW},
    [SBD_FLOW] = {.timeout_ms = ANSWER_MS, .next = SBD_MODEL},
    [SBD_MODEL] = {"AT+CGMM", .info = "", .info_may_miss = true, .timeout_ms = ANSWER_MS, .next = SBD_FIRMWARE,
                   .answered = on_model},
    [SBD_FIRMWARE] = {"AT+CGMR", .info = "Call Processor Version", .info_may_miss = true, .timeout_ms = ANSWER_MS,
                      .next = SBD_IMEI, .answered = on_firmware},
    [SBD_IMEI] = {"AT+CGSN", .info = "", .info_may_miss = true, .timeout_ms = ANSWER_MS, .tries = 2, .next = SBD_RING,
                  .answered = on_imei, .refused = no_imei},
    [SBD_RING] = {"AT+SBDMTA=1", .timeout_ms = ANSWER_MS, .tries = 2, .next = SBD_EVENTS},
    [SBD_EVENTS] = {"AT+CIER=1,1,1", .timeout_ms = ANSWER_MS, .next = SBD_TIMEOUT},
    [SBD_TIMEOUT] = {.timeout_ms = ANSWER_MS, .next = SBD_REGISTERED},
    [SBD_REGISTERED] = {"AT+SBDREG?", .info = "+SBDREG", .info_may_miss = true, .timeout_ms = ANSWER_MS,
                        .answered = on_registered, .refused = on_set_up},
    [SBD_LOOK] = {"AT+SBDSX", .info = "+SBDSX", .timeout_ms = ANSWER_MS, .tries = 3, .answered = on_look},
    [SBD_READ] = {"AT+SBDRB", AT_READ, .timeout_ms = ANSWER_MS, .tries = 3, .answered = on_read, .refused = no_read},
    [SBD_CLEAR_MT] = {"AT+SBDD1", AT_DIGIT, .timeout_ms = ANSWER_MS, .tries = 2, .answered = on_mt_clear,
                      .refused = no_mt_clear},
    [SBD_CLEAR_MO] = {"AT+SBDD0", AT_DIGIT, .timeout_ms = ANSWER_MS, .tries = 3, .answered = on_mo_clear,
                      .refused = no_mo_clear},
    [SBD_SYSTEM_TIME] = {"AT-MSSTM", .info = "-MSSTM", .timeout_ms = ANSWER_MS, .answered = on_time_known,
                         .refused = on_time_known},
    [SBD_WRITE] = {NULL, AT_WRITE, .timeout_ms = READY_MS, .tries = 3, .answered = on_written, .refused = not_written},
    [SBD_SESSION] = {.info = "+SBDIX", .answered = on_session, .refused = no_session},
    [SBD_ASK_WAIT] = {"AT+SBDLOE", .info = "+SBDLOE", .timeout_ms = 20 * SECOND, .answered = on_wait_told,
                      .refused = no_wait_told},
    [SBD_RADIO_ON] = {"AT*R1", .timeout_ms = ANSWER_MS, .answered = on_radio_on, .refused = no_radio},
    [SBD_REGISTER] = {"AT+SBDREG", .info = "+SBDREG", .answered = on_register, .refused = no_register},
    [SBD_PLACE] = {"AT-MSGEO", .info = "-MSGEO", .timeout_ms = ANSWER_MS, .answered = on_place, .refused = no_place},
};

/* ---- asking ---- */

static const char *command_of(struct sbd *s, enum sbd_step step)
{
    const struct sbd_options *o = s->options;
    switch ((int)step) {
    case SBD_FLOW:
        return o->flow ? "AT&K3" : "AT&K0";
    case SBD_TIMEOUT:
        snprintf(s->command, sizeof(s->command), "AT+SBDST=%d", (int)(o->session_timeout_ms / SECOND));
        return s->command;
    case SBD_WRITE:
        snprintf(s->command, sizeof(s->command), "AT+SBDWB=%zu", s->frame.n);
        return s->command;
    case SBD_SESSION:
        return s->ring ? "AT+SBDIXA" : "AT+SBDIX";
    default:
        return rows[step].command;
    }
}

static int64_t at_least(const struct sbd *s, int64_t ms, int64_t least_ms)
{
    int64_t scaled = sbd_scaled(s, ms);
    return scaled > least_ms ? scaled : least_ms;
}

static int64_t timeout_of(const struct sbd *s, enum sbd_step step, int64_t now_ms)
{
    if (step == SBD_LISTEN)
        return s->quiet_until_ms > now_ms ? s->quiet_until_ms - now_ms : 0;
    if (step == SBD_HUSH || step == SBD_HUSH_AGAIN)
        return HUSH_MS;
    int64_t ms = rows[step].timeout_ms;
    if (step == SBD_WAKE && s->silences >= WAKE_FAST_TRIES)
        ms = WAKE_SLOW_MS;
    if (step == SBD_SESSION || step == SBD_REGISTER)
        ms = s->options->session_timeout_ms + GUARD_MS;
    return at_least(s, ms, step == SBD_WAKE ? WAKE_MS : ANSWER_LEAST_MS);
}

static void ask(struct sbd *s, int64_t now_ms)
{
    const struct row *r = &rows[s->step];
    struct at_request q = {
        .command = command_of(s, s->step),
        .form = r->form,
        .info = r->info,
        .info_may_miss = r->info_may_miss,
        .timeout_ms = timeout_of(s, s->step, now_ms),
        .tail_ms = at_least(s, TAIL_MS, ANSWER_LEAST_MS),
        .blob_max = s->model->mt_max,
    };
    if (r->form == AT_WRITE) {
        q.blob = s->frame.bytes;
        q.blob_bytes = s->frame.n;
    }
    at_chat_ask(&s->chat, &q, now_ms);
}

/* Noted before it begins: a process that ends meanwhile leaves word of it. */
static void note_session(struct sbd *s, int64_t now_ms)
{
    s->note.pending = true;
    s->note.with_frame = s->frame.held;
    s->note.frame_crc = s->frame.held ? crc32_add(0, s->frame.bytes, s->frame.n) : 0;
    s->note.frame_bytes = s->frame.held ? (uint16_t)s->frame.n : 0;
    s->note.momsn = (uint16_t)s->momsn;
    memcpy(s->note.imei, s->imei, sizeof(s->note.imei));
    s->frame.in_session = s->frame.held;
    s->session_began_ms = now_ms;
    s->quiet_until_ms = now_ms + sbd_scaled(s, s->options->session_timeout_ms + LINGER_MS);
    s->rang_during = s->late_done = false;
    s->sessions++;
    sbd_save_note(s, now_ms);
}

void sbd_enter(struct sbd *s, enum sbd_step step, int64_t now_ms)
{
    if (step != s->step)
        s->tries = 0;
    s->step = step;
    if (step == SBD_CLOSED || step == SBD_IDLE)
        return;
    if (step == SBD_COMMIT) {
        s->commit_until_ms = now_ms + sbd_scaled(s, COMMIT_MS);
        return;
    }
    if (step == SBD_WRITE)
        s->mo_dirty = true;
    if (step == SBD_SESSION)
        note_session(s, now_ms);
    if (step == SBD_REGISTER)
        s->quiet_until_ms = now_ms + sbd_scaled(s, s->options->session_timeout_ms + LINGER_MS);
    ask(s, now_ms);
}

void sbd_begin(struct sbd *s, int64_t now_ms)
{
    at_chat_reset(&s->chat);
    s->going = s->after_done = false;
    s->silences = 0;
    sbd_enter(s, s->quiet_until_ms > now_ms ? SBD_LISTEN : SBD_HUSH, now_ms);
}

/* ---- registration ---- */

static void register_later(struct sbd *s, int64_t least_ms, int64_t now_ms)
{
    int64_t ladder = sbd_ladder_ms(++s->register_failures, s->host->ops->random(s->host));
    s->register_at_ms = now_ms + sbd_scaled(s, ladder > least_ms ? ladder : least_ms);
}

/* 0 = detached, 1 = not registered, 2 = registered, 3 = denied. A modem that does not say is left as it is. */
static enum sbd_step on_registered(struct sbd *s, int64_t now_ms)
{
    long v[1] = {2};
    s->unregistered = at_numbers(s->chat.info, v, 1) == 1 && v[0] != 2;
    return on_set_up(s, now_ms);
}

static enum sbd_step on_register(struct sbd *s, int64_t now_ms)
{
    long v[2] = {1, 0};
    at_numbers(s->chat.info, v, 2);
    s->quiet_until_ms = 0;
    s->unregistered = v[0] != 2;
    s->host->ops->trace(s->host, 1, "registration: status=%ld error=%ld", v[0], v[1]);
    if (s->unregistered) {
        const struct sbd_policy *p = sbd_policy_of(v[1]);
        register_later(s, p->wait_ms > REGISTER_LEAST_MS ? p->wait_ms : REGISTER_LEAST_MS, now_ms);
        if (p->alert)
            sbd_alert(s, p->words);
    } else {
        s->register_failures = 0;
    }
    return SBD_LOOK;
}

static enum sbd_step no_register(struct sbd *s, int64_t now_ms)
{
    s->quiet_until_ms = 0;
    s->unregistered = false; /* it does not know how: a session will do it */
    return SBD_LOOK;
}

/* ---- nobody answers, or not as it should ---- */

/* The frame may take another link; what became of it is in the note, and comes out when the modem is back. */
static void give_up(struct sbd *s, int64_t now_ms)
{
    if (s->frame.held)
        sbd_settle(s, s->frame.in_session ? SEND_UNKNOWN : SEND_FAILED, now_ms);
}

/* Begins again, but not for ever at once: what answers, but never as an SBD modem does, is another kind of modem. */
static void begin_again(struct sbd *s, int64_t now_ms)
{
    if (++s->vain >= VAIN_MAX) {
        s->vain = 0;
        give_up(s, now_ms);
        link_report(&s->report, s->host, LINK_DOWN, "%s: what answers there does not answer as an SBD modem", s->port.path);
        s->quiet_until_ms = now_ms + sbd_scaled(s, VAIN_WAIT_MS);
    }
    sbd_begin(s, now_ms);
}

/* A session that was lost before it began did not take the frame along. */
static void lose_modem(struct sbd *s, int64_t now_ms)
{
    bool writing = s->step == SBD_WRITE, session = s->step == SBD_SESSION;
    s->host->ops->trace(s->host, 1, "no answer, asking anew: command=%s", command_of(s, s->step));
    if (writing || session) {
        s->note.failures++;
        s->sessions_failed += session;
        s->next_session_ms =
            now_ms + sbd_scaled(s, sbd_ladder_ms(s->note.failures, s->host->ops->random(s->host)));
    }
    if (writing)
        sbd_settle(s, SEND_FAILED, now_ms);
    if (s->step == SBD_REGISTER)
        register_later(s, REGISTER_LEAST_MS, now_ms);
    s->quiet_until_ms = 0; /* the guard was longer than any session */
    begin_again(s, now_ms);
}

static void nobody_wakes(struct sbd *s, int64_t now_ms)
{
    if (++s->silences == WAKE_TRIES || (s->silences == WAKE_TRIES / 2 && !s->knows_modem)) {
        give_up(s, now_ms);
        link_report(&s->report, s->host, LINK_DOWN, "%s: no modem answers at %u baud", s->port.path,
                    (unsigned)s->options->baud);
    }
    sbd_try_rate(s);
    sbd_enter(s, SBD_HUSH, now_ms);
}

/* ---- setting up ---- */

static enum sbd_step on_awake(struct sbd *s, int64_t now_ms)
{
    if (s->baud != s->options->baud)
        s->host->ops->trace(s->host, 2, "the modem speaks at %u baud, not at %u as configured: device=%s", s->baud,
                            (unsigned)s->options->baud, s->port.path);
    s->silences = 0;
    return SBD_HUSH_AGAIN;
}

static enum sbd_step on_echo_off(struct sbd *s, int64_t now_ms)
{
    s->echoes = s->chat.echoes;
    return SBD_WORDS;
}

/* All was answered without an echo: from now on one tells that the modem has lost its power. */
static enum sbd_step on_set_up(struct sbd *s, int64_t now_ms)
{
    s->echo_stays = s->chat.echoes != s->echoes;
    s->echoes = s->chat.echoes;
    return SBD_LOOK;
}

static void keep_text(char *to, size_t size, const char *text)
{
    size_t n = 0;
    for (; *text == ' '; text++)
        ;
    for (; text[n] && n < size - 1; n++) /* it goes into JSON and log lines */
        to[n] = text[n] == '"' || text[n] == '\\' ? '_' : text[n];
    to[n] = '\0';
}

static enum sbd_step on_model(struct sbd *s, int64_t now_ms)
{
    keep_text(s->kind, sizeof(s->kind), s->chat.info);
    return SBD_FIRMWARE;
}

static enum sbd_step on_firmware(struct sbd *s, int64_t now_ms)
{
    const char *colon = strchr(s->chat.info, ':');
    keep_text(s->firmware, sizeof(s->firmware), colon ? colon + 1 : "");
    s->old_firmware = strncmp(s->firmware, "TA", 2) == 0 && strtol(s->firmware + 2, NULL, 10) < FIRMWARE_SOUND;
    return SBD_IMEI;
}

static enum sbd_step on_imei(struct sbd *s, int64_t now_ms)
{
    keep_text(s->imei, sizeof(s->imei), s->chat.info);
    return SBD_RING;
}

static enum sbd_step no_imei(struct sbd *s, int64_t now_ms)
{
    s->imei[0] = '\0';
    return SBD_RING;
}

/* ---- the look at the buffers, which is free ---- */

/* What became of a session whose result is not known: the modem counts those that went well. */
static void resolve(struct sbd *s, int64_t now_ms)
{
    struct sbd_note *n = &s->note;
    unsigned ahead = (uint16_t)((uint16_t)s->momsn - n->momsn);
    bool same = strcmp(n->imei, s->imei) == 0;
    bool done = s->late_done || (same && ahead >= 1 && ahead <= MOMSN_AHEAD_MAX);
    s->host->ops->trace(s->host, 1, "session without a result: %s momsn=%u then=%u",
                        done ? "it was handed over" : "not known", (unsigned)s->momsn, n->momsn);
    n->pending = s->late_done = false;
    if (done) {
        int64_t credits = n->with_frame ? sbd_credits(n->frame_bytes, s->options->credit_bytes) : 1;
        sbd_budget_spend(&s->budget, credits, now_ms);
        s->last_done_ms = now_ms;
        n->failures = 0;
    }
    if (s->frame.held && s->frame.in_session) {
        sbd_settle(s, done ? SEND_DONE : SEND_UNKNOWN, now_ms);
        return;
    }
    if (done && n->with_frame) { /* when this frame is given to us again, it need not go again */
        n->settled = true;
        n->settled_crc = n->frame_crc;
        n->settled_bytes = n->frame_bytes;
        s->settled_until_ms = now_ms + sbd_scaled(s, SETTLED_MS);
    }
    sbd_save_note(s, now_ms);
}

static void tell_up(struct sbd *s)
{
    if (s->blocked)
        return;
    link_report(&s->report, s->host, LINK_UP, "%s: %s %s IMEI %s", s->port.path, s->kind[0] ? s->kind : "modem",
                s->firmware, s->imei[0] ? s->imei : "not known");
}

/* A session may begin: the buffers are as it wants them. */
static enum sbd_step set_out(struct sbd *s, int64_t now_ms)
{
    s->going = false;
    s->company_until_ms = 0;
    if (s->frame.held) {
        int64_t credits = sbd_credits(s->frame.n, s->options->credit_bytes);
        if (sbd_budget_allows(&s->budget, credits, s->frame.urgent, now_ms))
            return SBD_WRITE;
        sbd_alert(s, "the budget is used up");
        sbd_settle(s, SEND_FAILED, now_ms);
        return SBD_IDLE;
    }
    if (!sbd_mailbox_due(s, now_ms) || !sbd_budget_allows(&s->budget, 1, false, now_ms))
        return SBD_IDLE;
    return SBD_SESSION;
}

/* Behind the look, and what it led to. */
static enum sbd_step after_look(struct sbd *s, int64_t now_ms)
{
    if (s->mo_dirty && !(s->going && s->frame.held)) /* a frame will overwrite it */
        return SBD_CLEAR_MO;
    if (s->after_done)
        return SBD_LOOK;
    if (s->going)
        return s->old_firmware ? SBD_SYSTEM_TIME : set_out(s, now_ms);
    if (s->place_due && !s->no_place) {
        s->place_due = false;
        return SBD_PLACE;
    }
    return SBD_IDLE;
}

void sbd_on_committed(struct sbd *s, int64_t now_ms)
{
    /* Too late for a while already: then a session may clear the buffer. The far end still has the frame. */
    sbd_enter(s, now_ms >= s->commit_until_ms ? after_look(s, now_ms) : SBD_CLEAR_MT, now_ms);
}

static enum sbd_step on_look(struct sbd *s, int64_t now_ms)
{
    long v[6] = {0};
    size_t n = at_numbers(s->chat.info, v, 6);
    if (n < 4) { /* a byte was lost on the line */
        begin_again(s, now_ms);
        return s->step;
    }
    s->vain = 0;
    s->last_look_ms = now_ms;
    s->momsn = v[1];
    if (s->note.pending)
        resolve(s, now_ms);
    /* Raised by each ring, taken back by a session: where it stays up behind one, it tells nothing. */
    if (s->after_done)
        s->ring_stale = v[4] == 1;
    else if (v[4] != 1)
        s->ring_stale = false;
    else if (!s->ring_stale)
        s->ring = true;
    if (!s->knows_modem)
        s->queued = v[5];
    s->knows_modem = true;
    s->after_done = false;
    if (v[0] == 1)
        s->mo_dirty = true;
    if (!s->echo_stays && s->chat.echoes != s->echoes) { /* it has started anew meanwhile, and forgot what it was told */
        s->host->ops->trace(s->host, 1, "the modem has restarted: device=%s", s->port.path);
        sbd_begin(s, now_ms);
        return s->step;
    }
    tell_up(s);
    if (s->blocked)
        return SBD_IDLE; /* nobody takes what there is to read */
    return v[2] == 1 ? SBD_READ : after_look(s, now_ms);
}

/* ---- MT ---- */

static enum sbd_step on_read(struct sbd *s, int64_t now_ms)
{
    s->mt_damaged = 0;
    if (s->chat.blob_bytes == 0)
        return SBD_CLEAR_MT;
    s->bytes_in += s->chat.blob_bytes;
    s->delivering = true;
    s->committed_early = false;
    s->host->ops->deliver(s->host, STATION_NONE, s->chat.blob, s->chat.blob_bytes);
    s->delivering = false;
    if (s->step == SBD_CLOSED)
        return SBD_CLOSED; /* the host did not like what it read */
    return s->committed_early ? SBD_CLEAR_MT : SBD_COMMIT;
}

/* The bytes stay in the modem: they are asked for again, at last after a new beginning. */
static enum sbd_step no_read(struct sbd *s, int64_t now_ms)
{
    if (++s->mt_damaged <= DAMAGED_MAX) {
        sbd_begin(s, now_ms);
        return s->step;
    }
    s->mt_lost++;
    s->mt_damaged = 0;
    sbd_alert(s, "a message for us cannot be read off the modem: the line is bad, or it is larger than this model takes");
    return SBD_CLEAR_MT;
}

static enum sbd_step on_mt_clear(struct sbd *s, int64_t now_ms)
{
    return after_look(s, now_ms);
}

static enum sbd_step no_mt_clear(struct sbd *s, int64_t now_ms)
{
    return after_look(s, now_ms); /* a session clears it too, and read twice it is known */
}

/* ---- MO ---- */

static enum sbd_step on_mo_clear(struct sbd *s, int64_t now_ms)
{
    s->mo_dirty = false;
    return after_look(s, now_ms);
}

/* A session would send the old message again, and be billed. */
static enum sbd_step no_mo_clear(struct sbd *s, int64_t now_ms)
{
    sbd_alert(s, "the modem does not clear its buffer");
    s->going = false;
    s->next_session_ms = now_ms + sbd_scaled(s, BUFFER_STUCK_MS);
    return SBD_IDLE;
}

/* "-MSSTM: no network service", or an eight-digit count. Modems that do not know the question know sessions. */
static enum sbd_step on_time_known(struct sbd *s, int64_t now_ms)
{
    if (!strstr(s->chat.info, "no network"))
        return set_out(s, now_ms);
    s->going = false;
    s->waits_for_service = true;
    s->next_session_ms = now_ms + sbd_scaled(s, sbd_policy_of(32)->wait_ms);
    return SBD_IDLE;
}

static enum sbd_step on_written(struct sbd *s, int64_t now_ms)
{
    return SBD_SESSION;
}

static enum sbd_step not_written(struct sbd *s, int64_t now_ms)
{
    bool size = s->chat.outcome == AT_REFUSED && s->chat.digit == 3;
    sbd_alert(s, size ? "the modem takes no message of this size: is the model right?"
                      : "the modem does not take a message into its buffer");
    s->note.failures++;
    s->next_session_ms =
        now_ms + sbd_scaled(s, size ? sbd_policy_of(12)->wait_ms
                                    : sbd_ladder_ms(s->note.failures, s->host->ops->random(s->host)));
    sbd_settle(s, SEND_FAILED, now_ms);
    return SBD_LOOK;
}

/* ---- the session ---- */

bool sbd_mailbox_due(const struct sbd *s, int64_t now_ms)
{
    int64_t poll_ms = s->options->poll_ms;
    return s->ring || s->queued > 0 || (poll_ms > 0 && now_ms - s->last_done_ms >= sbd_scaled(s, poll_ms));
}

static void session_done(struct sbd *s, const long *v, int64_t now_ms)
{
    bool mt = v[2] == 1;
    int64_t credits = (s->note.with_frame ? sbd_credits(s->frame.n, s->options->credit_bytes) : 0) +
                      (mt && v[4] > 0 ? sbd_credits((size_t)v[4], s->options->credit_bytes) : 0);
    if (credits == 0)
        credits = 1; /* a look into an empty mailbox */
    sbd_budget_spend(&s->budget, credits, now_ms);
    sbd_report_session(s, v, 6, credits);
    if (s->note.with_frame)
        s->bytes_out += s->frame.n;
    s->note.failures = 0;
    s->note.pending = false;
    s->waits_for_service = s->radio_tried = s->unregistered = false;
    s->queued = v[5] > 0 ? v[5] : 0;
    /* What rang during the session may have been the ring of what it brought. */
    s->ring = (s->rang_during && !mt) || (s->ring && v[2] == 2);
    s->last_done_ms = now_ms;
    s->next_session_ms = now_ms + sbd_scaled(s, s->options->min_interval_ms);
    s->after_done = true;
    s->place_due = s->options->location;
    if (!sbd_policy_of(v[0])->alert)
        s->alert = NULL;
    else
        sbd_alert(s, sbd_policy_of(v[0])->words);
    sbd_settle(s, SEND_DONE, now_ms);
}

static enum sbd_step session_failed(struct sbd *s, long status, int64_t now_ms)
{
    const struct sbd_policy *p = sbd_policy_of(status);
    int64_t wait = p->wait_ms, least = sbd_scaled(s, s->options->min_interval_ms);
    s->note.failures++;
    s->sessions_failed++;
    sbd_report_session(s, &status, 1, 0);
    s->host->ops->trace(s->host, 1, "session failed, %s: status=%ld failures=%u", p->words, status, s->note.failures);
    if (p->wait == SBD_WAIT_LADDER) {
        int64_t ladder = sbd_ladder_ms(s->note.failures, s->host->ops->random(s->host));
        wait = ladder > wait ? ladder : wait;
    }
    wait = sbd_scaled(s, wait);
    s->next_session_ms = now_ms + (wait > least ? wait : least);
    s->waits_for_service = p->wait == SBD_WAIT_SERVICE;
    bool remedied = p->remedy == SBD_REMEDY_RADIO_ON && !s->radio_tried;
    if (p->alert && !remedied)
        sbd_alert(s, p->words);
    s->blocked = p->stop && !remedied;
    if (p->never && s->frame.held) {
        s->refused_crc = s->note.frame_crc;
        s->refused_bytes = s->frame.n;
    }
    if (p->outcome == SEND_FAILED) {
        s->note.pending = false;
        sbd_settle(s, SEND_FAILED, now_ms);
    } /* else the look that follows finds out */
    if (s->blocked)
        link_report(&s->report, s->host, LINK_DOWN, "%s", p->words);
    return remedied ? SBD_RADIO_ON : p->remedy == SBD_REMEDY_ASK_WAIT ? SBD_ASK_WAIT : SBD_LOOK;
}

static enum sbd_step on_session(struct sbd *s, int64_t now_ms)
{
    long v[6] = {0};
    size_t n = at_numbers(s->chat.info, v, 6);
    s->quiet_until_ms = 0;
    if (n == 0) { /* a byte was lost on the line: the look finds out */
        s->next_session_ms = now_ms + sbd_scaled(s, s->options->min_interval_ms);
        return SBD_LOOK;
    }
    s->last_status = v[0];
    /* It has started anew between the writing and the session, and forgot what it was to send: this was a look into the
     * mailbox, whatever it says. */
    if (s->frame.in_session && !s->echo_stays && s->chat.echoes != s->echoes) {
        s->host->ops->trace(s->host, 1, "the modem has restarted with the message in its buffer: device=%s", s->port.path);
        s->note.with_frame = false;
        sbd_settle(s, SEND_UNKNOWN, now_ms);
    }
    if (v[0] < 0 || v[0] > 4)
        return session_failed(s, v[0], now_ms);
    session_done(s, v, now_ms);
    return v[2] == 1 ? SBD_READ : SBD_LOOK;
}

/* ERROR: no session was begun. */
static enum sbd_step no_session(struct sbd *s, int64_t now_ms)
{
    int64_t ladder = sbd_ladder_ms(++s->note.failures, s->host->ops->random(s->host));
    s->quiet_until_ms = 0;
    s->next_session_ms = now_ms + sbd_scaled(s, ladder > NOT_BEGUN_MS ? ladder : NOT_BEGUN_MS);
    s->note.pending = false;
    s->sessions_failed++;
    sbd_alert(s, "the modem refuses to begin a session");
    sbd_settle(s, SEND_FAILED, now_ms);
    return SBD_LOOK;
}

/* +SBDLOE: 0 = valid, seconds. Switching the modem off and on does not help. */
static enum sbd_step on_wait_told(struct sbd *s, int64_t now_ms)
{
    long v[2] = {1, 0};
    if (at_numbers(s->chat.info, v, 2) == 2 && v[0] == 0 && v[1] >= 0) {
        int64_t seconds = v[1] < ASKED_WAIT_MAX_S ? v[1] : ASKED_WAIT_MAX_S;
        s->next_session_ms = now_ms + sbd_scaled(s, seconds * SECOND);
        s->host->ops->trace(s->host, 1, "the network asks to wait: seconds=%ld", v[1]);
    }
    sbd_save_note(s, now_ms);
    return SBD_LOOK;
}

static enum sbd_step no_wait_told(struct sbd *s, int64_t now_ms)
{
    return SBD_LOOK;
}

static enum sbd_step on_radio_on(struct sbd *s, int64_t now_ms)
{
    s->radio_tried = true;
    s->next_session_ms = now_ms + sbd_scaled(s, s->options->min_interval_ms);
    return SBD_LOOK;
}

static enum sbd_step no_radio(struct sbd *s, int64_t now_ms)
{
    s->radio_tried = true;
    return SBD_LOOK;
}

static enum sbd_step on_place(struct sbd *s, int64_t now_ms)
{
    sbd_report_place(s, s->chat.info);
    return SBD_IDLE;
}

static enum sbd_step no_place(struct sbd *s, int64_t now_ms)
{
    s->no_place = true;
    return SBD_IDLE;
}

/* ---- answers and news ---- */

void sbd_on_answer(struct sbd *s, int64_t now_ms)
{
    const struct row *r = &rows[s->step];
    enum sbd_step step = s->step, next = r->next;
    switch (s->chat.outcome) {
    case AT_OK:
        if (r->answered)
            next = r->answered(s, now_ms);
        break;
    case AT_SILENT:
        if (s->step == SBD_WAKE)
            nobody_wakes(s, now_ms);
        else
            lose_modem(s, now_ms);
        return;
    case AT_ERROR:
    case AT_REFUSED:
    case AT_DAMAGED:
        if (++s->tries < r->tries)
            next = step;
        else if (r->refused)
            next = r->refused(s, now_ms);
        else if (next == SBD_CLOSED) { /* a command that every modem knows */
            lose_modem(s, now_ms);
            return;
        }
        break;
    }
    if (s->step == SBD_CLOSED || (s->step != step && next == s->step))
        return; /* a handler went another way already */
    sbd_enter(s, next, now_ms);
}

static void on_late_result(struct sbd *s, const char *line, int64_t now_ms)
{
    long v[6] = {0};
    if (!s->note.pending || at_numbers(line, v, 6) < 1)
        return;
    s->late_done = v[0] >= 0 && v[0] <= 4;
    s->quiet_until_ms = 0;
    s->host->ops->trace(s->host, 1, "a result that came late: status=%ld", v[0]);
    if (s->step == SBD_LISTEN)
        sbd_begin(s, now_ms);
}

void sbd_on_news(struct sbd *s, const char *line, int64_t now_ms)
{
    long v[2] = {-1, -1};
    if (strcmp(line, "SBDRING") == 0) {
        s->host->ops->trace(s->host, 1, "the modem rings: a message waits");
        if (s->step == SBD_SESSION)
            s->rang_during = true;
        else
            s->ring = true;
    } else if (strncmp(line, "+CIEV:", 6) == 0 && at_numbers(line, v, 2) == 2) {
        if (v[0] == 0)
            s->signal = (int)v[1];
        else if (v[0] == 1)
            s->service = v[1] == 1;
        if (s->waits_for_service && v[0] == 1 && v[1] == 1) {
            /* At the edge of the sky this comes and goes: not at once each time. */
            int64_t ladder = sbd_ladder_ms(s->note.failures, s->host->ops->random(s->host));
            int64_t least = s->options->min_interval_ms, wait = sbd_scaled(s, ladder > least ? ladder : least);
            if (now_ms + wait < s->next_session_ms)
                s->next_session_ms = now_ms + wait;
            s->waits_for_service = false;
        }
    } else if (strncmp(line, "+SBDIX", 6) == 0) {
        on_late_result(s, line, now_ms);
    } else if (strncmp(line, "HARDWARE FAILURE", 16) == 0) {
        s->host->ops->trace(s->host, 2, "the modem reports: %s", line);
        sbd_alert(s, "the modem reports a hardware failure");
    }
}
