"""What many cases ask of what arrived."""
import json
from collections import Counter

from tap import Failure, check, check_equal, shorten


def numbered(topics, n, start=0):
    """[(topic, "0"), ...]: n messages round robin over the topics, each topic counted by itself."""
    return [(topics[i % len(topics)], str(start + i // len(topics))) for i in range(n * len(topics))]


def by_topic(client):
    """{topic: [payload, ...]} in order of arrival."""
    result = {}
    with client.changed:
        for m in client.received:
            result.setdefault(m.topic, []).append(m.payload.decode(errors="replace"))
    return result


def expect(client, sent, timeout=60, what="what was sent"):
    """Waits for everything that was sent, [(topic, text)], then checks: nothing lost, nothing doubled, nothing
    invented, each topic in its order."""
    wanted = {}
    for topic, payload in sent:
        wanted.setdefault(topic, []).append(payload)
    try:
        client.wait_count(len(sent), timeout)
    except Failure as failure:
        raise Failure(f"{failure}\n{difference(by_topic(client), wanted)}") from None
    actual = by_topic(client)
    if actual != wanted:
        raise Failure(f"{what}: not once and in order\n{difference(actual, wanted)}")


def difference(actual, wanted):
    """In words, topic by topic."""
    lines = []
    for topic in sorted(set(actual) | set(wanted)):
        is_, should = actual.get(topic, []), wanted.get(topic, [])
        if is_ == should:
            continue
        have, need = Counter(is_), Counter(should)
        lost = list((need - have).elements())
        extra = list((have - need).elements())
        lines.append(f"  {topic}: {len(is_)} of {len(should)}, lost {shorten(lost, 200)}, too many {shorten(extra, 200)}"
                     + ("" if lost or extra else f", order differs: {shorten(is_, 300)}"))
    return "\n".join(lines)


def gaps(client):
    """The gap records published so far, as objects."""
    with client.changed:
        return [json.loads(m.payload) for m in client.received if "/gap/" in m.topic]


def wait_gaps(client, reason, count, timeout=30):
    """Waits until gap records of this reason count so many messages, and returns them."""
    def enough(_):
        mine = [g for g in gaps_of(_) if g["reason"] == reason]
        return mine if sum(g["count"] for g in mine) >= count else None

    def gaps_of(received):
        return [json.loads(m.payload) for m in received if "/gap/" in m.topic]
    records = client.wait_for(enough, f"gap records: {count} {reason}", timeout)
    check_equal(sum(g["count"] for g in records), count, f"messages in gap records of reason {reason}")
    for g in records:
        check(g["first"] <= g["last"], "a gap's first is not behind its last", g)
        check({"route", "reason", "count", "first", "last", "from", "to"} <= set(g), "a gap record has all fields", g)
    return records


def user_properties(message):
    return dict(getattr(message.properties, "UserProperty", []))
