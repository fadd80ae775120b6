/* Forward secrecy on a datagram link: from when on it holds, what it costs, what is left of it in the stores, and that neither lost
 * stores nor an attacker make a key come twice, a share come back, or traffic stop. Every sealing is looked at (support/nonces). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/channel.h"
#include "gateway/wire/crypto.h"
#include "tests/support/nonces.h"
#include "tests/unit/wire/datagram_pair.h"

#define MINUTE 60000
#define DAY    86400000ll

static bool secret(const struct sim *s, int side)
{
    struct channel_status st;
    channel_status(s->end[side].channel, &st);
    return st.forward_secret;
}

static uint64_t forgotten(const struct sim *s, int side)
{
    struct channel_status st;
    channel_status(s->end[side].channel, &st);
    return st.forgotten;
}

static void drained(struct sim *s)
{
    if (!sim_drain(s, 3000ll * MINUTE))
        fail_msg("not everything arrived");
}

static void talk(struct sim *s, unsigned from_0, unsigned from_1)
{
    sim_make(s, 0, from_0);
    sim_make(s, 1, from_1);
    drained(s);
}

static struct sim *begin(uint64_t seed, bool metered)
{
    nonces_forget();
    return sim_new(seed, metered);
}

static void end(struct sim *s)
{
    assert_true(nonces_used() > 0);
    assert_int_equal(nonces_reused(), 0);
    sim_free(s);
}

/* The next frame that flies to `to` and announces an epoch. Return: its header, as far as it is in clear. */
static struct flying *next_announcement(struct sim *s, int to, struct datagram_header *h)
{
    for (int64_t until = s->now_ms + 600000; s->now_ms < until; sim_step(s, s->now_ms + 50))
        for (unsigned i = 0; i < FLYING; i++) {
            struct flying *f = &s->flying[i];
            if (f->used && f->to == to && f->bytes[0] >> 6 == 2 && datagram_clear_decode(h, SEAL_FULL, f->bytes, f->n - 8) > 0 &&
                h->announces)
                return f;
        }
    fail_msg("nothing was announced");
    return NULL;
}

/* ---- from when on it holds ---- */

static void it_holds_from_the_first_epoch_after_the_shares_are_known(void **state)
{
    for (int metered = 0; metered < 2; metered++) {
        struct sim *s = begin(1, metered);
        assert_false(secret(s, 0));
        for (int i = 0; i < 6 && !(secret(s, 0) && secret(s, 1)); i++)
            talk(s, 3, 3);
        assert_true(secret(s, 0) && secret(s, 1));
        unsigned greetings = s->end[0].greetings + s->end[1].greetings;
        talk(s, 30, 30);
        assert_int_equal(s->end[0].greetings + s->end[1].greetings, greetings); /* it is settled: no epoch draws another */
        end(s);
    }
}

/* A hub that only acknowledges. */
static void an_end_that_sends_nothing_tells_its_share_in_its_answers(void **state)
{
    struct sim *s = begin(2, true);
    for (int i = 0; i < 3; i++)
        talk(s, 3, 0);
    assert_true(secret(s, 0) && secret(s, 1));
    for (int i = 0; i < 2; i++) { /* nothing is under way any more, and the next epoch will be as the last */
        sim_start(s, 0);
        sim_run(s, 60000);
    }
    assert_true(secret(s, 0));
    uint64_t before = forgotten(s, 1);
    for (int i = 0; i < 30; i++) { /* a month, four lives of a share: each is told, used, and the one before it let go */
        sim_run(s, DAY);
        talk(s, 1, 0);
    }
    assert_true(forgotten(s, 1) >= before + 6); /* a share and an epoch's key each time */
    assert_true(secret(s, 0) && secret(s, 1));
    end(s);
}

