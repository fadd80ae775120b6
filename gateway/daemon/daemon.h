/* `longwire run`: the event loop that joins broker connection, link drivers, store and bridge. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "base/attr.h"

/* Runs in the foreground until SIGTERM or SIGINT. SIGHUP reads the file again: a bad one changes nothing.
 * Return: exit status: 0 stopped as asked, 1 failed. */
int daemon_run(const char *file) MUST_CHECK;

#endif
