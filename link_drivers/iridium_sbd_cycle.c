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

#define HUSH_MS      100
#define WAKE_MS      (1 * SECOND)
#define WAKE_SLOW_MS (10 * SECOND)
/* Silences before it is told that nobody answers: a bare 9602 starts within 10 s. */
#define WAKE_TRIES 20
/* One behind a capacitor starts within 4 minutes. */
#define WAKE_FAST_TRIES 240
#define ANSWER_MS       (5 * SECOND)
/* However much a test shortens time: its machine may be busy. */
#define ANSWER_LEAST_MS (2 * SECOND)
#define WAKE_LEAST_MS   400 /* one that is missed is followed by the next */
#define TAIL_MS         (5 * SECOND)  /* for an OK behind what was wanted */
#define READY_MS        (15 * SECOND) /* up to 10 s are seen */
/* Beyond session_timeout: then the result is unknown, ... */
#define GUARD_MS (90 * SECOND)
/* ... and then no session goes on any more. */
#define LINGER_MS (30 * SECOND)
#define COMMIT_MS (60 * SECOND)
/* Beginnings in a row without a look at the buffers: this is no modem for us. */
#define VAIN_MAX     5
#define VAIN_WAIT_MS (30 * SECOND)

/* A refusal is tried again `tries` times; silence never is: it leads to `begin`. */
static const struct row {
    const char *command; /* NULL: see command_of */
    enum at_form form;
    const char *info;
    bool info_may_miss;
    int64_t timeout_ms;
    unsigned tries;
    enum sbd_step next;    /* unless a function says otherwise */
    sbd_handler *answered; /* NULL: next */
    sbd_handler *refused;  /* NULL: next too: the modem need not know this command */
} rows[SBD_STEPS] = {
    [SBD_LISTEN] = {.form = AT_LISTEN, .next = SBD_HUSH},
    [SBD_HUSH] = {.form = AT_HUSH, .timeout_ms = HUSH_MS, .next = SBD_WAKE},
    /* ATQ0 and not AT: a modem left at Q1 would never answer. */
    [SBD_WAKE] = {"ATQ0", .timeout_ms = WAKE_MS, .next = SBD_HUSH_AGAIN, .answered = sbd_on_awake,
                  .refused = sbd_on_awake},
    [SBD_HUSH_AGAIN] = {.form = AT_HUSH, .timeout_ms = HUSH_MS, .next = SBD_ECHO_OFF},
    [SBD_ECHO_OFF] = {"ATE0", .timeout_ms = ANSWER_MS, .tries = 2, .next = SBD_WORDS,
                      .answered = sbd_on_echo_off, .refused = sbd_on_echo_off},
    [SBD_WORDS] = {"ATV1", .timeout_ms = ANSWER_MS, .tries = 2, .next = SBD_DTR},
    [SBD_DTR] = {"AT&D0", .timeout_ms = ANSWER_MS, .next = SBD_FLOW},
    [SBD_FLOW] = {.timeout_ms = ANSWER_MS, .next = SBD_MODEL},
    [SBD_MODEL] = {"AT+CGMM", .info = "", .info_may_miss = true, .timeout_ms = ANSWER_MS,
                   .next = SBD_FIRMWARE, .answered = sbd_on_model},
    [SBD_FIRMWARE] = {"AT+CGMR", .info = "Call Processor Version", .info_may_miss = true,
                      .timeout_ms = ANSWER_MS, .next = SBD_IMEI, .answered = sbd_on_firmware},
    [SBD_IMEI] = {"AT+CGSN", .info = "", .info_may_miss = true, .timeout_ms = ANSWER_MS, .tries = 2,
                  .next = SBD_RING, .answered = sbd_on_imei, .refused = sbd_no_imei},
    [SBD_RING] = {"AT+SBDMTA=1", .timeout_ms = ANSWER_MS, .tries = 2, .next = SBD_EVENTS},
    [SBD_EVENTS] = {"AT+CIER=1,1,1", .timeout_ms = ANSWER_MS, .next = SBD_TIMEOUT},
    [SBD_TIMEOUT] = {.timeout_ms = ANSWER_MS, .next = SBD_REGISTERED},
    [SBD_REGISTERED] = {"AT+SBDREG?", .info = "+SBDREG", .info_may_miss = true,
                        .timeout_ms = ANSWER_MS, .answered = sbd_on_registered,
                        .refused = sbd_on_set_up},
    [SBD_LOOK] = {"AT+SBDSX", .info = "+SBDSX", .timeout_ms = ANSWER_MS, .tries = 3,
                  .answered = sbd_on_look},
    [SBD_READ] = {"AT+SBDRB", AT_READ, .timeout_ms = ANSWER_MS, .tries = 3, .answered = sbd_on_read,
                  .refused = sbd_no_read},
    [SBD_CLEAR_MT] = {"AT+SBDD1", AT_DIGIT, .timeout_ms = ANSWER_MS, .tries = 2,
                      .answered = sbd_on_mt_clear, .refused = sbd_no_mt_clear},
    [SBD_CLEAR_MO] = {"AT+SBDD0", AT_DIGIT, .timeout_ms = ANSWER_MS, .tries = 3,
                      .answered = sbd_on_mo_clear, .refused = sbd_no_mo_clear},
    [SBD_SYSTEM_TIME] = {"AT-MSSTM", .info = "-MSSTM", .timeout_ms = ANSWER_MS,
                         .answered = sbd_on_time_known, .refused = sbd_on_time_known},
    [SBD_WRITE] = {NULL, AT_WRITE, .timeout_ms = READY_MS, .tries = 3, .answered = sbd_on_written,
                   .refused = sbd_not_written},
    [SBD_SESSION] = {.info = "+SBDIX", .answered = sbd_on_session, .refused = sbd_no_session},
    [SBD_ASK_WAIT] = {"AT+SBDLOE", .info = "+SBDLOE", .timeout_ms = 20 * SECOND,
                      .answered = sbd_on_wait_told, .refused = sbd_no_wait_told},
    [SBD_RADIO_ON] = {"AT*R1", .timeout_ms = ANSWER_MS, .answered = sbd_on_radio_on,
                      .refused = sbd_no_radio},
    [SBD_REGISTER] = {"AT+SBDREG", .info = "+SBDREG", .answered = sbd_on_register,
                      .refused = sbd_no_register},
    [SBD_PLACE] = {"AT-MSGEO", .info = "-MSGEO", .timeout_ms = ANSWER_MS, .answered = sbd_on_place,
                   .refused = sbd_no_place},
};

