"""``LocalRegulator``: the terms of ``local_terms`` at work, with the slow traces that they see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.arrays import from_arrays, prefixed, to_arrays, with_prefix
from snn_gym.compilation import njit
from snn_gym.learners.local_performance import Performance
from snn_gym.learners.local_terms import Lived, TermConstants, changes
from snn_gym.learners.settings import LocalRegulation
from snn_gym.policies.local_actor_critic import LocalActorCriticPolicy
from snn_gym.spiking.assembly import configured_neuron

Array = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass
class SlowTraces:
    """What neurons keep from decision to decision, over all hidden layers."""

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
            theta: Weights in the order of ``local_kernels``; the hidden ones are changed.
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
