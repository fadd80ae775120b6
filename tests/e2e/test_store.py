"""Stores that are deleted, restored from an older copy, damaged, full, or on a box without a clock."""
import os
import subprocess

import tap
from checks import expect, numbered, wait_gaps
from gateway import command
from processes import wait_until
from stores import delete_store, restore_store, save_store, store_files
from tap import Skip, case, check, check_equal

# Of megabytes: the store is what is asked, and the codec takes its time for them.
PLAIN = {"peer HUB": {"codec": "plain"}}
DECADES_MS = 55 * 365 * 86400 * 1000  # back to 1970 or so


def warm_up(pair, n=30):
    """Traffic both ways before the accident. Returns the listeners and what was sent."""
    edge, hub = pair.edge_client("down/#"), pair.hub_client("up/#")
    ups, downs = numbered(["up/a", "up/b"], n), numbered(["down/a", "down/b"], n)
    edge.publish_many(ups)
    hub.publish_many(downs)
    expect(hub, ups)
    expect(edge, downs)
    pair.wait_drained()
    return edge, hub, ups, downs


def after_accident(pair, edge, hub, ups, downs, timeout=90):
    """New traffic both ways: all of it arrives once, nothing of it is taken for something old."""
    more_ups, more_downs = numbered(["up/a", "up/b", "up/c"], 30, 100), numbered(["down/a", "down/b", "down/c"], 30, 100)
    edge.publish_many(more_ups)
    hub.publish_many(more_downs)
    expect(hub, ups + more_ups, timeout, "edge to hub")
    expect(edge, downs + more_downs, timeout, "hub to edge")
    pair.wait_drained()


def deleted(world, which):
    pair = world.pair()
    edge, hub, ups, downs = warm_up(pair)
    victim, other = (pair.edge, pair.hub) if which == "edge" else (pair.hub, pair.edge)
    victim.kill()
    delete_store(victim)
    # Meanwhile the other end queues for it.
    queued = numbered(["down/queued" if which == "edge" else "up/queued"], 20)
    (hub if which == "edge" else edge).publish_many(queued)
    other.wait_peer(victim.name, lambda p: p["queue"]["messages"] > 0, "queued meanwhile")
    victim.start()
    if which == "edge":
        after_accident(pair, edge, hub, ups, downs + queued)
    else:
        after_accident(pair, edge, hub, ups + queued, downs)


@case("the edge's store is deleted: both resynchronise by themselves, nothing new is lost or mistaken")
def _(world):
    deleted(world, "edge")


@case("the hub's store is deleted: both resynchronise by themselves, nothing new is lost or mistaken")
def _(world):
    deleted(world, "hub")


def restored(world, which):
    pair = world.pair()
    edge, hub, ups, downs = warm_up(pair)
    victim = getattr(pair, which)
    check_equal(victim.stop(), 0, "exit code of SIGTERM")
    save_store(victim, world.folder / "backup")
    victim.start()
    later_ups, later_downs = numbered(["up/a", "up/b"], 25, 50), numbered(["down/a", "down/b"], 25, 50)
    edge.publish_many(later_ups)
    hub.publish_many(later_downs)
    expect(hub, ups + later_ups)
    expect(edge, downs + later_downs)
    pair.wait_drained()
    victim.kill()
    restore_store(victim, world.folder / "backup")
    victim.start()
    after_accident(pair, edge, hub, ups + later_ups, downs + later_downs)


@case("the edge's store is restored from an older copy: nothing new is taken for a duplicate")
def _(world):
    restored(world, "edge")


@case("the hub's store is restored from an older copy: nothing new is taken for a duplicate")
def _(world):
    restored(world, "hub")


@case("an older copy with a queue that was delivered since is not delivered again")
def _(world):
    pair = world.pair()
    edge, hub, ups, downs = warm_up(pair)
    pair.line.cut()
    queued = numbered(["up/a"], 30, 200)
    edge.publish_many(queued)
    pair.edge.wait_peer(pair.hub.name, lambda p: p["queue"]["messages"] == 30, "queued")
    check_equal(pair.edge.stop(), 0, "exit code of SIGTERM")
    save_store(pair.edge, world.folder / "backup")
    pair.edge.start(wait=False)
    pair.line.restore()
    expect(hub, ups + queued)
    pair.wait_drained()
    pair.edge.kill()
    restore_store(pair.edge, world.folder / "backup")
    pair.edge.start()
    pair.edge.wait_empty(pair.hub.name)
    more = numbered(["up/a"], 30, 300)
    edge.publish_many(more)
    expect(hub, ups + queued + more)


@case("a damaged store is set aside under a dated name, and a new one is begun")
def _(world):
    pair = world.pair()
    edge, hub, ups, downs = warm_up(pair)
    check_equal(pair.edge.stop(), 0, "exit code of SIGTERM")
    with open(pair.edge.store, "r+b") as file:
        file.write(world.random.randbytes(4096))
    pair.edge.start()
    aside = [f.name for f in pair.edge.folder.iterdir() if ".damaged-" in f.name]
    check(len(aside) >= 1, "the damaged file is kept", [f.name for f in pair.edge.folder.iterdir()])
    check(pair.edge.process.has_line("damaged"), "and the log says so")
    after_accident(pair, edge, hub, ups, downs)


def fill_the_disk(world, hand_over):
    """Calls hand_over(pair) with the edge's store on a disk of 16 MB: 4 MB of it are the store's ballast."""
    if os.getuid() != 0:
        raise Skip("mounting a small tmpfs needs root")
    disk = world.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], check=False,
                      capture_output=True).returncode != 0:
        raise Skip("tmpfs cannot be mounted here")
    world.closers.append(lambda: subprocess.run(["umount", "-l", str(disk)], check=False))
    brokers = world.broker("edge-broker", persistence=False), world.broker("hub-broker", persistence=False)
    pair = world.pair(brokers=brokers, transport="tcp", edge={
        "store": {"path": str(disk / "edge.db"), "max_bytes": "256M"}, "broker": {"protocol": "5"}, **PLAIN})
    hand_over(pair)


