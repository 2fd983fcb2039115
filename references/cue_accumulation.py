"""Scripted policies of cue accumulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from references.policy import Fixed, Scripted
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.cue_accumulation import GROUP, LEFT, CueAccumulationSettings

_LEAST = 1e-12


class IdealObserver(Scripted):
    """Bayesian observer of the spikes: the posterior of the number of right cues.

    A cue on the right has log odds ``(n_right - n_left) log(p (1 - q) / (q (1 - p)))`` where n are
    the spikes of the groups and p, q the probabilities of a spike with and without a cue. Cues are
    independent, so the number of right cues follows a Poisson binomial distribution.
    """

    def __init__(self, task: SpikeTask) -> None:
        settings: CueAccumulationSettings = task.settings
        self._settings = settings
        background, cue = (rate / 256.0 for rate in settings.rate_bytes())
        # A silent background makes one spike of a cue certain.
        background = max(background, _LEAST)
        self._weight = float(np.log(cue * (1 - background) / (background * (1 - cue))))
        self._steps = np.zeros(task.num_envs, np.int64)
        self._posterior = np.zeros((task.num_envs, settings.cues + 1))

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the more probable side of the majority (B,): 0 left, 1 right."""
        self._steps[starts] = 0
        self._posterior[starts] = 0.0
        self._posterior[starts, 0] = 1.0
        counts = spikes.reshape(*spikes.shape[:2], -1, GROUP).sum(axis=(1, 3), dtype=np.int64)
        number, place = np.divmod(self._steps, 1 + self._settings.gap_steps)
        right = expit(self._weight * (counts[:, 1] - counts[:, 0]))[:, np.newaxis]
        moved = self._posterior * (1.0 - right)
        moved[:, 1:] += self._posterior[:, :-1] * right
        is_cue = (number < self._settings.cues) & (place == 0)
        self._posterior = np.where(is_cue[:, np.newaxis], moved, self._posterior)
        self._steps += 1
        more_right = self._posterior[:, (self._settings.cues + 1) // 2 :].sum(axis=1)
        side: NDArray[np.int64] = (more_right > 0.5).astype(np.int64)
        return side


POLICIES: dict[str, Callable[[SpikeTask], Scripted]] = {
    "oracle": IdealObserver,
    # Only the action at the go signal counts, and its spikes are independent of the cues: every
    # memoryless policy is right with probability 1/2.
    "memoryless": lambda _: Fixed(LEFT),
}
FIXED_KIND = "oracle"
