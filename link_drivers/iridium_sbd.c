#include "link_drivers/iridium_sbd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/crc32.h"
#include "link_drivers/iridium_sbd_internal.h"

#define READ_BYTES     512
#define READS_AN_EVENT 8
/* Before a session of our own accord the host is asked for a frame that may come along, and has so
 * long. */
#define COMPANY_MS 200
/* A frame that would wait longer than this for a session is given back. */
#define GIVE_BACK_MS 60000
#define ALARM_PLACES 2

int64_t sbd_scaled(const struct sbd *s, int64_t ms)
{
    int64_t scaled = ms / s->options->time_scale;
    return ms > 0 && scaled < 1 ? 1 : scaled;
}

bool sbd_is_up(const struct sbd *s)
{
    return s->report.state == LINK_UP;
}

/* ---- the note ---- */

static int64_t wall_ms(const struct sbd *s)
{
    return s->host->ops->wall_ms ? s->host->ops->wall_ms(s->host) : 0;
}

void sbd_save_note(struct sbd *s, int64_t now_ms)
{
    uint8_t bytes[SBD_NOTE_MAX];
    s->note.wait_ms = s->next_session_ms > now_ms ? s->next_session_ms - now_ms : 0;
    s->note.blocked = s->blocked;
    s->note.wall_ms = wall_ms(s);
    size_t n = sbd_note_write(&s->note, &s->budget, now_ms, bytes);
    int error = s->host->ops->note_write ? s->host->ops->note_write(s->host, bytes, n) : 0;
    if (error < 0) /* worth a credit at most: what is sent twice is known at the far end */
        s->host->ops->trace(s->host, 2, "the state of the link cannot be noted: error=\"%s\"",
                            strerror(-error));
}

static void load_note(struct sbd *s, int64_t now_ms)
{
    uint8_t bytes[LINK_NOTE_MAX];
    size_t n = s->host->ops->note_read ? s->host->ops->note_read(s->host, bytes) : 0;
    if (n == 0)
        return;
    if (!sbd_note_read(&s->note, &s->budget, bytes, n, now_ms, wall_ms(s))) {
        s->host->ops->trace(s->host, 2,
                            "the noted state of the link is not readable, and passed over");
        return;
    }
    s->next_session_ms = now_ms + s->note.wait_ms;
    s->blocked = s->note.blocked && s->note.wait_ms > 0;
    s->settled_until_ms = now_ms + sbd_scaled(s, SETTLED_MS);
    if (s->note.pending) /* the session may still go on, and must not be spoken into */
        s->quiet_until_ms =
            now_ms - s->note.passed_ms + sbd_scaled(s, s->options->session_timeout_ms);
}

/* ---- what the host is told ---- */

void sbd_settle(struct sbd *s, enum send_outcome outcome, int64_t now_ms)
{
    bool held = s->frame.held;
    uint64_t token = s->frame.token;
    s->frame.held = s->frame.in_session = s->frame.known_done = s->frame.known_refused = false;
    sbd_save_note(s, now_ms);
    if (held)
        s->host->ops->sent(s->host, STATION_NONE, token, outcome);
}

/* ---- room, and when something is due ---- */

static bool has_room(struct sbd *s, int64_t now_ms)
{
    return sbd_is_up(s) && !s->frame.held && now_ms >= s->next_session_ms && !s->blocked &&
           sbd_budget_allows(&s->budget, 1, true, now_ms);
}

/* A session of our own accord: for the mailbox. */
static bool mailbox_wanted(struct sbd *s, int64_t now_ms)
{
    return sbd_mailbox_due(s, now_ms) && sbd_budget_allows(&s->budget, 1, false, now_ms);
}

/* Free of charge, and without it no ring is heard; a session to come does it too. */
static bool registration_wanted(const struct sbd *s)
{
    return s->unregistered && !s->frame.held && !s->blocked && sbd_is_up(s);
}

static void earlier(int64_t *at, int64_t other)
{
    if (other < *at)
        *at = other;
}

