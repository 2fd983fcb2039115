"""Evolution: learners that move a distribution of weights by what its samples earn."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields

import numpy as np
from cmaes import CMA, SepCMA
from numpy.typing import NDArray

from snn_gym.arrays import to_arrays
from snn_gym.learners.base import GradientFreeAlgorithm
from snn_gym.learners.settings import CMAESSettings, EvolutionStrategiesSettings

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
_SEPARABLE_ABOVE = 200


@dataclass
class AdamMemory:
    """What ``EvolutionStrategies`` carries: the moments of Adam."""

    moment_1: NDArray[np.float64]
    """(W,), running mean of the gradient."""
    moment_2: NDArray[np.float64]
    """(W,), running mean of its square."""
    updates: int = 0
    """Steps so far."""


@dataclass
class CMAESMemory:
    """What a generation of ``CMAES`` hands to the next beside the mean, in Hansen's symbols."""

    sigma: float
    """Step size."""
    C: NDArray[np.float64]
    """Covariance (W, W), or variances (W,)."""
    p_sigma: NDArray[np.float64]
    """(W,), evolution path of the step size."""
    pc: NDArray[np.float64]
    """(W,), evolution path of the covariance."""
    g: int
    """Generations so far."""


class EvolutionStrategies(GradientFreeAlgorithm):
    """Evolution strategies of Salimans et al. 2017 (https://arxiv.org/abs/1703.03864).

    The gradient of the mean rank under Gaussian noise on the weights, from antithetic pairs:
    ``g = 1 / (n sigma) sum_i u_i eps_i``, with u the centred ranks in [-0.5, 0.5] of all returns;
    Adam follows it. All networks of an update play the same episodes. The policy holds the mean of
    the distribution. Different from the paper: no virtual batch normalisation, no discretised
    actions, and weight decay only on request.
    """

    settings_class = EvolutionStrategiesSettings
    settings: EvolutionStrategiesSettings
    memory: AdamMemory

    def _first_memory(self) -> AdamMemory:
        count = self.population.parameter_count
        return AdamMemory(np.zeros(count), np.zeros(count))

    def _iterate(self) -> None:
        settings, mean = self.settings, self.weights
        half = self.rng.standard_normal((settings.pairs, mean.size))
        noise = np.concatenate([half, -half])
        networks = (mean + settings.noise_std * noise).astype(np.float32)
        scores = self.judge(networks).returns.mean(axis=1)
        gradient = centred_ranks(scores) @ noise / (scores.size * settings.noise_std)
        step = self._step(gradient - settings.weight_decay * mean)
        self.weights = (mean + step).astype(np.float32)

    def _step(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Adam's step (W,) up a gradient (W,); Kingma and Ba 2015, arXiv:1412.6980."""
        memory = self.memory
        memory.updates += 1
        memory.moment_1 = _BETA_1 * memory.moment_1 + (1 - _BETA_1) * gradient
        memory.moment_2 = _BETA_2 * memory.moment_2 + (1 - _BETA_2) * gradient**2
        first = memory.moment_1 / (1 - _BETA_1**memory.updates)
        second = memory.moment_2 / (1 - _BETA_2**memory.updates)
        step: NDArray[np.float64] = self.settings.learning_rate * first
        return step / (np.sqrt(second) + _EPSILON)


def centred_ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ranks of scores (n,), scaled to [-0.5, 0.5]; equal scores share their mean rank.

    Salimans et al. break ties by order, which would make a gradient of a flat landscape.
    """
    _, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts + 1) / 2.0
    centred: NDArray[np.float64] = ranks[which] / max(scores.size - 1, 1) - 0.5
    return centred


class CMAES(GradientFreeAlgorithm):
    """CMA-ES of the ``cmaes`` package (https://github.com/CyberAgentAILab/cmaes).

    Hansen 2016, https://arxiv.org/abs/1604.00772; above 200 synapses the separable variant, which
    adapts variances only: Ros and Hansen 2008, https://doi.org/10.1007/978-3-540-87700-4_30. All
    networks of a generation play the same episodes. The policy holds the distribution's mean.
    """

    settings_class = CMAESSettings
    settings: CMAESSettings
    memory: CMAESMemory

    def _first_memory(self) -> CMAESMemory:
        return _carried(self._strategy())

    def _iterate(self) -> None:
        strategy = self._strategy()
        for name, value in to_arrays(self.memory).items():
            setattr(strategy, f"_{name}", value if value.ndim else value.item())
        strategy.reseed_rng(int(self.rng.integers(2**32)))
        samples = [strategy.ask() for _ in range(strategy.population_size)]
        scores = self.judge(np.array(samples, dtype=np.float32)).returns.mean(axis=1)
        strategy.tell(list(zip(samples, (-scores).tolist(), strict=True)))  # which it minimises
        self.memory = _carried(strategy)
        self.weights = strategy.mean.astype(np.float32)

    def _strategy(self) -> CMA | SepCMA:
        """Return the package's strategy in its first generation, around the policy's weights."""
        mean, separable = self.weights.astype(np.float64), self.settings.separable
        if separable is None:
            separable = mean.size > _SEPARABLE_ABOVE
        kind = SepCMA if separable else CMA
        return kind(mean, self.settings.initial_std, population_size=self.settings.population_size)


def _carried(strategy: CMA | SepCMA) -> CMAESMemory:
    # The package has no public names for what it carries.
    names = [field.name for field in fields(CMAESMemory)]
    return CMAESMemory(**{name: copy(getattr(strategy, f"_{name}")) for name in names})
