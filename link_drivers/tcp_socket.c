#include "link_drivers/tcp_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <linux/tcp.h> /* the kernel's own tcp_info: glibc's lacks the rate */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LISTEN_BACKLOG 256
/* The kernel calls a socket writable again below this much unsent data: enough to fill the gap
 * until the loop comes round, and little beside what an alarm may have to wait for. */
#define NOTSENT_LOWAT_BYTES 4096
#define KEEPALIVE_PROBES    4

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

int tcp_socket_connect(const struct sockaddr_storage *to, socklen_t len)
{
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)to, len) < 0 && errno != EINPROGRESS) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int tcp_socket_connected(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    if (error)
        return -error;
    struct sockaddr_storage own, peer;
    memset(&own, 0, sizeof(own));
    memset(&peer, 0, sizeof(peer));
    socklen_t own_len = sizeof(own), peer_len = sizeof(peer);
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
        getsockname(fd, (struct sockaddr *)&own, &own_len) < 0)
        return -errno;
    /* A port of this machine to which nobody listens may be given to our own socket, which then
     * connects to itself, and keeps the listener off for as long as it lives. */
    if (own_len == peer_len && memcmp(&own, &peer, own_len) == 0)
        return -ECONNREFUSED;
    return 0;
}

int tcp_socket_listen(const struct sockaddr_storage *at, socklen_t len)
{
    int fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* a restart must not wait for old connections */
    if (at->ss_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (bind(fd, (const struct sockaddr *)at, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int tcp_socket_accept(int listen_fd, char name[TCP_NAME_BYTES])
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    int fd = accept4(listen_fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -errno;
    tcp_socket_name(&from, len, name);
    return fd;
}

void tcp_socket_tune(int fd, const struct tcp_tuning *tuning)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)tuning->timeout_ms);
    if (tuning->keepalive_ms <= 0)
        return;
    int idle_s = (int)((tuning->keepalive_ms + 999) / 1000);
    int step_s = (int)(tuning->timeout_ms / KEEPALIVE_PROBES / 1000);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s > 0 ? idle_s : 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, step_s > 0 ? step_s : 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

uint64_t tcp_socket_rate(int fd)
{
    struct tcp_info info;
    memset(&info, 0, sizeof(info)); /* an older kernel fills less of it */
    socklen_t len = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return 0;
    return info.tcpi_delivery_rate;
}

void tcp_socket_name(const struct sockaddr_storage *a, socklen_t len, char out[TCP_NAME_BYTES])
{
    char host[TCP_NAME_BYTES - 9], port[6];
    if (getnameinfo((const struct sockaddr *)a, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(out, TCP_NAME_BYTES, "?");
    else
        snprintf(out, TCP_NAME_BYTES, a->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

void tcp_socket_own_name(int fd, char out[TCP_NAME_BYTES])
{
    struct sockaddr_storage own;
    socklen_t len = sizeof(own);
    if (getsockname(fd, (struct sockaddr *)&own, &len) < 0)
        snprintf(out, TCP_NAME_BYTES, "?");
    else
        tcp_socket_name(&own, len, out);
}
