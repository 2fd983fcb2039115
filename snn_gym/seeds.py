"""Seeds as commands and plans write them."""

from __future__ import annotations

import re


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