@case("a full disk: the broker keeps what does not fit, the link drains the rest, nothing is lost")
def _(world):
    def full(pair):
        hub, edge = pair.hub_client("up/#"), pair.edge_client()
        pair.proxy.refusing = True
        pair.proxy.cut()
        sent = [("up/a", f"{i:05d}" + "." * 16000) for i in range(1200)]
        edge.publish_many(sent)
        status = pair.edge.wait_status(lambda s: s["store"]["full"], "the store is full", 60)
        queued = status["peers"][0]["queue"]["messages"]
        check(0 < queued < len(sent), "a part is queued", queued)
        pair.proxy.refusing = False
        expect(hub, sent, 120)
        pair.edge.wait_empty(pair.hub.name)
        pair.edge.wait_status(lambda s: not s["store"]["full"], "there is room again")
    fill_the_disk(world, full)


@case("a full disk and kill -9: what was queued is still there")
def _(world):
    def full(pair):
        hub, edge = pair.hub_client("up/#"), pair.edge_client()
        pair.proxy.refusing = True
        pair.proxy.cut()
        sent = [("up/a", f"{i:05d}" + "." * 16000) for i in range(1000)]
        edge.publish_many(sent)
        pair.edge.wait_status(lambda s: s["store"]["full"], "the store is full", 60)
        pair.edge.kill()
        pair.edge.start(wait=False)
        pair.proxy.refusing = False
        expect(hub, sent, 120)
    fill_the_disk(world, full)


@case("the store's file shrinks after a backlog")
def _(world):
    brokers = world.broker("edge-broker", persistence=False), world.broker("hub-broker", persistence=False)
    pair = world.pair(brokers=brokers, transport="tcp", edge={"store": {"history": "64K"}, **PLAIN})
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    pair.proxy.refusing = True
    pair.proxy.cut()
    sent = [("up/a", f"{i:05d}" + "." * 4000) for i in range(1500)]
    edge.publish_many(sent)
    pair.edge.wait_peer(pair.hub.name, lambda p: p["queue"]["messages"] == len(sent), "all queued", 60)
    before = pair.edge.store.stat().st_size + sum(f.stat().st_size for f in store_files(pair.edge))
    check(before > 5_000_000, "the backlog is in the file", before)
    pair.proxy.refusing = False
    expect(hub, sent, 90)
    pair.edge.wait_empty(pair.hub.name)

    def size():
        return pair.edge.store.stat().st_size
    try:
        wait_until(lambda: size() < before // 4, "the file shrinks", 30)
    finally:
        print(f"# the file: {before} bytes with the backlog, {size()} after it")


def clock(offset_ms, trusted):
    """The wall clock as a gateway started so sees it (gateway/daemon/clock.h)."""
    return {"LONGWIRE_TEST_WALL_OFFSET_MS": str(offset_ms), "LONGWIRE_TEST_WALL_TRUSTED": "1" if trusted else "0"}


def queue_across_clocks(world, before, after):
    """20 messages that expire in an hour are queued under one clock; then the edge restarts under another. Returns
    the pair, the hub's listener and what was sent, with the line open again."""
    pair = world.pair(edge={"route up": {"expire": "1h"}}, start=False)
    pair.line.cut()
    pair.hub.start()
    pair.edge.start(env=before)
    hub, edge = pair.hub_client("up/#", "longwire/+/gap/+"), pair.edge_client()
    sent = numbered(["up/a"], 20)
    edge.publish_many(sent)
    pair.edge.wait_peer(pair.hub.name, lambda p: p["queue"]["messages"] == 20, "queued under the first clock")
    pair.edge.restart(env=after)
    pair.line.restore()
    return pair, hub, sent


@case("a box that boots in 1970 does not expire its queue when it gets the time")
def _(world):
    pair, hub, sent = queue_across_clocks(world, clock(-DECADES_MS, trusted=False), clock(0, trusted=True))
    expect(hub, sent)
    check_equal(pair.edge.peer(pair.hub.name)["dropped"], {}, "dropped")


@case("a clock that falls back decades expires nothing either")
def _(world):
    pair, hub, sent = queue_across_clocks(world, clock(0, trusted=True), clock(-DECADES_MS, trusted=False))
    expect(hub, sent)
    check_equal(pair.edge.peer(pair.hub.name)["dropped"], {}, "dropped")


@case("two hours without power count where both clocks are trusted: then the queue has expired")
def _(world):
    pair, hub, _sent = queue_across_clocks(world, clock(0, trusted=True), clock(2 * 3600 * 1000, trusted=True))
    pair.edge.wait_peer(pair.hub.name, lambda p: p["dropped"].get("expired") == 20, "expired")
    wait_gaps(hub, "expired", 20)
    check_equal([m.topic for m in hub.received if m.topic.startswith("up/")], [], "arrived")


@case("a second daemon on the same store is refused, and the first is not disturbed")
def _(world):
    pair = world.pair(transport="tcp")
    second = command("run", str(pair.edge.file))
    check_equal(second.returncode, 1, "exit code of the second")
    check("another" in second.stderr or "already" in second.stderr or "in use" in second.stderr,
          "it says why", second.stderr)
    hub = pair.hub_client("up/#")
    pair.edge_client().publish("up/a", "still here")
    hub.wait_payload("still here")
    check(pair.edge.status() is not None, "the first one's control socket still answers")


if __name__ == "__main__":
    tap.main()
