#include "link_drivers/iridium_sbd_policy.h"

#include <stddef.h>

#define SECOND 1000ll
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

/* Reserved failures are not said to have kept the message back, so they may have delivered it. */
static const struct sbd_policy policies[] = {
    {0, 0, SEND_DONE, .words = "handed over"},
    {1, 1, SEND_DONE, .alert = true,
     .words = "handed over; a message for us is too large for this modem"},
    {2, 2, SEND_DONE, .words = "handed over; the location update was refused"},
    {3, 4, SEND_DONE, .words = "handed over"},
    {5, 9, SEND_UNKNOWN, SBD_WAIT_LADDER, .words = "failed"},
    {10, 10, SEND_UNKNOWN, SBD_WAIT_LADDER,
     .words = "the gateway did not see the call end in time"},
    {11, 11, SEND_FAILED, SBD_WAIT_FIXED, 30 * MINUTE, .alert = true,
     .words = "the queue at the gateway is full"},
    {12, 12, SEND_FAILED, SBD_WAIT_FIXED, HOUR, .alert = true, .never = true,
     .words = "the gateway takes no message of this size"},
    {13, 13, SEND_UNKNOWN, SBD_WAIT_LADDER, .words = "the session was not completed"},
    {14, 14, SEND_FAILED, SBD_WAIT_FIXED, HOUR, .alert = true, .never = true,
     .words = "invalid segment size"},
    {15, 15, SEND_FAILED, SBD_WAIT_FIXED, HOUR, .alert = true, .stop = true,
     .words = "access denied: barred, unpaid or not provisioned"},
    {16, 16, SEND_FAILED, SBD_WAIT_FIXED, HOUR, .alert = true, .stop = true,
     .words = "the modem is locked (+CULK)"},
    {17, 17, SEND_UNKNOWN, SBD_WAIT_LADDER, MINUTE, .words = "the gateway does not respond"},
    {18, 18, SEND_UNKNOWN, SBD_WAIT_LADDER, .words = "the radio link was lost"},
    {19, 19, SEND_UNKNOWN, SBD_WAIT_LADDER, .words = "link protocol error"},
    {20, 31, SEND_UNKNOWN, SBD_WAIT_LADDER, .words = "failed"},
    {32, 32, SEND_FAILED, SBD_WAIT_SERVICE, 3 * MINUTE, .words = "no network service"},
    {33, 33, SEND_FAILED, SBD_WAIT_FIXED, 30 * MINUTE, .alert = true, .words = "antenna fault"},
    {34, 34, SEND_FAILED, SBD_WAIT_FIXED, HOUR, SBD_REMEDY_RADIO_ON, .alert = true, .stop = true,
     .words = "the radio is switched off (AT*R0)"},
    {35, 35, SEND_FAILED, SBD_WAIT_FIXED, 30 * SECOND, .words = "the modem is busy"},
    {36, 36, SEND_FAILED, SBD_WAIT_FIXED, 3 * MINUTE,
     .words = "too soon after the last registration"},
    {37, 37, SEND_FAILED, SBD_WAIT_FIXED, 30 * MINUTE, .alert = true,
     .words = "the service is disabled for now"},
    {38, 38, SEND_FAILED, SBD_WAIT_FIXED, 3 * MINUTE, SBD_REMEDY_ASK_WAIT,
     .words = "a traffic management period: the network asks to wait"},
    {39, 63, SEND_UNKNOWN, SBD_WAIT_LADDER, .words = "failed"},
    {64, 64, SEND_FAILED, SBD_WAIT_FIXED, 30 * MINUTE, .alert = true,
     .words = "band violation: no transmission is allowed at this place"},
    {65, 65, SEND_FAILED, SBD_WAIT_FIXED, HOUR, .alert = true, .stop = true,
     .words = "PLL lock failure: a hardware fault"},
};
static const struct sbd_policy unlisted = {-1, -1, SEND_UNKNOWN, SBD_WAIT_LADDER,
                                           .words = "failed"};

/* Two quick tries, for a satellite passes; two less quick ones; then the sky or the gateway needs
 * time. */
static const struct {
    unsigned failures; /* up to so many in a row */
    int64_t least_ms, most_ms;
} ladder[] = {
    {2, 0, 5 * SECOND},
    {4, 0, 30 * SECOND},
    {16, 5 * MINUTE, 5 * MINUTE},
    {40, 15 * MINUTE, 15 * MINUTE},
    {UINT32_MAX, 30 * MINUTE, 30 * MINUTE},
};

const struct sbd_policy *sbd_policy_of(long mo_status)
{
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
        if (mo_status >= policies[i].first && mo_status <= policies[i].last)
            return &policies[i];
    return &unlisted;
}

int64_t sbd_ladder_ms(unsigned failures, uint32_t random)
{
    size_t i = 0;
    while (failures > ladder[i].failures)
        i++;
    return ladder[i].least_ms + (int64_t)random % (ladder[i].most_ms - ladder[i].least_ms + 1);
}
