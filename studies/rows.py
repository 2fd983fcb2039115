"""The official results table, and names of its rows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

LEADERBOARD = Path(__file__).parents[1] / "leaderboard"
VERSION_1 = "commit 084968c2"
"""Where the rows of version 1 are, and the pages that were written from them."""


class RowName(NamedTuple):
    """Agent, environment and training seed of a row."""

    agent: str
    """Agent of the zoo."""
    environment: str
    """Gymnasium id."""
    seed: int
    """Training seed."""
