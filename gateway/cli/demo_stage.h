/* What `longwire demo` plays on: two mosquitto brokers on free loopback ports, a simulated line between two ptys, and a gateway at
 * each end, all in a folder of their own. Everything ends with this process, however it ends. */
#ifndef CLI_DEMO_STAGE_H
#define CLI_DEMO_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/attr.h"

struct line_child;

enum stage_side { STAGE_EDGE, STAGE_HUB };

struct stage {
    char dir[64];
    uint16_t port[2];            /* of each side's broker */
    pid_t broker[2], gateway[2];
    struct line_child *line;
    char file[2][96];            /* the gateways' INI files */
};

#define STAGE_BAUD 9600

/* Builds it up; self: path of this program. Return: 0, or -1 with a line on stderr; stage_close in either case. */
int stage_open(struct stage *s, const char *self, uint64_t seed) MUST_CHECK;
/* Ends all processes and removes the folder. */
void stage_close(struct stage *s);
/* True while all processes run. *which: the name of one that does not. */
bool stage_alive(struct stage *s, const char **which);

#endif
