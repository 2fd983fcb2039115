"""Efficiency of learning, from the points of learning curves, as pure functions on arrays.

A point of a `snn_gym.leaderboard.manifest.LearningCurve` has the environment steps until it, the
mean return of the training episodes that ended since the point before, and their number.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snn_gym.leaderboard.statistics import checked_scores

FEWEST_AVERAGED = 20
"""Episodes that a running return averages, at least."""


def running_return(returns: ArrayLike, episodes: ArrayLike) -> NDArray[np.float64]:
    """Return the running return at each point of a learning curve.

    It is the mean over the episodes of the fewest last points that hold `FEWEST_AVERAGED` episodes.

    Args:
        returns: Mean return of each point's episodes, shape (n,), finite, in reward units.
        episodes: Number of each point's episodes, shape (n,), integers from 1 on.

    Returns:
        Array of shape (n,), float64, in reward units; NaN where fewer episodes have ended so far.

    Raises:
        ValueError: There is no point, a return is not finite, or the shapes differ.
    """
    means, counts = checked_scores(returns, "returns"), np.asarray(episodes, np.int64)
    if means.shape != counts.shape or means.ndim != 1:
        raise ValueError(
            f"returns and episodes must have one shape (n,), got {means.shape} and {counts.shape}"
        )
    ended = np.concatenate([[0], np.cumsum(counts)])
    sums = np.concatenate([[0.0], np.cumsum(means * counts)])
    first = np.searchsorted(ended, ended[1:] - FEWEST_AVERAGED, side="right") - 1
    start = np.maximum(first, 0)
    return np.where(first < 0, np.nan, (sums[1:] - sums[start]) / (ended[1:] - ended[start]))


def steps_until(
    steps: ArrayLike, returns: ArrayLike, episodes: ArrayLike, threshold: float
) -> float:
    """Return the environment steps at the first point whose running return reaches a threshold.

    Nothing is interpolated, so that the result is late by up to one point.

    Args:
        steps: Environment steps until each point, shape (n,), integers, rising.
        returns: As in `running_return`.
        episodes: As in `running_return`.
        threshold: Return to reach, in reward units.

    Returns:
        Environment steps; infinite if no point reaches the threshold.

    Raises:
        ValueError: As in `running_return`.
    """
    reached = np.flatnonzero(running_return(returns, episodes) >= threshold)
    return float(np.asarray(steps)[reached[0]]) if reached.size else math.inf


def mean_over_steps(steps: ArrayLike, returns: ArrayLike) -> float:
    """Return the area under a learning curve divided by its environment steps, in reward units.

    Each point's return counts for the steps since the point before.

    Args:
        steps: As in `steps_until`.
        returns: As in `running_return`.

    Returns:
        Mean return over the environment steps until the last point.
    """
    return float(np.average(np.asarray(returns), weights=np.diff(steps, prepend=0)))
