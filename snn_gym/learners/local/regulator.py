"""Local terms that regulate neurons, with their slow traces."""

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
# A term is a pure function of the inputs of a synapse in one decision, and of constants; it returns
# the change of its weight. ``LocalActorCritic(regulation=...)`` adds the terms to its rule of
# plasticity at every environment step. Like rules of plasticity, terms work on arrays of any
# shape, so that a test on a single synapse shows that none sees another.
class TermInputs(NamedTuple):
    """Inputs of a term from a decision; float64, for a layer of shapes that fit (D + 1, N)."""

    weight: Any
    """(D + 1, N)."""
    is_bias: Any
    """(D + 1, 1), 1 for the bias, the synapse of an input that is always 1; else 0."""
    eligibility: Any
    """(D + 1, N), effect of the weight on the neuron's rate, in spikes per time step, before any
    error."""
    beyond_hz: Any
    """(1, N), distance d of the slow trace of the firing rate from its range: 0 inside, positive
    above, negative below."""
    rate: Any
    """(1, N), slow trace of the firing rate in spikes per time step, 0 to 1."""
    silent_for: Any
    """(1, N), decisions in a row in which the slow trace was that of a silent neuron."""
    price: Any
    """(1, N), synapses that leave the neuron."""
    permission: Any
    """(1, 1), 1 if the return neither rises nor falls any more, so that lean may act; else 0."""


class TermConstants(NamedTuple):
    """Constants of the terms, in units of the input current; see ``LocalRegulation``."""

    homeostasis_step: float
    scaling_step: float
    revival_step: float
    silent_decisions: float
    lean_step: float


Term = Callable[[TermInputs, TermConstants], Any]


def homeostasis(inputs: TermInputs, constants: TermConstants) -> Any:
    """Return the change of the bias that brings a neuron's rate into its range.

    ``b <- b - step d``: intrinsic plasticity (Triesch 2005, https://doi.org/10.1007/11550822_11),
    without the change of the gain.
    """
    return -constants.homeostasis_step * inputs.beyond_hz * inputs.is_bias


def scaling(inputs: TermInputs, constants: TermConstants) -> Any:
    """Return the change of all weights that brings a neuron's rate into its range.

    ``w <- w - step d w``: synaptic scaling (Turrigiano 2008,
    https://doi.org/10.1016/j.cell.2008.10.008) in the form of van Rossum, Bi and Turrigiano (2000,
    https://doi.org/10.1523/JNEUROSCI.20-23-08812.2000), ``dw/dt = beta w (a_goal - a)``.
    Differences: a range instead of ``a_goal``, no integral term, and weights of both signs and the
    bias scale alike.
    """
    return -constants.scaling_step * inputs.beyond_hz * inputs.weight


def revival(inputs: TermInputs, constants: TermConstants) -> Any:
    """Return the change of the bias that wakes a neuron after a long silence.

    ``b <- b + step`` after each ``silent_decisions`` silent decisions in a row.
    """
    due = (inputs.silent_for > 0.0) & (inputs.silent_for % constants.silent_decisions == 0.0)
    return constants.revival_step * due * inputs.is_bias


def lean(inputs: TermInputs, constants: TermConstants) -> Any:
    """Return the change of weights that removes spikes by their cost.

    ``w <- w - step p (1/2 + 2 f) e`` where ``permission`` is 1, with the price p, the rate f and
    the eligibility e: downhill on the cost ``p (f / 2 + f^2)`` of
    ``snn_gym.learners.lean_rules``, like the rate regulariser of e-prop (Bellec et al.
    2020, https://doi.org/10.1038/s41467-020-17236-y) with the slow trace for the mean over a batch.
    """
    cost = inputs.price * (0.5 + 2.0 * inputs.rate)
    return -constants.lean_step * inputs.permission * cost * inputs.eligibility


TERMS: dict[str, Term] = {
    "homeostasis": homeostasis,
    "scaling": scaling,
    "revival": revival,
    "lean": lean,
}

# Compiled one by one, for numba cannot loop over different functions.
_homeostasis, _scaling, _revival, _lean = (
    njit(cache=True, error_model="numpy")(term) for term in TERMS.values()
)


