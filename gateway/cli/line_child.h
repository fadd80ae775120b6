/* The simulated cable (line_sim.h) in a child process, for whoever needs it beside itself: `longwire
 * demo` and tests. */
#ifndef GATEWAY_CLI_LINE_CHILD_H
#define GATEWAY_CLI_LINE_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/cli/line_model.h"
#include "gateway/cli/line_model.h"

struct line_child;

/* Forks it off. It dies with its parent. Both links exist when this returns.
 * Return: 0 and *out; negative errno. */
int line_child_start(struct line_child **out, const char *link_a, const char *link_b,
                   uint64_t seed) MUST_CHECK;
/* Says one command and waits for its answer (some 100 us; 2 s at most).
 * Return: 0; -EINVAL: refused, answer says why; -ETIMEDOUT, -EPIPE: it is gone. answer may be
 * NULL. */
int line_child_ask(struct line_child *s, const char *command, char *answer, size_t size) MUST_CHECK;
/* The counters of one direction. Return: as line_child_ask. */
int line_child_counters(struct line_child *s, enum line_end from, struct line_counters *out) MUST_CHECK;
/* Ends the child and waits for it; its links are gone afterwards. NULL allowed. */
void line_child_stop(struct line_child *s);

#endif
