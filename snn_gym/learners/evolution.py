"""Evolution strategies, CMA-ES, and simple search baselines without gradients."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from cmaes import CMA, SepCMA
from numpy.typing import NDArray

from snn_gym._base.storage import to_arrays
from snn_gym.learners.base import GradientFreeAlgorithm
from snn_gym.learners.settings import (
    AcceptRejectSettings,
    CMAESSettings,
    ComparingSettings,
    EvolutionStrategiesSettings,
    RandomSearchSettings,
    WinStaySettings,
)
from snn_gym.spiking.population import start_weights

# ---- evolution -----------------------------------------------------------------------------------
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
# A full covariance takes W^2 numbers, and its decomposition W^3 operations.
_SEPARABLE_ABOVE = 200


@dataclass
class AdamMemory:
    """State of ``EvolutionStrategies``: Adam's moments (W,)."""

    moment_1: NDArray[np.float64]
    moment_2: NDArray[np.float64]
    updates: int = 0


@dataclass
class CMAESMemory:
    """State of ``CMAES`` beside the mean: the ``cmaes`` package's attributes, Hansen's symbols."""

    sigma: float
    C: NDArray[np.float64]
    """Covariance (W, W), or variances (W,)."""
    p_sigma: NDArray[np.float64]
    pc: NDArray[np.float64]
    g: int


class EvolutionStrategies(GradientFreeAlgorithm):
    """Evolution strategies of Salimans et al. 2017 (https://arxiv.org/abs/1703.03864).

    The gradient of the mean rank under Gaussian noise on the weights, from antithetic pairs:
    ``g = 1 / (n sigma) sum_i u_i eps_i``, with u the centred ranks in [-0.5, 0.5] of all returns;
    Adam follows it. All networks of an update play the same episodes. The policy holds the mean of
    the distribution. Differences from the paper: no virtual batch normalisation, no discretised
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
        # In antithetic pairs the mean return cancels.
        noise = np.concatenate([half, -half])
        networks = (mean + settings.noise_std * noise).astype(np.float32)
        scores = self.judge(networks).returns.mean(axis=1)
        gradient = centred_ranks(scores) @ noise / (scores.size * settings.noise_std)
        step = self._step(gradient - settings.weight_decay * mean)
        self.weights = (mean + step).astype(np.float32)

    def _step(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Adam's next step (W,) up a gradient (W,); Kingma and Ba 2015, arXiv:1412.6980."""
        memory = self.memory
        memory.updates += 1
        memory.moment_1 = _BETA_1 * memory.moment_1 + (1 - _BETA_1) * gradient
        memory.moment_2 = _BETA_2 * memory.moment_2 + (1 - _BETA_2) * gradient**2
        first = memory.moment_1 / (1 - _BETA_1**memory.updates)
        second = memory.moment_2 / (1 - _BETA_2**memory.updates)
        step: NDArray[np.float64] = self.settings.learning_rate * first
        return step / (np.sqrt(second) + _EPSILON)


