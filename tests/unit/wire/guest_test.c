/* Guests of a listener: whose they are, and that a stranger is given nothing. The far end is a channel of its own, which
 * believes itself on a line; a listener with two more peers stands between it and the near one. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/channel_internal.h"
#include "tests/unit/wire/pair.h"

#define STATION_0 0 /* who dials */
#define HUB       1

/* What the listener does: as gateway/bridge/guests.c. */
static struct listener {
    struct channel *others[2]; /* peers that never come */
    struct channel_guest *guest;
    bool joined;
    enum channel_guest_outcome last;
    uint64_t told; /* bytes to the guest */
    unsigned joins, resets;
    uint8_t kept[4096]; /* what it was fed, for playing it back */
    size_t kept_n;
} site;

static enum channel_guest_outcome feed(struct pair *p, const uint8_t *bytes, size_t n, bool heard)
{
    struct channel *channels[] = {site.others[0], p->owner[HUB].channel, site.others[1]}, *whose = NULL;
    uint8_t reply[CHANNEL_GUEST_REPLY_MAX];
    if (site.kept_n + n <= sizeof site.kept) {
        memcpy(site.kept + site.kept_n, bytes, n);
        site.kept_n += n;
    }
    site.last = channel_guest_feed(site.guest, channels, 3, bytes, n, &whose);
    n = channel_guest_reply(site.guest, reply);
    site.told += n;
    if (heard)
        pair_inject(p, STATION_0, reply, n);
    if (site.last == CHANNEL_GUEST_PROVEN) {
        assert_ptr_equal(whose, p->owner[HUB].channel);
        channel_link_down(whose, p->now_ms);
        channel_guest_join(site.guest, whose, p->now_ms);
        channel_guest_free(site.guest);
        site.guest = NULL;
        site.joined = true;
        site.joins++;
    }
    return site.last;
}

static void attacker(struct pair *p, int from, const uint8_t *bytes, size_t n)
{
    if (from == HUB || site.joined)
        pair_carry(p, from, bytes, n);
    else
        feed(p, bytes, n, true);
}

static void new_connection(struct pair *p)
{
    channel_guest_free(site.guest);
    site.guest = channel_guest_new();
    site.joined = false;
}

static struct pair *listening(enum seal_mode seal, uint64_t seed)
{
    pair_seal = seal;
    struct pair *p = pair_new(&(struct pair_options){.rate = 100000, .delay_ms = 20, .seed = seed});
    memset(&site, 0, sizeof site);
    for (int i = 0; i < 2; i++) {
        struct channel_config config = p->owner[HUB].config;
        strcpy(config.peer_name, i ? "mast" : "ship");
        memset(config.secrets.current, 0x77, SECRET_BYTES);
        site.others[i] = channel_new(&config, &p->owner[HUB].identity, p->owner[HUB].channel->ops, &p->owner[HUB]);
    }
    p->attacker = attacker;
    new_connection(p);
    return p;
}

static void done(struct pair *p)
{
    channel_guest_free(site.guest);
    channel_free(site.others[0]);
    channel_free(site.others[1]);
    pair_free(p);
}

static struct channel_status status(const struct pair *p, int side)
{
    struct channel_status s;
    channel_status(p->owner[side].channel, &s);
    return s;
}

static void a_guest_is_told_apart_and_its_messages_arrive(void **state)
{
    for (unsigned seal = 0; seal < 3; seal++) {
        struct pair *p = listening((enum seal_mode)seal, 100 + seal);
        pair_up(p, STATION_0);
        for (int i = 0; i < 20; i++)
            pair_send(p, i % 2, CLASS_NORMAL, 50);
        assert_true(pair_drain(p, 10000));
        assert_int_equal(site.joins, 1);
        done(p);
    }
}

static void a_connection_that_is_made_anew_takes_the_place_of_the_old_and_resumes(void **state)
{
    for (unsigned seal = 0; seal < 3; seal++) {
        struct pair *p = listening((enum seal_mode)seal, 110 + seal);
        pair_up(p, STATION_0);
        pair_send(p, 0, CLASS_NORMAL, 50);
        assert_true(pair_drain(p, 10000));
        pair_run(p, 1000);
        /* The hub has not noticed the end of the first. */
        pair_down(p, STATION_0);
        new_connection(p);
        pair_up(p, STATION_0);
        pair_send(p, 0, CLASS_NORMAL, 50);
        assert_true(pair_drain(p, 10000));
        assert_int_equal(site.joins, 2);
        assert_int_equal(p->owner[HUB].greeteds, 1); /* the epoch lived on */
        done(p);
    }
}

