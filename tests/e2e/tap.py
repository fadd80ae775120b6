"""Cases, and how they are run: independent ones two at a time, each reported as a TAP line.

A test file says

    @case("what must hold")
    def _(world):
        ...

    if __name__ == "__main__":
        tap.main()

`world` (harness.World) is the case's own folder, processes and log; whatever the case does, all of it is
gone afterwards. `FILE.py WORD` runs only the cases whose name has WORD in it.
"""
import os
import queue
import random
import signal
import sys
import threading
import time
import traceback

JOBS = int(os.environ.get("LONGWIRE_E2E_JOBS", "2"))
# Sanitizers and loaded machines: every deadline is stretched by this.
SLOWNESS = float(os.environ.get("LONGWIRE_E2E_SLOWNESS", "1"))
SEED = int(os.environ.get("LONGWIRE_E2E_SEED", "20261123"))

_cases = []
_print_lock = threading.Lock()
_reported = 0
_under_way = {}  # name of a case: (its thread, its world)


class Skip(Exception):
    """This machine lacks what the case needs."""


class Failure(AssertionError):
    """What must hold did not."""


def case(name):
    """Registers a case."""
    def register(function):
        _cases.append((name, function))
        return function
    return register


def check(condition, text, *details):
    """assert that survives `python -O` and shows values."""
    if not condition:
        raise Failure(text + "".join(f"\n  {d!r}" for d in details))


def check_equal(actual, expected, text):
    if actual != expected:
        raise Failure(f"{text}\n  is:        {shorten(actual)}\n  should be: {shorten(expected)}")


def shorten(value, length=600):
    text = repr(value)
    return text if len(text) <= length else text[:length // 2] + " ... " + text[-length // 2:]


def _diagnose(text):
    for line in text.splitlines():
        print("# " + line)


def _run_one(make_world, name, function):
    started = time.monotonic()
    world = make_world(name, random.Random(f"{SEED}/{name}"))
    _under_way[name] = threading.get_ident(), world
    outcome, text = "ok", ""
    suffix = ""
    try:
        function(world)
        world.check_processes()
    except Skip as reason:
        suffix = f" # SKIP {reason}"
    except Exception:  # a failed check, or a fault of the test: both are failures, with their trace
        outcome = "not ok"
        text = traceback.format_exc(limit=-3) + world.statuses() + world.logs()
    finally:
        del _under_way[name]
        world.close()
    _report(f"{outcome}", f"{name}{suffix}", f"{time.monotonic() - started:.1f} s\n{text}")
    return outcome == "ok"


def _report(outcome, name, text):
    global _reported
    with _print_lock:
        _reported += 1  # TAP wants numbers in the order of the lines, not of the cases
        print(f"{outcome} {_reported} - {name}")
        _diagnose(text)
        sys.stdout.flush()


def _out_of_time(*_):
    """SIGTERM: what runs is too late. Says where each case stands, soon: SIGKILL follows."""
    frames = sys._current_frames()
    for name, (thread, world) in list(_under_way.items()):
        stack = "".join(traceback.format_stack(frames[thread])[-6:]) if thread in frames else ""
        _report("not ok", name, "ended from outside, out of time\n" + stack + world.logs())
    os._exit(1)


def _run_all(make_world, cases, jobs):
    todo = queue.SimpleQueue()
    results = []
    for item in cases:
        todo.put(item)

    def worker():
        while True:
            try:
                name, function = todo.get_nowait()
            except queue.Empty:
                return
            results.append(_run_one(make_world, name, function))

    threads = [threading.Thread(target=worker) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(results) == len(cases) and all(results)


def main():
    from harness import World  # not above: it imports this module
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [c for c in _cases if word in c[0]]
    print(f"1..{len(chosen)}")
    _diagnose(f"seed {SEED}: LONGWIRE_E2E_SEED={SEED} repeats it")
    signal.signal(signal.SIGTERM, _out_of_time)
    good = _run_all(World, chosen, JOBS)
    sys.stdout.flush()
    # Threads of the MQTT clients may linger: everything of ours is closed, so leave.
    os._exit(0 if good else 1)
