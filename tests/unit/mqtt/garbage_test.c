/* Whatever bytes come, in whatever pieces: the session answers with its callbacks or with one
 * `closed`, and the answer does not depend on where the bytes were cut. Seeded; LONGWIRE_SEED=n
 * chooses a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/mqtt/framer.h"
#include "tests/unit/mqtt/rig.h"

#define STREAM_MAX 4096

static uint64_t seed, random_state;

/* splitmix64. */
static uint32_t random32(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (uint32_t)(z ^ z >> 31);
}

static unsigned below(unsigned n)
{
    return random32() % n;
}

static int group_setup(void **state)
{
    (void)state;
    const char *given = getenv("LONGWIRE_SEED");
    seed = given ? strtoull(given, NULL, 0) : 20260801;
    fprintf(stderr, "LONGWIRE_SEED=%llu\n", (unsigned long long)seed);
    return 0;
}

static int each_setup(void **state)
{
    (void)state;
    random_state = seed;
    return 0;
}

/* What a server may send after CONNACK, one of each and more. */
static const char *const packets_5[] = {
    "30 04 0001 't' 00",
    "33 2b 0003 'a/b' 0007 21 01 01 0b 05 26 0001 'k' 0001 'v' 02 0000003c 03 0001 'j' 0b 8101 26 "
    "0001 'k' 0000"
    "09 0001 ff 'hi'",
    "34 08 0003 'q/2' 0008 00",
    "62 02 0008",
    "40 02 0001",
    "40 04 0002 10 00",
    "50 08 0003 87 04 1f 0001 'x'",
    "70 03 0004 92",
    "90 04 0005 00 02",
    "b0 0c 0006 08 26 0001 'k' 0002 'vv' 00",
    "d0 00",
    "30 85 01 0001 't' 00 "
    "'---------1---------2---------3---------4---------5---------6---------7---------8"
    "---------9--------10--------11--------12---------'",
    "e0 06 8b 04 1f 0001 'x'",
};
static const char *const packets_311[] = {
    "31 05 0001 't' 'xy'",
    "32 05 0001 't' 0001",
    "34 07 0003 'q/2' 0008",
    "62 02 0008",
    "40 02 0001",
    "50 02 0003",
    "70 02 0004",
    "90 03 0005 80",
    "b0 02 0006",
    "d0 00",
    "33 ea 07 0003 'big' 0005", /* 1002 bytes follow; the stream below gives them */
};

static size_t stream_of(const char *const *packets, size_t count, uint8_t *to)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += rig_bytes(packets[i], to + n, STREAM_MAX - n);
    return n;
}

static size_t stream_5(uint8_t *to)
{
    return stream_of(packets_5, sizeof(packets_5) / sizeof(packets_5[0]), to);
}

static size_t stream_311(uint8_t *to)
{
    size_t n = stream_of(packets_311, sizeof(packets_311) / sizeof(packets_311[0]), to);
    memset(to + n, 'x', 1002 - 7);
    n += 1002 - 7;
    return n + rig_bytes("30 03 0001 'z'", to + n, STREAM_MAX - n);
}

/* Feeds bytes through a fresh session, in pieces as next_piece says. */
static void run(struct rig *r, enum mqtt_version version, const uint8_t *bytes, size_t n,
                size_t (*next_piece)(size_t at, size_t n, size_t arg), size_t arg)
{
    rig_begin(r, version);
    for (size_t at = 0; at < n;) {
        size_t piece = next_piece(at, n, arg);
        uint8_t *exact = malloc(piece); /* of just this size, for the sanitizer */
        assert_non_null(exact);
        memcpy(exact, bytes + at, piece);
        bool closed = r->closed;
        unsigned callbacks = r->callbacks;
        mqtt_session_feed(r->s, exact, piece, r->now);
        assert_true(!closed || r->callbacks == callbacks); /* nothing comes after closed */
        free(exact);
        at += piece;
    }
}

static size_t whole(size_t at, size_t n, size_t arg)
{
    (void)arg;
    return n - at;
}

static size_t cut_at(size_t at, size_t n, size_t cut)
{
    return at == 0 && cut > 0 && cut < n ? cut : n - at;
}

static size_t at_most(size_t at, size_t n, size_t most)
{
    return n - at < most ? n - at : most;
}

static size_t any(size_t at, size_t n, size_t arg)
{
    (void)arg;
    size_t piece = 1 + below(40);
    return n - at < piece ? n - at : piece;
}

static struct rig once, again;

/* `again` has been run with the same bytes as `once`, cut elsewhere. */
static void assert_same(size_t arg)
{
    if (strcmp(once.log, again.log) != 0 || once.closed != again.closed)
        fail_msg("cut %zu: '%s' and whole: '%s'", arg, again.log, once.log);
    assert_int_equal(mqtt_session_unacked(again.s), mqtt_session_unacked(once.s));
    rig_fini(&again);
}

static void valid_streams_mean_the_same_however_they_are_cut(void **state)
{
    (void)state;
    static uint8_t bytes[STREAM_MAX];
    for (int v = 0; v < 2; v++) {
        enum mqtt_version version = v ? MQTT_311 : MQTT_5;
        size_t n = v ? stream_311(bytes) : stream_5(bytes);
        run(&once, version, bytes, n, whole, 0);
        if (v)
            assert_non_null(
                strstr(once.log, "oversize 5 big qos1 retain '' of 1005;publish 0 z qos0 '';"));
        else
            assert_non_null(strstr(once.log, "closed server 8b"));
        for (size_t cut = 1; cut < n; cut++) {
            run(&again, version, bytes, n, cut_at, cut);
            assert_same(cut);
        }
        for (size_t most = 1; most < 9; most++) {
            run(&again, version, bytes, n, at_most, most);
            assert_same(most);
        }
        rig_fini(&once);
    }
}

