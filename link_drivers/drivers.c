/* The one list of link drivers: what is not here cannot be configured. */
#include "link_drivers/driver.h"

#include <string.h>
#include "link_drivers/directip.h"
#include "link_drivers/iridium_sbd.h"
#include "link_drivers/null.h"
#include "link_drivers/serial.h"
#include "link_drivers/tcp.h"

const struct link_driver *const link_drivers[] = {
    &serial_driver,
    &tcp_driver,
    &directip_driver,
    &sbd_driver,
    &null_driver,
    NULL,
};

const struct option_group *const link_driver_options[] = {
    &serial_option_group,
    &tcp_option_group,
    &directip_option_group,
    &sbd_option_group,
    &null_option_group,
    NULL,
};

const struct link_driver *link_driver_find(const char *name)
{
    for (size_t i = 0; link_drivers[i]; i++)
        if (strcmp(link_drivers[i]->name, name) == 0)
            return link_drivers[i];
    return NULL;
}
