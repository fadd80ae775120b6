"""The service unit, judged by systemd's own tools where they are: its syntax, and how far it shuts the service in.

usage: unit.py UNIT"""
import re
import shutil
import subprocess
import sys

WORST = 2.0  # of systemd-analyze security: 0 is shut in wholly, 10 not at all; network and serial ports cost what is left


def exposure(unit):
    done = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true", unit], capture_output=True, text=True,
                          check=False)
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    return float(found.group(1)) if found else None


def main():
    unit = sys.argv[1]
    if not shutil.which("systemd-analyze"):
        print("1..0 # SKIP there is no systemd-analyze here")
        return 0
    level = exposure(unit)
    with open(unit, encoding="utf-8") as file:
        text = file.read()
    says = {
        "the unit is shut in": level is not None and level <= WORST,
        "the service says when it is ready": "\nType=notify\n" in text,
        "a service that hangs is started again": re.search(r"\nWatchdogSec=\d+\n", text) is not None and "\nRestart=always\n" in text,
        "the service runs as a user of its own": "\nUser=longwire\n" in text and "\nCapabilityBoundingSet=\n" in text,
    }
    print(f"1..{len(says)}\n# exposure {level}, allowed {WORST}")
    for number, (name, good) in enumerate(says.items(), 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    return 0 if all(says.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
