#include "gateway/daemon/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#define RUN_DIR       "/run/longwire"
#define CLIENTS_MAX   16
#define CLIENT_WAIT_S 5
#define ASK_WAIT_MS   5000
#define ANSWER_MAX    (64u << 20) /* a hub with thousands of peers stays far below */

struct client {
    struct bufferevent *bev;
    struct control *control;
};

struct control {
    struct event_base *base;
    struct event *event;
    int fd;
    char path[CONTROL_PATH_MAX];
    char *(*status)(void *ctx);
    void *ctx;
    struct client clients[CLIENTS_MAX];
};

int control_path(const struct config *c, int second, char *out)
{
    int n = second ? snprintf(out, CONTROL_PATH_MAX, "%s.sock", c->store.path)
                   : snprintf(out, CONTROL_PATH_MAX, RUN_DIR "/%s.sock", c->site_name);
    return n < CONTROL_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static void drop(struct client *k)
{
    bufferevent_free(k->bev);
    k->bev = NULL;
}

static void on_written(struct bufferevent *bev, void *ctx)
{
    (void)bev;
    drop(ctx);
}

static void on_gone(struct bufferevent *bev, short what, void *ctx)
{
    (void)bev;
    (void)what;
    drop(ctx);
}

static bool trusted(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 && (who.uid == 0 || who.uid == geteuid());
}

static void answer(struct control *c, struct client *k, int fd)
{
    k->control = c;
    k->bev = bufferevent_socket_new(c->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!k->bev) {
        close(fd);
        return;
    }
    struct timeval wait = {CLIENT_WAIT_S, 0};
    bufferevent_set_timeouts(k->bev, &wait, &wait);
    bufferevent_setcb(k->bev, NULL, on_written, on_gone, k);
    char *text = c->status(c->ctx);
    if (!text || evbuffer_add_printf(bufferevent_get_output(k->bev), "%s\n", text) < 0)
        drop(k);
    free(text);
}

static void on_connect(evutil_socket_t fd, short what, void *ctx)
{
    (void)what;
    struct control *c = ctx;
    int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0)
        return;
    for (int i = 0; i < CLIENTS_MAX && trusted(client); i++) {
        if (c->clients[i].bev)
            continue;
        answer(c, &c->clients[i], client);
        return;
    }
    close(client);
}

static int listen_at(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* The store is locked by us, so a socket that lies here is a dead daemon's. */
    unlink(path);
    mode_t old = umask(0177);
    int rc = bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 8) == 0 ? 0 : -errno;
    umask(old);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

struct control *control_new(struct event_base *base, const struct config *config, char *(*status)(void *ctx), void *ctx,
                            char *err, size_t err_size)
{
    struct control *c = calloc(1, sizeof *c);
    if (!c) {
        snprintf(err, err_size, "out of memory");
        return NULL;
    }
    c->base = base;
    c->status = status;
    c->ctx = ctx;
    c->fd = -ENOENT;
    for (int second = 0; second < 2 && c->fd < 0; second++) {
        int rc = control_path(config, second, c->path);
        c->fd = rc < 0 ? rc : listen_at(c->path);
    }
    if (c->fd >= 0)
        c->event = event_new(base, c->fd, EV_READ | EV_PERSIST, on_connect, c);
    if (!c->event || event_add(c->event, NULL) != 0) {
        snprintf(err, err_size, "control socket %s: %s", c->path, c->fd < 0 ? strerror(-c->fd) : "out of memory");
        control_free(c);
        return NULL;
    }
    return c;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i].bev)
            drop(&c->clients[i]);
    if (c->event)
        event_free(c->event);
    if (c->fd >= 0) {
        close(c->fd);
        unlink(c->path);
    }
    free(c);
}

/* ---- the client's side ---- */

static int read_all(int fd, char **answer)
{
    size_t n = 0, size = 4096;
    char *text = malloc(size);
    while (text) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, ASK_WAIT_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            break;
        ssize_t got = read(fd, text + n, size - n - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            if (got < 0 || n == 0)
                break;
            text[n] = '\0';
            *answer = text;
            return 0;
        }
        n += (size_t)got;
        if (n + 1 == size) {
            char *more = size < ANSWER_MAX ? realloc(text, size * 2) : NULL;
            if (!more)
                break;
            text = more;
            size *= 2;
        }
    }
    int rc = text ? -EIO : -ENOMEM;
    free(text);
    return rc;
}

int control_ask(const struct config *config, char **answer)
{
    int rc = -ECONNREFUSED;
    for (int second = 0; second < 2; second++) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        if (control_path(config, second, a.sun_path) < 0)
            continue;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return -errno;
        if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) {
            rc = read_all(fd, answer);
            close(fd);
            return rc;
        }
        if (errno == EACCES || errno == EPERM)
            rc = -errno;
        close(fd);
    }
    return rc;
}
