"""Names, titles and seeds as files and commands write them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# ---- names ---------------------------------------------------------------------------------------
AGENT_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
"""Pattern of an agent's name."""
MAX_AGENT_NAME = 64
"""Most letters of an agent's name."""
AGENT_NAME_RULE = "small letters, digits and hyphens"
"""The rule for an agent's name in words."""
_NO_TITLE = re.compile(r"[^A-Za-z0-9 _.,:;()/+=%'-]")
_MAX_TITLE = 300


def safe_title(text: str) -> str:
    """Return a text as a title that may stand in any generated file.

    Letters and digits of ASCII, spaces and ``_.,:;()/+=%'-`` stay. Every other character becomes an
    underscore. So a title can't end a comment in C, begin an element in HTML, split a cell in
    Markdown or steer a terminal.

    Args:
        text: Any text, which a stranger may have written.
    """
    return _NO_TITLE.sub("_", " ".join(text.split()))[:_MAX_TITLE]


def without_controls(text: str) -> str:
    """Return a text with ``?`` in place of control characters, which terminals act on.

    Line ends stay.

    Args:
        text: Any text, which a stranger may have written.
    """
    return "".join(x if x.isprintable() or x == "\n" else "?" for x in text)


def did_you_mean(name: str, known: Iterable[str], otherwise: str = ";") -> str:
    """Return what an error says after naming what it does not know.

    Args:
        name: The unknown name.
        known: All that there are.
        otherwise: What to say where none of them is near.
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else otherwise


# ---- seeds ---------------------------------------------------------------------------------------
def parse_seeds(text: str | None) -> range | None:
    """Return the seeds that a text such as ``3`` or ``0-9`` names, both ends included.

    Args:
        text: A number or a range; None for none.

    Raises:
        ValueError: It names none.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if match is None or (match[2] and int(match[2]) < int(match[1])):
        raise ValueError(f"seeds must be a number or a range such as 0-9, got {text[:80]!r}")
    return range(int(match[1]), int(match[2] or match[1]) + 1)


def shown_seeds(seeds: Iterable[int]) -> str:
    """Return seeds as ``parse_seeds`` reads them, ranges with commas between, such as ``0-4, 7``.

    Args:
        seeds: Different seeds.
    """
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and seed == ranges[-1][-1] + 1:
            ranges[-1].append(seed)
        else:
            ranges.append([seed])
    return ", ".join(f"{x[0]}-{x[-1]}" if len(x) > 1 else str(x[0]) for x in ranges)
