"""What a queue costs in memory and time: the daemon's RSS, its start, and ingest, at 1,000, 100,000 and 1,000,000 queued.

`memory_bench.py [N ...]` for other numbers."""
import pathlib
import random
import subprocess
import sys
import time

from harness import World

COUNTS = [int(n) for n in sys.argv[1:]] or [1000, 100_000, 1_000_000]


def rss_kb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])



world = World("bench", random.Random(1))
try:
    window = "max_inflight_messages 1000"
    brokers = (world.broker("edge-broker", extra=window, persistence=False),
               world.broker("hub-broker", persistence=False))
    # The far end is never started: everything stays queued.
    pair = world.pair(brokers=brokers, start=False, edge={"store": {"max_bytes": "4G"}})
    pair.edge.start()
    empty = rss_kb(pair.edge.process.pid)
    print(f"memory: {empty / 1024:.1f} MB RSS with nothing queued")
    before, first_cost = 0, None
    for count in COUNTS:
        feeder = subprocess.Popen(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(brokers[0].port), "-V", "5", "-q", "1",
                                   "-t", "up/sensor/1", "-l"], stdin=subprocess.PIPE, text=True)
        started = time.monotonic()
        feeder.stdin.writelines(f"{i:08d} {{\"value\": {i % 1000 / 10}}}\n" for i in range(before, count))
        feeder.stdin.close()
        feeder.wait()
        pair.edge.wait_peer(pair.hub.name, lambda p, n=count: p["queue"]["messages"] >= n, f"{count} queued", 1800)
        cost = (time.monotonic() - started) / (count - before)
        first_cost = first_cost or cost
        grown = rss_kb(pair.edge.process.pid)
        pair.edge.kill()
        started = time.monotonic()
        pair.edge.start()
        restart = time.monotonic() - started
        print(f"memory: {count:>9,} queued: {grown / 1024:5.1f} MB RSS ({grown / empty:.2f} of empty; to reach: 12 MB), "
              f"cost of one {cost / first_cost:.2f} of that at {COUNTS[0]:,}, {1 / cost:,.0f} a second, "
              f"started and connected again in {restart:.2f} s (to reach: < 1), then {rss_kb(pair.edge.process.pid) / 1024:.1f} MB")
        sys.stdout.flush()
        before = count
finally:
    world.close()
