"""`longwire estimate`: recordings good and bad, live brokers good and bad, and what an interrupt leaves."""
import gzip
import json
import os
import signal
import subprocess

import tap
from gateway import LONGWIRE, command, ini
from processes import free_port, wait_until
from tap import SLOWNESS, Skip, case, check, check_equal

WAYS = {"longwire", "mqtt_tcp", "mqtt_sn"}
SUMS = {"messages", "payload_bytes", "stream_bytes", "mqtt_tcp_bytes", "mqtt_sn_bytes"}


def line(t, topic, payload):
    return json.dumps({"t": t, "topic": topic, "payload": payload}) + "\n"


def recording(world, messages=60, name="rec.ndjson"):
    file = world.folder / name
    file.write_text("".join(line(i * 10, f"meter/{i % 3}", f'{{"n":{i},"v":{i * i % 97}}}') for i in range(messages)))
    return str(file)


def routes(world, broker=None, **changes):
    """A configuration with filters that overlap."""
    file = world.folder / "routes.ini"
    file.write_text(ini({
        "site": {"name": "buoy"},
        "broker": {"port": broker.port if broker else 1, **changes},
        "store": {"path": "buoy.db"},
        "peer hub": {"links": "sat", "seal": "none"},
        "route first": {"peer": "hub", "topics": "t/a, t/+", "priority": "high"},
        "route rest": {"peer": "hub", "topics": "t/#", "remote_prefix": "far/"},
        "link sat": {"driver": "iridium-sbd", "device": "/dev/null", "hold": "5m"},
    }))
    return str(file)


def estimated(*words, env=None):
    done = command("estimate", *words, "--json", timeout=60, env=env)
    check_equal(done.returncode, 0, f"exit code, {done.stderr}")
    return json.loads(done.stdout)


@case("a recording: words, and JSON with the members that docs/ESTIMATE.md promises")
def _(world):
    file = recording(world)
    words = command("estimate", file, "--price-kb", "0.01", timeout=60)
    check_equal(words.returncode, 0, f"exit code, {words.stderr}")
    for word in ("60 messages", "MQTT 3.1.1 over TCP/IP", "MQTT-SN 1.2", "B/month", "meter/2"):
        check(word in words.stdout, f"{word} is told", words.stdout)
    for kind, members in (("stream", {"kind", "codec", "backlog", "baud"}),
                          ("datagram", {"kind", "codec", "backlog", "mtu", "credit_bytes", "hold_s"})):
        told = estimated(file, "--link", kind, "--price-credit", "0.05")
        check_equal(set(told), {"messages", "unrouted", "span_s", "link", "peers"}, "members")
        check_equal(set(told["link"]), members, f"members of link, {kind}")
        peer = told["peers"][0]
        check_equal(set(peer), SUMS | WAYS | {"name", "dropped", "frames_out", "bytes_out", "frames_back", "bytes_back",
                                              "credits", "poll_credits", "topics"}, "members of a peer")
        check_equal(peer["messages"], 60, "all came out")
        for way in WAYS:
            check_equal(set(peer[way]), {"bytes", "bytes_per_message", "month"}, way)
            check_equal(set(peer[way]["month"]), {"bytes", "credits", "minutes", "cost"}, f"month of {way}")
        check_equal(set(peer["topics"][0]), SUMS | {"topic", "bytes", "bytes_per_message", "month_bytes"}, "a topic")
        months = 30.4375 * 86400 / told["span_s"]
        credits = peer["credits"] * months * 0.05
        check(abs(peer["longwire"]["month"]["cost"] - credits) < 1e-3 * (1 + credits), "cost of a month", str(peer["longwire"]))


@case("FILE.ini: its link, hold, routes and prefixes are those of the estimate")
def _(world):
    file = world.folder / "rec.ndjson"
    file.write_text("".join(line(i, topic, f"v{i}") for i, topic in enumerate(("t/a", "t/b/c", "x", "t/b"))))
    told = estimated(routes(world), str(file))
    check_equal((told["link"]["kind"], told["link"]["hold_s"]), ("datagram", 300), "the link is FILE.ini's")
    check_equal((told["messages"], told["unrouted"], told["peers"][0]["messages"]), (4, 1, 3), "routes")
    check_equal({t["topic"] for t in told["peers"][0]["topics"]}, {"t/a", "t/b", "t/b/c"}, "topics by their names here")


