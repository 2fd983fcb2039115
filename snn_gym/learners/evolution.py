"""Evolution: learners that move a distribution of weights by what its samples earn."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from cmaes import CMA, SepCMA
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import GymEnv

from snn_gym.learners.base import GradientFreeAlgorithm, LearnerArguments
from snn_gym.learners.nulls import PolicyType
from snn_gym.learners.settings import CMAESSettings, EvolutionStrategiesSettings

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
_SEPARABLE_ABOVE = 200
# What a generation of CMA-ES hands to the next beside the mean, which is the policy's weights: step
# size, covariance, the two evolution paths and the count. The package has no public names for them.
_CARRIED = ("sigma", "C", "p_sigma", "pc", "g")


class EvolutionStrategies(GradientFreeAlgorithm):
    """Evolution strategies of Salimans et al. 2017 (https://arxiv.org/abs/1703.03864).

    The gradient of the mean rank under Gaussian noise on the weights, from antithetic pairs:
    ``g = 1 / (n sigma) sum_i u_i eps_i``, with u the centred ranks in [-0.5, 0.5] of all returns;
    Adam follows it. All networks of an update play the same episodes. The policy holds the mean of
    the distribution. Different from the paper: no virtual batch normalisation, no discretised
    actions, and weight decay only on request.

    Args:
        policy: ``SpikingControllerPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        learning_rate: Step size of Adam.
        pairs: Antithetic pairs for each update.
        noise_std: Standard deviation sigma of the noise.
        weight_decay: Share of the weights that each gradient pulls towards 0.
        probe_episodes: Episodes that judge each network.
        **arguments: See ``LearnerArguments``.

    Raises:
        ValueError: A hyper-parameter is out of range, or a space is not supported.
    """

    settings_class = EvolutionStrategiesSettings
    learning_rate: float

    def __init__(
        self,
        policy: PolicyType,
        env: GymEnv | str | None,
        *,
        learning_rate: float = EvolutionStrategiesSettings.learning_rate,
        pairs: int = EvolutionStrategiesSettings.pairs,
        noise_std: float = EvolutionStrategiesSettings.noise_std,
        weight_decay: float = EvolutionStrategiesSettings.weight_decay,
        probe_episodes: int = EvolutionStrategiesSettings.probe_episodes,
        **arguments: Unpack[LearnerArguments],
    ) -> None:
        self.pairs = pairs
        self.noise_std = noise_std
        self.weight_decay = weight_decay
        super().__init__(
            policy, env, learning_rate=learning_rate, probe_episodes=probe_episodes, **arguments
        )

    def _first_memory(self) -> dict[str, NDArray[Any]]:
        zeros = np.zeros(self.population.parameter_count)
        return {"moment_1": zeros, "moment_2": zeros.copy(), "updates": np.array(0)}

    def _iterate(self) -> None:
        mean = self.weights
        half = self.rng.standard_normal((self.pairs, mean.size))
        noise = np.concatenate([half, -half])
        networks = (mean + self.noise_std * noise).astype(np.float32)
        scores = self.judge(networks).returns.mean(axis=1)
        gradient = centred_ranks(scores) @ noise / (scores.size * self.noise_std)
        self.weights = (mean + self._step(gradient - self.weight_decay * mean)).astype(np.float32)

    def _step(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Adam's step (W,) up a gradient (W,); Kingma and Ba 2015, arXiv:1412.6980."""
        memory = self.memory
        memory["updates"] = memory["updates"] + 1
        memory["moment_1"] = _BETA_1 * memory["moment_1"] + (1 - _BETA_1) * gradient
        memory["moment_2"] = _BETA_2 * memory["moment_2"] + (1 - _BETA_2) * gradient**2
        count = int(memory["updates"])
        first = memory["moment_1"] / (1 - _BETA_1**count)
        second = memory["moment_2"] / (1 - _BETA_2**count)
        step: NDArray[np.float64] = self.learning_rate * first / (np.sqrt(second) + _EPSILON)
        return step


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

    Args:
        policy: ``SpikingControllerPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        initial_std: Standard deviation of the first generation around the start.
        population_size: Networks of a generation; the paper advises ``4 + 3 ln W``.
        separable: Whether only variances are adapted; None: above 200 synapses.
        probe_episodes: Episodes that judge each network.
        **arguments: See ``LearnerArguments``.

    Raises:
        ValueError: A hyper-parameter is out of range, or a space is not supported.
    """

    settings_class = CMAESSettings

    def __init__(
        self,
        policy: PolicyType,
        env: GymEnv | str | None,
        *,
        initial_std: float = CMAESSettings.initial_std,
        population_size: int = CMAESSettings.population_size,
        separable: bool | None = CMAESSettings.separable,
        probe_episodes: int = CMAESSettings.probe_episodes,
        **arguments: Unpack[LearnerArguments],
    ) -> None:
        self.initial_std = initial_std
        self.population_size = population_size
        self.separable = separable
        super().__init__(policy, env, probe_episodes=probe_episodes, **arguments)

    def _first_memory(self) -> dict[str, NDArray[Any]]:
        return _carried(self._strategy())

    def _iterate(self) -> None:
        strategy = self._strategy()
        for name in _CARRIED:
            value = self.memory[name]
            setattr(strategy, f"_{name}", value.copy() if value.ndim else value.item())
        strategy.reseed_rng(int(self.rng.integers(2**32)))
        samples = [strategy.ask() for _ in range(strategy.population_size)]
        scores = self.judge(np.array(samples, dtype=np.float32)).returns.mean(axis=1)
        strategy.tell(list(zip(samples, (-scores).tolist(), strict=True)))  # which it minimises
        self.memory = _carried(strategy)
        self.weights = strategy.mean.astype(np.float32)

    def _strategy(self) -> CMA | SepCMA:
        """Return the package's strategy in its first generation, around the policy's weights."""
        mean = self.weights.astype(np.float64)
        separable = mean.size > _SEPARABLE_ABOVE if self.separable is None else self.separable
        kind = SepCMA if separable else CMA
        return kind(mean, self.initial_std, population_size=self.population_size)


def _carried(strategy: CMA | SepCMA) -> dict[str, NDArray[Any]]:
    return {name: np.array(getattr(strategy, f"_{name}")) for name in _CARRIED}
