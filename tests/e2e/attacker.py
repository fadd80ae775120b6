"""Somebody who owns the link: records what passes, hurts it frame by frame, and plays it again."""
import socket
import threading

from line import Proxy
from tap import SLOWNESS

DELIMITER = b"\0"  # stands behind every frame and nowhere in one: docs/PROTOCOL.md, framing


class Attacker(Proxy):
    """A proxy that knows where frames end. `connections`: what each one carried, [to the target, back]. While `mischief`
    is a function, each frame goes through it: mischief(self, towards, frame) -> [(towards, frame), ...] in its place."""

    def __init__(self, world, target_port):
        self.random = world.random
        self.connections = []
        self.mischief = None
        self.done = {}           # kind of mischief: how often
        self._held = {}          # frames kept back, by direction
        self._write = threading.Lock()
        super().__init__(world, target_port)

    def recorded(self, towards, connection=-1):
        return bytes(self.connections[connection][0 if towards else 1])

    def everything(self):
        return b"".join(bytes(side) for connection in self.connections for side in connection)

    def _pump(self, source, sink, towards):
        with self._write:
            if towards:
                self.connections.append((bytearray(), bytearray()))
            connection = self.connections[-1]
        with self._changed:
            self._changed.notify_all()
        rest = b""
        while True:
            try:
                data = source.recv(16384)
            except OSError:
                data = b""
            with self._changed:
                while self.stalled and not self._closed:
                    self._changed.wait()
            try:
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                connection[0 if towards else 1].extend(data)
                *frames, rest = (rest + data).split(DELIMITER)
                for frame in frames:
                    self._pass(source, sink, towards, frame)
            except OSError:
                return

    def _pass(self, source, sink, towards, frame):
        todo = [(towards, frame)]
        if self.mischief and frame:
            todo = self.mischief(self, towards, frame)
        for way, bytes_ in todo:
            with self._write:
                (sink if way == towards else source).sendall(bytes_ + DELIMITER)

    def count(self, kind):
        self.done[kind] = self.done.get(kind, 0) + 1

    def anything(self, towards):
        """A frame that once passed, in either direction."""
        frames = [f for f in self.recorded(self.random.random() < 0.5).split(DELIMITER) if f]
        return self.random.choice(frames) if frames else b"\x01"


def flip(attacker, towards, frame):
    """One bit. A byte that becomes a delimiter cuts the frame in two."""
    bent = bytearray(frame)
    bent[attacker.random.randrange(len(bent))] ^= 1 << attacker.random.randrange(8)
    return [(towards, bytes(bent))]


def cut(attacker, towards, frame):
    return [(towards, frame[:attacker.random.randrange(len(frame))])]


def drop(attacker, towards, frame):
    return []


def hold(attacker, towards, frame):
    """Kept back until another one passes: swapped, or late by many."""
    held = attacker._held.setdefault(towards, [])
    held.append(frame)
    if len(held) < attacker.random.randrange(1, 5):
        return []
    attacker._held[towards] = []
    attacker.random.shuffle(held)
    return [(towards, f) for f in held]


def repeat(attacker, towards, frame):
    return [(towards, frame)] * 3


def replay(attacker, towards, frame):
    return [(towards, frame), (towards, attacker.anything(towards))]


def reflect(attacker, towards, frame):
    return [(towards, frame), (not towards, frame)]


def invent(attacker, towards, frame):
    """Noise, and noise behind a head that is right."""
    noise = bytes(b for b in attacker.random.randbytes(attacker.random.randrange(1, 200)) if b)
    forged = frame[:attacker.random.randrange(1, len(frame) + 1)] + noise
    return [(towards, noise), (towards, forged[:254]), (towards, frame)]


KINDS = [flip, cut, drop, hold, repeat, replay, reflect, invent]


def anything_goes(share):
    """Mischief of every kind with this share of the frames."""
    def mischief(attacker, towards, frame):
        if attacker.random.random() >= share:
            return [(towards, frame)]
        kind = attacker.random.choice(KINDS)
        attacker.count(kind.__name__)
        return kind(attacker, towards, frame)
    return mischief


def play(port, data, timeout=30):
    """Plays bytes to a listener as a stranger. Return: what it answered until it closed, or until it was silent for so long that the
    player went away."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.settimeout(timeout * SLOWNESS)
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while True:
                more = s.recv(4096)
                if not more:
                    return answer
                answer += more
        except (TimeoutError, ConnectionError):
            return answer