@njit(cache=True, error_model="numpy")
def changes(inputs: TermInputs, constants: TermConstants) -> Any:
    """Return the sum (D + 1, N) of all terms that are on."""
    # Terms that are off cost nothing.
    total = np.zeros(inputs.weight.shape)
    if constants.homeostasis_step:
        total += _homeostasis(inputs, constants)
    if constants.scaling_step:
        total += _scaling(inputs, constants)
    if constants.revival_step:
        total += _revival(inputs, constants)
    if constants.lean_step:
        total += _lean(inputs, constants)
    return total


# ---- performance ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class Performance:
    """Slow measure of episode returns, NaN before the first episode."""

    episodes: int = 0
    level: float = math.nan
    """Running mean return."""
    worst: float = math.nan
    """Lowest level so far."""
    best: float = math.nan
    """Highest level; a new one counts if it exceeds the last by the tolerance."""
    waited: int = 0
    """Episodes since ``best`` rose."""

    def step(self, episode_return: float, parameters: LocalRegulation) -> Performance:
        """Return the measure after one more episode."""
        if self.episodes == 0:
            return Performance(1, episode_return, episode_return, episode_return)
        episodes = self.episodes + 1
        # A plain mean of the first episodes, then a running one.
        level = self.level + (episode_return - self.level) / min(episodes, parameters.episodes)
        worst = min(self.worst, level)
        gained = max(self.best, level) - worst
        better = level > self.best + parameters.tolerance * gained
        best, waited = (level, 0) if better else (self.best, self.waited + 1)
        return Performance(episodes, level, worst, best, waited)

    def permits(self, parameters: LocalRegulation) -> bool:
        """Return whether the mean return has risen, has stopped rising, and is not falling."""
        # Like ``learning_is_over`` of ``snn_gym.learners.lean_rules``, but an agent that
        # learns online does not know the length of its training.
        gained = self.best - self.worst
        is_falling = self.level < self.best - parameters.tolerance * gained
        return gained > 0 and not is_falling and self.waited >= parameters.patience


# ---- regulator -----------------------------------------------------------------------------------
Array = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass
class SlowTraces:
    """Slow traces of neurons from decision to decision, over all hidden layers."""

    rate: Array
    """(N,) running mean of spikes per time step."""
    silent_for: Array
    """(N,) decisions in a row with the rate of a silent neuron."""
    decisions: int = 0


class LocalRegulator:
    """Regulator of one policy's hidden neurons, with slow traces and a measure of its returns."""

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
            # The price of a neuron is its fan-out.
            np.array([*sizes[2:], head.out_features]),
            _signal_sources(sizes, parameters),
        )
        synapses = int(((sizes[:-1] + 1) * sizes[1:]).sum())
        self.watched = (np.zeros(neurons, np.float32), np.zeros(synapses, np.float32))
        """Spikes (N,) of a decision, and eligibilities (P,) of its hidden synapses before any
        error, summed over environments; ``watch`` adds to them."""
        self._returns = np.zeros(1)

    def clear(self) -> None:
        """Set ``watched`` to 0, for the next decision."""
        for part in self.watched:
            part[:] = 0.0

    def begin(self, samples: int) -> None:
        """Begin episodes in ``samples`` environments, with returns of 0."""
        self._returns = np.zeros(samples)

    def step(
        self,
        theta: NDArray[np.float32],
        rewards: NDArray[np.float32],
        ended: NDArray[np.bool_],
        hidden_step: float,
    ) -> None:
        """Update returns and slow traces, then add the terms to the hidden weights in ``theta``.

        ``rewards`` and ``ended`` (B,) are of the last actions; ``hidden_step`` scales the lean
        term. Spikes and eligibilities are those in ``watched``.
        """
        self._returns += rewards
        for k in np.flatnonzero(ended).tolist():
            self.performance = self.performance.step(float(self._returns[k]), self.parameters)
            self._returns[k] = 0.0
        samples, parameters, traces = len(rewards), self.parameters, self.traces
        traces.decisions += 1
        # A plain mean of the first decisions, then a running one.
        weight = 1.0 / min(traces.decisions, parameters.rate_decisions)
        share = 1.0 / (samples * self._time_steps)
        low, high, silent = (
            hz * self._per_hz
            for hz in (parameters.min_rate_hz, parameters.max_rate_hz, parameters.silent_rate_hz)
        )
        permission = float(self.performance.permits(parameters))
        constants = TermConstants(
            # In rheobases, so that one setting fits all neurons.
            parameters.homeostasis_step * self._rheobase,
            parameters.scaling_step,
            parameters.revival_step * self._rheobase,
            float(parameters.silent_decisions),
            parameters.lean_strength * hidden_step,
        )
        follow_rates(self.watched[0], traces.rate, traces.silent_for, (share, weight, silent))
        regulate(
            self._layers, theta, self.watched[1], (traces.rate, traces.silent_for),
            (low, high, self._per_hz, 1.0 / samples, permission), constants,
        )  # fmt: skip

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state between episodes, by name."""
        traces, performance = to_arrays(self.traces), to_arrays(self.performance)
        return {**prefixed("traces", traces), **prefixed("performance", performance)}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore ``arrays``; raise ValueError if names do not fit."""
        owner = type(self).__name__
        self.traces = from_arrays(self.traces, with_prefix("traces", arrays), owner)
        self.performance = from_arrays(self.performance, with_prefix("performance", arrays), owner)


