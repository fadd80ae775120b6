#include "link_drivers/at_chat.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A hush that never comes: a modem (or a line at another rate) that speaks without end. */
#define HUSH_MAX_TIMES 10
#define OUT_MAX        (AT_LINE_MAX + AT_BLOB_MAX + 64)

enum at_phase {
    PHASE_IDLE,    /* nothing is under way */
    PHASE_LINES,   /* a command was sent; its lines come */
    PHASE_PROMPT,  /* +SBDWB was sent; READY comes */
    PHASE_VERDICT, /* the counted bytes were sent; their digit comes */
    PHASE_COUNTED, /* +SBDRB was sent; counted bytes come, or lines before them */
    PHASE_TAIL,    /* what was wanted is here; its result code comes, or stays out */
    PHASE_HUSH,
    PHASE_LISTEN,
    PHASE_COUNT
};

enum at_token {
    TOKEN_ECHO, /* in the order of the table's columns */
    TOKEN_OK,
    TOKEN_FAIL, /* another result code */
    TOKEN_READY,
    TOKEN_DIGIT,
    TOKEN_INFO, /* the line that the command is for */
    TOKEN_NEWS,
    TOKEN_OTHER,
    TOKEN_COUNT
};

enum at_action {
    BUG,
    SKIP,       /* of no use, and to be expected */
    STRAY,      /* answers nothing that was asked: counted */
    TELL,       /* news for the owner */
    KEEP_INFO,  /* the wanted line: only the result code is missing now */
    KEEP_DIGIT, /* the same with a digit */
    SEND_BLOB,
    FINISH, /* done, unless what was wanted has not come: then a stray */
    FAIL,   /* the command failed */
    LAST,   /* the result code behind what was wanted */
};

/* What a line means in each phase. */
/* clang-format off */
static const uint8_t actions[PHASE_COUNT][TOKEN_COUNT] = {
    /*                  ECHO  OK      FAIL   READY      DIGIT       INFO       NEWS  OTHER */
    [PHASE_IDLE]    = { BUG,  STRAY,  STRAY, STRAY,     STRAY,      BUG,       TELL, STRAY },
    [PHASE_LINES]   = { SKIP, FINISH, FAIL,  STRAY,     KEEP_DIGIT, KEEP_INFO, TELL, SKIP },
    [PHASE_PROMPT]  = { SKIP, STRAY,  FAIL,  SEND_BLOB, KEEP_DIGIT, BUG,       TELL, STRAY },
    [PHASE_VERDICT] = { SKIP, STRAY,  FAIL,  STRAY,     KEEP_DIGIT, BUG,       TELL, STRAY },
    [PHASE_COUNTED] = { SKIP, STRAY,  FAIL,  STRAY,     STRAY,      BUG,       TELL, STRAY },
    [PHASE_TAIL]    = { SKIP, LAST,   LAST,  STRAY,     STRAY,      SKIP,      TELL, SKIP },
    [PHASE_HUSH]    = { BUG,  SKIP,   SKIP,  SKIP,      SKIP,       BUG,       TELL, SKIP },
    [PHASE_LISTEN]  = { BUG,  SKIP,   SKIP,  SKIP,      SKIP,       BUG,       TELL, SKIP },
};
/* clang-format on */
static_assert(TOKEN_OTHER == 7 && TOKEN_COUNT == 8, "the columns of the table");

/* Lines that come by themselves; +SBDIX is one where no session is waited for: the result of one
 * that was given up. */
static const char *const news_begin[] = {"SBDRING", "+CIEV:", "+AREG:", "HARDWARE FAILURE",
                                         "+SBDIX"};
/* Glued to another line on some firmware, which then still means what it says. */
#define GLUED "SBDRING"

static const char *const failures[] = {"ERROR", "NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE"};

void at_chat_init(struct at_chat *c)
{
    memset(c, 0, sizeof(*c));
    buf_init(&c->out, OUT_MAX);
    c->deadline_ms = INT64_MAX;
}

