/* What an Iridium SBD modem tells, in the words of status and log. */
#include "link_drivers/iridium_sbd_internal.h"

#include <math.h>
#include <stdio.h>

void sbd_alert(struct sbd *s, const char *words)
{
    if (s->alert == words)
        return;
    s->alert = words;
    s->host->ops->trace(s->host, 2, "%s: device=%s", words, s->port.path);
}

void sbd_report_session(struct sbd *s, const long *v, size_t n, int64_t credits)
{
    char json[256];
    if (!s->host->ops->report)
        return;
    size_t at = (size_t)snprintf(json, sizeof(json), "{\"mo_status\":%ld,\"failures\":%u", v[0],
                                 (unsigned)s->note.failures);
    if (n >= 6)
        at +=
            (size_t)snprintf(json + at, sizeof(json) - at,
                             ",\"momsn\":%ld,\"mt_status\":%ld,\"mt_bytes\":%ld,\"mt_queued\":%ld",
                             v[1], v[2], v[4], v[5]);
    if (s->signal >= 0)
        at += (size_t)snprintf(json + at, sizeof(json) - at, ",\"signal\":%d", s->signal);
    snprintf(json + at, sizeof(json) - at, ",\"credits\":%lld,\"credits_total\":%llu}",
             (long long)credits, (unsigned long long)s->budget.total);
    s->host->ops->report(s->host, STATION_NONE, json, s->options->location);
}

/* -MSGEO: x, y, z in km from the middle of the earth, and a time. */
void sbd_report_place(struct sbd *s, const char *line)
{
    long v[3];
    char json[128];
    if (!s->host->ops->report || at_numbers(line, v, 3) != 3 ||
        (v[0] == 0 && v[1] == 0 && v[2] == 0))
        return;
    double x = (double)v[0], y = (double)v[1], z = (double)v[2], degree = acos(-1) / 180;
    snprintf(json, sizeof(json), "{\"latitude\":%.2f,\"longitude\":%.2f,\"radius_km\":10}",
             atan2(z, sqrt(x * x + y * y)) / degree, atan2(y, x) / degree);
    s->host->ops->report(s->host, STATION_NONE, json, true);
}