/* ---- asking ---- */

static const char *command_of(struct sbd *s, enum sbd_step step)
{
    const struct sbd_options *o = s->options;
    switch ((int)step) {
    case SBD_FLOW:
        return o->flow ? "AT&K3" : "AT&K0";
    case SBD_TIMEOUT:
        snprintf(s->command, sizeof(s->command), "AT+SBDST=%d",
                 (int)(o->session_timeout_ms / SECOND));
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
    return at_least(s, ms, step == SBD_WAKE ? WAKE_LEAST_MS : ANSWER_LEAST_MS);
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
        /* Ten bits a byte: at a low rate a large message takes longer than any modem thinks. */
        q.timeout_ms += (int64_t)s->frame.n * 10 * SECOND / s->baud;
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
    s->ring_stale = false; /* it may have rung while nobody listened: a credit at most */
    s->silences = 0;
    sbd_enter(s, s->quiet_until_ms > now_ms ? SBD_LISTEN : SBD_HUSH, now_ms);
}

/* ---- nobody answers, or not as it should ---- */

/* The frame may take another link; what became of it is in the note, and comes out when the modem
 * is back. */
static void give_up(struct sbd *s, int64_t now_ms)
{
    if (s->frame.held)
        sbd_settle(s, s->frame.in_session ? SEND_UNKNOWN : SEND_FAILED, now_ms);
}

/* Begins again, but not for ever at once: what answers, but never as an SBD modem does, is another
 * kind of modem. */
void sbd_begin_again(struct sbd *s, int64_t now_ms)
{
    if (++s->vain >= VAIN_MAX) {
        s->vain = 0;
        give_up(s, now_ms);
        link_report(&s->report, s->host, LINK_DOWN,
                    "%s: what answers there does not answer as an SBD modem", s->port.path);
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
        sbd_register_later(s, 0, now_ms);
    s->quiet_until_ms = 0; /* the guard was longer than any session */
    sbd_begin_again(s, now_ms);
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
            int64_t least = s->options->min_interval_ms,
                    wait = sbd_scaled(s, ladder > least ? ladder : least);
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
