/* `longwire probe DEVICE`: what modem is there. */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include "base/attr.h"

/* Asks the modem on this serial port who it is and how it stands, at whatever rate it answers, and
 * prints it. Costs nothing. Return: the exit status. */
int command_probe(const char *device) MUST_CHECK;

#endif
