"""The simulated serial line (tests/support/line_sim) and a TCP connection that can be hurt."""
import json
import os
import select
import socket
import subprocess
import threading

from tap import SLOWNESS, Failure

LINE_SIM = os.environ.get("LONGWIRE_LINE_SIM", "line_sim")


class Line:
    """Two ttys, `a` and `b`, joined. Commands: gateway/cli/line_sim.h."""

    def __init__(self, world, name="line", seed=1, **quality):
        self.a, self.b = str(world.folder / f"{name}-a"), str(world.folder / f"{name}-b")
        self._lock = threading.Lock()
        self.process = world.process(name, [LINE_SIM, self.a, self.b, str(seed)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._answer()
        if quality:
            self.set("both", **quality)

    def _answer(self):
        out = self.process.popen.stdout
        if not select.select([out], [], [], 10 * SLOWNESS)[0]:
            raise Failure("the line simulator does not answer")
        answer = json.loads(out.readline() or '{"ok":false,"error":"it is gone"}')
        if not answer["ok"]:
            raise Failure("line simulator: " + answer["error"])
        return answer

    def ask(self, command):
        with self._lock:
            self.process.popen.stdin.write(command.encode() + b"\n")
            self.process.popen.stdin.flush()
            return self._answer()

    def set(self, end, **quality):
        """set("both", baud=9600, ber=1e-5, delay_ms=250)."""
        return self.ask(f"set {end} " + " ".join(f"{k} {v}" for k, v in quality.items()))

    def cut(self):
        return self.ask("cut")

    def restore(self):
        return self.ask("restore")

    def inject(self, end, data):
        """The end hears `data` (bytes)."""
        for at in range(0, len(data), 2000):
            self.ask(f"inject {end} {data[at:at + 2000].hex()}")

    def status(self):
        return self.ask("status")

    def bytes_sent(self):
        status = self.status()
        return status["a"]["sent"] + status["b"]["sent"]


class Proxy:
    """A TCP hop between two ports: passes bytes, counts them, and can stall without closing (a half-open peer), cut
    what is connected, or refuse. `limit`: cuts once so many bytes have passed towards the target."""

    def __init__(self, world, target_port):
        self.target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._changed = threading.Condition()
        self._pairs = []
        self.forward = self.backward = self.accepted = 0
        self.limit = None
        self.stalled = self.refusing = False
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()
        world.closers.append(self.close)

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self.accepted += 1
                self._changed.notify_all()
                refuse = self.refusing
            try:
                if refuse:
                    raise OSError("refusing")
                far = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                near.close()
                continue
            with self._changed:
                self._pairs.append((near, far))
            threading.Thread(target=self._pump, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, False), daemon=True).start()

    def _pump(self, source, sink, towards):
        while True:
            try:
                data = source.recv(16384)
            except OSError:
                data = b""
            with self._changed:
                while self.stalled and not self._closed:
                    self._changed.wait()
                if towards:
                    self.forward += len(data)
                else:
                    self.backward += len(data)
                over = towards and self.limit is not None and self.forward >= self.limit
                self._changed.notify_all()
            if over:
                self.limit = None
                self.cut()
                return
            try:
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
            except OSError:
                return

    def wait(self, condition, what, timeout=30):
        """condition(self) is asked at every event."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout * SLOWNESS):
                raise Failure(f"did not happen in {timeout * SLOWNESS:.0f} s: {what}")

    def stall(self, on=True):
        with self._changed:
            self.stalled = on
            self._changed.notify_all()

    def cut(self):
        with self._changed:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for s in pair:
                # Both directions, so that threads blocked in recv wake; RST is not needed.
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()

    def close(self):
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._listener.close()
        self.cut()
