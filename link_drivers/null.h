/* The null link: always up, swallows everything, says nothing. For tests, and for an operator who
 * wants a route that leads nowhere to be seen leading nowhere. */
#ifndef LINK_DRIVERS_NULL_H
#define LINK_DRIVERS_NULL_H

#include "link_drivers/driver.h"

extern const struct option_group null_option_group;
extern const struct link_driver null_driver;

#endif
