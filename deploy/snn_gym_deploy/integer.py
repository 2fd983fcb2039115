"""Integer programs: acting networks whose numbers are integers with known ranges.

Weights have 8 bits, potentials and activations 16, sums 32. Weights ``w`` of a layer are ``q * s``,
with ``s`` such that the largest is 127. Values of a layer are whole numbers of a unit; so are its
sums, in the product of both units. A potential's unit is ``s / 2**f``, where ``f`` lets the visited
potentials fill half of the range.

- Rounding: the host standardises an observation in float and rounds it half to even, to whole
  numbers of ``2**-k``. The device rounds half up, by shifts to the right.
- A current, and every number that a neuron's equations hold, saturates at 16 bits: the current
  before the leak. No other number can leave its range (`IntegerProgram.ranges`).
- A neuron fires strictly above its threshold, and the first of equal outputs wins.
- The hyperbolic tangent is a table of 129 numbers with straight lines between them.

`IntegerProgram.decide` is the definition: fixed-point C equals it, number for number.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snn_gym.program import (
    COMPARISONS,
    DISTANCE,
    GATES,
    INPUT,
    Activation,
    DenseLayer,
    Equations,
    Expression,
    Filtered,
    GatedLayer,
    Gates,
    LeakyLayer,
    Neuron,
    NeuronLayer,
    Normaliser,
    Program,
    chosen,
    enter,
    equations,
    name_of,
    walk,
)
from snn_gym_deploy.fixed_point import (
    GAIN_BITS,
    LIMIT,
    SUM_LIMIT,
    UNCHANGED,
    IntArray,
    Range,
    Rescale,
    bits_of,
    logistic,
    reach,
    rescale,
    saturated,
    scaled,
    share,
    tanh_of,
)

Unit = Literal["potential", "share"]
UnitKind = Activation | Gates | Literal["leaky", "rectified_leaky"]
ARGUMENT_BITS = 12
"""Bits of arguments of tanh and gates."""
_WEIGHT_LIMIT = 2**7 - 1
_MOST_SUM = 2**30  # so that the difference of two sums fits 32 bits, too
_MOST_BITS = 12  # of a potential's fraction
_SPARE = 2.0  # range of potentials, over the visited ones


def _within(name: str, low: IntArray, high: IntArray) -> Range:
    """Return the limits of sums; ValueError if they leave 32 bits."""
    limits = int(low.min(initial=0)), int(high.max(initial=0))
    most = max(-limits[0], limits[1])
    if most >= _MOST_SUM:
        raise ValueError(f"{name} reach {most:,}, more than 31 bits hold; export as C in float")
    return limits


# ---- neurons -------------------------------------------------------------------------------------
# Operators whose inputs have one unit, which is their result's, too, except for comparisons.
_SAME = {"+", "-", "-x", "maximum", "minimum", ">", ">=", "where"}
_OPERATORS: Mapping[str, Any] = {
    "*": share,
    "+": np.add,
    "-": np.subtract,
    "-x": np.negative,
    ">": np.greater,
    ">=": np.greater_equal,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "where": np.where,
}


@dataclass(frozen=True, eq=False)
class IntegerNeurons:
    """Layer of spiking neurons in integers."""

    neuron: type[Neuron]
    constants: NDArray[np.int16]
    """(P,), potentials in the layer's unit, and shares in units of 2**-14; (P, N) if neurons have
    their own."""
    rest: NDArray[np.int16]
    """(S, N)"""
    weights: NDArray[np.int8]
    """(D, N)"""
    biases: NDArray[np.int16]
    """(N,)"""
    recurrent: NDArray[np.int8] | None
    """(N, N)"""
    bits: int
    """Fraction of potentials: the weight of a spike is ``weight * 2**bits``."""
    input_bits: int = 0
    """Fraction of inputs; 0 for spikes."""

    @property
    def size(self) -> int:
        """Number of neurons N."""
        return len(self.biases)

    def advance(self, state: IntArray, values: IntArray) -> tuple[IntArray, IntArray]:
        """Return state variables with spikes (S + 1, B, N), and spikes, for inputs (B, D)."""
        entering = (values @ self.weights.astype(np.int64)) << self.bits
        current = self.biases + scaled(entering, self.input_bits)
        if self.recurrent is not None:
            current = current + ((state[-1] @ self.recurrent.astype(np.int64)) << self.bits)
        moved, fired = self.fire(state[:-1], current)
        return np.concatenate([moved, fired[np.newaxis]]), fired

    def fire(self, state: IntArray, current: IntArray) -> tuple[IntArray, IntArray]:
        """Return state variables (S, ...) and spikes (...) after a time step with a current."""
        constants = list(self.constants.astype(np.int64))
        new, fired = fire(self.neuron, constants, list(state), current)
        return np.stack(new), fired.astype(np.int64)


class Algebra(NamedTuple):
    """Arithmetic of a neuron's equations: on arrays, or on what is printed."""

    operators: Mapping[str, Any]
    """Function of each operator of an expression."""
    number: Any
    """Function of an ``int``."""
    saturated: Any
    """Function that returns the nearest numbers of 16 bits."""


