"""What the bench scripts have in common: where and when a figure was measured, and the part of a document it stands in."""
import platform
import subprocess
import time


def measured(root):
    """The beginning of a sentence: day, commit and processor."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), platform.machine())
    commit = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True,
                            check=False).stdout.strip()
    return f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} at {commit} on {model}"


def write_part(path, script, text):
    """Replaces what stands in a document between the marks of a script."""
    begin, end = f"<!-- {script}: begin -->", f"<!-- {script}: end -->"
    with open(path, encoding="utf-8") as f:
        before, _, rest = f.read().partition(begin)
    _, _, after = rest.partition(end)
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"{before}{begin}\n{text}\n{end}{after}")
