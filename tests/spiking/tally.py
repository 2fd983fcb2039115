"""A tally of comparisons that were excused, and a check that they are seldom."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

MOST_EXCUSED = 0.1


@dataclass
class Tally:
    """Comparisons made, and those that a spike at a tiny margin made impossible."""

    made: int = 0
    excused: int = 0


@contextmanager
def few_excused():
    """Give a tally to the comparisons of one test, and fail if too many were excused, or none made.

    Within one test, because another test may run in another process.
    """
    tally = Tally()
    yield tally
    assert tally.made > 0
    assert tally.excused <= MOST_EXCUSED * tally.made, tally
