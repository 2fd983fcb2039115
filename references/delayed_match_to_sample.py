"""Scripted policies of delayed match to sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from references.policy import Fixed, Scripted
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.delayed_match_to_sample import (
    MATCH,
    STIMULUS,
    DelayedMatchToSampleSettings,
    make_patterns,
)


class IdealObserver(Scripted):
    """Bayesian observer of the spikes that knows the patterns.

    With likelihoods S of the sample's spikes and L of the present ones under each of the K
    patterns, the odds of a match are ``(K - 1) sum_k S_k L_k / (sum_k S_k sum_k L_k - sum_k S_k
    L_k)``. It answers at every environment step; only the answer at the test counts.
    """

    def __init__(self, task: SpikeTask) -> None:
        settings: DelayedMatchToSampleSettings = task.settings
        self._settings = settings
        low, high = (rate / 256.0 for rate in settings.rate_bytes())
        # A rate of 0 counts as a very low one, for its logarithm's sake.
        chance = np.maximum(np.where(make_patterns(settings), high, low), 1e-9)
        chance = chance.reshape(settings.patterns, -1)
        self._weights = (np.log(chance) - np.log1p(-chance)).T  # (T * 30, K)
        self._offset = np.log1p(-chance).sum(axis=1)  # (K,)
        self._steps = np.zeros(task.num_envs, np.int64)
        self._sample = np.zeros((task.num_envs, settings.patterns))

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return 1 (match) where a match is more probable, else 0."""
        self._steps[starts] = 0
        self._sample[starts] = 0.0
        stimulus = spikes[:, :, :STIMULUS].reshape(len(spikes), -1)
        present = stimulus @ self._weights + self._offset
        is_sample = self._steps < self._settings.sample_steps
        self._sample += np.where(is_sample[:, np.newaxis], present, 0.0)
        self._steps += 1
        sample, test = _shares(self._sample), _shares(present)
        match = (sample * test).sum(axis=1)
        others = (1.0 - match) / (self._settings.patterns - 1)
        answer: NDArray[np.int64] = (match > others).astype(np.int64)
        return answer


def _shares(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return likelihoods (n, K), each row scaled to a sum of 1."""
    likelihoods = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = likelihoods / likelihoods.sum(axis=1, keepdims=True)
    return shares


POLICIES: dict[str, Callable[[SpikeTask], Scripted]] = {
    "oracle": IdealObserver,
    # Only the action at the test counts, and its spikes are independent of whether it is a match:
    # every memoryless policy is right with probability 1/2.
    "memoryless": lambda _: Fixed(MATCH),
}
FIXED_KIND = "oracle"