NUMBERS = Algebra(_OPERATORS, np.int64, saturated)
SPIKED, SILENT = "spiked_", "silent_"
"""Prefixes of a state variable's name for its value after a spike, or after none."""


def stages(text: Equations) -> tuple[dict[str, Expression], dict[str, Expression]]:
    """Return values by name in the two stages of a time step: up to the margin, and after it.

    The second has a variable's value after a spike only if a spike changes it.
    """
    after: dict[str, Expression] = {}
    for x, spiked, silent in zip(text.state, text.decided(True), text.decided(False), strict=True):
        if spiked is not silent:
            after[SPIKED + x] = spiked
        after[SILENT + x] = silent
    return dict(zip(text.moved_names, text.moved, strict=True)) | {DISTANCE: text.margin}, after


def fire(
    neuron: type[Neuron],
    constants: Sequence[Any],
    state: Sequence[Any],
    current: Any,
    algebra: Algebra = NUMBERS,
) -> tuple[list[Any], Any]:
    """Return state variables after a time step with a current, and whether a neuron fired."""
    text, operators = equations(neuron), algebra.operators
    values: dict[str, Any] = {
        **dict(zip(text.constants, constants, strict=True)),
        **dict(zip(text.state, state, strict=True)),
        INPUT: algebra.saturated(current),
    }
    step, after = stages(text)
    values = _computed(step, values, algebra)
    fired = operators[">"](values[DISTANCE], algebra.number(0))
    values = _computed(after, values, algebra)
    new = [
        operators["where"](fired, values[SPIKED + x], values[SILENT + x])
        if SPIKED + x in values
        else values[SILENT + x]
        for x in text.state
    ]
    return new, fired


def _computed(
    targets: Mapping[str, Expression], values: Mapping[str, Any], algebra: Algebra
) -> dict[str, Any]:
    """Return values with those of expressions; results and nodes that are used twice saturate."""
    uses = Counter(id(x) for node in walk(*targets.values()) for x in node.inputs)
    known, results = dict(values), dict[int, Any]()
    for label, root in targets.items():
        for node in walk(root):
            if id(node) in results:
                continue
            if node.operator == "name":
                results[id(node)] = known[node.label]
            elif node.operator == "constant":
                results[id(node)] = algebra.number(round(node.number * 2**GAIN_BITS))
            else:
                inputs = (results[id(x)] for x in node.inputs)
                result = algebra.operators[node.operator](*inputs)
                held = uses[id(node)] > 1 and node.operator not in COMPARISONS
                results[id(node)] = algebra.saturated(result) if held else result
        known[label] = algebra.saturated(results[id(root)])
    return known


