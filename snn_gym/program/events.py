"""Event-driven execution: neurons are updated only when they receive, or when they may fire.

Between events a neuron's state follows from ``Neuron.idle``. A constant current, such as a bias,
moves the state at which a neuron of an affine text settles, and leaves the decay towards it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.lazy import cached
from snn_gym.program.expressions import Expression, differentiate, evaluate, replace_names
from snn_gym.program.layers import Array, LeakyLayer, NeuronLayer
from snn_gym.program.neuron import INPUT, Equations, Neuron, equations, is_affine
from snn_gym.program.program import Program

Mask = NDArray[np.bool_]
Exact = NDArray[np.float64]
Rates = Literal["one", "each"]

_SINGULAR = 1e-9
_NEAR = 1e-5  # of outputs to those at rest


@dataclass(frozen=True)
class Events:
    """Updates of event-driven decisions on a batch of B observations."""

    updated: tuple[Mask, ...]
    """(T, B, N) of each layer of neurons: which were updated; empty for an ANN."""
    read: Mask
    """(B,), where outputs are computed, and all units of an ANN. Elsewhere nothing arrives there:
    the action is that of rest, or the last one if the readout or its units carry a state."""


def with_events(program: Program) -> Program:
    """Return a program whose neurons or units are updated only when they receive.

    Spikes are those of the clocked program until a margin falls below 1e-5.

    Args:
        program: Spiking neurons with ``idle``, leaky integrators, or an ANN without a state.

    Raises:
        ValueError: A part has no event-driven form; the message names it.
    """
    return replace(program, execution="events")


class Idling:
    """A layer's neurons in time without events."""

    def __init__(self, layer: NeuronLayer) -> None:
        self._layer, text = layer, equations(layer.neuron)
        # Closed forms cancel: they are computed in 64 bits.
        numbers = zip(text.constants, layer.constants.astype(np.float64), strict=True)
        self._p = SimpleNamespace(**dict(numbers))
        self._reach = (layer.weights != 0).astype(np.float32)
        loop = layer.recurrent
        self._loop = None if loop is None else (loop != 0).astype(np.float32)
        self.shift, self.excess = _settled(layer, text)

    def updated(self, inputs: Array, state: dict[str, Array]) -> Mask:
        """Return the neurons (B, N) that inputs (B, D) or last spikes reach, or that may fire."""
        reached: Array = (inputs != 0).astype(np.float32) @ self._reach
        if self._loop is not None:
            reached = reached + state["z"] @ self._loop
        return (reached > 0) | self.may_fire(state)

    def may_fire(self, state: dict[str, Array]) -> Mask:
        """Return the neurons (B, N) that may fire without input."""
        highest = self._layer.neuron.idle_margin(self._p, self._shifted(state))
        mask: Mask = highest + self.excess > 0
        return mask

    def now(self, state: dict[str, Array]) -> dict[str, Array]:
        """Return state variables (B, N) after the time steps without an update."""
        age = state["age"].astype(np.float64)
        # After no time step the state is exact.
        moved: Any = self._layer.neuron.idle(self._p, self._shifted(state), np.maximum(age, 1.0))
        return state | {
            x: np.where(age > 0, value + shift, state[x]).astype(np.float32)
            for x, value, shift in zip(self._layer.neuron.state, moved, self.shift, strict=True)
        }

    def _shifted(self, state: dict[str, Array]) -> SimpleNamespace:
        """Return the state as it would be without a bias."""
        pairs = zip(self._layer.neuron.state, self.shift, strict=True)
        return SimpleNamespace(**{x: state[x] - shift for x, shift in pairs})


def _settled(layer: NeuronLayer, text: Equations) -> tuple[Exact, Exact]:
    """Return the shifts by biases of the state (S, N) and margin (N,) at which neurons settle.

    The margin is infinite, so that a neuron never idles, where no such state is known: for a biased
    neuron without leak, or of a text that is not affine.
    """
    size, count = layer.size, len(text.state)
    bias, slopes = layer.biases.astype(np.float64), _slopes(layer.neuron)
    shift, excess = np.zeros((count, size)), np.where(bias != 0, np.inf, 0.0)
    if slopes is None or not bias.any():
        return shift, excess
    numbers = dict(zip(text.constants, layer.constants.astype(np.float64), strict=True))
    found = np.stack([np.broadcast_to(x, size) for x in evaluate(slopes, numbers)], axis=1)
    jacobian = found[:, :-count].reshape(size, count, count + 1)
    moving = np.eye(count) - jacobian[:, :, :count]
    known = np.abs(np.linalg.det(moving)) > _SINGULAR
    pushed = (jacobian[:, :, count] * bias[:, np.newaxis])[known][..., np.newaxis]
    shift[:, known] = np.linalg.solve(moving[known], pushed)[..., 0].T
    excess[known] = (found[known, -count:] * shift[:, known].T).sum(1)
    return shift, excess


