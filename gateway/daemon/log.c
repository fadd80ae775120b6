#include "gateway/daemon/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1200

static enum log_level least = LOG_LEVEL_INFO;
static bool stamped;             /* a journal stamps lines itself; a terminal or file does not */
static char last[LINE_MAX_BYTES];
static unsigned repeats;

void log_init(void)
{
    const char *level = getenv("LONGWIRE_LOG");
    if (level && strcmp(level, "debug") == 0)
        least = LOG_LEVEL_DEBUG;
    stamped = getenv("JOURNAL_STREAM") == NULL;
}

static void write_line(const char *line)
{
    char out[LINE_MAX_BYTES + 64];
    size_t n = 0;
    if (stamped) {
        struct timespec ts;
        struct tm tm;
        clock_gettime(CLOCK_REALTIME, &ts);
        gmtime_r(&ts.tv_sec, &tm);
        n = strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%S", &tm);
        n += (size_t)snprintf(out + n, sizeof out - n, ".%03ldZ ", ts.tv_nsec / 1000000);
    }
    n += (size_t)snprintf(out + n, sizeof out - n, "%s\n", line);
    if (n >= sizeof out)
        n = sizeof out - 1;
    if (write(STDERR_FILENO, out, n) < 0)
        return; /* nowhere else to say it */
}

void log_flush(void)
{
    if (!repeats)
        return;
    char line[64];
    snprintf(line, sizeof line, "info log: last line repeated times=%u", repeats);
    repeats = 0;
    write_line(line);
}

void log_text(enum log_level level, const char *subsystem, const char *text)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    if (level < least)
        return;
    char line[LINE_MAX_BYTES];
    int n = snprintf(line, sizeof line, "%s %s: ", names[level], subsystem);
    /* What comes from outside (topics, broker's words) must not forge or break lines. */
    for (; *text && n < (int)sizeof line - 5; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            n += snprintf(line + n, 5, "\\x%02x", (unsigned char)*text);
        else
            line[n++] = *text;
    }
    line[n] = '\0';
    if (strcmp(line, last) == 0) {
        repeats++;
        return;
    }
    log_flush();
    strcpy(last, line);
    write_line(line);
}

void log_fmt(enum log_level level, const char *subsystem, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_text(level, subsystem, text);
}
