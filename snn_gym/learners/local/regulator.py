"""``LocalRegulator``: terms that regulate neurons, with the slow traces that they see."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym._base.storage import from_arrays, prefixed, to_arrays, with_prefix
from snn_gym.learners.settings import LocalRegulation
from snn_gym.policies.controller import LocalActorCriticPolicy
from snn_gym.spiking.assembly import configured_neuron


# ---- terms ---------------------------------------------------------------------------------------
# Terms of local regulation: what a hidden synapse does for its neuron, pure functions on arrays.
#
# A term is a function of what a synapse sees of a whole decision, and of constants; it returns
# the change of the synapse's weight. ``LocalActorCritic(regulation=...)`` adds the terms to
# whatever its rule of plasticity does, at every environment step. With r the slow trace of the
# neuron's firing rate and ``d`` the distance (Hz) of r from its range, 0 inside, positive above,
# negative below:
#
# - ``homeostasis``: the bias falls by ``d``, which is the threshold rising as far;
# - ``scaling``: all incoming weights shrink by a share ``d``;
# - ``revival``: the bias of a neuron that has been silent for long enough rises;
# - ``lean``: weights fall by what the neuron's spikes cost, times how much they raise its rate.
#
# As rules of plasticity (``snn_gym.envs.synapses.plasticity``), the functions work on arrays of any
# shape: on whole layers by numpy (stepped), compiled by numba, and on a single synapse, by which
# it is known that none sees another. What a neuron tells its synapses and what is told to all of
# them is in ``Lived``; nothing else is there.
class Lived(NamedTuple):
    """Inputs of a term from a decision; float64, for a layer of shapes that fit (D + 1, N)."""

    weight: Any
    """(D + 1, N), the synapse's weight."""
    is_bias: Any
    """(D + 1, 1), 1 for the bias, the synapse of an input that is always 1; else 0."""
    eligibility: Any
    """(D + 1, N), what the rule of plasticity made of the decision, before any error: how much a
    larger weight would have raised the neuron's rate, in spikes per time step."""
    beyond_hz: Any
    """(1, N), distance of the slow trace of the neuron's firing rate from its range: 0 inside,
    positive above, negative below."""
    rate: Any
    """(1, N), that trace in spikes per time step, 0 to 1."""
    silent_for: Any
    """(1, N), decisions in a row for which that trace has been below that of a silent neuron."""
    price: Any
    """(1, N), synapses that leave the neuron."""
    permission: Any
    """(1, 1), broadcast: 1 where the return neither rises nor falls any more, else 0."""


class TermConstants(NamedTuple):
    """Constants of the terms; see ``LocalRegulation``."""

    homeostasis_step: float
    """Change of the bias for each Hz, in units of the input current."""
    scaling_step: float
    """Change of the weights for each Hz, as a share of them."""
    revival_step: float
    """Change of the bias, in units of the input current."""
    silent_decisions: float
    """Silent decisions from one revival to the next."""
    lean_step: float
    """Change of a weight for a price of 1."""


Term = Callable[[Lived, TermConstants], Any]


def homeostasis(lived: Lived, constants: TermConstants) -> Any:
    """Return the change that brings a neuron's rate into its range by its threshold.

    ``b <- b - step d``: intrinsic plasticity (Triesch 2005, https://doi.org/10.1007/11550822_11).
    His rule shapes the distribution of outputs by gain and offset, this one moves the offset alone.

    Args:
        lived: What the synapses see.
        constants: Of the terms.
    """
    return -constants.homeostasis_step * lived.beyond_hz * lived.is_bias


def scaling(lived: Lived, constants: TermConstants) -> Any:
    """Return the change that brings a neuron's rate into its range by all of its weights alike.

    ``w <- w - step d w``: synaptic scaling (Turrigiano 2008,
    https://doi.org/10.1016/j.cell.2008.10.008) in the form of van Rossum, Bi and Turrigiano (2000,
    https://doi.org/10.1523/JNEUROSCI.20-23-08812.2000), ``dw/dt = beta w (a_goal - a)``.
    Differences: a range in the place of ``a_goal``, no integral term, and weights of both signs,
    the bias included, are scaled alike.

    Args:
        lived: What the synapses see.
        constants: Of the terms.
    """
    return -constants.scaling_step * lived.beyond_hz * lived.weight


