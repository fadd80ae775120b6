#!/usr/bin/env python3
"""The codec gives the same bits on every machine: builds codec_bits for big-endian and 32-bit ones with
Debian's cross compilers, runs it under qemu-user, and holds the streams against this machine's.

usage: cross.py NATIVE ROOT FOLDER    NATIVE: codec_bits of this machine; FOLDER: where to build"""
import concurrent.futures
import glob
import os
import shutil
import subprocess
import sys
import threading

MACHINES = (  # name, compiler, emulator, what it stands for
    ("s390x", "s390x-linux-gnu-gcc", "qemu-s390x", "big-endian"),
    ("armhf", "arm-linux-gnueabihf-gcc", "qemu-arm", "32 bits, char unsigned"),
    ("i686", "i686-linux-gnu-gcc", "qemu-i386", "32 bits"),
)
# (memory of the model, bytes of payload). Emulation is slow, so most of it at the default memory.
STREAMS = ((256 << 10, 10000), (4 << 20, 300000), (16 << 20, 10000))
FLAGS = ("-std=gnu11", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
         "-Wno-missing-field-initializers")
TIMEOUT_S = 280  # a command, on a machine that has much else to do
# What the codec is made of. It needs nothing else of ours: a file missing here fails to link.
SOURCES = ("gateway/wire/codec*.c", "gateway/wire/mix_*.c", "gateway/wire/primer*.c",
           "base/buf.c", "base/hash.c", "base/utf8.c", "base/crc32.c",
           "tests/unit/wire_codec/run.c", "tests/unit/wire_codec/streams.c", "tests/cross/codec_bits.c")

print_lock = threading.Lock()
cases = 0
failed = 0


def case(good, name, text=""):
    """One TAP line, and why."""
    global cases, failed
    with print_lock:
        cases += 1
        failed += not good
        print(f"{'ok' if good else 'not ok'} {cases} - {name}")
        for line in text.splitlines():
            print("# " + line)
        sys.stdout.flush()
    return good


def skip(name, why):
    global cases
    with print_lock:
        cases += 1
        print(f"ok {cases} - {name} # SKIP {why}", flush=True)


def run(*command):
    """Return: exit status and what it said."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=TIMEOUT_S, check=False)
    return done.returncode, done.stdout


def build(compiler, root, program):
    """Compiles what is newer than the program. Return: exit status and what the compiler said."""
    sources = sorted(path for pattern in SOURCES for path in glob.glob(os.path.join(root, pattern)))
    headers = [path for folder in ("gateway/wire", "base", "tests/unit/wire_codec")
               for path in glob.glob(os.path.join(root, folder, "*.h"))]
    newest = max(os.path.getmtime(path) for path in sources + headers + [__file__])
    if os.path.exists(program) and os.path.getmtime(program) > newest:
        return 0, ""
    objects = []
    for source in sources:
        objects.append(f"{program}.{os.path.basename(source)}.o")
        status, said = run(compiler, *FLAGS, "-I", root, "-c", source, "-o", objects[-1])
        if status:
            return status, said
    # Static, so that the emulator needs no libraries of the machine.
    return run(compiler, "-static", *objects, "-o", program)


def content(path):
    with open(path, "rb") as f:
        return f.read()


def compare(native, emulated, machine, what, folder):
    """All streams both ways between this machine and another."""
    same, there, here = [], [], []
    for memory, size in STREAMS:
        ours = os.path.join(folder, f"native.{memory}")
        theirs = os.path.join(folder, f"{machine}.{memory}")
        status, said = run(*emulated, theirs, memory, size, ours)
        if status:
            there.append(said)
        if content(ours) != content(theirs):
            same.append(said)
        status, said = run(native, os.path.join(folder, f"again.{machine}.{memory}"), memory, size, theirs)
        if status:
            here.append(said)
    case(not same, f"{machine} ({what}) encodes to the same bytes as this machine", "\n".join(same))
    case(not there, f"{machine} ({what}) decodes what this machine encoded", "\n".join(there))
    case(not here, f"this machine decodes what {machine} ({what}) encoded", "\n".join(here))


def test(native, root, folder, machine, compiler, emulator, what):
    if not shutil.which(compiler) or not shutil.which(emulator):
        skip(f"{machine} ({what}) codes as this machine does", f"{compiler} or {emulator} is not installed")
        return
    program = os.path.join(folder, f"codec_bits.{machine}")
    try:
        status, said = build(compiler, root, program)
        if not case(status == 0, f"the codec builds for {machine} without a warning", said):
            return
        compare(native, (emulator, program), machine, what, folder)
    except subprocess.TimeoutExpired as late:
        case(False, f"{machine} ({what}) codes as this machine does", str(late))


def main():
    native, root, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    for memory, size in STREAMS:
        status, said = run(native, os.path.join(folder, f"native.{memory}"), memory, size)
        case(status == 0, f"this machine encodes with {memory >> 10} KB of memory", said)
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for done in [pool.submit(test, native, root, folder, *machine) for machine in MACHINES]:
            done.result()
    print(f"1..{cases}")
    sys.exit(1 if failed else 0)


main()