def units_of(neuron: type[Neuron]) -> dict[str, Unit]:
    """Return the unit of each name in a neuron's equations, a potential or a share.

    State variables and inputs are potentials; so are values that are added to them. Factors of
    potentials are shares. ValueError for functions that fixed point lacks, and for units that
    contradict each other or stay unknown.
    """
    text, problem = equations(neuron), f"neuron {name_of(neuron)!r} has no fixed point, for it"
    roots = (*text.moved, text.margin, *text.decided(True), *text.decided(False))
    potentials = (*text.state, *text.moved_names, INPUT, *map(_key, roots))
    units: dict[str | int, Unit] = dict.fromkeys(potentials, "potential")
    nodes, known = list(walk(*roots)), 0
    for node in nodes:
        if node.operator not in ("name", "constant", *_OPERATORS):
            raise ValueError(f"{problem} has {node.operator!r}; export as C in float")
    while known < len(units):
        known = len(units)
        for x, unit in (pair for node in nodes for pair in _implied(node, units)):
            if x.operator != "constant" and units.setdefault(_key(x), unit) != unit:
                raise ValueError(
                    f"{problem} adds a share to a potential or multiplies potentials; export in "
                    "float"
                )
            if x.operator == "constant" and x.number != 0.0 and unit == "potential":
                raise ValueError(f"{problem} adds {x.number:g} to a potential; make it a parameter")
    unknown = [x for x in text.constants if x not in units]
    if unknown:
        raise ValueError(
            f"{problem} does not tell whether {', '.join(unknown)} is a potential or a share of "
            "one; export as C in float"
        )
    return {x: unit for x, unit in units.items() if isinstance(x, str)}


def _key(node: Expression) -> str | int:
    return node.label or id(node)


def _implied(
    node: Expression, units: Mapping[str | int, Unit]
) -> Iterator[tuple[Expression, Unit]]:
    """Yield the units that an operator implies for its inputs and its result."""
    whole = units.get(_key(node))
    if node.operator in _SAME:
        alike = [*node.inputs[node.operator == "where" :]]
        alike += [] if node.operator in COMPARISONS else [node]
        known = [units[_key(x)] for x in alike if _key(x) in units]
        yield from ((x, known[0]) for x in alike if known)
    elif node.operator == "*":
        for factor, rest in (node.inputs, node.inputs[::-1]):
            unit = units.get(_key(factor))
            if unit == "potential":
                yield from ((rest, "share"), (node, "potential"))
            elif unit == "share" and whole == "potential":
                yield rest, "potential"
            elif factor.operator == "constant" and whole is not None:
                yield rest, whole


# ---- units of an ANN ----------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class IntegerUnits:
    """Layer of an ANN in integers."""

    kind: UnitKind
    weights: NDArray[np.int8]
    """(D, G * N)"""
    biases: NDArray[np.int32]
    """(G * N,), in the unit of the sums of inputs."""
    scale: Rescale
    """From the unit of these sums to that of results, of arguments of tanh and gates, or of the
    state of leaky integrators."""
    loop: Rescale = UNCHANGED
    """From the unit of the sums of units to that of arguments; of leaky integrators, from that of
    their state to that of results."""
    recurrent: NDArray[np.int8] | None = None
    """(N, G * N), of gated units."""
    recurrent_biases: NDArray[np.int32] | None = None
    """(G * N,), in the unit of the sums of the units."""
    decays: NDArray[np.int16] | None = None
    """(N,), in units of 2**-14, of leaky integrators, whose state has 32 bits."""
    levels: int | None = None
    """Results are multiples of ``1 / levels``, up to 1; None for no rounding."""

    @property
    def variables(self) -> int:
        """State variables of a unit."""
        return {"relu": 0, "tanh": 0, "threshold": 0, "lstm": 2}.get(self.kind, 1)

    @property
    def gates(self) -> int:
        """Sums of inputs of a unit."""
        return next((x for gates, x in GATES.items() if gates == self.kind), 1)

    @property
    def size(self) -> int:
        """Number of units N."""
        return len(self.biases) // self.gates

    def advance(self, state: IntArray, values: IntArray) -> tuple[IntArray, IntArray]:
        """Return state variables (S, B, N) and results (B, N) for values (B, D)."""
        total = values @ self.weights.astype(np.int64) + self.biases
        if self.decays is not None:
            new = scaled(self.decays.astype(np.int64) * state, GAIN_BITS) + self.scale(total)
            results = saturated(self.loop(new[0]))
            return new, np.maximum(results, 0) if self.kind == "rectified_leaky" else results
        if self.kind == "threshold":
            return state, (total > 0).astype(np.int64)
        if self.kind == "relu":
            results = self.scale(np.maximum(total, 0))
            return state, results if self.levels is None else np.minimum(results, self.levels)
        if self.recurrent is None or self.recurrent_biases is None:
            results = tanh_of(self.scale(total))
            rounded = results if self.levels is None else scaled(results * self.levels, GAIN_BITS)
            return state, rounded
        looped = state[0] @ self.recurrent.astype(np.int64) + self.recurrent_biases
        x = np.split(saturated(self.scale(total)), self.gates, axis=1)
        h = np.split(saturated(self.loop(looped)), self.gates, axis=1)
        new = _gated(self.kind, x, h, state)
        return new, new[0]


