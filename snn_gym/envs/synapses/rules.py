"""Learning rules of agents at synapses.

All synapses of a network act at once, each on its observation. A rule turns observations (W, F)
into moves (W,) in {-1, 0, 1} and learns from rewards (W,). The learned state is saved, frozen and
transferred to another network as named arrays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snn_gym._base.storage import from_arrays, to_arrays

Features = NDArray[np.float32]
Moves = NDArray[np.int8]

MOVES = 3
"""Moves of a synapse: down, stay, up."""

WEIGHT_BINS = 9
INDEX_BINS = 33
DYNAMICS_BINS = {"eligibility": 5, "post_rate": 3}
"""Bins of local measures in tables; the other measures are left to the networks."""

# Times three moves and a million synapses, the number of entries still fits in 64 bits.
_MOST_STATES = 2**40


class SynapseRule(Protocol):
    """A learning rule, shared by all synapses or separate for each."""

    memory: Any  # Learned state: a dataclass of numbers and arrays

    def act(self, features: Features, exploration: float, rng: np.random.Generator) -> Moves:
        """Return moves (W,) in {-1, 0, 1}; each is random with probability ``exploration``."""

    def learn(self, features: Features, moves: Moves, rewards: Features, after: Features) -> None:
        """Learn from rewards (W,) of moves, and from the next features (W, F)."""


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
    per_synapse: bool  # Every synapse has separate states


class TabularRule:
    """Q-learning in tables: one that all synapses share, or one for each.

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
        per_synapse: Whether every synapse has a separate table.

    Raises:
        ValueError: There are too many states to number.
    """

    def __init__(
        self, names: tuple[str, ...], rate: float, discount: float, *, per_synapse: bool = False
    ) -> None:
        self._bins = np.array([_bins(name) for name in names])
        if math.prod(self._bins.tolist()) > _MOST_STATES:
            raise ValueError(
                f"features {', '.join(names)} make more than 2**40 states, too many for a table; "
                "lower history, or use the learner 'q_network'"
            )
        self._rate = rate
        self._discount = discount
        self.memory = Table(
            np.empty(0, np.int64), np.empty((0, MOVES), np.float32), self._bins, per_synapse
        )

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
        """Return each synapse's row (W,) of the table: its bin, in its own table if it has one."""
        places = np.floor((features + 1.0) / 2.0 * self._bins).astype(np.int64)
        places = np.clip(places, 0, self._bins - 1)
        states = np.zeros(len(features), np.int64)
        for column, bins in enumerate(self._bins.tolist()):
            states = states * bins + places[:, column]
        if self.memory.per_synapse:
            states += np.arange(len(features)) * int(np.prod(self._bins))
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


@dataclass
class NetworkMemory:
    """Learned state of a network that all synapses share."""

    weights: NDArray[np.float32]
    mean: NDArray[np.float32]  # (n,), Adam's running mean of the gradient
    square: NDArray[np.float32]  # (n,), Adam's running mean of its square
    updates: int  # Steps of Adam


@dataclass
class TargetMemory(NetworkMemory):
    """Learned state with a target network."""

    target: NDArray[np.float32]  # (n,), older weights, for the targets


@dataclass
class BaselineMemory(NetworkMemory):
    """Learned state with a baseline of the rewards."""

    baseline: np.float32  # Running mean of the rewards


class _SharedNetwork:
    """Perceptron with one hidden layer that all synapses share, trained by Adam.

    Adam: Kingma and Ba (2015), https://arxiv.org/abs/1412.6980.
    """

    hidden = 32

    def __init__(self, inputs: int, rate: float, rng: np.random.Generator) -> None:
        self._shapes = ((inputs, self.hidden), (self.hidden,), (self.hidden, MOVES), (MOVES,))
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self._rate = rate
        count = sum(self._sizes)
        weights = np.zeros(count, np.float32)
        first = rng.standard_normal((inputs, self.hidden)) / np.sqrt(inputs)
        weights[: first.size] = first.ravel()
        self.memory = NetworkMemory(
            weights, np.zeros(count, np.float32), np.zeros(count, np.float32), updates=0
        )

    def _outputs(self, weights: Tensor, features: Features) -> Tensor:
        """Return the outputs (W, 3) of the network with flat weights."""
        flat = torch.split(weights, self._sizes)
        w1, b1, w2, b2 = (x.view(shape) for x, shape in zip(flat, self._shapes, strict=True))
        return torch.tanh(torch.from_numpy(features) @ w1 + b1) @ w2 + b2

    def _read(self, weights: NDArray[np.float32], features: Features) -> NDArray[np.float32]:
        with torch.no_grad():
            result: NDArray[np.float32] = self._outputs(torch.from_numpy(weights), features).numpy()
        return result

    def _descend(self, gradient: NDArray[np.float32]) -> None:
        memory = self.memory
        memory.updates += 1
        count = memory.updates
        # Adam with its usual decay rates, 0.9 and 0.999.
        memory.mean += 0.1 * (gradient - memory.mean)
        memory.square += 0.001 * (np.square(gradient) - memory.square)
        mean = memory.mean / (1.0 - 0.9**count)
        square = memory.square / (1.0 - 0.999**count)
        memory.weights -= self._rate * mean / (np.sqrt(square) + 1e-8)


