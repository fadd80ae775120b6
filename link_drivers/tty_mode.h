/* How a tty is set for binary traffic: one tcsetattr of ours, read back and compared. libserialport
 * writes CRTSCTS to the wrong word, and leaves inherited IXON standing, so that 0x11 and 0x13
 * vanish; tcsetattr succeeds when any one of its changes took. Linux termios2, for any rate. */
#ifndef LINK_DRIVERS_TTY_MODE_H
#define LINK_DRIVERS_TTY_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

enum tty_parity { TTY_PARITY_NONE, TTY_PARITY_EVEN, TTY_PARITY_ODD };
enum tty_flow { TTY_FLOW_NONE, TTY_FLOW_RTSCTS, TTY_FLOW_XONXOFF };

struct tty_mode {
    uint32_t baud;          /* any rate; the device may refuse it */
    enum tty_parity parity; /* always 8 data bits */
    unsigned stop_bits;     /* 1 or 2 */
    enum tty_flow flow;
    bool hang_up; /* drop DTR at the last close (a call must end with us; a board must not reset) */
};

/* Sets the tty raw, with this mode, ignoring carrier; throws away what its buffers held. Does not
 * wait for output. Return: 0; negative errno, and *why says in words which setting the device does
 * not take. */
int tty_mode_set(int fd, const struct tty_mode *mode, char *why, size_t why_size) MUST_CHECK;
/* Is there still a device behind fd? False after an unplug or hang-up, where read says no more than
 * "0 bytes". */
bool tty_alive(int fd);
/* Bytes of output that the kernel still holds, as far as it knows; 0 where the device does not
 * tell. */
size_t tty_output_held(int fd);
/* Throws away output, so that close() does not wait for a line that is stopped (up to 30 s in
 * Linux). */
void tty_discard_output(int fd);
/* Ends a stop by XOFF: noise can look like one, and nobody would ever send the XON. */
void tty_restart_output(int fd);
/* Has the kernel drive an RS-485 transceiver by RTS. Return: 0, or negative errno (most USB
 * adapters do it by themselves: -ENOTTY). */
int tty_enable_rs485(int fd) MUST_CHECK;

#endif