void at_chat_fini(struct at_chat *c)
{
    buf_fini(&c->out);
}

void at_chat_reset(struct at_chat *c)
{
    buf_clear(&c->out);
    c->phase = PHASE_IDLE;
    c->deadline_ms = INT64_MAX;
    c->line_len = 0;
    c->line_too_long = c->line_whole = false;
    c->escape = 0;
    c->counted = 0;
}

bool at_chat_busy(const struct at_chat *c)
{
    return c->phase != PHASE_IDLE;
}

void at_chat_ask(struct at_chat *c, const struct at_request *request, int64_t now_ms)
{
    static const uint8_t first_phase[] = {
        [AT_LINES] = PHASE_LINES,  [AT_DIGIT] = PHASE_LINES, [AT_WRITE] = PHASE_PROMPT,
        [AT_READ] = PHASE_COUNTED, [AT_HUSH] = PHASE_HUSH,   [AT_LISTEN] = PHASE_LISTEN};
    assert(!at_chat_busy(c));
    assert(request->blob_bytes <= AT_BLOB_MAX && request->blob_max <= AT_BLOB_MAX);
    c->request = *request;
    c->phase = first_phase[request->form];
    c->outcome = AT_OK;
    c->digit = -1;
    c->info[0] = '\0';
    c->blob_bytes = c->counted = 0;
    c->sum = 0;
    c->echoed = false;
    c->deadline_ms = now_ms + request->timeout_ms;
    c->hush_end_ms = now_ms + HUSH_MAX_TIMES * request->timeout_ms;
    bool said = true;
    if (request->form == AT_HUSH)
        said = buf_put_u8(&c->out, '\r');
    else if (request->form !=
             AT_LISTEN) /* never LF behind it: that would be the first counted byte */
        said = buf_put(&c->out, request->command, strlen(request->command)) &&
               buf_put_u8(&c->out, '\r');
    if (!said)
        c->deadline_ms = now_ms; /* out of memory: as good as a modem that hears nothing */
}

/* ---- lines ---- */

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

/* Our own command, perhaps behind the rest of what somebody else had typed. */
static bool is_echo(const struct at_chat *c, const char *line)
{
    if (c->phase == PHASE_IDLE || c->request.form == AT_HUSH || c->request.form == AT_LISTEN ||
        c->echoed)
        return false;
    size_t n = strlen(line), m = strlen(c->request.command);
    return n >= m && strcmp(line + n - m, c->request.command) == 0;
}

static bool wants_line(const struct at_chat *c)
{
    return c->request.form == AT_LINES && c->request.info && c->info[0] == '\0';
}

static enum at_token token_of(const struct at_chat *c, const char *line)
{
    if (is_echo(c, line))
        return TOKEN_ECHO;
    if (c->phase == PHASE_LINES && wants_line(c) && c->request.info[0] != '\0' &&
        begins(line, c->request.info))
        return TOKEN_INFO;
    for (size_t i = 0; i < sizeof(news_begin) / sizeof(news_begin[0]); i++)
        if (begins(line, news_begin[i]))
            return TOKEN_NEWS;
    bool numeric =
        (c->phase == PHASE_LINES || c->phase == PHASE_TAIL) && c->request.form == AT_LINES; /* V0 */
    if (strcmp(line, "OK") == 0 || (numeric && strcmp(line, "0") == 0))
        return TOKEN_OK;
    if (numeric && strcmp(line, "4") == 0)
        return TOKEN_FAIL;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        if (strcmp(line, failures[i]) == 0)
            return TOKEN_FAIL;
    if (strcmp(line, "READY") == 0)
        return TOKEN_READY;
    if (isdigit((unsigned char)line[0]) && line[1] == '\0')
        return TOKEN_DIGIT;
    if (c->phase == PHASE_LINES && wants_line(c) && c->request.info[0] == '\0')
        return TOKEN_INFO;
    return TOKEN_OTHER;
}

