"""Names, titles and seeds in files and commands."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterable

# ---- names ---------------------------------------------------------------------------------------
AGENT_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
AGENT_NAME_RULE = "small letters, digits and hyphens"
MAX_AGENT_NAME = 64
UNREGISTERED = "unregistered/"
"""Beginning of the recorded names of environments that no gymnasium id makes: their class."""


def without_controls(text: str) -> str:
    """Return a text with ``?`` for unprintable characters (tabs, too) except line feeds."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def printable(text: str, most: int = 2000) -> str:
    """Return a text, which may quote any file, as one printable line of ``most`` characters."""
    line = " ".join(text.split())
    return without_controls(line if len(line) <= most else f"{line[:most]}…")


def check_new_name(name: str, kind: str, taken: Iterable[str]) -> None:
    """Raise ValueError for a name to register that is no identifier, or is ``taken``."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"the name of the {kind} must be an identifier, got {name!r}")
    if name in taken:
        raise ValueError(f"{kind} {name!r} is registered already: {', '.join(taken)}")


def check_subclass(argument: str, given: object, *bases: type) -> None:
    """Raise TypeError for an argument that is no class derived from one of ``bases``."""
    if not (isinstance(given, type) and issubclass(given, bases)):
        names = " or ".join(base.__name__ for base in bases)
        raise TypeError(f"{argument} must be a subclass of {names}, got {given!r}")


def did_you_mean(name: str, known: Iterable[str], otherwise: str = ";") -> str:
    """Return ``; did you mean 'KNOWN'?`` for an error; ``otherwise`` if no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else otherwise


# ---- seeds ---------------------------------------------------------------------------------------
def parse_seeds(text: str | None) -> range | None:
    """Return the seeds of ``3`` or ``0-9``, 9 included; None for None; ValueError for others."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if match is None or (match[2] and int(match[2]) < int(match[1])):
        raise ValueError(f"seeds must be a number or a range such as 0-9, got {text[:80]!r}")
    return range(int(match[1]), int(match[2] or match[1]) + 1)


def shown_seeds(seeds: Iterable[int]) -> str:
    """Return distinct seeds in order as text, such as ``0-4, 7``."""
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and seed == ranges[-1][-1] + 1:
            ranges[-1].append(seed)
        else:
            ranges.append([seed])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in ranges)
