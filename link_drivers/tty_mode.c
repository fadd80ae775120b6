#include "link_drivers/tty_mode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <asm/termbits.h> /* termios2; never together with <termios.h> */
#include <linux/serial.h>

/* A rate with a name of its own gets it, since the far side of a pty and stty know no others. */
static const struct {
    uint32_t baud;
    tcflag_t code;
} named_rates[] = {
    {50, B50},           {75, B75},           {110, B110},         {134, B134},
    {150, B150},         {200, B200},         {300, B300},         {600, B600},
    {1200, B1200},       {1800, B1800},       {2400, B2400},       {4800, B4800},
    {9600, B9600},       {19200, B19200},     {38400, B38400},     {57600, B57600},
    {115200, B115200},   {230400, B230400},   {460800, B460800},   {500000, B500000},
    {576000, B576000},   {921600, B921600},   {1000000, B1000000}, {1152000, B1152000},
    {1500000, B1500000}, {2000000, B2000000}, {2500000, B2500000}, {3000000, B3000000},
    {3500000, B3500000}, {4000000, B4000000},
};

static tcflag_t rate_code(uint32_t baud)
{
    for (size_t i = 0; i < sizeof(named_rates) / sizeof(named_rates[0]); i++)
        if (named_rates[i].baud == baud)
            return named_rates[i].code;
    return BOTHER;
}

/* Parity errors are not checked here (no INPCK): the byte passes as it came, and the frame's CRC
 * judges it. */
static void tty_mode_fill(struct termios2 *t, const struct tty_mode *mode)
{
    t->c_iflag = IGNBRK;
    t->c_oflag = 0;
    t->c_lflag = 0;
    t->c_cflag = CS8 | CREAD | CLOCAL | rate_code(mode->baud);
    t->c_ispeed = t->c_ospeed = mode->baud;
    if (mode->hang_up)
        t->c_cflag |= HUPCL;
    if (mode->stop_bits == 2)
        t->c_cflag |= CSTOPB;
    if (mode->parity != TTY_PARITY_NONE)
        t->c_cflag |= PARENB;
    if (mode->parity == TTY_PARITY_ODD)
        t->c_cflag |= PARODD;
    if (mode->flow == TTY_FLOW_RTSCTS)
        t->c_cflag |= CRTSCTS;
    if (mode->flow == TTY_FLOW_XONXOFF)
        t->c_iflag |= IXON | IXOFF;
    memset(t->c_cc, 0, sizeof(t->c_cc));
    t->c_cc[VSTART] = 0x11;
    t->c_cc[VSTOP] = 0x13;
    /* So that a read of 0 bytes means that the device is gone, not "nothing yet". */
    t->c_cc[VMIN] = 1;
}

/* NULL when the device took what was wanted, else what it refused. */
static const char *tty_mode_refused(const struct termios2 *want, const struct termios2 *got)
{
    const tcflag_t iflags =
        IGNBRK | BRKINT | PARMRK | INPCK | ISTRIP | INLCR | IGNCR | ICRNL | IXON | IXANY | IXOFF;
    const tcflag_t lflags = ICANON | ECHO | ISIG | IEXTEN;
    tcflag_t c = want->c_cflag ^ got->c_cflag;
    if (c & CSIZE)
        return "8 data bits";
    if (c & (PARENB | PARODD | CMSPAR))
        return "this parity";
    if (c & CSTOPB)
        return "this number of stop bits";
    if (c & CRTSCTS)
        return "this flow control (RTS/CTS)";
    if ((want->c_iflag ^ got->c_iflag) & (IXON | IXOFF | IXANY))
        return "this flow control (XON/XOFF)";
    if (((want->c_iflag ^ got->c_iflag) & iflags) || (got->c_oflag & OPOST) ||
        (got->c_lflag & lflags) || (c & (CREAD | CLOCAL)))
        return "raw mode";
    return NULL;
}

int tty_mode_set(int fd, const struct tty_mode *mode, char *why, size_t why_size)
{
    struct termios2 want, got;
    if (ioctl(fd, TCGETS2, &want) < 0)
        goto failed;
    tty_mode_fill(&want, mode);
    if (ioctl(fd, TCSETS2, &want) < 0 || ioctl(fd, TCGETS2, &got) < 0)
        goto failed;
    const char *refused = tty_mode_refused(&want, &got);
    if (refused) {
        snprintf(why, why_size, "the device does not take %s", refused);
        return -EINVAL;
    }
    /* A receiver stands about 4 % between the two ends; beyond 3 % ours alone would spoil it. */
    int64_t off = (int64_t)got.c_ospeed - mode->baud;
    if (off < 0)
        off = -off;
    if (off * 100 > (int64_t)mode->baud * 3) {
        snprintf(why, why_size, "the device does not do %u baud, the nearest is %u", mode->baud,
                 got.c_ospeed);
        return -EINVAL;
    }
    /* What came before the mode was right is noise, and what another program left is not ours. */
    (void)ioctl(fd, TCFLSH, TCIOFLUSH);
    if (mode->flow == TTY_FLOW_XONXOFF)
        tty_restart_output(fd);
    return 0;

failed:;
    int error = errno;
    snprintf(why, why_size, "cannot set the line: %s", strerror(error));
    return -error;
}

bool tty_alive(int fd)
{
    struct termios2 t;
    return ioctl(fd, TCGETS2, &t) == 0;
}

size_t tty_output_held(int fd)
{
    int held = 0;
    if (ioctl(fd, TIOCOUTQ, &held) < 0 || held < 0)
        return 0;
    return (size_t)held;
}

void tty_discard_output(int fd)
{
    (void)ioctl(fd, TCFLSH, TCOFLUSH);
}

void tty_restart_output(int fd)
{
    /* TCOON alone ends only a stop by TCOOFF, not one by the far end's XOFF. */
    (void)ioctl(fd, TCXONC, TCOOFF);
    (void)ioctl(fd, TCXONC, TCOON);
}

int tty_enable_rs485(int fd)
{
    struct serial_rs485 r = {.flags = SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND};
    return ioctl(fd, TIOCSRS485, &r) < 0 ? -errno : 0;
}