@cached
def _slopes(neuron: type[Neuron]) -> list[Expression] | None:
    """Return the slopes of a silent time step by state and input, then of the margin by state.

    None for a text that is not affine.
    """
    text = equations(neuron)
    if not is_affine(text):
        return None
    step = dict(zip(text.moved_names, text.moved, strict=True))
    silent = [replace_names(x, step) for x in text.decided(fires=False)]
    slopes = [differentiate(x, label) for x in silent for label in (*text.state, INPUT)]
    return slopes + [differentiate(text.margin, x) for x in text.moved_names]


def must_read(program: Program, spikes: Array, before: dict[str, Array]) -> Mask:
    """Return where (B,) the action may change in a decision with the last layer's spikes (T, B, N).

    It may where the readout receives a spike, or where its potential ``before`` still decays to
    another action.
    """
    head = program.head
    received: Mask = (spikes @ (head.weights != 0).T.astype(np.float32)).any((0, 2))
    if not program.stateful or not before:
        return received
    left, *others = before.values()
    if others:  # a current, too, whose outputs do not decay alone
        left = np.abs(left) + np.abs(others[0])
    return received | ~_settled_outputs(program, left, head.biases, None if others else "one")


def touched_units(program: Program, values: Array, state: list[dict[str, Array]]) -> Mask:
    """Return where (B,) an ANN decides: where an input (B, D) arrives or its action may change."""
    first = program.layers[0].weights if program.layers else program.head.weights.T
    received: Mask = ((values != 0).astype(np.float32) @ (first != 0)).any(1)
    if not program.leaky:
        return received
    (layer,) = program.leaky
    steady = _steady(layer)
    rest = program.head.weights @ steady + program.head.biases
    rates: Rates = "one" if np.ptp(layer.decay) == 0 else "each"
    return received | ~_settled_outputs(program, state[0]["h"] - steady, rest, rates)


def looks_ahead(program: Program) -> bool:
    """Return whether a decision of leaky integrators takes a product to know if outputs may change.

    It does for discrete actions, unless all outputs decay at one rate, so that the largest at rest
    tells it.
    """
    return program.choice.discrete and any(np.ptp(x.decay) > 0 for x in program.leaky)


def _settled_outputs(program: Program, left: Array, rest: Array, rates: Rates | None) -> Mask:
    """Return where (B,) an action stays the same while features decay to those of ``rest`` (O,).

    ``left`` (B, N) are their distances. These decay at ``one`` rate, ``each`` at its own, or in
    another way (None).
    """
    weights = program.head.weights
    if rates is None or not program.choice.discrete:
        # A limit for each feature, so that the test takes no product.
        most = np.abs(weights).max(0, initial=0.0) * weights.shape[1]
        near: Mask = (np.abs(left) * most <= _NEAR).all(1)
        return near
    best = (left @ weights.T + rest).argmax(1)
    if rates == "one":
        # Outputs move on a straight line, and the region of an action is convex.
        return np.asarray(rest[best] >= rest.max())
    gaps = (weights[best][:, np.newaxis] - weights) * left[:, np.newaxis]  # (B, O, N)
    ahead: Array = rest[best][:, np.newaxis] - rest + np.minimum(gaps, 0.0).sum(2)
    return np.asarray((ahead >= 0).all(1))


def _steady(layer: LeakyLayer) -> Array:
    """Return the state (N,) of leaky integrators at which their biases hold them."""
    return layer.biases / (1 - layer.decay)


def idle_units(layer: LeakyLayer, state: dict[str, Array]) -> Array:
    """Return the state (B, N) of leaky integrators after the decisions without an input."""
    steady, age = _steady(layer), state["age"]
    moved: Array = steady + layer.decay**age * (state["h"] - steady)
    return np.where(age > 0, moved, state["h"])
