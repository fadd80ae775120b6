"""Keys: who has none reads nothing, forges nothing and replays nothing; a key is changed without a visit; what is wrong with one
is said."""
import os
import socket
import threading

import tap
from attacker import Attacker, anything_goes, play
from checks import expect, numbered
from gateway import command
from processes import wait_until
from tap import case, check, check_equal


def attacked(world, seal="full", probe="2s", **how):
    """A pair over TCP whose link an attacker owns. probe: how soon an end asks after a silent other one."""
    pair = world.pair(transport="tcp", start=False, seal=seal, **how)
    pair.proxy = Attacker(world, pair.hub_port)
    pair.edge.write({"link wire": {"connect": f"127.0.0.1:{pair.proxy.port}", "probe": probe}})
    pair.hub.write({"link wire": {"probe": probe}})
    pair.start()
    return pair


def key_of(gateway, peer):
    """The key object of a peer in the status."""
    return gateway.peer(peer).get("key", {})


def messages_both_ways(pair, topic="a", n=20, size=0):
    """Returns what is needed to check that these arrive, once and in order. size: bytes of each that do not shrink."""
    hub, edge = pair.hub_client(f"up/{topic}"), pair.edge_client(f"down/{topic}")
    noise = pair.world.random.randbytes
    up, down = ([(t, p + noise(size // 2).hex()) for t, p in numbered([f"{way}/{topic}"], n)] for way in ("up", "down"))
    edge.publish_many(up)
    hub.publish_many(down)
    return lambda timeout=60: (expect(hub, up, timeout, "to the hub"), expect(edge, down, timeout, "to the edge"))


# --- the key file ------------------------------------------------------------------------------------------

@case("keygen makes a file for its owner alone, each time another key, and overwrites none")
def _(world):
    one, two = world.folder / "one.key", world.folder / "two.key"
    for file in (one, two):
        done = command("keygen", str(file))
        check_equal((done.returncode, done.stdout, done.stderr), (0, "", ""), "keygen")
        check_equal(oct(file.stat().st_mode & 0o7777), "0o600", "mode")
    check(one.read_text() != two.read_text(), "two keys differ")
    before = one.read_text()
    done = command("keygen", str(one))
    check_equal((done.returncode, one.read_text()), (1, before), "exit code, and the file that was there")
    check(str(one) in done.stderr, "it says which", done.stderr)
    check_equal(command("keygen").returncode, 2, "exit code without a file")


@case("a key file that is open to others, or another user's, is refused by check and run with its name")
def _(world):
    site = world.site("site", world.broker("broker"), {"hub": "wire"}, {"link wire": {"driver": "tcp", "connect": "127.0.0.1:1"}})
    key = site.folder / "hub.key"
    check_equal(command("check", str(site.file)).returncode, 0, "check with a good key")

    def refused(words):
        for verb in ("check", "run"):
            done = command(verb, str(site.file))
            check_equal(done.returncode, 1, f"exit code of {verb}")
            check(f"{key} {words}" in done.stderr, f"{verb} says what is wrong with which file", done.stderr)
    for mode in (0o640, 0o604, 0o620):
        key.chmod(mode)
        refused(f"is open to others (mode {mode:04o})")
    key.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(key, 12345, -1)
        refused("belongs to another user (uid 12345)")
        os.chown(site.folder, 12345, -1)  # whom the store belongs to: whoever runs the gateway
        check_equal(command("check", str(site.file)).returncode, 0, "check of a service's file by root")
        os.chown(key, 0, -1)
        check("cannot read the key" in command("check", str(site.file)).stderr, "root is told that the service cannot read it")
        os.chown(site.folder, 0, -1)
    key.write_text("0123\n")
    refused("line 1: a key has 64 hex digits, here are 4")
    key.unlink()
    refused("cannot be read: No such file or directory")


@case("no key is in the log, not even at debug, nor in the status")
def _(world):
    pair = world.pair(transport="tcp", start=False)
    for gateway in (pair.hub, pair.edge):
        gateway.start(env={"LONGWIRE_LOG": "debug"}, wait=False)
    for gateway in (pair.hub, pair.edge):
        gateway.wait_link()
    messages_both_ways(pair)()
    secret = world.key(pair.edge.name, pair.hub.name).strip()
    for gateway in (pair.hub, pair.edge):
        said = "\n".join(gateway.process.lines) + command("status", str(gateway.file), "--json").stdout
        for part in (secret[:16], secret[24:40], secret[-16:]):
            check(part not in said.lower(), f"{gateway.name} keeps the key to itself", part)


@case("seal = none is said at every start; it still works")
def _(world):
    pair = world.pair(transport="tcp", seal="none")
    for _ in range(2):
        pair.edge.process.wait_line("anyone on the link can read and forge")
        check_equal(key_of(pair.edge, pair.hub.name)["seal"], "none", "seal in the status")
        pair.edge.restart()
    messages_both_ways(pair)()


# --- the line ----------------------------------------------------------------------------------------------

SECRETS = (b"temperature-of-the-reactor", b"2147 degrees", b"lw-tell-nobody")


def carry_secrets(pair):
    hub = pair.hub_client("up/#")
    topic, payload, user = (s.decode() for s in SECRETS)
    edge = pair.edge_client()
    for i in range(3):  # also when the codec knows them
        edge.publish(f"up/{topic}", payload, UserProperty=[(user, "x")])
        hub.wait_count(i + 1)
    pair.wait_drained()


@case("seal = full: no topic, payload, property or site's name is on the line")
def _(world):
    pair = attacked(world, edge={"peer HUB": {"codec": "plain"}}, hub={"peer EDGE": {"codec": "plain"}})
    carry_secrets(pair)
    pair.proxy.cut()  # and a resumption
    pair.proxy.wait(lambda p: len(p.connections) > 1, "a new connection")
    pair.edge.wait_link()
    seen = pair.proxy.everything()
    check(len(seen) > 300, "the line was recorded", len(seen))
    for word in SECRETS + (pair.edge.name.encode(), pair.hub.name.encode(), b"edge", b"reactor", b"degrees"):
        check(word not in seen, "it stands nowhere on the line", word)


@case("seal = auth: the content is readable, and forging is refused all the same")
def _(world):
    pair = attacked(world, seal="auth", edge={"peer HUB": {"codec": "plain"}}, hub={"peer EDGE": {"codec": "plain"}})
    carry_secrets(pair)
    seen = pair.proxy.everything()
    for word in (SECRETS[0], SECRETS[1], pair.edge.name.encode()[:8]):
        check(word in seen, "it can be read on the line", word)
    pair.proxy.mischief = anything_goes(0.2)
    arrived = messages_both_ways(pair, "b", 30)
    arrived(120)


@case("forward_secrecy = yes at both ends: the status says when it holds")
def _(world):
    secrecy = {"forward_secrecy": "yes"}
    pair = attacked(world, edge={"peer HUB": secrecy}, hub={"peer EDGE": secrecy})
    messages_both_ways(pair)()
    for gateway, peer in ((pair.edge, pair.hub.name), (pair.hub, pair.edge.name)):
        check(key_of(gateway, peer)["forward_secret"], f"forward secret at {gateway.name}", key_of(gateway, peer))


@case("another key at one end: neither end says ready, both say why, nothing crosses; mended, everything arrives once")
def _(world):
    pair = world.pair(start=False, edge={"link wire": {"probe": "1s"}}, hub={"link wire": {"probe": "1s"}})
    pair.edge.write_key(pair.hub.name, world.key("some", "others"))
    pair.hub.start()
    pair.edge.start()
    arrived = messages_both_ways(pair)
    for gateway, peer in ((pair.edge, pair.hub.name), (pair.hub, pair.edge.name)):
        gateway.process.wait_line("nothing that comes fits a key of ours", timeout=60)
        gateway.wait_peer(peer, lambda p: p["key"]["misfit"] and p["key"]["forged"] > 0, "it is told and counted")
        check("FITS A KEY" in command("status", str(gateway.file)).stdout, "status says it in words")
        check(gateway.peer(peer)["links"][0]["state"] != "ready", "not ready", gateway.peer(peer))
        check_equal(gateway.peer(peer)["received"], 0, "received")
        gateway.wait_peer(peer, lambda p: p["queue"]["messages"] == 20, "what waits stays")
    pair.edge.write_key(pair.hub.name)
    pair.edge.reload()
    arrived(90)


@case("one end says seal = auth, the other full: they do not understand one another, both say so, and nothing crosses")
def _(world):
    pair = world.pair(start=False, edge={"peer HUB": {"seal": "auth"}})
    pair.hub.start()
    pair.edge.start()
    pair.edge_client().publish("up/a", "x")
    for gateway, peer in ((pair.edge, pair.hub.name), (pair.hub, pair.edge.name)):
        gateway.wait_peer(peer, lambda p: p["key"]["misfit"], "it is told", 60)
    check_equal(pair.hub.peer(pair.edge.name)["received"], 0, "received")
    pair.edge.wait_peer(pair.hub.name, lambda p: p["queue"]["messages"] == 1, "what waits stays")


# --- the attacker ------------------------------------------------------------------------------------------

@case("an attacker who flips, cuts, drops, holds, repeats, replays, reflects and invents frames gains delay and nothing else")
def _(world):
    pair = attacked(world)
    pair.proxy.mischief = anything_goes(0.25)
    arrived = messages_both_ways(pair, n=60, size=600)
    arrived(180)
    pair.proxy.mischief = None
    messages_both_ways(pair, "after")(90)
    print(f"# done to the link: {pair.proxy.done}")
    check(len(pair.proxy.done) >= 6, "most kinds were tried", pair.proxy.done)
    for gateway, peer in ((pair.edge, pair.hub.name), (pair.hub, pair.edge.name)):
        p = gateway.peer(peer)
        check(p["links"][0]["bad_frames"] + p["key"]["replayed"] > 0, "refused frames are counted", p)


@case("a whole session played again to the hub, also after its restart, moves nothing and does not disturb the real site")
def _(world):
    pair = attacked(world, probe="60s")  # a slow end is not taken for a dead one: that would be a new connection
    client, hub = pair.edge_client(), pair.hub_client("up/#")
    sent = numbered(["up/valve"], 10)
    client.publish_many(sent)
    expect(hub, sent)
    session = pair.proxy.recorded(True)

    def live(text):
        client.publish("up/live", text)
        hub.wait_payload(text)

    def replayed(times):
        for _ in range(times):
            play(pair.hub_port, session, timeout=3)
        pair.hub.wait_peer(pair.edge.name, lambda p: p["key"]["replayed"] >= times, "the replays are counted")
    replayed(2)
    live("beside the replay")
    check_equal(len(pair.proxy.connections), 1, "connections of the real site")
    play(pair.hub_port, session + session, timeout=3)
    pair.hub.kill()
    pair.edge.kill()
    pair.hub.start()
    replayed(1)
    pair.edge.start()
    live("after the restart")
    replayed(2)
    live("at the end")
    check_equal(hub.payloads("up/valve"), [p for _, p in sent], "commands carried out")


@case("a whole session played again to the edge, also after its restart, moves nothing")
def _(world):
    pair = attacked(world)
    client, hub = pair.edge_client("down/#"), pair.hub_client()
    sent = numbered(["down/valve"], 10)
    hub.publish_many(sent)
    expect(client, sent)
    session = pair.proxy.recorded(False)
    # In the hub's place now: somebody who says what the hub said.
    false_hub = socket.create_server(("127.0.0.1", 0))
    world.closers.append(false_hub.close)
    heard = []

    def serve():
        while True:
            try:
                s, _ = false_hub.accept()
            except OSError:
                return
            s.sendall(session)
            heard.append(s)
    threading.Thread(target=serve, daemon=True).start()
    port = false_hub.getsockname()[1]
    pair.edge.reload({"link wire": {"connect": f"127.0.0.1:{port}"}})
    wait_until(lambda: len(heard) >= 1, "the edge calls the false hub")
    pair.edge.restart()
    wait_until(lambda: len(heard) >= 2, "and again after a restart")
    pair.edge.wait_peer(pair.hub.name, lambda p: p["key"]["forged"] + p["key"]["replayed"] > 0, "refused and counted")
    check(pair.edge.peer(pair.hub.name)["links"][0]["state"] != "ready", "the edge is not taken in", pair.edge.status())
    pair.edge.reload({"link wire": {"connect": f"127.0.0.1:{pair.proxy.port}"}})
    hub.publish("down/live", "the real hub")
    client.wait_payload("the real hub", 60)
    check_equal(client.payloads("down/valve"), [p for _, p in sent], "commands carried out")


@case("a stranger at the listener gets no byte, whatever it says")
def _(world):
    pair = attacked(world)
    random = world.random.randbytes
    first = pair.proxy.recorded(True).split(b"\0")[0] or pair.proxy.recorded(True).split(b"\0")[1]
    bent = bytes([*first[:-1], first[-1] ^ 1 or 2])
    for words in (b"", b"GET / HTTP/1.1\r\n\r\n" * 50, random(3000), bytes(600), b"\0" + bent + b"\0", first[:20] + b"\0",
                  b"\x02\xe1\0" * 100):
        check_equal(play(pair.hub_port, words, timeout=1), b"", f"answer to {words[:30]!r}")
    messages_both_ways(pair)()


@case("many half-open strangers keep no site out")
def _(world):
    pair = attacked(world, hub={"link wire": {"guests": "16"}})
    strangers = [socket.create_connection(("127.0.0.1", pair.hub_port)) for _ in range(200)]
    pair.hub.process.wait_line("too many unknown connections")
    pair.edge.restart()
    pair.edge.wait_link()
    messages_both_ways(pair)()
    refused = sum("too many" in line for line in pair.hub.process.lines)
    check(refused < 20, "strangers do not fill the log", refused)
    for s in strangers:
        s.close()


@case("a site with a good key of its own cannot publish at the hub what its accept does not allow")
def _(world):
    pair = world.pair(transport="tcp", hub={"peer EDGE": {"accept": "up/allowed/#"}})
    hub, edge = pair.hub_client("#"), pair.edge_client()
    for topic in ("up/other", "up/allowed/x"):
        edge.publish(topic, "y")
    hub.wait_payload("y", topic="up/allowed/x")
    pair.hub.wait_peer(pair.edge.name, lambda p: p["dropped"].get("not_accepted") == 1, "counted")
    check_equal([m.topic for m in hub.received if m.topic.startswith("up/")], ["up/allowed/x"], "published at the hub")


# --- the key is changed ------------------------------------------------------------------------------------

def change_stands(gateway, peer, word):
    return gateway.wait_peer(peer, lambda p: p["key"]["change"] == word, f"the change of keys: {word}", 60)


@case("a key is changed without a visit: both ends move to the new one, and the old may go only then")
def _(world):
    pair = world.pair()
    ends = [(pair.edge, pair.hub.name), (pair.hub, pair.edge.name)]
    messages_both_ways(pair, "before")()
    old = key_of(pair.edge, pair.hub.name)["in_use"]
    check_equal(key_of(pair.hub, pair.edge.name)["in_use"], old, "both name the old key alike")
    new = world.key(pair.edge.name, pair.hub.name, 1)
    for gateway, peer in ends:
        gateway.write_key(peer, new, "new.key")

    # One end has it, the other not yet: the old one is used, and may not go.
    pair.edge.reload({f"peer {pair.hub.name}": {"next_secret_file": "new.key"}})
    change_stands(pair.edge, pair.hub.name, "waiting for the peer")
    messages_both_ways(pair, "waiting")()
    check("waiting for the peer" in command("status", str(pair.edge.file)).stdout, "status says it in words")
    early = {f"peer {pair.hub.name}": {"secret_file": "new.key", "next_secret_file": None}}
    kept = pair.edge.file.read_text()
    pair.edge.write(early)
    done = command("check", str(pair.edge.file))
    check_equal(done.returncode, 1, "exit code of check without the old key, the gateway running")
    check(old in done.stderr and "in use" in done.stderr, "it says why", done.stderr)
    seen = pair.edge.process.line_count()
    pair.edge.reload()
    pair.edge.process.wait_line("not reloaded", since=seen)
    pair.edge.stop()
    check_equal(command("check", str(pair.edge.file)).returncode, 1, "exit code of check, the gateway stopped")
    dropped = {f"peer {pair.hub.name}": {**early[f"peer {pair.hub.name}"], "drop_key": old}}
    pair.edge.write(dropped)
    check_equal(command("check", str(pair.edge.file)).returncode, 0, "exit code of check with drop_key")
    pair.edge.file.write_text(kept)
    pair.edge.write({f"peer {pair.hub.name}": {"secret_file": f"{pair.hub.name}.key", "next_secret_file": "new.key",
                                               "drop_key": None}})
    check_equal(command("check", str(pair.edge.file)).returncode, 0, "exit code of check with both keys")
    pair.edge.start()

    # The other end gets it: both move.
    pair.hub.reload({f"peer {pair.edge.name}": {"next_secret_file": "new.key"}})
    for gateway, peer in ends:
        change_stands(gateway, peer, "done")
    ids = {key_of(gateway, peer)["in_use"] for gateway, peer in ends}
    check(len(ids) == 1 and old not in ids, "both use the new one", ids)
    messages_both_ways(pair, "moved")()

    # The old one goes, one end after the other.
    for gateway, peer in ends:
        gateway.write({f"peer {peer}": {"secret_file": "new.key", "next_secret_file": None}})
        check_equal(command("check", str(gateway.file)).returncode, 0, "exit code of check without the old key")
        gateway.reload()
        gateway.wait_peer(peer, lambda p: p["key"]["change"] == "none", "the old one is gone")
        messages_both_ways(pair, f"without-at-{gateway.name[:3]}")()
    # And who has only the old one is out.
    pair.edge.reload({f"peer {pair.hub.name}": {"secret_file": f"{pair.hub.name}.key", "drop_key": ids.pop()}})
    pair.hub.wait_peer(pair.edge.name, lambda p: p["key"]["misfit"], "nothing that it says fits", 60)


@case("a change of keys goes on where it was after kill -9 at any of its steps")
def _(world):
    pair = world.pair()
    new = world.key(pair.edge.name, pair.hub.name, 1)
    ends = [(pair.edge, pair.hub.name), (pair.hub, pair.edge.name)]
    for gateway, peer in ends:
        gateway.write_key(peer, new, "new.key")
        gateway.restart(changes={f"peer {peer}": {"next_secret_file": "new.key"}})
        messages_both_ways(pair, f"step-{gateway.name[:3]}")()
    for gateway, peer in ends:
        change_stands(gateway, peer, "done")
    for gateway, peer in reversed(ends):
        gateway.restart(changes={f"peer {peer}": {"secret_file": "new.key", "next_secret_file": None}})
        messages_both_ways(pair, f"end-{gateway.name[:3]}")()


if __name__ == "__main__":
    tap.main()
