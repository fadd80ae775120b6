/* The cycle of an Iridium SBD modem: the look at its buffers, what lies in them, the session and
 * what its result leads to. */
#include "link_drivers/iridium_sbd_internal.h"

#include <string.h>

#define SECOND 1000ll
#define MINUTE (60 * SECOND)

#define NOT_BEGUN_MS     (30 * SECOND) /* after a session that the modem would not begin */
#define BUFFER_STUCK_MS  (5 * MINUTE)
#define DAMAGED_MAX      6  /* looks at an MT message that never comes over whole */
#define MOMSN_AHEAD_MAX  16 /* more is not the same modem, or its count was cleared */
#define ASKED_WAIT_MAX_S (24 * 3600)
#define RESULT_FIELDS    6 /* of +SBDIX */

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
    link_report(&s->report, s->host, LINK_UP, "%s: %s %s IMEI %s", s->port.path,
                s->kind[0] ? s->kind : "modem", s->firmware, s->imei[0] ? s->imei : "not known");
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
        sbd_alert(s, SBD_BUDGET_WORDS);
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
    /* Too late for a while already: then a session may clear the buffer. The far end still has the
     * frame. */
    sbd_enter(s, now_ms >= s->commit_until_ms ? after_look(s, now_ms) : SBD_CLEAR_MT, now_ms);
}

