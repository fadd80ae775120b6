/* The commands of `longwire`, one file each. Each returns the exit status of DESIGN 6: 0 done, 1 failed, 2 usage, 3 not running. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "base/attr.h"

#define EXIT_DONE        0
#define EXIT_FAILED      1
#define EXIT_USAGE       2
#define EXIT_NOT_RUNNING 3

#define DEFAULT_FILE "/etc/longwire/longwire.ini"

/* Reads and checks the file: a summary, or every error. */
int command_check(const char *file) MUST_CHECK;
/* Asks the running daemon: in words, or as JSON. */
int command_status(const char *file, int json) MUST_CHECK;
/* Writes a new key file; one that is there stays as it is. */
int command_keygen(const char *file) MUST_CHECK;
/* Both ends on this machine. self: path of this program, for the daemons. */
int command_demo(const char *self) MUST_CHECK;
/* The option reference as man page source, and an INI with every key at its default: for packaging and the curious. */
int command_manual(void) MUST_CHECK;
int command_sample(void) MUST_CHECK;

#endif