def revival(lived: Lived, constants: TermConstants) -> Any:
    """Return the change that wakes a neuron which has been silent for long.

    ``b <- b + step`` after each ``silent_decisions`` silent decisions in a row. Ours:
    deterministic, and unlike homeostasis nothing to a neuron that fires however little.

    Args:
        lived: What the synapses see.
        constants: Of the terms.
    """
    due = (lived.silent_for > 0.0) & (lived.silent_for % constants.silent_decisions == 0.0)
    return constants.revival_step * due * lived.is_bias


def lean(lived: Lived, constants: TermConstants) -> Any:
    """Return the change that takes spikes from a neuron, by what they cost.

    ``w <- w - step p (1/2 + 2 f) e`` where performance permits it, with the price p, the rate f and
    the eligibility e: downhill on the cost ``p (f / 2 + f^2)`` of
    ``snn_gym.spiking.regulation.penalties``, as the rate regulariser of e-prop is (Bellec et al.
    2020, https://doi.org/10.1038/s41467-020-17236-y), with the slow trace in the place of the mean
    over a batch.

    Args:
        lived: What the synapses see.
        constants: Of the terms.
    """
    cost = lived.price * (0.5 + 2.0 * lived.rate)
    return -constants.lean_step * lived.permission * cost * lived.eligibility


TERMS: dict[str, Term] = {
    "homeostasis": homeostasis,
    "scaling": scaling,
    "revival": revival,
    "lean": lean,
}
"""Terms by name."""

_homeostasis, _scaling, _revival, _lean = (
    njit(cache=True, error_model="numpy")(term) for term in TERMS.values()
)


@njit(cache=True, error_model="numpy")
def changes(lived: Lived, constants: TermConstants) -> Any:
    """Return the sum (D + 1, N) of all terms that are on, compiled.

    Args:
        lived: What the synapses of a layer see.
        constants: Of the terms.
    """
    total = np.zeros(lived.weight.shape)
    if constants.homeostasis_step:
        total += _homeostasis(lived, constants)
    if constants.scaling_step:
        total += _scaling(lived, constants)
    if constants.revival_step:
        total += _revival(lived, constants)
    if constants.lean_step:
        total += _lean(lived, constants)
    return total


# ---- performance ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class Performance:
    """Slow measure of what episodes earn; one number after another, of the past nothing else."""

    episodes: int = 0
    """Episodes so far."""
    level: float = math.nan
    """Running mean return; NaN before the first episode."""
    worst: float = math.nan
    """Least level so far."""
    best: float = math.nan
    """Level that counts as the best: one that was better than the last by what counts."""
    waited: int = 0
    """Episodes since then."""

    def step(self, episode_return: float, parameters: LocalRegulation) -> Performance:
        """Return the measure after an episode.

        Args:
            episode_return: Sum of its rewards.
            parameters: Over how many episodes the mean goes, and what counts.
        """
        if self.episodes == 0:
            return Performance(1, episode_return, episode_return, episode_return)
        episodes = self.episodes + 1
        level = self.level + (episode_return - self.level) / min(episodes, parameters.episodes)
        worst = min(self.worst, level)
        gained = max(self.best, level) - worst
        better = level > self.best + parameters.tolerance * gained
        best, waited = (level, 0) if better else (self.best, self.waited + 1)
        return Performance(episodes, level, worst, best, waited)

    def permits(self, parameters: LocalRegulation) -> bool:
        """Return whether the mean return has stopped rising and is not falling.

        As ``snn_gym.spiking.regulation.lean.learning_is_over``, over the episodes that there
        were: nobody tells an agent that learns on line how long its training is.

        Args:
            parameters: After how many episodes, and what counts.
        """
        gained = self.best - self.worst
        kept = self.level >= self.best - parameters.tolerance * gained
        return gained > 0 and kept and self.waited >= parameters.patience


