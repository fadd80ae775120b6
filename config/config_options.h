/* The option rows of the fixed sections: the one table behind the parser, `longwire check`, the
 * sample and the man page. A link's own keys are here, those of its driver come with the driver. */
#ifndef CONFIG_CONFIG_OPTIONS_H
#define CONFIG_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/option.h"

enum section_kind {
    SECTION_SITE,
    SECTION_BROKER,
    SECTION_STORE,
    SECTION_PEER,
    SECTION_ROUTE,
    SECTION_LINK,
};
#define SECTION_KINDS 6

struct config_section {
    const char *kind;          /* "peer" */
    bool named;                /* [peer NAME]: any number of them */
    const struct option *rows; /* of the section's struct in config.h; [site]: of struct config */
    size_t count;
    const char *help;
};

extern const struct config_section config_sections[SECTION_KINDS]; /* by enum section_kind */

/* NULL when the text may name a site, peer, route or link, else what is allowed. */
const char *config_name_check(const char *name);

#endif
