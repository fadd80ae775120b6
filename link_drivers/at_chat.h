/* The dialogue with a modem that understands AT commands (V.250), as a pure machine: bytes in,
 * bytes out, no descriptor, no clock. One command is under way at a time.
 *
 *     at_chat_ask(request)  ->  out: the command, later the bytes that it carries
 *     bytes from the modem  ->  at_chat_feed()  ->  AT_ANSWER, or AT_NEWS: a line nobody asked for
 *     no bytes in time      ->  at_chat_on_time()  ->  AT_ANSWER with AT_SILENT
 *
 * The modem's echo may be on or off; lines may end in CR, LF or both; a line that nobody asked for
 * (SBDRING, +CIEV: ...) may stand before, between and behind those of an answer, even glued to one
 * of them. Bytes that are counted (AT_READ, AT_WRITE) are never looked at as lines. What an answer
 * and the state of the dialogue lead to stands in one table (at_chat.c).
 *
 * AT_SILENT means: what the modem did is not known. The caller finds out before it asks again. */
#ifndef LINK_DRIVERS_AT_CHAT_H
#define LINK_DRIVERS_AT_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/buf.h"

#define AT_LINE_MAX  160  /* bytes with the NUL; a modem's longest line of interest has 60 */
#define AT_BLOB_MAX  1960 /* bytes of one counted phase: the MO buffer of a voice ISU */
#define AT_SUM_BYTES 2 /* behind them: their sum modulo 65536, high byte first (+SBDWB, +SBDRB) */

enum at_form {
    AT_LINES, /* lines up to a result code (OK, ERROR ...) */
    AT_DIGIT, /* the same, and one of them is a digit: 0 = done (+SBDD) */
    AT_WRITE, /* the modem says READY, takes counted bytes, gives a digit, and a result code */
    AT_READ, /* length, counted bytes, sum, and a result code; no line break before them (+SBDRB) */
    AT_HUSH, /* a lone CR, which ends a line that somebody left half typed; then all that comes is
                passed over until nothing came for timeout_ms */
    AT_LISTEN /* says nothing; passes over what comes for timeout_ms, but for news */
};

struct at_request {
    const char *command; /* without its CR; lives until the answer. HUSH and LISTEN: unused */
    enum at_form form;
    const char *info;   /* the answer's line begins so; "" = the first line that is not news; NULL =
                           no line is wanted. A result code OK that comes without the wanted line is
                           left over from something else ... */
    bool info_may_miss; /* ... unless this is set: not every firmware has that line */
    int64_t timeout_ms; /* until the answer begins (READ, WRITE: until each of its parts) */
    int64_t tail_ms;    /* for the result code behind what was wanted; it may stay out */
    const uint8_t *blob; /* WRITE: at most AT_BLOB_MAX, lives until the answer */
    size_t blob_bytes;
    size_t blob_max; /* READ: the most that this modem may say, at most AT_BLOB_MAX */
};

enum at_outcome {
    AT_OK,
    AT_ERROR,   /* a result code other than OK */
    AT_REFUSED, /* a digit other than 0: see there */
    AT_DAMAGED, /* READ: length or sum is wrong; the modem still has the bytes */
    AT_SILENT,  /* no answer in time */
};

enum at_event { AT_NOTHING, AT_ANSWER, AT_NEWS };

struct at_chat {
    struct buf out; /* for the modem; the owner takes from the front */
    /* The last answer, valid until the next ask: */
    enum at_outcome outcome;
    int digit;                 /* DIGIT, WRITE: 0..9, -1 = none came */
    char info[AT_LINE_MAX];    /* the wanted line, "" = none came */
    uint8_t blob[AT_BLOB_MAX]; /* READ */
    size_t blob_bytes;
    /* AT_NEWS: the line; valid until the next call. */
    char news[AT_LINE_MAX];
    uint64_t echoes;  /* commands that the modem echoed */
    uint64_t strays;  /* lines that answered nothing */
    uint64_t damaged; /* lines too long, counted bytes with a wrong sum */

    struct at_request request;
    uint8_t phase;
    int64_t deadline_ms, hush_end_ms;
    bool echoed;
    char line[AT_LINE_MAX]; /* under way */
    size_t line_len;
    bool line_too_long, line_whole;
    uint8_t escape;  /* within an ANSI escape sequence */
    uint8_t head[2]; /* READ: the length */
    size_t counted;  /* READ: bytes of length, content and sum so far */
    uint16_t sum;
};

void at_chat_init(struct at_chat *c);
void at_chat_fini(struct at_chat *c);
/* Forgets what is under way, as when the port was closed; keeps the counts. */
void at_chat_reset(struct at_chat *c);
/* Puts the command into out. Nothing may be under way. */
void at_chat_ask(struct at_chat *c, const struct at_request *request, int64_t now_ms);
bool at_chat_busy(const struct at_chat *c);
/* Takes bytes up to the first event; *bytes and *n move on behind what was taken. To be called
 * until it returns AT_NOTHING: all was taken then. At AT_ANSWER the next command may be asked
 * before the rest is given. */
enum at_event at_chat_feed(struct at_chat *c, const uint8_t **bytes, size_t *n,
                           int64_t now_ms) MUST_CHECK;
/* When at_chat_on_time is due; INT64_MAX = nothing is waited for. */
int64_t at_chat_deadline(const struct at_chat *c);
/* Return: AT_ANSWER when the wait is over, else AT_NOTHING. */
enum at_event at_chat_on_time(struct at_chat *c, int64_t now_ms) MUST_CHECK;

/* Reads `label: 1, -2, 3` into values: the label up to its colon is passed over, blanks are free.
 * Return: how many of at most `most` numbers stand there in one row. */
size_t at_numbers(const char *line, long *values, size_t most);

#endif
