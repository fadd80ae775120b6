#include "store/message_row.h"

#include "store/db.h"

uint64_t message_row_bytes(const struct msg *msg)
{
    return (uint64_t)msg->topic_len + msg->hops_len + msg->props_len + msg->payload_len;
}

void message_row_bind(sqlite3_stmt *st, int at, const struct msg *msg, unsigned more_flags)
{
    unsigned flags = (msg->qos & MESSAGE_ROW_QOS) | (msg->retain ? MESSAGE_ROW_RETAIN : 0) |
                     (unsigned)msg->class << MESSAGE_ROW_CLASS |
                     (msg->expiry_ms != MSG_NO_EXPIRY ? MESSAGE_ROW_EXPIRY : 0) | more_flags;

    db_bind_int(st, at, flags);
    if (msg->origin_ms != 0)
        db_bind_int(st, at + 1, msg->origin_ms);
    sqlite3_bind_text64(st, at + 2, msg->topic, msg->topic_len, SQLITE_STATIC, SQLITE_UTF8);
    db_bind_text(st, at + 3, msg->hops, msg->hops_len);
    db_bind_blob(st, at + 4, msg->props, msg->props_len);
    db_bind_blob(st, at + 5, msg->payload, msg->payload_len);
}

struct msg *message_row_read(sqlite3_stmt *st, int column, uint32_t *payload_len)
{
    unsigned flags = (unsigned)sqlite3_column_int(st, column);
    const char *topic = (const char *)sqlite3_column_text(st, column + 2);
    const char *hops = (const char *)sqlite3_column_text(st, column + 3);
    const void *props = sqlite3_column_blob(st, column + 4);
    const void *payload = sqlite3_column_blob(st, column + 5);
    struct msg *msg;

    msg = msg_new(topic ? topic : "", (size_t)sqlite3_column_bytes(st, column + 2), payload,
                  (size_t)sqlite3_column_bytes(st, column + 5), props,
                  (size_t)sqlite3_column_bytes(st, column + 4), hops ? hops : "");
    if (!msg)
        return NULL;
    msg->origin_ms = sqlite3_column_int64(st, column + 1);
    msg->qos = flags & MESSAGE_ROW_QOS;
    msg->retain = flags & MESSAGE_ROW_RETAIN;
    msg->class = (enum msg_class)(flags >> MESSAGE_ROW_CLASS & 3);
    *payload_len = (uint32_t)sqlite3_column_int64(st, column + 6);
    if (msg->payload_len != *payload_len)
        msg->payload = NULL; /* left out */
    return msg;
}
