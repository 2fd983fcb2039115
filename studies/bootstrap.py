"""A bootstrap that draws runs with all their episodes.

Its interval is too narrow with few runs (docs/intervals.md), so that no table has it any more; the
study of intervals measures it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import trim_mean

from snn_gym.leaderboard.statistics import TRIMMED_FRACTION, checked_scores

_SCORES_PER_BATCH = 4_000_000


def stratified_bootstrap_interval(
    strata: Sequence[ArrayLike],
    generator: np.random.Generator,
    *,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> tuple[float, float] | None:
    """Estimate a confidence interval of the interquartile mean by a stratified bootstrap.

    A stratum holds the runs of one agent on one environment. Every replicate draws, within each
    stratum, as many runs as it has, with replacement, and takes the interquartile mean of all
    their episodes. A run is drawn with all its episodes: they share one trained policy, so that
    drawing episodes apart would understate how much training varies. The interval spans the
    percentiles of the replicates.

    Args:
        strata: Scores per stratum, each of shape (runs, episodes), in the task's reward units.
        generator: Source of the resampling.
        replicates: Number of resampled sets, at least 1.
        confidence: Coverage aimed at, in (0, 1).
    """
    if replicates < 1 or not 0.0 < confidence < 1.0:
        raise ValueError(
            f"replicates must be at least 1 and confidence within (0, 1), "
            f"got {replicates} and {confidence}"
        )
    arrays = [checked_scores(scores, "each stratum") for scores in strata]
    if not arrays or any(scores.ndim != 2 for scores in arrays):
        raise ValueError("strata must hold at least one array of shape (runs, episodes)")
    if all(len(scores) < 2 for scores in arrays):
        return None
    estimates = _bootstrap_estimates(arrays, generator, replicates)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(estimates, [tail, 1.0 - tail])
    return float(low), float(high)


def _bootstrap_estimates(
    strata: Sequence[NDArray[np.float64]], generator: np.random.Generator, replicates: int
) -> NDArray[np.float64]:
    """Return the interquartile mean of every replicate, shape (replicates,)."""
    pooled_size = sum(scores.size for scores in strata)
    batch_size = max(1, _SCORES_PER_BATCH // pooled_size)  # bounds the memory, not the result
    estimates = []
    for start in range(0, replicates, batch_size):
        batch = min(batch_size, replicates - start)
        drawn = [_resample(scores, generator, batch) for scores in strata]
        # shape: (batch, scores pooled over strata)
        pooled = np.concatenate(drawn, axis=1)
        estimates.append(trim_mean(pooled, TRIMMED_FRACTION, axis=1))
    return np.concatenate(estimates)


def _resample(
    scores: NDArray[np.float64], generator: np.random.Generator, batch: int
) -> NDArray[np.float64]:
    runs = generator.integers(len(scores), size=(batch, len(scores)))
    # shape: (batch, runs, episodes) -> (batch, runs * episodes)
    return scores[runs].reshape(batch, -1)
