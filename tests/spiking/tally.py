"""Tally of excused comparisons, and a check that excuses are rare."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

MOST_EXCUSED = 0.1


@dataclass
class Tally:
    """Number of comparisons, and of comparisons excused by a spike at a tiny margin."""

    made: int = 0
    excused: int = 0


@contextmanager
def few_excused():
    """Give a tally to one test; fail if too many comparisons are excused, or none are made.

    Within one test, because another test may run in another process.
    """
    tally = Tally()
    yield tally
    assert tally.made > 0
    assert tally.excused <= MOST_EXCUSED * tally.made, tally
