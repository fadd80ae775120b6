/* What must survive a power cut: one SQLite file an end. The only code that includes sqlite3.h is
 * here in store/.
 *
 * One connection, one thread, locking_mode=EXCLUSIVE (a second daemon is refused), WAL,
 * synchronous=FULL. All writes go into one open transaction, begun by the first write and ended by
 * store_commit: the caller groups, and tells nobody (broker or peer) anything before the commit has
 * returned 0.
 *
 * A write or commit that fails has rolled the whole transaction back: the store is as at the last
 * commit, and the caller must treat its own volatile state as after a crash (drop the MQTT
 * connection, begin new epochs). See store_full.
 *
 * Time: `age_ms` is the store's age clock (I11): it advances with the monotonic clock while a
 * process runs, is saved with each commit, and on opening jumps forward by the wall clock's gap
 * only where wall time is trusted on both sides.
 *
 * Errors: negative errno-like (-EIO, -ENOSPC, -ENOMEM, -EINVAL: a wrong argument), after which the
 * transaction is gone, but for the -ENOSPC of adding calls (store_full); positive: enum
 * store_outcome. -EBADMSG: the file is damaged; so is every further call answered, and the next
 * store_open sets the file aside: the caller ends and is started again.
 *
 * Callbacks (each) call nothing of the store. Peers are named by the ids of store_peer_id. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/msg_class.h"

struct store;

enum store_outcome {
    STORE_NONE = 1, /* no such row; nothing (more) there */
    STORE_LOCKED,   /* another process holds the file */
    STORE_REFUSED,  /* would pass a bound; nothing changed */
};

/* Of what belongs to a peer: from us to it, and from it to us. */
enum store_direction { STORE_OUT = 0, STORE_IN = 1 };

#define STORE_PEERS_MAX 4096
/* Of a peer's message counter: composite keys hold 46 bits. */
#define STORE_NUMBER_MAX ((1ull << 46) - 1)

/* The clock as the caller sees it. wall_trusted: the wall clock is known to be synchronised. */
struct store_now {
    int64_t mono_ms;
    int64_t wall_ms;
    bool wall_trusted;
};

/* A copy of the store that is older than this when it is opened may have been put back with the whole disk that it is on: nothing but
 * its age can show that. A day and a half, so that a box that is off at night, or wakes once a day, pays nothing for it. */
#define STORE_AGED_MS (36ll * 60 * 60 * 1000)

/* Why what the store remembers of others may be less than it once did. Each rises by one when its case is met, and is committed with
 * what shows it: who depends on that memory keeps the two beside what it has made sure of. */
struct store_doubts {
    uint32_t set_back; /* the file took the place of a newer one, or nothing shows that it did not */
    uint32_t aged;     /* it lay for STORE_AGED_MS */
};

struct store_opened {
    bool created; /* no file was there */
    bool damaged; /* the old file was set aside under aside_path, a new one begun */
    char aside_path[512];
    uint32_t generation; /* random, made with the file */
    uint32_t segment;    /* random, committed by this open: this process's segment (I4) */
    const char *set_back; /* a sentence: what shows that the file is not the newest (store_doubts); NULL = nothing does */
    int witness_error;    /* negative errno: the witness cannot be written, so the next start will count as set back; 0 */
};

/* Opens or creates the file (mode 0600), checks it, migrates it (user_version), sets a damaged one
 * aside under PATH.damaged-YYYYMMDD-HHMMSS (the newest four stay), commits a new segment, and makes
 * the ballast file (PATH-ballast, 8 MB) and the witness (PATH-witness, some bytes: whether the file is the one that was used last). Where there is no room for that, the store opens full. A
 * file of up to 64 MB is checked whole after an unclean end; in a larger one damage is noticed when
 * it is met. random: fills n bytes. Return: 0; STORE_LOCKED; negative errno with a sentence in err
 * (err_size bytes), the file untouched: -ENOTSUP = written by a newer longwire; -EINVAL = a
 * database of another program; others as the system has them. */
int store_open(struct store **out, const char *path, const struct store_now *now,
               void (*random)(void *ctx, void *bytes, size_t n), void *random_ctx,
               struct store_opened *opened, char *err, size_t err_size) MUST_CHECK;
/* Commits nothing: what is not committed is lost. NULL allowed. */
void store_close(struct store *s);

/* Commits what is open, and the age clock (alone, where ten minutes have passed since the last
 * commit). Return: 0 (also when nothing was open); negative: rolled back. */
int store_commit(struct store *s, const struct store_now *now) MUST_CHECK;
/* Gives up what is open. */
void store_rollback(struct store *s);
/* Is there something to commit? */
bool store_dirty(const struct store *s);
/* Gives up to 1 MB of free pages back to the file system where a quarter of the file is free, else
 * cuts the WAL; call when idle, with nothing to commit (it does nothing then). Cheap when nothing
 * is to do. Return: 0; 1 = more to do, call again soon; negative errno. */
int store_tidy(struct store *s) MUST_CHECK;

/* Full: a write met a full disk (or max file size). From then on the *adding* calls (outbox_put,
 * held_put, inbox_put, partial_*) return -ENOSPC at once without touching the transaction;
 * deletions and marks still commit (the ballast was freed for them). store_probe_space tries to
 * make the ballast anew; once it can, full ends. */
bool store_full(const struct store *s);
/* Return: 0 = there is room again (or was never full); STORE_REFUSED = still full; negative errno.
 */
int store_probe_space(struct store *s) MUST_CHECK;

uint32_t store_generation(const struct store *s);
uint32_t store_segment(const struct store *s);
/* As they stand; `aged` may rise with a commit too, the first at which wall time is trusted. */
struct store_doubts store_doubts(const struct store *s);
/* The age clock for this moment. */
int64_t store_age_ms(const struct store *s, const struct store_now *now);
/* Bytes of the database file now (page_count * page_size), for status. */
int64_t store_file_bytes(struct store *s);
/* The sentence of the last failure, for the log. Owned by s. */
const char *store_error(const struct store *s);

/* Small named values that survive, for who needs one (e.g. "client_id"). Value at most 4096 bytes.
 * store_get: Return 0, STORE_NONE, negative errno; *n in: room, out: length. */
int store_get(struct store *s, const char *key, void *value, size_t *n) MUST_CHECK;
int store_set(struct store *s, const char *key, const void *value, size_t n) MUST_CHECK;
/* What the commit under way overwrites or deletes was a secret. In the file it is overwritten with zeros as always, where its page is
 * written anyway (a value of up to some 960 bytes is); the next store_tidy cuts the WAL, in which it still stands. */
void store_forget(struct store *s);

#endif
