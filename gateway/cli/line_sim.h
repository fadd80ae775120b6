/* A simulated serial cable between two ptys: line_model.h with real ttys at its ends, in a process
 * of its own, for `longwire demo` and the end-to-end tests. Each end stands under a symbolic link,
 * as udev's by-id links do, so that it can be unplugged and come back as another tty.
 *
 * The process is driven by lines of text and answers each with one line of JSON:
 *
 *     set a|b|both KEY VALUE ...  baud, delay_ms, ber, loss, insert, burst, burst_bytes
 *     duplex half|full            (chances as 1e-5)
 *     cut
 *     restore
 *     inject a|b HEX              the end hears these bytes
 *     unplug a|b
 *     replug a|b
 *     record a|b FILE|off         what that end says, byte for byte
 *     status
 *     quit
 *
 *     {"ok":true,"now_us":N,"cut":false,"half":false,
 *      "a":{"device":"/dev/pts/3","sent":N,"heard":N,"damaged":N,"lost":N,"invented":N,"cut":N,
 *           "collided":N,"overrun":N,"waiting":N,"busy_us":N},"b":{...}}
 *     {"ok":false,"error":"..."}
 */
#ifndef GATEWAY_CLI_LINE_SIM_H
#define GATEWAY_CLI_LINE_SIM_H

#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/cli/line_model.h"

#define LINE_SIM_COMMAND_MAX 8192 /* bytes of one command line */
#define LINE_SIM_ANSWER_MAX  1536 /* bytes of one answer */

/* Runs the simulator in this process until `quit`, end of input, or SIGTERM: commands come from
 * in_fd, answers go to out_fd. link_a, link_b: paths of the links, made here (an existing link
 * is replaced) and removed at the end.
 * Return: 0, or negative errno with a line on stderr. */
int line_sim_run(const char *link_a, const char *link_b, uint64_t seed, int in_fd,
                 int out_fd) MUST_CHECK;

#endif
