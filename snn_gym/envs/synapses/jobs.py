"""Jobs that spiking networks are trained for, with their scores.

A job judges weights on a probe, a set of episodes or of samples. Old and new weights are compared
on one probe, so that a difference of scores is due to the weights alone. (In the code published
with Bhargava et al. 2022, https://arxiv.org/abs/2105.14383, the comparison after a change of batch
is between two batches.)
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym._base.lazy import import_extra
from snn_gym.envs.classic_control import BATCHED_TASKS, BatchedTask
from snn_gym.envs.registry import load_spike_settings
from snn_gym.envs.rollout import ObservationLimits, output_size, play
from snn_gym.envs.synapses.local_measures import LocalDynamics, local_measures
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


# ---- supervised jobs -----------------------------------------------------------------------------
class SupervisedJob(Job):
    """Job of classifying samples; the score is minus the mean cross-entropy (nat) of the softmax.

    Samples are (M, D) in [-1, 1], labels (M,) the right outputs, from 0.
    """

    def __init__(
        self,
        name: str,
        samples: NDArray[np.float32],
        labels: NDArray[np.int64],
        *,
        step_size: float = 0.1,
        probe_size: int,
    ) -> None:
        self.name = name
        self.input_size = samples.shape[1]
        self.output_size = int(labels.max()) + 1
        self.step_size = step_size
        self.probe_size = probe_size
        self._samples = samples
        self._labels = labels

    def draw_probe(self, rng: np.random.Generator, size: int) -> Probe:
        """Return ``size`` random, different indices of samples; ValueError if there are fewer."""
        if size > len(self._samples):
            raise ValueError(
                f"job {self.name!r} has {len(self._samples)} samples, fewer than probe_size={size}"
            )
        return rng.choice(len(self._samples), size, replace=False)

    def judge(
        self,
        population: Population,
        weights: Weights,
        probe: Probe,
        *,
        measure: bool = False,
        rule: PlasticityRule | None = None,
    ) -> Judgement:
        """Classify the samples of the probe; see ``Job.judge``."""
        check_probe(probe, len(weights))
        networks, size = len(weights), probe.shape[-1]
        probes = np.broadcast_to(probe, (networks, size))
        owners = np.repeat(np.arange(networks), size)
        labels = self._labels[probes.ravel()]
        inputs = self._samples[probes.ravel()]
        activity = population.run(population.arrange(weights), owners, inputs)
        scores = -cross_entropies(activity.outputs, labels).reshape(probes.shape).mean(axis=1)
        dynamics = None
        if measure:
            # The right answers stand for actions, and none is better than another.
            advantages = np.ones(owners.size)
            dynamics = local_measures(
                population, weights, owners, activity, labels, advantages, rule
            )
        return Judgement(scores, np.full(networks, size), dynamics)


def cross_entropies(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return ``-ln softmax(outputs)[label]`` (M,), in nat, of outputs (M, O)."""
    shifted = outputs.astype(np.float64) - outputs.max(axis=1, keepdims=True)
    right = shifted[np.arange(len(labels)), labels]
    result: NDArray[np.float64] = np.log(np.exp(shifted).sum(axis=1)) - right
    return result


def teacher(seed: int = 0, dimension: int = 10, points: int = 200) -> SupervisedJob:
    """Make the job of agreeing with a logistic teacher perceptron; the probe is the whole set.

    Sizes as in the pre-training of Bhargava et al. 2022 (https://arxiv.org/abs/2105.14383); points
    are uniform in [-1, 1]^dimension, the teacher's weights and bias standard normal, and a label is
    1 where its logistic output is above one half. ``seed`` fixes points and teacher.
    """
    rng = np.random.default_rng(seed)
    samples = rng.uniform(-1.0, 1.0, (points, dimension)).astype(np.float32)
    labels = (samples @ rng.standard_normal(dimension) + rng.standard_normal() > 0).astype(np.int64)
    return SupervisedJob("Teacher", samples, labels, probe_size=points)


def xor() -> SupervisedJob:
    """Make the job of telling equal (0) from unequal (1) signs; the probe is all four cases."""
    samples = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], np.float32)
    return SupervisedJob("XOR", samples, np.array([0, 1, 1, 0]), probe_size=4)


def digits() -> SupervisedJob:
    """Make the job of reading scikit-learn's 1,797 handwritten digits of 8 by 8 pixels.

    Pixels are scaled from [0, 16] to [-1, 1]. Source: E. Alpaydin and C. Kaynak, "Optical
    Recognition of Handwritten Digits" (1998), https://doi.org/10.24432/C50P49. Without
    scikit-learn it raises ``gymnasium.error.DependencyNotInstalled``.
    """
    need = "the job 'Digits' needs scikit-learn"
    datasets: Any = import_extra(
        "sklearn.datasets", need, "digits", gym.error.DependencyNotInstalled
    )
    pixels, labels = datasets.load_digits(return_X_y=True)
    samples = (pixels / 8.0 - 1.0).astype(np.float32)
    return SupervisedJob("Digits", samples, labels.astype(np.int64), probe_size=100)


JOBS: dict[str, Callable[[], Job]] = {
    "Teacher": teacher,
    "XOR": xor,
    "Digits": digits,
    "CartPole": functools.partial(RolloutJob.of, "CartPole", "CartPole-v1"),
    "Acrobot": functools.partial(RolloutJob.of, "Acrobot", "Acrobot-v1"),
    "MountainCar": functools.partial(RolloutJob.of, "MountainCar", "MountainCar-v0"),
}
"""Factories of the jobs, by name."""


def make_job(job: str | Job) -> Job:
    """Return a ``Job`` unchanged, or make the one of a name in ``JOBS``; ValueError if unknown."""
    if isinstance(job, Job):
        return job
    if job not in JOBS:
        raise ValueError(f"job {job!r} is unknown; allowed: {', '.join(JOBS)}, or a Job")
    return JOBS[job]()
