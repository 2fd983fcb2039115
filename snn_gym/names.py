"""Names: how an agent's is written, and the one that somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

AGENT_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
"""Pattern of an agent's name."""
AGENT_NAME_RULE = "small letters, digits and hyphens"
"""What that pattern says."""


def did_you_mean(name: str, known: Iterable[str], otherwise: str = ";") -> str:
    """Return what an error says after naming what it does not know.

    Args:
        name: The unknown name.
        known: All that there are.
        otherwise: What to say where none of them is near.
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else otherwise
