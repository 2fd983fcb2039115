"""Candidates for the 95 % interval: of the mean over seeds, and of the interquartile mean."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, ksone, trim_mean
from scipy.stats import t as student_t

from snn_gym.leaderboard.statistics import TRIMMED_FRACTION, mean_interval
from studies.bootstrap import stratified_bootstrap_interval

Values = NDArray[np.float64]
Intervals = NDArray[np.float64]
"""Lower and upper bounds, (2, repeats)."""

CONFIDENCE = 0.95
RESAMPLES = 2000
EPISODE_RESAMPLES = 500
_CHUNK = 250  # repeats whose resamples are in memory at once


def t_of_mean(means: Values) -> Intervals:
    """Return Student's t intervals of the mean of seed means (repeats, seeds)."""
    return np.transpose([mean_interval(row, CONFIDENCE) for row in means])


def t_of_trimmed_mean(means: Values) -> Intervals:
    """Return t intervals of the interquartile mean (Tukey and McLaughlin 1963).

    The standard error is that of the winsorised seeds: those left out count as the nearest ones
    that are not. Of 2 or 3 seeds none is left out.
    """
    seeds = means.shape[1]
    left_out = int(TRIMMED_FRACTION * seeds)
    kept = seeds - 2 * left_out
    ordered = np.sort(means, axis=1)
    winsorised = np.clip(ordered, ordered[:, [left_out]], ordered[:, [seeds - 1 - left_out]])
    error = winsorised.std(axis=1, ddof=1) * np.sqrt((seeds - 1) / (kept * (kept - 1)))
    middle = trim_mean(means, TRIMMED_FRACTION, axis=1)
    half = student_t.ppf((1 + CONFIDENCE) / 2, kept - 1) * error
    return np.stack([middle - half, middle + half])


def bootstrapped(
    means: Values, statistic: Callable[..., Any], method: str, generator: np.random.Generator
) -> Intervals:
    """Return scipy's bootstrap intervals of seed means (repeats, seeds)."""
    parts = []
    for start in range(0, len(means), _CHUNK):
        chunk = means[start : start + _CHUNK]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of equal seeds; see below
            found = bootstrap(
                (chunk,),
                statistic,
                n_resamples=RESAMPLES,
                confidence_level=CONFIDENCE,
                method=method,
                axis=1,
                vectorized=True,
                rng=generator,
            ).confidence_interval
        bounds = np.stack([found.low, found.high])
        # Seeds that are all equal say the same in every resample.
        parts.append(np.where(np.isnan(bounds), statistic(chunk, axis=1), bounds))
    return np.concatenate(parts, axis=1)


def bounded(means: Values, bounds: tuple[float, float]) -> Intervals:
    """Return intervals of the mean of bounded seed means (repeats, seeds), never too narrow.

    Anderson 1969: the distribution function is within the Kolmogorov-Smirnov band of the seeds';
    see Phan et al. 2021, https://arxiv.org/abs/2106.03163.
    """
    low, high = bounds
    return np.stack([_least_mean(means, low), -_least_mean(-means, -high)])


def _least_mean(means: Values, low: float) -> Values:
    seeds = means.shape[1]
    band = ksone.isf((1 - CONFIDENCE) / 2, seeds)
    steps = np.diff(np.sort(means, axis=1), axis=1, prepend=low)
    above = np.maximum(0.0, 1.0 - np.arange(seeds) / seeds - band)
    result: Values = low + steps @ above
    return result


def by_episodes(returns: Values, generator: np.random.Generator) -> Intervals:
    """Return the table's former intervals, from returns of episodes (repeats, seeds, episodes)."""
    found = [
        stratified_bootstrap_interval([runs], generator, replicates=EPISODE_RESAMPLES)
        for runs in returns
    ]
    return np.transpose([interval for interval in found if interval is not None])


interquartile = partial(trim_mean, proportiontocut=TRIMMED_FRACTION)
"""Interquartile mean along an axis."""