static void where_one_end_alone_has_it_all_goes_without(void **state)
{
    for (int who = 0; who < 2; who++) {
        sim_forward = false;
        struct sim *s = begin(3, false);
        s->end[who].config.forward_secrecy = true;
        sim_start(s, who);
        for (int i = 0; i < 4; i++)
            talk(s, 10, 10);
        assert_false(secret(s, 0) || secret(s, 1));
        sim_forward = true;
        /* Then at both; then again at one. */
        s->end[!who].config.forward_secrecy = true;
        sim_reload(s, !who);
        for (int i = 0; i < 6; i++)
            talk(s, 3, 3);
        assert_true(secret(s, 0) && secret(s, 1));
        s->end[who].config.forward_secrecy = false;
        sim_start(s, who);
        for (int i = 0; i < 4; i++)
            talk(s, 10, 10);
        assert_false(secret(s, 0) || secret(s, 1));
        end(s);
    }
}

static struct sim *settled(uint64_t seed, bool metered)
{
    struct sim *s = begin(seed, metered);
    for (int i = 0; i < 6; i++)
        talk(s, 3, 3);
    assert_true(secret(s, 0) && secret(s, 1));
    return s;
}

/* Bytes that an announcement has more than one without: 40 with the whole share, 12 later. */
static void it_costs_at_most_forty_bytes_each_way(void **state)
{
    struct datagram_header h;
    size_t clear[2];
    for (int forward = 0; forward < 2; forward++) {
        sim_forward = forward;
        struct sim *s = begin(4, false);
        for (int i = 0; i < 6; i++)
            talk(s, 3, 3);
        sim_start(s, 0);
        sim_make(s, 0, 1);
        struct flying *f = next_announcement(s, 1, &h);
        clear[forward] = datagram_clear_decode(&h, SEAL_FULL, f->bytes, f->n - 8);
        assert_true(h.announcement.mix.mixed == forward && !h.announcement.mix.whole);
        drained(s);
        end(s);
    }
    assert_int_equal(clear[1] - clear[0], 12);
    assert_int_equal(DATAGRAM_MIX_MAX, 40);
    assert_int_equal(DATAGRAM_SHARE_BYTES, 32); /* an answer */
}

/* ---- restarts, stores lost and set back ---- */

static void a_restart_of_either_end_needs_no_new_shares(void **state)
{
    struct sim *s = settled(5, false);
    for (int i = 0; i < 10; i++) {
        sim_make(s, 0, 5);
        sim_make(s, 1, 5);
        sim_run(s, 700);
        sim_start(s, i % 2);
        drained(s);
        assert_true(secret(s, 0) && secret(s, 1));
    }
    struct channel_status st;
    for (int side = 0; side < 2; side++) {
        channel_status(s->end[side].channel, &st);
        assert_int_equal(st.refused, 0);
    }
    end(s);
}

static void a_store_that_is_lost_or_set_back_is_met_again(void **state)
{
    for (int how = 0; how < 6; how++) {
        struct sim *s = settled(60 + (uint64_t)how, how % 2);
        static struct disk old;
        int side = how / 2 % 2;
        old = s->end[side].disk;
        for (int i = 0; i < 2 * 17; i++) { /* so that shares follow one another */
            talk(s, 1, 1);
            sim_start(s, i % 2);
        }
        talk(s, 3, 3);
        if (how < 4) { /* only what the channel keeps: the owner's part is not the point here */
            memcpy(s->end[side].disk.saved, old.saved, old.saved_len);
            s->end[side].disk.saved_len = old.saved_len;
        } else {
            s->end[side].disk.saved_len = 0;
        }
        sim_start(s, side);
        for (int i = 0; i < 8; i++)
            talk(s, 4, 4);
        assert_true(secret(s, 0) && secret(s, 1));
        end(s);
    }
}

/* ---- what is left of it ---- */

/* Is the private half of this share among what is on the disk of either end? */
static bool is_kept(const struct sim *s, const uint8_t share[CRYPTO_SHARE_BYTES])
{
    uint8_t public[CRYPTO_SHARE_BYTES];
    for (int side = 0; side < 2; side++) {
        const struct disk *d = &s->end[side].disk;
        for (size_t i = 0; i + CRYPTO_SHARE_BYTES <= d->saved_len; i++)
            if (crypto_x25519_public(d->saved + i, public) && memcmp(public, share, sizeof public) == 0)
                return true;
    }
    return false;
}

