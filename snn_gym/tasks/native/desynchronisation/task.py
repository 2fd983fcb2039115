"""Calm a population of neurons that fire in step, with little stimulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym.config import Count, NonNegative, Positive, Range
from snn_gym.tasks.batch_env import Infos, Rows
from snn_gym.tasks.native.batch import SpikeTask, SpikeTaskSettings
from snn_gym.tasks.native.desynchronisation.kernel import (
    EXCITATORY,
    NEURONS,
    Network,
    run_network,
)
from snn_gym.tasks.native.desynchronisation.scene import draw_scene
from snn_gym.tasks.native.single import SpikeTaskEnv

BURN_IN_MS = 40
"""Time that the network runs without noise before an episode, at least (ms)."""
_PHASE_BITS = (16, 8, 4, 2, 1)
PHASES_MS = 2 * _PHASE_BITS[0]
"""About a cycle: as many whole milliseconds are equally likely on top of it, from 0."""
START_SPREAD = 0.1
"""Range of the voltages before that (thresholds)."""
_TRACE_LENGTH = 32


@dataclass(frozen=True)
class DesynchronisationSettings(SpikeTaskSettings):
    """How strongly the neurons pull each other, how much of them is seen, what energy costs."""

    coupling: NonNegative = 1.0
    """Factor of all synaptic weights."""
    heterogeneity: Annotated[float, Range(at_least=0, below=1)] = 0.08
    """Largest deviation of a neuron's drive from the mean, as a share of it."""
    noise: NonNegative = 0.03
    """Largest kick that noise gives to a voltage in a time step (thresholds)."""
    observed: Annotated[int, Range(at_least=1, at_most=NEURONS)] = 40
    """Neurons whose spikes are seen, spread evenly; the other channels are silent."""
    healthy_rate_hz: Positive = 25.0
    """Rate of the excitatory neurons that counts as calm (Hz)."""
    energy_cost: NonNegative = 0.2
    """Cost of a full stimulation in every step, on the scale on which full calm earns 1."""
    episode_steps: Count = 40
    """Environment steps of an episode."""

    @property
    def channels(self) -> int:
        """Number N of channels."""
        return NEURONS

    @property
    def healthy_count(self) -> float:
        """Spikes of the excitatory neurons in an environment step that count as calm."""
        return self.healthy_rate_hz / 1000.0 * self.time_steps * EXCITATORY

    @property
    def start_size(self) -> int:
        """Uniform numbers for a start: the phase, and each neuron's drive and deviation."""
        return 1 + 2 * NEURONS

    @property
    def noise_size(self) -> int:
        """Bytes of noise for the dynamics: one for each neuron and time step."""
        return self.time_steps * NEURONS


