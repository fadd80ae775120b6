#!/usr/bin/env python3
"""Who may include and call what (docs/DESIGN.md, layers), held against the tree.

usage: rules.py ROOT

Each rule is two cases of TAP: it holds for every file, and it notices a breach, for which each rule
carries examples of its own. A rule is a function of one file that yields (line, what is wrong)."""
import fnmatch
import os
import re
import sys

SOURCES = (".c", ".h")
OURS = ("base", "config", "store", "link_drivers", "gateway", "tests")


class File:
    def __init__(self, path, text, tree=()):
        self.path = path
        self.text = text
        self.tree = tree  # all paths, for rules that ask whether another file is there
        self.is_c = path.endswith(SOURCES)
        self.code = strip_c(text) if self.is_c else text

    def within(self, *patterns):
        return any(fnmatch.fnmatch(self.path, p) for p in patterns)

    def includes(self):
        """(line, name, quoted) of each #include, those in comments left out."""
        for number, line in enumerate(self.code.splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*(<([^>]+)>|"([^"]+)")', line)
            if found:
                yield number, found.group(2) or found.group(3), found.group(3) is not None

    def calls(self, names):
        """(line, name) of each call of a C function of these names."""
        pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(names))
        for number, line in enumerate(blank_strings(self.code).splitlines(), 1):
            for found in pattern.finditer(line):
                yield number, found.group(1)


def strip_c(text):
    """The text without its comments, line numbers kept; strings stay, for #include needs them."""
    def replace(found):
        token = found.group(0)
        return re.sub(r"[^\n]", " ", token) if token.startswith("/") else token
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', replace, text, flags=re.S)


def blank_strings(code):
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', code)


# --- who includes whom -----------------------------------------------------------------------------------

LAYERS = {  # folder: what of ours it may include
    "base": ("base",),
    "config": ("base", "config"),
    "store": ("base", "store"),
    "link_drivers": ("base", "link_drivers"),
    "gateway/wire": ("base", "gateway/wire"),
    "gateway/mqtt": ("base", "gateway/mqtt"),
}


def layers(f):
    for folder, allowed in LAYERS.items():
        if not f.is_c or not f.path.startswith(folder + "/"):
            continue
        for line, name, quoted in f.includes():
            ours = quoted or name.split("/")[0] in OURS
            if ours and not name.startswith(tuple(a + "/" for a in allowed)):
                yield line, f"{folder}/ includes {name}, allowed: {', '.join(allowed)}"


LIBRARIES = {  # header: the files that may include it; tests may include any
    "sqlite3.h": ("store/*",),
    "sqlite3ext.h": ("store/*",),
    "libserialport.h": ("link_drivers/serial_port.c",),
    "ini.h": ("config/*",),
    "event2/*": ("gateway/mqtt/connection*", "gateway/cli/*", "gateway/daemon/*", "gateway/ops/*"),
    "event.h": (),
    "openssl/*": ("gateway/mqtt/connection*", "gateway/mqtt/tls.c", "gateway/wire/crypto.c"),
    "jansson.h": ("gateway/bridge/*", "gateway/cli/*", "gateway/daemon/*", "gateway/ops/*"),
    "cmocka.h": (),
    "systemd/*": ("gateway/cli/*", "gateway/daemon/*", "gateway/ops/*"),
}


def libraries(f):
    if not f.is_c or f.path.startswith("tests/"):
        return
    for line, name, quoted in f.includes():
        for library, homes in LIBRARIES.items():
            if not quoted and fnmatch.fnmatch(name, library) and not f.within(*homes):
                yield line, f"<{name}> belongs to {', '.join(homes) or 'tests/'}"


# --- what decides is pure --------------------------------------------------------------------------------

PURE = ("gateway/wire/*", "gateway/mqtt/*")
EDGES = ("gateway/mqtt/connection*", "gateway/mqtt/tls.[ch]")  # what is linked beside the session, not into it
IMPURE_HEADERS = ("time.h", "unistd.h", "fcntl.h", "poll.h", "signal.h", "pthread.h", "syslog.h", "threads.h",
                  "sys/time.h", "sys/socket.h", "sys/stat.h", "sys/mman.h", "sys/random.h", "sys/epoll.h",
                  "netdb.h", "event2/*", "sqlite3.h")
