/* What systemd is told of a service of Type=notify (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names. Without one
 * every call does nothing. The protocol is five lines; libsystemd would be a library more. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

/* Reads NOTIFY_SOCKET and WATCHDOG_USEC, and takes them out of the environment. Call once, at the start. Return: milliseconds between
 * two calls of notify_send("WATCHDOG=1"), half of what the supervisor waits for; 0 = it does not watch. */
int64_t notify_init(void);
/* state: lines such as "READY=1". Never waits: what cannot be said now is not said. */
void notify_send(const char *state);

#endif
