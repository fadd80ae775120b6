"""A real mosquitto of the case's own."""
import os
import signal

from processes import Process, free_port, wait_until
from tap import Failure

MOSQUITTO = "/usr/sbin/mosquitto"


class Broker:
    """Loopback only. Sessions and queues survive its death as well as mosquitto can: it writes its database after
    every change, and queues without a limit."""

    def __init__(self, world, name, extra="", listener="", persistence=True):
        self.world, self.name = world, name
        self.port = free_port()
        self.folder = world.folder / name
        self.folder.mkdir()
        self.config = self.folder / "mosquitto.conf"
        self._text = (
            (f"user root\n" if os.getuid() == 0 else "") +
            f"persistence {'true' if persistence else 'false'}\n"
            f"persistence_location {self.folder}/\n"
            "autosave_on_changes true\nautosave_interval 1\nmax_queued_messages 0\n"
            "log_dest stderr\nlog_type error\nlog_type warning\nlog_type notice\nlog_type information\nconnection_messages true\n")
        self._listener = f"listener {self.port} 127.0.0.1\n"
        self.configure(extra, listener)
        self.process = None
        self.start()

    def configure(self, extra="", listener="", anonymous=True):
        """Takes effect at the next start. extra: global lines; listener: lines for the one TCP listener."""
        allow = "" if "allow_anonymous" in extra + listener or not anonymous else "allow_anonymous true\n"
        self.config.write_text(self._text + extra + "\n" + self._listener + allow + listener + "\n")

    def start(self):
        """Starts it and waits until it answers."""
        self.process = self.world.process(f"mosquitto-{self.name}", [MOSQUITTO, "-c", str(self.config)])

        def running():
            if not self.process.alive():
                raise Failure(f"mosquitto-{self.name} did not start" + self.process.log())
            return self.process.has_line(" running")
        wait_until(running, f"mosquitto-{self.name} runs", timeout=10)

    def kill(self):
        """kill -9: what it has not yet saved is forgotten, as after a power cut."""
        self.process.kill()

    def stop(self):
        """An orderly end: it saves everything."""
        self.process.signal(signal.SIGTERM)
        self.process.wait_exit(10)
