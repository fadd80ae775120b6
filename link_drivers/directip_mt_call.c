#include "link_drivers/directip_mt_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "link_drivers/directip_refusal.h"
#include "link_drivers/tcp_socket.h"

void directip_mt_hang_up(struct directip_mt *c, struct directip_mt_station *s)
{
    struct directip_mt_job *j = s->job;
    if (j->state == JOB_WAITING)
        return;
    c->host->ops->watch(c->host, j->fd, WATCH_NONE);
    close(j->fd);
    j->fd = -1;
    j->state = JOB_WAITING;
    for (size_t i = 0; i < c->active_count; i++)
        if (c->active[i] == s) {
            c->active[i] = c->active[--c->active_count];
            break;
        }
}

/* The connection ended without an answer that can be believed. */
static void unanswered(struct directip_mt *c, struct directip_mt_station *s, const char *why,
                       int64_t now_ms)
{
    struct directip_mt_job *j = s->job;
    bool whole = j->sent_n == j->message_n;
    directip_mt_hang_up(c, s);
    j->may_have_left = j->may_have_left || whole;
    j->tries++;
    c->unanswered++;
    c->host->ops->trace(c->host, j->tries == 1 ? 1 : 2,
                        "a message has no answer: to=%s why=\"%s\" id=%08x try=%u", s->name, why,
                        j->id, j->tries);
    if (!j->may_have_left) {
        directip_mt_finish(c, s, SEND_FAILED, now_ms);
        directip_mt_gateway_failed(c, WAIT_MT_GATEWAY, why, now_ms);
    } else if (j->tries >= DIRECTIP_MT_TRIES_MAX) {
        directip_mt_finish(c, s, SEND_UNKNOWN, now_ms);
        directip_mt_rest(c, s, WAIT_MT_AGAIN, now_ms);
    } else {
        j->at_ms = now_ms + directip_mt_wait_ms(c, WAIT_MT_AGAIN, j->tries);
    }
}

/* --- its connection --- */

static void prepare(struct directip_mt_station *s)
{
    struct directip_mt_job *j = s->job;
    struct directip_mt_message m = {
        .id = j->id, .priority = j->priority, .payload = j->payload, .payload_len = j->payload_n};
    memcpy(m.imei, s->imei, sizeof(m.imei));
    j->message_n = directip_mt_encode(&m, j->message);
    j->sent_n = j->answer_n = 0;
}

static void connect_next(struct directip_mt *c, struct directip_mt_station *s, const char *why,
                         int64_t now_ms)
{
    struct directip_mt_job *j = s->job;
    directip_mt_hang_up(c, s);
    while (j->next_address < c->address_count) {
        const struct resolve_result *a = &c->addresses[j->next_address++];
        int fd = tcp_socket_connect(&a->address, a->address_len);
        if (fd < 0) {
            why = strerror(-fd);
            continue;
        }
        j->fd = fd;
        j->state = JOB_CONNECTING;
        j->at_ms = now_ms + directip_mt_wait_ms(c, WAIT_MT_CONNECT, 1);
        c->active[c->active_count++] = s;
        c->host->ops->watch(c->host, fd, WATCH_WRITE);
        return;
    }
    /* The message did not leave now; a try before may have been another matter. */
    if (j->may_have_left && ++j->tries >= DIRECTIP_MT_TRIES_MAX)
        directip_mt_finish(c, s, SEND_UNKNOWN, now_ms);
    else
        j->at_ms = now_ms;
    directip_mt_gateway_failed(c, WAIT_MT_GATEWAY, why, now_ms);
}

static void on_connected(struct directip_mt *c, struct directip_mt_station *s, int64_t now_ms)
{
    struct directip_mt_job *j = s->job;
    struct tcp_tuning tuning = {.timeout_ms = directip_mt_wait_ms(c, WAIT_MT_ANSWER, 1)};
    int error = tcp_socket_connected(j->fd);
    if (error == -ENOTCONN)
        return; /* a stale event */
    if (error < 0) {
        connect_next(c, s, strerror(-error), now_ms);
        return;
    }
    tcp_socket_tune(j->fd, &tuning);
    j->state = JOB_SENDING;
    j->at_ms = now_ms + directip_mt_wait_ms(c, WAIT_MT_ANSWER, 1);
}

