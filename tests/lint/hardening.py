"""How the program was built, read from the binary itself: what `checksec` would say. Each question is also put to a
program that was built soft on purpose, and must be answered with no there.

usage: hardening.py PROGRAM CC"""
import os
import platform
import re
import subprocess
import sys
import tempfile


def readelf(program, *options):
    return subprocess.run(["readelf", "-W", *options, program], capture_output=True, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


def position_independent(program):
    return "Type:                              DYN" in readelf(program, "-h") and "PIE" in readelf(program, "-d")


def relocations_read_only(program):
    dynamic = readelf(program, "-d")
    return "GNU_RELRO" in readelf(program, "-l") and ("BIND_NOW" in dynamic or re.search(r"FLAGS_1.*NOW", dynamic) is not None)


def stack_not_executable(program):
    found = re.search(r"GNU_STACK.*", readelf(program, "-l"))
    return found is not None and "E" not in found.group(0).split()[-2]


def no_writable_code(program):
    return not re.search(r"LOAD.* RWE ", readelf(program, "-l")) and "TEXTREL" not in readelf(program, "-d")


def symbols(program):
    return set(re.findall(r" (\w+)(?:@\S*)?(?: \(\d+\))?$", readelf(program, "--dyn-syms"), re.M))


def stack_protected(program):
    return "__stack_chk_fail" in symbols(program)


def library_calls_checked(program):
    return any(name.startswith("__") and name.endswith("_chk") for name in symbols(program))


def shadow_stack(program):
    return "SHSTK" in readelf(program, "-n")


def branches_land(program):
    """Does each function that may be called through a pointer begin with endbr64? main is one."""
    code = subprocess.run(["objdump", "-d", "--disassemble=main", program], capture_output=True, text=True, check=True).stdout
    return re.search(r"<main>:\n\s*[0-9a-f]+:.*endbr64", code) is not None


QUESTIONS = [
    (position_independent, "it runs at any address"),
    (relocations_read_only, "its relocations are done at the start and read-only then (full RELRO)"),
    (stack_not_executable, "its stack is not executable"),
    (no_writable_code, "no code of it is writable"),
    (stack_protected, "its stack frames are guarded"),
    (library_calls_checked, "calls of the C library are checked where sizes are known (FORTIFY)"),
]
INTEL = [
    (shadow_stack, "it is marked for shadow stacks (CET)"),
    (branches_land, "its functions are marked as targets of branches (CET)"),
]
SOFT = ["-O0", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-fcf-protection=none", "-no-pie", "-Wl,-z,norelro", "-Wl,-z,lazy",
        "-Wl,-z,execstack"]
WRITABLE = ["-nostdlib", "-static", "-Wl,-N,-e,main"]  # code and data in one segment; with libraries the linker refuses
WRITABLE_SOURCE = "int main(void) { return 0; }\n"
SOFT_SOURCE = "#include <stdio.h>\nint main(int n, char **v) { char t[9]; return sprintf(t, \"%s\", v[0]) + n; }\n"


def build_soft(cc, folder, name, text, more):
    source, program = os.path.join(folder, "soft.c"), os.path.join(folder, name)
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    options = [o for o in SOFT + more if platform.machine() == "x86_64" or "cf-protection" not in o]
    subprocess.run([*cc, *options, source, "-o", program], check=True, stderr=subprocess.DEVNULL)
    return program


def main():
    program, cc = sys.argv[1], sys.argv[2:]
    questions = QUESTIONS + (INTEL if platform.machine() == "x86_64" else [])
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        soft = build_soft(cc, folder, "soft", SOFT_SOURCE, [])
        writable = build_soft(cc, folder, "writable", WRITABLE_SOURCE, WRITABLE)
        for number, (question, says) in enumerate(questions, 1):
            good, noticed = question(program), not question(writable if question is no_writable_code else soft)
            failures += not (good and noticed)
            print(f"{'ok' if good and noticed else 'not ok'} {number} - {says}")
            if not noticed:
                print("# the soft program was not told from a hard one")
    print(f"1..{len(questions)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