/* Can who has recorded this frame, and now takes everything, read it? It has the secret, and tries each key on a disk. */
static bool is_readable(const struct sim *s, const uint8_t *frame, size_t n, const struct datagram_header *h, size_t clear)
{
    struct seal_terms t;
    assert_true(seal_terms_init(&t, SEAL_FULL, 0, "end-1", "end-0"));
    struct seal_key key = {.mode = SEAL_FULL, .tag_bytes = SEAL_TAG_DEFAULT, .downward = false};
    struct seal_context seal = {h->announcement.epoch, 0, &key, clear};
    uint8_t copy[MTU];
    size_t content;
    for (int side = 0; side < 2; side++) {
        const struct disk *d = &s->end[side].disk;
        for (size_t i = 0; i + CRYPTO_KEY_BYTES <= d->saved_len; i++) {
            memcpy(key.bytes, d->saved + i, sizeof key.bytes);
            memcpy(copy, frame, n);
            if (seal_open(&seal, SEAL_SPACE_DATA, h->number, copy, n, &content))
                return true;
        }
    }
    return false;
}

static void what_was_recorded_cannot_be_read_once_its_shares_are_followed(void **state)
{
    struct sim *s = begin(7, false);
    uint8_t shares[2][CRYPTO_SHARE_BYTES], frame[MTU];
    struct datagram_header h[2];
    size_t n = 0;
    sim_make(s, 0, 3);
    sim_make(s, 1, 3);
    for (int to = 0; to < 2; to++) { /* the first announcements have whole shares */
        next_announcement(s, to, &h[to]);
        assert_true(h[to].announcement.mix.whole);
        memcpy(shares[to], h[to].announcement.mix.share, CRYPTO_SHARE_BYTES);
    }
    drained(s);
    for (int i = 0; i < 6; i++)
        talk(s, 3, 3);
    assert_true(secret(s, 0) && secret(s, 1));
    sim_start(s, 0);
    sim_make(s, 0, 1);
    struct flying *f = next_announcement(s, 1, &h[0]);
    assert_true(h[0].announcement.mix.mixed);
    size_t clear = datagram_clear_decode(&h[0], SEAL_FULL, f->bytes, f->n - 8);
    n = f->n;
    memcpy(frame, f->bytes, n);
    drained(s);
    assert_true(is_kept(s, shares[0]) && is_kept(s, shares[1])); /* so this looks where they are */
    assert_true(is_readable(s, frame, n, &h[0], clear));
    for (int i = 0; i < 3; i++) {
        sim_run(s, DAY / 2);
        talk(s, 2, 2);
    }
    talk(s, 2, 2);
    sim_run(s, MINUTE);
    assert_false(is_kept(s, shares[0]) || is_kept(s, shares[1]));
    assert_false(is_readable(s, frame, n, &h[0], clear));
    assert_true(secret(s, 0) && secret(s, 1));
    end(s);
}

/* ---- somebody on the link ---- */

static unsigned answers_of(const struct sim *s, int side)
{
    return s->end[side].frames;
}

/* Each byte of an announcement is changed in turn: the proof keeps it from being answered, so nobody who has no key can make an end
 * send, or fall back to an epoch without X25519. */
static void a_changed_announcement_is_never_answered_and_takes_nothing_away(void **state)
{
    struct sim *s = settled(8, false);
    struct datagram_header h;
    uint8_t frame[MTU];
    struct channel_status st;
    sim_start(s, 0);
    sim_make(s, 0, 1);
    struct flying *f = next_announcement(s, 1, &h);
    size_t n = f->n, clear = datagram_clear_decode(&h, SEAL_FULL, f->bytes, f->n - 8);
    memcpy(frame, f->bytes, n);
    f->used = false;
    assert_true(h.announcement.mix.mixed);
    unsigned said = answers_of(s, 1);
    for (size_t i = 0; i < clear; i++) {
        frame[i] ^= 1;
        channel_on_bytes(s->end[1].channel, frame, n, s->now_ms);
        frame[i] ^= 1;
        sim_run(s, 30);
    }
    assert_int_equal(answers_of(s, 1), said);
    channel_status(s->end[1].channel, &st);
    assert_true(st.forged + 3 >= clear); /* first byte and version apart, each was one */
    drained(s);
    talk(s, 3, 3);
    assert_true(secret(s, 0) && secret(s, 1));
    end(s);
}

