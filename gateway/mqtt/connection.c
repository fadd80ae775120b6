#include "gateway/mqtt/connection.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include "gateway/mqtt/backoff.h"
#include "gateway/mqtt/connection_dial.h"
#include "gateway/mqtt/tls.h"

#define READ_MAX_BYTES  65536 /* taken from the socket before the owner has had them */
#define CHUNK_BYTES     16384
#define WRITE_LOW_BYTES 16384 /* `writable` from here down */

enum state {
    STATE_IDLE,    /* not started, or stopped */
    STATE_WAITING, /* for the next attempt */
    STATE_DIALLING,
    STATE_HANDSHAKE,  /* bev, TLS */
    STATE_OPEN,       /* bev */
    STATE_DRAINING,   /* stopping: bev has output */
    STATE_LINGERING,  /* stopping: our side is shut, or nothing was open */
};

struct mqtt_connection {
    struct event_base *base;
    const struct mqtt_connection_ops *ops;
    void *ctx;
    bool tls;
    char *tls_ca, *tls_cert, *tls_key, *tls_name;
    int64_t connect_timeout_ms;
    enum state state;
    struct event *timer; /* of the state: back-off, time limit, linger */
    struct connection_dial *dial;
    struct bufferevent *bev;
    int64_t backoff_ms; /* the last wait */
    unsigned at_once;   /* attempts without a wait since the last settled */
    bool busy, doomed;  /* inside a callback of the loop; to be freed behind it */
    uint8_t chunk[CHUNK_BYTES];
};

static void close_transport(struct mqtt_connection *c)
{
    event_del(c->timer);
    connection_dial_stop(c->dial);
    if (c->bev)
        bufferevent_free(c->bev); /* closes its descriptor and SSL; safe inside its callbacks */
    c->bev = NULL;
}

static void arm(struct mqtt_connection *c, int64_t ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    event_add(c->timer, &tv);
}

static void schedule(struct mqtt_connection *c, bool at_once)
{
    c->state = STATE_WAITING;
    if (at_once && c->at_once < MQTT_CONNECTION_AT_ONCE_MAX) {
        c->at_once++;
        arm(c, 0);
        return;
    }
    c->backoff_ms = backoff_next_ms(c->backoff_ms, c->ops->random(c->ctx));
    arm(c, c->backoff_ms);
}

/* The connection, or the attempt as a whole, is over, and not by the owner's will. */
static void lost(struct mqtt_connection *c, const char *why)
{
    close_transport(c);
    schedule(c, false);
    c->ops->closed(c->ctx, why);
}

static void finish_stop(struct mqtt_connection *c)
{
    close_transport(c);
    c->state = STATE_IDLE;
    c->ops->closed(c->ctx, "stopped");
}

/* ---- an open transport ---- */

/* Nothing is left to read at this moment. The kernel is asked, for libevent takes a few KB a turn,
 * and a commit for each of these would be one fsync for a dozen messages. */
static bool is_dry(struct mqtt_connection *c)
{
    int waiting = 0;
    if (ioctl(bufferevent_getfd(c->bev), FIONREAD, &waiting) == 0 && waiting > 0)
        return false;
    return !c->tls || SSL_pending(bufferevent_openssl_get_ssl(c->bev)) == 0;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct mqtt_connection *c = arg;
    /* A callback of an earlier bufferevent cannot come: freeing one takes its callbacks away. */
    assert(bev == c->bev);
    c->busy = true;
    while (c->bev == bev) {
        int n = bufferevent_read(bev, c->chunk, sizeof(c->chunk));
        if (n <= 0)
            break;
        if (c->state == STATE_OPEN)
            c->ops->bytes(c->ctx, c->chunk, (size_t)n);
    }
    if (c->bev == bev && c->state == STATE_OPEN && is_dry(c))
        c->ops->dry(c->ctx);
    c->busy = false;
    if (c->doomed)
        mqtt_connection_free(c);
}

/* All is written: shut our side, and wait for the broker to close its own. To close at once, with
 * bytes of the broker unread, would send a reset, which may overtake our DISCONNECT and so publish
 * the will. */
static void half_close(struct mqtt_connection *c)
{
    if (c->tls)
        SSL_shutdown(bufferevent_openssl_get_ssl(c->bev));
    shutdown(bufferevent_getfd(c->bev), SHUT_WR);
    c->state = STATE_LINGERING;
}

static void on_write(struct bufferevent *bev, void *arg)
{
    struct mqtt_connection *c = arg;
    assert(bev == c->bev);
    c->busy = true;
    if (c->state == STATE_OPEN)
        c->ops->writable(c->ctx);
    else if (c->state == STATE_DRAINING && mqtt_connection_pending(c) == 0)
        half_close(c);
    c->busy = false;
    if (c->doomed)
        mqtt_connection_free(c);
}

static void opened(struct mqtt_connection *c)
{
    event_del(c->timer);
    c->state = STATE_OPEN;
    c->ops->open(c->ctx);
}

