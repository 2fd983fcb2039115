"""A program as one compiled call: a batch of observations in, outputs or actions out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym._base.lazy import cached
from snn_gym.program.interpreter import chosen, enter, rest_state
from snn_gym.program.layers import (
    GATES,
    Array,
    DenseLayer,
    GatedLayer,
    Layer,
    LeakyLayer,
    NeuronLayer,
)
from snn_gym.program.neuron import Neuron, equations, is_monotone
from snn_gym.program.neuron_kernels import call, forward_kernel
from snn_gym.program.program import Program

_LARGEST = 1e6  # largest current of the search for the quiet one
_HALVINGS = 80
_CAUTION = 1e-5  # margin of the quiet current, as a share; rounding errors are far smaller
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
    """Return plan and table, described at "compiled decisions"."""
    decoder = program.decoder
    plan = [
        program.time_steps, program.channels, int(program.held), program.outputs,
        int(program.stateful), 0 if decoder is None else decoder.variables,
    ]  # fmt: skip
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
    """Return an ANN layer's numbers for the plan, and its rows of the table after its weights.

    Plan and table are described below, at "compiled decisions".
    """
    if isinstance(layer, GatedLayer):
        plan = [UNITS[layer.gates], len(layer.state), layer.size, GATES[layer.gates], 0]
        return plan, [layer.recurrent_biases, *layer.recurrent]
    if isinstance(layer, LeakyLayer):
        kind = RECTIFIED if layer.rectified else LEAKY
        return [kind, len(layer.state), layer.size, 0, 0], [layer.decay]
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
    summed = program.rows_per_step > 1
    return program.coder is None and len(program.normalisers) < 2 and not summed


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


# ---- compiled decisions --------------------------------------------------------------------------
# A program lies in two arrays, because every array argument of compiled code takes as long as a
# hundred products: ``plan``, int64, holds its shape, and the rows of ``table`` (R, W), float32, are
#
#     means (D,), deviations (D,), the clip;
#     for each spiking layer: the quiet current and the constants (P,), or a row (N,) for each
#     constant if every neuron has its own; its state at rest (S, N);
#     for each layer: biases (N,), and a row (N,) of weights for each input;
#     for each recurrent layer: a row (N,) of weights for each of its neurons;
#     for each gated layer, whose rows are (G * N,): before these the biases of the loop;
#     for each layer of leaky integrators: their decays (N,);
#     for the head: biases (O,), and a row (O,) of weights for each neuron;
#     if layers spike: the decoder's coefficients (1 + S, T) and its transition (1 + S, S).
#
# Spiking layers are computed by events. Neurons whose current never exceeds the *quiet current*
# can't fire from rest within a decision, and are left out. Weights are added only at the time steps
# at which their neuron fired. Neurons that carry a state or have recurrent synapses are all
# computed. Spikes equal those of ``network_forward`` bit for bit: both run kernels of one text, on
# sums of the same order. Slices and reshapes would take longer than a lean decision.
Plan = NDArray[np.int64]
Places = NDArray[np.int64]

# Places in the plan: time steps T, values D of a time step, 1 if they are held and 0 for spikes,
# outputs O, 1 if a state is carried, state variables S and values R of the decoder, 1 if the
# maximum is that of outputs. Then ``PLACES`` numbers for each layer, from ``FIRST`` on: the address
# of its neurons' kernel, their state variables, its size, 1 if it is recurrent, rows of constants
# if every neuron has its own; for a layer of an ANN its kind, state variables, size, gates G, and
# the levels of rounded outputs, 0 for floats.
STEPS, INPUTS, HELD, OUTPUTS, CARRIED, DECODED, FIRST = range(7)
PLACES = 5
SCALING = 3  # rows of the table before those of the first layer
QUIET, CONSTANTS = range(2)  # places of the quiet current and the first constant in their row
# Kinds of an ANN's units.
TANH, RELU, THRESHOLD, GRU, LSTM, RNN, RNN_RELU, LEAKY, RECTIFIED = range(9)
UNITS = {
    "tanh": TANH, "relu": RELU, "threshold": THRESHOLD,
    "gru": GRU, "lstm": LSTM, "rnn": RNN, "rnn_relu": RNN_RELU,
}  # fmt: skip
# Scratch: currents, currents of loud neurons, spikes, states, places of spikes, rows of weights,
# number of inputs that spiked at each time step.
_Room = tuple[Array, Array, Array, Array, Places, Places, Places]
_BLOCK = 16  # neurons that are compared with the quiet current together
_LEAST = np.float32(-np.inf)
_NO = np.float32(0.0)


@njit(cache=True, error_model="numpy", inline="always")
def _standardise(
    table: Array, size: int, observations: Array, b: int, first: int, x: Array, t: int
) -> None:
    """Fill ``x[t]`` (D,) with ``clip((value - mean) / deviation)``, from ``[b, first]`` on."""
    limit = table[2, 0]
    for d in range(size):
        value = (observations[b, first + d] - table[0, d]) / table[1, d]
        x[t, d] = min(max(value, -limit), limit)


@njit(cache=True, error_model="numpy", inline="always")
def _add_rows(
    table: Array, rows: Places, values: Array, count: int, size: int, x: Array, t: int
) -> None:
    """Add the table's rows ``rows[:count]``, times ``values[:count]``, to ``x[t]`` (N,)."""
    k = 0
    while k + 4 <= count:  # four at a time: fewer passes over the sums
        a, b, c, d = rows[k], rows[k + 1], rows[k + 2], rows[k + 3]
        va, vb, vc, vd = values[k], values[k + 1], values[k + 2], values[k + 3]
        for n in range(size):
            x[t, n] += (va * table[a, n] + vb * table[b, n]) + (vc * table[c, n] + vd * table[d, n])
        k += 4
    while k < count:
        e, ve = rows[k], values[k]
        for n in range(size):
            x[t, n] += ve * table[e, n]
        k += 1


