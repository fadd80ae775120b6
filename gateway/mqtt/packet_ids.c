#include "gateway/mqtt/packet_ids.h"

#include <string.h>

enum outgoing {
    OUT_MASK = 0x0f,
    OUT_NONE = 0,
    OUT_QOS1 = 1, /* PUBACK must come */
    OUT_QOS2 = 2, /* PUBREC must come */
    OUT_REL = 3,  /* PUBCOMP must come */
};

enum incoming {
    IN_MASK = 0xf0,
    IN_NONE = 0,
    IN_QOS1 = 0x10,    /* we owe PUBACK */
    IN_QOS2 = 0x20,    /* we owe PUBREC, then PUBREL comes */
    IN_REL = 0x30,     /* we owe PUBCOMP */
    IN_RESUMED = 0x40, /* the same, for a PUBLISH of an earlier connection: it is not counted */
};

void packet_ids_reset(struct packet_ids *ids)
{
    memset(ids, 0, sizeof(*ids));
}

static uint8_t outgoing(const struct packet_ids *ids, uint16_t id)
{
    return ids->state[id] & OUT_MASK;
}

static uint8_t incoming(const struct packet_ids *ids, uint16_t id)
{
    return ids->state[id] & IN_MASK;
}

/* The counts follow the states, so that neither can drift from the other. */
static void set_outgoing(struct packet_ids *ids, uint16_t id, uint8_t to)
{
    bool was = outgoing(ids, id) != OUT_NONE;
    ids->outgoing += (unsigned)(to != OUT_NONE) - (unsigned)was;
    ids->state[id] = (uint8_t)(incoming(ids, id) | to);
}

static bool counts_incoming(uint8_t state)
{
    return state != IN_NONE && state != IN_RESUMED;
}

static void set_incoming(struct packet_ids *ids, uint16_t id, uint8_t to)
{
    bool was = counts_incoming(incoming(ids, id));
    ids->incoming += (unsigned)counts_incoming(to) - (unsigned)was;
    ids->state[id] = (uint8_t)(outgoing(ids, id) | to);
}

void packet_ids_sent_publish(struct packet_ids *ids, uint16_t id, uint8_t qos)
{
    set_outgoing(ids, id, qos == 1 ? OUT_QOS1 : OUT_QOS2);
}

void packet_ids_sent_pubrel(struct packet_ids *ids, uint16_t id)
{
    set_outgoing(ids, id, OUT_REL);
}

/* An answer that ends `expected`, or belongs to an id unknown here. */
static bool finish_outgoing(struct packet_ids *ids, uint16_t id, uint8_t expected)
{
    uint8_t state = outgoing(ids, id);
    if (state != OUT_NONE && state != expected)
        return false;
    set_outgoing(ids, id, OUT_NONE);
    return true;
}

bool packet_ids_got_puback(struct packet_ids *ids, uint16_t id)
{
    return finish_outgoing(ids, id, OUT_QOS1);
}

bool packet_ids_got_pubrec(struct packet_ids *ids, uint16_t id, bool final)
{
    uint8_t state = outgoing(ids, id);
    if (state == OUT_QOS1)
        return false;
    /* After our PUBREL an older PUBREC may still come (mosquitto sends those of queued messages
     * when a session resumes): the PUBCOMP is what we wait for. */
    if (final && state == OUT_QOS2)
        set_outgoing(ids, id, OUT_NONE);
    return true;
}

bool packet_ids_got_pubcomp(struct packet_ids *ids, uint16_t id)
{
    return finish_outgoing(ids, id, OUT_REL);
}

bool packet_ids_got_publish(struct packet_ids *ids, uint16_t id, uint8_t qos, bool dup)
{
    uint8_t state = incoming(ids, id);
    uint8_t begun = qos == 1 ? IN_QOS1 : IN_QOS2;
    if (state != IN_NONE && (!dup || state != begun))
        return false;
    set_incoming(ids, id, begun);
    return true;
}

bool packet_ids_got_pubrel(struct packet_ids *ids, uint16_t id)
{
    uint8_t state = incoming(ids, id);
    if (state == IN_QOS1)
        return false;
    if (state == IN_NONE)
        set_incoming(ids, id, IN_RESUMED);
    else if (state == IN_QOS2)
        set_incoming(ids, id, IN_REL);
    return true;
}

bool packet_ids_sent_puback(struct packet_ids *ids, uint16_t id)
{
    if (incoming(ids, id) != IN_QOS1)
        return false;
    set_incoming(ids, id, IN_NONE);
    return true;
}

bool packet_ids_sent_pubrec(struct packet_ids *ids, uint16_t id)
{
    return incoming(ids, id) == IN_QOS2;
}

bool packet_ids_sent_pubcomp(struct packet_ids *ids, uint16_t id)
{
    uint8_t state = incoming(ids, id);
    if (state != IN_REL && state != IN_RESUMED)
        return false;
    set_incoming(ids, id, IN_NONE);
    return true;
}
