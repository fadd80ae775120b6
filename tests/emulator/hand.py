"""A host that speaks AT and DirectIP by hand, for the emulator's own tests. Blocking, and sharing nothing with it."""
import json
import os
import pathlib
import select
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import tty

HERE = pathlib.Path(__file__).parent
IMEI = "300234010000001"
PATIENCE_S = 30


class Emulator:
    """The emulator as a child."""

    def __init__(self, **spec):
        self.folder = tempfile.TemporaryDirectory(prefix="longwire-emulator-")
        modem = {"imei": IMEI, "path": self.folder.name + "/modem", **spec.pop("modem", {})}
        spec = {"seed": 1, "scale": 0.01, "modems": [modem], "log": self.folder.name + "/log", **spec}
        self.scale = spec["scale"]
        self.child = subprocess.Popen([sys.executable, str(HERE / "emulator.py"), json.dumps(spec)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = json.loads(self.child.stdout.readline())
        self.mt_port, self.device = first["mt_port"], modem["path"]

    def ask(self, do, **words):
        self.child.stdin.write(json.dumps({"do": do, **words}) + "\n")
        self.child.stdin.flush()
        answer = json.loads(self.child.stdout.readline())
        if not answer["ok"]:
            raise AssertionError(answer["error"])
        return answer

    def modem(self):
        return self.ask("report")["modems"][IMEI]

    def violations(self):
        return [v["kind"] for v in self.ask("report")["violations"]]

    def wait(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"did not happen: {what}\n" + self.log())
            select.select([], [], [], 0.01)

    def log(self):
        with open(self.folder.name + "/log") as file:
            return file.read()[-4000:]

    def close(self):
        self.child.stdin.close()
        self.child.wait(10)
        self.child.stdout.close()
        self.folder.cleanup()


class Line:
    """The host's end of the serial line."""

    def __init__(self, device, speed=termios.B19200):
        self.fd = os.open(device, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        attributes = termios.tcgetattr(self.fd)
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)
        self.heard = b""

    def say(self, data):
        os.write(self.fd, data)

    def read_until(self, condition, what, patience_s=PATIENCE_S):
        deadline = time.monotonic() + patience_s
        while not condition(self.heard):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"not heard: {what}; heard {self.heard!r}")
            self.heard += os.read(self.fd, 4096)

    def take(self):
        heard, self.heard = self.heard, b""
        return heard

    def ask(self, command, until=b"\r\nOK\r\n"):
        """The whole answer up to and with `until`."""
        self.say(command.encode() + b"\r")
        self.read_until(lambda h: until in h or b"\r\nERROR\r\n" in h, f"{until!r} after {command}")
        return self.take()

    def write_mo(self, payload, checksum=None, until=b"OK\r\n"):
        self.ask(f"AT+SBDWB={len(payload)}", b"READY\r\n")
        checksum = sum(payload) & 0xFFFF if checksum is None else checksum
        self.say(payload + struct.pack(">H", checksum))
        self.read_until(lambda h: until in h, "what became of the write")
        return self.take()

    def session(self, command="AT+SBDIX"):
        """The six numbers of the result, spaces or not."""
        answer = self.ask(command)
        text = answer.decode("latin-1").split("+SBDIX")[-1].split(":", 1)[1].split("\r\n")[0]
        return [int(word) for word in text.split(",")]

    def read_mt(self):
        """With echo off."""
        self.say(b"AT+SBDRB\r")
        self.read_until(lambda h: len(h) >= 2 and len(h) >= 4 + struct.unpack(">H", h[:2])[0] + 6, "the MT message")
        answer = self.take()
        n, = struct.unpack(">H", answer[:2])
        payload = answer[2:2 + n]
        assert answer[2 + n:] == struct.pack(">H", sum(payload) & 0xFFFF) + b"\r\nOK\r\n", answer
        return payload

    def close(self):
        os.close(self.fd)


class Hub:
    """A listener as the hub's, that takes one connection at a time."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(PATIENCE_S)
        self.port = self.socket.getsockname()[1]

    def take(self, answer=bytes.fromhex("01000405000101")):
        """The bytes of the next connection. answer: what is said to it; None: closed without a word."""
        connection, _ = self.socket.accept()
        connection.settimeout(PATIENCE_S)
        with connection:
            data = b""
            while len(data) < 3 or len(data) < 3 + struct.unpack(">H", data[1:3])[0]:
                piece = connection.recv(4096)
                if not piece:
                    return data
                data += piece
            if answer and len(data) == 3 + struct.unpack(">H", data[1:3])[0]:
                connection.sendall(answer)
                connection.recv(1)
            return data

    def close(self):
        self.socket.close()


def mt_request(client_id, imei, payload, flags=0, priority=None):
    header = struct.pack(">BH4s15sH", 0x41, 21, client_id, imei.encode(), flags)
    body = header + (struct.pack(">BH", 0x42, len(payload)) + payload if payload is not None else b"")
    body += struct.pack(">BHH", 0x46, 2, priority) if priority else b""
    return b"\x01" + struct.pack(">H", len(body)) + body


def mt_send(port, request):
    """One MT connection. Return: all that the gateway said."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(PATIENCE_S)
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
        return answer


def mt_status(answer):
    return struct.unpack(">h", answer[-2:])[0]


_cases = []


def case(name, **spec):
    """Registers a case: a function of an emulator of this spec."""
    def register(function):
        _cases.append((name, spec, function))
        return function
    return register


def equal(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what}\n  is:        {actual!r}\n  should be: {expected!r}")


def holds(condition, what, *details):
    if not condition:
        raise AssertionError(what + "".join(f"\n  {d!r}" for d in details))


def main():
    """TAP. A word as argument: only the cases with it in their name."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [c for c in _cases if word in c[0]]
    print(f"1..{len(chosen)}")
    good = True
    for number, (name, spec, function) in enumerate(chosen, 1):
        began = time.monotonic()
        words = ""
        emulator = Emulator(**json.loads(json.dumps(spec)))
        try:
            function(emulator)
        except Exception as error:
            words = f"{type(error).__name__}: {error}\n{emulator.log()}"
            good = False
        emulator.close()
        print(f"{'not ok' if words else 'ok'} {number} - {name}")
        print("".join(f"# {line}\n" for line in [f"{time.monotonic() - began:.1f} s"] + words.splitlines()), end="", flush=True)
    sys.exit(0 if good else 1)