@njit(cache=True, error_model="numpy", inline="always")
def _raise(highest: Array, size: int, values: Array, row: int) -> None:
    """Set ``highest`` (N,) to the maximum of itself and a row of ``values``, place by place."""
    for n in range(size):
        x = values[row, n]
        highest[n] = x if x > highest[n] else highest[n]


@njit(cache=True, error_model="numpy", inline="always")
def _drive(
    table: Array, at: int, size: int, source: Array, t: int, fired: Places, count: int,
    rows: Places, values: Array, currents: Array,
) -> int:  # fmt: skip
    """Fill ``currents[t]`` (N,) with biases plus weighted inputs; return how many inputs are not 0.

    The table has the biases in row ``at``, weights (D, N) after it; ``source[t]`` (A,) has the
    values of the inputs ``fired``. If all are 0, nothing is filled: the currents are the biases.
    """
    met = 0
    for a in range(count):
        rows[met], values[met] = at + 1 + fired[a], source[t, a]
        met += int(source[t, a] != _NO)
    if met > 0:
        for n in range(size):
            currents[t, n] = table[at, n]
        _add_rows(table, rows, values, met, size, currents, t)
    return met


@njit(cache=True, error_model="numpy", inline="always")
def _loud(highest: Array, size: int, quiet: np.float32, loud: Places) -> int:
    """Fill ``loud`` with the neurons whose ``highest`` (N,) exceeds ``quiet``; return how many."""
    count = 0
    for first in range(0, size, _BLOCK):
        last, most = min(first + _BLOCK, size), _LEAST
        for n in range(first, last):
            most = highest[n] if highest[n] > most else most
        if most > quiet:
            for n in range(first, last):
                loud[count] = n
                count += int(highest[n] > quiet)
    return count


@njit(cache=True, error_model="numpy", inline="always")
def _enter(
    table: Array, at: int, variables: int, currents: Array, met: Places, held: int, loud: Places,
    count: int, state: Array, driven: Array,
) -> None:  # fmt: skip
    """Fill ``state`` (S, A) at rest and currents ``driven`` (K, A) of the neurons ``loud`` (A,).

    The table has the state at rest and the biases after row ``at``. The biases are the currents at
    time steps without inputs, where ``met`` is 0; at others ``currents`` (K, N) has them.
    """
    for s in range(variables):
        for a in range(count):
            state[s, a] = table[at + 1 + s, loud[a]]
    for t in range(held):
        if met[t] > 0:
            for a in range(count):
                driven[t, a] = currents[t, loud[a]]
        else:
            for a in range(count):
                driven[t, a] = table[at + 1 + variables, loud[a]]