/* why: what was wrong with the address before; it may be in a buffer of the caller. */
static void try_next_address(struct mqtt_connection *c, const char *why)
{
    close_transport(c);
    c->state = STATE_DIALLING;
    connection_dial_next(c->dial, why);
}

static void on_bufferevent(struct bufferevent *bev, short what, void *arg)
{
    struct mqtt_connection *c = arg;
    int saved_errno = EVUTIL_SOCKET_ERROR();
    char why[CONNECTION_DIAL_WHY_MAX];
    assert(bev == c->bev);
    c->busy = true;
    if (what & BEV_EVENT_CONNECTED) {
        opened(c);
    } else {
        if (c->tls)
            tls_explain(bufferevent_openssl_get_ssl(bev), bufferevent_get_openssl_error(bev),
                        what & BEV_EVENT_ERROR ? saved_errno : 0, why, sizeof(why));
        else
            snprintf(why, sizeof(why), "%s",
                     what & BEV_EVENT_ERROR ? strerror(saved_errno) : "closed by the broker");
        if (c->state == STATE_HANDSHAKE)
            try_next_address(c, why);
        else if (c->state == STATE_OPEN)
            lost(c, why);
        else
            finish_stop(c);
    }
    c->busy = false;
    if (c->doomed)
        mqtt_connection_free(c);
}

/* ---- one attempt ---- */

/* Gives the connected fd to a bufferevent. Return: false with why; the fd is closed. */
static bool wrap(struct mqtt_connection *c, int fd, char *why, size_t why_size)
{
    /* Deferred: a callback comes from the loop, never from inside a call of ours to libevent. */
    int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
    if (c->tls) {
        struct tls_options o = {c->tls_ca, c->tls_cert, c->tls_key, c->tls_name};
        SSL *ssl = tls_client_new(&o, why, why_size);
        if (!ssl) {
            close(fd);
            return false;
        }
        c->bev =
            bufferevent_openssl_socket_new(c->base, fd, ssl, BUFFEREVENT_SSL_CONNECTING, options);
        if (c->bev) /* MQTT has its own end of a packet: a missing close_notify hides nothing */
            bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
    } else {
        c->bev = bufferevent_socket_new(c->base, fd, options);
    }
    if (!c->bev) {
        snprintf(why, why_size, "out of memory");
        return false;
    }
    bufferevent_setcb(c->bev, on_read, on_write, on_bufferevent, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, READ_MAX_BYTES);
    bufferevent_setwatermark(c->bev, EV_WRITE, WRITE_LOW_BYTES, 0);
    if (bufferevent_enable(c->bev, EV_READ | EV_WRITE) < 0) {
        snprintf(why, why_size, "cannot watch the socket");
        bufferevent_free(c->bev);
        c->bev = NULL;
        return false;
    }
    return true;
}

static void connected(struct mqtt_connection *c, int fd)
{
    char why[CONNECTION_DIAL_WHY_MAX];
    if (!wrap(c, fd, why, sizeof(why))) {
        try_next_address(c, why);
    } else if (c->tls) {
        c->state = STATE_HANDSHAKE;
        arm(c, c->connect_timeout_ms);
    } else {
        opened(c);
    }
}

static void on_dialled(void *ctx, int fd)
{
    struct mqtt_connection *c = ctx;
    c->busy = true;
    connected(c, fd);
    c->busy = false;
    if (c->doomed)
        mqtt_connection_free(c);
}

/* It may come from inside connection_dial_next or _start, in a turn that is busy already. */
static void on_dial_failed(void *ctx, const char *why)
{
    struct mqtt_connection *c = ctx;
    bool outer = c->busy;
    c->busy = true;
    lost(c, why);
    c->busy = outer;
    if (c->doomed && !outer)
        mqtt_connection_free(c);
}

static const struct connection_dial_ops dial_ops = {on_dialled, on_dial_failed};

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct mqtt_connection *c = arg;
    (void)fd;
    (void)what;
    c->busy = true;
    switch (c->state) {
    case STATE_IDLE:
    case STATE_OPEN:
    case STATE_DIALLING:
        break; /* no timer is set in these */
    case STATE_WAITING:
        c->state = STATE_DIALLING;
        connection_dial_start(c->dial);
        break;
    case STATE_HANDSHAKE:
        try_next_address(c, "no answer to the TLS handshake");
        break;
    case STATE_DRAINING:
    case STATE_LINGERING:
        finish_stop(c);
        break;
    }
    c->busy = false;
    if (c->doomed)
        mqtt_connection_free(c);
}

/* ---- calls of the owner ---- */

static bool is_set(const char *s)
{
    return s && s[0];
}

