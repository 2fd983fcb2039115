"""Seeds as commands and plans write them."""

from __future__ import annotations

import re
from collections.abc import Iterable


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
