#include "link_drivers/iridium_sbd_budget.h"

#include <string.h>
#include "base/units.h"

#define DAY_MS   (24 * 3600 * 1000ll)
#define MONTH_MS (30 * DAY_MS)

void sbd_budget_init(struct sbd_budget *b, int64_t time_scale)
{
    *b = (struct sbd_budget){.alarm_percent = SBD_ALARM_SHARE_DEFAULT};
    b->length_ms[SBD_DAY] = DAY_MS / time_scale;
    b->length_ms[SBD_MONTH] = MONTH_MS / time_scale;
}

const char *sbd_budget_read(struct sbd_budget *b, const char *item)
{
    static const char wrong[] =
        "not a part of a budget: 40/day, 900/month and 20% (kept for alarms) are";
    static const struct {
        const char *unit;
        int span;
        int64_t most;
    } units[] = {{"/day", SBD_DAY, 1000000}, {"/month", SBD_MONTH, 1000000}, {"%", SBD_SPANS, 100}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t n = strlen(item), m = strlen(units[i].unit);
        char digits[16];
        int64_t value;
        if (n <= m || n - m >= sizeof(digits) || strcmp(item + n - m, units[i].unit) != 0)
            continue;
        memcpy(digits, item, n - m);
        digits[n - m] = '\0';
        if (!integer_parse(digits, &value) || value < (units[i].span == SBD_SPANS ? 0 : 1) ||
            value > units[i].most)
            return wrong;
        if (units[i].span == SBD_SPANS)
            b->alarm_percent = value;
        else
            b->limit[units[i].span] = value;
        return NULL;
    }
    return wrong;
}

int64_t sbd_credits(size_t bytes, int64_t credit_bytes)
{
    return ((int64_t)bytes + credit_bytes - 1) / credit_bytes;
}

static void begin_spans(struct sbd_budget *b, int64_t now_ms)
{
    for (int i = 0; i < SBD_SPANS; i++)
        if (b->spent[i] > 0 && now_ms - b->began_ms[i] >= b->length_ms[i])
            b->spent[i] = 0;
}

bool sbd_budget_allows(struct sbd_budget *b, int64_t credits, bool alarm, int64_t now_ms)
{
    begin_spans(b, now_ms);
    for (int i = 0; i < SBD_SPANS; i++) {
        int64_t limit = b->limit[i];
        if (!alarm)
            limit -= limit * b->alarm_percent / 100;
        if (b->limit[i] > 0 && b->spent[i] + credits > limit)
            return false;
    }
    return true;
}

int64_t sbd_budget_renews_ms(struct sbd_budget *b, int64_t now_ms)
{
    int64_t at = INT64_MAX;
    begin_spans(b, now_ms);
    for (int i = 0; i < SBD_SPANS; i++)
        if (b->limit[i] > 0 && b->spent[i] > 0 && b->began_ms[i] + b->length_ms[i] < at)
            at = b->began_ms[i] + b->length_ms[i];
    return at;
}

void sbd_budget_spend(struct sbd_budget *b, int64_t credits, int64_t now_ms)
{
    begin_spans(b, now_ms);
    b->total += (uint64_t)credits;
    for (int i = 0; i < SBD_SPANS; i++) {
        if (b->spent[i] == 0)
            b->began_ms[i] = now_ms;
        b->spent[i] += credits;
    }
}
