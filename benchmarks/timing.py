"""Time things in turn, so that a drifting machine speed hits all alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snn_gym._base.config import Config

Run = Callable[[], object]
"""The timed function."""
Samples = dict[str, tuple[float, ...]]
"""Seconds of one call by contender, one number for each round; rounds pair them."""

_SAMPLE_SECONDS = 5e-3
"""Quicker functions are called several times for one sample: the first call finds another
contender's numbers in the cache, unlike in a training."""
_MOST_ROUNDS = 300
_WARM_UPS = 3
_SLOW_SECONDS = 0.1
"""Slower functions are warm after one call."""


@dataclass(frozen=True)
class Quartiles(Config):
    """Three numbers that say where repeated measurements lie."""

    low: float
    """First quartile."""
    median: float
    """Second."""
    high: float
    """Third."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Quartiles:
        """Return the quartiles of measurements, at least one."""
        low, median, high = np.quantile(np.asarray(values, dtype=np.float64), (0.25, 0.5, 0.75))
        return cls(float(low), float(median), float(high))


def race(
    contenders: Mapping[str, Run],
    seconds: float,
    least_rounds: int = 11,
    clock: Callable[[], float] | None = None,
) -> Samples:
    """Time contenders in turn; each round begins with another of them.

    ``clock`` returns seconds, those of the wall if None.
    """
    calls = {name: _calls(run) for name, run in contenders.items()}
    per_round = sum(count * estimate for count, estimate in calls.values())
    rounds = min(max(least_rounds, math.floor(seconds / per_round)), _MOST_ROUNDS)
    names, times = list(contenders), {name: [0.0] * rounds for name in contenders}
    for index in range(rounds):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            times[name][index] = _time(contenders[name], calls[name][0], clock)
    return {name: tuple(values) for name, values in times.items()}


def _calls(run: Run) -> tuple[int, float]:
    """Warm up, and return how many calls make a sample and how long one takes (s)."""
    seconds = _time(run, 1)
    for _ in range(_WARM_UPS - 1 if seconds < _SLOW_SECONDS else 1):
        seconds = min(seconds, _time(run, 1))
    return max(1, math.ceil(_SAMPLE_SECONDS / seconds)), seconds


def _time(run: Run, calls: int, clock: Callable[[], float] | None = None) -> float:
    clock = clock or time.perf_counter
    start = clock()
    for _ in range(calls):
        run()
    return (clock() - start) / calls


def per_step(samples: Samples, steps: Mapping[str, int]) -> Samples:
    """Return seconds of one step, of calls that make several."""
    return {name: tuple(x / steps[name] for x in times) for name, times in samples.items()}


def ratio(samples: Samples, above: str, below: str) -> Quartiles:
    """Return the time of one contender in units of another's, pair by pair."""
    pairs = zip(samples[above], samples[below], strict=True)
    return Quartiles.of([a / b for a, b in pairs])