/* The next moment at which the modem at rest is to be spoken to, or the host to be told of room. */
static int64_t idle_until(struct sbd *s, int64_t now_ms)
{
    int64_t at = INT64_MAX;
    if (s->blocked)
        return s->next_session_ms > now_ms ? s->next_session_ms : now_ms;
    if (s->options->check_ms > 0)
        earlier(&at, s->last_look_ms + sbd_scaled(s, s->options->check_ms));
    if (s->frame.held)
        earlier(&at, s->frame.known_done || s->frame.known_refused ? now_ms : s->next_session_ms);
    else if (mailbox_wanted(s, now_ms))
        earlier(&at, s->company_until_ms > s->next_session_ms ? s->company_until_ms
                                                              : s->next_session_ms);
    else if (s->options->poll_ms > 0) /* not allowed now: a while later again */
        earlier(&at, sbd_mailbox_due(s, now_ms)
                         ? sbd_budget_renews_ms(&s->budget, now_ms)
                         : s->last_done_ms + sbd_scaled(s, s->options->poll_ms));
    if (registration_wanted(s) && !mailbox_wanted(s, now_ms)) /* whose session registers as well */
        earlier(&at,
                s->register_at_ms > s->next_session_ms ? s->register_at_ms : s->next_session_ms);
    if (s->short_of_room && sbd_is_up(s) && !s->frame.held)
        earlier(&at, now_ms < s->next_session_ms ? s->next_session_ms
                                                 : sbd_budget_renews_ms(&s->budget, now_ms));
    return at < now_ms ? now_ms : at;
}

static void arm(struct sbd *s, int64_t now_ms)
{
    int64_t at = INT64_MAX;
    if (s->started && !sbd_is_open(s))
        at = s->reopen_at_ms;
    else if (s->step == SBD_COMMIT)
        at = s->commit_until_ms;
    else if (s->step == SBD_IDLE)
        at = idle_until(s, now_ms);
    else if (s->started)
        at = at_chat_deadline(&s->chat);
    s->host->ops->timer(s->host, at);
}

/* ---- at rest ---- */

static void tell_room(struct sbd *s, int64_t now_ms)
{
    if (s->short_of_room && has_room(s, now_ms)) {
        s->short_of_room = false;
        s->host->ops->writable(s->host, STATION_NONE);
    }
}

static void go(struct sbd *s, int64_t now_ms)
{
    s->going = true;
    sbd_enter(s, SBD_LOOK, now_ms);
}

/* What the modem at rest is to do now, if anything. */
static void decide(struct sbd *s, int64_t now_ms)
{
    if (s->frame.held && s->frame.known_done) {
        s->note.settled = false;
        s->bytes_out += s->frame.n;
        sbd_settle(s, SEND_DONE, now_ms);
    }
    if (s->frame.held && s->frame.known_refused) {
        s->next_session_ms = now_ms + sbd_scaled(s, sbd_policy_of(12)->wait_ms);
        sbd_settle(s, SEND_FAILED, now_ms);
    }
    /* Given back, so that an alarm that comes meanwhile is the first to go. */
    if (s->frame.held && s->next_session_ms - now_ms > sbd_scaled(s, GIVE_BACK_MS))
        sbd_settle(s, SEND_FAILED, now_ms);
    if (s->blocked) {
        if (now_ms < s->next_session_ms)
            return;
        s->blocked = false; /* once, to see whether somebody has acted */
        sbd_enter(s, SBD_LOOK, now_ms);
    } else if (now_ms < s->next_session_ms) {
        /* Nothing is begun. */
    } else if (s->frame.held) {
        go(s, now_ms);
    } else if (mailbox_wanted(s, now_ms)) {
        if (s->company_until_ms == 0) {
            s->company_until_ms = now_ms + COMPANY_MS;
            s->short_of_room = false;
            s->host->ops->writable(s->host, STATION_NONE);
        } else if (now_ms >= s->company_until_ms) {
            go(s, now_ms);
        }
    } else if (registration_wanted(s) && now_ms >= s->register_at_ms) {
        sbd_enter(s, SBD_REGISTER, now_ms);
    }
    if (s->step == SBD_IDLE && s->options->check_ms > 0 &&
        now_ms >= s->last_look_ms + sbd_scaled(s, s->options->check_ms))
        sbd_enter(s, SBD_LOOK, now_ms);
}

/* After each event: begins what is due, hands over what is to be said, sets the timer. */
static void go_on(struct sbd *s, int64_t now_ms)
{
    if (s->step == SBD_IDLE)
        decide(s, now_ms);
    if (sbd_is_open(s) && !sbd_flush(s))
        sbd_drop(s, "the port is gone (unplugged?)", now_ms);
    tell_room(s, now_ms);
    arm(s, now_ms);
}

