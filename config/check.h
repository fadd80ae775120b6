/* What must hold across the options of a configuration whose values are each right. */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/config.h"
#include "config/diag.h"

/* Tells d every contradiction in c (an error) and every doubt (a warning). c may be one that has
 * errors already: all its members are well-formed, but a link's driver may be NULL, and lists may
 * be empty. */
void config_check(const struct config *c, struct diag *d);

#endif
