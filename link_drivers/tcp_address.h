/* host:port as an operator writes it. An IPv6 address stands in brackets, or its last group would
 * read as a port. Pure. */
#ifndef LINK_DRIVERS_TCP_ADDRESS_H
#define LINK_DRIVERS_TCP_ADDRESS_H

#include "base/attr.h"

#define TCP_HOST_MAX 253 /* bytes of a name (RFC 1035, 2.3.4, as written) */

struct tcp_address {
    char host[TCP_HOST_MAX + 1]; /* without brackets; "" or "*" for a listener: all addresses */
    char port[6];                /* decimal, 0..65535, no leading zero; 0 asks for any free port */
};

/* Return: NULL and *a filled, or what is wrong (static), *a then undefined. */
const char *tcp_address_parse(const char *text, struct tcp_address *a) MUST_CHECK;
/* Option checks (base/option.h): NULL when good or empty, else what is wrong. Both want a port of 1
 * or more, the first a host too. */
const char *tcp_address_check_connect(const char *text);
const char *tcp_address_check_listen(const char *text);

#endif
