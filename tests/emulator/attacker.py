"""Somebody in the satellite network, between modem and hub, who does to each message what he likes. He has no key: what he makes is
noise, a piece of what he has heard, or all of it, either way, now or later."""
import random

UP, DOWN = "mo", "mt"


class Attacker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.share = 0.0    # of the messages that he touches
        self.heard = []     # (way, payload), all of it
        self.done = {}      # kind: how often
        self._held = {UP: [], DOWN: []}

    def passes(self, way, payload):
        """[(way, payload), ...]: what goes on in its place."""
        self.heard.append((way, payload))
        held, self._held[way] = self._held[way], []
        late = [(way, p) for p in held]
        if self.random.random() >= self.share or not payload:
            return [(way, payload)] + late
        kind = self.random.choice(KINDS)
        self.done[kind.__name__] = self.done.get(kind.__name__, 0) + 1
        return kind(self, way, payload) + late

    def other(self, way):
        return UP if way == DOWN else DOWN


def flip(attacker, way, payload):
    bent = bytearray(payload)
    bent[attacker.random.randrange(len(bent))] ^= 1 << attacker.random.randrange(8)
    return [(way, bytes(bent))]


def cut(attacker, way, payload):
    return [(way, payload[:attacker.random.randrange(1, len(payload) + 1)])]


def drop(attacker, way, payload):
    return []


def hold(attacker, way, payload):
    """Goes behind the one that comes after it."""
    attacker._held[way].append(payload)
    return []


def repeat(attacker, way, payload):
    return [(way, payload)] * 2


def replay(attacker, way, payload):
    return [(way, payload), attacker.random.choice(attacker.heard)]


def reflect(attacker, way, payload):
    return [(way, payload), (attacker.other(way), payload)]


def invent(attacker, way, payload):
    """Noise behind a head that is right."""
    head = payload[:attacker.random.randrange(len(payload))]
    return [(way, payload), (way, head + attacker.random.randbytes(attacker.random.randrange(1, 60)))]


KINDS = [flip, cut, drop, hold, repeat, replay, reflect, invent]
