#include "link_drivers/directip_mo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "link_drivers/address_list.h"
#include "link_drivers/directip_wait.h"

enum mo_state {
    MO_READING,
    MO_COMMITTING, /* delivered; not on our disk yet */
    MO_CLOSING,    /* answered; the gateway hangs up */
};

struct directip_mo_connection {
    enum mo_state state;
    int fd;
    int64_t heard_ms;    /* of the last bytes */
    int64_t deadline_ms; /* of the whole message, or of the state */
    size_t n;
    uint8_t bytes[DIRECTIP_MESSAGE_MAX];
    char name[TCP_NAME_BYTES];
};

/* Counts are told at the first, and then at each doubling: strangers do not fill the log. */
static bool worth_telling(uint64_t count)
{
    return (count & (count - 1)) == 0;
}

static int64_t wait_ms(const struct directip_mo *s, enum directip_wait wait)
{
    return directip_wait_ms(wait, 1, 0, s->settings.time_scale);
}

/* --- connections --- */

static void end_connection(struct directip_mo *s, struct directip_mo_connection *c)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->connections[i] == c) {
            s->connections[i] = s->connections[--s->count];
            break;
        }
    s->host->ops->watch(s->host, c->fd, WATCH_NONE);
    close(c->fd);
    if (c == s->speaking)
        s->speaking = NULL;
    else
        free(c);
    tcp_door_ready(&s->door);
}

static void end_bad(struct directip_mo *s, struct directip_mo_connection *c, const char *why)
{
    s->bad++;
    if (worth_telling(s->bad))
        s->host->ops->trace(s->host, 2,
                            "what the MO port was sent is no message: from=%s why=\"%s\" bytes=%zu "
                            "bad=%llu",
                            c->name, why, c->n, (unsigned long long)s->bad);
    end_connection(s, c);
}

static void end_all(struct directip_mo *s)
{
    while (s->count > 0)
        end_connection(s, s->connections[s->count - 1]);
}

/* The connection that has been silent longest, and long enough, in the middle of its message. */
static struct directip_mo_connection *silent_connection(const struct directip_mo *s, int64_t now_ms)
{
    struct directip_mo_connection *found = NULL;
    for (size_t i = 0; i < s->count; i++) {
        struct directip_mo_connection *c = s->connections[i];
        if (c->state == MO_READING && now_ms - c->heard_ms >= wait_ms(s, WAIT_MO_YIELD) &&
            (!found || c->heard_ms < found->heard_ms))
            found = c;
    }
    return found;
}

static bool has_place(void *ctx, int64_t now_ms)
{
    struct directip_mo *s = ctx;
    return s->count < DIRECTIP_MO_CONNECTIONS_MAX || silent_connection(s, now_ms) != NULL;
}

static bool is_allowed(const struct directip_mo *s, int fd)
{
    struct sockaddr_storage from;
    socklen_t length = sizeof(from);
    memset(&from, 0, sizeof(from));
    return getpeername(fd, (struct sockaddr *)&from, &length) == 0 &&
           address_list_has(s->settings.allow, &from);
}

static void take(void *ctx, int fd, const char name[TCP_NAME_BYTES], int64_t now_ms)
{
    struct directip_mo *s = ctx;
    if (!is_allowed(s, fd)) {
        s->strangers++;
        if (worth_telling(s->strangers))
            s->host->ops->trace(s->host, 2,
                                "a caller that mo_allow has not: from=%s strangers=%llu", name,
                                (unsigned long long)s->strangers);
        close(fd);
        return;
    }
    if (s->count == DIRECTIP_MO_CONNECTIONS_MAX)
        end_bad(s, silent_connection(s, now_ms), "silent, and makes room for another");
    struct directip_mo_connection *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd); /* the gateway comes again */
        return;
    }
    c->fd = fd;
    c->heard_ms = now_ms;
    c->deadline_ms = now_ms + wait_ms(s, WAIT_MO_MESSAGE);
    snprintf(c->name, sizeof(c->name), "%s", name);
    s->connections[s->count++] = c;
    s->host->ops->watch(s->host, fd, WATCH_READ);
}

/* --- messages --- */

/* Says that the message is ours, if that is asked for, and lets the gateway hang up first: then it
 * has read our answer. */
static void answer(struct directip_mo *s, struct directip_mo_connection *c, int64_t now_ms)
{
    uint8_t confirmation[DIRECTIP_MO_CONFIRMATION_BYTES];
    if (!s->settings.confirm) {
        end_connection(s, c);
        return;
    }
    directip_mo_confirm(confirmation);
    if (send(c->fd, confirmation, sizeof(confirmation), MSG_NOSIGNAL | MSG_DONTWAIT) !=
        (ssize_t)sizeof(confirmation)) {
        end_connection(s, c); /* it has gone, and brings the message again */
        return;
    }
    c->state = MO_CLOSING;
    c->deadline_ms = now_ms + wait_ms(s, WAIT_MO_CLOSE);
    s->host->ops->watch(s->host, c->fd, WATCH_READ);
}

