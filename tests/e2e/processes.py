"""Child processes that cannot outlive the tests, and whose stderr can be waited on."""
import os
import signal
import socket
import subprocess
import threading
import time

from tap import SLOWNESS, Failure

# setpriv: the child dies with us, whatever happens to us. It execs, so the process id is the program's.
_WRAPPER = ["setpriv", "--pdeathsig", "KILL"]
_port_locks = []
_port_mutex = threading.Lock()
_next_port = 20000 + os.getpid() * 7 % 10000


def free_port():
    """A loopback port that no other case uses, now or after a restart of its broker.

    Below the ephemeral range, so that no outgoing connection takes it meanwhile; claimed through the name of an
    abstract unix socket, which the kernel releases when this process ends."""
    global _next_port
    with _port_mutex:
        while True:
            port = _next_port
            _next_port = 20000 + (_next_port - 19999) % 10000
            lock = socket.socket(socket.AF_UNIX)
            try:
                lock.bind(f"\0longwire-e2e-{port}")
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
            _port_locks.append(lock)
            return port


def wait_until(condition, what, timeout=30, every=0.03):
    """Asks again and again until condition() is true, and returns what it gave.

    For states that only can be asked for (status, files); where there is an event, wait for the event."""
    deadline = time.monotonic() + timeout * SLOWNESS
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"did not happen in {timeout * SLOWNESS:.0f} s: {what}")
        pause.wait(every)


class Process:
    """One child. Its stderr is kept line by line."""

    def __init__(self, label, argv, stdin=None, stdout=subprocess.DEVNULL, env=None, cwd=None):
        self.label = label
        self.expected_exit = False
        self.lines = []
        self._changed = threading.Condition()
        self.popen = subprocess.Popen(_WRAPPER + argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
                                      start_new_session=True, cwd=cwd,
                                      env=None if env is None else {**os.environ, **env})
        self.pid = self.popen.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for raw in self.popen.stderr:
            line = raw.decode(errors="replace").rstrip("\n")
            if "Saving in-memory database" in line:
                continue  # mosquitto says it at every change
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_line(self, text, timeout=20, since=0):
        """Waits for a line of stderr with `text` in it, and returns it."""
        deadline = time.monotonic() + timeout * SLOWNESS
        with self._changed:
            while True:
                for line in self.lines[since:]:
                    if text in line:
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or (self.popen.poll() is not None and not self._reader.is_alive()):
                    raise Failure(f"{self.label} did not log {text!r}")
                self._changed.wait(min(left, 0.2))

    def has_line(self, text):
        with self._changed:
            return any(text in line for line in self.lines)

    def line_count(self):
        with self._changed:
            return len(self.lines)

    def alive(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def wait_exit(self, timeout=20):
        """Waits for its end. Return: the exit code (negative: the signal)."""
        self.expected_exit = True
        try:
            code = self.popen.wait(timeout * SLOWNESS)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.label} did not exit in {timeout * SLOWNESS:.0f} s") from None
        self._reader.join(5)
        return code

    def kill(self):
        """kill -9, and waits until it is gone."""
        self.expected_exit = True
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()
        self._reader.join(5)

    def crashed(self):
        """Words about an end that nobody asked for, or None."""
        code = self.popen.poll()
        sanitizer = [l for l in self.lines if "ERROR: AddressSanitizer" in l or "runtime error:" in l or
                     "ERROR: LeakSanitizer" in l]
        if sanitizer:
            return f"{self.label}: {sanitizer[0]}"
        if code is not None and not self.expected_exit:
            return f"{self.label} ended by itself with {code}"
        return None

    def log(self, last=60):
        with self._changed:
            lines = self.lines[-last:]
        return "".join(f"\n  {self.label}: {line}" for line in lines)