/* Return: NULL, or what is wrong. */
static const char *take_address(struct mqtt_connection *c, const struct mqtt_address *a)
{
    const char *wrong = NULL;
    if (a->tls && connection_dial_is_unix(a->host) && !is_set(a->tls_name))
        return "TLS on a unix socket needs tls_name, the name that the certificate must have";
    c->connect_timeout_ms = a->connect_timeout_ms ? a->connect_timeout_ms : MQTT_CONNECT_TIMEOUT_MS;
    c->tls = a->tls;
    c->tls_ca = strdup(a->tls_ca ? a->tls_ca : "");
    c->tls_cert = strdup(a->tls_cert ? a->tls_cert : "");
    c->tls_key = strdup(a->tls_key ? a->tls_key : "");
    c->tls_name = strdup(is_set(a->tls_name) ? a->tls_name : a->host);
    if (!c->tls_ca || !c->tls_cert || !c->tls_key || !c->tls_name)
        return "out of memory";
    c->dial = connection_dial_new(c->base, a->host, a->port, c->connect_timeout_ms, &dial_ops, c, &wrong);
    return wrong;
}

struct mqtt_connection *mqtt_connection_new(struct event_base *base,
                                            const struct mqtt_address *address,
                                            const struct mqtt_connection_ops *ops, void *ctx,
                                            char *err, size_t err_size)
{
    signal(SIGPIPE, SIG_IGN);
    struct mqtt_connection *c = calloc(1, sizeof(*c));
    if (!c) {
        snprintf(err, err_size, "out of memory");
        return NULL;
    }
    c->base = base;
    c->ops = ops;
    c->ctx = ctx;
    const char *wrong = take_address(c, address);
    c->timer = evtimer_new(base, on_timer, c);
    if (!wrong && !c->timer)
        wrong = "out of memory";
    if (!wrong)
        return c;
    snprintf(err, err_size, "%s", wrong);
    mqtt_connection_free(c);
    return NULL;
}

void mqtt_connection_free(struct mqtt_connection *c)
{
    if (!c)
        return;
    if (c->timer && c->dial)
        close_transport(c);
    c->state = STATE_IDLE;
    if (c->busy) {
        c->doomed = true;
        return;
    }
    if (c->timer)
        event_free(c->timer);
    connection_dial_free(c->dial);
    free(c->tls_ca);
    free(c->tls_cert);
    free(c->tls_key);
    free(c->tls_name);
    free(c);
}

void mqtt_connection_start(struct mqtt_connection *c)
{
    if (c->state != STATE_IDLE)
        return;
    c->backoff_ms = 0;
    c->at_once = 0;
    c->state = STATE_WAITING;
    arm(c, 0);
}

void mqtt_connection_settled(struct mqtt_connection *c)
{
    c->backoff_ms = 0;
    c->at_once = 0;
}

static bool is_stopping(const struct mqtt_connection *c)
{
    return c->state == STATE_IDLE || c->state == STATE_DRAINING || c->state == STATE_LINGERING;
}

/* Gives the kernel what it takes of the pending output, so that a DISCONNECT has its chance. */
static void push_out(struct mqtt_connection *c)
{
    struct evbuffer_iovec v;
    if (evbuffer_peek(bufferevent_get_output(c->bev), -1, NULL, &v, 1) < 1)
        return;
    ssize_t n = 0;
    if (!c->tls)
        n = send(bufferevent_getfd(c->bev), v.iov_base, v.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (v.iov_len <= INT16_MAX && !SSL_want_write(bufferevent_openssl_get_ssl(c->bev)))
        n = SSL_write(bufferevent_openssl_get_ssl(c->bev), v.iov_base, (int)v.iov_len);
    (void)n; /* the connection is given up in any case */
}

void mqtt_connection_drop(struct mqtt_connection *c, bool at_once)
{
    if (is_stopping(c))
        return;
    if (c->state == STATE_WAITING && !at_once)
        return; /* the wait that is under way goes on */
    if (c->state == STATE_OPEN)
        push_out(c);
    close_transport(c);
    schedule(c, at_once);
}

void mqtt_connection_write(struct mqtt_connection *c, struct buf *out)
{
    /* A failure of memory loses bytes in the middle of a stream: of no use from there on. */
    bool failed = c->state == STATE_OPEN && out->len > 0 &&
                  bufferevent_write(c->bev, buf_bytes(out), out->len) < 0;
    buf_clear(out);
    if (failed)
        shutdown(bufferevent_getfd(c->bev), SHUT_RDWR); /* told through closed, from the loop */
}

size_t mqtt_connection_pending(const struct mqtt_connection *c)
{
    return c->bev ? evbuffer_get_length(bufferevent_get_output(c->bev)) : 0;
}

void mqtt_connection_stop(struct mqtt_connection *c, int64_t linger_ms)
{
    if (c->state == STATE_DRAINING || c->state == STATE_LINGERING)
        return;
    if (c->state != STATE_OPEN) {
        close_transport(c);
        c->state = STATE_LINGERING;
        arm(c, 0);
        return;
    }
    c->state = STATE_DRAINING;
    arm(c, linger_ms);
    if (mqtt_connection_pending(c) == 0)
        half_close(c);
}