def centred_ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks of scores (n,), scaled to [-0.5, 0.5]; equal scores share their mean rank."""
    # Ties broken by order, as by Salimans et al., would make a gradient of a flat landscape.
    _, groups, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts + 1) / 2.0
    centred: NDArray[np.float64] = ranks[groups] / max(scores.size - 1, 1) - 0.5
    return centred


class CMAES(GradientFreeAlgorithm):
    """CMA-ES of the ``cmaes`` package (https://github.com/CyberAgentAILab/cmaes).

    Hansen 2016, https://arxiv.org/abs/1604.00772. Above 200 synapses, the separable variant
    adapts variances only: Ros and Hansen 2008,
    https://doi.org/10.1007/978-3-540-87700-4_30. All networks of a generation play the same
    episodes. The policy holds the distribution's mean.
    """

    settings_class = CMAESSettings
    settings: CMAESSettings
    memory: CMAESMemory

    def _first_memory(self) -> CMAESMemory:
        return _memory_of(self._strategy())

    def _iterate(self) -> None:
        strategy = self._strategy()
        for name, value in to_arrays(self.memory).items():
            # Arrays without axes were numbers.
            setattr(strategy, f"_{name}", value if value.ndim else value.item())
        # The package's generator is not part of the state that a checkpoint stores.
        strategy.reseed_rng(int(self.rng.integers(2**32)))
        samples = [strategy.ask() for _ in range(strategy.population_size)]
        scores = self.judge(np.array(samples, dtype=np.float32)).returns.mean(axis=1)
        strategy.tell(list(zip(samples, (-scores).tolist(), strict=True)))  # it minimises
        self.memory = _memory_of(strategy)
        self.weights = strategy.mean.astype(np.float32)

    def _strategy(self) -> CMA | SepCMA:
        """Return a strategy in its first generation, around the policy's weights."""
        mean = self.weights.astype(np.float64)
        kind = SepCMA if mean.size > _SEPARABLE_ABOVE else CMA
        return kind(mean, self.settings.initial_std, population_size=self.settings.population_size)


def _memory_of(strategy: CMA | SepCMA) -> CMAESMemory:
    # The package has no public names for its state.
    names = [field.name for field in fields(CMAESMemory)]
    return CMAESMemory(**{name: copy(getattr(strategy, f"_{name}")) for name in names})


# ---- baselines -----------------------------------------------------------------------------------
@dataclass
class ComparingMemory:
    """State of ``ComparingLearner``: its present episodes."""

    seeds: NDArray[np.int64]
    """(E,), of the present episodes."""
    scores: NDArray[np.float64]
    """(E,), returns of the accepted weights; NaN where they are not judged yet."""


@dataclass
class WinStayMemory(ComparingMemory):
    """State of ``WinStay``."""

    moves: NDArray[np.int8]
    """(W,), -1, 0 or 1, of the next candidate."""


class ComparingLearner(GradientFreeAlgorithm):
    """Learner that accepts a candidate if it is not worse than the last accepted weights.

    Comparisons:

    - ``until_accepted``: candidates play the same episodes until one is accepted, so that the
      accepted weights are judged once for all of them;
    - ``kept_score``: candidates play new episodes, and the accepted weights keep the score with
      which they were accepted.
    """

    settings_class: ClassVar[type[ComparingSettings]] = ComparingSettings
    settings: ComparingSettings
    memory: ComparingMemory

    @abstractmethod
    def _propose(self) -> NDArray[np.float32]:
        """Return a candidate (W,)."""

    def _learn_from(self, gain: float) -> None:
        """Learn, if at all, from a candidate's gain in mean return, below 0 if rejected."""

    def _first_memory(self) -> ComparingMemory:
        count = self.settings.probe_episodes
        return ComparingMemory(np.zeros(count, np.int64), np.full(count, np.nan))

    def _iterate(self) -> None:
        candidate, comparison = self._propose(), self.settings.comparison
        memory = self.memory
        missing = bool(np.isnan(memory.scores).any())
        if comparison == "kept_score" or missing:
            memory.seeds[:] = self.probe_seeds()
        # One call plays both in one batch.
        networks = np.stack([self.weights, candidate] if missing else [candidate])
        returns = self.judge(networks, memory.seeds.tolist()).returns
        if missing:
            memory.scores[:] = returns[0]
        gain = float(np.mean(returns[-1]) - np.mean(memory.scores))
        if gain >= 0:
            self.weights = candidate
            memory.scores[:] = returns[-1] if comparison == "kept_score" else np.nan
        self._learn_from(gain)


class AcceptReject(ComparingLearner):
    """Hill climbing: move weights at random, keep the move if the return is not lower.

    A (1+1) evolution strategy with a fixed step (Rechenberg 1973; Beyer and Schwefel 2002,
    https://doi.org/10.1023/A:1015059928466), without adaptation of the step size.

    Example:
        >>> from snn_gym.learners import AcceptReject
        >>> model = AcceptReject("SpikingControllerPolicy", "CartPole-v1", seed=0)
        >>> model.learn(2_000).num_timesteps >= 2_000
        True
    """

    settings_class = AcceptRejectSettings
    settings: AcceptRejectSettings

    def _propose(self) -> NDArray[np.float32]:
        weights = self.weights
        steps = self.rng.standard_normal(weights.size)
        moved = self.rng.random(weights.size) < self.settings.moved_share
        # At least one weight moves.
        moved[self.rng.integers(weights.size)] = True
        return (weights + self.settings.step_size * np.where(moved, steps, 0.0)).astype(np.float32)


class RandomSearch(GradientFreeAlgorithm):
    """Guess fresh weights again and again, and keep the best.

    In every iteration the best weights and the candidates, drawn by ``start_weights``, play the
    same new episodes, so that no lucky score lasts. Source: Schmidhuber, Hochreiter and Bengio
    2001, "Evaluating benchmark problems by random guessing", in A Field Guide to Dynamical
    Recurrent Networks, IEEE Press.
    """

    settings_class = RandomSearchSettings
    settings: RandomSearchSettings

    def _iterate(self) -> None:
        fresh = start_weights(self.population, self.rng, self.settings.candidates, head_scale=1.0)
        networks = np.concatenate([self.weights[None], fresh])
        # On a tie, argmax takes the first: the present weights stay.
        self.weights = networks[self.judge(networks).returns.mean(axis=1).argmax()]


class WinStay(ComparingLearner):
    """Every synapse repeats its last move while the return rises, and else draws a new one.

    A move is one of -a, 0 and a. If the moves raised the return, all synapses repeat them
    (win-stay); if they lowered it the weights go back, and every synapse draws a new move
    (lose-shift). An equal return keeps the weights and draws new moves. Bhargava et al. 2022,
    https://arxiv.org/abs/2105.14383, have win-stay synapses whose weights do not go back.
    """

    settings_class = WinStaySettings
    settings: WinStaySettings
    memory: WinStayMemory

    def _first_memory(self) -> WinStayMemory:
        return WinStayMemory(**vars(super()._first_memory()), moves=self._drawn_moves())

    def _propose(self) -> NDArray[np.float32]:
        return (self.weights + self.settings.step_size * self.memory.moves).astype(np.float32)

    def _learn_from(self, gain: float) -> None:
        if gain <= 0:
            self.memory.moves = self._drawn_moves()

    def _drawn_moves(self) -> NDArray[np.int8]:
        """Draw moves (W,) in {-1, 0, 1}."""
        count = self.population.parameter_count
        signs = self.rng.choice(np.array([-1, 1], np.int8), count)
        return np.where(self.rng.random(count) < self.settings.moved_share, signs, 0).astype(
            np.int8
        )
