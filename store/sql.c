#include "store/sql.h"

#include <assert.h>

/* MSG_COLUMNS: the columns of a message in the order in which message_row.c binds and reads them.
 */
#define MSG_COLUMNS "flags, origin, topic, hops, props, payload"

/* clang-format off */
static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_FREE_PAGES] = "PRAGMA freelist_count",
    [SQL_PAGES] = "PRAGMA page_count",
    [SQL_VACUUM] = "PRAGMA incremental_vacuum(256)", /* 1 MB a call of store_tidy */
    [SQL_STATE_LOAD] = "SELECT generation, segment, age_ms, wall_ms, wall_trusted, ordinal FROM"
                       " state WHERE id = 1",
    [SQL_STATE_SAVE] = "INSERT OR REPLACE INTO state(id, generation, segment, age_ms, wall_ms,"
                       " wall_trusted, ordinal) VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6)",
    [SQL_VALUE_GET] = "SELECT value FROM value WHERE name = ?1",
    [SQL_VALUE_SET] = "INSERT OR REPLACE INTO value(name, value) VALUES(?1, ?2)",

    [SQL_PEERS_LOAD] = "SELECT id, name, next_number, segment, predecessor, predecessor_end, met,"
                       " remote_generation, remote_segment, remote_predecessor,"
                       " remote_predecessor_end, inbox_messages, inbox_bytes, held_messages,"
                       " held_bytes, intervals, retained, frames, out_topics, out_topics_hash,"
                       " out_history, in_topics, in_topics_hash, in_history FROM peer ORDER BY id",
    [SQL_CLASSES_LOAD] = "SELECT key, messages, bytes, gaps, may_have_left, cumulative, early,"
                         " settled FROM peer_class",
    [SQL_COUNTERS_LOAD] = "SELECT peer, name, value FROM counter",
    [SQL_PEER_ADD] = "INSERT INTO peer(id, name) VALUES(?1, ?2)",
    [SQL_CLASS_ADD] = "INSERT INTO peer_class(key) VALUES(?1)",
    [SQL_PEER_SAVE] = "UPDATE peer SET next_number = ?2, segment = ?3, predecessor = ?4,"
                      " predecessor_end = ?5, met = ?6, remote_generation = ?7, remote_segment ="
                      " ?8, remote_predecessor = ?9, remote_predecessor_end = ?10, inbox_messages"
                      " = ?11, inbox_bytes = ?12, held_messages = ?13, held_bytes = ?14, intervals"
                      " = ?15, retained = ?16, frames = ?17, out_topics = ?18, out_topics_hash ="
                      " ?19, out_history = ?20, in_topics = ?21, in_topics_hash = ?22, in_history"
                      " = ?23 WHERE id = ?1",
    [SQL_CLASS_SAVE] = "UPDATE peer_class SET messages = ?2, bytes = ?3, gaps = ?4, may_have_left"
                       " = ?5, cumulative = ?6, early = ?7, settled = ?8 WHERE key = ?1",
    [SQL_COUNTER_SAVE] = "INSERT OR REPLACE INTO counter(peer, value, name) VALUES(?1, ?2, ?3)",

    [SQL_EARLY_EACH] = "SELECT key, previous FROM early WHERE key > ?1 AND key <= ?2 ORDER BY key",
    [SQL_EARLY_FIRST] = "SELECT key, previous FROM early WHERE key > ?1 AND key <= ?2 ORDER BY key"
                        " LIMIT 1",
    [SQL_EARLY_GET] = "SELECT previous FROM early WHERE key = ?1",
    [SQL_EARLY_ADD] = "INSERT INTO early(key, previous) VALUES(?1, ?2)",
    [SQL_EARLY_DROP_TO] = "DELETE FROM early WHERE key > ?1 AND key <= ?2",
    [SQL_EARLY_CLEAR] = "DELETE FROM early WHERE key > ?1 AND key < ?2",
    [SQL_SEGMENTS_EACH] = "SELECT key, generation, id, predecessor, predecessor_end, marks FROM"
                          " remote_segment WHERE key > ?1 AND key < ?2 ORDER BY key",
    [SQL_SEGMENT_ADD] = "INSERT INTO remote_segment(key, generation, id, predecessor,"
                        " predecessor_end) VALUES(?1, ?2, ?3, ?4, ?5)",
    [SQL_SEGMENT_LEAVE] = "UPDATE remote_segment SET marks = ?2 WHERE key = ?1",
    [SQL_SEGMENT_DROP] = "DELETE FROM remote_segment WHERE key = ?1",

    [SQL_OUTBOX_ADD] = "INSERT INTO outbox(key, bytes, queued, expires, route, " MSG_COLUMNS ")"
                       " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [SQL_OUTBOX_NEXT] = "SELECT key, queued, expires, route, flags, origin, topic, hops, props,"
                        " CASE WHEN length(payload) <= ?3 THEN payload END,"
                        " ifnull(length(payload), 0) FROM outbox WHERE key > ?1 AND key <= ?2"
                        " ORDER BY key LIMIT 1",
    [SQL_OUTBOX_QUEUED] = "SELECT key, queued FROM outbox WHERE key > ?1 AND key <= ?2 ORDER BY key"
                          " LIMIT 1",
    [SQL_OUTBOX_FIGURES] = "SELECT key, bytes, flags FROM outbox WHERE key = ?1",
    [SQL_OUTBOX_RUN] = "SELECT key, bytes, flags FROM outbox WHERE key > ?1 AND key <= ?2 ORDER BY"
                       " key LIMIT ?3",
    [SQL_OUTBOX_DELETE] = "DELETE FROM outbox WHERE key = ?1",
    [SQL_OUTBOX_DELETE_RUN] = "DELETE FROM outbox WHERE key > ?1 AND key <= ?2",
    [SQL_OUTBOX_NAMES] = "SELECT route, origin, topic FROM outbox WHERE key = ?1",
    [SQL_OUTBOX_EXPIRED] = "SELECT key, expires FROM outbox WHERE key >> 46 = ?1 AND expires <= ?2"
                           " AND key > ?3 ORDER BY expires LIMIT 1",
    [SQL_OUTBOX_TO_HISTORY] = "INSERT OR REPLACE INTO history(key, bytes, " MSG_COLUMNS ")"
                              " SELECT (key & ?4) | ?5, bytes, " MSG_COLUMNS " FROM outbox"
                              " WHERE key > ?1 AND key <= ?2 AND bytes <= ?3",
    [SQL_GAP_ADD] = "INSERT INTO gap(key, reason, count, first, from_ms, to_ms, route) VALUES(?1,"
                    " ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQL_GAP_NEXT] = "SELECT key, reason, count, first, from_ms, to_ms, route FROM gap WHERE key >"
                     " ?1 AND key <= ?2 ORDER BY key LIMIT 1",
    [SQL_GAP_NEWEST] = "SELECT key, count, first, from_ms, to_ms FROM gap WHERE key >> 46 = ?1 AND"
                       " route = ?4 AND reason = ?2 AND key > ?3 ORDER BY key DESC LIMIT 1",
    [SQL_GAP_GROW] = "UPDATE gap SET key = ?2, count = ?3, first = ?4, from_ms = ?5, to_ms = ?6"
                     " WHERE key = ?1",
    [SQL_GAP_DELETE_RUN] = "DELETE FROM gap WHERE key > ?1 AND key <= ?2",
    [SQL_LATEST_GET] = "SELECT key FROM latest WHERE peer = ?1 AND route = ?2 AND topic = ?3",
    [SQL_LATEST_SET] = "INSERT OR REPLACE INTO latest(peer, key, route, topic) VALUES(?1, ?2, ?3,"
                       " ?4)",
    [SQL_LATEST_DROP] = "DELETE FROM latest WHERE peer = ?1 AND route = ?3 AND topic = ?4 AND key"
                        " = ?2",

    [SQL_HELD_FIND] = "SELECT id, bytes FROM held WHERE peer = ?1 AND route = ?2 AND topic = ?3",
    [SQL_HELD_ADD] = "INSERT INTO held(peer, due, bytes, queued, expires, route, " MSG_COLUMNS ")"
                     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [SQL_HELD_DELETE] = "DELETE FROM held WHERE id = ?1",
    [SQL_HELD_DUE] = "SELECT id, due FROM held WHERE due > ?1 ORDER BY due, id LIMIT 1",
    [SQL_HELD_ROW] = "SELECT peer, bytes, queued, expires, route, flags, origin, topic, hops,"
                     " props, payload, ifnull(length(payload), 0) FROM held WHERE id = ?1",
    [SQL_HELD_TO_OUTBOX] = "INSERT INTO outbox(key, bytes, queued, expires, route, " MSG_COLUMNS ")"
                           " SELECT ?2, bytes, queued, expires, route, " MSG_COLUMNS " FROM held"
                           " WHERE id = ?1",
    [SQL_INTERVAL_GET] = "SELECT next FROM interval WHERE peer = ?1 AND route = ?2 AND topic = ?3",
    [SQL_INTERVAL_SET] = "UPDATE interval SET next = ?2 WHERE peer = ?1 AND route = ?3 AND topic ="
                         " ?4",
    [SQL_INTERVAL_ADD] = "INSERT INTO interval(peer, next, route, topic) VALUES(?1, ?2, ?3, ?4)",
    [SQL_INTERVAL_DROP_FIRST] = "DELETE FROM interval WHERE (peer, route, topic) IN (SELECT peer,"
                                " route, topic FROM interval WHERE peer = ?1 ORDER BY next LIMIT"
                                " 1)",
    [SQL_RETAINED_GET] = "SELECT hash FROM retained WHERE peer = ?1 AND route = ?2 AND topic = ?3",
    [SQL_RETAINED_SET] = "UPDATE retained SET hash = ?2, used = ?3 WHERE peer = ?1 AND route = ?4"
                         " AND topic = ?5",
    [SQL_RETAINED_ADD] = "INSERT INTO retained(peer, hash, used, route, topic) VALUES(?1, ?2, ?3,"
                         " ?4, ?5)",
    [SQL_RETAINED_DROP_FIRST] = "DELETE FROM retained WHERE (peer, route, topic) IN (SELECT peer,"
                                " route, topic FROM retained WHERE peer = ?1 ORDER BY used LIMIT"
                                " 1)",

    [SQL_INBOX_ADD] = "INSERT INTO inbox(key, peer, number, bytes, received, expiry, "
                      MSG_COLUMNS ")"
                      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [SQL_INBOX_NEXT] = "SELECT key, peer, number, received, expiry, flags, origin, topic, hops,"
                       " props, payload, ifnull(length(payload), 0) FROM inbox WHERE key > ?1 AND"
                       " key <= ?2 ORDER BY key LIMIT 1",
    [SQL_INBOX_GET] = "SELECT key, peer, number, received, expiry, flags, origin, topic, hops,"
                      " props, payload, ifnull(length(payload), 0) FROM inbox WHERE key = ?1",
    [SQL_INBOX_FIGURES] = "SELECT peer, bytes, flags FROM inbox WHERE key = ?1",
    [SQL_INBOX_DELETE] = "DELETE FROM inbox WHERE key = ?1",
    [SQL_INBOX_SET_ASIDE] = "INSERT INTO refused(id, wall_ms, reason, peer, number, bytes, flags,"
                            " topic, payload) SELECT ?2, ?3, ?5, peer, number, length(CAST(topic"
                            " AS BLOB)) + ifnull(min(length(payload), ?4), 0), flags, topic,"
                            " substr(payload, 1, ?4) FROM inbox WHERE key = ?1",
    [SQL_DELIVERY_GET] = "SELECT state, packet_id, refusals, again, assigned FROM delivery WHERE"
                         " key = ?1",
    [SQL_DELIVERY_SET] = "INSERT INTO delivery(key, state, packet_id, refusals, again, assigned,"
                         " qos) VALUES(?1, ?2, nullif(?3, 0), ?4, ?5, ?6, ?7) ON CONFLICT(key) DO"
                         " UPDATE SET state = ?2, packet_id = nullif(?3, 0), refusals = ?4, again"
                         " = ?5, assigned = ?6",
    [SQL_DELIVERY_DELETE] = "DELETE FROM delivery WHERE key = ?1",
    [SQL_DELIVERY_BY_PACKET_ID] = "SELECT key FROM delivery WHERE packet_id = ?1",
    [SQL_DELIVERY_EACH] = "SELECT key, state, packet_id, qos FROM delivery WHERE packet_id IS NOT"
                          " NULL AND assigned > ?1 ORDER BY assigned",
    [SQL_REFUSED_FIGURES] = "SELECT count(*), ifnull(sum(bytes), 0) FROM refused",
    [SQL_REFUSED_FIRST] = "SELECT id, bytes FROM refused WHERE id > ?1 ORDER BY id LIMIT 1",
    [SQL_REFUSED_DELETE] = "DELETE FROM refused WHERE id = ?1",
    [SQL_REFUSED_EACH] = "SELECT peer, number, wall_ms, reason, topic, bytes FROM refused WHERE id"
                         " > ?1 ORDER BY id",
    [SQL_QOS2_ADD] = "INSERT OR REPLACE INTO qos2(packet_id, hash) VALUES(?1, ?2)",
    [SQL_QOS2_GET] = "SELECT hash, released IS NOT NULL FROM qos2 WHERE packet_id = ?1",
    [SQL_QOS2_RELEASE] = "UPDATE qos2 SET released = 1 + coalesce((SELECT max(released) FROM qos2"
                         " WHERE released IS NOT NULL), 0) WHERE packet_id = ?1",
    [SQL_QOS2_TRIM] = "DELETE FROM qos2 WHERE released <= (SELECT max(released) FROM qos2"
                      " WHERE released IS NOT NULL) - ?1",
    [SQL_QOS2_CLEAR] = "DELETE FROM qos2",

    [SQL_PARTIAL_SET] = "INSERT OR REPLACE INTO partial(key, number, total, have, header)"
                        " VALUES(?1, ?2, ?3, 0, ?4)",
    [SQL_PARTIAL_GET] = "SELECT number, total, have, header FROM partial WHERE key = ?1",
    [SQL_PARTIAL_HAVE] = "UPDATE partial SET have = ?2 WHERE key = ?1",
    [SQL_PARTIAL_DELETE] = "DELETE FROM partial WHERE key = ?1",
    [SQL_PIECE_ADD] = "INSERT INTO piece(key, bytes) VALUES(?1, ?2)",
    [SQL_PIECE_EACH] = "SELECT key, bytes FROM piece WHERE key >= ?1 AND key < ?2 ORDER BY key",
    [SQL_PIECES_DELETE] = "DELETE FROM piece WHERE key >= ?1 AND key < ?2",
    [SQL_AHEAD_PUT] = "INSERT OR REPLACE INTO ahead(key, message) VALUES(?1, ?2)",
    [SQL_AHEAD_GET] = "SELECT message FROM ahead WHERE key = ?1",
    [SQL_AHEAD_DELETE] = "DELETE FROM ahead WHERE key = ?1",
    [SQL_TOPIC_GET] = "SELECT topic FROM topic WHERE key = ?1",
    [SQL_TOPIC_SET] = "INSERT OR REPLACE INTO topic(key, topic) VALUES(?1, ?2)",
    [SQL_TOPICS_EACH] = "SELECT key, topic FROM topic WHERE key >= ?1 AND key < ?2 ORDER BY key",
    [SQL_TOPICS_CLEAR] = "DELETE FROM topic WHERE key >= ?1 AND key < ?2",
    [SQL_ANCHOR_GET] = "SELECT bytes FROM anchor WHERE side = ?1 AND id = ?2 ORDER BY ordinal DESC"
                       " LIMIT 1",
    [SQL_ANCHOR_SET] = "INSERT INTO anchor(side, ordinal, id, bytes) VALUES(?1, ?2, ?3, ?4)",
    [SQL_ANCHOR_DELETE] = "DELETE FROM anchor WHERE side = ?1 AND id = ?2",
    [SQL_ANCHOR_TRIM] = "DELETE FROM anchor WHERE side = ?1 AND ordinal < (SELECT min(ordinal)"
                        " FROM (SELECT ordinal FROM anchor WHERE side = ?1 ORDER BY ordinal DESC"
                        " LIMIT 2))",
    [SQL_ANCHORS_CLEAR] = "DELETE FROM anchor WHERE side = ?1",
    [SQL_FRAME_ADD] = "INSERT OR IGNORE INTO frame(peer, epoch, number, bytes) VALUES(?1, ?2, ?3,"
                      " ?4)",
    [SQL_FRAMES_DROP] = "DELETE FROM frame WHERE peer = ?1 AND epoch = ?2 AND number <= ?3",
    [SQL_FRAME_DROP] = "DELETE FROM frame WHERE peer = ?1 AND epoch = ?2 AND number = ?3",
    [SQL_LEANING_ADD] = "INSERT OR IGNORE INTO leaning(peer, epoch, number, bytes) VALUES(?1, ?2, ?3,"
                        " ?4)",
    [SQL_LEANING_NEXT] = "SELECT number, bytes FROM leaning WHERE peer = ?1 AND epoch = ?2 AND number > ?3"
                         " ORDER BY number LIMIT 1",
    [SQL_LEANING_ONLY] = "DELETE FROM leaning WHERE peer = ?1 AND epoch NOT IN (?2, ?3, ?4, ?5)",
    [SQL_FRAMES_EACH] = "SELECT epoch, number, bytes FROM frame WHERE peer = ?1 ORDER BY epoch,"
                        " number",

    [SQL_HISTORY_ADD] = "INSERT OR REPLACE INTO history(key, bytes, " MSG_COLUMNS ")"
                        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_HISTORY_FIGURES] = "SELECT bytes FROM history WHERE key = ?1",
    [SQL_HISTORY_FIRST] = "SELECT key, bytes FROM history WHERE key > ?1 AND key <= ?2 ORDER BY"
                          " key LIMIT 1",
    [SQL_HISTORY_DELETE] = "DELETE FROM history WHERE key = ?1",
    [SQL_HISTORY_BACK] = "SELECT key, bytes, flags, origin, topic, hops, props, payload,"
                         " ifnull(length(payload), 0) FROM history WHERE key > ?1 AND key <= ?2"
                         " ORDER BY key DESC LIMIT ?3",
    [SQL_HISTORY_BYTES] = "SELECT ifnull(sum(bytes), 0) FROM history WHERE key > ?1 AND key <= ?2",
    [SQL_HISTORY_CLEAR] = "DELETE FROM history WHERE key > ?1 AND key <= ?2",
};
/* clang-format on */

const char *sql_text(enum sql_id id)
{
    assert(id < SQL_COUNT && texts[id]);
    return texts[id];
}
