"""Reinforcement learning in which every synapse is an agent that moves its weight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.storage import from_arrays, prefixed, to_arrays, with_prefix
from snn_gym.envs.synapses.environments import MOVES, MovingNetworks, SynapseLoop
from snn_gym.envs.synapses.jobs import Judgement, Probe
from snn_gym.envs.synapses.local_measures import LocalDynamics
from snn_gym.envs.synapses.plasticity import (
    LOCAL_MEASURES,
    MEASURED,
    RULES,
    PlasticityRule,
    SynapseFeatures,
)
from snn_gym.learners.base import GradientFreeAlgorithm
from snn_gym.learners.settings import SynapseAgentsSettings

# ---- learning rules ------------------------------------------------------------------------------
# All synapses of a network act at once, each on its observation.
Features = NDArray[np.float32]
Moves = NDArray[np.int8]

WEIGHT_BINS = 9
INDEX_BINS = 33
DYNAMICS_BINS = {"eligibility": 5, "post_rate": 3}
"""Bins of local measures; the other measures have one."""

# Times three moves and a million synapses, the number of entries still fits in 64 bits.
_MOST_STATES = 2**40


def _explore(greedy: NDArray[np.int64], exploration: float, rng: np.random.Generator) -> Moves:
    """Return greedy choices 0 to 2 as moves -1 to 1, random with probability ``exploration``."""
    random = rng.integers(-1, 2, greedy.size).astype(np.int8)
    return np.where(rng.random(greedy.size) < exploration, random, greedy - 1).astype(np.int8)


@dataclass
class Table:
    """Learned state of ``TabularRule``."""

    states: NDArray[np.int64]  # (n,), numbers of the visited states, sorted
    values: NDArray[np.float32]  # (n, 3), values of the moves
    bins: NDArray[np.int64]  # (F,), bins of each feature


class TabularRule:
    """Q-learning in a table that all synapses share.

    ``Q(s, a) += rate (r + discount max Q(s') - Q(s, a))``, once for every synapse and step, as in
    Bhargava, Rezaei and Lankarany (2022, https://arxiv.org/abs/2105.14383). Synapses in the same
    state that made the same move update the same entry; n of them move it as n updates with their
    mean target in a row would. Observations fall into bins: 3 for a past move or reward, 9 for the
    weight, 33 for an index (so that synapses of layers up to 33 neurons have separate places), 5
    for the eligibility and 3 for the rate of the postsynaptic neuron; fan-in and fan-out follow
    from the layer. Only visited states take memory.

    Args:
        names: Names of the F features.
        rate: Learning rate of the table.
        discount: Discount γ of the synapses' future rewards.

    Raises:
        ValueError: There are too many states to number.
    """

    def __init__(self, names: Sequence[str], rate: float, discount: float) -> None:
        self._bins = np.array([_bins(name) for name in names])
        if math.prod(self._bins.tolist()) > _MOST_STATES:
            raise ValueError(
                f"features {', '.join(names)} make more than 2**40 states, too many for a table; "
                "lower history, or take a preset of fewer features"
            )
        self._rate = rate
        self._discount = discount
        self.memory = Table(np.empty(0, np.int64), np.empty((0, MOVES), np.float32), self._bins)

    def act(self, features: Features, exploration: float, rng: np.random.Generator) -> Moves:
        """Return the moves (W,) of highest value, random with probability ``exploration``.

        Ties are broken at random.
        """
        values = self._values(self._states(features))
        # Noise far below the values' differences breaks ties at random.
        tied = values + np.float32(1e-6) * rng.random(values.shape, dtype=np.float32)
        return _explore(tied.argmax(axis=1), exploration, rng)

    def learn(self, features: Features, moves: Moves, rewards: Features, after: Features) -> None:
        """Update the entries of the states and moves by one step of Q-learning."""
        states = self._states(features)
        targets = rewards + self._discount * self._values(self._states(after)).max(axis=1)
        pairs, inverse, counts = np.unique(
            states * MOVES + (moves.astype(np.int64) + 1), return_inverse=True, return_counts=True
        )
        means = np.bincount(inverse, targets, len(pairs)) / counts
        visited, columns = np.divmod(pairs, MOVES)
        new = np.setdiff1d(visited, self.memory.states)
        if new.size:
            places = np.searchsorted(self.memory.states, new)
            self.memory.states = np.insert(self.memory.states, places, new)
            self.memory.values = np.insert(self.memory.values, places, 0.0, axis=0)
        rows = np.searchsorted(self.memory.states, visited)
        values = self.memory.values
        # `counts` updates in a row with their mean target.
        share = 1.0 - (1.0 - self._rate) ** counts
        values[rows, columns] += (share * (means - values[rows, columns])).astype(np.float32)

    def _states(self, features: Features) -> NDArray[np.int64]:
        """Return the number (W,) of each synapse's state."""
        places = np.floor((features + 1.0) / 2.0 * self._bins).astype(np.int64)
        places = np.clip(places, 0, self._bins - 1)
        states = np.zeros(len(features), np.int64)
        for column, bins in enumerate(self._bins.tolist()):
            states = states * bins + places[:, column]
        return states

    def _values(self, states: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the values (W, 3) of the three moves, zero for unvisited states."""
        known, values = self.memory.states, self.memory.values
        if not len(known):
            return np.zeros((len(states), MOVES), np.float32)
        rows = np.minimum(np.searchsorted(known, states), len(known) - 1)
        is_known = (known[rows] == states)[:, np.newaxis]
        return np.where(is_known, values[rows], np.float32(0.0))


def _bins(name: str) -> int:
    if name.startswith(("action_", "reward_")):
        return 3
    if name == "weight":
        return WEIGHT_BINS
    if name in ("layer", "pre_index", "post_index"):
        return INDEX_BINS
    return DYNAMICS_BINS.get(name, 1)


# ---- algorithm -----------------------------------------------------------------------------------
_ELIGIBILITY = LOCAL_MEASURES.index("eligibility")


@dataclass
class SynapseMemory(MovingNetworks):
    """State of ``SynapseAgents`` beside that of its rule; a score of NaN means not judged yet."""

    permutation: NDArray[np.int64]
    """(W,), index of the synapse whose dynamics each synapse sees if they are shuffled."""
    best: float = -np.inf
    """Highest mean return so far; -inf before the first judgement."""


class SynapseAgents(GradientFreeAlgorithm):
    """Reinforcement learning by the synapses of a network, which share a table of values.

    In every iteration each synapse observes its features and moves its weight by ``-step_size``,
    0 or ``step_size``; the weights before and after play the same episodes; the reward is the sign
    of the change of their mean return, -1 for no change. It follows synaptic-level reinforcement
    learning (Bhargava, Rezaei and Lankarany 2022, https://arxiv.org/abs/2105.14383), with the
    state designs of the founding paper (Zheng et al. 2026,
    https://www.mdpi.com/2313-7673/11/1/47) as far as they are public: masks of past moves and
    rewards, weight, and place in the network. Differences from Bhargava et al.: spiking networks,
    old and new weights on the same episodes, bounded weights, and worse moves that are taken back.

    With ``dynamics`` among the features, every synapse also sees local measures of the last
    episodes (``snn_gym.envs.synapses.local_measures``). ``shuffled`` gives them to other synapses,
    as a control. With a ``plasticity_rule``, synapses also see the rule's eligibility.

    The policy holds the present network.

    Raises:
        ValueError: A hyper-parameter is out of range, the spaces are not supported, or a task that
            is not batched cannot show dynamics.
    """

    settings_class = SynapseAgentsSettings
    settings: SynapseAgentsSettings
    memory: SynapseMemory
    rule: TabularRule
    """Learning rule of the synapses, with its learned state."""

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
        return {**to_arrays(self.memory), **prefixed("rule", to_arrays(self.rule.memory))}

    def load_state_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state of ``state_tensors``; raise ValueError if names do not fit."""
        own = {name: x for name, x in tensors.items() if not name.startswith("rule.")}
        owner, learned = type(self).__name__, with_prefix("rule", tensors)
        # Both before either is set, so that nothing is half restored.
        memory = from_arrays(self.memory, own, owner)
        self.rule.memory = from_arrays(self.rule.memory, learned, owner)
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
            self.rule = TabularRule(self.features.names, settings.learning_rate, settings.gamma)

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
        settings, loop = self.settings, self._loop
        self._judge_present(loop)
        features = loop.observe()[0]
        self.rng.random()  # keeps the order of the random numbers of earlier trainings
        moves = self.rule.act(features, settings.exploration, self.rng)
        # Copied before the move, whose judgement measures dynamics anew.
        eligibility = loop.seen_dynamics[0, :, _ELIGIBILITY].copy()
        gain = self._move(loop, settings.step_size * moves[np.newaxis])
        reward = 1.0 if gain > 0 else -1.0
        loop.remember(moves[np.newaxis], np.array([reward]))
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
        """Move the weights by steps (1, W), and take back a worse move; return the gain."""
        memory = self.memory
        gain = float(loop.move(steps, takes_back=True)[0])
        if gain >= 0:
            self.weights = memory.weights[0]
            memory.best = max(float(memory.scores[0]), memory.best)
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
