"""What a serial line carries of what it could, and how soon an alarm gets through: the real gateways, real brokers and
the simulated line. Ratios, so that machines compare.

    line utilisation   bytes that the edge put on the line, and record stream that reached the hub, as parts of
                       what the line can carry in the same time, behind a backlog
                       (payloads of noise: what the codec saves is another bench's matter)
    recovery           seconds from the end of a cut to the next frame that the hub hears
    alarm latency      from PUBLISH at the near broker to the far one, in frame times of the line
"""
import random
import sys
import time

from harness import World
from processes import wait_until

BAUD = 9600
MEASURE_S = float(sys.argv[1]) if len(sys.argv) > 1 else 40
FRAME_BYTES = 256


def snapshot(pair):
    """(time, bytes on the line, record stream bytes heard) at about one moment."""
    line = pair.line.status()
    stream = pair.hub.peer(pair.edge.name)["links"][0]["stream_bytes_in"]
    return line["now_us"] / 1e6, line["a"]["sent"], stream


def utilisation(name, target_line, target_stream, **quality):
    world = World("bench", random.Random(1))
    try:
        pair = world.pair(baud=BAUD, **quality)
        client, hub = pair.edge_client(), pair.hub_client("up/#")
        client.publish_many([(f"up/sensor/{i % 10}", world.random.randbytes(100)) for i in range(1200)], qos=1)
        hub.wait_count(30, timeout=120)  # past the handshake and the first measured round trips
        begin = snapshot(pair)
        wait_until(lambda: pair.line.status()["now_us"] / 1e6 >= begin[0] + MEASURE_S, "measured", MEASURE_S * 2, 0.5)
        end = snapshot(pair)
        if pair.edge.peer(pair.hub.name)["queue"]["messages"] == 0:
            print(f"{name}: the backlog ran dry, the figures are too low")
        could = (end[0] - begin[0]) * BAUD / 10
        on_line, stream = (end[1] - begin[1]) / could, (end[2] - begin[2]) / could
        link = pair.edge.peer(pair.hub.name)["links"][0]
        print(f"line {name:24s} on the line {on_line:6.1%}{target_line:>12s}   record stream {stream:6.1%}{target_stream:>12s}"
              f"   frames {link['frames_out']} retransmits {link['retransmits']}")
    finally:
        world.close()
    sys.stdout.flush()


def line_passes(pair, seconds):
    until = pair.line.status()["now_us"] / 1e6 + seconds
    wait_until(lambda: pair.line.status()["now_us"] / 1e6 >= until, "time passes on the line", seconds * 2 + 5, 0.1)


def recovery(cut_s, count):
    """A line that is cut, and nobody told: how long after it is back until the backlog moves again, as part of the cut."""
    world = World("bench", random.Random(3))
    try:
        pair = world.pair(baud=BAUD)
        client, hub = pair.edge_client(), pair.hub_client("up/#")
        client.publish_many([(f"up/sensor/{i % 10}", world.random.randbytes(100)) for i in range(2000)], qos=1)
        hub.wait_count(30, timeout=120)
        seconds = []
        for _ in range(count):
            pair.line.cut()
            line_passes(pair, cut_s)
            had = snapshot(pair)[2]
            pair.line.restore()
            started = time.monotonic()
            wait_until(lambda: snapshot(pair)[2] > had, "the backlog moves again", 120, 0.05)
            seconds.append(time.monotonic() - started)
            line_passes(pair, 3 + world.random.random())
        print(f"recovery after {cut_s} s without a line: mean {sum(seconds) / count:.2f} s, worst {max(seconds):.2f} s")
    finally:
        world.close()
    sys.stdout.flush()


def alarm_latency(baud, count):
    world = World("bench", random.Random(2))
    try:
        pair = world.pair(baud=baud, edge={"route alarms": {"peer": "HUB", "topics": "alarms/#", "priority": "alarm"}})
        hub, edge = pair.hub_client("#"), pair.edge_client()
        edge.publish_many([("up/backlog", world.random.randbytes(200)) for _ in range(300)], qos=1)
        hub.wait_count(3, topic="up/backlog", timeout=60)
        seconds = []
        for i in range(count):
            started = time.monotonic()
            edge.publish("alarms/bilge", f"HIGH {i}", qos=1, wait=False)
            seconds.append(hub.wait_payload(f"HIGH {i}", timeout=60).at - started)
            # The next one at another phase of the frame under way.
            world.random.random()
        frame = FRAME_BYTES * 10 / baud
        print(f"alarm at {baud} baud behind a backlog: mean {sum(seconds) / count / frame:.2f}, worst "
              f"{max(seconds) / frame:.2f} frame times of {frame:.2f} s (to reach: 2 + round trip)")
    finally:
        world.close()
    sys.stdout.flush()


utilisation("9600 clean", ">= 97 %", ">= 93 %")
utilisation("9600, 1 s each way", ">= 97 %", ">= 95 %", delay_ms=1000)
utilisation("9600, bit errors 1e-5", "", ">= 90 %", ber=1e-5)
utilisation("9600, bit errors 1e-4", "", ">= 75 %", ber=1e-4)
recovery(3.3, 5)
alarm_latency(1200, 8)