CLOCKS = ("clock_gettime", "gettimeofday", "time", "clock", "ftime", "timespec_get")
SLEEPS = ("sleep", "usleep", "nanosleep", "clock_nanosleep")
TALK = ("printf", "fprintf", "vprintf", "vfprintf", "dprintf", "puts", "fputs", "putchar", "fputc", "perror",
        "fopen", "fwrite", "syslog", r"log_(?:err|warn|info|debug)")
CHANCE = ("rand", "random", "srand", "srandom", "getrandom", "getentropy", "arc4random")


def pure(f):
    if not f.is_c or not f.within(*PURE) or f.within(*EDGES):
        return
    for line, name, _ in f.includes():
        if any(fnmatch.fnmatch(name, bad) for bad in IMPURE_HEADERS):
            yield line, f"{name} in a pure part: it takes bytes, events and the time as arguments"
    for line, name in f.calls(CLOCKS + SLEEPS + TALK + CHANCE):
        yield line, f"{name}() in a pure part: it neither reads clocks nor writes logs nor throws dice"


def bridge_time(f):
    if not f.is_c or not f.within("gateway/bridge/*"):
        return
    for line, name, _ in f.includes():
        if name.startswith("event2/") or name in ("event.h", "sys/time.h"):
            yield line, f"{name} in bridge/: the simulator runs it without a loop"
    for line, name in f.calls(CLOCKS + SLEEPS):
        yield line, f"{name}() in bridge/: the time is an argument, for the simulator"


def driver_time(f):
    if not f.is_c or not f.within("link_drivers/*"):
        return
    for line, name in f.calls(CLOCKS + SLEEPS + ("tcdrain",)):
        yield line, f"{name}() in a driver: now_ms is an argument, and nothing waits"


def loop_never_sleeps(f):
    if not f.is_c or f.path.startswith("tests/"):
        return
    for line, name in f.calls(SLEEPS + ("tcdrain",)):
        yield line, f"{name}(): the loop never blocks (I10)"


# --- form --------------------------------------------------------------------------------------------------

MAX_LINES = 800


def long_files_say_why(f):
    if not f.path.endswith(SOURCES + (".py",)) or f.text.count("\n") <= MAX_LINES:
        return
    top = re.match(r'\s*(?:#!.*\n)?\s*(/\*.*?\*/|""".*?""")', f.text, re.S)
    if not top or not re.search(r"\b(one|single) file\b|\bso long\b", top.group(1), re.I):
        yield 1, f"more than {MAX_LINES} lines: split it, or say in the top comment why it is one file"


def tests_never_sleep(f):
    if not f.path.startswith("tests/") or f.path.startswith("tests/lint/"):
        return
    if f.is_c:
        for line, name in f.calls(SLEEPS):
            yield line, f"{name}() in a test: wait for the event"
        return
    for number, line in enumerate(f.text.splitlines(), 1):
        bare = line.split("#")[0]
        if f.path.endswith(".py") and re.search(r"\b(time|asyncio)\.sleep\s*\(|(?<![\w.])sleep\s*\(", bare):
            yield number, "sleep in a test: wait for the event"
        elif f.path.endswith(".sh") and re.search(r"(^|[;&|(]\s*|\s)sleep\s+\S", bare):
            yield number, "sleep in a test: wait for the event"


def own_header_first(f):
    own = f.path[:-2] + ".h"
    if not f.path.endswith(".c") or own not in f.tree:
        return
    first = next(iter(f.includes()), None)
    if first is None or first[1] != own:
        yield first[0] if first else 1, f'the first include is "{own}", so that the header is known to stand alone'


def includes_from_the_root(f):
    if not f.is_c:
        return
    for line, name, quoted in f.includes():
        if quoted and name not in f.tree:
            yield line, f'"{name}" is not a path from the root of the tree'


def headers_are_guarded(f):
    if not f.path.endswith(".h"):
        return
    parts = re.sub(r"[^\w/]", "_", f.path).upper().split("/")
    guards = ["_".join(parts[i:]) for i in range(len(parts) - 1)]
    if parts[:2] == ["TESTS", "UNIT"]:
        guards.append("_".join(["TESTS"] + parts[2:]))
    if not re.search(rf"^#ifndef ({'|'.join(guards)})\n#define \1$", f.text, re.M):
        yield 1, f"the guard is {' or '.join(guards)}"