def _gated(kind: UnitKind, x: list[IntArray], h: list[IntArray], state: IntArray) -> IntArray:
    """Return the state of gated units, outputs first, for arguments by gate."""
    if kind == "rnn":
        return tanh_of(x[0] + h[0])[np.newaxis]
    if kind == "gru":
        update = logistic(x[1] + h[1])
        new = tanh_of(x[2] + share(logistic(x[0] + h[0]), h[2]))
        return (new + share(update, state[0] - new))[np.newaxis]
    entry, forget, output = (logistic(x[k] + h[k]) for k in (0, 1, 3))
    entering = share(entry, scaled(tanh_of(x[2] + h[2]), GAIN_BITS - ARGUMENT_BITS))
    cell = saturated(share(forget, state[1]) + entering)
    return np.stack([share(output, tanh_of(cell)), cell])


# ---- programs ------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class IntegerDecision:
    """Decisions of an integer program on a batch of B observations."""

    actions: NDArray[Any]
    """(B,) int64 of discrete actions, else (B, O) float32."""
    outputs: IntArray
    """(B, O), in the program's ``output_unit``."""
    state: tuple[IntArray, ...]
    """State variables (S, B, N) of each layer; of neurons, their last spikes behind them."""


@dataclass(frozen=True, eq=False)
class IntegerProgram:
    """An acting network whose numbers are integers; `to_integer` makes it of a program."""

    program: Program
    """The program in float, whose standardisation and limits of actions remain in float."""
    input_bits: int
    """Fraction of standardised observations, in bits; 0 for spikes."""
    layers: tuple[IntegerNeurons | IntegerUnits, ...]
    coefficients: NDArray[np.int8]
    """(1, T), weights of a spike by time step; all 1 for a mean rate and for an ANN."""
    head_weights: NDArray[np.int8]
    """(O, N)"""
    head_biases: NDArray[np.int32]
    """(O,)"""
    output_unit: float
    ranges: Mapping[str, Range]
    """Least and greatest number of each quantity: ``values`` (rounded observations), ``sums_K``
    and ``currents_K`` or ``units_K`` of layer K, ``outputs``."""

    @property
    def neurons(self) -> tuple[IntegerNeurons, ...]:
        """Layers of spiking neurons: all or none."""
        return tuple(x for x in self.layers if isinstance(x, IntegerNeurons))

    @property
    def units(self) -> tuple[IntegerUnits, ...]:
        """Layers of an ANN: all or none."""
        return tuple(x for x in self.layers if isinstance(x, IntegerUnits))

    @property
    def synapses(self) -> int:
        """Number of weights other than zero."""
        loops = [x.recurrent for x in self.layers if x.recurrent is not None]
        arrays = [self.head_weights, *(x.weights for x in self.layers), *loops]
        return sum(int(np.count_nonzero(x)) for x in arrays)

    @property
    def widths(self) -> dict[str, int]:
        """Bits of a signed number of each quantity."""
        return {name: bits_of(limits) for name, limits in self.ranges.items()}

    def rest_state(self, batch: int) -> tuple[IntArray, ...]:
        """Return the state at the start of an episode, as ``decide`` returns it."""
        rows = [
            np.vstack([x.rest.reshape(-1, x.size), np.zeros((1, x.size), np.int16)])
            if isinstance(x, IntegerNeurons)
            else np.zeros((x.variables, x.size), np.int64)
            for x in self.layers
        ]
        return tuple(np.repeat(x.astype(np.int64)[:, np.newaxis], batch, axis=1) for x in rows)

    def enter(self, observations: NDArray[Any]) -> IntArray:
        """Return the inputs of the first layer: values (1, B, D), or counts of spikes (T, B, D)."""
        signal, _ = enter(self.program, observations)
        entered: IntArray = np.rint(np.float32(2.0**self.input_bits) * signal).astype(np.int64)
        return entered

    def decide(
        self, observations: NDArray[Any], state: tuple[IntArray, ...] | None = None
    ) -> IntegerDecision:
        """Decide on a batch of observations.

        Args:
            observations: (B, D), or (B, T, D) of spike trains, in the environment's units.
            state: ``state`` of the last decision; None starts from rest.
        """
        signal, decoded = self.enter(observations), np.int64(0)
        own = list(self.rest_state(len(observations)) if state is None else state)
        for t, coefficient in enumerate(self.coefficients[0].astype(np.int64)):
            values = signal[t % len(signal)]  # held values are the same at all time steps
            for k, layer in enumerate(self.layers):
                own[k], values = layer.advance(own[k], values)
            decoded = decoded + coefficient * values
        outputs = self.head_biases + decoded @ self.head_weights.T.astype(np.int64)
        shown = np.float32(self.output_unit) * outputs.astype(np.float32)
        discrete = self.program.choice.discrete
        actions = outputs.argmax(1) if discrete else chosen(self.program.choice, shown)
        return IntegerDecision(actions, outputs, tuple(own))


