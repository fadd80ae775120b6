/* The serial driver: a byte stream over a serial line, a transparent radio, or a pty. Opens by the
 * configured path, notices an unplugged adapter, waits for it under whatever name it returns, and
 * meters what it hands to the kernel (line_clock.h). */
#ifndef LINK_DRIVERS_SERIAL_H
#define LINK_DRIVERS_SERIAL_H

#include "link_drivers/driver.h"

/* Bytes of the largest frame as it stands on the line: 254 and its coding, with delimiters on both
 * sides. Where XON and XOFF must not appear, each byte may become two. */
#define SERIAL_FRAME_MAX_BYTES         264
#define SERIAL_FRAME_MAX_ESCAPED_BYTES 528
#define SERIAL_REOPEN_MAX_MS           30000
/* Output that has stood still for this long was stopped by noise (an XOFF), a loose wire (CTS), or
 * a far end that died. */
#define SERIAL_STOPPED_MAX_MS 10000

struct serial_options {
    char *device;
    int64_t baud;
    int parity; /* enum tty_parity */
    int stop;   /* 0: one stop bit, 1: two */
    int flow;   /* enum tty_flow */
    int duplex; /* enum serial_duplex */
    int64_t air_rate;
    bool rs485;
};

enum serial_duplex { SERIAL_FULL_DUPLEX, SERIAL_HALF_DUPLEX };

extern const struct option_group serial_option_group;
extern const struct link_driver serial_driver;

#endif
