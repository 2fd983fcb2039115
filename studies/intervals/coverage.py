"""Coverage of confidence intervals, and error rates of the non-inferiority test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from snn_gym._base.config import Config
from snn_gym.leaderboard.statistics import difference_interval
from studies.intervals import methods
from studies.intervals.methods import Intervals, Values
from studies.intervals.populations import Population, SeedMeans, failing

SEEDS = (2, 5, 10)
REPEATS = 2000
EPISODE_REPEATS = 1000
MARGIN = 0.05

T = "t"
PERCENTILE = "percentile"
BCA = "BCa"
BOUNDED = "bounded"
EPISODE = "episodes"
METHODS = {"mean": (T, PERCENTILE, BCA, BOUNDED), "IQM": (T, PERCENTILE, BCA, EPISODE)}
"""Candidates for the interval of each statistic."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Coverage(Config):
    """How often intervals of one method held the population's statistic."""

    population: str
    """Its name."""
    seeds: int
    """Seeds of a repeat."""
    statistic: str
    """``mean`` or ``IQM``, over seeds; of the method ``episodes``, over all episodes."""
    method: str
    """One of ``METHODS``."""
    repeats: int
    """Repeats."""
    coverage: float
    """Share of the repeats in which the interval held it."""
    width: float
    """Mean width, in standard deviations between seeds."""


@dataclass(frozen=True)
class Verdicts(Config):
    """How often an agent is said to be not inferior to its twin."""

    case: str
    """Relation of the two agents."""
    difference: float
    """True difference of their means, on a scale on which the margin is 0.05."""
    seeds: int
    """Seeds of each."""
    repeats: int
    """Repeats."""
    not_inferior: float
    """Share of the repeats in which the lower one-sided 95 % bound is within the margin."""


@dataclass(frozen=True)
class Results(Config):
    """Measurements of the study."""

    coverage: tuple[Coverage, ...]
    """One for each population, number of seeds, statistic and method."""
    verdicts: tuple[Verdicts, ...]
    """One for each case and number of seeds."""


def measure(populations: Iterable[Population]) -> Results:
    """Measure all methods on populations."""
    rows = [
        row
        for index, population in enumerate(populations)
        for seeds in SEEDS
        for row in coverages(population, seeds, index)
    ]
    return Results(tuple(rows), tuple(verdicts()))


def share_held(intervals: Intervals, truth: float) -> float:
    """Return the share of intervals (2, repeats) that hold a value, rounding allowed for."""
    room = _ROUNDING * max(1.0, abs(truth))
    low, high = intervals
    return float(np.mean((low - room <= truth) & (truth <= high + room)))


def coverages(population: Population, seeds: int, index: int) -> Iterator[Coverage]:
    """Yield the coverage of each method."""
    generator = np.random.default_rng([index, seeds])
    drawn = population.draw(generator, REPEATS * seeds)
    returns = drawn.reshape(REPEATS, seeds, -1)
    whole = population.whole.mean(axis=1)
    for statistic, of in (("mean", np.mean), ("IQM", methods.interquartile)):
        for method in METHODS[statistic]:
            truth = float(of(whole, axis=0))
            if method == EPISODE:
                truth = float(methods.interquartile(population.whole.reshape(-1), axis=0))
            intervals = _intervals(statistic, method, returns, population, generator)
            yield Coverage(
                population.name,
                seeds,
                statistic,
                method,
                intervals.shape[1],
                round(share_held(intervals, truth), 4),
                round(float(np.mean(intervals[1] - intervals[0]) / whole.std()), 3),
            )


def _intervals(
    statistic: str,
    method: str,
    returns: Values,
    population: Population,
    generator: np.random.Generator,
) -> Intervals:
    means = returns.mean(axis=2)
    if method == EPISODE:
        return methods.by_episodes(returns[:EPISODE_REPEATS], generator)
    if method == BOUNDED:
        return methods.bounded(means, population.bounds)
    if method == T:
        return methods.t_of_mean(means) if statistic == "mean" else methods.t_of_trimmed_mean(means)
    of: Callable[..., Values] = np.mean if statistic == "mean" else methods.interquartile
    return methods.bootstrapped(means, of, method, generator)


def verdicts() -> Iterator[Verdicts]:
    """Yield the verdicts on agents that are worse by exactly the margin, and on equal ones."""
    # A failed seed loses 0.75, so that one more in 15 is worth the margin.
    more = MARGIN / 0.75
    cases: dict[str, tuple[SeedMeans, SeedMeans, float]] = {
        "both normal, the agent worse by the margin": (_normal(0.65), _normal(0.7), -MARGIN),
        "no seed of the twin fails, 1 in 15 of the agent's": (failing(more), failing(0.0), -MARGIN),
        "1 in 10 of the twin's seeds fails, 1 in 6 of the agent's": (
            *(failing(0.1 + more), failing(0.1)),
            -MARGIN,
        ),
        "both normal and equal": (_normal(0.7), _normal(0.7), 0.0),
        "equal, no seed fails": (failing(0.0), failing(0.0), 0.0),
        "equal, 1 in 10 seeds of each fails": (failing(0.1), failing(0.1), 0.0),
    }
    for index, (case, (agent, twin, difference)) in enumerate(cases.items()):
        for seeds in SEEDS[1:]:
            generator = np.random.default_rng([1000 + index, seeds])
            pairs = zip(
                agent(generator, REPEATS * seeds).reshape(REPEATS, seeds),
                twin(generator, REPEATS * seeds).reshape(REPEATS, seeds),
                strict=True,
            )
            said = [difference_interval(one, two, 0.9)[0] >= -MARGIN for one, two in pairs]
            yield Verdicts(case, difference, seeds, REPEATS, round(float(np.mean(said)), 4))


def _normal(mean: float) -> SeedMeans:
    return lambda generator, count: generator.normal(mean, 0.05, count)
