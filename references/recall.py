"""Scripted policies of recall."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from references.policy import Fixed, Scripted
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.recall import OLD

_THRESHOLD = 1.5


class Latches(Scripted):
    """One integrate-and-fire neuron per channel, without leak, input of weight 1, threshold 1.5.

    The spike of an item leaves a neuron at 1. A second spike, of a probe, makes it fire, and any
    firing neuron means an old probe. A neuron is touched only when it receives a spike.
    """

    def __init__(self, task: SpikeTask) -> None:
        self._voltages = np.zeros((task.num_envs, task.channels))

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return 1 (old) where a neuron fires, else 0."""
        self._voltages[starts] = 0.0
        self._voltages += spikes.sum(axis=1)
        fires = self._voltages > _THRESHOLD
        self._voltages[fires] -= 1.0
        answer: NDArray[np.int64] = fires.any(axis=1).astype(np.int64)
        return answer


class LatestChannels(Scripted):
    """Memory of the four channels that spiked last, the same at every level."""

    capacity = 4

    def __init__(self, task: SpikeTask) -> None:
        self._number = np.zeros((task.num_envs, 1), np.int64)
        # Number of the latest spike of each channel, counted from 1; very low for none
        self._latest = np.full((task.num_envs, task.channels), -self.capacity - 1)

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return 1 (old) where the present channel is one of the four before it, else 0."""
        self._number[starts], self._latest[starts] = 0, -self.capacity - 1
        present = spikes.any(axis=1)
        self._number += present.any(axis=1, keepdims=True)
        is_held = self._number - self._latest <= self.capacity
        self._latest = np.where(present, self._number, self._latest)
        answer: NDArray[np.int64] = (present & is_held).any(axis=1).astype(np.int64)
        return answer


POLICIES: dict[str, Callable[[SpikeTask], Scripted]] = {
    "oracle": Latches,
    # Old and new probes are the same channels with the same probability: every memoryless policy
    # is right with probability 1/2.
    "memoryless": lambda _: Fixed(OLD),
    "latest_channels": LatestChannels,
}
FIXED_KIND = "latest_channels"