static void mutated_streams_mean_the_same_however_they_are_cut(void **state)
{
    (void)state;
    static uint8_t good[STREAM_MAX], bytes[STREAM_MAX];
    unsigned closed = 0;
    for (unsigned i = 0; i < 3000; i++) {
        enum mqtt_version version = i & 1 ? MQTT_311 : MQTT_5;
        size_t n = i & 1 ? stream_311(good) : stream_5(good);
        memcpy(bytes, good, n);
        for (unsigned changes = 1 + below(4); changes > 0; changes--) {
            size_t at = below((unsigned)n), len = 1 + below(6);
            switch (below(4)) {
            case 0: /* a bit */
                bytes[at] ^= (uint8_t)(1u << below(8));
                break;
            case 1: /* a byte */
                bytes[at] = (uint8_t)random32();
                break;
            case 2: /* some lost */
                len = len < n - at ? len : n - at;
                memmove(bytes + at, bytes + at + len, n - at - len);
                n -= len;
                break;
            case 3: /* some from elsewhere */
                len = len < n - at ? len : n - at;
                memmove(bytes + at, good + below((unsigned)(n - len)), len);
                break;
            }
            if (n < 10)
                break;
        }
        run(&once, version, bytes, n, whole, 0);
        closed += once.closed;
        run(&again, version, bytes, n, any, 0);
        assert_same(i);
        rig_fini(&once);
    }
    assert_in_range(closed, 1500,
                    3000); /* most of them are noticed; a payload byte more or less is not */
}

static void random_bytes_end_the_connection(void **state)
{
    (void)state;
    static uint8_t bytes[2000];
    unsigned closed = 0;
    for (unsigned i = 0; i < 1000; i++) {
        for (size_t k = 0; k < sizeof(bytes); k++)
            bytes[k] = (uint8_t)random32();
        run(&once, i & 1 ? MQTT_311 : MQTT_5, bytes, sizeof(bytes), whole, 0);
        closed += once.closed;
        run(&again, i & 1 ? MQTT_311 : MQTT_5, bytes, sizeof(bytes), any, 0);
        assert_same(i);
        rig_fini(&once);
    }
    /* What stays open is an oversize PUBLISH that is being passed over. */
    assert_true(closed > 950);
}

static void random_bytes_before_connack_end_the_connection(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        struct rig r;
        struct mqtt_session_config c = rig_config(MQTT_AUTO);
        uint8_t bytes[64];
        for (size_t k = 0; k < sizeof(bytes); k++)
            bytes[k] = (uint8_t)random32();
        if (i % 2) {
            bytes[0] = 0x20;
            bytes[1] = (uint8_t)below(20);
        }
        rig_init(&r, &c);
        rig_start(&r);
        mqtt_session_feed(r.s, bytes, sizeof(bytes), r.now);
        assert_true(r.closed || mqtt_session_is_connected(r.s) ||
                    bytes[1] + 2u > sizeof(bytes)); /* or the packet is not whole yet */
        rig_fini(&r);
    }
}

static void memory_stays_within_the_largest_packet(void **state)
{
    (void)state;
    static uint8_t piece[1000];
    static const size_t limits[] = {1000, 100000, 5000000};
    for (size_t i = 0; i < 3; i++) {
        struct framer f;
        framer_init(&f, limits[i]);
        size_t bound = limits[i] > FRAMER_PEEK_MAX_BYTES ? limits[i] : FRAMER_PEEK_MAX_BYTES;
        /* A header that claims 256 MB: nothing is kept of it but the topic. One that claims just
         * what is allowed: memory comes with the bytes, not with the claim. */
        for (int lie = 0; lie < 2; lie++) {
            size_t claim = lie ? PACKET_REMAINING_MAX : limits[i] - PACKET_HEADER_MAX_BYTES;
            uint8_t header[] = {0x32, (uint8_t)(claim | 0x80), (uint8_t)(claim >> 7 | 0x80),
                                (uint8_t)(claim >> 14 | 0x80), (uint8_t)(claim >> 21)};
            const uint8_t *p = header;
            size_t n = sizeof(header), known, given = 0;
            struct packet packet;
            framer_reset(&f);
            if (!lie && header[4] == 0)
                continue; /* not the shortest form */
            assert_int_equal(framer_next(&f, &p, &n, &packet, &known), FRAMER_MORE);
            while (given < 6000000) {
                p = piece;
                n = sizeof(piece);
                given += n;
                while (n > 0) {
                    enum framer_result result = framer_next(&f, &p, &n, &packet, &known);
                    assert_true(result == FRAMER_MORE || result == FRAMER_OVERSIZE ||
                                result == FRAMER_PACKET);
                    if (result == FRAMER_PACKET)
                        given = 6000000, n = 0;
                }
                assert_true(f.held.cap <= bound);
                assert_true(f.held.cap <= 2 * given + 65536);
            }
        }
        framer_reset(&f);
        assert_true(f.held.cap <= 16384);
        framer_fini(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(valid_streams_mean_the_same_however_they_are_cut, each_setup),
        cmocka_unit_test_setup(mutated_streams_mean_the_same_however_they_are_cut, each_setup),
        cmocka_unit_test_setup(random_bytes_end_the_connection, each_setup),
        cmocka_unit_test_setup(random_bytes_before_connack_end_the_connection, each_setup),
        cmocka_unit_test_setup(memory_stays_within_the_largest_packet, each_setup),
    };
    return cmocka_run_group_tests_name("mqtt garbage", tests, group_setup, NULL);
}
