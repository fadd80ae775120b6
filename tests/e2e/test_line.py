"""A serial line that is slow, noisy, cut, unplugged, shared or full of somebody else's words."""
import pathlib

import tap
from checks import expect, numbered
from processes import wait_until
from tap import case, check, check_equal

QUICK_PROBE = {"link wire": {"probe": "1s"}}
BANNER = (b"\r\n\r\nRFD900x BOOT 3.15\r\nSiK firmware, press +++ to enter command mode\r\n~~~~\r\nOK\r\nlogin: "
          b"Linux buoy 5.10 armv7l\r\n")


def traffic(pair, n=60, timeout=90, during=None):
    """n messages on each of two topics each way; `during` is called once they are under way."""
    edge, hub = pair.edge_client("down/#"), pair.hub_client("up/#")
    ups, downs = numbered(["up/a", "up/b"], n), numbered(["down/a", "down/b"], n)
    edge.publish_many(ups)
    hub.publish_many(downs)
    if during:
        during(edge, hub)
    expect(hub, ups, timeout, "edge to hub")
    expect(edge, downs, timeout, "hub to edge")
    pair.wait_drained()


@case("an outage of many probe intervals: noticed, queued through, nothing lost or doubled")
def _(world):
    pair = world.pair(edge=QUICK_PROBE, hub=QUICK_PROBE)
    edge, hub = pair.edge_client("down/#"), pair.hub_client("up/#")
    ups, downs = numbered(["up/a", "up/b"], 100), numbered(["down/a", "down/b"], 100)
    edge.publish_many(ups[:100])
    hub.publish_many(downs[:100])
    pair.line.cut()
    edge.publish_many(ups[100:])
    hub.publish_many(downs[100:])
    for gateway in (pair.edge, pair.hub):
        gateway.wait_status(lambda s: s["peers"][0]["links"][0]["state"] != "ready", "the silence is noticed", 60)
    pair.line.restore()
    expect(hub, ups, 90)
    expect(edge, downs, 90)


@case("both ends restart during an outage and lose nothing")
def _(world):
    pair = world.pair()
    edge, hub = pair.edge_client("down/#"), pair.hub_client("up/#")
    pair.line.cut()
    ups, downs = numbered(["up/a"], 80), numbered(["down/a"], 80)
    edge.publish_many(ups)
    hub.publish_many(downs)
    pair.edge.wait_peer(pair.hub.name, lambda p: p["queue"]["messages"] == 80, "80 queued")
    pair.hub.wait_peer(pair.edge.name, lambda p: p["queue"]["messages"] == 80, "80 queued")
    pair.edge.restart()
    pair.hub.restart()
    check_equal(pair.edge.peer(pair.hub.name)["queue"]["messages"], 80, "queued after the restart")
    pair.line.restore()
    expect(hub, ups, 90)
    expect(edge, downs, 90)


@case("bit errors, lost bytes, invented bytes and bursts of noise cost time, never a message")
def _(world):
    pair = world.pair(ber=1e-4, loss=1e-4, insert=1e-4, burst=5e-5, burst_bytes=40)
    traffic(pair, n=150, timeout=120)
    bad = sum(g.peer(p)["links"][0]["bad_frames"] for g, p in ((pair.edge, pair.hub.name), (pair.hub, pair.edge.name)))
    check(bad > 0, "the noise was noticed and counted", bad)


@case("a second of delay each way")
def _(world):
    pair = world.pair(delay_ms=1000, baud=57600)
    traffic(pair, n=60)


@case("a firmware banner on the line becomes no message and stops nothing")
def _(world):
    pair = world.pair()

    def inject(*_):
        for _ in range(5):
            pair.line.inject("a", BANNER)
            pair.line.inject("b", BANNER)
    inject()
    traffic(pair, during=inject)
    check_equal(pair.hub.peer(pair.edge.name)["received"], 120, "received at the hub")
    check_equal(pair.edge.peer(pair.hub.name)["received"], 120, "received at the edge")


@case("garbage on an idle line costs no memory and no crash; traffic goes on after it")
def _(world):
    pair = world.pair()
    garbage = world.random.randbytes(60000)
    pair.line.inject("a", garbage)
    pair.line.inject("b", b"\x00" * 2000 + garbage[:2000] + b"\xff" * 2000 + b"\x7e" * 2000)
    traffic(pair)


