"""The README's configuration example, run: a reader who copies it gets what it says."""
import os
import pathlib
import re
import shutil
import subprocess

import tap
from gateway import LONGWIRE, command
from satellite import SPEED, Emulator
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


def make_keys(folder, text):
    """The key files that an example names, made as it says; paths are relative to its folder."""
    for name in re.findall(r"^secret_file[ \t]*=[ \t]*(\S+)", text, re.M):
        done = command("keygen", str(folder / name))
        check_equal((done.returncode, done.stderr), (0, ""), f"longwire keygen {name}")


def replaced(text, key, value):
    """The example with one key set to what this machine has: devices, ports, paths."""
    pattern = re.compile(rf"^({key}[ \t]*=[ \t]*)([^;\n]*?)([ \t]*(?:;.*)?)$", re.M)
    check(pattern.search(text), f"the example has {key}", text)
    return pattern.sub(lambda m: m.group(1) + str(value) + m.group(3), text)


def equal_topic(message, topic):
    check_equal(message.topic, topic, "topic")


@case("the README's edge.ini and hub.ini pass `longwire check` but for what is not on this machine")
def _(world):
    for name, text in blocks().items():
        folder = world.folder / name.removesuffix(".ini")
        folder.mkdir()
        file = folder / name
        file.write_text(text)
        make_keys(folder, text)
        done = command("check", str(file))
        check_equal(done.returncode, 0, f"exit code for {name}: {done.stderr}")


def on_this_machine(world, name, text, broker, device):
    """The example with this machine's device, ports and paths. Returns the file and a topic of its first route."""
    text = replaced(text, "port", broker.port)
    text = replaced(text, "device", device)
    text = replaced(text, "path", world.folder / f"{name}.db")
    if "listen" in text:
        text = replaced(text, "listen", f"127.0.0.1:{free_port()}")
    file = world.folder / name
    file.write_text(text)
    topics = re.search(r"^topics[ \t]*=[ \t]*([^,;\n]+)", text, re.M)
    return file, topics.group(1).strip().replace("#", "x").replace("+", "x")


@case("the README's edge.ini and hub.ini, on this machine's ports and line, carry a message each way")
def _(world):
    line = world.line(baud=9600)
    brokers = {name: world.broker(name.removesuffix(".ini")) for name in ("edge.ini", "hub.ini")}
    files, topics = {}, {}
    make_keys(world.folder, blocks()["edge.ini"])
    make_keys(world.folder, re.sub(r"^secret_file.*buoy-17.key.*$", "", blocks()["hub.ini"], flags=re.M))
    shutil.copy(world.folder / "hub.key", world.folder / "buoy-17.key")  # as the README says
    for name, device in (("edge.ini", line.a), ("hub.ini", line.b)):
        files[name], topics[name] = on_this_machine(world, name, blocks()[name], brokers[name], device)
        world.process(name, [LONGWIRE, "run", str(files[name])])
    for near, far in (("edge.ini", "hub.ini"), ("hub.ini", "edge.ini")):
        listener = world.client(brokers[far], "#")
        wait_until(lambda n=near: '"connected":true' in command("status", str(files[n]), "--json").stdout,
                   f"{near} is connected")
        world.client(brokers[near]).publish(topics[near], "hello from " + near)
        listener.wait_payload("hello from " + near)


FIRST_CREDITS = 5


@case("the README's sat-edge.ini and sat-hub.ini, on an emulated modem and gateway, carry an alarm and a command")
def _(world):
    texts = {name: blocks()[name] for name in ("sat-edge.ini", "sat-hub.ini")}
    brokers = {name: world.broker(name.removesuffix(".ini")) for name in texts}
    device, mo_port = str(world.folder / "modem"), free_port()
    imei = re.search(r"^imei[ \t]*=[ \t]*(\d{15})", texts["sat-hub.ini"], re.M).group(1)
    sky = Emulator(world, [{"imei": imei, "path": device}], {"port": mo_port}, 1, SPEED)
    make_keys(world.folder, texts["sat-edge.ini"])
    shutil.copy(world.folder / "hub.key", world.folder / "buoy-17.key")  # as the README says
    texts["sat-edge.ini"] = replaced(texts["sat-edge.ini"], "device", device)
    for key, value in (("mo_listen", f"127.0.0.1:{mo_port}"), ("mo_allow", "127.0.0.1"),
                       ("mt_connect", f"127.0.0.1:{sky.mt_port}")):
        texts["sat-hub.ini"] = replaced(texts["sat-hub.ini"], key, value)
    for name, text in texts.items():
        text = replaced(replaced(text, "path", world.folder / f"{name}.db"), "port", brokers[name].port)
        (world.folder / name).write_text(text + f"time_scale = {SPEED}\n")  # the last section is the link
        world.process(name, [LONGWIRE, "run", str(world.folder / name)])
    for name in texts:
        wait_until(lambda n=name: '"connected":true' in command("status", str(world.folder / n), "--json").stdout,
                   f"{name} is connected")
    listeners = {name: world.client(brokers[name], "site/#", "cmd/#") for name in texts}
    world.client(brokers["sat-edge.ini"]).publish("alarm/test", "hello")
    equal_topic(listeners["sat-hub.ini"].wait_payload("hello"), "site/buoy-17/alarm/test")
    first = sky.credits(imei)
    check(first <= FIRST_CREDITS, "credits until the first message is there", first, sky.modem(imei))
    world.client(brokers["sat-hub.ini"]).publish("cmd/buoy-17/test", "hi")
    equal_topic(listeners["sat-edge.ini"].wait_payload("hi"), "cmd/test")
    before = sky.credits(imei)
    world.client(brokers["sat-edge.ini"]).publish("alarm/test", "again")
    listeners["sat-hub.ini"].wait_payload("again")
    check_equal(sky.credits(imei) - before, 1, "credits of an alarm from then on")
    sky.check_conduct()


@case("the manual's examples in config/ pass `longwire check`")
def _(world):
    examples = sorted((ROOT / "config").glob("*.ini"))
    if not examples:
        raise Skip("there are none")
    for example in examples:
        text = example.read_text()
        folder = world.folder / example.stem
        folder.mkdir()
        file = folder / example.name
        file.write_text(text)
        make_keys(folder, text)
        done = subprocess.run([LONGWIRE, "check", str(file)], capture_output=True, text=True, check=False)
        check_equal(done.returncode, 0, f"{example.name}: {done.stderr}")


if __name__ == "__main__":
    tap.main()
