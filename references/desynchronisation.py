"""Scripted policies of desynchronisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from references.policy import Fixed, Scripted
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.desynchronisation import (
    EXCITATORY,
    NEURONS,
    Desynchronisation,
    DesynchronisationSettings,
    run_network,
)

_AMPLITUDES = np.linspace(-1.0, 1.0, 33)
"""Candidates of the oracle."""
_PARTS = 4
"""Parts of the environment step in which the memoryless policy counts."""
_OFFSET = -0.31
_EXCITATORY_WEIGHTS = (0.10, 0.13, 0.18, 0.21)
_INHIBITORY_WEIGHTS = (0.19, 0.19, 0.22, 0.24)
"""Weights of the counts in each part, searched on other seeds at the lowest level."""


class OneStepAhead(Scripted):
    """Policy of the best next reward, by simulations of the network without noise.

    It reads the hidden state of the network, knows its equations, and looks ahead one environment
    step only.
    """

    def __init__(self, task: Desynchronisation) -> None:
        self._task = task
        # Bytes around the middle, so that the expected noise is nil
        self._noise = np.full((task.num_envs, task.time_steps * NEURONS), 127, np.uint8)
        self._noise[:, ::2] = 128

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return amplitudes (B, 1) of the best predicted reward, whose deviation has no cap."""
        del spikes, starts
        task, settings = self._task, self._task.settings
        rows = np.arange(task.num_envs)
        rewards = []
        for amplitude in _AMPLITUDES:
            _, count = run_network(
                task.network.copy(),
                rows,
                np.full(task.num_envs, amplitude),
                self._noise,
                settings.noise,
                settings.coupling,
            )
            # Without the cap, so that of two bad counts the nearer one is better.
            deviation = count / settings.healthy_count - 1.0
            rewards.append(-(deviation**2) - settings.energy_cost * abs(amplitude))
        best = _AMPLITUDES[np.argmax(rewards, axis=0)]
        actions: NDArray[np.float32] = best[:, np.newaxis].astype(np.float32)
        return actions


class CountFeedback(Scripted):
    """Best linear map found from the timing of present spikes to the amplitude.

    It counts the spikes of observed excitatory and inhibitory neurons in four parts of the step,
    each as a share of the healthy number of the observed.
    """

    def __init__(self, task: SpikeTask) -> None:
        settings: DesynchronisationSettings = task.settings
        self._healthy = settings.healthy_count * settings.observed / NEURONS
        weights = np.empty((_PARTS, NEURONS))
        weights[:, :EXCITATORY] = np.array(_EXCITATORY_WEIGHTS)[:, np.newaxis]
        share = EXCITATORY / (NEURONS - EXCITATORY)
        weights[:, EXCITATORY:] = share * np.array(_INHIBITORY_WEIGHTS)[:, np.newaxis]
        part = np.arange(settings.time_steps) * _PARTS // settings.time_steps
        self._weights = weights[part] / self._healthy

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the amplitudes (B, 1) for the present spikes."""
        del starts
        amplitude = _OFFSET + np.einsum("btn,tn->b", spikes, self._weights)
        actions: NDArray[np.float32] = np.clip(amplitude, -1.0, 1.0).astype(np.float32)
        return actions[:, np.newaxis]


def constant(amplitude: float) -> Fixed:
    """Return the policy that always stimulates with one amplitude in [-1, 1]."""
    return Fixed(np.array([amplitude], np.float32))


POLICIES: dict[str, Callable[[Any], Scripted]] = {
    "oracle": OneStepAhead,
    "memoryless": CountFeedback,
    "no_stimulation": lambda _: constant(0.0),
    # The best of 0.05, 0.1, 0.2, 0.4 and their negatives, on every level
    "constant": lambda _: constant(0.05),
    # Full inhibition must not pay.
    "silencing": lambda _: constant(-1.0),
}
FIXED_KIND = "memoryless"
