/* The tcp driver: a byte stream over TCP/IP, either connecting to a hub or listening for many
 * sites. The connecting end has no stations (STATION_NONE); each connection of a listener is one.
 */
#ifndef LINK_DRIVERS_TCP_H
#define LINK_DRIVERS_TCP_H

#include "link_drivers/driver.h"

struct tcp_options {
    char *connect; /* host:port, or "" */
    char *listen;  /* address:port, or "" */
    int64_t timeout_ms;
    int64_t keepalive_ms;
    int64_t max_connections, guests;
};

extern const struct option_group tcp_option_group;
extern const struct link_driver tcp_driver;

#endif
