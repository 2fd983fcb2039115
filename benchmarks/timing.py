"""Time two things in turn, so that a drifting machine speed hits both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Paired:
    """Timings of A and B, taken in turn."""

    seconds_a: tuple[float, ...]
    seconds_b: tuple[float, ...]

    @property
    def median_a_ms(self) -> float:
        """Median time of A (ms)."""
        return 1000 * statistics.median(self.seconds_a)

    @property
    def median_b_ms(self) -> float:
        """Median time of B (ms)."""
        return 1000 * statistics.median(self.seconds_b)

    @property
    def ratios(self) -> tuple[float, float, float]:
        """First quartile, median and third quartile of B / A, pair by pair."""
        ratios = [b / a for a, b in zip(self.seconds_a, self.seconds_b, strict=True)]
        first, median, third = statistics.quantiles(ratios, n=4)
        return first, median, third


def paired(a: Callable[[], object], b: Callable[[], object], pairs: int) -> Paired:
    """Time A and B in turn, after three unrecorded pairs.

    Args:
        a: The thing to judge.
        b: What it is compared with.
        pairs: Number of pairs, at least 2.
    """
    for _ in range(3):
        a()
        b()
    times_a, times_b = [], []
    for _ in range(pairs):
        start = time.perf_counter()
        a()
        middle = time.perf_counter()
        b()
        end = time.perf_counter()
        times_a.append(middle - start)
        times_b.append(end - middle)
    return Paired(tuple(times_a), tuple(times_b))