# ---- regulator -----------------------------------------------------------------------------------
Array = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass
class SlowTraces:
    """Slow traces of neurons from decision to decision, over all hidden layers."""

    rate: Array
    """(N,) running mean of spikes per time step."""
    silent_for: Array
    """(N,) decisions in a row for which that has been below that of a silent neuron."""
    decisions: int = 0
    """Decisions so far."""


class LocalRegulator:
    """Regulation of one policy's hidden neurons.

    Args:
        parameters: What is regulated, and how fast.
        policy: Policy with the neurons.
    """

    def __init__(self, parameters: LocalRegulation, policy: LocalActorCriticPolicy) -> None:
        hidden, head, _ = policy.learned_parts()
        sizes = np.array([hidden[0].in_features, *(x.out_features for x in hidden)], np.int64)
        neurons = int(sizes[1:].sum())
        network = policy.network
        self.parameters = parameters
        self.performance = Performance()
        self.traces = SlowTraces(np.zeros(neurons), np.zeros(neurons))
        self._per_hz = network.dt_ms / 1000.0
        self._time_steps = policy.controller.decoder.coefficients.shape[-1]
        self._rheobase = configured_neuron(network).rheobase(network.time_steps)
        self._layers = (
            sizes,
            np.array([*sizes[2:], head.out_features]),
            _orders(sizes, parameters),
        )
        synapses = int(((sizes[:-1] + 1) * sizes[1:]).sum())
        self.watched = (np.zeros(neurons, np.float32), np.zeros(synapses, np.float32))
        """Spikes (N,) of the last decision, and what its hidden synapses were eligible for before
        any error (P,), both summed over environments; whoever runs the network adds to them."""
        self._returns = np.zeros(1)

    def look(self) -> None:
        """Watch another decision, and forget the last one."""
        for part in self.watched:
            part[:] = 0.0

    def begin(self, samples: int) -> None:
        """Begin episodes in a number of environments.

        Args:
            samples: Environments.
        """
        self._returns = np.zeros(samples)

    def step(
        self,
        theta: NDArray[np.float32],
        rewards: NDArray[np.float32],
        ended: NDArray[np.bool_],
        hidden_step: float,
    ) -> None:
        """Change hidden weights by what was watched.

        Args:
            theta: Weights in the order of ``kernels``; the hidden ones are changed.
            rewards: (B,) of the last actions.
            ended: (B,), whether they ended their episodes.
            hidden_step: Present step size of hidden synapses.
        """
        self._take_in(rewards, ended)
        samples, parameters, traces = len(rewards), self.parameters, self.traces
        traces.decisions += 1
        kept = 1.0 / min(traces.decisions, parameters.rate_decisions)
        share = 1.0 / (samples * self._time_steps)
        low, high, silent = (
            hz * self._per_hz
            for hz in (parameters.min_rate_hz, parameters.max_rate_hz, parameters.silent_rate_hz)
        )
        permission = float(self.performance.permits(parameters))
        constants = TermConstants(
            parameters.homeostasis_step * self._rheobase,
            parameters.scaling_step,
            parameters.revival_step * self._rheobase,
            float(parameters.silent_decisions),
            parameters.lean_strength * hidden_step,
        )
        follow_rates(self.watched[0], traces.rate, traces.silent_for, (share, kept, silent))
        regulate(
            self._layers, theta, self.watched[1], (traces.rate, traces.silent_for),
            (low, high, self._per_hz, 1.0 / samples, permission), constants,
        )  # fmt: skip

    def _take_in(self, rewards: NDArray[np.float32], ended: NDArray[np.bool_]) -> None:
        """Follow what episodes earn."""
        self._returns += rewards
        for k in np.flatnonzero(ended).tolist():
            self.performance = self.performance.step(float(self._returns[k]), self.parameters)
            self._returns[k] = 0.0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is carried from episode to episode, by name."""
        traces, performance = to_arrays(self.traces), to_arrays(self.performance)
        return {**prefixed("traces", traces), **prefixed("performance", performance)}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``arrays`` returned.

        Args:
            arrays: These.

        Raises:
            ValueError: The names are others.
        """
        owner = type(self).__name__
        self.traces = from_arrays(self.traces, with_prefix("traces", arrays), owner)
        self.performance = from_arrays(self.performance, with_prefix("performance", arrays), owner)


