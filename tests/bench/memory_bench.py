"""What a queue costs in memory and time: the daemon's RSS, its start, and its processor time for each message taken in, at
1,000, 100,000 and 1,000,000 queued.

`memory_bench.py [N ...]` for other numbers."""
import os
import pathlib
import random
import socket
import sys
import threading
import time

from harness import World

COUNTS = [int(n) for n in sys.argv[1:]] or [1000, 100_000, 1_000_000]
TOPIC = b"up/sensor/1"
BATCH = 500
CONNECT = bytes.fromhex("100f00044d515454040200000003") + b"fee"
CONNACK_BYTES, PUBACK_BYTES = 4, 4


def rss_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def feed(port, first, count):
    """Messages first .. count - 1 to a broker, QoS 1, all acknowledged. (mosquitto_pub -l loses some after 30,000.)"""
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(CONNECT)
        acks = count - first

        def read_acks():
            left = CONNACK_BYTES + PUBACK_BYTES * acks
            while left:
                left -= len(s.recv(min(left, 65536))) or sys.exit("the broker closed")
        reader = threading.Thread(target=read_acks)
        reader.start()
        for at in range(first, count, BATCH):
            packets = bytearray()
            for i in range(at, min(at + BATCH, count)):
                body = (len(TOPIC).to_bytes(2, "big") + TOPIC + (i % 65535 + 1).to_bytes(2, "big")
                        + b'%08d {"value": %.1f}' % (i, i % 1000 / 10))
                packets += bytes([0x32, len(body)]) + body
            s.sendall(packets)
        reader.join()


world = World("bench", random.Random(1))
try:
    brokers = (world.broker("edge-broker", extra="max_inflight_messages 1000", persistence=False),
               world.broker("hub-broker", persistence=False))
    # The far end is never started: everything stays queued.
    pair = world.pair(brokers=brokers, start=False, edge={"store": {"max_bytes": "4G"}})
    pair.edge.start()
    empty = rss_mb(pair.edge.process.pid)
    print(f"memory: {empty:.1f} MB RSS with nothing queued")
    before, first_cost = 0, None
    for count in COUNTS:
        pid = pair.edge.process.pid
        cpu, started = cpu_s(pid), time.monotonic()
        feed(brokers[0].port, before, count)
        pair.edge.wait_peer(pair.hub.name, lambda p, n=count: p["queue"]["messages"] >= n, f"{count} queued", 1800)
        rate = (count - before) / (time.monotonic() - started)
        cost = (cpu_s(pid) - cpu) / (count - before)
        # A thousand take too few ticks of the processor's clock to compare with.
        first_cost = first_cost or (cost if count >= 10_000 else None)
        against = f"{cost / first_cost:.2f} of the first such figure" if first_cost else "too few to tell"
        grown = rss_mb(pid)
        pair.edge.kill()
        started = time.monotonic()
        pair.edge.start()
        restart = time.monotonic() - started
        print(f"memory: {count:>9,} queued: {grown:5.1f} MB RSS ({grown / empty:.2f} of empty; to reach: 12 MB), "
              f"cost of one {cost * 1e6:.1f} us ({against}), {rate:,.0f} a second, "
              f"started and connected again in {restart:.2f} s (to reach: < 1), then {rss_mb(pair.edge.process.pid):.1f} MB")
        sys.stdout.flush()
        before = count
finally:
    world.close()
