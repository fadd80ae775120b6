"""The grammar of a command line: text in, commands out. Nothing here knows what a command does."""
import re

LINE_MAX = 128

# Longest first, so that +SBDIXA is not taken for +SBDIX with a tail.
EXTENDED = sorted([
    "+SBDWB", "+SBDWT", "+SBDRB", "+SBDRT", "+SBDIXA", "+SBDIX", "+SBDI", "+SBDDET", "+SBDDSC", "+SBDD", "+SBDC",
    "+SBDSX", "+SBDST", "+SBDS", "+SBDTC", "+SBDMTA", "+SBDREG", "+SBDAREG", "+SBDLOE", "+SBDGW", "+SBDGWN", "+CSQF",
    "+CSQ", "+CIER", "+CRIS", "+CGSN", "+GSN", "+CGMM", "+GMM", "+CGMI", "+GMI", "+CGMR", "+GMR", "+CULK", "+IPR", "+CCLK",
    "+CREG", "-MSSTM", "-MSGEO"], key=len, reverse=True)


class Malformed(Exception):
    """The line is answered with ERROR."""


class Ignored(Exception):
    """The line is not for the modem at all: no answer."""


class Command:
    """name as upper case (E, &K, *F, +SBDWB); operator '' (plain), '=', '?' or '=?'; argument as written."""

    def __init__(self, name, operator="", argument=""):
        self.name, self.operator, self.argument = name, operator, argument

    def __repr__(self):
        return f"{self.name}{self.operator}{self.argument}"


def body(line):
    """What follows AT. What stands before it does not count."""
    if len(line) > LINE_MAX:
        raise Malformed("longer than 128 characters")
    found = re.search(r"AT|at", line)
    if not found:
        if re.search(r"[Aa][Tt]", line):
            raise Malformed("mixed case")
        raise Ignored(line)
    return line[found.end():]


def parse(line):
    """[Command] of a line without its CR. Raises Malformed or Ignored."""
    text = body(line)
    commands = []
    at = 0
    while at < len(text):
        if text[at] in " ;":
            at += 1
            continue
        command, at = _one(text, at)
        commands.append(command)
    return commands


def _one(text, at):
    upper = text.upper()
    if text[at] in "+-":
        name = next((n for n in EXTENDED if upper.startswith(n, at)), None)
        if name is None:
            raise Malformed(f"unknown command {text[at:]}")
        at += len(name)
        end = len(text) if name == "+SBDWT" else (text + ";").index(";", at)
        rest = text[at:end]
        if rest.startswith("=?"):
            return Command(name, "=?"), end
        if rest.startswith("="):
            return Command(name, "=", rest[1:]), end
        if rest == "?":
            return Command(name, "?"), end
        if rest and not (name == "+SBDD" and rest in "012") and not (name in ("+SBDREG",) and rest == ""):
            raise Malformed(f"{name} followed by {rest}")
        return Command(name, "", rest), end
    found = re.match(r"([&*%\\]?)([A-Z])(\d*)(=\d*|\?)?", upper[at:])
    if not found:
        raise Malformed(f"unknown command {text[at:]}")
    prefix, letter, digits, tail = found.groups()
    operator = "" if not tail else tail[0]
    argument = digits if not tail or tail == "?" else f"{digits}={tail[1:]}"
    return Command(prefix + letter, operator, argument), at + found.end()
