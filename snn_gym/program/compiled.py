"""A program as one compiled call: a batch of observations in, outputs or actions out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._lazy import cached
from snn_gym.program.decision_kernels import (
    GRU,
    LSTM,
    RELU,
    TANH,
    decide_ann,
    decide_spiking,
    run_neurons,
)
from snn_gym.program.interpreter import chosen, enter, rest_state
from snn_gym.program.kernels import forward_kernel
from snn_gym.program.network import (
    GATES,
    Array,
    GatedLayer,
    NeuronLayer,
    Normaliser,
    Program,
)
from snn_gym.program.neuron import Neuron, equations, is_monotone

_LARGEST = 1e6
"""Currents up to here are tried for the largest one that makes no neuron fire."""
_HALVINGS = 80
_CAUTION = 1e-5
"""Share by which a current must lie below that one to count as quiet: rounding is far smaller."""
_NO_LIMIT = 3e38
_NO_STATES = np.empty((0, 0), np.float32)
_NONE = np.empty(0, np.float32)


class CompiledProgram:
    """A program that decides by one compiled call, on copies of its numbers.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._outputs, self._enters = program.outputs, not _enters_itself(program)
        self._decide = decide_spiking if program.spiking else decide_ann
        self._plan, self._table = _packed(program)

    def outputs(
        self, observations: Array, states: Array | None = None, noise: Array | None = None
    ) -> Array:
        """Return what the head gives (B, O).

        Args:
            observations: (B, values) float32, in order.
            states: (B, F) float32, in order, as ``decide`` of the interpreter returns them; set to
                the next ones in place. None starts from rest.
            noise: (T, B, channels), uniform in [0, 1), where the program needs noise.
        """
        if states is None:
            batch = len(observations)
            states = rest_state(self.program, batch) if self.program.stateful else _NO_STATES
        if self._enters:
            observations = self._entered(observations, states, noise)
        found = np.empty((len(observations), self._outputs), np.float32)
        self._decide(self._plan, self._table, observations, states, found)
        return found

    def _entered(self, observations: Array, states: Array, noise: Array | None) -> Array:
        """Return what the first layer gets (B, K * channels), and note it in states if they do."""
        carried = self.program.compares and self.program.stateful
        place = states[:, -self.program.inputs :] if carried else None
        signal, seen = enter(self.program, observations, place, noise)
        if place is not None:
            place[:] = seen
        return np.ascontiguousarray(signal.swapaxes(0, 1).reshape(len(observations), -1))

    def actions(
        self, observations: Array, states: Array | None = None, noise: Array | None = None
    ) -> NDArray[Any]:
        """Return the best actions, (B,) int64 or (B, O) float32.

        Args:
            observations: As in ``outputs``.
            states: As there.
            noise: As there.
        """
        return chosen(self.program.choice, self.outputs(observations, states, noise))


def _packed(program: Program) -> tuple[NDArray[np.int64], Array]:
    """Return plan and table, as ``decision_kernels`` says."""
    decoder = program.decoder
    plan = [
        program.time_steps, program.channels, int(program.held), program.outputs,
        int(program.stateful),
    ]  # fmt: skip
    if decoder is None:
        plan += [0, 1, 0]
    else:
        plan += [decoder.variables, decoder.values, int(decoder.maximum == "outputs")]
    rows = [*_scaling(program)]
    for layer in program.layers:
        if isinstance(layer, NeuronLayer):
            looped: Iterable[Array] = [] if layer.recurrent is None else layer.recurrent
            address = forward_kernel(layer.neuron, each=layer.each).address
            plan += [address, len(layer.rest), layer.size, int(layer.recurrent is not None)]
            plan.append(len(layer.constants) if layer.each else 0)
            quiet = np.float32(quiet_current(layer, program.time_steps))
            shared = _NONE if layer.each else layer.constants
            rows += [np.concatenate([[quiet], shared]), *(layer.constants if layer.each else ())]
            rows += [*layer.rest]
            rows += [layer.biases, *layer.weights, *looped]
        elif isinstance(layer, GatedLayer):
            plan += [GRU if layer.gates == "gru" else LSTM, len(layer.state), layer.size]
            plan += [GATES[layer.gates], 0]
            rows += [layer.biases, *layer.weights, layer.recurrent_biases, *layer.recurrent]
        else:
            plan += [TANH if layer.activation == "tanh" else RELU, 0, layer.size, 0, 0]
            rows += [layer.biases, *layer.weights]
    rows += [program.head.biases, *program.head.weights.T]
    if decoder is not None:
        rows += [*decoder.coefficients, *decoder.transition]
    table = np.zeros((len(rows), max(len(row) for row in rows)), np.float32)
    for place, row in zip(table, rows, strict=True):
        place[: len(row)] = row
    return np.array(plan, np.int64), table


def _scaling(program: Program) -> Iterator[Array]:
    plain = np.zeros(program.channels, np.float32), np.ones(program.channels, np.float32)
    found = program.normalisers if _enters_itself(program) else ()
    scaling = found[0] if found else Normaliser(*plain, _NO_LIMIT)
    yield scaling.mean
    yield scaling.std
    yield np.array([scaling.clip], np.float32)


def _enters_itself(program: Program) -> bool:
    """Tell whether compiled code does all that comes before the first layer."""
    return program.coder is None and len(program.normalisers) < 2


def quiet_current(layer: NeuronLayer, time_steps: int) -> float:
    """Return a current that lets no neuron of a layer fire, nor do smaller ones.

    Potentials grow with the currents that came before, so that a neuron that is silent at a held
    current is so at all that never exceed it.

    Args:
        layer: The layer.
        time_steps: T of a decision, from rest.

    Returns:
        The largest such current, less a margin for rounding; minus infinity if there is none, or
        if each neuron has constants of its own.
    """
    if layer.each:
        return -np.inf
    rests = np.unique(layer.rest, axis=1)  # neurons that start alike fire alike
    return _quiet(layer.neuron, layer.constants.tobytes(), rests.tobytes(), time_steps)


@cached
def _quiet(neuron: type[Neuron], constants: bytes, rests: bytes, time_steps: int) -> float:
    given = np.frombuffer(constants, np.float32).reshape(-1, 1)
    numbers = dict(zip(equations(neuron).constants, given[:, 0].tolist(), strict=True))
    rest = np.frombuffer(rests, np.float32).reshape(len(neuron.state), -1)

    def fires(current: float) -> bool:
        """Tell whether any neuron fires at a held current, from rest."""
        held = np.full((1, rest.shape[1]), current, np.float32)
        spikes = np.empty((time_steps, rest.shape[1]), np.float32)
        run_neurons(forward_kernel(neuron).address, given, held, rest.copy(), spikes)
        return bool(spikes.any())

    low, high = -_LARGEST, _LARGEST
    if not is_monotone(neuron, numbers) or fires(low):
        return -np.inf
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if fires(middle) else (middle, high)
    scale = max(abs(low), *map(abs, numbers.values()))
    return float(low - _CAUTION * scale)
