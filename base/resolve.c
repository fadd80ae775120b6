/* The thread and the caller share one struct, freed by whichever is done last: getaddrinfo cannot
 * be cancelled, and may take a minute on a box whose uplink is dead, so that resolve_free must not
 * wait. */
#include "base/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK_BYTES (256 * 1024) /* nsswitch modules (LDAP, mDNS) want more than the minimum */

struct resolve {
    pthread_mutex_t lock;
    int fd;         /* eventfd; written once, when the answer is there */
    bool done;      /* the thread has finished */
    bool abandoned; /* the caller has called resolve_free */
    bool passive;
    int error; /* EAI_ code, with done */
    int count;
    struct resolve_result results[RESOLVE_MAX_ADDRESSES];
    char *host; /* NULL = any address */
    char *port;
};

static void destroy(struct resolve *r)
{
    if (r->fd >= 0)
        close(r->fd);
    pthread_mutex_destroy(&r->lock);
    free(r->host);
    free(r->port);
    free(r);
}

/* Runs in the thread, and touches only what the caller leaves alone until `done`. flags: further ones
 * of getaddrinfo's. */
static void look_up(struct resolve *r, int flags)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        /* AI_ADDRCONFIG is left out: it hides addresses while an interface is still coming up. */
        .ai_flags = (r->passive ? AI_PASSIVE : 0) | flags,
    };
    struct addrinfo *list = NULL;
    r->error = getaddrinfo(r->host, r->port, &hints, &list);
    for (struct addrinfo *a = r->error ? NULL : list; a; a = a->ai_next) {
        if (r->count == RESOLVE_MAX_ADDRESSES || a->ai_addrlen > sizeof(r->results[0].address))
            continue;
        memcpy(&r->results[r->count].address, a->ai_addr, a->ai_addrlen);
        r->results[r->count++].address_len = a->ai_addrlen;
    }
    if (!r->error && r->count == 0)
        r->error = EAI_NONAME;
    if (list)
        freeaddrinfo(list);
}

/* Cannot fail or block: the counter goes from 0 to 1. */
static void tell_done(struct resolve *r)
{
    uint64_t one = 1;
    r->done = true;
    ssize_t n = write(r->fd, &one, sizeof(one));
    (void)n;
}

/* What is a number needs no thread, for it asks nobody. Return: whether it was one. */
static bool read_number(struct resolve *r)
{
    look_up(r, AI_NUMERICHOST | AI_NUMERICSERV);
    if (r->error == 0) {
        tell_done(r);
        return true;
    }
    r->error = 0;
    r->count = 0;
    return false;
}

static void *thread_main(void *arg)
{
    struct resolve *r = arg;
    look_up(r, 0);
    pthread_mutex_lock(&r->lock);
    bool mine = r->abandoned;
    if (!mine)
        tell_done(r); /* under the lock, for the caller may free r as soon as it is released */
    pthread_mutex_unlock(&r->lock);
    if (mine)
        destroy(r);
    return NULL;
}

/* Starts the thread with every signal blocked: they belong to the loop. Return: 0 or an errno. */
static int spawn(struct resolve *r)
{
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (err)
        return err;
    sigset_t all, before;
    sigfillset(&all);
    err = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (!err)
        err = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (!err)
        err = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!err) {
        pthread_t thread;
        err = pthread_create(&thread, &attr, thread_main, r);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attr);
    return err;
}

int resolve_start(struct resolve **out, const char *host, const char *port, bool passive)
{
    struct resolve *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    pthread_mutex_init(&r->lock, NULL); /* default attributes: cannot fail on Linux */
    r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = r->fd < 0 ? errno : 0;
    r->passive = passive;
    bool any = passive && (host[0] == '\0' || strcmp(host, "*") == 0);
    r->host = any ? NULL : strdup(host);
    r->port = strdup(port);
    if (!err && ((!r->host && !any) || !r->port))
        err = ENOMEM;
    if (!err && !read_number(r))
        err = spawn(r);
    if (err) {
        destroy(r);
        return -err;
    }
    *out = r;
    return 0;
}

int resolve_fd(const struct resolve *r)
{
    return r->fd;
}

int resolve_take(struct resolve *r, struct resolve_result *out, int max)
{
    int n = 0;
    pthread_mutex_lock(&r->lock);
    if (r->done && r->error)
        n = r->error;
    else if (r->done)
        n = r->count < max ? r->count : max;
    pthread_mutex_unlock(&r->lock);
    if (n > 0)
        memcpy(out, r->results, (size_t)n * sizeof(*out));
    return n;
}

void resolve_free(struct resolve *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->abandoned = true;
    bool mine = r->done;
    pthread_mutex_unlock(&r->lock);
    if (mine)
        destroy(r);
}
