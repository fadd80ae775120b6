#!/usr/bin/env python3
"""gcc -fanalyzer and clang-tidy (.clang-tidy has its checks) over every C file of the program; two at a time.

    analyzers.py SOURCE BUILD    BUILD has compile_commands.json

Four cases in TAP: each tool finds nothing, and each notices a fault that was planted."""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

FOLDERS = ("base/", "config/", "store/", "link_drivers/", "gateway/")
# Left out, as they cry over what is right: who owns memory through a list of structs is not followed (malloc-leak), nor
# what a returned bool says of an argument (null-argument, null-dereference; the sanitizers see those).
GCC = ["gcc", "-fanalyzer", "-O1", "-std=gnu11", "-D_GNU_SOURCE", '-DLONGWIRE_VERSION="x"', "-Wno-analyzer-malloc-leak",
       "-Wno-analyzer-null-argument", "-Wno-analyzer-null-dereference", "-I.", "-c", "-o", "/dev/null"]
PLANTED = """#include <stdlib.h>
#include <string.h>
void f(char *p);
void f(char *p)
{
    free(p);
    memset(p, 0, sizeof(p));
    free(p);
}
"""


def findings(command, files, root):
    """The lines with a finding, of all files."""
    def one(file):
        done = subprocess.run(command + [file], cwd=root, capture_output=True, text=True)
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "warning:" in line or "error:" in line]
        return lines or ([f"{file}: {command[0]} ended with {done.returncode}"] if done.returncode else [])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return sorted({line for lines in pool.map(one, files) for line in lines})


def planted(command):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "planted.c")
        with open(path, "w", encoding="ascii") as file:
            file.write(PLANTED)
        with open(os.path.join(folder, "compile_commands.json"), "w", encoding="ascii") as file:
            json.dump([{"directory": folder, "file": path, "command": f"cc -c {path}"}], file)
        return findings([word.replace("@BUILD@", folder) for word in command], [path], folder)


def main():
    root, build = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        paths = {os.path.relpath(os.path.join(c["directory"], c["file"]), root) for c in json.load(file)}
    files = sorted(p for p in paths if p.startswith(FOLDERS) and p.endswith(".c"))
    tidy = ["clang-tidy", "-p", "@BUILD@", "--quiet", "--extra-arg=-Wno-unknown-warning-option",
            "--config-file=" + os.path.join(root, ".clang-tidy")]
    cases = 0
    for name, command in (("gcc -fanalyzer", GCC), ("clang-tidy", tidy)):
        found = findings([word.replace("@BUILD@", build) for word in command], files, root)
        for good, says, details in ((len(files) > 100 and not found, f"{name} finds nothing in {len(files)} files", found),
                                    (bool(planted(command)), f"{name} notices a planted fault", [])):
            cases += 1
            print(f"{'ok' if good else 'not ok'} {cases} - {says}")
            for line in details:
                print(f"# {line}")
    print(f"1..{cases}")


if __name__ == "__main__":
    main()