enum sbd_step sbd_on_look(struct sbd *s, int64_t now_ms)
{
    long v[6] = {0};
    size_t n = at_numbers(s->chat.info, v, 6);
    if (n < 4) { /* a byte was lost on the line */
        sbd_begin_again(s, now_ms);
        return s->step;
    }
    s->vain = 0;
    s->last_look_ms = now_ms;
    s->momsn = v[1];
    if (s->note.pending)
        resolve(s, now_ms);
    /* Raised by each ring, taken back by a session: where it stays up behind one, it tells nothing.
     */
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
    if (!s->echo_stays &&
        s->chat.echoes !=
            s->echoes) { /* it has started anew meanwhile, and forgot what it was told */
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

enum sbd_step sbd_on_read(struct sbd *s, int64_t now_ms)
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
enum sbd_step sbd_no_read(struct sbd *s, int64_t now_ms)
{
    if (++s->mt_damaged <= DAMAGED_MAX) {
        sbd_begin(s, now_ms);
        return s->step;
    }
    s->mt_lost++;
    s->mt_damaged = 0;
    sbd_alert(s, "a message for us cannot be read off the modem: the line is bad, or it is larger "
                 "than this model takes");
    return SBD_CLEAR_MT;
}

enum sbd_step sbd_on_mt_clear(struct sbd *s, int64_t now_ms)
{
    return after_look(s, now_ms);
}

enum sbd_step sbd_no_mt_clear(struct sbd *s, int64_t now_ms)
{
    return after_look(s, now_ms); /* a session clears it too, and read twice it is known */
}

/* ---- MO ---- */

enum sbd_step sbd_on_mo_clear(struct sbd *s, int64_t now_ms)
{
    s->mo_dirty = false;
    return after_look(s, now_ms);
}

/* A session would send the old message again, and be billed. */
enum sbd_step sbd_no_mo_clear(struct sbd *s, int64_t now_ms)
{
    sbd_alert(s, "the modem does not clear its buffer");
    s->going = false;
    s->next_session_ms = now_ms + sbd_scaled(s, BUFFER_STUCK_MS);
    return SBD_IDLE;
}

/* "-MSSTM: no network service", or an eight-digit count. Modems that do not know the question know
 * sessions. */
enum sbd_step sbd_on_time_known(struct sbd *s, int64_t now_ms)
{
    if (!strstr(s->chat.info, "no network"))
        return set_out(s, now_ms);
    s->going = false;
    s->waits_for_service = true;
    s->next_session_ms = now_ms + sbd_scaled(s, sbd_policy_of(32)->wait_ms);
    return SBD_IDLE;
}

enum sbd_step sbd_on_written(struct sbd *s, int64_t now_ms)
{
    return SBD_SESSION;
}

enum sbd_step sbd_not_written(struct sbd *s, int64_t now_ms)
{
    bool size = s->chat.outcome == AT_REFUSED && s->chat.digit == 3;
    sbd_alert(s, size ? "the modem takes no message of this size: is the model right?"
                      : "the modem does not take a message into its buffer");
    s->note.failures++;
    s->next_session_ms =
        now_ms +
        sbd_scaled(s, size ? sbd_policy_of(12)->wait_ms
                           : sbd_ladder_ms(s->note.failures, s->host->ops->random(s->host)));
    sbd_settle(s, SEND_FAILED, now_ms);
    return SBD_LOOK;
}

/* ---- the session ---- */

bool sbd_mailbox_due(const struct sbd *s, int64_t now_ms)
{
    int64_t poll_ms = s->options->poll_ms;
    return s->ring || s->queued > 0 ||
           (poll_ms > 0 && now_ms - s->last_done_ms >= sbd_scaled(s, poll_ms));
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
    if (s->note.with_frame || !s->frame.held)
        sbd_settle(s, SEND_DONE, now_ms);
    else
        sbd_save_note(s, now_ms); /* given to us while the session was under way: the next one takes it */
}

/* After a session that gave nothing: longer with each in a row, whatever is asked of us or thought enough. */
static void wait_at_least(struct sbd *s, int64_t wait_ms, int64_t now_ms)
{
    int64_t least = s->options->min_interval_ms,
            ladder = sbd_ladder_ms(++s->note.failures, s->host->ops->random(s->host));
    wait_ms = wait_ms > ladder ? wait_ms : ladder;
    s->next_session_ms = now_ms + sbd_scaled(s, wait_ms > least ? wait_ms : least);
}

static enum sbd_step session_failed(struct sbd *s, long status, int64_t now_ms)
{
    const struct sbd_policy *p = sbd_policy_of(status);
    int64_t wait = p->wait_ms, least = sbd_scaled(s, s->options->min_interval_ms);
    s->note.failures++;
    s->sessions_failed++;
    sbd_report_session(s, &status, 1, 0);
    s->host->ops->trace(s->host, 1, "session failed, %s: status=%ld failures=%u", p->words, status,
                        s->note.failures);
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

enum sbd_step sbd_on_session(struct sbd *s, int64_t now_ms)
{
    long v[6] = {0};
    size_t n = at_numbers(s->chat.info, v, 6);
    s->quiet_until_ms = 0;
    /* Bytes were lost on the line, and what looks like a success may be the beginning of another number: the look finds out. */
    if (n == 0 || (n < RESULT_FIELDS && v[0] >= 0 && v[0] <= 4)) {
        wait_at_least(s, 0, now_ms);
        return SBD_LOOK;
    }
    s->last_status = v[0];
    /* It has started anew between the writing and the session, and forgot what it was to send: this
     * was a look into the mailbox, whatever it says. */
    if (s->frame.in_session && !s->echo_stays && s->chat.echoes != s->echoes) {
        s->host->ops->trace(s->host, 1,
                            "the modem has restarted with the message in its buffer: device=%s",
                            s->port.path);
        s->note.with_frame = false;
        sbd_settle(s, SEND_UNKNOWN, now_ms);
    }
    if (v[0] < 0 || v[0] > 4)
        return session_failed(s, v[0], now_ms);
    session_done(s, v, now_ms);
    return v[2] == 1 ? SBD_READ : SBD_LOOK;
}

/* ERROR: no session was begun. */
enum sbd_step sbd_no_session(struct sbd *s, int64_t now_ms)
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
enum sbd_step sbd_on_wait_told(struct sbd *s, int64_t now_ms)
{
    long v[2] = {1, 0};
    if (at_numbers(s->chat.info, v, 2) == 2 && v[0] == 0 && v[1] >= 0) {
        int64_t seconds = v[1] < ASKED_WAIT_MAX_S ? v[1] : ASKED_WAIT_MAX_S;
        s->note.failures--; /* session_failed has counted it */
        wait_at_least(s, seconds * SECOND, now_ms);
        s->host->ops->trace(s->host, 1, "the network asks to wait: seconds=%ld", v[1]);
    }
    sbd_save_note(s, now_ms);
    return SBD_LOOK;
}

enum sbd_step sbd_no_wait_told(struct sbd *s, int64_t now_ms)
{
    return SBD_LOOK;
}

enum sbd_step sbd_on_radio_on(struct sbd *s, int64_t now_ms)
{
    s->radio_tried = true;
    s->next_session_ms = now_ms + sbd_scaled(s, s->options->min_interval_ms);
    return SBD_LOOK;
}

enum sbd_step sbd_no_radio(struct sbd *s, int64_t now_ms)
{
    s->radio_tried = true;
    return SBD_LOOK;
}

enum sbd_step sbd_on_place(struct sbd *s, int64_t now_ms)
{
    sbd_report_place(s, s->chat.info);
    return SBD_IDLE;
}

enum sbd_step sbd_no_place(struct sbd *s, int64_t now_ms)
{
    s->no_place = true;
    return SBD_IDLE;
}
