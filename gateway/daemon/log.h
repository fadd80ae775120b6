/* The daemon's log: one line an event on stderr, "level subsystem: text key=value". Equal lines in a row are counted, not repeated. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include "base/attr.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERR };

/* What is below this level is not written. Default: info; the environment variable LONGWIRE_LOG=debug lowers it. */
void log_init(void);
void log_text(enum log_level level, const char *subsystem, const char *text);
void log_fmt(enum log_level level, const char *subsystem, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Writes out the count of a repeated line, if any. */
void log_flush(void);

#endif
