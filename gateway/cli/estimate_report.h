/* What `longwire estimate` tells: bytes a message, and what a month costs, beside plain MQTT and
 * MQTT-SN. */
#ifndef CLI_ESTIMATE_REPORT_H
#define CLI_ESTIMATE_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/attr.h"
#include "gateway/cli/estimate_traffic.h"

struct estimate_prices { /* in the operator's currency; 0 = nothing to pay */
    double kilobyte;     /* 1000 bytes, both ways */
    double credit;
    double minute; /* of air time at the link's baud rate */
    double month;  /* whatever is sent */
};

struct estimate_terms {
    struct estimate_link link;
    struct estimate_prices prices;
    int64_t span_ms; /* that the traffic took; 0: not known, then nothing is said of months */
    unsigned top;    /* topics shown in words, costliest first; JSON has them all */
};

void estimate_report_words(const struct estimate_traffic *t, const struct estimate_terms *terms,
                           FILE *out);
/* Return: 0 or -ENOMEM. */
int estimate_report_json(const struct estimate_traffic *t, const struct estimate_terms *terms,
                         FILE *out) MUST_CHECK;

#endif
