"""What happens to the boxes at either end of a satellite link: kill -9, an outage longer than the gateway's memory, a backup
from last week, a cloned card; and real traffic."""
import base64
import json
import os
import pathlib
import shutil

import tap
from checks import expect, gaps, numbered
from satellite import IMEI, SatellitePair
from tap import Skip, case, check, check_equal
from stores import delete_store, restore_store, save_store

CORPORA = pathlib.Path(os.environ.get("LONGWIRE_CORPORA", "/work/shared/corpora"))
SAMPLE_BYTES = int(os.environ.get("LONGWIRE_CORPUS_SAMPLE", "1000"))


class Talk:
    """Both directions, a batch at a time; what was sent is remembered."""

    def __init__(self, pair, topics=2):
        self.pair = pair
        self.edge, self.hub = pair.edge_client("down/#"), pair.hub_client("up/#")
        self.topics = topics
        self.n = 0

    def say(self, n=4, wait=True):
        names = [chr(ord("a") + i) for i in range(self.topics)]
        infos = [self.edge.publish(t, p, wait=False) for t, p in numbered([f"up/{c}" for c in names], n, self.n)]
        infos += [self.hub.publish(t, p, wait=False) for t, p in numbered([f"down/{c}" for c in names], n, self.n)]
        self.n += n
        if wait:
            self.edge.wait_published(infos)

    def expect(self, timeout=120):
        names = [chr(ord("a") + i) for i in range(self.topics)]
        expect(self.hub, numbered([f"up/{c}" for c in names], self.n), timeout, "edge to hub")
        expect(self.edge, numbered([f"down/{c}" for c in names], self.n), timeout, "hub to edge")

    def exchange(self):
        self.say()
        self.expect()


def talking(world, **how):
    """A pair over which messages have passed both ways."""
    pair = SatellitePair(world, **how)
    talk = Talk(pair)
    talk.exchange()
    return pair, talk


def killed(world, victims, rounds):
    pair = SatellitePair(world)
    talk = Talk(pair)
    for round_ in range(rounds):
        talk.say(3, wait=False)
        victim = getattr(pair, victims[round_ % len(victims)])
        sessions = pair.sky.sessions()
        # Some in the middle of a session, some at its end, some at any time.
        how = world.random.choice(["session", "end", "any"])
        if how == "session":
            pair.sky.wait(lambda r: r["modems"][IMEI]["mode"] == "session", "a session")
        elif how == "end":
            pair.sky.wait(lambda r: r["modems"][IMEI]["counts"].get("sessions", 0) > sessions, "a session's end")
        victim.kill()
        victim.start()
    talk.say(3)
    talk.expect()
    pair.sky.check_conduct()


@case("the edge is killed again and again, in sessions and at their ends")
def _(world):
    killed(world, ["edge"], 4)


@case("the hub is killed again and again")
def _(world):
    killed(world, ["hub"], 4)


@case("both are killed in turn")
def _(world):
    killed(world, ["edge", "hub"], 4)


@case("without confirmation, a message that the hub's death swallows is sent again by the edge")
def _(world):
    pair, talk = talking(world, confirm=False)
    for _ in range(3):
        talk.say(2, wait=False)
        pair.sky.wait(lambda r: r["modems"][IMEI]["mode"] == "session", "a session")
        pair.hub.kill()
        pair.hub.start()
    talk.exchange()


@case("a hub that is down for longer than the gateway keeps messages")
def _(world):
    pair, talk = talking(world)
    pair.hub.kill()
    delivered = pair.sky.report()["gateway"]["counts"]["mo_delivered"]
    for i in range(2):
        talk.edge.publish("up/a", str(talk.n + i))
        talk.edge.publish("up/b", str(talk.n + i))
        pair.sky.wait(lambda r: r["mo_queue"] > i, "the gateway has it, and the hub has not")
    talk.n += 2
    for message in numbered(["down/a", "down/b"], 2, talk.n - 2):
        talk.hub.publish(*message)
    pair.sky.ask("skip", seconds=12 * 3600 + 1)
    pair.sky.wait(lambda r: r["gateway"]["counts"].get("mo_expired", 0) >= 2, "thrown away")
    check_equal(pair.sky.report()["gateway"]["counts"]["mo_delivered"], delivered, "delivered meanwhile")
    pair.hub.start()
    talk.say(2)
    talk.expect()
    pair.sky.check_conduct()


@case("the gateway's queue to the modem is purged after five days without a session")
def _(world):
    pair, talk = talking(world)
    pair.edge.kill()
    talk.hub.publish_many(numbered(["down/a", "down/b"], 2, talk.n))
    talk.edge.publish_many(numbered(["up/a", "up/b"], 2, talk.n))
    talk.n += 2
    pair.sky.wait(lambda r: r["modems"][IMEI]["queue"] > 0, "queued at the gateway")
    pair.sky.ask("skip", seconds=5 * 86400 + 1)
    pair.sky.wait(lambda r: r["modems"][IMEI]["queue"] == 0, "purged")
    pair.edge.start()
    talk.say(2)
    talk.expect()
    pair.sky.check_conduct()


