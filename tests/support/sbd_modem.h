/* An Iridium SBD modem with its gateway, for tests of the driver in one process: a pty whose other side the driver
 * opens, and a fake link (tests/conform/fake_host.h) on the same fake time. It shares no parser with the program. What
 * a test scripts happens; what a real modem makes impossible or costly is counted against the host in `wrongs`. */
#ifndef TESTS_SUPPORT_SBD_MODEM_H
#define TESTS_SUPPORT_SBD_MODEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "link_drivers/driver.h"

#define SBD_MODEM_BYTES    2048
#define SBD_MODEM_MESSAGES 512
#define SBD_MODEM_SCRIPT   64

enum sbd_modem_fate {
    FATE_RESULT,       /* the session ends with its result */
    FATE_NO_RESULT,    /* the modem ends it without a word, and goes on */
    FATE_POWER_AFTER,  /* MOMSN was counted, then the power goes: the result is never said */
    FATE_POWER_BEFORE, /* the power goes, and nothing was handed over */
    FATE_HANGS,        /* deaf and dumb until the power is switched */
    FATE_UNPLUG,       /* the port goes in the midst of it; the session ends well without us */
};

struct sbd_modem_session {
    int status;
    bool delivers; /* though the status says failed */
    enum sbd_modem_fate fate;
    int64_t lasts_ms; /* 0: settings.session_ms */
    int mt_status;    /* 2: error while checking */
    bool cut;         /* of the result's numbers the first digit alone is said */
};

struct sbd_modem_message {
    size_t n;
    uint8_t bytes[SBD_MODEM_BYTES];
};

struct sbd_modem_settings {
    const char *path; /* of the symbolic link to the pty */
    size_t mo_max, mt_max;
    int64_t session_ms, answer_ms;
    const char *firmware;
    uint32_t baud;      /* the rate at which it understands; 0 = any */
    bool no_spaces, label_a, bare_ready, lf_less; /* forms of answers that are seen */
    bool echo_sticks;   /* ATE0 is answered, and the echo stays */
    bool starts_quiet, starts_numeric; /* Q1, V0 left by somebody */
    bool dribble;       /* a byte at a time */
    const char *chatter; /* sent before each answer, where the modem may speak; NULL = nothing */
    bool verdict_without_ok; /* of +SBDWB other than 0 */
};

struct sbd_modem {
    struct link_host *host;
    const struct sbd_modem_settings *set;
    int master, slave;
    bool powered, echo, verbose, quiet;
    char line[512];
    size_t line_len;
    /* Output: */
    uint8_t out[16384];
    size_t out_len;
    int64_t out_at_ms;
    /* SBD write phase: */
    bool writing;
    size_t write_n, write_got;
    uint8_t write_bytes[SBD_MODEM_BYTES];
    /* Buffers and counts that the modem has: */
    bool mo_full, mt_full, mt_read;
    uint8_t mo[SBD_MODEM_BYTES], mt[SBD_MODEM_BYTES];
    size_t mo_n, mt_n;
    uint16_t momsn;
    int mtmsn;
    bool ra, ra_sticks, ring_on, radio_off;
    int waiting;
    bool unregistered;  /* then no ring would reach it */
    int register_error; /* of +SBDREG; 0 = it goes well */
    unsigned registrations;
    /* A session under way: */
    bool in_session, answering;
    int64_t session_end_ms;
    struct sbd_modem_session session;
    bool mo_sent_before; /* what lies in the MO buffer was handed over already */
    /* The script: sessions to come, then status 0 for ever. */
    struct sbd_modem_session script[SBD_MODEM_SCRIPT];
    size_t script_n, script_at;
    int refuse_writes, damage_reads, silent_commands, deny_sessions; /* so many times */
    const char *silent_to; /* this command is not heard, silent_commands times */
    int restarts_before_session; /* so many times: quick enough to hear +SBDIX */
    const char *deny_command; /* is answered by ERROR */
    int loe_seconds;
    bool no_time;
    /* The gateway: */
    struct sbd_modem_message mo_got[SBD_MODEM_MESSAGES], mt_queue[SBD_MODEM_MESSAGES];
    size_t mo_count, mt_count, mt_at;
    int64_t session_began_ms[SBD_MODEM_MESSAGES];
    unsigned sessions, empty_sessions, credits, commands, mt_lost;
    /* What a host must not do: */
    unsigned wrongs;
    char wrong[128];
    char last_command[160];
};

extern const struct link_driver sbd_modem_driver; /* options: struct sbd_modem_settings */

/* From a test, between events. */
void sbd_modem_power(struct sbd_modem *m, bool on);
void sbd_modem_plug(struct sbd_modem *m, bool in);
void sbd_modem_queue(struct sbd_modem *m, const void *bytes, size_t n, bool ring);
void sbd_modem_say(struct sbd_modem *m, const char *text);
/* For fake_world.settle: takes all that the host has written, however late the kernel brings it. in_op: of the world.
 * Return: whether there was something. */
bool sbd_modem_settle(struct sbd_modem *m, unsigned *in_op, int64_t now_ms);
void sbd_modem_expect(struct sbd_modem *m, struct sbd_modem_session session);

#endif
