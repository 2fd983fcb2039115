"""Jobs that a spiking network is trained for, and how well it does them.

A job judges weights on a probe, a set of episodes or of samples. Old and new weights are compared
on one probe, so that a difference of scores is due to the weights alone. (In the code published
with Bhargava et al. 2022, https://arxiv.org/abs/2105.14383, the comparison after a change of batch
is between two batches.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.envs.classic_control import BATCHED_TASKS, BatchedTask
from snn_gym.envs.registry import load_spike_settings
from snn_gym.envs.rollout import ObservationLimits, output_size, play
from snn_gym.envs.synapses.local_measures import LocalDynamics
from snn_gym.envs.synapses.plasticity import PlasticityRule
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.population import Population

Weights = NDArray[np.float32]
"""(P, W), a network in each row."""
Probe = NDArray[np.int64]
"""(E,), what all networks are judged on, or (P, E), for each its own: seeds or indices."""

_HIGHEST_SEED = 2**31


@dataclass(frozen=True)
class Judgement:
    """How well P networks did on a probe."""

    scores: NDArray[np.float64]
    """(P,), higher is better, in the job's unit."""
    network_steps: NDArray[np.int64]
    """(P,), environment steps, or samples seen, that the score took."""
    dynamics: NDArray[np.float32] | None = None
    """(P, W, K), ``LOCAL_MEASURES`` of every synapse and, where a rule of plasticity was given, its
    eligibility, if they were measured."""

    @property
    def steps(self) -> int:
        """Environment steps, or samples seen, of all networks together."""
        return int(self.network_steps.sum())


class Job(ABC):
    """Something that networks of ``input_size`` inputs and ``output_size`` outputs can do."""

    name: str
    """Name of the job."""
    input_size: int
    """Values D that a network sees."""
    output_size: int
    """Outputs O that it drives."""
    step_size: float = 0.3
    """Change of a weight by one move, unless told otherwise."""
    probe_size: int = 4
    """Episodes or samples E of a probe, unless told otherwise."""
    network = NetworkConfig(hidden_sizes=(16,), time_steps=8)
    """Network that does it, unless told otherwise."""

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
        """Say how well networks do.

        Args:
            population: Architecture of the networks.
            weights: (P, W) float32.
            probe: (E,) for all of them, or (P, E).
            measure: Whether to measure the local dynamics of synapses too.
            rule: Rule of plasticity whose eligibility is measured beside them; None for none. A job
                need not take it where no rule is asked for.

        Raises:
            ValueError: Weights or probe have a wrong shape, or a reward is not finite.
        """


class RolloutJob(Job):
    """Control a batched task; the score is the mean return of the probe's episodes.

    Args:
        name: Name of the job.
        task: One environment of the task; batches of its class are made as probes ask.
        limits: Limits that scale its observations.

    Raises:
        ValueError: Networks can't drive the task's actions.
    """

    def __init__(self, name: str, task: BatchedTask, limits: ObservationLimits) -> None:
        self.name = name
        self.input_size = limits.low.size
        self.output_size = output_size(task.single_action_space)
        self._tasks = {1: task}
        self._limits = limits

    @classmethod
    def of(cls, name: str, env_id: str) -> RolloutJob:
        """Make the job of controlling a task of ``BATCHED_TASKS`` within its described limits."""
        spikes = load_spike_settings(env_id)
        limits = ObservationLimits.of(spikes.low, spikes.high)
        return cls(name, BATCHED_TASKS[env_id](1), limits)

    def draw_probe(self, rng: np.random.Generator, size: int) -> Probe:
        """Return seeds (E,) of episodes."""
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
        # Old weights are judged too where a probe is new, so that sizes come back.
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
    """Refuse a probe that does not fit the networks.

    Raises:
        ValueError: The probe has a wrong shape or is empty.
    """
    fits = probe.ndim == 1 or (probe.ndim == 2 and len(probe) == networks)
    if not fits or probe.shape[-1] == 0:
        raise ValueError(
            f"a probe of {networks} networks must have shape (E,) or ({networks}, E) with E at "
            f"least 1, got {probe.shape}"
        )


def check_finite(job: str, scores: NDArray[Any]) -> None:
    """Refuse scores that are no numbers.

    Raises:
        ValueError: A score is infinite or not a number.
    """
    if not np.isfinite(scores).all():
        worst = scores[~np.isfinite(scores)][0]
        raise ValueError(
            f"job {job!r} gave the score {worst}; scores must be finite, or no move can be called "
            "an improvement: bound them in Job.judge"
        )