class Desynchronisation(SpikeTask):
    """Excitatory and inhibitory neurons fire in bursts unless well-timed stimulation stops that.

    32 excitatory and 8 inhibitory leaky integrate-and-fire neurons; the inhibitory ones answer each
    volley of the excitatory ones, which keeps them in step. The action is a current into all
    excitatory neurons during the next environment step. The reward of a step is
    ``(1 - min(1, ((n - h) / h)^2) - energy_cost * |action|) / episode_steps`` for n spikes of the
    excitatory neurons where h would be healthy: silence is as bad as a burst.

    After Krylov, Dylov and Rosenblum, "Reinforcement learning for suppression of collective
    activity in oscillatory ensembles", Chaos 30 (2020), https://doi.org/10.1063/1.5128909. Theirs
    are ensembles of Bonhoeffer-van der Pol or Hindmarsh-Rose oscillators whose mean field is
    observed, with the reward ``-(x - <x>)^2 - 2 |action|``; ours are spiking, are observed by
    their spikes, and have their deviation counted in spikes.
    """

    settings_class = DesynchronisationSettings
    settings: DesynchronisationSettings
    channels_per_band = NEURONS - EXCITATORY

    def _make_action_space(self) -> gym.Space[Any]:
        return gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def _allocate(self, num_envs: int) -> None:
        settings = self.settings
        self.network = Network.silent(num_envs)
        self._amplitude = np.zeros(num_envs)
        self._count = np.zeros(num_envs, np.int64)
        # The latest counts and amplitudes, newest last, for pictures.
        self._trace = np.zeros((num_envs, _TRACE_LENGTH, 2))
        self._fired = np.zeros((num_envs, self._spike_bytes), np.bool_)
        seen = np.arange(settings.observed) * NEURONS // settings.observed
        shown = np.zeros((self.time_steps, NEURONS), np.bool_)
        shown[:, seen] = True
        self._shown = shown.reshape(-1)
        self._all = np.arange(num_envs)

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        which = self._all[rows]
        self.network.start(
            which,
            voltage=START_SPREAD * numbers[:, 1 : 1 + NEURONS],
            drive_factor=1.0
            + self.settings.heterogeneity * (2.0 * numbers[:, 1 + NEURONS :] - 1.0),
        )
        self._run_quietly(which, BURN_IN_MS)
        more = (numbers[:, 0] * PHASES_MS).astype(np.int64)
        for bit in _PHASE_BITS:
            self._run_quietly(which[(more & bit) > 0], bit)
        self._amplitude[rows] = 0.0
        self._trace[rows] = 0.0

    def _run_quietly(self, which: NDArray[np.int64], duration_ms: int) -> None:
        """Run some networks without noise and stimulation."""
        noise = np.zeros((len(which), duration_ms * NEURONS), np.uint8)
        run_network(self.network, which, np.zeros(len(which)), noise, 0.0, self.settings.coupling)

    def _move(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        settings = self.settings
        self._amplitude = np.clip(actions[:, 0].astype(np.float64), -1.0, 1.0)
        self._fired, self._count = run_network(
            self.network, self._all, self._amplitude, noise, settings.noise, settings.coupling
        )
        calm = self.calm(self._count)
        rewards = (calm - settings.energy_cost * np.abs(self._amplitude)) / settings.episode_steps
        return rewards, self._steps + 1 >= settings.episode_steps

    def _emit(self, rows: Rows, noise: NDArray[np.uint8], spikes: NDArray[np.bool_]) -> None:
        settings = self.settings
        which = self._all[rows]
        if not len(which):
            return
        # Environments are observed together either at their starts or after a step.
        if self._steps[which[0]] == 0:
            fired, count = run_network(
                self.network, which, np.zeros(len(which)), noise, settings.noise, settings.coupling
            )
            self._count[rows] = count
        else:
            fired = self._fired
        np.logical_and(fired, self._shown, out=spikes)
        if self.render_mode is not None:
            self._trace[rows] = np.roll(self._trace[rows], -1, axis=1)
            self._trace[rows, -1, 0] = self._count[rows]
            self._trace[rows, -1, 1] = self._amplitude[rows]

    def calm(self, count: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return how calm steps of so many excitatory spikes are: 1 healthy, 0 silent or double."""
        deviation = count / self.settings.healthy_count - 1.0
        calm: NDArray[np.float64] = 1.0 - np.minimum(1.0, deviation * deviation)
        return calm

    def _info(self) -> Infos:
        return {
            "count": self._count,
            "inhibition": self.network.inhibition.astype(np.float64),
        }

    def _scene(self, index: int) -> NDArray[np.uint8]:
        passed = min(int(self._steps[index]) + 1, _TRACE_LENGTH)
        counts, amplitudes = self._trace[index, _TRACE_LENGTH - passed :].T
        return draw_scene(
            counts.tolist(), amplitudes.tolist(), self.settings.healthy_count, _TRACE_LENGTH
        )


class DesynchronisationEnv(SpikeTaskEnv):
    """One ``Desynchronisation``, as ``gym.make("snn/Desynchronisation-v0")`` makes it."""

    task_class = Desynchronisation
