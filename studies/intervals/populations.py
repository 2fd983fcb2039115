"""Populations of trained agents: distributions of the return of one more seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.results import Row, list_rows
from studies.lean.plan import OFF
from studies.lean.tables import read_outcomes

Values = NDArray[np.float64]
SeedMeans = Callable[[np.random.Generator, int], Values]
"""Draws mean returns (seeds,)."""

EPISODES = 20
EPISODE_SPREAD = 0.1
REAL_SEEDS = 10
FAILED_SHARES = (0.1, 0.2, 0.3)
NORMAL = "normal"
CEILING = "half of the seeds at the ceiling"

_TRUTH_SEEDS = 200_000
_TRUTH_SEED = 1


@dataclass(frozen=True)
class Population:
    """Distribution of the seeds' returns."""

    name: str
    """How the report calls it."""
    draw: Callable[[np.random.Generator, int], Values]
    """Draws returns (seeds, episodes)."""
    whole: Values
    """Returns (seeds, episodes) whose statistics are those of the population."""
    bounds: tuple[float, float]
    """Least and largest mean of a seed."""


def synthetic() -> Iterator[Population]:
    """Yield populations on a scale from random play (0) to the maximum (1)."""
    laws: dict[str, SeedMeans] = {
        NORMAL: lambda generator, count: generator.normal(0.7, 0.05, count),
        "skewed": lambda generator, count: 0.9 - generator.exponential(0.05, count),
        CEILING: lambda generator, count: np.minimum(1.0, generator.normal(1.0, 0.1, count)),
        **{failed(share): failing(share) for share in FAILED_SHARES},
    }
    for name, law in laws.items():
        draw = _with_episodes(law)
        whole = draw(np.random.default_rng(_TRUTH_SEED), _TRUTH_SEEDS)
        yield Population(name, draw, whole, (0.0, 1.0))


def failed(share: float) -> str:
    """Return the name of the population of which a share fails."""
    return f"{100 * share:.0f} % of the seeds fail"


def failing(share: float) -> SeedMeans:
    """Return a law by which a share of the seeds fails and the others are all but solved."""

    def draw(generator: np.random.Generator, count: int) -> Values:
        failed = generator.random(count) < share
        good, bad = generator.normal(0.95, 0.02, count), generator.normal(0.2, 0.05, count)
        means: Values = np.where(failed, bad, good)
        return means

    return draw


def real(leaderboard: Path, lean: Path) -> Iterator[Population]:
    """Yield the groups of ten seeds that were trained; a further seed is one of these."""
    for group in groups_of_ten(leaderboard):
        first, returns = group[0], np.array([row.score.returns for row in group])
        yield _resampled(f"{first.agent}, {first.environment}", first.environment, returns)
    for (environment, arm), outcomes in sorted(read_outcomes(lean).items()):
        if arm == OFF and len(outcomes) == REAL_SEEDS:
            returns = np.array([outcome.returns for outcome in outcomes.values()])
            yield _resampled(f"lean study, {environment}", environment, returns)


def groups_of_ten(leaderboard: Path) -> Iterator[list[Row]]:
    """Yield the rows of each agent and environment with ten seeds that are not all alike."""
    rows = sorted(list_rows(leaderboard), key=lambda row: (row.environment, row.agent, row.seed))
    for _, group in groupby(rows, lambda row: (row.environment, row.agent)):
        found = list(group)
        # Without a spread between seeds there is no width of an interval to measure.
        if len(found) == REAL_SEEDS and len({row.score.mean for row in found}) > 1:
            yield found


def _with_episodes(law: SeedMeans) -> Callable[[np.random.Generator, int], Values]:
    """Return a function that draws episodes about the means of a law."""

    def draw(generator: np.random.Generator, count: int) -> Values:
        noise = generator.normal(0.0, EPISODE_SPREAD, (count, EPISODES))
        centred = noise - noise.mean(axis=1, keepdims=True)
        returns: Values = law(generator, count)[:, np.newaxis] + centred
        return returns

    return draw


def _resampled(name: str, environment: str, returns: Values) -> Population:
    """Return the population whose seeds are those of an array (seeds, episodes)."""
    reference = load_environment_spec(environment).reference

    def draw(generator: np.random.Generator, count: int) -> Values:
        drawn: Values = returns[generator.integers(len(returns), size=count)]
        return drawn

    return Population(
        name,
        draw,
        np.repeat(returns, 4, axis=0),  # so that a quarter is a whole number of seeds
        (reference.random, reference.maximum),
    )