# --- the cases ---------------------------------------------------------------------------------------------

# (rule, what it says, examples that must be noticed, examples that must not)
RULES = [
    (layers, "each layer includes only the layers below it", [
        ("base/x.c", '#include "config/config.h"\n'),
        ("base/x.h", '#include <store/store.h>\n'),
        ("config/x.c", '#include "link_drivers/driver.h"\n'),
        ("config/x.c", '/* why */ #include "store/store.h"\n'),
        ("store/x.c", '#include "gateway/wire/codec.h"\n'),
        ("link_drivers/x.c", '#  include "config/config.h"\n'),
        ("gateway/wire/x.c", '#include "store/store.h"\n'),
        ("gateway/wire/x.c", '#include "gateway/mqtt/session.h"\n'),
        ("gateway/mqtt/session.c", '#include "config/config.h"\n'),
    ], [
        ("base/x.c", '#include "base/buf.h"\n#include <string.h>\n'),
        ("store/x.c", '/* #include "config/config.h" */\n#include "store/store.h"\n'),
        ("gateway/bridge/x.c", '#include "store/store.h"\n#include "config/config.h"\n'),
        ("tests/unit/base/x.c", '#include "gateway/wire/codec.h"\n'),
    ]),
    (libraries, "outside libraries stay in the folder that is named for them", [
        ("gateway/bridge/x.c", "#include <sqlite3.h>\n"),
        ("link_drivers/serial.c", "#include <libserialport.h>\n"),
        ("gateway/cli/x.c", "#include <ini.h>\n"),
        ("link_drivers/tcp.c", "#include <event2/event.h>\n"),
        ("gateway/bridge/x.c", "#include <event2/event.h>\n"),
        ("gateway/mqtt/session.c", "#include <event2/bufferevent.h>\n"),
        ("gateway/wire/codec.c", "#include <openssl/evp.h>\n"),
        ("gateway/wire/seal.h", "#include <openssl/evp.h>\n"),
        ("base/x.c", "#include <cmocka.h>\n"),
    ], [
        ("store/x.c", "#include <sqlite3.h>\n"),
        ("link_drivers/serial_port.c", "#include <libserialport.h>\n"),
        ("gateway/mqtt/connection.c", "#include <openssl/ssl.h>\n#include <event2/event.h>\n"),
        ("gateway/wire/crypto.c", "#include <openssl/evp.h>\n"),
        ("tests/unit/store/x.c", "#include <sqlite3.h>\n#include <cmocka.h>\n"),
    ]),
    (pure, "wire, the MQTT codec and the session read no clock, own no descriptor and log nothing", [
        ("gateway/wire/arq.c", "#include <time.h>\n"),
        ("gateway/mqtt/packet.c", "#include <unistd.h>\n"),
        ("gateway/mqtt/session.h", "#include <sqlite3.h>\n"),
        ("gateway/mqtt/session.c", "x = time(NULL);\n"),
        ("gateway/mqtt/tls_state.c", "x = time(NULL);\n"),
        ("gateway/wire/arq.c", 'if (x)\n  fprintf(stderr, "x");\n'),
        ("gateway/wire/arq.c", 'log_warn("wire", "x=1");\n'),
        ("gateway/wire/arq.c", "x = rand();\n"),
    ], [
        ("gateway/mqtt/connection.c", "#include <unistd.h>\n#include <time.h>\n"),
        ("gateway/wire/arq.c", "#include <stdio.h>\nsnprintf(x, 1, y);\nnext_time(x); /* time() */\na->time(1);\n"),
        ("gateway/wire/arq.c", 'const char *s = "time() is up";\n'),
    ]),
    (bridge_time, "the bridge takes its time as an argument and knows no loop", [
        ("gateway/bridge/x.c", "#include <event2/event.h>\n"),
        ("gateway/bridge/x.c", "clock_gettime(CLOCK_MONOTONIC, &t);\n"),
        ("gateway/bridge/x.c", "t = time(0);\n"),
        ("gateway/bridge/x.c", "gettimeofday(&t, NULL);\n"),
    ], [
        ("gateway/cli/x.c", "clock_gettime(CLOCK_MONOTONIC, &t);\n"),
        ("gateway/bridge/x.c", "gmtime_r(&t, &tm); /* not time(0) */\nlast_time(x);\n"),
    ]),
    (driver_time, "drivers read no clock and wait for nothing", [
        ("link_drivers/x.c", "clock_gettime(CLOCK_MONOTONIC, &t);\n"),
        ("link_drivers/x.c", "tcdrain(fd);\n"),
    ], [("link_drivers/x.c", "host->ops->timer(host, now_ms);\n")]),
    (loop_never_sleeps, "nothing of the program sleeps", [
        ("gateway/cli/x.c", "usleep(10);\n"),
        ("store/x.c", "sleep(1);\n"),
    ], [("gateway/cli/x.c", "oversleep(1);\n")]),
    (long_files_say_why, f"a file of more than {MAX_LINES} lines says why", [
        ("store/x.c", "/* The outbox. */\n" + "int x;\n" * 900),
        ("store/x.c", "int x;\n" * 801),
        ("tests/e2e/x.py", '"""A test."""\n' + "x = 1\n" * 900),
    ], [
        ("store/x.c", "/* One file, because the tables hang together. */\n" + "int x;\n" * 900),
        ("store/x.c", "int x;\n" * 800),
        ("tests/e2e/x.py", '#!/usr/bin/env python3\n"""A table, so it is one file."""\n' + "x = 1\n" * 900),
    ]),
    (tests_never_sleep, "tests wait for events and never sleep", [
        ("tests/unit/x_test.c", "usleep(1000);\n"),
        ("tests/e2e/x.py", "    time.sleep(1)\n"),
        ("tests/e2e/x.py", "sleep(1)\n"),
        ("tests/e2e/x.sh", "sleep 1\n"),
    ], [
        ("tests/unit/x_test.c", "/* no sleep(1) */ event_loop(x);\n"),
        ("tests/e2e/x.py", "x = 1  # no time.sleep(1)\n"),
    ]),
    (own_header_first, "a source file includes its own header first", [
        ("base/buf.c", '#include <string.h>\n#include "base/buf.h"\n'),
        ("base/buf.c", "int x;\n"),
    ], [
        ("base/buf.c", '/* #include <x.h> */\n#include "base/buf.h"\n#include <string.h>\n'),
        ("base/other.c", "#include <string.h>\n"),
    ]),
    (includes_from_the_root, "includes of ours are paths from the root", [
        ("base/buf.c", '#include "buf.h"\n'),
    ], [("base/buf.c", '#include "base/buf.h"\n')]),
    (headers_are_guarded, "headers are guarded by their path", [
        ("base/buf.h", "int x;\n"),
        ("base/buf.h", "#ifndef BUF_H\n#define BUF_H\n#endif\n"),
    ], [("base/buf.h", "/* x */\n#ifndef BASE_BUF_H\n#define BASE_BUF_H\n#endif\n")]),
]

