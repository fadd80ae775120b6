/* A message as columns of a row: flags, origin, topic, hops, props, payload, in this order.
 * Internal to store/. */
#ifndef STORE_MESSAGE_ROW_H
#define STORE_MESSAGE_ROW_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/msg.h"

#define MESSAGE_ROW_QOS    0x03 /* of flags: qos in the two lowest bits, */
#define MESSAGE_ROW_RETAIN 0x04
#define MESSAGE_ROW_LATEST 0x08 /* has an entry in the table `latest` */
#define MESSAGE_ROW_CLASS  4    /* the class above this bit, two of them */
#define MESSAGE_ROW_EXPIRY                                                                         \
    0x40 /* the message itself expires (MQTT 5), not the route alone: the far end is told */

/* What the message counts in sums of bytes. */
uint64_t message_row_bytes(const struct msg *msg);
/* Binds six values from ?at on; they must live until the statement is stepped. */
void message_row_bind(sqlite3_stmt *st, int at, const struct msg *msg, unsigned more_flags);
/* Makes the message of the six columns from `column` on, and of the column behind them, the
 * payload's true length: a payload left out (NULL) with a length > 0 gives payload NULL,
 * payload_len 0. Return: NULL when out of memory. */
struct msg *message_row_read(sqlite3_stmt *st, int column, uint32_t *payload_len) MUST_CHECK;

#endif