def replaced(world, which):
    pair, talk = talking(world)
    pair.wait_drained()
    victim = getattr(pair, which)
    check_equal(victim.stop(), 0, "exit code of SIGTERM")
    save_store(victim, world.folder / "backup")
    victim.start()
    talk.exchange()
    pair.wait_drained()
    victim.kill()
    restore_store(victim, world.folder / "backup")
    victim.start()
    talk.exchange()
    talk.exchange()
    pair.sky.check_conduct()


@case("the hub is replaced from last week's backup")
def _(world):
    replaced(world, "hub")


@case("the edge is replaced from last week's backup")
def _(world):
    replaced(world, "edge")


@case("the edge's store is lost")
def _(world):
    pair, talk = talking(world)
    pair.wait_drained()
    pair.edge.kill()
    delete_store(pair.edge)
    pair.edge.start()
    talk.exchange()


@case("the hub's store is lost with what it had acknowledged and not yet published: it says so, though it has nothing to send")
def _(world):
    soon = {"link sky": {"ack_max_age": "1m"}}  # the frame that nobody answers is given up after three tries
    pair = SatellitePair(world, edge=soon, hub=soon)
    edge = pair.edge_client()
    edge.publish("up/a", "arrives")
    pair.hub_client("up/#").wait_payload("arrives")
    pair.hub_broker.kill()
    edge.publish("up/a", "lost")
    pair.edge.wait_empty(pair.hub.name, 90)
    pair.hub.kill()
    delete_store(pair.hub)
    pair.hub_broker.start()
    pair.hub.start()
    hub = pair.hub_client("up/#", "longwire/#")
    edge.publish("up/a", "after it")
    hub.wait_payload("after it", 120)
    check(sum(g["count"] for g in gaps(hub) if g["reason"] == "lost") >= 1, "the loss is told", gaps(hub))
    pair.sky.check_conduct()


@case("an edge box is cloned: the copy speaks, then the first one again")
def _(world):
    pair, talk = talking(world)
    pair.wait_drained()
    check_equal(pair.edge.stop(), 0, "exit code of SIGTERM")
    save_store(pair.edge, world.folder / "clone")
    pair.edge.start()
    talk.exchange()
    pair.wait_drained()
    pair.edge.stop()
    save_store(pair.edge, world.folder / "original")
    restore_store(pair.edge, world.folder / "clone")
    pair.edge.start()  # the clone, with the original's modem
    talk.exchange()
    pair.wait_drained()
    pair.edge.stop()
    restore_store(pair.edge, world.folder / "original")
    pair.edge.start()
    talk.exchange()


def recording(name, n_bytes):
    """The first messages of a corpus as [(topic, bytes)], of about so many bytes."""
    file = CORPORA / f"{name}.ndjson"
    if not file.exists():
        raise Skip(f"no {file}")
    messages = []
    with open(file) as lines:
        for line in lines:
            words = json.loads(line)
            payload = base64.b64decode(words["payload_b64"]) if "payload_b64" in words else words["payload"].encode()
            messages.append((words["topic"], payload))
            n_bytes -= len(payload)
            if n_bytes <= 0:
                break
    return messages


def carries(name):
    @case(f"a sample of {name} arrives as it was")
    def _(world):
        sample = recording(name, SAMPLE_BYTES)
        pair = SatellitePair(world, edge={"route up": {"topics": "#", "exclude": "longwire/#, down/#"}},
                             modem={"quirks": "random"}, rates={"session": 0.2})
        hub, edge = pair.hub_client("#"), pair.edge_client()
        edge.publish_many(sample)
        wanted = {}
        for topic, payload in sample:
            wanted.setdefault(topic, []).append(payload)
        hub.wait_for(lambda received: sum(m.topic in wanted for m in received) >= len(sample), "all of the sample", 180)
        got = {}
        for m in hub.received:
            if m.topic in wanted:
                got.setdefault(m.topic, []).append(m.payload)
        check(got == wanted, "the same payloads, topic by topic", {t: (len(got.get(t, [])), len(w)) for t, w in wanted.items()})
        pair.sky.check_conduct()
        counts = pair.sky.modem()["counts"]
        print(f"# {name}: {len(sample)} messages, {counts['mo_bytes']} bytes, {counts['credits']} credits, "
              f"one a message: {sum(max(1, -(-(len(t) + len(p) + 2) // 50)) for t, p in sample)}")


for corpus in ("lorawan_chirpstack", "n2k_can", "nmea0183_boat", "owntracks_gpx", "sparkplug_skab", "victron_venus",
               "weather_loop"):
    carries(corpus)


if __name__ == "__main__":
    tap.main()
