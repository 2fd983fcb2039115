"""Scripted policies of pattern detection."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from references.policy import Fixed, Scripted
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.pattern_detection import PATTERN, PatternDetectionSettings

# The permanents of longer windows take too long and are lost in rounding.
_MOST_JITTERED_TIME_STEPS = 10
# Below every permanent above 0: of 10 moves each has a probability of 28/256 at least.
_NO_WAY = 1e-12


class LikelihoodRatio(Scripted):
    """Bayesian observer of a window.

    With the pattern, a channel of it fires at its time, the shift and a jitter, so that a window's
    likelihood is a product over channels, averaged over shifts. In noise, the times of a block are
    a random permutation with jitter: its likelihood is a permanent, divided by T!. The other
    channels fire alike in both. Windows that are too long for jitter raise ValueError.
    """

    def __init__(self, task: SpikeTask) -> None:
        settings: PatternDetectionSettings = task.settings
        if settings.jitter_steps and settings.time_steps > _MOST_JITTERED_TIME_STEPS:
            raise ValueError(
                f"the observer of windows with jitter takes at most {_MOST_JITTERED_TIME_STEPS} "
                f"time steps, got {settings.time_steps}"
            )
        self._settings = settings
        self._pattern = settings.pattern().astype(np.int64)
        # Probability (T,) of each move of a spike, modulo T
        self._moves = np.bincount(settings.moves(), minlength=settings.time_steps) / 256.0

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the more probable content of each window: 1 (pattern) or, also if equal, 0."""
        del starts
        times = _times(spikes, self._settings.pattern_channels)
        chosen: NDArray[np.int64] = (self._pattern_log(times) > self._noise_log(times)).astype(
            np.int64
        )
        return chosen

    def _pattern_log(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the log likelihood (n,) of times (n, channels) with the pattern."""
        shifts = np.arange(self._settings.shift_steps + 1)[:, np.newaxis, np.newaxis]
        moved = (times - self._pattern - shifts) % self._settings.time_steps
        with np.errstate(divide="ignore"):
            logs = np.log(self._moves)[moved].sum(axis=2)
            likelihood: NDArray[np.float64] = np.log(np.exp(logs).mean(axis=0))
        return likelihood

    def _noise_log(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the log likelihood (n,) of times (n, channels) in noise."""
        time_steps = self._settings.time_steps
        blocks = times.reshape(len(times), -1, time_steps)
        every = -math.lgamma(time_steps + 1) * blocks.shape[1]
        if self._settings.jitter_steps == 0:
            return np.full(len(times), every)
        # (n, blocks, T channels, T times before the jitter)
        places = self._moves[(blocks[..., np.newaxis] - np.arange(time_steps)) % time_steps]
        ways = permanents(places)
        # Rounding may leave a little where there is no way at all.
        with np.errstate(divide="ignore"):
            logs = np.log(np.where(ways > _NO_WAY, ways, 0.0))
        likelihood: NDArray[np.float64] = logs.sum(axis=1) + every
        return likelihood


class Template(Scripted):
    """Linear readout: counts the spikes near their time in the pattern, not shifted.

    Near is within the jitter; the threshold is halfway between the means of noise and pattern.
    """

    def __init__(self, task: SpikeTask) -> None:
        settings: PatternDetectionSettings = task.settings
        self._settings = settings
        self._pattern = settings.pattern().astype(np.int64)
        near = (2 * settings.jitter_steps + 1) / settings.time_steps
        self._threshold = settings.pattern_channels * (1.0 + near) / 2.0

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return ``PATTERN`` where enough spikes are near, else ``NOISE``."""
        del starts
        jitter = self._settings.jitter_steps
        moved = _times(spikes, self._settings.pattern_channels) - self._pattern + jitter
        near = moved % self._settings.time_steps <= 2 * jitter
        chosen: NDArray[np.int64] = (near.sum(axis=1) > self._threshold).astype(np.int64)
        return chosen


def permanents(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the permanents (...) of square matrices (..., T, T), by Glynn's formula."""
    size = matrices.shape[-1]
    # (2^(T - 1), T): all signs of the rows but the first
    rows = itertools.product((1.0, -1.0), repeat=size - 1)
    signs = np.array([(1.0, *row) for row in rows])
    sums = signs @ matrices
    ways: NDArray[np.float64] = (signs.prod(axis=1) * sums.prod(axis=-1)).sum(axis=-1)
    return ways / len(signs)


def _times(spikes: NDArray[np.int8], channels: int) -> NDArray[np.int64]:
    """Return the time step (n, channels) at which each of the first channels fires."""
    times: NDArray[np.int64] = spikes[:, :, :channels].argmax(axis=1)
    return times


POLICIES: dict[str, Callable[[SpikeTask], Scripted]] = {
    "oracle": LikelihoodRatio,
    # Windows are independent: memory does not help.
    "memoryless": LikelihoodRatio,
    # Every channel fires one spike in every window: the counts are constant.
    "rate_only": lambda _: Fixed(PATTERN),
    "template": Template,
}
FIXED_KIND = "template"
