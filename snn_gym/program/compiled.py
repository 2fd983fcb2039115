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
from snn_gym.program.interpreter import chosen, rest_state
from snn_gym.program.kernels import forward_kernel
from snn_gym.program.network import GATES, Array, GatedLayer, NeuronLayer, Program
from snn_gym.program.neuron import Neuron, equations, is_monotone

_LARGEST = 1e6
"""Currents up to here are tried for the largest one that makes no neuron fire."""
_HALVINGS = 80
_CAUTION = 1e-5
"""Share by which a current must lie below that one to count as quiet: rounding is far smaller."""
_NO_LIMIT = 3e38
_NO_STATES = np.empty((0, 0), np.float32)


class CompiledProgram:
    """A program that decides by one compiled call, on copies of its numbers.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._outputs = program.outputs
        self._decide = decide_spiking if program.spiking else decide_ann
        self._plan, self._table = _packed(program)

    def outputs(self, observations: Array, states: Array | None = None) -> Array:
        """Return what the head gives (B, O).

        Args:
            observations: (B, values) float32, in order.
            states: (B, F) float32, in order, as ``decide`` of the interpreter returns them; set to
                the next ones in place. None starts from rest.
        """
        if states is None:
            batch = len(observations)
            states = rest_state(self.program, batch) if self.program.stateful else _NO_STATES
        found = np.empty((len(observations), self._outputs), np.float32)
        self._decide(self._plan, self._table, observations, states, found)
        return found

    def actions(self, observations: Array, states: Array | None = None) -> NDArray[Any]:
        """Return the best actions, (B,) int64 or (B, O) float32.

        Args:
            observations: As in ``outputs``.
            states: As there.
        """
        return chosen(self.program.choice, self.outputs(observations, states))


def _packed(program: Program) -> tuple[NDArray[np.int64], Array]:
    """Return plan and table, as ``decision_kernels`` says."""
    decoder = program.decoder
    plan = [
        program.time_steps, program.inputs, int(not program.spike_input), program.outputs,
        int(program.stateful), 0 if decoder is None else decoder.variables,
    ]  # fmt: skip
    rows = [*_scaling(program)]
    for layer in program.layers:
        if isinstance(layer, NeuronLayer):
            looped: Iterable[Array] = [] if layer.recurrent is None else layer.recurrent
            address = forward_kernel(layer.neuron).address
            plan += [address, len(layer.rest), layer.size, int(layer.recurrent is not None)]
            quiet = np.float32(quiet_current(layer, program.time_steps))
            rows += [np.concatenate([[quiet], layer.constants]), *layer.rest]
            rows += [layer.biases, *layer.weights, *looped]
        elif isinstance(layer, GatedLayer):
            plan += [GRU if layer.gates == "gru" else LSTM, len(layer.state), layer.size]
            plan.append(GATES[layer.gates])
            rows += [layer.biases, *layer.weights, layer.recurrent_biases, *layer.recurrent]
        else:
            plan += [TANH if layer.activation == "tanh" else RELU, 0, layer.size, 0]
            rows += [layer.biases, *layer.weights]
    rows += [program.head.biases, *program.head.weights.T]
    if decoder is not None:
        rows += [*decoder.coefficients, *decoder.transition]
    table = np.zeros((len(rows), max(len(row) for row in rows)), np.float32)
    for place, row in zip(table, rows, strict=True):
        place[: len(row)] = row
    return np.array(plan, np.int64), table


def _scaling(program: Program) -> Iterator[Array]:
    found = program.normaliser
    yield np.zeros(program.inputs, np.float32) if found is None else found.mean
    yield np.ones(program.inputs, np.float32) if found is None else found.std
    yield np.array([_NO_LIMIT if found is None else found.clip], np.float32)


def quiet_current(layer: NeuronLayer, time_steps: int) -> float:
    """Return a current that lets no neuron of a layer fire, nor do smaller ones.

    Potentials grow with the currents that came before, so that a neuron that is silent at a held
    current is so at all that never exceed it.

    Args:
        layer: The layer.
        time_steps: T of a decision, from rest.

    Returns:
        The largest such current, less a margin for rounding; minus infinity if there is none.
    """
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
