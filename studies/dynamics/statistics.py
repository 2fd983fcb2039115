"""Estimates over seeds, with 95 % percentile intervals of a bootstrap over runs.

A failure is an infinite number of episodes or steps: medians and comparisons of pairs stay defined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, trim_mean

from snn_gym.scoring.statistics import (
    TRIMMED_FRACTION,
    interquartile_mean,
    probability_of_improvement,
)
from studies.bootstrap import stratified_bootstrap_interval

Values = NDArray[np.float64]
Statistic = Callable[..., Values]
"""Values (replicates,) from resampled runs (replicates, runs) of each sample."""

REPLICATES = 2000
CONFIDENCE = 0.95
_SEED = 0  # of every bootstrap, so that no estimate depends on those before it


@dataclass(frozen=True)
class Estimate:
    """A value and its interval."""

    value: float
    """Of the runs there are."""
    interval: tuple[float, float] | None
    """Lower and upper bound; None of a single run."""

    def against(self, neutral: float) -> Literal["above", "below", "open"]:
        """Say on which side of a value the interval lies, or ``open`` if it holds the value."""
        if self.interval is None:
            return "open"
        low, high = self.interval
        if low > neutral:
            return "above"
        return "below" if high < neutral else "open"


def estimate(samples: Sequence[Values], statistic: Statistic, *, paired: bool = False) -> Estimate:
    """Estimate a statistic of one or more samples of runs.

    Args:
        samples: (runs,) each.
        statistic: Takes (replicates, runs) of each sample.
        paired: Whether runs of the same place belong together and are drawn together.

    Raises:
        ValueError: A sample is empty, or paired samples differ in length.
    """
    sizes = [len(sample) for sample in samples]
    if min(sizes) == 0 or (paired and len(set(sizes)) > 1):
        raise ValueError(f"samples need runs, and paired ones equally many; got {sizes}")
    value = float(statistic(*(sample[np.newaxis] for sample in samples))[0])
    if min(sizes) < 2:
        return Estimate(value, None)
    generator = np.random.default_rng(_SEED)
    draws = [generator.integers(size, size=(REPLICATES, size)) for size in sizes]
    if paired:
        draws = [draws[0]] * len(draws)
    resampled = [sample[draw] for sample, draw in zip(samples, draws, strict=True)]
    tail = (1.0 - CONFIDENCE) / 2.0
    # Not interpolated: between a number and infinity there is nothing.
    low, high = np.quantile(statistic(*resampled), [tail, 1.0 - tail], method="inverted_cdf")
    return Estimate(value, (float(low), float(high)))


def median(values: Values) -> Estimate:
    """Estimate the median of values (runs,), failures being infinite."""
    return estimate([values], lambda x: np.median(x, axis=1))


def iqm(scores: Values) -> Estimate:
    """Estimate the interquartile mean of the episodes of all runs (runs, episodes)."""
    generator = np.random.default_rng(_SEED)
    interval = stratified_bootstrap_interval([scores], generator, replicates=REPLICATES)
    return Estimate(interquartile_mean(scores), interval)


def superiority(values: Values, others: Values) -> Estimate:
    """Estimate how probable it is that a run's value is the lower one.

    One half is no difference.

    Args:
        values: (runs,), lower is better.
        others: (other runs,).
    """
    return estimate([values, others], lambda x, y: probability_of_improvement(y, x))


def iqm_difference(values: Values, others: Values, *, paired: bool = False) -> Estimate:
    """Estimate the difference of the interquartile means of two samples.

    Args:
        values: (runs,).
        others: (runs,).
        paired: Whether runs of the same place have the same seed and are drawn together.
    """
    return estimate([values, others], lambda x, y: _iqm(x) - _iqm(y), paired=paired)


def _iqm(values: Values) -> Values:
    result: Values = trim_mean(values, TRIMMED_FRACTION, axis=1)
    return result


def rank_correlation(levels: Sequence[float], samples: Sequence[Values]) -> Estimate:
    """Estimate Spearman's rank correlation of values with the level of their sample.

    Args:
        levels: One for each sample.
        samples: (runs,) each; runs are drawn within their sample.
    """
    sizes = [len(sample) for sample in samples]
    place = rankdata(np.repeat(np.asarray(levels, np.float64), sizes))

    def correlation(*drawn: Values) -> Values:
        ranks = rankdata(np.concatenate(drawn, axis=1), axis=1)
        centred = ranks - ranks.mean(axis=1, keepdims=True)
        against = place - place.mean()
        norm = np.sqrt((centred**2).sum(axis=1) * (against**2).sum())
        result: Values = np.divide(
            centred @ against, norm, out=np.zeros(len(ranks)), where=norm > 0
        )
        return result

    return estimate(samples, correlation)