static enum at_event finish(struct at_chat *c, enum at_outcome outcome)
{
    c->outcome = outcome;
    c->phase = PHASE_IDLE;
    c->deadline_ms = INT64_MAX;
    return AT_ANSWER;
}

/* What was wanted is here. */
static void await_tail(struct at_chat *c, enum at_outcome outcome, int64_t now_ms)
{
    c->outcome = outcome;
    c->phase = PHASE_TAIL;
    c->deadline_ms = now_ms + c->request.tail_ms;
}

static void send_blob(struct at_chat *c, int64_t now_ms)
{
    uint16_t sum = 0;
    for (size_t i = 0; i < c->request.blob_bytes; i++)
        sum = (uint16_t)(sum + c->request.blob[i]);
    c->phase = PHASE_VERDICT;
    c->deadline_ms = now_ms + c->request.timeout_ms;
    if (!buf_put(&c->out, c->request.blob, c->request.blob_bytes) || !buf_put_be16(&c->out, sum))
        c->deadline_ms = now_ms;
}

static enum at_event act(struct at_chat *c, enum at_action action, const char *line, int64_t now_ms)
{
    switch (action) {
    case BUG:
        assert(!"a line that cannot come in this phase");
        break;
    case SKIP:
        break;
    case STRAY:
        c->strays++;
        break;
    case TELL:
        memmove(c->news, line, strlen(line) + 1);
        return AT_NEWS;
    case KEEP_INFO:
        memcpy(c->info, line, strlen(line) + 1);
        await_tail(c, AT_OK, now_ms);
        break;
    case KEEP_DIGIT:
        if (c->request.form == AT_LINES)
            break;
        c->digit = line[0] - '0';
        /* Behind a timeout (1) of +SBDWB stands no OK in one manual, and one in another. */
        await_tail(c, c->digit == 0 && c->phase != PHASE_PROMPT ? AT_OK : AT_REFUSED, now_ms);
        break;
    case SEND_BLOB:
        send_blob(c, now_ms);
        break;
    case FINISH:
        if (c->request.form == AT_DIGIT || (wants_line(c) && !c->request.info_may_miss))
            c->strays++;
        else
            return finish(c, AT_OK);
        break;
    case FAIL:
        return finish(c, AT_ERROR);
    case LAST:
        return finish(c, c->outcome);
    }
    return AT_NOTHING;
}

/* A whole line is in c->line. News that is glued to another line is told first, and the line stays.
 */
static enum at_event on_line(struct at_chat *c, int64_t now_ms)
{
    char *glued = strstr(c->line, GLUED);
    if (glued && strcmp(c->line, GLUED) != 0) {
        memmove(glued, glued + strlen(GLUED), strlen(glued + strlen(GLUED)) + 1);
        memcpy(c->news, GLUED, sizeof(GLUED));
        return AT_NEWS;
    }
    c->line_whole = false;
    c->line_len = 0;
    enum at_token token = token_of(c, c->line);
    if (token == TOKEN_ECHO) {
        c->echoed = true;
        c->echoes++;
    }
    return act(c, (enum at_action)actions[c->phase][token], c->line, now_ms);
}

/* Colours of a debug stream, which some firmware mixes in: ESC [ numbers letter. Return: is the
 * byte part of one? */
static bool in_escape(struct at_chat *c, uint8_t byte)
{
    if (byte == 0x1b) {
        c->escape = 1;
        return true;
    }
    if (c->escape == 1) {
        c->escape = byte == '[' ? 2 : 0;
        return c->escape == 2;
    }
    if (c->escape == 2 && (byte < 0x40 || byte > 0x7e) && byte >= 0x20)
        return true;
    bool last = c->escape == 2 && byte >= 0x40;
    c->escape = 0;
    return last;
}

