"""The codec's model begins a new epoch with what both ends still have of the last messages: 2 bytes for each of these, where a
model that has only its primer takes 7."""
import json

import tap
from checks import expect, numbered
from tap import case, check


def readings(world, count, first=0):
    return [("up/weather", json.dumps({"station": "pier-4", "temperature": round(12 + world.random.random(), 2),
                                       "humidity": 70 + world.random.randrange(9), "n": first + i})) for i in range(count)]


def stream_bytes(pair):
    return pair.hub.peer(pair.edge.name)["links"][0]["stream_bytes_in"]


@case("after kill -9 of either end the first messages cost what the last ones did")
def _(world):
    pair = world.pair(baud=19200)
    hub, edge = pair.hub_client("up/#"), pair.edge_client("down/#")
    sent = readings(world, 300)
    edge.publish_many(sent)
    downs = numbered(["down/a"], 20)
    pair.hub_client().publish_many(downs)
    expect(hub, sent)
    expect(edge, downs)
    pair.wait_drained()
    for victim in (pair.edge, pair.hub):
        victim.kill()
        # All ten wait when the ends meet again: where each came by itself, each would cost a frame's end too.
        pair.line.cut()
        victim.start()
        before = stream_bytes(pair)
        more = readings(world, 10, len(sent))
        edge.publish_many(more)
        pair.edge.wait_peer(pair.hub.name, lambda p: p["queue"]["messages"] == len(more), "all of them wait")
        pair.line.restore()
        sent += more
        expect(hub, sent)
        pair.wait_drained()
        for end in pair.edge, pair.hub:
            check(not end.process.has_line("histories differ"), "both ends have the same history")
        cost = (stream_bytes(pair) - before) / len(more)
        print(f"# {cost} bytes a message")
        check(cost < 4, "bytes a message right after the restart", cost)


if __name__ == "__main__":
    tap.main()