@njit(cache=True, error_model="numpy", inline="always")
def _constants(at: int, own: int, count: int, width: int) -> tuple[int, int, int]:
    """Return the first place of a layer's constants, its elements and its neurons for a kernel."""
    if own > 0:  # Constants are whole rows of the table; neurons beyond the layer are ignored.
        return (at + 1) * width, width, width
    return at * width + CONSTANTS, count, 1


@njit(cache=True, error_model="numpy", inline="always")
def _fire(
    kernel: int, table: Array, at: int, own: int, steps: int, count: int, state: Array,
    driven: Array, held: int, spikes: Array,
) -> None:  # fmt: skip
    """Fill ``spikes`` (T, A) of neurons at currents ``driven`` (K, A); advance ``state``."""
    width = table.shape[1]
    place, elements, size = _constants(at, own, count, width)
    call(
        kernel, (table, place), driven, 1 if held > 1 else 0, state, state, 1, spikes, steps,
        elements, size, width,
    )  # fmt: skip


@njit(cache=True, error_model="numpy", inline="always")
def _fire_in_turn(
    where: tuple[int, int, int, int, int], table: Array, steps: int, size: int, state: Array,
    driven: Array, held: int, spikes: Array, room: tuple[Array, Places, Array],
) -> None:  # fmt: skip
    """Fill ``spikes`` (T, N) of recurrent neurons, as ``_fire``, one time step after the other.

    ``where``: kernel, row of the constants, rows of constants of each neuron, row of the recurrent
    weights, and row of the state with the spikes before.
    """
    (kernel, at, own, loops, last), (total, rows, values) = where, room
    width = table.shape[1]
    place, elements, neurons = _constants(at, own, size, width)
    constants = (table, place)
    for t in range(steps):
        row, count = t if held > 1 else 0, 0
        for n in range(size):
            total[0, n] = driven[row, n]
            z = state[last, n] if t == 0 else spikes[t - 1, n]
            rows[count], values[count] = loops + n, z
            count += int(z != _NO)
        _add_rows(table, rows, values, count, size, total, 0)
        fired = (spikes, t * width)
        call(
            kernel, constants, total, 0, state, state, 1, fired, 1, elements, neurons, width,
        )  # fmt: skip
    for n in range(size):
        state[last, n] = spikes[steps - 1, n]


@njit(cache=True, error_model="numpy", inline="always")
def _carry(
    states: Array, b: int, first: int, rows: int, size: int, state: Array, leaving: bool
) -> None:
    """Copy ``states[b]`` from ``first`` on to ``state`` (S, N); if ``leaving``, the other way."""
    for s in range(rows):
        for n in range(size):
            if leaving:
                states[b, first + s * size + n] = state[s, n]
            else:
                state[s, n] = states[b, first + s * size + n]


@njit(cache=True, error_model="numpy", inline="always")
def _read(
    table: Array, at: int, size: int, steps: int, spikes: Array, fired: Places, count: int,
    outputs: Array, b: int,
) -> None:  # fmt: skip
    """Fill ``outputs[b]`` (O,) with the head's outputs for ``spikes`` (T, A) of ``fired`` (A,).

    The table has the head's biases in row ``at``, then its weights (N, O), then the coefficients.
    """
    coefficients = at + 1 + size
    size = outputs.shape[1]
    for o in range(size):
        outputs[b, o] = table[at, o]
    for a in range(count):
        feature, row = _NO, at + 1 + fired[a]
        for t in range(steps):
            feature += table[coefficients, t] * spikes[t, a]
        for o in range(size):
            outputs[b, o] += feature * table[row, o]


