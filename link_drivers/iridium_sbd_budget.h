/* The bill of an Iridium SBD link: credits spent, and what may still be spent today and this month.
 * Pure. A day is 24 hours and a month 30 days, each from the first credit spent in it: so it needs
 * no calendar, and a box without a clock keeps to it too. */
#ifndef LINK_DRIVERS_IRIDIUM_SBD_BUDGET_H
#define LINK_DRIVERS_IRIDIUM_SBD_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/option.h"

#define SBD_ALARM_SHARE_DEFAULT 20 /* percent of a limit that only alarms may use */

enum sbd_span { SBD_DAY, SBD_MONTH, SBD_SPANS };

struct sbd_budget {
    int64_t limit[SBD_SPANS]; /* credits; 0 = none */
    int64_t alarm_percent;
    int64_t length_ms[SBD_SPANS];
    int64_t spent[SBD_SPANS];
    int64_t
        began_ms[SBD_SPANS]; /* monotonic; before the start of the process where it was restored */
    uint64_t total;          /* credits ever */
};

/* time_scale: a day is so many times shorter (tests). */
void sbd_budget_init(struct sbd_budget *b, int64_t time_scale);
/* Reads one item of `budget =`: 40/day, 900/month or 20%. Return: NULL, or what is wrong with it
 * (static). */
const char *sbd_budget_read(struct sbd_budget *b, const char *item);
/* What bytes cost in one message: started multiples of credit_bytes. */
int64_t sbd_credits(size_t bytes, int64_t credit_bytes);
/* May this much be spent now? */
bool sbd_budget_allows(struct sbd_budget *b, int64_t credits, bool alarm, int64_t now_ms);
/* When more than now may be spent; INT64_MAX = nothing holds back. */
int64_t sbd_budget_renews_ms(struct sbd_budget *b, int64_t now_ms);
void sbd_budget_spend(struct sbd_budget *b, int64_t credits, int64_t now_ms);

#endif
