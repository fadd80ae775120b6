/* A list of IP addresses and networks as an operator writes it, and whether a caller is in it. For
 * protocols that know no other proof of who calls. Pure. */
#ifndef LINK_DRIVERS_ADDRESS_LIST_H
#define LINK_DRIVERS_ADDRESS_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include "base/option.h"

/* Option check (base/option.h) of one item: "192.0.2.1", "2001:db8::/32", "any". */
const char *address_list_check(const char *item);
/* Is the address one of the list's (whose items passed the check)? An IPv4 address that came over an
 * IPv6 socket counts as what it is. An address of another family never is. */
bool address_list_has(const struct string_list *list, const struct sockaddr_storage *from);

#endif