static void take_message(struct directip_mo *s, struct directip_mo_connection *c,
                         const struct directip_mo_message *m, int64_t now_ms)
{
    s->messages++;
    s->speaking = c;
    bool committing = s->owner->message(s->owner_ctx, m, now_ms);
    bool ended = s->speaking == NULL; /* by the host, from inside deliver */
    s->speaking = NULL;
    if (ended) {
        free(c);
        return;
    }
    if (!committing) {
        answer(s, c, now_ms);
        return;
    }
    c->state = MO_COMMITTING;
    c->deadline_ms = now_ms + wait_ms(s, WAIT_MO_COMMIT);
    s->host->ops->watch(s->host, c->fd, WATCH_NONE);
}

static void read_message(struct directip_mo *s, struct directip_mo_connection *c, int64_t now_ms)
{
    struct directip_mo_message m;
    const char *why = NULL;
    ssize_t n = recv(c->fd, c->bytes + c->n, sizeof(c->bytes) - c->n, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        end_bad(s, c, strerror(errno));
        return;
    }
    if (n == 0) {
        end_bad(s, c, c->n > 0 ? "closed in the middle" : "closed without a word");
        return;
    }
    c->n += (size_t)n;
    c->heard_ms = now_ms;
    switch (directip_mo_decode(c->bytes, c->n, &m, &why)) {
    case DIRECTIP_WHOLE:
        take_message(s, c, &m, now_ms);
        break;
    case DIRECTIP_MORE:
        break;
    case DIRECTIP_BAD:
        end_bad(s, c, why);
        break;
    }
}

/* What comes behind a message is of no interest but for its end. */
static void read_rest(struct directip_mo *s, struct directip_mo_connection *c)
{
    ssize_t n = recv(c->fd, c->bytes, sizeof(c->bytes), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        end_connection(s, c);
}

void directip_mo_committed(struct directip_mo *s, int64_t now_ms)
{
    /* From the end, for an answer may end its connection and move the last one here. */
    for (size_t i = s->count; i-- > 0;)
        if (s->connections[i]->state == MO_COMMITTING)
            answer(s, s->connections[i], now_ms);
}

/* --- the whole --- */

static const struct tcp_door_owner door_owner = {.take = take, .has_place = has_place};

void directip_mo_init(struct directip_mo *s, const struct directip_mo_settings *settings,
                      struct link_host *host, struct link_report *report,
                      const struct directip_mo_owner *owner, void *owner_ctx)
{
    memset(s, 0, sizeof(*s));
    s->settings = *settings;
    s->host = host;
    s->owner = owner;
    s->owner_ctx = owner_ctx;
    tcp_door_init(&s->door, &settings->listen, settings->time_scale, host, report, &door_owner, s);
}

void directip_mo_start(struct directip_mo *s, int64_t now_ms)
{
    tcp_door_start(&s->door, now_ms);
}

void directip_mo_stop(struct directip_mo *s)
{
    end_all(s);
    tcp_door_stop(&s->door);
}

void directip_mo_reset(struct directip_mo *s, const char *why, int64_t now_ms)
{
    end_all(s);
    tcp_door_reset(&s->door, why, now_ms);
}

bool directip_mo_on_fd(struct directip_mo *s, int fd, int64_t now_ms)
{
    if (tcp_door_owns(&s->door, fd)) {
        tcp_door_on_fd(&s->door, fd, now_ms);
        return true;
    }
    for (size_t i = 0; i < s->count; i++) {
        struct directip_mo_connection *c = s->connections[i];
        if (c->fd != fd)
            continue;
        if (c->state == MO_READING)
            read_message(s, c, now_ms);
        else if (c->state == MO_CLOSING)
            read_rest(s, c);
        return true;
    }
    return false;
}

static int64_t connection_deadline(const struct directip_mo *s,
                                   const struct directip_mo_connection *c)
{
    int64_t idle_ms = c->heard_ms + wait_ms(s, WAIT_MO_IDLE);
    return c->state == MO_READING && idle_ms < c->deadline_ms ? idle_ms : c->deadline_ms;
}

static void give_up(struct directip_mo *s, struct directip_mo_connection *c)
{
    switch (c->state) {
    case MO_READING:
        end_bad(s, c, "not whole in time");
        break;
    case MO_COMMITTING:
        /* Not answered, for it is not ours: the gateway keeps it, and comes again. */
        s->host->ops->trace(s->host, 2,
                            "a message is not on disk in time, and not confirmed: from=%s",
                            c->name);
        end_connection(s, c);
        break;
    case MO_CLOSING:
        end_connection(s, c);
        break;
    }
}

void directip_mo_on_timer(struct directip_mo *s, int64_t now_ms)
{
    for (size_t i = s->count; i-- > 0;)
        if (connection_deadline(s, s->connections[i]) <= now_ms)
            give_up(s, s->connections[i]);
    tcp_door_on_timer(&s->door, now_ms);
}

int64_t directip_mo_deadline(const struct directip_mo *s)
{
    int64_t at = s->door.deadline_ms;
    for (size_t i = 0; i < s->count; i++) {
        int64_t deadline = connection_deadline(s, s->connections[i]);
        if (deadline < at)
            at = deadline;
    }
    return at;
}
