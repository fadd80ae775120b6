/* `longwire estimate`: what recorded or live traffic would cost on a link, before there is one. */
#ifndef CLI_ESTIMATE_H
#define CLI_ESTIMATE_H

#include "base/attr.h"

/* argv: what follows `longwire estimate`. Report to stdout, progress and errors to stderr. Return:
 * the exit status. */
int command_estimate(int argc, char **argv) MUST_CHECK;

#endif
