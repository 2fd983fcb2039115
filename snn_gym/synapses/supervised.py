"""Jobs with right answers: a teacher perceptron, XOR, handwritten digits."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym.spiking.population import Population
from snn_gym.synapses.jobs import Job, Judgement, Probe, Weights, check_probe
from snn_gym.synapses.local_dynamics import local_measures
from snn_gym.synapses.plasticity import PlasticityRule


class SupervisedJob(Job):
    """Give the right answer; the score is minus the mean cross-entropy (nat) of the softmax.

    Args:
        name: Name of the job.
        samples: (M, D) float32, in [-1, 1].
        labels: (M,) int64, the right outputs, from 0.
        step_size: Change of a weight by one move, unless told otherwise.
        probe_size: Samples of a probe, unless told otherwise.
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
        """Return indices (E,) of samples, each at most once.

        Raises:
            ValueError: There are fewer samples.
        """
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
        """Decide on the samples; see ``Job.judge``."""
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
    """Make the job of agreeing with a logistic teacher perceptron.

    Sizes as in the pre-training of Bhargava et al. 2022 (https://arxiv.org/abs/2105.14383); points
    are uniform in [-1, 1]^dimension, the teacher's weights and bias standard normal, and a label is
    1 where its logistic output is above one half. The probe is the whole set.

    Args:
        seed: Seed of points and teacher, which belong to the job and stay the same.
        dimension: Inputs D.
        points: Samples M.
    """
    rng = np.random.default_rng(seed)
    samples = rng.uniform(-1.0, 1.0, (points, dimension)).astype(np.float32)
    labels = (samples @ rng.standard_normal(dimension) + rng.standard_normal() > 0).astype(np.int64)
    return SupervisedJob("Teacher", samples, labels, probe_size=points)


def xor() -> SupervisedJob:
    """Make the job of telling equal from unequal signs; the probe is all four cases."""
    samples = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], np.float32)
    return SupervisedJob("XOR", samples, np.array([0, 1, 1, 0]), probe_size=4)


def digits() -> SupervisedJob:
    """Make the job of reading scikit-learn's 1,797 handwritten digits of 8 by 8 pixels.

    Pixels are scaled from [0, 16] to [-1, 1]. Source: E. Alpaydin and C. Kaynak, "Optical
    Recognition of Handwritten Digits" (1998), https://doi.org/10.24432/C50P49.

    Raises:
        gymnasium.error.DependencyNotInstalled: scikit-learn is absent.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise gym.error.DependencyNotInstalled(
            "the job 'Digits' needs scikit-learn, which is not installed; install it with: "
            'pip install "snn-gym[digits]"'
        ) from error
    pixels, labels = load_digits(return_X_y=True)
    samples = (pixels / 8.0 - 1.0).astype(np.float32)
    return SupervisedJob("Digits", samples, labels.astype(np.int64), probe_size=100)