/* ---- ops ---- */

static int sbd_init(void *ctx, const void *options, struct link_host *host)
{
    struct sbd *s = ctx;
    s->options = options;
    s->model = &sbd_models[s->options->model];
    s->host = host;
    serial_port_init(&s->port);
    at_chat_init(&s->chat);
    s->signal = s->service = -1;
    s->last_status = -1;
    sbd_budget_init(&s->budget, s->options->time_scale);
    for (size_t i = 0; i < s->options->budget.count; i++)
        if (sbd_budget_read(&s->budget, s->options->budget.items[i]))
            return -EINVAL;
    return 0;
}

static void sbd_start(void *ctx, int64_t now_ms)
{
    struct sbd *s = ctx;
    if (s->started)
        return;
    s->started = true;
    s->open_failures = 0;
    s->last_done_ms = s->last_look_ms = now_ms;
    load_note(s, now_ms);
    link_report(&s->report, s->host, LINK_CONNECTING, "opening %s", s->options->device);
    sbd_try_open(s, now_ms);
    go_on(s, now_ms);
}

/* A session under way is left to the modem, and resolved at the next start. */
static void sbd_stop(void *ctx, int64_t now_ms)
{
    struct sbd *s = ctx;
    if (!s->started)
        return;
    s->started = false;
    s->short_of_room = false;
    sbd_close_port(s);
    if (s->frame.held)
        sbd_settle(s, s->frame.in_session ? SEND_UNKNOWN : SEND_FAILED, now_ms);
    arm(s, now_ms);
    link_report(&s->report, s->host, LINK_DOWN, "stopped");
}

static void sbd_fini(void *ctx)
{
    struct sbd *s = ctx;
    sbd_stop(ctx, 0);
    at_chat_fini(&s->chat);
}

static size_t sbd_mtu(void *ctx, station_t station)
{
    const struct sbd *s = ctx;
    return s->model->mo_max;
}

static void sbd_terms(void *ctx, station_t station, struct link_terms *out)
{
    struct sbd *s = ctx;
    const struct sbd_options *o = s->options;
    *out = (struct link_terms){.quantum_bytes = (uint32_t)o->credit_bytes,
                               .hold_ms = sbd_scaled(s, o->hold_ms),
                               .ack_max_age_ms = sbd_scaled(s, o->ack_max_age_ms),
                               .alarm_places = ALARM_PLACES};
}

static size_t sbd_room(void *ctx, station_t station, int64_t now_ms)
{
    struct sbd *s = ctx;
    if (station != STATION_NONE)
        return 0;
    if (has_room(s, now_ms))
        return s->model->mo_max;
    if (s->started && !s->short_of_room) {
        s->short_of_room = true;
        arm(s, now_ms);
    }
    return 0;
}

static int sbd_send(void *ctx, station_t station, const uint8_t *bytes, size_t n, uint64_t token,
                    bool urgent, int64_t now_ms)
{
    struct sbd *s = ctx;
    if (station != STATION_NONE || !sbd_is_up(s))
        return -ENOTCONN;
    if (n == 0 || n > s->model->mo_max)
        return -EMSGSIZE;
    if (!has_room(s, now_ms) ||
        !sbd_budget_allows(&s->budget, sbd_credits(n, s->options->credit_bytes), urgent, now_ms)) {
        if (has_room(s, now_ms))
            sbd_alert(s, SBD_BUDGET_WORDS);
        s->short_of_room = true;
        arm(s, now_ms);
        return -EAGAIN;
    }
    memcpy(s->frame.bytes, bytes, n);
    s->frame.n = n;
    s->frame.token = token;
    s->frame.urgent = urgent;
    s->frame.held = true;
    s->frame.in_session = false;
    uint32_t crc = crc32_add(0, bytes, n);
    s->frame.known_refused = n == s->refused_bytes && crc == s->refused_crc;
    s->frame.known_done = s->note.settled && now_ms < s->settled_until_ms &&
                          n == s->note.settled_bytes && crc == s->note.settled_crc;
    if (s->step == SBD_IDLE) /* not from here: the host is in the midst of its own */
        s->host->ops->timer(s->host, now_ms);
    return 0;
}