@njit(cache=True, error_model="numpy", inline="always")
def _value(
    table: Array, row: int, rows: int, steps: int, spikes: Array, a: int, variables: int,
    carried: tuple[Array, int, int], size: int, n: int,
) -> np.float32:  # fmt: skip
    """Return a value of the decoder for neuron n, column ``a`` of the spikes.

    The table has the coefficients in ``row``, and the transition ``rows`` further.
    """
    states, b, first = carried
    value = _NO
    for t in range(steps):
        value += table[row, t] * spikes[t, a]
    for s in range(variables):
        value += table[row + rows, s] * states[b, first + s * size + n]
    return value


@njit(cache=True, error_model="numpy", inline="always")
def _read_on(
    plan: Plan, table: Array, at: int, size: int, spikes: Array, carried: tuple[Array, int, int],
    next_values: Array, outputs: Array,
) -> None:  # fmt: skip
    """Add the decoder's state to the outputs, and advance the state.

    ``carried``: states, sample and first place, S variables of every neuron. The table has the rows
    of ``_read``, then the transition.
    """
    states, b, first = carried
    steps, variables = plan[STEPS], plan[DECODED]
    coefficients, rows = at + 1 + size, 1 + variables
    for n in range(size):
        feature = _NO
        for s in range(variables):
            feature += table[coefficients + rows, s] * states[b, first + s * size + n]
        for r in range(variables):
            row = coefficients + 1 + r
            next_values[r] = _value(table, row, rows, steps, spikes, n, variables, carried, size, n)
        for r in range(variables):
            states[b, first + r * size + n] = next_values[r]
        for o in range(outputs.shape[1]):
            outputs[b, o] += feature * table[at + 1 + n, o]


@njit(cache=True, error_model="numpy", inline="always")
def _whole(size: int, fired: Places) -> int:
    """Fill ``fired`` with the places of all neurons, 0 to ``size - 1``; return ``size``."""
    for n in range(size):
        fired[n] = n
    return size


@njit(cache=True, error_model="numpy", inline="always")
def _advance(
    plan: Plan, table: Array, k: int, at: int, fan_in: int, count: int, held: int,
    carried: tuple[Array, int, int], room: _Room,
) -> int:  # fmt: skip
    """Run the layer at place ``k`` of the plan; return how many neurons were computed.

    Their places are in ``fired``, their spikes in the same columns; all others are silent. At the
    call, ``fired`` has the ``count`` inputs that may have spiked. Currents have ``held`` rows.
    """
    currents, driven, spikes, state, fired, rows, met = room
    highest, values = state[0], state[1]  # free until the neurons are run
    kernel, variables, size, looped, own = (
        plan[k], plan[k + 1], plan[k + 2], plan[k + 3], plan[k + 4],
    )  # fmt: skip
    synapses, steps, keeps = at + 1 + own + variables, plan[STEPS], plan[CARRIED] > 0
    for n in range(size):
        highest[n] = _LEAST
    for t in range(held):
        met[t] = _drive(table, synapses, size, spikes, t, fired, count, rows, values, currents)
        if met[t] > 0:
            _raise(highest, size, currents, t)
        else:
            _raise(highest, size, table, synapses)
    if keeps or looped > 0:
        count = _whole(size, fired)
    else:
        count = _loud(highest, size, table[at, QUIET], fired)
    _enter(table, at + own, variables, currents, met, held, fired, count, state, driven)
    (states, b, first), kept = carried, variables + looped
    for n in range(looped * size):
        state[variables, n] = _NO
    if keeps:
        _carry(states, b, first, kept, size, state, False)
    if looped > 0:
        where, left = (kernel, at, own, synapses + 1 + fan_in, variables), state[variables + 1]
        scratch = (currents, rows, left)
        _fire_in_turn(where, table, steps, size, state, driven, held, spikes, scratch)
    else:
        _fire(kernel, table, at, own, steps, count, state, driven, held, spikes)
    if keeps:
        _carry(states, b, first, kept, size, state, True)
    return count


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def _decide(
    plan: Plan, table: Array, observations: Array, states: Array, outputs: Array, scratch: Array,
    state: Array, places: Places, met: Places,
) -> None:  # fmt: skip
    """Fill ``outputs`` as ``decide_spiking``, with scratch (3, T, W), (S, W), (2, W) and (T,)."""
    steps, inputs, given = plan[STEPS], plan[INPUTS], 1 if plan[HELD] else plan[STEPS]
    spikes, fired = scratch[2], places[0]
    room = (scratch[0], scratch[1], spikes, state, fired, places[1], met)
    for b in range(observations.shape[0]):
        for t in range(given):
            _standardise(table, inputs, observations, b, t * inputs, spikes, t)
        at, fan_in, count, first = SCALING, inputs, _whole(inputs, fired), 0
        for k in range(FIRST, plan.size, PLACES):
            held = given if k == FIRST else steps if count else 1
            carried = (states, b, first)
            count = _advance(plan, table, k, at, fan_in, count, held, carried, room)
            variables, size, looped, own = plan[k + 1], plan[k + 2], plan[k + 3], plan[k + 4]
            at, fan_in = at + 2 + own + variables + fan_in + looped * size, size
            first += (variables + looped) * size
        carried = (states, b, first)
        _read(table, at, fan_in, steps, spikes, fired, count, outputs, b)
        if plan[CARRIED] > 0 and plan[DECODED] > 0:
            _read_on(plan, table, at, fan_in, spikes, carried, state[0], outputs)


