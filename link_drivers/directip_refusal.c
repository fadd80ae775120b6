#include "link_drivers/directip_refusal.h"

#include <stddef.h>

static const struct directip_refusal refusals[] = {
    {-1, REFUSAL_OF_MODEM, WAIT_MT_REFUSED, true, "the gateway takes the IMEI for malformed"},
    {-2, REFUSAL_OF_MODEM, WAIT_MT_REFUSED, true, "the gateway does not know this IMEI of ours"},
    {-3, REFUSAL_OF_MODEM, WAIT_MT_REFUSED, true, "larger than the gateway takes: see mt_max"},
    {-4, REFUSAL_OF_MODEM, WAIT_MT_REFUSED, true, "the gateway found no payload"},
    {-5, REFUSAL_OF_MODEM, WAIT_MT_FULL, false, "the modem's queue at the gateway is full"},
    {-6, REFUSAL_OF_US, WAIT_MT_GATEWAY, false, "the gateway has no resources"},
    {-7, REFUSAL_OF_MODEM, WAIT_MT_REFUSED, true, "the gateway calls it a breach of protocol"},
    {-8, REFUSAL_OF_MODEM, WAIT_MT_REFUSED, true, "ring alerts are disabled for this IMEI"},
    {-9, REFUSAL_OF_MODEM, WAIT_MT_FULL, false, "the modem is not attached"},
    {-10, REFUSAL_OF_US, WAIT_MT_REFUSED, true, "the gateway refuses our address"},
    {-11, REFUSAL_OF_MODEM, WAIT_MT_REFUSED, true, "the gateway wants another MTMSN"},
    {-12, REFUSAL_OF_US, WAIT_MT_REFUSED, true, "the gateway refuses our certificate"},
};

static const struct directip_refusal unknown = {0, REFUSAL_OF_MODEM, WAIT_MT_REFUSED, true,
                                                "refused with a status that is not known"};

const struct directip_refusal *directip_refusal_of(int16_t status)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i].status == status)
            return &refusals[i];
    return &unknown;
}