EXAMPLE_TREE = frozenset(["base/buf.c", "base/buf.h"])


def read_tree(root):
    texts = {}
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(d for d in folders if not d.startswith((".", "build")) and d != "__pycache__")
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), root)
            if path.endswith(SOURCES) or (path.startswith("tests/") and path.endswith((".py", ".sh"))):
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    texts[path] = file.read()
    tree = frozenset(texts)
    return [File(path, text, tree) for path, text in texts.items()]


def main():
    files = read_tree(sys.argv[1])
    cases = failures = 0

    def case(good, name, details):
        nonlocal cases, failures
        cases += 1
        failures += not good
        print(f"{'ok' if good else 'not ok'} {cases} - {name}")
        for detail in details:
            print(f"# {detail}")

    folders = {f.path.split("/")[0] for f in files}
    case(set(OURS) <= folders, "every folder of the tree is looked at", [f"seen: {sorted(folders)}"])
    for rule, says, breaches, fine in RULES:
        found = [f"{f.path}:{line}: {what}" for f in files for line, what in rule(f)]
        case(not found, says, found)
        missed = [f"missed in {path}: {text[:60]!r}" for path, text in breaches
                  if not list(rule(File(path, text, EXAMPLE_TREE)))]
        wrong = [f"cried over {path}: {text[:60]!r}" for path, text in fine
                 if list(rule(File(path, text, EXAMPLE_TREE)))]
        case(not missed and not wrong, "noticed when not: " + says, missed + wrong)
    print(f"1..{cases}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