@case("a plug pulled in the middle of traffic and put back under another name")
def _(world):
    pair = world.pair()

    def replug(*_):
        before = pathlib.Path(pair.line.a).resolve()
        pair.line.ask("unplug a")
        pair.edge.wait_link("down")
        # Something else has taken the old name meanwhile, as ttyUSB0 becomes ttyUSB1.
        world.line(name="other")
        pair.line.ask("replug a")
        check(pathlib.Path(pair.line.a).resolve() != before, "it is another tty", before)
    traffic(pair, n=100, during=replug)


@case("a device that is not there at the start is opened when it comes")
def _(world):
    pair = world.pair(start=False)
    pair.line.ask("unplug a")
    pair.hub.start()
    pair.edge.start()
    pair.line.ask("replug a")
    pair.edge.wait_link()
    traffic(pair, n=10)


@case("half duplex: two that must not speak at once take turns")
def _(world):
    half = {"link wire": {"duplex": "half"}}
    pair = world.pair(edge=half, hub=half, baud=57600, start=False)
    pair.line.ask("duplex half")
    pair.start()
    # How rarely they collide is shown where time is simulated (wire-channel): here a late process may.
    traffic(pair, n=60, timeout=120)


@case("xonxoff: the bytes 0x11 and 0x13 are never on the line")
def _(world):
    soft = {"link wire": {"flow": "xonxoff"}}
    pair = world.pair(edge=soft, hub=soft, start=False)
    recordings = [world.folder / "said-a", world.folder / "said-b"]
    pair.line.ask(f"record a {recordings[0]}")
    pair.line.ask(f"record b {recordings[1]}")
    pair.start()
    edge, hub = pair.edge_client("down/#"), pair.hub_client("up/#")
    up, down = world.random.randbytes(2048), world.random.randbytes(2048)  # a codec leaves noise as it is
    edge.publish("up/a", up)
    hub.publish("down/a", down)
    check_equal(hub.wait_count(1)[0].payload, up, "payload at the hub")
    check_equal(edge.wait_count(1)[0].payload, down, "payload at the edge")
    pair.wait_drained()
    for recording in recordings:
        said = recording.read_bytes()
        check(len(said) > 2000, "the recording holds the traffic", len(said))
        check(b"\x11" not in said and b"\x13" not in said, "XON or XOFF on the line")


@case("a metered line carries no byte when idle, not even at the start")
def _(world):
    metered = {"link wire": {"metered": "yes", "probe": "1s"}, "broker": {"keepalive": "5s"}}
    pair = world.pair(edge=metered, hub=metered, start=False)
    pair.hub.start()
    pair.edge.start()

    def uptime(seconds):
        pair.edge.wait_status(lambda s: s["uptime_s"] >= seconds, f"up for {seconds} s")
    uptime(4)
    check_equal(pair.line.bytes_sent(), 0, "bytes on the line before anything was said")
    hub = pair.hub_client("up/#")
    pair.edge_client().publish("up/a", "x")
    hub.wait_payload("x")
    pair.wait_drained()

    def quiet():
        """For many probe intervals. What the message left to say (acknowledgements) may come late, and then it is asked again."""
        before = pair.line.bytes_sent()
        uptime(pair.edge.status()["uptime_s"] + 5)
        return pair.line.bytes_sent() == before
    wait_until(quiet, "no byte on the line in 5 s")


@case("a restarted end that finds the line's old bytes in its tty goes on")
def _(world):
    pair = world.pair()
    edge, hub = pair.edge_client("down/#"), pair.hub_client("up/#")
    pair.edge.kill()
    before = pair.line.status()["b"]["sent"]
    downs = [(t, p + world.random.randbytes(40).hex()) for t, p in numbered(["down/a"], 200)]
    hub.publish_many(downs)
    # As much as it may have under way: it waits in the tty that nobody reads.
    wait_until(lambda: pair.line.status()["b"]["sent"] >= before + 200, "bytes pile up")
    pair.edge.start()
    expect(edge, downs)


if __name__ == "__main__":
    tap.main()
