/* Iridium DirectIP, the hub's side of satellite modems: the provider's gateway connects here with
 * what a modem sent (MO), and we connect to the gateway with what a modem is to fetch (MT). One link
 * serves all modems; a peer's `imei` names its own, and its `mt_max` what it takes.
 *
 *     modem --- satellite --- gateway -- directip_mo.c --+
 *                                                        +-- directip.c -- host
 *                             gateway -- directip_mt.c --+
 *
 * A datagram link: nothing says that a modem is there, but what it sends. Its stations are the
 * host's peers; they are up while the listener is, but for one that the gateway refuses for a reason
 * that a person must mend. */
#ifndef LINK_DRIVERS_DIRECTIP_H
#define LINK_DRIVERS_DIRECTIP_H

#include "link_drivers/driver.h"

enum directip_report { DIRECTIP_REPORT_NO, DIRECTIP_REPORT_STATUS, DIRECTIP_REPORT_TOPIC };

struct directip_options {
    char *mo_listen;
    struct string_list mo_allow;
    bool mo_confirm;
    char *mt_connect;
    int64_t mt_window;
    int mt_priority; /* enum directip_priority */
    int report;      /* enum directip_report */
    int64_t hold_ms;
    int64_t ack_max_age_ms;
    int64_t credit_bytes;
    int64_t time_scale;
};

extern const struct option_group directip_option_group;
extern const struct link_driver directip_driver;

#endif
