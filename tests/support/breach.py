"""Sources broken on purpose, one promise at a time, all behind a number that is chosen at run time: for tests of tests.

A breach has `edits`: [(file, an exact piece of it, what takes its place)], in which BREACH is true when it is chosen. A piece
that is not there any more fails the build, so that the list follows the code."""
import os
import sys


def sources(breaches):
    return sorted({path for edits in breaches for path, _, _ in edits})


def generated_name(path):
    return "sabotaged_" + path.replace("/", "_")


def generate(breaches, names, variable, list_file, root, out):
    """breaches: the edits of each. Writes the broken sources into out, a file each."""
    os.makedirs(out, exist_ok=True)
    for path in sources(breaches):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            text = f.read()
        for number, edits in enumerate(breaches, 1):
            for where, piece, instead in edits:
                if where != path:
                    continue
                if text.count(piece) != 1:
                    sys.exit(f"error: {list_file} breaks the gateway on purpose (\"{names[number - 1]}\") at a piece of {path} that "
                             f"is there {text.count(piece)} times now, and must be there once. Follow the change in BREACHES:\n{piece}")
                text = text.replace(piece, instead.replace("BREACH", f"({variable} == {number})"))
        at = text.rindex("#include ")
        at = text.index("\n", at) + 1
        text = text[:at] + f"extern unsigned {variable}; /* {list_file} */\n" + text[at:]
        with open(os.path.join(out, generated_name(path)), "w", encoding="utf-8") as f:
            f.write(f"#line 1 \"{path}\"\n" + text)


def command(argv, breaches, names, variable, list_file, up):
    """The words that meson uses: list, list sources, generate ROOT OUT. Return: None when it was none of these, else exit code."""
    if argv == ["list"]:
        print("\n".join(generated_name(path) for path in sources(breaches)))
        return 0
    if argv == ["list", "sources"]:  # seen from the list's folder
        print("\n".join(up + path for path in sources(breaches)))
        return 0
    if len(argv) == 3 and argv[0] == "generate":
        generate(breaches, names, variable, list_file, argv[1], argv[2])
        return 0
    return None
