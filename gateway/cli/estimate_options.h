/* The words behind `longwire estimate`: what is to be counted, on which link, at what prices. */
#ifndef CLI_ESTIMATE_OPTIONS_H
#define CLI_ESTIMATE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "config/config.h"
#include "gateway/cli/estimate_report.h"

struct estimate_options {
    const char *config_file, *recording, *broker; /* NULL: not said */
    int64_t for_ms;                               /* 0: not said */
    bool json;
    int kind;       /* of the link, enum estimate_kind */
    int64_t credit; /* -1: not said, and likewise: */
    int64_t hold_ms, mtu, baud;
    struct estimate_terms terms;
};
enum estimate_kind { ESTIMATE_KIND_ANY = -1, ESTIMATE_STREAM, ESTIMATE_DATAGRAM };

extern const char estimate_usage[];

/* argv: what follows `longwire estimate`; o points into it. Return: NULL; else what is wrong, until
 * the next call. */
const char *estimate_options_read(struct estimate_options *o, int argc, char **argv) MUST_CHECK;
/* What was not said, about the link, is as that of the first peer of the configuration has it, or as
 * is usual for the kind. config: NULL: there is none. Return: as above. */
const char *estimate_options_complete(struct estimate_options *o,
                                      const struct config *config) MUST_CHECK;
/* HOST, HOST:PORT, [ADDRESS]:PORT or unix:/path; what is not said stays as it is in broker, which
 * points into text afterwards. text is overwritten. Return: false: it is none of these. */
bool estimate_options_broker(char *text, struct config_broker *broker) MUST_CHECK;

#endif
