/* The MQTT packet readers on what a server may send: [version, cuts] bytes, cut in pieces before the framer. The
 * packets that come out do not depend on the cuts, lie within the bound, and what a reader gives lies in the packet. */
#include "tests/fuzz/fuzz.h"
#include "gateway/mqtt/framer.h"
#include "gateway/mqtt/packet.h"
#include "gateway/mqtt/props.h"
#include "gateway/mqtt/reason.h"
#include "base/topic.h"

#define PACKET_MAX 600
#define HELD_MAX   (FRAMER_PEEK_MAX_BYTES + PACKET_MAX)

static bool inside(const struct packet *p, const void *at, size_t n)
{
    const uint8_t *from = at;
    return n == 0 || (from >= p->body && from + n <= p->body + p->len);
}

static void publish(const struct packet *p, enum mqtt_version version)
{
    struct mqtt_publish out;
    struct buf props;
    buf_init(&props, 1 << 17);
    if (!packet_read_publish(p, version, &props, &out)) {
        FUZZ_MUST(inside(p, out.topic, out.topic_len) && inside(p, out.payload, out.payload_len));
        FUZZ_MUST(topic_name_valid(out.topic, out.topic_len) && out.qos <= 2 && (out.qos == 0 || out.packet_id != 0));
        FUZZ_MUST(out.subscription_id_count <= 16);
        FUZZ_MUST(!props_check(out.props, out.props_len, PROP_IN_MSG));
    }
    buf_fini(&props);
}

static void read_packet(const struct packet *p, enum mqtt_version version)
{
    struct packet_connack connack;
    struct packet_ack ack;
    struct packet_suback suback;
    struct packet_disconnect disconnect;
    FUZZ_MUST(packet_name(p->type));
    if (packet_check(p, version))
        return;
    switch (p->type) {
    case PACKET_CONNACK:
        if (!packet_read_connack(p, version, &connack))
            FUZZ_MUST(inside(p, connack.reason, connack.reason_len));
        break;
    case PACKET_PUBLISH:
        publish(p, version);
        break;
    case PACKET_PUBACK:
    case PACKET_PUBREC:
    case PACKET_PUBREL:
    case PACKET_PUBCOMP:
        if (!packet_read_ack(p, version, &ack))
            FUZZ_MUST(ack.packet_id != 0);
        break;
    case PACKET_SUBACK:
    case PACKET_UNSUBACK:
        if (!packet_read_suback(p, version, &suback))
            FUZZ_MUST(inside(p, suback.reasons, suback.n));
        break;
    case PACKET_DISCONNECT:
        if (!packet_read_disconnect(p, &disconnect))
            FUZZ_MUST(inside(p, disconnect.reason, disconnect.reason_len));
        break;
    default:
        break;
    }
}

/* Runs all bytes through a framer, `cut` bytes at a time. Return: a hash over what it told. */
static uint64_t frame_all(const uint8_t *data, size_t size, size_t cut, enum mqtt_version version)
{
    struct framer f;
    struct packet p;
    uint64_t told = 1;
    enum framer_result result = FRAMER_MORE;
    framer_init(&f, PACKET_MAX);
    while (size > 0 && result != FRAMER_MALFORMED && result != FRAMER_MEMORY) {
        size_t n = size < cut ? size : cut, known = 0;
        uint8_t *piece = malloc(n);
        FUZZ_MUST(piece);
        memcpy(piece, data, n);
        data += n;
        size -= n;
        const uint8_t *at = piece;
        while ((result = framer_next(&f, &at, &n, &p, &known)) != FRAMER_MORE) {
            told = told * 31 + (uint64_t)result;
            FUZZ_MUST(f.held.len <= HELD_MAX);
            if (result == FRAMER_PACKET) {
                FUZZ_MUST(packet_size(p.len) <= PACKET_MAX);
                read_packet(&p, version);
                told = told * 31 + p.len * 16 + p.flags;
            }
            if (result == FRAMER_OVERSIZE) {
                struct mqtt_publish peek;
                FUZZ_MUST(known <= p.len);
                (void)packet_peek_publish(p.flags, p.body, known, &peek);
                told = told * 31 + p.len;
            }
            if (result == FRAMER_MALFORMED || result == FRAMER_MEMORY)
                break;
        }
        FUZZ_MUST(result != FRAMER_MORE || n == 0);
        free(piece);
    }
    framer_fini(&f);
    return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    enum mqtt_version version = read_u8(&r) & 1 ? MQTT_5 : MQTT_311;
    size_t cut = read_u8(&r) % 32 + 1, n;
    uint8_t *bytes = fuzz_take(&r, r.left, &n);
    FUZZ_MUST(frame_all(bytes, n, cut, version) == frame_all(bytes, n, n ? n : 1, version));
    free(bytes);
    return 0;
}
