"""Strategy A: every synapse of a spiking network is an agent that moves its own weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.arrays import from_arrays, to_arrays
from snn_gym.learners.base import GradientFreeAlgorithm
from snn_gym.learners.settings import LearnerName, SynapseAgentsSettings
from snn_gym.synapses.features import SynapseFeatures
from snn_gym.synapses.local_dynamics import LOCAL_MEASURES, LocalDynamics
from snn_gym.synapses.presets import PRESETS
from snn_gym.synapses.rules import (
    Moves,
    PolicyGradientRule,
    QNetworkRule,
    SynapseRule,
    TabularRule,
    load_memory,
)

_RULE = "rule."
_ELIGIBILITY = LOCAL_MEASURES.index("eligibility")


@dataclass
class SynapseMemory:
    """What ``SynapseAgents`` carries beside what its rule has learned."""

    weights: NDArray[np.float32]
    """(W,), that are moved."""
    moves: NDArray[np.int8]
    """(h, W), past ones, the latest first."""
    rewards: NDArray[np.float32]
    """(h,), past ones, the latest first."""
    dynamics: NDArray[np.float32]
    """(W, K), ``LOCAL_MEASURES`` of the network when it was last judged."""
    permutation: NDArray[np.int64]
    """(W,), the synapse whose dynamics each one sees where they are shuffled."""
    seeds: NDArray[np.int64]
    """(E,), of the present episodes."""
    score: float = np.nan
    """Mean return of the weights on these episodes; NaN where it is to be judged."""
    best: float = -np.inf
    """Highest score so far."""
    failures: int = 0
    """Moves without an improvement since the last one."""


class SynapseAgents(GradientFreeAlgorithm):
    """Reinforcement learning by the synapses of a network, which share or own a learning rule.

    In every iteration each synapse observes its features and moves its weight by ``-step_size``,
    0 or ``step_size``; the weights before and after play the same episodes; the reward is the sign
    of the change of their mean return, -1 for no change. It follows synaptic-level reinforcement
    learning (Bhargava, Rezaei and Lankarany 2022, https://arxiv.org/abs/2105.14383), with the
    state designs of the founding paper (Zheng et al. 2026,
    https://www.mdpi.com/2313-7673/11/1/47) as far as they are public: masks of past moves and
    rewards, weight, and place in the network. Differences from the former: spiking networks,
    old and new weights always on the same episodes, bounded weights, moves that may be taken back,
    and whole-network exploration after failures.

    With ``dynamics`` among the features, every synapse also sees local measures of the episodes
    that its network just played (``snn_gym.synapses.local_dynamics``), and ``shuffled``
    gives them to other synapses: same numbers, wrong addressees, the control to beat.

    The policy holds the network of the best mean return on its probe so far (the latest of equal
    ones); where moves that made it worse are taken back, that is the present network.

    Raises:
        ValueError: A hyper-parameter is out of range, the spaces are not supported, or dynamics
            are to be seen where no batched task lets one see them.
    """

    settings_class = SynapseAgentsSettings
    settings: SynapseAgentsSettings
    memory: SynapseMemory
    rule: SynapseRule
    """What the synapses have learned, and how they learn."""

    @property
    def rule_memory(self) -> dict[str, NDArray[Any]]:
        """What the synapses have learned, by name; for ``load_rule`` of another model."""
        return {name: array.copy() for name, array in self.rule.memory.items()}

    def load_rule(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Start from what other synapses have learned, as ``rule_memory`` gives it.

        Raises:
            ValueError: It is that of another kind of learner or of other features.
        """
        load_memory(self.rule, memory)

    @property
    def sees_dynamics(self) -> bool:
        """Whether local dynamics are measured: as a feature, or for the local reward."""
        return "dynamics" in PRESETS[self.settings.preset] or self.settings.reward == "local"

    def state_tensors(self) -> dict[str, NDArray[Any]]:
        """Return what is carried between iterations, what the rule has learned included."""
        rule = {f"{_RULE}{name}": array.copy() for name, array in self.rule.memory.items()}
        return {**to_arrays(self.memory), **rule}

    def load_state_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``state_tensors`` returned.

        Raises:
            ValueError: The names are not this learner's.
        """
        own = {k: v for k, v in tensors.items() if not k.startswith(_RULE)}
        rule = {k.removeprefix(_RULE): v for k, v in tensors.items() if k.startswith(_RULE)}
        memory = from_arrays(self.memory, own, type(self).__name__)
        load_memory(self.rule, rule)
        self.memory = memory

    def _setup_model(self) -> None:
        is_loaded = not self._is_new
        super()._setup_model()
        settings = self.settings
        self.features = SynapseFeatures(
            PRESETS[settings.preset],
            self.population.synapses,
            settings.weight_limit,
            settings.history,
        )
        if not is_loaded:
            self.rule = make_rule(
                settings.learner,
                self.features.names,
                settings.learning_rate,
                settings.gamma,
                self.rng,
            )

    def _first_memory(self) -> SynapseMemory:
        count, history = self.population.parameter_count, self.settings.history
        return SynapseMemory(
            weights=self.weights,
            moves=np.zeros((history, count), np.int8),
            rewards=np.zeros(history, np.float32),
            dynamics=np.zeros((count, len(LOCAL_MEASURES)), np.float32),
            permutation=np.random.default_rng(self.seed).permutation(count),
            seeds=np.zeros(self.settings.probe_episodes, np.int64),
        )

    def _iterate(self) -> None:
        memory = self.memory
        self._judge_present()
        features = self._observe()
        restless = 1.0 - (1.0 + memory.failures) ** -self.settings.restlessness
        before: NDArray[np.float32] = memory.weights
        moves: Moves | None = None
        step: NDArray[Any]
        if self.rng.random() < restless:
            step = self.settings.restless_step_size * self.rng.standard_normal(before.size)
        else:
            moves = self.rule.act(features, self.settings.exploration, self.rng)
            step = self.settings.step_size * moves
        candidate = np.clip(before + step, -self.settings.weight_limit, self.settings.weight_limit)
        eligibility = self._seen(memory.dynamics)[:, _ELIGIBILITY].copy()
        gain = self._try(candidate.astype(np.float32))
        if moves is not None:
            self._learn(features, moves, eligibility, gain)

    def _judge_present(self) -> None:
        """Make sure that the present weights have a score on the episodes of this iteration."""
        memory = self.memory
        is_first = memory.best == -np.inf
        if is_first:
            memory.weights = self.weights  # which may have been set or loaded meanwhile
        if self.settings.probe_renewal == "always" or np.isnan(memory.score):
            if self.settings.probe_renewal != "never" or is_first:
                memory.seeds[:] = self.probe_seeds()
            score, dynamics = self._measure(memory.weights)
            memory.score = score
            memory.dynamics = dynamics
            if is_first:
                memory.best = score

    def _try(self, candidate: NDArray[np.float32]) -> float:
        """Judge a candidate, keep it or not; return by how much it is better."""
        memory = self.memory
        score, dynamics = self._measure(candidate)
        gain = float(score - memory.score)
        improved = gain > 0
        memory.failures = 0 if improved else memory.failures + 1
        if gain >= 0 or self.settings.moves_kept == "always":
            memory.weights, memory.dynamics = candidate, dynamics
            memory.score = score
            self._deploy(candidate, score)
            if improved and self.settings.probe_renewal == "improved":
                memory.score = np.nan
        return gain

    def _deploy(self, candidate: NDArray[np.float32], score: float) -> None:
        if self.settings.moves_kept == "improving" or score >= self.memory.best:
            self.weights = candidate
        self.memory.best = max(score, self.memory.best)

    def _measure(self, weights: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        """Return the mean return of weights (W,) on the probe, and local dynamics (W, K)."""
        networks = weights[np.newaxis]
        observer: LocalDynamics | None = None
        if self.sees_dynamics:
            observer = LocalDynamics(self.population, networks, self.settings.probe_episodes)
        rollouts = self.judge(networks, self.memory.seeds.tolist(), observer)
        dynamics: NDArray[np.float32] = (
            self.memory.dynamics if observer is None else observer.per_synapse()[0]
        )
        return float(rollouts.returns.mean()), dynamics

    def _seen(self, dynamics: NDArray[np.float32]) -> NDArray[np.float32]:
        return dynamics[self.memory.permutation] if self.settings.shuffled else dynamics

    def _observe(self) -> NDArray[np.float32]:
        memory = self.memory
        observed: NDArray[np.float32] = self.features.observe(
            memory.weights[np.newaxis],
            memory.moves[np.newaxis],
            memory.rewards[np.newaxis],
            self._seen(memory.dynamics)[np.newaxis],
        )[0]
        return observed

    def _learn(
        self,
        features: NDArray[np.float32],
        moves: Moves,
        eligibility: NDArray[np.float32],
        gain: float,
    ) -> None:
        memory = self.memory
        reward = 1.0 if gain > 0 else -1.0
        memory.moves = np.concatenate([moves[np.newaxis], memory.moves[:-1]])
        memory.rewards = np.concatenate([[reward], memory.rewards[:-1]]).astype(np.float32)
        if self.settings.frozen:
            return
        rewards = np.full(moves.size, reward, np.float32)
        if self.settings.reward == "local":
            rewards = ((rewards + moves * eligibility) / 2.0).astype(np.float32)
        self.rule.learn(features, moves, rewards, self._observe())


def make_rule(
    learner: LearnerName,
    names: Sequence[str],
    rate: float,
    discount: float,
    rng: np.random.Generator,
) -> SynapseRule:
    """Return a fresh learning rule.

    Args:
        learner: As in ``SynapseAgents``.
        names: Names of the features that synapses observe.
        rate: Learning rate.
        discount: Discount γ of the synapses' future rewards.
        rng: Source of the first weights of a rule that is a network.
    """
    if learner == "q_network":
        return QNetworkRule(tuple(names), rate, discount, rng)
    if learner == "policy_gradient":
        return PolicyGradientRule(tuple(names), rate, rng)
    return TabularRule(tuple(names), rate, discount, per_synapse=learner == "synapse_tables")
