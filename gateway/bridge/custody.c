/* The group commit. Everything that events write goes into one store transaction; nothing that depends on it is told to
 * the broker or a peer before it has committed. A failed store call or commit has rolled all of it back: then everything
 * volatile is treated as after a crash (new broker connection on the same session, new epochs), so that there is one way
 * of recovery and not two. */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <string.h>

#define SPACE_PROBE_MS 5000    /* between looks whether a full disk has room again */
#define TIDY_MS        1000    /* after a commit: free pages and the WAL are looked at when nothing else happens */
#define RECOVER_MS     1000    /* between two recoveries: without memory, each would fail as the one before */
#define TURNS_MAX      16      /* rounds of one event; more work waits for the next timer, due at once */

void custody_dirty(struct bridge *b, int64_t delay_ms)
{
    int64_t at = b->now.mono_ms + delay_ms;
    if (at < b->commit_at)
        b->commit_at = at;
}

bool custody_failed(struct bridge *b, int rc)
{
    if (rc >= 0)
        return false;
    if (!b->failed)
        b->failed_error = rc;
    b->failed = true;
    return true;
}

bool custody_commit(struct bridge *b)
{
    if (b->failed)
        return false;
    for (size_t i = 0; i < b->peer_count; i++)
        sender_before_commit(&b->peers[i]);
    peers_before_commit(b);
    if (b->failed || custody_failed(b, store_commit(b->store, &b->now)))
        return false;
    b->commit_at = NEVER;
    deliveries_covered(b);
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[i];
        sender_after_commit(p);
        if (p->frames_waiting)
            channel_committed(p->channel, p->frame_done, b->now.mono_ms);
        p->frames_waiting = false;
        if (p->frames_kept)
            channel_kept(p->channel);
        p->frames_kept = p->save_out = p->save_in = false;
        if (p->sender.datagram)
            peers_doubt(p);
        /* Told that we take little, the peer waits: where nobody probes it would wait for ever. */
        if (p->grant_small && receiver_grant(p) > 0 && !p->grant_small)
            channel_grant_changed(p->channel, b->now.mono_ms);
    }
    publisher_after_commit(b);
    broker_release_acks(b);
    if (b->tidy_at == NEVER)
        b->tidy_at = b->now.mono_ms + TIDY_MS;
    return true;
}

/* The state of the store is that of the last commit: make everything else agree with it. */
static void recover(struct bridge *b)
{
    bool full = store_full(b->store);
    if (b->failed_error == -EBADMSG) {
        bridge_logf(b, BRIDGE_ERR, "store", "damaged: %s", store_error(b->store));
        b->env.store_damaged(b->env.ctx);
    }
    bridge_logf(b, full ? BRIDGE_WARN : BRIDGE_ERR, "store", "%s: nothing since the last commit was kept or told; "
                "starting over from there error=%d", full ? "no room" : store_error(b->store), b->failed_error);
    store_rollback(b->store);
    deliveries_lost(b);
    b->failed = false;
    b->failed_error = 0;
    b->recover_at = b->now.mono_ms + RECOVER_MS;
    b->commit_at = NEVER;
    b->broker.owed_count = 0;
    if (full && b->probe_space_at == NEVER)
        b->probe_space_at = b->now.mono_ms + SPACE_PROBE_MS;
    broker_drop(b, false, "store failed");
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[i];
        p->frames_waiting = p->frames_kept = p->save_out = p->save_in = false;
        int rc = sender_reload(p);
        if (rc == 0)
            rc = receiver_reload(p);
        if (custody_failed(b, rc))
            bridge_logf(b, BRIDGE_ERR, "store", "cannot read back: %s peer=%s", store_error(b->store), p->config->name);
        if (p->channel && !p->sender.datagram)
            channel_restart(p->channel, "store failed", b->now.mono_ms);
        else if (p->channel)
            peers_read_back(p);
    }
    b->expiry_age_ms = b->held_age_ms = 0;
}

static void probe_space(struct bridge *b)
{
    b->probe_space_at = NEVER;
    int rc = store_probe_space(b->store);
    if (rc != 0) {
        b->probe_space_at = b->now.mono_ms + SPACE_PROBE_MS;
        return;
    }
    bridge_logf(b, BRIDGE_INFO, "store", "there is room again");
    b->held_age_ms = b->expiry_age_ms = 0;
    for (size_t i = 0; i < b->peer_count; i++)
        channel_grant_changed(b->peers[i].channel, b->now.mono_ms);
    if (b->broker.took_nothing) {
        /* Brokers do not resend on a live connection: what was left unacknowledged comes again with a new one. */
        b->broker.took_nothing = false;
        broker_drop(b, true, "room again");
    }
}

static void tidy(struct bridge *b)
{
    b->tidy_at = NEVER;
    int rc = store_tidy(b->store);
    if (custody_failed(b, rc))
        return;
    if (rc > 0)
        b->tidy_at = b->now.mono_ms + 100;
}

void bridge_turn(struct bridge *b)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        bool waits = b->failed && b->now.mono_ms < b->recover_at;
        if (b->failed && !waits)
            recover(b);
        broker_finish_drop(b);
        if (waits)
            return;
        if (store_full(b->store) && b->probe_space_at == NEVER)
            b->probe_space_at = b->now.mono_ms + SPACE_PROBE_MS;
        if (b->commit_at <= b->now.mono_ms && !custody_commit(b))
            continue;
        publisher_pump(b);
        peers_pump(b);
        if (b->broker.out.len)
            b->env.broker_write(b->env.ctx, &b->broker.out);
        if (!b->failed && !store_dirty(b->store))
            deliveries_covered(b); /* what came wrote nothing: a duplicate, or nonsense */
        if (!b->failed && b->commit_at > b->now.mono_ms)
            return;
    }
}

void bridge_on_timer(struct bridge *b, const struct store_now *now)
{
    b->now = *now;
    int64_t t = now->mono_ms;
    if (b->probe_space_at <= t)
        probe_space(b);
    outbound_on_timer(b);
    mqtt_session_on_timer(b->broker.session, t);
    peers_on_timer(b);
    state_on_timer(b);
    if (b->tidy_at <= t && !store_dirty(b->store))
        tidy(b);
    else if (b->tidy_at <= t)
        b->tidy_at = t + TIDY_MS;
    bridge_turn(b);
}

static int64_t earlier(int64_t a, int64_t c)
{
    return a < c ? a : c;
}

int64_t bridge_deadline(const struct bridge *b, const struct store_now *now)
{
    if (b->failed)
        return b->recover_at > now->mono_ms ? b->recover_at : now->mono_ms;
    int64_t t = earlier(b->commit_at, b->probe_space_at);
    t = earlier(t, b->tidy_at);
    t = earlier(t, b->state_at);
    t = earlier(t, mqtt_session_deadline(b->broker.session));
    t = earlier(t, outbound_deadline(b));
    return earlier(t, peers_deadline(b));
}