/* An acknowledgement that brought a share is bound to an epoch; while that is under way, and idle, its recording opens. The sender has
 * heard of the next share since. */
static void an_old_acknowledgement_brings_no_share_back(void **state)
{
    struct sim *s = begin(13, false);
    uint8_t frame[MTU], ack[MTU];
    size_t n = 0, ack_n = 0;
    /* The receiver knows the sender, and no share of its: no refusal brings one. */
    s->end[1].config.forward_secrecy = false;
    sim_start(s, 1);
    talk(s, 3, 0);
    s->end[1].config.forward_secrecy = true;
    sim_start(s, 1);
    sim_start(s, 0);
    sim_make(s, 0, 1);
    while (!s->end[0].live.acked[4]) {
        for (unsigned i = 0; i < FLYING; i++) {
            const struct flying *f = &s->flying[i];
            if (f->used && f->to == 1)
                memcpy(frame, f->bytes, n = f->n);
            if (f->used && f->to == 0)
                memcpy(ack, f->bytes, ack_n = f->n);
        }
        sim_step(s, s->now_ms + 100);
    }
    assert_int_equal(ack[0], 0xc1); /* with a share */
    sim_run(s, DAY + DAY / 8);
    channel_on_bytes(s->end[1].channel, frame, n, s->now_ms); /* draws another acknowledgement, with the next share */
    sim_run(s, MINUTE);
    channel_on_bytes(s->end[0].channel, ack, ack_n, s->now_ms);
    uint64_t before = forgotten(s, 1);
    talk(s, 1, 0);
    assert_true(secret(s, 1));
    assert_int_equal(forgotten(s, 1), before + 1); /* the newest was used, so the one before it went */
    end(s);
}

#define TAPE 4000
static struct {
    int to;
    size_t n;
    uint8_t bytes[MTU];
} tape[TAPE];

/* All that ever flew is played again and again, to both ends, through days, restarts, and shares that follow one another. */
static void recordings_bring_no_share_back(void **state)
{
    for (uint64_t seed = 9; seed < 12; seed++) {
        struct sim *s = begin(seed, seed % 2);
        unsigned recorded = 0;
        for (int round = 0; round < 60; round++) {
            sim_make(s, 0, 2);
            sim_make(s, 1, 2);
            for (int64_t until = s->now_ms + DAY / 8; s->now_ms < until;) {
                sim_step(s, s->now_ms + 200000);
                for (unsigned i = 0; i < FLYING && recorded < TAPE; i++)
                    if (s->flying[i].used && sim_random(s) % 2) {
                        tape[recorded].to = s->flying[i].to;
                        tape[recorded].n = s->flying[i].n;
                        memcpy(tape[recorded++].bytes, s->flying[i].bytes, s->flying[i].n);
                    }
                for (int k = 0; k < 3 && recorded > 0; k++) {
                    unsigned i = sim_random(s) % recorded;
                    channel_on_bytes(s->end[sim_random(s) % 8 ? tape[i].to : !tape[i].to].channel, tape[i].bytes, tape[i].n, s->now_ms);
                }
            }
            if (round % 7 == 6)
                sim_start(s, (int)(sim_random(s) % 2));
        }
        drained(s);
        talk(s, 3, 3);
        talk(s, 3, 3);
        assert_true(secret(s, 0) && secret(s, 1));
        end(s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_from_the_first_epoch_after_the_shares_are_known),
        cmocka_unit_test(an_end_that_sends_nothing_tells_its_share_in_its_answers),
        cmocka_unit_test(where_one_end_alone_has_it_all_goes_without),
        cmocka_unit_test(it_costs_at_most_forty_bytes_each_way),
        cmocka_unit_test(a_restart_of_either_end_needs_no_new_shares),
        cmocka_unit_test(a_store_that_is_lost_or_set_back_is_met_again),
        cmocka_unit_test(what_was_recorded_cannot_be_read_once_its_shares_are_followed),
        cmocka_unit_test(a_changed_announcement_is_never_answered_and_takes_nothing_away),
        cmocka_unit_test(an_old_acknowledgement_brings_no_share_back),
        cmocka_unit_test(recordings_bring_no_share_back),
    };
    sim_seal = SEAL_FULL;
    sim_forward = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
