"""The command line: what it says, what it returns, and what a running daemon answers to signals."""
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import tap
from checks import expect, numbered
from gateway import command, ini
from processes import wait_until
from tap import Skip, case, check, check_equal


def config_file(world, text, name="test.ini"):
    file = world.folder / name
    file.write_text(text)
    return str(file)


def good(world):
    return ini({
        "site": {"name": world.site_name("site")},
        "broker": {"port": 1},
        "store": {"path": "site.db"},
        "peer hub": {"links": "lan", "seal": "none", "accept": "cmd/#"},
        "route up": {"peer": "hub", "topics": "up/#"},
        "link lan": {"driver": "tcp", "connect": "127.0.0.1:1"},
    })


@case("--version and --help print and exit 0")
def _(world):
    version = command("--version")
    check_equal((version.returncode, version.stderr), (0, ""), "--version")
    check("longwire" in version.stdout.lower() and any(c.isdigit() for c in version.stdout), "a version", version.stdout)
    usage = command("--help")
    check_equal((usage.returncode, usage.stderr), (0, ""), "--help")
    for word in ("run", "check", "status", "demo", "--json"):
        check(word in usage.stdout, f"--help names {word}", usage.stdout)


@case("wrong usage exits 2 with words on stderr")
def _(world):
    for words in ([], ["fly"], ["--wings"], ["check", "a", "b"], ["status", "--jason", "x"]):
        done = command(*words)
        check_equal(done.returncode, 2, f"exit code of longwire {' '.join(words)}")
        check(done.stderr.strip() and not done.stdout, "words on stderr only", done.stdout, done.stderr)


@case("check: a good file gives a summary and exit 0")
def _(world):
    done = command("check", config_file(world, good(world)))
    check_equal(done.returncode, 0, f"exit code, {done.stderr}")
    for word in (world.site_name("site"), "hub", "up/#", "lan"):
        check(word in done.stdout, f"the summary names {word}", done.stdout)


@case("check: every error of a file is told in one run, with its line, section and key")
def _(world):
    text = ("[site]\n"                                         # 1
            "name = Not Good\n"                                # 2
            "[broker]\n"                                       # 3
            "port = 99999\n"                                   # 4
            "keepalive = 60\n"                                 # 5
            "colour = blue\n"                                  # 6
            "[peer hub]\n"                                     # 7
            "links = nowhere\n"                                # 8
            "seal = none\n"                                    # 9
            "[route up]\n"                                     # 10
            "peer = nobody\n"                                  # 11
            "topics = a/#/b\n"                                 # 12
            "priority = urgent\n"                              # 13
            "[link lan]\n"                                     # 14
            "driver = pigeon\n"                                # 15
            "[weather]\n")                                     # 16
    file = config_file(world, text)
    done = command("check", file)
    check_equal(done.returncode, 1, "exit code")
    wanted = {2: "site.name", 4: "broker.port", 5: "broker.keepalive", 6: "colour", 8: "links", 11: "peer",
              12: "topics", 13: "priority", 15: "driver", 16: "weather"}
    for line, word in wanted.items():
        mine = [l for l in done.stderr.splitlines() if l.startswith(f"{file}:{line}: ")]
        check(mine and any(word in l for l in mine), f"an error at line {line} that names {word}", done.stderr)


@case("run with a bad file, or none, exits 1 and says why")
def _(world):
    for file in (config_file(world, "[site]\nname = \n"), str(world.folder / "missing.ini")):
        done = command("run", file)
        check_equal(done.returncode, 1, "exit code")
        check(file in done.stderr, "stderr names the file", done.stderr)


@case("two links for one peer is a clear error")
def _(world):
    text = good(world).replace("links = lan", "links = lan, second") + "[link second]\ndriver = tcp\nconnect = [::1]:2\n"
    done = command("check", config_file(world, text))
    check_equal(done.returncode, 1, "exit code")
    check("links" in done.stderr, "it names the key", done.stderr)


@case("status exits 3 where nothing runs, 0 where it runs, in words and as JSON")
def _(world):
    file = config_file(world, good(world))
    check_equal(command("status", file).returncode, 3, "exit code when not running")
    check_equal(command("status", file, "--json").returncode, 3, "exit code when not running, --json")
    pair = world.pair(transport="tcp")
    words = command("status", str(pair.edge.file))
    check_equal(words.returncode, 0, "exit code when running")
    for word in (pair.edge.name, pair.hub.name, "wire"):
        check(word in words.stdout, f"it names {word}", words.stdout)
    check_equal(command("status", "--json", str(pair.edge.file)).returncode, 0, "--json before the file")


