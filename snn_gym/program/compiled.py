"""A program as one compiled call: a batch of observations in, outputs or actions out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym._base.lazy import cached
from snn_gym.program.decisions import (
    LEAKY,
    UNITS,
    decide_ann,
    decide_spiking,
)
from snn_gym.program.interpreter import chosen, enter, rest_state
from snn_gym.program.kernels import call, forward_kernel
from snn_gym.program.layers import (
    GATES,
    Array,
    DenseLayer,
    GatedLayer,
    Layer,
    LeakyLayer,
    NeuronLayer,
)
from snn_gym.program.network import Program
from snn_gym.program.neuron import Neuron, equations, is_monotone

_LARGEST = 1e6  # largest current of the search for the quiet one
_HALVINGS = 80
_CAUTION = 1e-5  # margin of the quiet current, as a share; rounding errors are far smaller
_NO_LIMIT = 3e38
_NO_STATES = np.empty((0, 0), np.float32)
_NONE = np.empty(0, np.float32)


class CompiledProgram:
    """A program that decides by one compiled call, on copies of its numbers.

    Args:
        program: The program, of execution ``clocked``.

    Raises:
        ValueError: The program's execution is another.
    """

    def __init__(self, program: Program) -> None:
        if program.execution != "clocked":
            raise ValueError(
                "compiled calls are clocked; replace execution by 'clocked', which has the same "
                "actions, or decide by the interpreter"
            )
        self.program = program
        self._outputs, self._enters = program.outputs, not _is_entered_by_kernel(program)
        self._decide = decide_spiking if program.spiking else decide_ann
        self._plan, self._table = _packed(program)

    def outputs(
        self, observations: Array, states: Array | None = None, noise: Array | None = None
    ) -> Array:
        """Return the outputs of the head (B, O).

        Args:
            observations: (B, values) float32, C-contiguous.
            states: (B, F) float32, C-contiguous, as ``decide`` of the interpreter returns them; set
                to the next ones in place. None starts from rest.
            noise: (T, B, channels), uniform in [0, 1), where the program needs noise.
        """
        if states is None:
            batch = len(observations)
            states = rest_state(self.program, batch) if self.program.stateful else _NO_STATES
        if self._enters:
            observations = self._entered(observations, states, noise)
        outputs = np.empty((len(observations), self._outputs), np.float32)
        self._decide(self._plan, self._table, observations, states, outputs)
        return outputs

    def _entered(self, observations: Array, states: Array, noise: Array | None) -> Array:
        """Return the inputs of the first layer (B, K * channels); update carried intensities."""
        carried = self.program.compares and self.program.stateful
        before = states[:, -self.program.inputs :] if carried else None
        signal, seen = enter(self.program, observations, before, noise)
        if before is not None:
            before[:] = seen
        return np.ascontiguousarray(signal.swapaxes(0, 1).reshape(len(observations), -1))

    def actions(
        self, observations: Array, states: Array | None = None, noise: Array | None = None
    ) -> NDArray[Any]:
        """Return the actions without exploration, (B,) int64 or (B, O) float32.

        Args:
            observations: As in ``outputs``.
            states: As in ``outputs``.
            noise: As in ``outputs``.
        """
        return chosen(self.program.choice, self.outputs(observations, states, noise))


def _packed(program: Program) -> tuple[NDArray[np.int64], Array]:
    """Return plan and table, described at the top of ``decisions``."""
    decoder = program.decoder
    plan = [
        program.time_steps, program.channels, int(program.held), program.outputs,
        int(program.stateful),
    ]  # fmt: skip
    plan += (
        [0, 1, 0]
        if decoder is None
        else [decoder.variables, decoder.values, int(decoder.maximum == "outputs")]
    )
    rows = _scaling(program)
    for layer in program.layers:
        if isinstance(layer, NeuronLayer):
            address = forward_kernel(layer.neuron, each=layer.each).address
            plan += [
                address, len(layer.rest), layer.size, int(layer.recurrent is not None),
                len(layer.constants) if layer.each else 0,
            ]  # fmt: skip
            quiet = np.array([quiet_current(layer, program.time_steps)], np.float32)
            own, shared = (layer.constants, _NONE) if layer.each else ((), layer.constants)
            loop = () if layer.recurrent is None else layer.recurrent
            rows += [np.concatenate([quiet, shared]), *own, *layer.rest]
            rows += [layer.biases, *layer.weights, *loop]
        else:
            own_plan, own_rows = _packed_units(layer)
            plan += own_plan
            rows += [layer.biases, *layer.weights, *own_rows]
    rows += [program.head.biases, *program.head.weights.T]
    if decoder is not None:
        rows += [*decoder.coefficients, *decoder.transition]
    table = np.zeros((len(rows), max(len(row) for row in rows)), np.float32)
    for place, row in zip(table, rows, strict=True):
        place[: len(row)] = row
    return np.array(plan, np.int64), table


def _packed_units(layer: Layer) -> tuple[list[int], list[Array]]:
    """Return an ANN layer's numbers in the plan, and its rows after those of the weights."""
    if isinstance(layer, GatedLayer):
        plan = [UNITS[layer.gates], len(layer.state), layer.size, GATES[layer.gates], 0]
        return plan, [layer.recurrent_biases, *layer.recurrent]
    if isinstance(layer, LeakyLayer):
        return [LEAKY, len(layer.state), layer.size, 0, 0], [layer.decay]
    assert isinstance(layer, DenseLayer)  # of an ANN
    return [UNITS[layer.activation], 0, layer.size, 0, layer.levels or 0], []