static void send_some(struct directip_mt *c, struct directip_mt_station *s, int64_t now_ms)
{
    struct directip_mt_job *j = s->job;
    ssize_t n =
        send(j->fd, j->message + j->sent_n, j->message_n - j->sent_n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            unanswered(c, s, strerror(errno), now_ms);
        return;
    }
    j->sent_n += (size_t)n;
    if (j->sent_n < j->message_n)
        return;
    j->state = JOB_ANSWER;
    c->host->ops->watch(c->host, j->fd, WATCH_READ);
}

/* --- the answer --- */

static void on_taken(struct directip_mt *c, struct directip_mt_station *s,
                     const struct directip_mt_answer *answer, int64_t now_ms)
{
    unsigned place = answer->status > 0 ? (unsigned)answer->status : 1;
    /* Without priority it is the last of the queue, so that its place is the length. */
    if (s->job->priority == DIRECTIP_PRIORITY_NONE || place > s->queued + 1)
        s->queued = place;
    else
        s->queued++;
    s->queued_ms = now_ms;
    s->refusals = 0;
    s->lasting = false;
    c->taken++;
    directip_mt_finish(c, s, SEND_DONE, now_ms);
}

static void on_refused(struct directip_mt *c, struct directip_mt_station *s, int16_t status,
                       int64_t now_ms)
{
    const struct directip_refusal *r = directip_refusal_of(status);
    if (status == DIRECTIP_MT_PROTOCOL && s->job->priority != DIRECTIP_PRIORITY_NONE) {
        c->host->ops->trace(c->host, 2,
                            "the gateway may know no priority as mt_priority has it: "
                            "left out from here on");
        c->settings.priority = DIRECTIP_PRIORITY_NONE;
    }
    c->refused++;
    c->host->ops->trace(c->host, r->lasting ? 2 : 1,
                        "the gateway refused a message: to=%s imei=%s status=%d why=\"%s\"",
                        s->name, s->imei, status, r->words);
    directip_mt_finish(c, s, SEND_FAILED, now_ms);
    switch (r->scope) {
    case REFUSAL_OF_US:
        directip_mt_gateway_failed(c, r->wait, r->words, now_ms);
        break;
    case REFUSAL_OF_MODEM:
        directip_mt_rest(c, s, r->wait, now_ms);
        s->lasting = r->lasting;
        if (r->lasting)
            directip_mt_station_down(c, s, r->words);
        break;
    }
}

static void read_answer(struct directip_mt *c, struct directip_mt_station *s, int64_t now_ms)
{
    struct directip_mt_job *j = s->job;
    struct directip_mt_answer answer;
    const char *why = NULL;
    ssize_t n = recv(j->fd, j->answer + j->answer_n, sizeof(j->answer) - j->answer_n, 0);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            unanswered(c, s, n == 0 ? "closed by the gateway" : strerror(errno), now_ms);
        return;
    }
    j->answer_n += (size_t)n;
    switch (directip_mt_answer_decode(j->answer, j->answer_n, &answer, &why)) {
    case DIRECTIP_MORE:
        if (j->answer_n == sizeof(j->answer))
            unanswered(c, s, "the answer has no end", now_ms);
        return;
    case DIRECTIP_BAD:
        unanswered(c, s, why, now_ms);
        return;
    case DIRECTIP_WHOLE:
        break;
    }
    if (answer.id != j->id || strcmp(answer.imei, s->imei) != 0) {
        unanswered(c, s, "the answer is to another message", now_ms);
        return;
    }
    directip_mt_gateway_works(c);
    if (answer.status >= 0)
        on_taken(c, s, &answer, now_ms);
    else
        on_refused(c, s, answer.status, now_ms);
}

/* --- what drives it --- */

void directip_mt_call(struct directip_mt *c, struct directip_mt_station *s, int64_t now_ms)
{
    s->job->next_address = 0;
    prepare(s);
    connect_next(c, s, "no address", now_ms);
}

void directip_mt_call_on_fd(struct directip_mt *c, struct directip_mt_station *s, int64_t now_ms)
{
    switch (s->job->state) {
    case JOB_CONNECTING:
        on_connected(c, s, now_ms);
        break;
    case JOB_SENDING:
        send_some(c, s, now_ms);
        break;
    case JOB_ANSWER:
        read_answer(c, s, now_ms);
        break;
    case JOB_WAITING: /* it has no connection */
        break;
    }
}

void directip_mt_call_overdue(struct directip_mt *c, struct directip_mt_station *s, int64_t now_ms)
{
    if (s->job->state == JOB_CONNECTING)
        connect_next(c, s, "does not answer", now_ms);
    else
        unanswered(c, s, "no answer in time", now_ms);
}
