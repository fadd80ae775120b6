"""`longwire run` as a child, its INI file, and its status."""
import json
import os
import signal
import subprocess

from processes import wait_until
from tap import SLOWNESS, Failure

LONGWIRE = os.environ.get("LONGWIRE", "longwire")


def ini(sections):
    """{"site": {"name": "x"}, "peer hub": {...}} as the operator would write it; a value of None leaves the key out."""
    lines = []
    for section, keys in sections.items():
        if keys is None:
            continue
        lines.append(f"[{section}]")
        lines += [f"{key} = {value}" for key, value in keys.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


def merge(base, changes):
    """Sections of `changes` laid over those of `base`, key by key; a section of None is taken out."""
    result = {section: dict(keys) for section, keys in base.items()}
    for section, keys in (changes or {}).items():
        if keys is None:
            result.pop(section, None)
        else:
            result.setdefault(section, {}).update(keys)
    return result


def command(*words, timeout=20, env=None):
    """Runs `longwire WORDS` to its end. Return: subprocess.CompletedProcess with text."""
    try:
        return subprocess.run([LONGWIRE, *words], capture_output=True, text=True, timeout=timeout * SLOWNESS,
                              env=None if env is None else {**os.environ, **env}, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"longwire {' '.join(words)} did not end") from None


class Gateway:
    """One end. `sections` is its configuration; the file is written at start."""

    def __init__(self, world, name, sections):
        self.world, self.name = world, name
        self.sections = sections
        self.folder = world.folder / f"site-{name}"
        self.folder.mkdir(exist_ok=True)
        self.file = self.folder / f"{name}.ini"
        self.store = self.folder / f"{name}.db"
        self.process = None
        world.gateways.append(self)
        self.write()

    def write(self, changes=None):
        """Writes the INI file, with changes laid over what it was."""
        self.sections = merge(self.sections, changes)
        self.file.write_text(ini(self.sections))

    def write_key(self, peer, text=None, name=None):
        """Writes a key file for this peer, as `longwire keygen` leaves it: the two sites' own key, or another text."""
        file = self.folder / (name or f"{peer}.key")
        file.touch(0o600)
        file.write_text(text or self.world.key(self.name, peer))
        return file

    def start(self, changes=None, env=None, wait=True):
        self.write(changes)
        self.process = self.world.process(self.name, [LONGWIRE, "run", str(self.file)], env=env)
        if wait:
            self.wait_status(lambda s: s["broker"]["connected"], "broker connected")
        return self

    def kill(self):
        self.process.kill()

    def stop(self):
        """SIGTERM. Return: the exit code."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait_exit(10)

    def restart(self, **start):
        self.kill()
        return self.start(**start)

    def reload(self, changes=None):
        self.write(changes)
        self.process.signal(signal.SIGHUP)

    def status(self):
        """What `status --json` prints, or None where it does not run (yet)."""
        done = command("status", str(self.file), "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def last_words(self):
        """The status for the record of a failed case."""
        if self.process is None or not self.process.alive():
            return f"\n  {self.name}: not running"
        return f"\n  {self.name}: " + command("status", str(self.file), "--json").stdout

    def peer(self, name):
        """The peer's object in the status, or {}."""
        status = self.status()
        return next((p for p in status["peers"] if p["name"] == name), {}) if status else {}

    def wait_status(self, condition, what, timeout=30):
        """Waits until condition(status) holds, and returns that status."""
        seen = [None]

        def holds():
            if not self.process.alive():
                raise Failure(f"{self.name} is not running, wanted: {what}")
            seen[0] = self.status()
            return seen[0] is not None and condition(seen[0])
        try:
            wait_until(holds, f"{self.name}: {what}", timeout)
        except Failure as failure:
            raise Failure(f"{failure}\n  last status: {json.dumps(seen[0])}") from None
        return seen[0]

    def wait_peer(self, name, condition, what, timeout=30):
        """Waits until condition(the peer's object) holds, and returns that object."""
        def holds(status):
            return any(p["name"] == name and condition(p) for p in status["peers"])
        status = self.wait_status(holds, f"peer {name}: {what}", timeout)
        return next(p for p in status["peers"] if p["name"] == name)

    def wait_link(self, state="ready", timeout=30):
        """Waits until every peer's link is in this state."""
        self.wait_status(lambda s: all(l["state"] == state for p in s["peers"] for l in p["links"]),
                         f"links {state}", timeout)

    def wait_empty(self, peer, timeout=60):
        """Waits until nothing is queued for the peer."""
        return self.wait_peer(peer, lambda p: p["queue"]["messages"] == 0, "queue empty", timeout)
