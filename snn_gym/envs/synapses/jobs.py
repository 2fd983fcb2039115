"""Jobs that spiking networks are trained for, with their scores.

A job judges weights on a probe, a set of episodes or of samples. Old and new weights are compared
on one probe, so that a difference of scores is due to the weights alone. (In the code published
with Bhargava et al. 2022, https://arxiv.org/abs/2105.14383, the comparison after a change of batch
is between two batches.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snn_gym.envs.classic_control import BATCHED_TASKS, BatchedTask
from snn_gym.envs.registry import load_spike_settings
from snn_gym.envs.rollout import ObservationLimits, output_size, play
from snn_gym.envs.synapses.local_measures import LocalDynamics
from snn_gym.envs.synapses.plasticity import PlasticityRule
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.population import Population

Weights = NDArray[np.float32]
"""(P, W), a network in each row."""
Probe = NDArray[np.int64]
"""(E,) seeds or indices, or (P, E) with a probe for each network."""

_HIGHEST_SEED = 2**31


@dataclass(frozen=True)
class Judgement:
    """Scores of P networks on a probe."""

    scores: NDArray[np.float64]  # (P,), higher is better, in the job's unit
    network_steps: NDArray[np.int64]  # (P,), environment steps, or samples, behind the score
    dynamics: NDArray[np.float32] | None = None
    """(P, W, K), ``LOCAL_MEASURES`` and, with a rule, its eligibility; None if not measured."""

    @property
    def steps(self) -> int:
        """Environment steps, or samples, of all networks."""
        return int(self.network_steps.sum())


class Job(ABC):
    """Task for networks of ``input_size`` inputs and ``output_size`` outputs."""

    name: str
    input_size: int
    output_size: int
    step_size: float = 0.3  # Default change of a weight by one move
    probe_size: int = 4  # Default number E of episodes or samples in a probe
    network = NetworkConfig(hidden_sizes=(16,), time_steps=8)

    @abstractmethod
    def draw_probe(self, rng: np.random.Generator, size: int) -> Probe:
        """Return a random probe (E,) of ``size`` episodes or samples."""

    @abstractmethod
    def judge(
        self,
        population: Population,
        weights: Weights,
        probe: Probe,
        *,
        measure: bool = False,
        rule: PlasticityRule | None = None,
    ) -> Judgement:
        """Score networks.

        Args:
            population: Architecture of the networks.
            weights: (P, W) float32.
            probe: (E,) for all networks, or (P, E).
            measure: Also measure the local dynamics of synapses.
            rule: Rule of plasticity whose eligibility is measured too. A job need not take it if no
                rule is used.

        Raises:
            ValueError: Weights or probe have a wrong shape, or a reward is not finite.
        """


class RolloutJob(Job):
    """Job of controlling a task; the score is the mean return of the probe's episodes.

    ``task`` has one environment; larger batches of its class are made when needed.
    """

    def __init__(self, name: str, task: BatchedTask, limits: ObservationLimits) -> None:
        self.name = name
        self.input_size = limits.low.size
        self.output_size = output_size(task.single_action_space)
        self._tasks = {1: task}
        self._limits = limits

    @classmethod
    def of(cls, name: str, env_id: str) -> RolloutJob:
        """Make the job of controlling a task of ``BATCHED_TASKS``, with limits from its file."""
        spikes = load_spike_settings(env_id)
        limits = ObservationLimits.of(spikes.low, spikes.high)
        return cls(name, BATCHED_TASKS[env_id](1), limits)

    def draw_probe(self, rng: np.random.Generator, size: int) -> Probe:
        """Return ``size`` random seeds of episodes."""
        return rng.integers(_HIGHEST_SEED, size=size)

    def judge(
        self,
        population: Population,
        weights: Weights,
        probe: Probe,
        *,
        measure: bool = False,
        rule: PlasticityRule | None = None,
    ) -> Judgement:
        """Play all episodes of all networks as one batch; see ``Job.judge``."""
        check_probe(probe, len(weights))
        # Sizes recur: old weights are judged too whenever a probe is new.
        if probe.size not in self._tasks:
            self._tasks[probe.size] = type(self._tasks[1])(probe.size)
        task = self._tasks[probe.size]
        observer: LocalDynamics | None = None
        if measure:
            observer = LocalDynamics(population, weights, probe.shape[-1], rule=rule)
        rollouts = play(task, population, weights, probe, self._limits, observer=observer)
        dynamics = None if observer is None else observer.per_synapse()
        return Judgement(rollouts.returns.mean(axis=1), rollouts.lengths.sum(axis=1), dynamics)


def check_probe(probe: Probe, networks: int) -> None:
    """Raise ValueError for a probe that is empty or does not fit the networks."""
    fits = probe.ndim == 1 or (probe.ndim == 2 and len(probe) == networks)
    if not fits or probe.shape[-1] == 0:
        raise ValueError(
            f"a probe of {networks} networks must have shape (E,) or ({networks}, E) with E at "
            f"least 1, got {probe.shape}"
        )
