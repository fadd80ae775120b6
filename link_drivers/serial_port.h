/* A serial port as a transport: opened by the operator's path, set, locked, read, written, and
 * found gone. Owns its fd; the driver on top of it speaks. The one file that knows libserialport.
 *
 * Real ports open through libserialport, which knows their kinds and quirks. What it refuses though
 * it is a tty (a pty, a port without modem lines) opens directly. The mode is set by tty_mode
 * either way. */
#ifndef LINK_DRIVERS_SERIAL_PORT_H
#define LINK_DRIVERS_SERIAL_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/attr.h"
#include "link_drivers/tty_mode.h"

#define SERIAL_PORT_WHY_BYTES 128 /* of a text that says why, with its NUL */

struct sp_port;

struct serial_port {
    int fd;                  /* -1 = closed */
    struct sp_port *library; /* whose fd it is; NULL when opened directly */
    bool pty;
    unsigned empty_reads; /* in a row: a line that is "readable" for ever, with nothing to read */
    char path[128]; /* the device behind the configured path, symlinks resolved at this opening */
};

void serial_port_init(struct serial_port *p);
/* Opens what `device` is now (links are followed anew each time, since a device comes back under
 * another name), takes an exclusive lock and sets the mode. Never waits. Return: 0; negative errno,
 * the port stays closed, and why says it in words for the operator. */
int serial_port_open(struct serial_port *p, const char *device, const struct tty_mode *mode,
                     char why[SERIAL_PORT_WHY_BYTES]) MUST_CHECK;
/* Closes at once; output that a real line has not sent is lost. Does nothing when closed. The
 * caller has forgotten the fd before. */
void serial_port_close(struct serial_port *p);
/* Return: bytes read, 0 = nothing there now, negative errno = the device is gone: close it. */
ssize_t serial_port_read(struct serial_port *p, uint8_t *bytes, size_t n) MUST_CHECK;
/* Return: bytes taken, 0 = the kernel's buffer is full, negative errno = the device is gone: close
 * it. */
ssize_t serial_port_write(struct serial_port *p, const uint8_t *bytes, size_t n) MUST_CHECK;

#endif
