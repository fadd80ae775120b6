"""kill -9 of either gateway at random instants, QoS 2 both ways: exactly once, in order."""
import threading

import tap
from checks import expect
from tap import case

KILLS = 20
TOPICS = 4


class Feed:
    """Numbered messages on several topics, published a batch at a time without waiting."""

    def __init__(self, client, prefix):
        self.client, self.prefix = client, prefix
        self.sent, self.infos = [], []

    def batch(self, n):
        for _ in range(n):
            number = len(self.sent)
            topic, payload = f"{self.prefix}/{number % TOPICS}", str(number // TOPICS)
            self.sent.append((topic, payload))
            self.infos.append(self.client.publish(topic, payload, qos=2, wait=False))


def kill_often(world, victims, transport):
    pair = world.pair(transport=transport, baud=460800)
    edge, hub = pair.edge_client("down/#"), pair.hub_client("up/#")
    ups, downs = Feed(edge, "up"), Feed(hub, "down")
    instant = threading.Event()
    for round_ in range(KILLS):
        ups.batch(40)
        downs.batch(40)
        victim = getattr(pair, victims[round_ % len(victims)])
        # The instant is the point here; nothing waits for it. From in the middle of the start to well under way.
        instant.wait(world.random.choice([0.02, 0.1, 0.3, 0.6]) * world.random.random() + 0.005)
        victim.kill()
        victim.start(wait=False)
    ups.batch(40)
    downs.batch(40)
    for feed in (ups, downs):
        feed.client.wait_published(feed.infos)
    expect(hub, ups.sent, 120, "edge to hub")
    expect(edge, downs.sent, 120, "hub to edge")
    pair.wait_drained()
    # Late copies, if any, come before this marker: then it was not exactly once.
    for feed, listener, site in ((ups, hub, pair.edge), (downs, edge, pair.hub)):
        feed.batch(TOPICS)
        expect(listener, feed.sent, 60, f"from {site.name} after the marker")


@case("the edge is killed at 20 random instants")
def _(world):
    kill_often(world, ["edge"], "serial")


@case("the hub is killed at 20 random instants")
def _(world):
    kill_often(world, ["hub"], "serial")


@case("both are killed in turn, over tcp")
def _(world):
    kill_often(world, ["edge", "hub"], "tcp")


@case("both are killed at once, again and again")
def _(world):
    pair = world.pair(baud=460800)
    edge, hub = pair.edge_client("down/#"), pair.hub_client("up/#")
    ups, downs = Feed(edge, "up"), Feed(hub, "down")
    for _ in range(8):
        ups.batch(50)
        downs.batch(50)
        hub.wait_count(len(ups.sent) - 75)
        for gateway in (pair.edge, pair.hub):
            gateway.kill()
        for gateway in (pair.edge, pair.hub):
            gateway.start(wait=False)
    expect(hub, ups.sent, 120, "edge to hub")
    expect(edge, downs.sent, 120, "hub to edge")


if __name__ == "__main__":
    tap.main()