def to_integer(
    program: Program, peaks: Sequence[float] = (), inputs: Sequence[float] = ()
) -> IntegerProgram:
    """Return a program whose numbers are integers.

    Args:
        program: The program.
        peaks: Largest absolute potential or state of each layer, as in ``Visits.peaks``; none for
            an ANN without a state, whose scales follow from its weights and its inputs' limit.
        inputs: Largest absolute value of each input, as in ``Visits.inputs``, for programs that do
            not standardise: values are limited to twice as much.

    Raises:
        ValueError: A part has no form in integers, or a sum leaves 32 bits.
    """
    if inputs and not program.normalisers and program.held:
        program = _standardised(program, inputs)
    return _spiking(program, peaks) if program.spiking else _ann(program, peaks)


def _standardised(program: Program, inputs: Sequence[float]) -> Program:
    """Return an equal program that standardises: by powers of two, without rounding."""
    largest = np.array([x or 1.0 for x in inputs])
    scale = (2.0 ** np.ceil(np.log2(largest))).astype(np.float32)
    if any(isinstance(x.operator, Filtered) for x in program.layers[:1]):
        scale[:] = scale.max()  # inputs share their weights
    normaliser = Normaliser(np.zeros_like(scale), scale, _SPARE)
    if not program.layers:
        head = replace(program.head, weights=program.head.weights * scale)
        return replace(program, normalisers=(normaliser,), head=head)
    first, *others = program.layers
    first = replace(first, weights=first.weights * scale[:, np.newaxis])
    return replace(program, normalisers=(normaliser,), layers=(first, *others))


