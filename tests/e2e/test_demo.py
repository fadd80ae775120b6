"""`longwire demo`: what a newcomer sees first. It must end by itself, keep its word in figures, and leave nothing."""
import os
import pathlib
import re
import signal
import subprocess
import time

import tap
from gateway import LONGWIRE
from processes import wait_until
from tap import SLOWNESS, case, check, check_equal


def marked(mark):
    """The processes that carry this in their environment: the demo and all that it started."""
    found = []
    for proc in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (proc / "environ").read_bytes():
                found.append((proc / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            pass  # it has ended meanwhile
    return found


def start_demo(world):
    """Returns the process, and the word that marks it and its children. TMPDIR is the case's own folder."""
    mark = f"LONGWIRE_E2E_MARK={world.folder}"
    temporary = world.folder / "tmp"
    temporary.mkdir()
    name, value = mark.split("=")
    process = world.process("demo", [LONGWIRE, "demo"], stdout=subprocess.PIPE,
                            env={name: value, "TMPDIR": str(temporary)})
    return process, mark, temporary


@case("the demo ends by itself in under a minute with exit 0, every message arrived once, and leaves nothing")
def _(world):
    started = time.monotonic()
    demo, mark, temporary = start_demo(world)
    out = demo.popen.stdout.read().decode()
    check_equal(demo.wait_exit(60), 0, f"exit code\n{out[-2000:]}")
    check(time.monotonic() - started < 60 * SLOWNESS, "seconds", time.monotonic() - started)
    sums = re.findall(r"(\d+) published, (\d+) arrived, 0 doubled, 0 out of order", out)
    check_equal(len(sums), 2, f"a sum for each direction\n{out[-2000:]}")
    check(all(published == arrived and int(published) > 0 for published, arrived in sums), "all arrived", sums)
    check("cut" in out.lower(), "the line was cut on the way", out[-2000:])
    figures = re.search(r"(\d+) bytes.*?\n.*?plain MQTT.*?: (\d+) bytes", out)
    check(figures and int(figures.group(1)) < int(figures.group(2)), "it costs less than plain MQTT", out[-600:])
    check_equal(marked(mark), [], "processes left")
    check_equal(list(temporary.iterdir()), [], "files left")


@case("Ctrl-C in the middle of the demo leaves no process and no file")
def _(world):
    demo, mark, temporary = start_demo(world)
    line = demo.popen.stdout.readline()
    while b"arrived" not in line:
        check(line, "the demo shows what arrives")
        line = demo.popen.stdout.readline()
    os.killpg(demo.pid, signal.SIGINT)  # as the terminal does: to all of its group
    check(demo.wait_exit(20) != 0, "it did not finish, so it is no success")
    wait_until(lambda: not marked(mark), f"its processes end: {marked(mark)}", 10)
    check_equal(list(temporary.iterdir()), [], "files left")


if __name__ == "__main__":
    tap.main()