@njit(cache=True, error_model="numpy", nogil=True)
def decide_spiking(
    plan: Plan, table: Array, observations: Array, states: Array, outputs: Array
) -> None:
    """Fill ``outputs`` (B, O) of a packed spiking program for ``observations`` (B, K * D).

    K is T for spikes and 1 for values.

    A program with a state advances ``states`` (B, F) in place; others ignore them.
    """
    steps, width = plan[STEPS], table.shape[1]
    scratch = np.empty((3, steps, width), np.float32)
    variables = 2
    for k in range(FIRST, plan.size, PLACES):  # a recurrent layer needs spikes and values, too
        variables = max(variables, plan[k + 1] + 2 * plan[k + 3])
    state = np.empty((variables, width), np.float32)
    places = np.empty((2, width + 1), np.int64)
    # Allocated outside of ``_decide``: else references to arrays are counted at each use, which
    # takes as long as all the rest.
    met = np.empty(steps, np.int64)
    _decide(plan, table, observations, states, outputs, scratch, state, places, met)


@njit(cache=True, error_model="numpy", fastmath={"contract"}, inline="always")
def _dense(table: Array, at: int, inputs: int, size: int, x: Array, out: Array, b: int) -> None:
    """Fill ``out[b]`` (N,) with biases, row ``at``, plus ``x[0]`` (D,) times the rows after it."""
    for n in range(size):
        out[b, n] = table[at, n]
    d = 0
    while d + 4 <= inputs:  # four at a time: fewer passes over the sums
        xa, xb, row = x[0, d], x[0, d + 1], at + 1 + d
        xc, xd = x[0, d + 2], x[0, d + 3]
        for n in range(size):
            out[b, n] += (
                xa * table[row, n]
                + xb * table[row + 1, n]
                + xc * table[row + 2, n]
                + xd * table[row + 3, n]
            )
        d += 4
    while d < inputs:
        xa, row = x[0, d], at + 1 + d
        for n in range(size):
            out[b, n] += xa * table[row, n]
        d += 1


@njit(cache=True, error_model="numpy", fastmath={"contract"}, inline="always")
def _tanh(x: np.float32) -> np.float32:
    """Return tanh (float32) by Eigen's rational function, a few units in the last place off.

    https://gitlab.com/libeigen/eigen, ``generic_fast_tanh_float``; LLVM makes vectors of it.
    """
    f = np.float32
    x = max(f(-7.90531110763549805), min(f(7.90531110763549805), x))
    s = x * x
    p = f(-2.76076847742355e-16) * s + f(2.00018790482477e-13)
    p = p * s + f(-8.60467152213735e-11)
    p = p * s + f(5.12229709037114e-08)
    p = p * s + f(1.48572235717979e-05)
    p = p * s + f(6.37261928875436e-04)
    p = p * s + f(4.89352455891786e-03)
    q = f(1.19825839466702e-06) * s + f(1.18534705686654e-04)
    q = q * s + f(2.26843463243900e-03)
    q = q * s + f(4.89352518554385e-03)
    return x * p / q


