"""Scripted policies of recall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from references.policy import Fixed, Scripted
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.recall import OLD
from snn_gym.program.builtin_neurons import IAF
from snn_gym.program.layers import NeuronLayer
from snn_gym.program.neuron import equations
from snn_gym.program.program import Choice, Decoder, Head, Program

_THRESHOLD = 1.5


class Latches(Scripted):
    """One integrate-and-fire neuron per channel, without leak, with threshold 1.5.

    An item adds 1 to its neuron. A probe of the same channel makes it fire, and any firing neuron
    means an old probe. A neuron is touched only when it receives spikes.
    """

    def __init__(self, task: SpikeTask) -> None:
        self._voltages = np.zeros((task.num_envs, task.channels))

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return 1 (old) where a neuron fires, else 0."""
        self._voltages[starts] = 0.0
        self._voltages += spikes.mean(axis=1)
        fires = self._voltages > _THRESHOLD
        self._voltages[fires] -= 1.0
        return _any(fires).astype(np.int64)


def latching_program(channels: int, time_steps: int) -> Program:
    """Return ``Latches`` as a spiking network of ``channels`` neurons, to count and export.

    It differs in one point: a neuron that fires forgets its item, which no probe repeats.
    """
    names = equations(IAF).constants
    numbers = {"v_threshold": _THRESHOLD, "v_reset": 0.0}
    layer = NeuronLayer(
        neuron=IAF,
        constants=np.array([numbers[name] for name in names], np.float32),
        weights=np.eye(channels, dtype=np.float32) / np.float32(time_steps),
        biases=np.zeros(channels, np.float32),
        recurrent=None,
        rest=np.zeros((1, channels), np.float32),
    )
    # Outputs: 1/2 for new, the number of spikes for old.
    weights = np.stack([np.zeros(channels, np.float32), np.ones(channels, np.float32)])
    none = np.zeros(0, np.float32)
    return Program(
        inputs=channels,
        encoder="spikes",
        normalisers=(),
        layers=(layer,),
        time_steps=time_steps,
        decoder=Decoder(np.ones((1, time_steps), np.float32), np.zeros((1, 0), np.float32)),
        head=Head(weights, np.array([0.5, 0.0], np.float32)),
        choice=Choice("argmax", none, none),
        stateful=True,
    )


class LatestChannels(Scripted):
    """Memory of the four channels that fired last, the same at every level."""

    capacity = 4

    def __init__(self, task: SpikeTask) -> None:
        self._number = np.zeros((task.num_envs, 1), np.int64)
        # Number of the latest spike of each channel, counted from 1; very low for none
        self._latest = np.full((task.num_envs, task.channels), -self.capacity - 1)

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return 1 (old) where the present channel is one of the four before it, else 0."""
        self._number[starts], self._latest[starts] = 0, -self.capacity - 1
        present = _any(spikes)
        self._number += _any(present)[:, np.newaxis]
        is_held = self._number - self._latest <= self.capacity
        self._latest = np.where(present, self._number, self._latest)
        return _any(present & is_held).astype(np.int64)


def _any(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return whether any value along axis 1 is not zero."""
    found: NDArray[np.bool_] = np.any(values, axis=1)
    return found


POLICIES: dict[str, Callable[[SpikeTask], Scripted]] = {
    "oracle": Latches,
    # Old and new probes are the same channels with the same probability: every memoryless policy
    # is right with probability 1/2.
    "memoryless": lambda _: Fixed(OLD),
    "latest_channels": LatestChannels,
}
FIXED_KIND = "latest_channels"
