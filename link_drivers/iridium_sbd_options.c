/* The operator's keys of the iridium-sbd driver. */
#include "link_drivers/iridium_sbd.h"

#include "link_drivers/iridium_sbd_budget.h"

#define SECOND 1000ll
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* A 9601 takes 205 bytes with its first firmware. */
const struct sbd_model sbd_models[] = {
    {"9602", 340, 270},    {"9603", 340, 270},   {"9601", 205, 270},  {"9522b", 1960, 1890},
    {"9505a", 1960, 1890}, {"9555", 1960, 1890}, {"9575", 1960, 1890}};
static const char *const model_names[] = {"9602",  "9603", "9601", "9522b",
                                          "9505a", "9555", "9575", NULL};
_Static_assert(sizeof(model_names) / sizeof(model_names[0]) ==
                   sizeof(sbd_models) / sizeof(sbd_models[0]) + 1,
               "a name for each model");
static const char *const flow_names[] = {"none", "rtscts", NULL};

static const char *budget_item(const char *item)
{
    struct sbd_budget b;
    sbd_budget_init(&b, 1);
    return sbd_budget_read(&b, item);
}

#define AT(member) offsetof(struct sbd_options, member)
static const struct option rows[] = {
    {.key = "device",
     .type = OPTION_PATH,
     .offset = AT(device),
     .min = 1,
     .max = 4095,
     .help = "The serial port of the modem; a link under /dev/serial/by-id/ stays the same when an "
             "adapter comes back "
             "under another name."},
    {.key = "baud",
     .type = OPTION_INT,
     .offset = AT(baud),
     .min = 300,
     .max = 115200,
     .fallback = "19200",
     .help = "The rate of the line in bits a second; where the modem is silent at it, its other "
             "rates are tried, and the one "
             "found is used and reported."},
    {.key = "flow",
     .type = OPTION_ENUM,
     .offset = AT(flow),
     .names = flow_names,
     .fallback = "none",
     .help = "none: three wires (AT&K0); rtscts: the modem stops us by the CTS wire (AT&K3)."},
    {.key = "model",
     .type = OPTION_ENUM,
     .offset = AT(model),
     .names = model_names,
     .fallback = "9602",
     .help = "The modem, which decides how large a message may be: 340 bytes out and 270 in for "
             "9602 and 9603, 1960 and 1890 "
             "for voice units."},
    {.key = "hold",
     .type = OPTION_DURATION,
     .offset = AT(hold_ms),
     .max = 7 * DAY,
     .fallback = "15m",
     .help = "How long normal and bulk messages may wait for others, to fill the credits that are "
             "paid for; alarm and high do "
             "not wait."},
    {.key = "ack_max_age",
     .type = OPTION_DURATION,
     .offset = AT(ack_max_age_ms),
     .min = 1 * MINUTE,
     .max = 7 * DAY,
     .fallback = "6h",
     .help = "What came is acknowledged after this time by a message of its own, where none of "
             "ours took the "
             "acknowledgement along before."},
    {.key = "credit_bytes",
     .type = OPTION_INT,
     .offset = AT(credit_bytes),
     .min = 1,
     .max = 1960,
     .fallback = "50",
     .help = "A message is billed in started multiples of this."},
    {.key = "budget",
     .type = OPTION_LIST,
     .offset = AT(budget),
     .fallback = "",
     .check = budget_item,
     .help = "The most that may be spent, as in \"40/day, 900/month, 20%\": credits in 24 hours "
             "and in 30 days, and the share "
             "of them that is kept for alarms (20% where not said); empty: no limit."},
    {.key = "poll",
     .type = OPTION_DURATION,
     .offset = AT(poll_ms),
     .max = 30 * DAY,
     .fallback = "0",
     .help = "Ask the gateway for messages when no session took place for so long, which costs a "
             "credit; 0: only when the modem "
             "rings."},
    {.key = "check",
     .type = OPTION_DURATION,
     .offset = AT(check_ms),
     .max = 1 * DAY,
     .fallback = "10m",
     .help = "How often the modem itself is asked for a ring that was missed, and whether it still "
             "is there; free of charge; 0: "
             "never."},
    {.key = "min_interval",
     .type = OPTION_DURATION,
     .offset = AT(min_interval_ms),
     .max = 1 * DAY,
     .fallback = "10s",
     .help = "The least time between two sessions; kits that are fed by USB need 30s to charge."},
    {.key = "session_timeout",
     .type = OPTION_DURATION,
     .offset = AT(session_timeout_ms),
     .min = 10 * SECOND,
     .max = 10 * MINUTE,
     .fallback = "90s",
     .help = "A session that takes longer is ended by the modem (AT+SBDST)."},
    {.key = "location",
     .type = OPTION_BOOL,
     .offset = AT(location),
     .fallback = "no",
     .help = "Publish after each session where the modem is (AT-MSGEO: from the satellites, within "
             "some 10 km), with the "
             "session's result."},
    {.key = "time_scale",
     .type = OPTION_INT,
     .offset = AT(time_scale),
     .min = 1,
     .max = 100000,
     .fallback = "1",
     .help = "For tests: all waits are so many times shorter; an answer of the modem still has 2 "
             "seconds."},
};

const struct option_group sbd_option_group = {
    .name = "iridium-sbd",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .struct_size = sizeof(struct sbd_options),
    .help = "Iridium Short Burst Data through a modem on a serial port.",
    .metered_default = true,
};