@njit(cache=True, error_model="numpy", fastmath={"contract"}, inline="always")
def _sigmoid(x: np.float32) -> np.float32:
    """Return the logistic function, by the hyperbolic tangent."""
    half = np.float32(0.5)
    result: np.float32 = half + half * _tanh(half * x)
    return result


@njit(cache=True, error_model="numpy", inline="always")
def _pass_gates(
    kind: int, size: int, x: Array, h: Array, states: Array, b: int, first: int, values: Array
) -> None:
    """Advance gated units, whose state (S, N) begins at ``first``; fill ``values`` (N,).

    ``x`` and ``h`` (G, N) are the contributions of inputs and of the units to each gate.
    """
    if kind in (RNN, RNN_RELU):
        for n in range(size):
            total = x[0, n] + h[0, n]
            values[0, n] = _tanh(total) if kind == RNN else max(total, _NO)
            states[b, first + n] = values[0, n]
        return
    for n in range(size):
        place, m = first + n, n + size
        one, two = _sigmoid(x[0, n] + h[0, n]), _sigmoid(x[0, m] + h[0, m])
        if kind == GRU:
            new = _tanh(x[0, m + size] + one * h[0, m + size])
            states[b, place] = (np.float32(1.0) - two) * new + two * states[b, place]
        else:
            new, given = x[0, m + size] + h[0, m + size], x[0, m + 2 * size] + h[0, m + 2 * size]
            cell = two * states[b, place + size] + one * _tanh(new)
            states[b, place + size] = cell
            states[b, place] = _sigmoid(given) * _tanh(cell)
        values[0, n] = states[b, place]


@njit(cache=True, error_model="numpy", inline="always")
def _activate(kind: int, size: int, levels: int, sums: Array, values: Array) -> None:
    """Fill ``values`` (N,) with a layer's outputs for ``sums`` (N,); round if there are levels."""
    for n in range(size):
        x = sums[0, n]
        if kind == THRESHOLD:
            values[0, n] = np.float32(x > _NO)
        else:
            values[0, n] = _tanh(x) if kind == TANH else max(x, _NO)
    if levels > 0:
        one, most = np.float32(1.0), np.float32(levels)
        for n in range(size):
            values[0, n] = np.rint(min(values[0, n], one) * most) / most


@njit(cache=True, error_model="numpy", nogil=True)
def decide_ann(
    plan: Plan, table: Array, observations: Array, states: Array, outputs: Array
) -> None:
    """Fill ``outputs`` (B, O) for ``observations`` (B, D) of an ANN.

    Units with a state advance ``states`` (B, F) in place; ANNs without them ignore ``states``.
    """
    width = table.shape[1]
    values, sums = np.empty((1, width), np.float32), np.empty((1, width), np.float32)
    loops = np.empty((1, width), np.float32)
    for b in range(observations.shape[0]):
        at, fan_in, first = SCALING, plan[INPUTS], 0
        _standardise(table, fan_in, observations, b, 0, values, 0)
        for k in range(FIRST, plan.size, PLACES):
            kind, size = plan[k], plan[k + 2]
            if plan[k + 3] > 0:
                wide = size * plan[k + 3]
                _dense(table, at, fan_in, wide, values, sums, 0)
                at, fan_in = at + 1 + fan_in, size
                for n in range(size):
                    values[0, n] = states[b, first + n]
                _dense(table, at, size, wide, values, loops, 0)
                _pass_gates(kind, size, sums, loops, states, b, first, values)
                first += plan[k + 1] * size
            elif kind >= LEAKY:
                _dense(table, at, fan_in, size, values, sums, 0)
                at, fan_in = at + 1 + fan_in, 0  # the row of decays
                for n in range(size):
                    h = table[at, n] * states[b, first + n] + sums[0, n]
                    states[b, first + n] = h
                    values[0, n] = max(h, _NO) if kind == RECTIFIED else h
                first += size
            else:
                _dense(table, at, fan_in, size, values, sums, 0)
                _activate(kind, size, plan[k + 4], sums, values)
            at, fan_in = at + 1 + fan_in, size
        _dense(table, at, fan_in, plan[OUTPUTS], values, outputs, b)
