#include "store/packet_ids.h"

#include "store/db.h"

/* Both tables hold ids alone: is it there, put it there, take it away. */
static int known(struct store *s, enum sql_id id, uint16_t packet_id)
{
    int64_t there;
    int rc = db_ready(s);

    return rc != 0 ? rc : db_read(s, id, DB_INTS(packet_id), &there, 1);
}

static int change(struct store *s, enum sql_id id, uint16_t packet_id)
{
    int rc = db_write(s);

    return rc != 0 ? rc : db_run(s, id, DB_INTS(packet_id));
}

static int clear(struct store *s, enum sql_id id)
{
    int rc = db_write(s);

    return rc != 0 ? rc : db_run(s, id, NULL, 0);
}

int store_qos2_add(struct store *s, uint16_t packet_id)
{
    return change(s, SQL_QOS2_ADD, packet_id);
}

int store_qos2_known(struct store *s, uint16_t packet_id)
{
    return known(s, SQL_QOS2_GET, packet_id);
}

int store_qos2_remove(struct store *s, uint16_t packet_id)
{
    return change(s, SQL_QOS2_DELETE, packet_id);
}

int store_qos2_clear(struct store *s)
{
    return clear(s, SQL_QOS2_CLEAR);
}

int store_packet_id_used(struct store *s, uint16_t packet_id)
{
    return known(s, SQL_PACKET_ID_GET, packet_id);
}

int store_packet_id_use(struct store *s, uint16_t packet_id)
{
    return change(s, SQL_PACKET_ID_ADD, packet_id);
}

int store_packet_ids_forget(struct store *s)
{
    return clear(s, SQL_PACKET_ID_CLEAR);
}