static void sbd_committed(void *ctx, int64_t now_ms)
{
    struct sbd *s = ctx;
    s->committed_early = s->delivering;
    if (s->step != SBD_COMMIT)
        return;
    sbd_on_committed(s, now_ms);
    go_on(s, now_ms);
}

static void sbd_reset(void *ctx, station_t station, const char *why, int64_t now_ms)
{
    struct sbd *s = ctx;
    if (station != STATION_NONE || !sbd_is_open(s))
        return;
    sbd_drop(s, why, now_ms);
    arm(s, now_ms);
}

static void feed(struct sbd *s, const uint8_t *bytes, size_t n, int64_t now_ms)
{
    while (sbd_is_open(s)) {
        enum at_event event = at_chat_feed(&s->chat, &bytes, &n, now_ms);
        if (event == AT_NOTHING)
            return;
        if (event == AT_NEWS)
            sbd_on_news(s, s->chat.news, now_ms);
        else
            sbd_on_answer(s, now_ms);
    }
}

/* Return: false when the device is gone. */
static bool read_port(struct sbd *s, int64_t now_ms)
{
    uint8_t bytes[READ_BYTES];
    for (int i = 0; i < READS_AN_EVENT && sbd_is_open(s); i++) {
        ssize_t got = serial_port_read(&s->port, bytes, sizeof(bytes));
        if (got < 0)
            return false;
        feed(s, bytes, (size_t)got, now_ms);
        if ((size_t)got < sizeof(bytes))
            return true;
    }
    return true;
}

static void sbd_on_fd(void *ctx, int fd, unsigned events, int64_t now_ms)
{
    struct sbd *s = ctx;
    if (!sbd_is_open(s) || fd != s->port.fd)
        return; /* an event of a port that was closed in the same turn of the loop */
    bool alive = !(events & WATCH_READ) || read_port(s, now_ms);
    if (sbd_is_open(s) && (!alive || !tty_alive(s->port.fd))) {
        char why[SERIAL_PORT_WHY_BYTES + 32];
        snprintf(why, sizeof(why), "%s is gone (unplugged?)", s->port.path);
        sbd_drop(s, why, now_ms);
    }
    go_on(s, now_ms);
}

static void sbd_on_timer(void *ctx, int64_t now_ms)
{
    struct sbd *s = ctx;
    if (!s->started)
        return;
    if (!sbd_is_open(s) && now_ms >= s->reopen_at_ms)
        sbd_try_open(s, now_ms);
    else if (s->step == SBD_COMMIT && now_ms >= s->commit_until_ms)
        sbd_on_committed(s, now_ms);
    else if (sbd_is_open(s) && at_chat_on_time(&s->chat, now_ms) == AT_ANSWER)
        sbd_on_answer(s, now_ms);
    go_on(s, now_ms);
}

static void sbd_status(void *ctx, struct link_status *out)
{
    struct sbd *s = ctx;
    *out = (struct link_status){.bytes_in = s->bytes_in, .bytes_out = s->bytes_out};
    char credits[32] = "";
    if (s->budget.total > 0)
        snprintf(credits, sizeof(credits), ", %llu credits", (unsigned long long)s->budget.total);
    snprintf(out->detail, sizeof(out->detail), "%s%s%s%s", s->alert ? s->alert : "",
             s->alert ? ": " : "", s->report.why, credits);
}

const struct link_driver sbd_driver = {
    .name = "iridium-sbd",
    .kind = LINK_DATAGRAM,
    .options = &sbd_option_group,
    .ctx_size = sizeof(struct sbd),
    .init = sbd_init,
    .fini = sbd_fini,
    .start = sbd_start,
    .stop = sbd_stop,
    .room = sbd_room,
    .send = sbd_send,
    .mtu = sbd_mtu,
    .terms = sbd_terms,
    .committed = sbd_committed,
    .rate = NULL,        /* DATAGRAM: what counts is the credit, not the second */
    .avoid = NULL,       /* bytes are counted, not looked at */
    .half_duplex = NULL, /* a session carries both directions */
    .calls = NULL,       /* the gateway knows us by the modem's IMEI */
    .reset = sbd_reset,
    .on_fd = sbd_on_fd,
    .on_timer = sbd_on_timer,
    .status = sbd_status,
};