static void line_byte(struct at_chat *c, uint8_t byte)
{
    if (in_escape(c, byte))
        return;
    if (byte == '\r' || byte == '\n') {
        c->line[c->line_len] = '\0';
        c->line_whole = c->line_len > 0 && !c->line_too_long;
        c->damaged += c->line_too_long;
        c->line_len = c->line_whole ? c->line_len : 0;
        c->line_too_long = false;
    } else if (byte == '\0') {
        return; /* of a line that was just powered */
    } else if (c->line_len < AT_LINE_MAX - 1) {
        c->line[c->line_len++] = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
    } else {
        c->line_too_long = true;
    }
}

/* ---- counted bytes ---- */

/* The high byte of a length says whether it can be one; CR, LF and all that lines begin with are
 * greater. */
static bool counted_begins(const struct at_chat *c, uint8_t byte)
{
    return c->line_len == 0 && !c->line_too_long && c->escape == 0 &&
           byte <= c->request.blob_max >> 8;
}

static void on_counted(struct at_chat *c, uint8_t byte, int64_t now_ms)
{
    size_t at = c->counted++;
    c->deadline_ms = now_ms + c->request.timeout_ms;
    if (at < 2) {
        c->head[at] = byte;
        c->blob_bytes = (size_t)c->head[0] << 8 | c->head[1];
        if (at == 1 && c->blob_bytes > c->request.blob_max) {
            c->damaged++;
            c->blob_bytes = 0;
            await_tail(c, AT_DAMAGED, now_ms);
        }
        return;
    }
    at -= 2;
    if (at < c->blob_bytes) {
        c->blob[at] = byte;
        c->sum = (uint16_t)(c->sum + byte);
        return;
    }
    c->sum = (uint16_t)(c->sum - (at == c->blob_bytes ? byte << 8 : byte));
    if (at == c->blob_bytes + 1) {
        c->damaged += c->sum != 0;
        await_tail(c, c->sum == 0 ? AT_OK : AT_DAMAGED, now_ms);
    }
}

enum at_event at_chat_feed(struct at_chat *c, const uint8_t **bytes, size_t *n, int64_t now_ms)
{
    for (;;) {
        if (c->line_whole) {
            enum at_event event = on_line(c, now_ms);
            if (event != AT_NOTHING)
                return event;
            continue;
        }
        if (*n == 0)
            return AT_NOTHING;
        uint8_t byte = **bytes;
        ++*bytes;
        --*n;
        if (c->phase == PHASE_HUSH && now_ms + c->request.timeout_ms < c->hush_end_ms)
            c->deadline_ms = now_ms + c->request.timeout_ms;
        if (c->phase == PHASE_COUNTED && (c->counted > 0 || counted_begins(c, byte)))
            on_counted(c, byte, now_ms);
        else
            line_byte(c, byte);
    }
}

/* ---- time ---- */

int64_t at_chat_deadline(const struct at_chat *c)
{
    return c->deadline_ms;
}

enum at_event at_chat_on_time(struct at_chat *c, int64_t now_ms)
{
    if (!at_chat_busy(c) || now_ms < c->deadline_ms)
        return AT_NOTHING;
    c->line_len = 0; /* the rest of a line that broke off is no part of the next */
    c->line_too_long = false;
    switch ((enum at_phase)c->phase) {
    case PHASE_TAIL:
        return finish(c, c->outcome);
    case PHASE_HUSH:
    case PHASE_LISTEN:
        return finish(c, AT_OK);
    case PHASE_LINES:
    case PHASE_PROMPT:
    case PHASE_VERDICT:
    case PHASE_COUNTED:
        return finish(c, AT_SILENT);
    case PHASE_IDLE:
    case PHASE_COUNT:
        break;
    }
    return AT_NOTHING;
}

size_t at_numbers(const char *line, long *values, size_t most)
{
    const char *p = strchr(line, ':');
    size_t n = 0;
    for (p = p ? p + 1 : line; n < most; p++) {
        char *end;
        while (*p == ' ')
            p++;
        if (!isdigit((unsigned char)p[*p == '-']))
            break;
        values[n++] = strtol(p, &end, 10);
        for (p = end; *p == ' '; p++)
            ;
        if (*p != ',')
            break;
    }
    return n;
}