def _signal_sources(sizes: Places, parameters: LocalRegulation) -> Places:
    """Return, for each hidden neuron, the neuron by whose signals it is regulated, (N,) int64.

    Indices count within a layer; the signals are rate, silence and eligibilities. A neuron has its
    own index, or with ``shuffle_seed`` that of another neuron, as a control.
    """
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
    """Update the slow traces (N,) of rates and silence by the spikes (N,) of a decision.

    ``numbers`` are the rate of one spike (in spikes per time step, mean over environments), the
    weight of a decision in the trace, and the rate below which a neuron is silent.
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
    """Add each term's change to the hidden weights and biases in ``theta``, in place.

    Args:
        layers: Sizes; price of a neuron, per layer; for each neuron, the one whose signals it gets.
        theta: Weights; changed.
        eligible: (P,) eligibilities of hidden synapses, summed over environments.
        traces: Rates and silence (N,).
        numbers: Lower and upper end of the range of rates, and the rate of 1 Hz, in spikes per
            time step; factor that turns the sum over environments into a mean; 1 if lean may act,
            else 0.
        constants: Constants of the terms.
    """
    sizes, prices, sources = layers
    low, high, per_hz, share, permission = numbers
    at = place = 0
    for layer in range(sizes.size - 1):
        inputs, size = sizes[layer], sizes[layer + 1]
        end, stop = at + (inputs + 1) * size, place + size
        weights = theta[at:end].reshape(inputs + 1, size)
        source = sources[place:stop]
        rate = traces[0][place:stop][source].reshape(1, size)
        beyond = np.maximum(rate - high, 0.0) - np.maximum(low - rate, 0.0)
        is_bias = np.zeros((inputs + 1, 1))
        is_bias[inputs, 0] = 1.0
        signals = eligible[at:end].reshape(inputs + 1, size)[:, source]
        seen = TermInputs(
            weights.astype(np.float64), is_bias, share * signals.astype(np.float64),
            beyond / per_hz, rate, traces[1][place:stop][source].reshape(1, size),
            np.full((1, size), float(prices[layer])), np.full((1, 1), permission),
        )  # fmt: skip
        weights += changes(seen, constants).astype(np.float32)
        at, place = end, stop


@njit(cache=True, error_model="numpy")
def watch(
    sizes: Places, time_steps: int, spikes: NDArray[np.float32], local: NDArray[np.float32],
    watched: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:  # fmt: skip
    """Add a sample's spikes in all layers and its synapses' eligibilities to ``watched``.

    ``local`` are eligibilities (P,), of hidden synapses first. Empty ``watched`` stay empty.
    """
    fired, eligible = watched
    # No regulator watches.
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
