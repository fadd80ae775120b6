#include "store/packet_ids.h"

#include "store/db.h"

int store_qos2_add(struct store *s, uint16_t packet_id, uint64_t hash)
{
    int rc = db_write(s);

    return rc != 0 ? rc : db_run(s, SQL_QOS2_ADD, DB_INTS(packet_id, (int64_t)hash));
}

/* v: hash, released. */
static int qos2_row(struct store *s, uint16_t packet_id, int64_t v[2])
{
    int rc = db_ready(s);

    return rc != 0 ? rc : db_read(s, SQL_QOS2_GET, DB_INTS(packet_id), v, 2);
}

int store_qos2_known(struct store *s, uint16_t packet_id)
{
    int64_t v[2];
    int rc = qos2_row(s, packet_id, v);

    return rc == 0 && v[1] ? STORE_NONE : rc;
}

int store_qos2_release(struct store *s, uint16_t packet_id)
{
    int rc = db_write(s);

    if (rc == 0)
        rc = db_run(s, SQL_QOS2_RELEASE, DB_INTS(packet_id));
    return rc != 0 ? rc : db_run(s, SQL_QOS2_TRIM, DB_INTS(STORE_QOS2_RELEASED_MAX));
}

int store_qos2_was(struct store *s, uint16_t packet_id, uint64_t hash)
{
    int64_t v[2];
    int rc = qos2_row(s, packet_id, v);

    return rc == 0 && !(v[1] && (uint64_t)v[0] == hash) ? STORE_NONE : rc;
}

int store_qos2_clear(struct store *s)
{
    int rc = db_write(s);

    return rc != 0 ? rc : db_run(s, SQL_QOS2_CLEAR, NULL, 0);
}