@case("what mosquitto_sub records, by the format that the help tells, is read byte for byte")
def _(world):
    broker = world.broker("rec", extra="log_type subscribe\n")
    client = world.client(broker)
    usage = command("estimate", "--help").stdout
    form = next(l for l in usage.splitlines() if "mosquitto_sub" in l).split("-F ")[1].strip("'")
    try:
        sub = subprocess.Popen(["mosquitto_sub", "-p", str(broker.port), "-t", "#", "-C", "3", "-F", form],
                               stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise Skip("no mosquitto_sub") from None
    wait_until(lambda: broker.process.has_line(" 0 #"), "it subscribes", 20)
    for p in (b"\x00\xff\"", b"", "µ".encode()):
        client.publish("bin/1", p)
    text = sub.communicate(timeout=20 * SLOWNESS)[0]
    check_equal(len(text.splitlines()), 3, text)
    done = subprocess.run([LONGWIRE, "estimate", "-", "--json"], input=text, capture_output=True, text=True, timeout=60 * SLOWNESS,
                          check=False)
    check_equal(done.returncode, 0, done.stderr)
    told = json.loads(done.stdout)["peers"][0]
    check_equal(told["messages"], 3, "messages")
    check(told["payload_bytes"] == 5 and told["topics"][0]["topic"] == "bin/1", "payloads", done.stdout)


@case("what is no recording is refused with one line that says what it is, and where")
def _(world):
    folder = world.folder
    (folder / "empty").write_text("")
    (folder / "csv").write_text("time,topic,value\n1,a,2\n")
    (folder / "gz").write_bytes(gzip.compress(line(0, "a", "b").encode()))
    (folder / "b64").write_text(line(0, "a", "b") + '{"t":1,"topic":"a","payload_b64":"YQ="}\n')
    (folder / "wide").write_text('{"t":0,"topic":"a","payload":"' + "x" * (9 << 20) + '"}\n')
    for name, word in (("missing", "No such file"), ("empty", "no messages"), ("csv", ":1: a JSON object is wanted"),
                       ("gz", "zcat"), ("b64", "b64:2: payload_b64"), ("wide", "8 MB"), (".", "directory")):
        done = command("estimate", str(folder / name), timeout=60)
        check_equal((done.returncode, done.stdout), (1, ""), f"{name}: exit code and no report")
        check(word in done.stderr and len(done.stderr.splitlines()) == 1, f"{name}: one line with {word}", done.stderr)


@case("one message, and Windows line ends, make an estimate; without a span nothing is said of months")
def _(world):
    file = world.folder / "one.ndjson"
    file.write_bytes(b'\xef\xbb\xbf{"t":0,"topic":"a","payload":"x"}\r\n')
    told = estimated(str(file))
    check_equal((told["messages"], told["span_s"]), (1, 0), "one message")
    check("month" not in told["peers"][0]["longwire"], "no month", str(told))
    check("month" in estimated(str(file), "--span", "1d")["peers"][0]["longwire"], "a month, with --span", "")


@case("contradictions on the command line are wrong usage")
def _(world):
    file = recording(world, 1)
    for words in ([], [file, file], [file, "--broker", "h"], ["--broker", "h"], ["--broker", "h", "--for", "0"],
                  [file, "--for", "1m"], [file, "--hold", "5m"], [file, "--credit", "50"], [file, "--mtu", "20"],
                  [file, "--price-kb", "-1"], [file, "--price-kb", "nan"], ["--broker", "file", "--for", "1m"], [file, "--wings", "2"]):
        done = command("estimate", *words)
        check_equal((done.returncode, done.stdout), (2, ""), f"exit code of estimate {' '.join(words)}: {done.stderr[:200]}")


def live(file, broker, client, filters, copies):
    """Runs it on what comes: ten messages, once it has subscribed to these filters. Return: its JSON."""
    child = subprocess.Popen([LONGWIRE, "estimate", file, "--broker", "file", "--for", "10m", "--json"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for f in filters:
        wait_until(lambda f=f: broker.process.has_line(f" 0 {f}"), f"it subscribes to {f}", 20)
    for i in range(10):
        client.publish(f"t/{'ab'[i % 2]}", f"v{i}")
    wait_until(lambda: sum("Sending PUBLISH to longwire-estimate" in l for l in broker.process.lines) >= copies, "they are sent to it", 20)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60 * SLOWNESS)
    check_equal(child.returncode, 0, err)
    return json.loads(out)


@case("live: where filters overlap, each message counts once, by MQTT 5 and by MQTT 3.1.1")
def _(world):
    # By MQTT 5 mosquitto sends five messages thrice and five twice.
    for protocol, filters, copies in (("5", ("t/a", "t/+", "t/#"), 25), ("3.1.1", ("#",), 10)):
        broker = world.broker(f"live{protocol[0]}", extra="log_type subscribe\nlog_type debug\n")
        told = live(routes(world, broker, protocol=protocol), broker, world.client(broker), filters, copies)
        check_equal((told["messages"], told["peers"][0]["messages"]), (10, 10), f"messages under {protocol}")
        check_equal(told["unrouted"], 0, "all of them routed")


@case("live: brokers that are not there, refuse, or publish nothing are told of in words, soon")
def _(world):
    gone = command("estimate", "--broker", f"127.0.0.1:{free_port()}", "--for", "1m", timeout=40)
    check_equal((gone.returncode, gone.stdout), (1, ""), "nobody listens")
    check("cannot reach the broker" in gone.stderr, "in words", gone.stderr)
    closed = world.broker("closed", extra="allow_anonymous false\n")
    refused = command("estimate", "--broker", f"127.0.0.1:{closed.port}", "--for", "1m", timeout=40)
    check_equal((refused.returncode, refused.stdout), (1, ""), "refused")
    check("cannot reach the broker" in refused.stderr, "in words", refused.stderr)
    silent = world.broker("silent")
    nothing = command("estimate", "--broker", f"127.0.0.1:{silent.port}", "--for", "1s", timeout=40)
    check_equal((nothing.returncode, nothing.stdout), (1, ""), "nothing published")
    check("published nothing" in nothing.stderr, "in words", nothing.stderr)


@case("an interrupt ends the reading and tells of what was read; no folder is left")
def _(world):
    tmp = world.folder / "tmp"
    tmp.mkdir()
    child = subprocess.Popen([LONGWIRE, "estimate", "-", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp)})
    child.stdin.write("".join(line(i, "a", f"v{i}") for i in range(100)))
    child.stdin.flush()
    wait_until(lambda: any(tmp.iterdir()), "it has begun", 20)
    # All hundred lie in its pipe: what it has read when the signal comes is counted, and the rest is not.
    child.send_signal(signal.SIGINT)
    wait_until(lambda: child.poll() is not None, "it ends", 30)
    out, err = child.communicate()
    check_equal(child.returncode, 0, err)
    check("interrupted" in err, "told of", err)
    told = json.loads(out)
    check(0 < told["messages"] <= 100 and told["peers"][0]["messages"] == told["messages"], "what was read is told", out)
    check_equal(list(tmp.iterdir()), [], "folders left")


if __name__ == "__main__":
    tap.main()