@case("status --json has the shape that is promised")
def _(world):
    pair = world.pair()
    hub = pair.hub_client("up/#")
    pair.edge_client().publish_many(numbered(["up/a"], 10))
    hub.wait_count(10)
    pair.wait_drained()
    status = pair.edge.status()
    check({"site", "uptime_s", "broker", "peers"} <= set(status), "keys", status)
    check_equal(status["site"], pair.edge.name, "site")
    check({"connected", "received", "published"} <= set(status["broker"]), "keys of broker", status["broker"])
    check_equal(status["broker"]["received"], 10, "received from the broker")
    peer = status["peers"][0]
    check({"name", "queue", "delivered", "received", "dropped", "epoch", "links"} <= set(peer), "keys of a peer", peer)
    check({"messages", "bytes", "oldest_s"} <= set(peer["queue"]), "keys of a queue", peer["queue"])
    check_equal((peer["name"], peer["delivered"], peer["dropped"]), (pair.hub.name, 10, {}), "peer")
    link = peer["links"][0]
    check({"name", "driver", "state", "active", "bytes_out", "bytes_in", "frames_out", "frames_in", "retransmits",
           "bad_frames", "rtt_ms"} <= set(link), "keys of a link", link)
    check_equal((link["name"], link["driver"], link["active"]), ("wire", "serial", True), "link")
    check(link["bytes_out"] > 0 and link["bytes_in"] > 0 and link["frames_out"] > 0, "figures of a link", link)


@case("the control socket is for its owner alone")
def _(world):
    pair = world.pair(transport="tcp")
    sockets = [f"/run/longwire/{pair.edge.name}.sock"] + [str(p) for p in pair.edge.folder.glob("*.sock")]
    found = [s for s in sockets if os.path.exists(s)]
    check_equal(len(found), 1, f"one socket of {sockets}")
    check_equal(stat.S_IMODE(os.stat(found[0]).st_mode), 0o600, "mode")
    pair.edge.stop()
    check(not os.path.exists(found[0]), "it is gone after the end")


ASK = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.stdout.buffer.write(s.recv(100))"


@case("the control socket answers its owner and root alone, also where its mode was opened")
def _(world):
    if os.geteuid() != 0:
        raise Skip("only root can be another user")
    site = world.site("site", world.broker("broker"), {}, {}).start()
    path = next(p for p in [f"/run/longwire/{site.name}.sock"] + [str(p) for p in site.folder.glob("*.sock")] if os.path.exists(p))
    os.chmod(world.folder, 0o755)
    os.chmod(site.folder, 0o755)
    os.chmod(path, 0o666)
    answers = {}
    for user in ("0", "65534"):
        done = subprocess.run(["setpriv", "--reuid", user, "--clear-groups", sys.executable, "-c", ASK, path],
                              capture_output=True, check=False, timeout=60)
        check_equal((done.returncode, done.stderr), (0, b""), f"the connection of uid {user}")
        answers[user] = done.stdout
    check(answers["0"].startswith(b"{"), "root is answered", answers)
    check_equal(answers["65534"], b"", "what nobody is told")


@case("the control socket survives nonsense")
def _(world):
    pair = world.pair(transport="tcp")
    path = next(p for p in [f"/run/longwire/{pair.edge.name}.sock"] + [str(p) for p in pair.edge.folder.glob("*.sock")]
                if os.path.exists(p))
    idle = []
    for data in (b"", b"\x00" * 10000, b"status", world.random.randbytes(5000), b"{" * 3000 + b"\n"):
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        try:
            s.sendall(data)
        except BrokenPipeError:
            pass  # it closed on us: its right
        idle.append(s)
    check(pair.edge.status() is not None, "status still answers while five others hang on")
    for s in idle:
        s.close()
    hub = pair.hub_client("up/#")
    pair.edge_client().publish("up/a", "x")
    hub.wait_payload("x")


@case("SIGTERM under traffic: exit 0 within 2 s, and nothing is lost")
def _(world):
    pair = world.pair()
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    sent, seconds = [], []
    # A loaded machine may spoil some of them, a gateway that cannot do it spoils all.
    while len(seconds) < 3 or (min(seconds) >= 2 and len(seconds) < 10):
        part = numbered(["up/a"], 100, len(sent))
        sent += part
        infos = [edge.publish(t, p, wait=False) for t, p in part]
        started = time.monotonic()
        check_equal(pair.edge.stop(), 0, "exit code")
        seconds.append(time.monotonic() - started)
        edge.wait_published(infos)
        pair.edge.start()
    expect(hub, sent)
    check(min(seconds) < 2, "seconds to the end", seconds)


@case("SIGTERM says offline, kill -9 leaves it to the will, a start says online")
def _(world):
    pair = world.pair(transport="tcp")
    topic = f"longwire/{pair.edge.name}/state"
    watcher = pair.edge_client(topic)
    watcher.wait_payload("online")
    check_equal(pair.edge.stop(), 0, "exit code")
    watcher.wait_payload("offline")
    pair.edge.start()
    watcher.wait_count(3)
    pair.edge.kill()
    watcher.wait_count(4)
    check_equal(watcher.payloads(), ["online", "offline", "online", "offline"], "states")
    late = pair.edge_client(topic)
    check(late.wait_payload("offline").retain, "it is retained")


