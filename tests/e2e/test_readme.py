"""The README's configuration example, run: a reader who copies it gets what it says."""
import os
import pathlib
import re
import subprocess

import tap
from broker import Broker
from gateway import LONGWIRE, command
from processes import free_port, wait_until
from tap import Skip, case, check, check_equal

ROOT = pathlib.Path(os.environ.get("LONGWIRE_SOURCE", pathlib.Path(__file__).resolve().parents[2]))


def blocks():
    """{"edge.ini": text, "hub.ini": text}: the fenced ini blocks that begin with their file's name."""
    text = (ROOT / "README.md").read_text()
    found = re.findall(r"```ini\n; (\S+\.ini)[^\n]*\n(.*?)```", text, re.S)
    check({name for name, _ in found} >= {"edge.ini", "hub.ini"}, "README.md has edge.ini and hub.ini",
          [name for name, _ in found])
    return dict(found)


def replaced(text, key, value, section=None):
    """The example with one key set to what this machine has: devices, ports, paths."""
    pattern = re.compile(rf"^({key}[ \t]*=[ \t]*)([^;\n]*?)([ \t]*(?:;.*)?)$", re.M)
    check(pattern.search(text), f"the example has {key}", text)
    return pattern.sub(lambda m: m.group(1) + str(value) + m.group(3), text)


@case("the README's edge.ini and hub.ini pass `longwire check` but for what is not on this machine")
def _(world):
    for name, text in blocks().items():
        file = world.folder / name
        file.write_text(text)
        done = command("check", str(file))
        check_equal(done.returncode, 0, f"exit code for {name}: {done.stderr}")


@case("the README's edge.ini and hub.ini, on this machine's ports and line, carry a message each way")
def _(world):
    line = world.line(baud=9600)
    brokers = {"edge.ini": Broker(world, "edge"), "hub.ini": Broker(world, "hub")}
    devices = {"edge.ini": line.a, "hub.ini": line.b}
    files, topics, processes = {}, {}, {}
    for name in ("hub.ini", "edge.ini"):
        text = blocks()[name]
        if re.search(r"^port[ \t]*=", text, re.M):
            text = replaced(text, "port", brokers[name].port)
        else:
            text = re.sub(r"^(\[broker\][^\n]*)$", rf"\1\nport = {brokers[name].port}", text, flags=re.M)
        check("[broker]" in text, f"{name} has a [broker] section", text)
        text = replaced(text, "device", devices[name])
        if "[store]" in text:
            text = replaced(text, "path", world.folder / f"{name}.db")
        else:
            text += f"\n[store]\npath = {world.folder / name}.db\n"
        files[name] = world.folder / name
        files[name].write_text(text)
        routes = re.search(r"^topics[ \t]*=[ \t]*([^,;\n]+)", text, re.M)
        prefix = re.search(r"^remote_prefix[ \t]*=[ \t]*([^;\n]*)", text, re.M)
        topic = routes.group(1).strip().replace("#", "x").replace("+", "x")
        topics[name] = (topic, (prefix.group(1).strip() if prefix else "") + topic)
        processes[name] = world.process(name, [LONGWIRE, "run", str(files[name])])
    ends = [("edge.ini", "hub.ini"), ("hub.ini", "edge.ini")]
    for near, far in ends:
        listener = world.client(brokers[far], "#")
        wait_until(lambda n=near: command("status", str(files[n]), "--json").returncode == 0 and
                   '"connected":true' in command("status", str(files[n]), "--json").stdout, f"{near} is connected")
        world.client(brokers[near]).publish(topics[near][0], "hello from " + near)
        message = listener.wait_payload("hello from " + near)
        check(message.topic.endswith(topics[near][1]), "the topic", message.topic, topics[near])


@case("the manual's examples in config/ pass `longwire check`")
def _(world):
    examples = sorted((ROOT / "config").glob("*.ini"))
    if not examples:
        raise Skip("there are none")
    for example in examples:
        text = example.read_text()
        file = world.folder / example.name
        file.write_text(text)
        done = subprocess.run([LONGWIRE, "check", str(file)], capture_output=True, text=True, check=False)
        check_equal(done.returncode, 0, f"{example.name}: {done.stderr}")


if __name__ == "__main__":
    tap.main()
