"""Reinforcement learning in which every synapse is an agent that moves its weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.storage import from_arrays, prefixed, to_arrays, with_prefix
from snn_gym.envs.synapses.features import SynapseFeatures
from snn_gym.envs.synapses.jobs import Judgement, Probe
from snn_gym.envs.synapses.local_measures import LOCAL_MEASURES, LocalDynamics
from snn_gym.envs.synapses.plasticity import RULES, PlasticityRule
from snn_gym.envs.synapses.presets import MEASURED
from snn_gym.envs.synapses.rules import (
    PolicyGradientRule,
    QNetworkRule,
    SynapseRule,
    TabularRule,
    load_memory,
)
from snn_gym.envs.synapses.world import MovingNetworks, SynapseLoop
from snn_gym.learners.base import GradientFreeAlgorithm
from snn_gym.learners.settings import LearnerName, SynapseAgentsSettings

_ELIGIBILITY = LOCAL_MEASURES.index("eligibility")


@dataclass
class SynapseMemory(MovingNetworks):
    """State of ``SynapseAgents`` beside that of its rule; a score of NaN means not judged yet."""

    permutation: NDArray[np.int64]
    """(W,), index of the synapse whose dynamics each synapse sees if they are shuffled."""
    best: float = -np.inf
    """Highest mean return so far; -inf before the first judgement."""
    failures: int = 0
    """Moves since the last improvement."""


class SynapseAgents(GradientFreeAlgorithm):
    """Reinforcement learning by the synapses of a network, which share or own a learning rule.

    In every iteration each synapse observes its features and moves its weight by ``-step_size``,
    0 or ``step_size``; the weights before and after play the same episodes; the reward is the sign
    of the change of their mean return, -1 for no change. It follows synaptic-level reinforcement
    learning (Bhargava, Rezaei and Lankarany 2022, https://arxiv.org/abs/2105.14383), with the
    state designs of the founding paper (Zheng et al. 2026,
    https://www.mdpi.com/2313-7673/11/1/47) as far as they are public: masks of past moves and
    rewards, weight, and place in the network. Differences from Bhargava et al.: spiking networks,
    old and new weights on the same episodes, bounded weights, moves that may be taken back, and
    whole-network exploration after failures.

    With ``dynamics`` among the features, every synapse also sees local measures of the last
    episodes (``snn_gym.envs.synapses.local_measures``). ``shuffled`` gives them to other synapses,
    as a control. With a ``plasticity_rule``, synapses also see the rule's eligibility.

    The policy holds the latest network with the best mean return on its episodes so far. If worse
    moves are taken back, that is the present network.

    Raises:
        ValueError: A hyper-parameter is out of range, the spaces are not supported, or a task that
            is not batched cannot show dynamics.
    """

    settings_class = SynapseAgentsSettings
    settings: SynapseAgentsSettings
    memory: SynapseMemory
    rule: SynapseRule
    """Learning rule of the synapses, with its learned state."""

    @property
    def rule_memory(self) -> dict[str, NDArray[Any]]:
        """Learned state of the rule, by name; for ``load_rule`` of another model."""
        return to_arrays(self.rule.memory)

    def load_rule(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Replace the rule's learned state by the ``rule_memory`` of another model.

        Raises:
            ValueError: The learner or the features differ.
        """
        load_memory(self.rule, memory)

    @property
    def sees_dynamics(self) -> bool:
        """Whether local dynamics are measured, as a feature or for the local reward."""
        measured = not set(MEASURED).isdisjoint(self.settings.features)
        return measured or self.settings.reward == "local"

    @property
    def seen_rule(self) -> PlasticityRule | None:
        """Rule of plasticity whose eligibility synapses see, or None."""
        name = self.settings.plasticity_rule
        return None if name is None else RULES[name]

    def state_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the state between iterations, with the learned state of the rule."""
        return {**to_arrays(self.memory), **prefixed("rule", self.rule_memory)}

    def load_state_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state of ``state_tensors``; raise ValueError if names do not fit."""
        own = {name: x for name, x in tensors.items() if not name.startswith("rule.")}
        memory = from_arrays(self.memory, own, type(self).__name__)
        # After the check of the other names, so that nothing is half restored.
        load_memory(self.rule, with_prefix("rule", tensors))
        self.memory = memory

    def _setup_model(self) -> None:
        is_loaded = not self._is_new
        super()._setup_model()
        settings = self.settings
        self.features = SynapseFeatures(
            settings.features, self.population.synapses, settings.weight_limit, settings.history
        )
        # A loaded model has the rule that it has learned.
        if not is_loaded:
            names, rate, discount = self.features.names, settings.learning_rate, settings.gamma
            self.rule = make_rule(settings.learner, names, rate, discount, self.rng)

    def _first_memory(self) -> SynapseMemory:
        count, settings = self.population.parameter_count, self.settings
        fresh = MovingNetworks.empty(
            1, count, settings.probe_episodes, settings.history, self.seen_rule
        )
        # Drawn apart, so that shuffled and plain runs begin with the same weights.
        permutation = np.random.default_rng(self.seed).permutation(count)
        return SynapseMemory(**vars(fresh), permutation=permutation)

    @property
    def _loop(self) -> SynapseLoop:
        addressees = self.memory.permutation if self.settings.shuffled else None
        limit = self.settings.weight_limit
        return SynapseLoop(self.memory, self.features, self._judge_networks, limit, addressees)

    def _iterate(self) -> None:
        settings, memory, loop = self.settings, self.memory, self._loop
        self._judge_present(loop)
        features = loop.observe()[0]
        # The more failures in a row, the likelier a random move of the whole network.
        restless = 1.0 - (1.0 + memory.failures) ** -settings.restlessness
        if self.rng.random() < restless:
            noise = self.rng.standard_normal(memory.weights.shape)
            self._move(loop, settings.restless_step_size * noise)
            return
        moves = self.rule.act(features, settings.exploration, self.rng)
        # Copied before the move, whose judgement measures dynamics anew.
        eligibility = loop.seen_dynamics[0, :, _ELIGIBILITY].copy()
        gain = self._move(loop, settings.step_size * moves[np.newaxis])
        reward = 1.0 if gain > 0 else -1.0
        loop.remember(moves[np.newaxis], np.array([reward]))
        if not settings.frozen:
            rewards = np.full(moves.size, reward, np.float32)
            if settings.reward == "local":
                rewards = ((rewards + moves * eligibility) / 2.0).astype(np.float32)
            self.rule.learn(features, moves, rewards, loop.observe()[0])

    def _judge_present(self, loop: SynapseLoop) -> None:
        """Judge the present weights if they have no score or new episodes, drawn here, are due."""
        memory, renewal = self.memory, self.settings.probe_renewal
        is_first = memory.best == -np.inf
        if is_first:
            memory.weights[0] = self.weights  # may have been set or loaded meanwhile
        if renewal == "always" or np.isnan(memory.scores[0]):
            if renewal != "never" or is_first:
                memory.probes[0] = self.probe_seeds()
            loop.judge_present(np.array([0]))
            if is_first:
                memory.best = float(memory.scores[0])

    def _move(self, loop: SynapseLoop, steps: NDArray[np.floating]) -> float:
        """Move the weights by steps (1, W), take back a worse move if so set; return the gain.

        Weights with the best return so far go to the policy.
        """
        memory, takes_back = self.memory, self.settings.moves_kept == "improving"
        gain = float(loop.move(steps, takes_back=takes_back)[0])
        memory.failures = 0 if gain > 0 else memory.failures + 1
        if gain >= 0 or not takes_back:
            score = float(memory.scores[0])
            if takes_back or score >= memory.best:
                self.weights = memory.weights[0]
            memory.best = max(score, memory.best)
        if gain > 0 and self.settings.probe_renewal == "improved":
            memory.scores[0] = np.nan
        return gain

    def _judge_networks(self, weights: NDArray[np.float32], probes: Probe) -> Judgement:
        """Judge networks (P, W), all on the episodes of the first network."""
        observer: LocalDynamics | None = None
        if self.sees_dynamics:
            observer = LocalDynamics(self.population, weights, probes.shape[1], rule=self.seen_rule)
        rollouts = self.judge(weights, probes[0].tolist(), observer)
        return Judgement(
            rollouts.returns.mean(axis=1),
            rollouts.lengths.sum(axis=1),
            None if observer is None else observer.per_synapse(),
        )


def make_rule(
    learner: LearnerName,
    names: Sequence[str],
    rate: float,
    discount: float,
    rng: np.random.Generator,
) -> SynapseRule:
    """Return a fresh learning rule of synapses that observe features by their names."""
    if learner == "q_network":
        return QNetworkRule(tuple(names), rate, discount, rng)
    if learner == "policy_gradient":
        return PolicyGradientRule(tuple(names), rate, rng)
    return TabularRule(tuple(names), rate, discount, per_synapse=learner == "synapse_tables")