def _orders(sizes: Places, parameters: LocalRegulation) -> Places:
    """Return whose signals each neuron (N,) is told, as places within its layer."""
    if parameters.shuffle_seed is None:
        return np.concatenate([np.arange(size) for size in sizes[1:]])
    rng = np.random.default_rng(parameters.shuffle_seed)
    cycles = [rng.permutation(size) for size in sizes[1:]]
    orders = [np.empty_like(cycle) for cycle in cycles]
    for order, cycle in zip(orders, cycles, strict=True):
        order[cycle] = np.roll(cycle, 1)  # one cycle: no neuron keeps its own place
    return np.concatenate(orders)


@njit(cache=True, error_model="numpy")
def follow_rates(
    fired: NDArray[np.float32], rate: Array, silent_for: Array, numbers: tuple[float, float, float]
) -> None:
    """Let the slow traces (N,) of rates and silence follow the spikes (N,) of a decision.

    ``numbers`` are the share of a spike in a rate, the weight of a decision in the trace, and the
    rate below which a neuron is silent.
    """
    share, weight, silent = numbers
    for j in range(fired.size):
        rate[j] += weight * (share * fired[j] - rate[j])
        silent_for[j] = silent_for[j] + 1.0 if rate[j] < silent else 0.0


@njit(cache=True, error_model="numpy")
def regulate(
    layers: tuple[Places, Places, Places], theta: NDArray[np.float32],
    eligible: NDArray[np.float32], traces: tuple[Array, Array],
    numbers: tuple[float, float, float, float, float], constants: TermConstants,
) -> None:  # fmt: skip
    """Add to hidden weights what the terms make of a decision.

    Args:
        layers: Sizes, prices of each layer's neurons, whose signals each neuron is told.
        theta: Weights; changed.
        eligible: (P,) of the hidden ones, sum over environments.
        traces: Rates and silence (N,).
        numbers: Lower and upper end of the range of rates, in spikes per time step; that of 1 Hz;
            share of an environment; permission.
        constants: Of the terms.
    """
    sizes, prices, orders = layers
    low, high, per_hz, share, permission = numbers
    at = place = 0
    for layer in range(sizes.size - 1):
        inputs, size = sizes[layer], sizes[layer + 1]
        end, stop = at + (inputs + 1) * size, place + size
        weights = theta[at:end].reshape(inputs + 1, size)
        order = orders[place:stop]
        rate = traces[0][place:stop][order].reshape(1, size)
        beyond = np.maximum(rate - high, 0.0) - np.maximum(low - rate, 0.0)
        is_bias = np.zeros((inputs + 1, 1))
        is_bias[inputs, 0] = 1.0
        told = eligible[at:end].reshape(inputs + 1, size)[:, order]
        lived = Lived(
            weights.astype(np.float64), is_bias, share * told.astype(np.float64), beyond / per_hz,
            rate, traces[1][place:stop][order].reshape(1, size),
            np.full((1, size), float(prices[layer])), np.full((1, 1), permission),
        )  # fmt: skip
        weights += changes(lived, constants).astype(np.float32)
        at, place = end, stop


@njit(cache=True, error_model="numpy")
def watch(
    sizes: Places, time_steps: int, spikes: NDArray[np.float32], local: NDArray[np.float32],
    watched: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:  # fmt: skip
    """Add the spikes of all layers and the eligibilities of their synapses to ``watched``.

    Args:
        sizes: Of the layers, from the inputs on.
        time_steps: T.
        spikes: (T * N of each layer,), as ``run_layers`` leaves them.
        local: Eligibilities (P,) before any error; the hidden ones come first.
        watched: Spikes (N,) and eligibilities of hidden synapses; both empty to watch nothing.
    """
    fired, eligible = watched
    if fired.size == 0:
        return
    at = place = 0
    for layer in range(1, sizes.size):
        size = sizes[layer]
        for _ in range(time_steps):
            for j in range(size):
                fired[place + j] += spikes[at + j]
            at += size
        place += size
    for p in range(eligible.size):
        eligible[p] += local[p]