def _entering(program: Program, least: int = 0) -> tuple[int, Range]:
    """Return the fraction of inputs in bits, of values at least ``least``, and their limits."""
    if program.spike_input:
        return 0, (0, program.rows_per_step)
    if len(program.normalisers) != 1:
        raise ValueError(
            "observations that are not standardised, once, have no scale in fixed point; train "
            "with normalise_observations=True and without VecNormalize, or export as C in float"
        )
    # Neither a value nor a sum over all of them may overflow.
    most = min(LIMIT, SUM_LIMIT // (2 * _WEIGHT_LIMIT * program.inputs))
    bits = max(least, math.floor(math.log2(most / program.normalisers[0].clip)))
    largest = round(program.normalisers[0].clip * 2**bits)
    return bits, (-largest, largest)


def _check_units(program: Program) -> None:
    """Refuse units without a form in fixed point."""
    kinds = {type(layer) for layer in program.layers}
    lacking = [
        "units of several kinds" if len(kinds) > 1 else "",
        *("rnn_relu units" for x in program.layers if getattr(x, "gates", "") == "rnn_relu"),
    ]
    found = next(filter(None, lacking), None)
    if found is not None:
        raise ValueError(f"fixed point has no form of {found}; export as C in float")


def _ann(program: Program, peaks: Sequence[float]) -> IntegerProgram:
    _check_units(program)
    bits, limits = _entering(program)
    values, ranges = Values(2.0**-bits, *limits), {"values": limits}
    layers: list[IntegerUnits] = []
    visited = peaks if program.stateful else [0.0] * len(program.layers)
    for k, (layer, peak) in enumerate(zip(program.layers, visited, strict=True), start=1):
        assert not isinstance(layer, NeuronLayer)  # of an ANN
        own = _quantised(layer.weights, layer.biases, values, f"sums of layer {k}")
        made, values = _units(layer, own, peak)
        ranges |= {f"sums_{k}": own.limits, f"units_{k}": (values.low, values.high)}
        layers.append(made)
    head = _quantised(program.head.weights.T, program.head.biases, values, "outputs")
    ranges["outputs"] = head.limits
    weights, ones = np.ascontiguousarray(head.weights.T), np.ones((1, 1), np.int8)
    return IntegerProgram(
        program, bits, tuple(layers), ones, weights, head.biases, head.unit, ranges
    )


class Values(NamedTuple):
    """Unit and limits of a layer's inputs."""

    unit: float
    low: int
    high: int


_SHARES = Values(2.0**-GAIN_BITS, -(1 << GAIN_BITS), 1 << GAIN_BITS)


class _Sums(NamedTuple):
    """Weights and biases in integers, with unit and limits of their sums."""

    weights: NDArray[np.int8]
    biases: NDArray[np.int32]
    unit: float
    limits: Range

    @property
    def most(self) -> int:
        """Largest size of a sum."""
        return max(-self.limits[0], self.limits[1])

    @property
    def arguments(self) -> Rescale:
        """Change of unit to that of arguments."""
        return rescale(self.unit * 2**ARGUMENT_BITS, self.most)


def _quantised(
    weights: NDArray[np.float32], biases: NDArray[np.float32], values: Values, name: str
) -> _Sums:
    """Return weights of 8 bits, and biases in the unit of their sums of values."""
    own = max(_exact_unit(weights), float(np.abs(biases).max(initial=0.0)) / (values.unit * 2**29))
    whole, unit = _rounded(weights / own, np.int8), own * values.unit
    own_biases = _rounded(biases / unit, np.int32)
    limits = _sums(name, whole, own_biases, values.low, values.high)
    return _Sums(whole, own_biases, unit, limits)


def _exact_unit(weights: NDArray[np.float32]) -> float:
    """Return a unit of which weights of few levels are multiples, else that of 127 levels."""
    largest = float(np.abs(weights).max(initial=0.0))
    for most in (1, 3, 7, 15, 31, 63):
        share_ = weights * (most / (largest or 1.0))
        if largest and np.allclose(share_, np.rint(share_), rtol=0.0, atol=1e-4):
            return largest / most
    return _unit(weights)


def _units(
    layer: DenseLayer | GatedLayer | LeakyLayer, own: _Sums, peak: float
) -> tuple[IntegerUnits, Values]:
    """Return a layer of its sums, and unit and limits of its results."""
    if isinstance(layer, LeakyLayer):
        return _leaky(layer, own, peak)
    if isinstance(layer, GatedLayer):
        loop = _quantised(layer.recurrent, layer.recurrent_biases, _SHARES, "sums of units")
        scales = own.arguments, loop.arguments
        made = IntegerUnits(
            layer.gates, own.weights, own.biases, *scales, loop.weights, loop.biases
        )
        return made, _SHARES
    if layer.activation == "threshold":
        return IntegerUnits("threshold", own.weights, own.biases, UNCHANGED), Values(1.0, 0, 1)
    values, scale = _SHARES, own.arguments
    if layer.levels is not None:
        values = Values(1 / layer.levels, -layer.levels, layer.levels)
    if layer.activation == "relu":
        scale, high = _narrowed(own.limits[1])
        values = Values(own.unit * 2**scale.shift, 0, high)
        if layer.levels is not None:
            scale = rescale(own.unit * layer.levels, own.most)
            values = Values(1 / layer.levels, 0, layer.levels)
    made = IntegerUnits(layer.activation, own.weights, own.biases, scale, levels=layer.levels)
    return made, values


def _leaky(layer: LeakyLayer, own: _Sums, peak: float) -> tuple[IntegerUnits, Values]:
    """Return leaky integrators, whose state is the sum of a geometric series at most."""
    decay = np.minimum(_rounded(layer.decay * 2**GAIN_BITS, np.int16), (1 << GAIN_BITS) - 1)
    shares_left = 1.0 - float(decay.max(initial=0)) / 2**GAIN_BITS
    # Half a unit for each rounding, of the sum and of the product.
    most = [math.ceil(((own.most >> s) + 2) / shares_left) for s in range(32)]
    shift = next(s for s, x in enumerate(most) if x < _MOST_SUM)
    unit = own.unit * 2**shift
    loop, _ = _narrowed(min(most[shift], math.ceil(peak * _SPARE / unit)))
    scales = Rescale(shift), loop
    kind: UnitKind = "rectified_leaky" if layer.rectified else "leaky"
    made = IntegerUnits(kind, own.weights, own.biases, *scales, decays=decay)
    return made, Values(unit * 2**loop.shift, 0 if layer.rectified else -LIMIT - 1, LIMIT)


def _narrowed(most: int) -> tuple[Rescale, int]:
    """Return the shift after which numbers up to ``most`` have 16 bits, and the largest then."""
    results = (int(scaled(np.array([most]), shift)[0]) for shift in range(32))
    return next((Rescale(k), x) for k, x in enumerate(results) if x <= LIMIT)


def _sums(
    name: str, weights: NDArray[np.int8], biases: NDArray[np.int32], low: int, high: int
) -> Range:
    """Return the limits of sums of inputs within limits and biases."""
    least, most = reach(weights, low, high)
    return _within(name, least + biases, most + biases)


def _spiking(program: Program, peaks: Sequence[float]) -> IntegerProgram:
    _check_supported(program)
    layers = tuple(_neurons(x, peak) for x, peak in zip(program.neurons, peaks, strict=True))
    bits, limits = _entering(program, layers[0].bits)
    layers = (replace(layers[0], input_bits=bits), *layers[1:])
    head, coefficients = _unit(program.head.weights), program.readout.coefficients[:1]
    # One share of a mean rate is a unit, so that spikes are counted.
    first = float(coefficients[0, 0])
    coefficient = first if np.all(coefficients == first) else _unit(coefficients)
    whole = _rounded(coefficients / coefficient, np.int8)
    weights = _rounded(program.head.weights / head, np.int8)
    biases = _rounded(program.head.biases / (head * coefficient), np.int32)
    least, most = (int(x[0]) for x in reach(whole.T, 0, 1))
    ranges = {
        **_spiking_ranges(program.held, bits, limits, layers),
        "outputs": _sums("outputs", weights.T, biases, least, most),
    }
    unit = head * coefficient
    return IntegerProgram(program, bits, layers, whole, weights, biases, unit, ranges)


def _check_supported(program: Program) -> None:
    """Refuse decoders with a state and encoders."""
    if program.stateful and program.readout.variables > 0:
        raise ValueError(
            "a decoder that carries a state is not written in fixed point; train with decoder "
            "'mean_rate', or export as C in float"
        )
    if program.coder is not None:
        raise ValueError(
            "this encoder is not written in fixed point; train with encoder 'constant', or export "
            "as C in float"
        )


def _neurons(layer: NeuronLayer, peak: float) -> IntegerNeurons:
    """Return a layer in units so that twice ``peak`` and its constants fit 16 bits if possible."""
    names, units = equations(layer.neuron).constants, units_of(layer.neuron)
    weight = _unit(*(x for x in (layer.weights, layer.recurrent) if x is not None))
    constants = dict(zip(names, layer.constants.astype(np.float64), strict=True))
    potentials = [np.abs(x).max() for name, x in constants.items() if units[name] == "potential"]
    largest = max([peak, *potentials]) * _SPARE / weight
    bits = min(_MOST_BITS, max(0, math.floor(math.log2(LIMIT / largest))))
    potential = float(weight / 2**bits)
    numbers = [
        x / potential if units[name] == "potential" else x * 2**GAIN_BITS
        for name, x in constants.items()
    ]
    made = IntegerNeurons(
        neuron=layer.neuron,
        constants=_rounded(np.array(numbers), np.int16),
        rest=_rounded(layer.rest / potential, np.int16),
        weights=_rounded(layer.weights / weight, np.int8),
        biases=_rounded(layer.biases / potential, np.int16),
        recurrent=None if layer.recurrent is None else _rounded(layer.recurrent / weight, np.int8),
        bits=bits,
    )
    # Products are largest at the corners of what 16 bits hold.
    corners = itertools.product((-LIMIT - 1, LIMIT), repeat=1 + len(layer.rest))
    *state, current = np.array(list(corners), np.int64).T[:, :, np.newaxis]
    made.fire(np.array(state), current)
    return made


def _spiking_ranges(
    held: bool, bits: int, values: Range, layers: tuple[IntegerNeurons, ...]
) -> dict[str, Range]:
    ranges: dict[str, Range] = {}
    for k, layer in enumerate(layers, start=1):
        low = high = layer.biases.astype(np.int64)
        fed = [] if layer.recurrent is None else [(layer.recurrent, (0, 1))]
        if k == 1 and held:
            sums = reach(layer.weights, *values)
            ranges |= {"values": values, "sums_1": _within("sums of layer 1", *sums)}
            low, high = (low + scaled(x, bits - layer.bits) for x in sums)
        else:
            fed.append((layer.weights, values if k == 1 else (0, 1)))
        for weights, seen in fed:
            least, most = reach(weights, *seen)
            low, high = low + (least << layer.bits), high + (most << layer.bits)
        ranges[f"currents_{k}"] = _within(f"currents of layer {k}", low, high)
    return ranges


def _unit(*weights: NDArray[np.float32]) -> float:
    """Return the unit in which the largest absolute weight is 127; 1 if all weights are 0."""
    return max(float(np.abs(x).max(initial=0.0)) for x in weights) / _WEIGHT_LIMIT or 1.0


def _rounded(values: NDArray[Any], kind: type[np.signedinteger[Any]]) -> NDArray[Any]:
    """Return the nearest whole numbers of the integer type ``kind``, within its limits."""
    limits = np.iinfo(kind)
    return np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max).astype(kind)