class QNetworkRule(_SharedNetwork):
    """Q-learning with one small network for all synapses and a target network.

    The loss is Huber's, the target network is renewed every 10 updates (Mnih et al. 2015,
    https://doi.org/10.1038/nature14236). There is no replay: the synapses of a network are a batch.
    ``rng`` draws the first weights.
    """

    renewal = 10
    memory: TargetMemory

    def __init__(
        self, names: tuple[str, ...], rate: float, discount: float, rng: np.random.Generator
    ) -> None:
        super().__init__(len(names), rate, rng)
        self._discount = discount
        self.memory = TargetMemory(**vars(self.memory), target=self.memory.weights.copy())

    def act(self, features: Features, exploration: float, rng: np.random.Generator) -> Moves:
        """Return the moves (W,) of highest value, random with probability ``exploration``."""
        return _explore(self._read(self.memory.weights, features).argmax(axis=1), exploration, rng)

    def learn(self, features: Features, moves: Moves, rewards: Features, after: Features) -> None:
        """Make one step of Adam on the temporal differences of all synapses."""
        targets = rewards + self._discount * self._read(self.memory.target, after).max(axis=1)
        weights = torch.from_numpy(self.memory.weights).clone().requires_grad_()
        chosen = torch.from_numpy(moves.astype(np.int64) + 1)[:, None]
        values = self._outputs(weights, features).gather(1, chosen)[:, 0]
        loss = torch.nn.functional.smooth_l1_loss(values, torch.from_numpy(targets))
        (gradient,) = torch.autograd.grad(loss, weights)
        self._descend(gradient.numpy())
        if self.memory.updates % self.renewal == 0:
            self.memory.target = self.memory.weights.copy()


class PolicyGradientRule(_SharedNetwork):
    """REINFORCE (Williams 1992, https://doi.org/10.1007/BF00992696) with one stochastic policy.

    The baseline is a running mean of the rewards; the move of each synapse is one sample.
    ``exploration`` mixes the policy with random moves, which the gradient ignores. ``rng`` draws
    the first weights.
    """

    memory: BaselineMemory

    def __init__(self, names: tuple[str, ...], rate: float, rng: np.random.Generator) -> None:
        super().__init__(len(names), rate, rng)
        self.memory = BaselineMemory(**vars(self.memory), baseline=np.float32(0.0))

    def act(self, features: Features, exploration: float, rng: np.random.Generator) -> Moves:
        """Return moves (W,) drawn from the policy, uniform with probability ``exploration``."""
        outputs = self._read(self.memory.weights, features)
        # The largest output plus Gumbel noise is a draw from the softmax.
        return _explore((outputs + rng.gumbel(size=outputs.shape)).argmax(axis=1), exploration, rng)

    def learn(self, features: Features, moves: Moves, rewards: Features, after: Features) -> None:
        """Make one step of Adam along the score times the reward above the baseline.

        Then move the baseline. ``after`` is ignored.
        """
        del after  # the return is the reward of this step
        baseline = self.memory.baseline
        advantages = torch.from_numpy((rewards - baseline).astype(np.float32))
        self.memory.baseline = baseline + np.float32(0.1) * (rewards.mean() - baseline)
        weights = torch.from_numpy(self.memory.weights).clone().requires_grad_()
        chosen = torch.from_numpy(moves.astype(np.int64) + 1)[:, None]
        scores = self._outputs(weights, features).log_softmax(1).gather(1, chosen)[:, 0]
        (gradient,) = torch.autograd.grad(-(advantages * scores).mean(), weights)
        self._descend(gradient.numpy())


def load_memory(rule: SynapseRule, memory: Mapping[str, NDArray[Any]]) -> None:
    """Copy learned state into ``rule``; ValueError unless it is of equal kind and features."""
    known = to_arrays(rule.memory)
    if memory.keys() != known.keys():
        raise ValueError(
            f"{type(rule).__name__} has learned {sorted(known)}, got {sorted(memory)}; load "
            "what a rule of the same kind has learned"
        )
    for name, array in memory.items():
        own = known[name]
        if isinstance(rule, TabularRule):
            # Tables may have any number of visited states.
            fits = name in ("states", "values") or np.array_equal(array, own)
        else:
            fits = array.shape == own.shape
        if not fits:
            raise ValueError(
                f"{type(rule).__name__}: {name} does not fit, got {_summary(array)}, expected "
                f"{_summary(own)}; load what the same learner has learned on the same features"
            )
    rule.memory = from_arrays(rule.memory, memory, type(rule).__name__)


def _summary(array: NDArray[Any]) -> str:
    return f"shape {array.shape}" if array.size > 16 else str(array.tolist())
