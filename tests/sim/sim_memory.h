/* Memory that the gateways hold, a count for each: the linker sends the program's malloc, calloc, realloc and free through here
 * (--wrap, meson.build). What is taken while a site is inside its gateway is that gateway's, until it is freed, whoever does it.
 * SQLite's own is counted by SQLite, for both together. */
#ifndef TESTS_SIM_SIM_MEMORY_H
#define TESTS_SIM_SIM_MEMORY_H

#include <stddef.h>

#define SIM_MEMORY_NOBODY 2u

/* Whose what is taken from now on is: a site, or nobody (the world's own). Return: whose it was before. */
unsigned sim_memory_of(unsigned site);
/* Bytes and blocks that are not freed yet. */
size_t sim_memory_bytes(unsigned site);
size_t sim_memory_blocks(unsigned site);

#endif