static void a_hub_that_was_started_anew_is_greeted_anew(void **state)
{
    for (unsigned seal = 0; seal < 3; seal++) {
        struct pair *p = listening((enum seal_mode)seal, 120 + seal);
        pair_up(p, STATION_0);
        pair_send(p, 0, CLASS_NORMAL, 50);
        assert_true(pair_drain(p, 10000));
        pair_down(p, 2);
        pair_kill(p, HUB);
        channel_link_down(p->owner[HUB].channel, p->now_ms);
        new_connection(p);
        pair_up(p, STATION_0);
        pair_send(p, 0, CLASS_NORMAL, 50);
        for (int i = 0; i < 100 && site.joins < 2; i++) {
            pair_run(p, 100);
            if (site.last == CHANNEL_GUEST_STALE) { /* as the bridge answers it, where nobody has a key */
                uint8_t refusal[64];
                assert_int_equal(seal, SEAL_NONE);
                pair_inject(p, STATION_0, refusal, channel_guest_refusal(CHANNEL_REFUSED_BUSY, refusal, sizeof refusal));
                new_connection(p);
                site.last = CHANNEL_GUEST_MORE;
            }
        }
        assert_true(pair_drain(p, 10000));
        assert_int_equal(site.joins, 2);
        done(p);
    }
}

static void a_stranger_gets_not_one_byte(void **state)
{
    for (unsigned seal = 0; seal < 2; seal++) {
        struct pair *p = listening((enum seal_mode)seal, 130 + seal);
        static const char *const words[] = {"SSH-2.0-x\r\n", "GET / HTTP/1.0\r\n\r\n", "\0", "\0\xe1\xe1\xe1\0"};
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(feed(p, (const uint8_t *)words[i], strlen(words[i]) + 1, false), CHANNEL_GUEST_MORE);
        /* A HELLO of another key, of no key, and a RESUME of nobody's. */
        uint8_t frame[HANDSHAKE_MAX_BYTES], line[FRAMING_MAX_BYTES];
        struct framing_avoid none = {0};
        struct hello h = {.codec_version = 1, .memory_log2 = 20, .epoch = 77, .name = "buoy-17"};
        size_t n = hello_encode(&h, false, frame);
        new_connection(p);
        (void)feed(p, line, framing_encode(&none, true, frame, n, line), false);
        struct resume r = {.epoch = 78};
        n = resume_encode(&r, false, frame);
        new_connection(p);
        (void)feed(p, line, framing_encode(&none, true, frame, n, line), false);
        new_connection(p);
        memset(p->owner[STATION_0].channel->ring.hello_out[0].bytes, 1, CRYPTO_KEY_BYTES);
        pair_up(p, STATION_0);
        pair_run(p, 60000);
        assert_int_equal(site.last, CHANNEL_GUEST_BAD); /* it tried four times */
        assert_int_equal(site.told, 0);
        assert_int_equal(site.joins, 0);
        /* Noise without end, and HELLOs without end, are bounded. */
        uint8_t much[3000];
        memset(much, 'x', sizeof much);
        new_connection(p);
        assert_int_equal(feed(p, much, sizeof much, false), CHANNEL_GUEST_BAD);
        done(p);
    }
}

static void a_recording_of_a_connection_neither_joins_nor_disturbs(void **state)
{
    for (unsigned seal = 0; seal < 2; seal++) {
        struct pair *p = listening((enum seal_mode)seal, 140 + seal);
        static uint8_t recording[4096];
        pair_up(p, STATION_0);
        pair_send(p, 0, CLASS_NORMAL, 50);
        assert_true(pair_drain(p, 10000));
        size_t n = site.kept_n;
        memcpy(recording, site.kept, n);
        assert_true(n > 60);
        struct channel_guest *mine = site.guest; /* the joined connection has none */
        assert_null(mine);
        for (int again = 0; again < 3; again++) {
            /* Against the live epoch; then, after the first round, against a hub that was started anew. */
            bool restarted = again > 0;
            uint64_t told = site.told;
            if (restarted) {
                pair_down(p, 2);
                pair_kill(p, HUB);
                channel_link_down(p->owner[HUB].channel, p->now_ms);
            }
            new_connection(p);
            assert_int_not_equal(feed(p, recording, n, false), CHANNEL_GUEST_PROVEN);
            if (!restarted) {
                assert_int_equal(site.told, told); /* the HELLO of the epoch that lives is known */
                assert_true(status(p, HUB).replayed > 0);
                site.joined = true; /* the true connection goes on */
                pair_send(p, 0, CLASS_NORMAL, 50);
                assert_true(pair_drain(p, 10000));
                assert_int_equal(p->owner[HUB].greeteds, 1);
            } else {
                assert_true(site.told > told); /* it could be the peer: but it can make nothing of the answer */
                assert_int_equal(p->owner[HUB].greetings, 1);
            }
        }
        assert_int_equal(site.joins, 1);
        done(p);
    }
}

int main(int argc, char **argv)
{
    pair_arguments(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_is_told_apart_and_its_messages_arrive),
        cmocka_unit_test(a_connection_that_is_made_anew_takes_the_place_of_the_old_and_resumes),
        cmocka_unit_test(a_hub_that_was_started_anew_is_greeted_anew),
        cmocka_unit_test(a_stranger_gets_not_one_byte),
        cmocka_unit_test(a_recording_of_a_connection_neither_joins_nor_disturbs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
