/* TCP sockets as the driver wants them: never blocking, small kernel buffers of unsent data, and a
 * far end that has vanished noticed. Each function is one step; who calls them owns the fd. */
#ifndef LINK_DRIVERS_TCP_SOCKET_H
#define LINK_DRIVERS_TCP_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/attr.h"

#define TCP_NAME_BYTES 72 /* "[IPv6%scope]:port" and NUL */

struct tcp_tuning {
    int64_t timeout_ms;   /* data unacknowledged for this long ends the connection */
    int64_t keepalive_ms; /* after this long without traffic TCP asks whether the other end is
                             there; 0 = never */
};

/* Begins to connect. Return: fd (owned by the caller; writable once it is decided), or negative
 * errno. */
int tcp_socket_connect(const struct sockaddr_storage *to, socklen_t len) MUST_CHECK;
/* What became of it, once writable. Return: 0; -ENOTCONN: not decided yet; other negative errno: it
 * failed, close it. */
int tcp_socket_connected(int fd) MUST_CHECK;
/* Return: listening fd, or negative errno. An IPv6 address takes IPv6 only, so that 0.0.0.0 and ::
 * can stand beside each other. */
int tcp_socket_listen(const struct sockaddr_storage *at, socklen_t len) MUST_CHECK;
/* Return: fd and the name of the far end, or negative errno: -EAGAIN = none waits. */
int tcp_socket_accept(int listen_fd, char name[TCP_NAME_BYTES]) MUST_CHECK;
/* Sets a connected socket up. What a kernel does not know is left out. */
void tcp_socket_tune(int fd, const struct tcp_tuning *tuning);
/* Bytes a second that the connection was last seen to deliver; 0 = not known yet. */
uint64_t tcp_socket_rate(int fd);
/* Writes an address as text; fd's own address with tcp_socket_own_name ("?" when it has none). */
void tcp_socket_name(const struct sockaddr_storage *a, socklen_t len, char out[TCP_NAME_BYTES]);
void tcp_socket_own_name(int fd, char out[TCP_NAME_BYTES]);

#endif