@case("the states of peers and links stand as retained JSON and follow the line")
def _(world):
    pair = world.pair(edge={"link wire": {"probe": "1s"}}, hub={"link wire": {"probe": "1s"}})
    watcher = pair.edge_client(f"longwire/{pair.edge.name}/peer/+/state", f"longwire/{pair.edge.name}/link/+/state")

    def peer_states():
        with watcher.changed:
            return [json.loads(m.payload)["state"] for m in watcher.received if f"/peer/{pair.hub.name}/" in m.topic]
    watcher.wait_for(lambda _: "ready" in peer_states(), "ready")
    watcher.wait_for(lambda got: any(m.topic.endswith("link/wire/state") for m in got), "the link's state stands too")
    pair.line.cut()
    watcher.wait_for(lambda _: peer_states()[-1] != "ready", "no longer ready", 60)
    pair.line.restore()
    watcher.wait_for(lambda _: peer_states()[-1] == "ready", "ready again", 60)
    check(json.loads(watcher.received[-1].payload), "JSON")


@case("SIGHUP with a good file: a new route works, connections of the link stay")
def _(world):
    pair = world.pair(transport="tcp")
    hub, edge = pair.hub_client("#"), pair.edge_client()
    edge.publish("up/a", "before")
    hub.wait_payload("before")
    seen = pair.edge.process.line_count()
    pair.edge.reload(pair.changes({"route more": {"peer": "HUB", "topics": "more/#"}}))
    pair.edge.process.wait_line("reload", since=seen)

    def arrives():
        edge.publish("more/a", "now")
        return "now" in hub.payloads("more/a")
    wait_until(arrives, "the new route carries", every=0.3)
    edge.publish("up/a", "after")
    hub.wait_payload("after")
    check_equal(hub.payloads("up/a"), ["before", "after"], "the old route")


@case("SIGHUP with a bad file changes nothing and says why")
def _(world):
    pair = world.pair(transport="tcp")
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    file = pair.edge.file
    kept = file.read_text()
    file.write_text(kept.replace("topics = up/#", "topics = up/#/wrong"))
    line = 1 + kept.splitlines().index("topics = up/#")
    pair.edge.process.signal(signal.SIGHUP)
    pair.edge.process.wait_line(f"{file}:{line}: ")
    edge.publish("up/a", "still")
    hub.wait_payload("still")
    file.write_text(kept)


@case("SIGHUP that removes a peer keeps its queue and shows it; adding it again delivers")
def _(world):
    pair = world.pair(transport="tcp")
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    pair.proxy.refusing = True
    pair.proxy.cut()
    sent = numbered(["up/a"], 20)
    edge.publish_many(sent)
    pair.edge.wait_peer(pair.hub.name, lambda p: p["queue"]["messages"] == 20, "queued")
    before = dict(pair.edge.sections)
    pair.edge.sections = {k: v for k, v in before.items() if k != "route up" and k != f"peer {pair.hub.name}"}
    other = {"peer other": {"links": "wire", "seal": "none"}}
    pair.edge.reload(other)
    pair.edge.wait_status(lambda s: any(p["name"] == "other" for p in s["peers"]), "reloaded")
    check_equal(pair.edge.peer(pair.hub.name)["queue"]["messages"], 20, "the removed peer's queue")
    pair.edge.sections = before
    pair.edge.reload()
    pair.proxy.refusing = False
    expect(hub, sent, 90)


@case("a service manager is told of the start and the end, and that the loop turns")
def _(world):
    path = str(world.folder / "notify")
    told, words = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), []
    told.bind(path)

    def listen():  # always: the kernel holds ten datagrams, and the gateway does not wait
        while words[-1:] != [b"STOPPING=1"]:
            words.append(told.recv(100))
    threading.Thread(target=listen, daemon=True).start()
    broker = world.broker("broker")
    site = world.site("site", broker, {}, {})
    site.start(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
    wait_until(lambda: words.count(b"WATCHDOG=1") >= 2, "two signs of life")
    check_equal(words[0], b"READY=1", "the first word")
    check_equal(site.stop(), 0, "exit code")
    wait_until(lambda: words[-1] == b"STOPPING=1", "the end is told")
    check_equal(set(words[1:-1]), {b"WATCHDOG=1"}, "what was told between")


@case("no core file is written of a process that holds keys, and its memory is closed")
def _(world):
    site = world.site("site", world.broker("broker"), {}, {}).start()
    proc = f"/proc/{site.process.pid}"
    with open(f"{proc}/limits", encoding="ascii") as limits:
        line = next(l for l in limits if l.startswith("Max core file size"))
    check_equal(line.split()[4:6], ["0", "0"], "the limits of a core file")
    if os.geteuid() != 0:
        check_equal(os.stat(f"{proc}/mem").st_uid, 0, "owner of its memory as other processes see it")


if __name__ == "__main__":
    tap.main()