def _scaling(program: Program) -> list[Array]:
    """Return means (D,), deviations (D,) and clip for compiled code; by default without effect."""
    if _is_entered_by_kernel(program) and program.normalisers:
        scaling = program.normalisers[0]
        return [scaling.mean, scaling.std, np.array([scaling.clip], np.float32)]
    plain = [np.full(program.channels, value, np.float32) for value in (0.0, 1.0)]
    return [*plain, np.array([_NO_LIMIT], np.float32)]


def _is_entered_by_kernel(program: Program) -> bool:
    """Return whether compiled code makes the first layer's inputs, without ``enter``."""
    return program.coder is None and len(program.normalisers) < 2


@njit(cache=True, error_model="numpy")
def run_neurons(kernel: int, constants: Array, held: Array, state: Array, spikes: Array) -> None:
    """Fill ``spikes`` (T, M) of neurons at currents ``held`` (1, M); advance ``state`` (S, M)."""
    elements = state.shape[1]
    call(
        kernel, constants, held, 0, state, state, 1, spikes, spikes.shape[0], elements,
        constants.shape[1], elements,
    )  # fmt: skip


def quiet_current(layer: NeuronLayer, time_steps: int) -> float:
    """Return a current up to which no neuron fires from rest in a decision; -inf if unknown."""
    if layer.each:
        return -np.inf
    rests = np.unique(layer.rest, axis=1)  # neurons with equal rest fire alike
    return _quiet(layer.neuron, layer.constants.tobytes(), rests.tobytes(), time_steps)


@cached
def _quiet(neuron: type[Neuron], constants: bytes, rests: bytes, time_steps: int) -> float:
    """Return ``quiet_current`` for constants (P,) and states at rest (S, N), as float32 bytes."""
    column = np.frombuffer(constants, np.float32).reshape(-1, 1)
    numbers = dict(zip(equations(neuron).constants, column[:, 0].tolist(), strict=True))
    rest = np.frombuffer(rests, np.float32).reshape(len(neuron.state), -1)

    def fires(current: float) -> bool:
        """Return whether any neuron fires at a held current, from rest."""
        held = np.full((1, rest.shape[1]), current, np.float32)
        spikes = np.empty((time_steps, rest.shape[1]), np.float32)
        run_neurons(forward_kernel(neuron).address, column, held, rest.copy(), spikes)
        return bool(spikes.any())

    # Of a monotone neuron, potentials grow with earlier currents: a neuron that is silent at a held
    # current is silent at all currents that never exceed it.
    low, high = -_LARGEST, _LARGEST
    if not is_monotone(neuron, numbers) or fires(low):
        return -np.inf
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if fires(middle) else (middle, high)
    scale = max(abs(low), *map(abs, numbers.values()))
    return float(low - _CAUTION * scale)
