"""Somebody in the satellite network between modem and hub: nothing is published twice or forged, what he did is counted, and all of
it arrives, in order, once he lets the messages pass."""
import tap
from checks import expect, numbered
from satellite import IMEI, SatellitePair
from stores import restore_database, restore_store, save_store
from tap import case, check, check_equal

# What is lost is sent again after minutes of the emulated time.
SPEED = 400
SECRECY = {"edge": {"peer HUB": {"forward_secrecy": "yes"}}, "hub": {"peer EDGE": {"forward_secrecy": "yes"}}}


class Talk:
    """Both directions; what was sent is remembered."""

    def __init__(self, pair):
        self.pair = pair
        self.edge, self.hub = pair.edge_client("down/#"), pair.hub_client("up/#")
        self.n = 0

    def say(self, n=4):
        for message in numbered(["up/a", "up/b"], n, self.n):
            self.edge.publish(*message)
        for message in numbered(["down/a", "down/b"], n, self.n):
            self.hub.publish(*message)
        self.n += n

    def expect(self, timeout=120):
        expect(self.hub, numbered(["up/a", "up/b"], self.n), timeout, "edge to hub")
        expect(self.edge, numbered(["down/a", "down/b"], self.n), timeout, "hub to edge")

    def counts(self, name):
        """[at the edge, at the hub]: what the key's counters say."""
        pair = self.pair
        return [gateway.status()["peers"][0]["key"][name] for gateway in (pair.edge, pair.hub)]


def attacked(world, share, **how):
    pair = SatellitePair(world, speed=SPEED, **how)
    pair.sky.ask("attack", imei=IMEI, share=share)
    return pair, Talk(pair)


def harm(pair):
    return pair.sky.ask("attack", imei=IMEI, share=0)


def is_secret(pair):
    return all(g.status()["peers"][0]["key"]["forward_secret"] for g in (pair.edge, pair.hub))


def half_of_all(words, how):
    @case(f"half of all messages flipped, cut, dropped, held, repeated, replayed, reflected, invented{words}")
    def _(world):
        pair, talk = attacked(world, 0.5, **how)
        for _ in range(5):
            talk.say(2)
            sessions = pair.sky.sessions()
            pair.sky.wait(lambda r: r["modems"][IMEI]["counts"].get("sessions", 0) > sessions + 1, "sessions", 60)
        done = harm(pair)["done"]
        print(f"# {done}")
        check(sum(done.values()) >= 3, "there was something to it", done)
        talk.say(2)
        talk.expect()
        pair.sky.ask("play", imei=IMEI, last=6, reflect=True)  # chance may have hurt one way alone
        for gateway in (pair.edge, pair.hub):
            gateway.wait_status(lambda s: s["peers"][0]["key"]["forged"] > 0, "it is refused and counted")
        if how:
            check(is_secret(pair), "forward secret for all that")


half_of_all("", {})
half_of_all(", with forward secrecy", SECRECY)


@case("recordings of all that was said, played to both ends, also after each was killed and started again")
def _(world):
    pair, talk = attacked(world, 0, **SECRECY)
    for victim in (None, pair.edge, pair.hub):
        talk.say(3)
        talk.expect()
        pair.wait_drained()
        if victim:
            victim.kill()
            victim.start()
        before = talk.counts("replayed"), talk.counts("forged")
        pair.sky.ask("play", imei=IMEI, last=12)
        pair.sky.ask("play", imei=IMEI, last=4, reflect=True)
        pair.edge.wait_status(lambda s: s["peers"][0]["key"]["forged"] + s["peers"][0]["key"]["replayed"] >=
                              before[0][0] + before[1][0] + 3, "refused at the edge")
        pair.hub.wait_status(lambda s: s["peers"][0]["key"]["replayed"] > before[0][1], "refused at the hub")
    talk.say(3)
    talk.expect()
    check(is_secret(pair), "forward secret for all that")
    check_equal([g.status()["peers"][0]["counters"].get("published_again", 0) for g in (pair.edge, pair.hub)], [0, 0],
                "published again")


def set_back(what, side, restore, env=None):
    """What came after the copy was made is played to the end whose store is that copy."""
    @case(f"the {side} is put back from {what}: recordings of what came since are refused, and the peer answers for itself")
    def _(world):
        pair, talk = attacked(world, 0)
        victim = getattr(pair, side)
        talk.say(2)
        talk.expect()
        pair.wait_drained()
        victim.stop()
        save_store(victim, world.folder / "copy")
        victim.start()
        talk.say(3)
        talk.expect()
        pair.wait_drained()
        victim.kill()
        restore(victim, world.folder / "copy")
        victim.start(env=env)
        victim.wait_status(lambda s: s["peers"][0]["key"]["awaits_echo"], "it knows that its memory is old")
        pair.sky.ask("play", imei=IMEI, last=8)
        victim.wait_status(lambda s: s["peers"][0]["key"]["replayed"] >= 1, "refused and counted")
        talk.say(3)
        talk.expect()
        victim.wait_status(lambda s: not s["peers"][0]["key"]["awaits_echo"], "the peer has answered for itself")
        pair.wait_drained()
        victim.restart(env=env)
        check(not victim.status()["peers"][0]["key"]["awaits_echo"], "a start of its own store asks for nothing")


set_back("a backup of its database", "hub", restore_database)
set_back("a backup of its database", "edge", restore_database)
set_back("an image of its disk", "hub", restore_store, {"LONGWIRE_TEST_WALL_OFFSET_MS": str(37 * 3600 * 1000)})


if __name__ == "__main__":
    tap.main()
