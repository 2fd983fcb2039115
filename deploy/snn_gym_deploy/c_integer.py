"""C source of integer programs: with loops, and as straight lines."""

from __future__ import annotations

import re
import textwrap
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.program import GatedLayer, Layer, equations, own
from snn_gym_deploy import c_text
from snn_gym_deploy.c_base import ANNSource, Source, number, standardised, within
from snn_gym_deploy.c_spiking import SpikingSource, advanced
from snn_gym_deploy.fixed_point import TANH
from snn_gym_deploy.integer import IntegerNeurons, IntegerProgram, IntegerUnits

# ---- loops ---------------------------------------------------------------------------------------
HELPERS = """\
/* Add the rows of weights of the neurons that fired. */
static inline void add_rows(const int8_t *weights, int size, const int *places, int count,
                            int32_t *total) {
    for (int k = 0; k < count; k++) {
        const int8_t *row = weights + places[k] * size;
        for (int n = 0; n < size; n++) {
            total[n] += row[n];
        }
    }
}
"""

ADD_PRODUCTS = """\
/* Add the rows of weights times the values other than zero. */
static inline void add_products(const int8_t *weights, int inputs, int size, const int16_t *values,
                                int32_t *total) {
    for (int d = 0; d < inputs; d++) {
        for (int n = 0; values[d] != 0 && n < size; n++) {
            total[n] += values[d] * weights[d * size + n];
        }
    }
}

"""

SCALED = """\
/* Divide by 2^bits, to the nearest. */
static inline int32_t scaled(int32_t value, int bits) {
    return bits == 0 ? value : (value + (1 << (bits - 1))) >> bits;
}
"""

SATURATED = """\
/* The nearest number of 16 bits. */
static inline int32_t saturated(int32_t x) {
    return x > 32767 ? 32767 : (x < -32768 ? -32768 : x);
}

static inline int32_t larger(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static inline int32_t smaller(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* A product with a number of 14 bits, to the nearest. */
static inline int32_t share(int32_t gain, int32_t x) {
    return (gain * x + 8192) >> 14;
}
"""


class Fixed(Source):
    """Parts of the C files of integer programs, spiking or not."""

    sum = "int32_t"
    types = "int16_t", "int8_t", "int32_t"

    def __init__(self, integer: IntegerProgram, name: str, title: str) -> None:
        super().__init__(integer.program, name, title)
        self.integer, self.layers = integer, integer.layers
        self.head = integer.head_weights, integer.head_biases
        self.output = f"{number(integer.output_unit)} * (float)outputs[o]"

    def _rounded_values(self) -> str:
        """Return the lines of ``values``, standardised observations or spike counts in integers."""
        if self.program.spike_input:
            inputs, rows = self.program.inputs, self.program.rows_per_step
            text = c_text.TOGETHER.format(
                type="int16_t", name="values", inputs=inputs, rows=rows, t=0
            )
            return textwrap.indent(text, " " * 4)
        return f"    int16_t values[{self.program.inputs}];\n" + c_text.FIXED_VALUES.format(
            inputs=self.program.inputs,
            value=standardised("observation[d]", 1),
            unit=number(float(2**self.integer.input_bits)),
            clipped=within("x", self.program.normalisers[0].clip),
        )


class FixedSource(Fixed, SpikingSource):
    """C files of a spiking program in integers."""

    number = "int16_t"
    shape = "fixed point, weights of 8 bits and potentials of 16"
    places = c_text.PLACES + "\n" + SATURATED
    helpers, products = HELPERS, ADD_PRODUCTS + SCALED
    currents = c_text.FIXED_CURRENTS

    def __init__(self, integer: IntegerProgram, name: str, title: str) -> None:
        super().__init__(integer, name, title)
        self.coefficients = integer.coefficients
        self.units = [1 << x.bits for x in integer.neurons]

    def _held(self, size: int) -> Iterator[str]:
        yield f"    int32_t held[{size}];"
        yield self._rounded_values()
        shift = self.integer.input_bits - self.integer.neurons[0].bits
        added = self._added(1, "values", self.program.inputs, size, "held")
        yield c_text.FIXED_HELD.format(added=added, size=size, shift=shift)


# ---- units of an ANN ----------------------------------------------------------------------------
RESCALED = """\
/* A change of unit: divide by 2^shift, multiply by factor, divide by 2^bits, to the nearest. */
static inline int32_t rescaled(int32_t value, int shift, int32_t factor, int bits) {
    return scaled(scaled(value, shift) * factor, bits);
}
"""

TANGENT = """\
/* Hyperbolic tangent in 14 bits, of arguments in 12: lines between the numbers of a table. */
static inline int32_t tanh_of(int32_t x) {
    const int32_t away = smaller(x < 0 ? -x : x, 32767), place = away >> 8;
    const int32_t low = tangents[place];
    const int32_t value = low + (((tangents[place + 1] - low) * (away & 255) + 128) >> 8);
    return x < 0 ? -value : value;
}
"""

LOGISTIC = """\
static inline int32_t logistic(int32_t x) {
    return 8192 + scaled(tanh_of(scaled(x, 1)), 1);
}
"""

DECAYED = """\
/* The share of a state that remains, in 14 bits, to the nearest. */
static inline int32_t decayed(int32_t gain, int32_t x) {
    return (int32_t)(((int64_t)gain * x + 8192) >> 14);
}
"""

UNITS: Mapping[str, tuple[str, ...]] = {
    "relu": ("{r} = (int16_t)rescaled(larger({sums[0]}, 0), {scale});",),
    "tanh": ("{r} = (int16_t)tanh_of({x[0]});",),
    "relu, levels": ("{r} = (int16_t)smaller(rescaled(larger({sums[0]}, 0), {scale}), {levels});",),
    "tanh, levels": ("{r} = (int16_t)scaled({levels} * tanh_of({x[0]}), 14);",),
    "leaky": (
        "{h} = decayed({decay}, {h}) + scaled({sums[0]}, {shift});",
        "{r} = (int16_t)saturated(scaled({h}, {out}));",
    ),
    "rectified_leaky": (
        "{h} = decayed({decay}, {h}) + scaled({sums[0]}, {shift});",
        "{r} = (int16_t)larger(saturated(scaled({h}, {out})), 0);",
    ),
    "threshold": ("{r} = {sums[0]} > 0;",),
    "rnn": ("{h} = (int16_t)tanh_of({x[0]} + {y[0]});",),
    "gru": (
        "const int32_t update = logistic({x[1]} + {y[1]});",
        "const int32_t made = tanh_of({x[2]} + share(logistic({x[0]} + {y[0]}), {y[2]}));",
        "{h} = (int16_t)(made + share(update, {h} - made));",
    ),
    "lstm": (
        "const int32_t made = scaled(tanh_of({x[2]} + {y[2]}), 2);",
        "const int32_t entering = share(logistic({x[0]} + {y[0]}), made);",
        "{c} = (int16_t)saturated(share(logistic({x[1]} + {y[1]}), {c}) + entering);",
        "{h} = (int16_t)share(logistic({x[3]} + {y[3]}), tanh_of({c}));",
    ),
}
"""Lines of C that advance a unit, by kind: ``h`` and ``c`` are its state, ``r`` is its result,
``sums`` are those of its inputs by gate, ``x`` and ``y`` the arguments by these and by the units.
"""


_OF_TANGENTS = {"tanh", "rnn", "gru", "lstm"}
# Texts of the C functions that units call, with the kinds of these units.
_CALLED = (
    (RESCALED, {"relu", "tanh", "rnn", "gru", "lstm"}),
    (TANGENT, _OF_TANGENTS),
    (LOGISTIC, {"gru", "lstm"}),
    (DECAYED, {"leaky", "rectified_leaky"}),
)


def unit_lines(
    layer: IntegerUnits,
    sums: Sequence[str],
    loops: Sequence[str],
    state: Sequence[str],
    result: str,
    decay: str,
) -> list[str]:
    """Return the lines of C that advance a unit, for the names of its numbers."""
    scale, loop = (", ".join(map(str, x)) for x in (layer.scale, layer.loop))
    arguments = [f"rescaled({x}, {scale})" for x in sums]
    if layer.recurrent is not None:
        arguments = [f"saturated({x})" for x in arguments]
    fields = {
        "sums": sums,
        "x": arguments,
        "y": [f"saturated(rescaled({x}, {loop}))" for x in loops],
        "h": state[0] if state else "",
        "c": state[-1] if state else "",
        "r": result,
        "decay": decay,
        "scale": scale,
        "shift": layer.scale.shift,
        "out": layer.loop.shift,
        "levels": layer.levels,
    }
    kind = layer.kind if layer.levels is None else f"{layer.kind}, levels"
    return [line.format(**fields) for line in UNITS[kind]]


class FixedUnitsSource(Fixed, ANNSource):
    """C files of an ANN in integers."""

    leaky, gated = "int32_t", "int16_t"
    shape = "fixed point, weights of 8 bits and activations of 16"
    helpers: tuple[str, ...] = (SATURATED, ADD_PRODUCTS + SCALED)

    def _helpers(self) -> Iterator[str]:
        kinds = {layer.kind for layer in self.integer.units}
        yield from self.helpers
        yield from self._filter_functions()
        yield from (text for text, users in _CALLED if kinds & users)

    def _own_tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if any(layer.kind in _OF_TANGENTS for layer in self.integer.units):
            yield "tangents", TANH
        yield from super()._own_tables()

    def _standardise(self) -> Iterator[str]:
        yield self._rounded_values()

    def _layer(self, k: int, layer: Layer, source: str, inputs: int) -> Iterator[str]:
        yield self._summed(k, layer, source, inputs)
        own, size, results = self.integer.units[k - 1], layer.size, self._results(k, layer)
        if own.recurrent is None:
            yield f"    int16_t {results}[{size}];"
        gates = [f"[n + {g * size}]" for g in range(own.gates)]
        lines = unit_lines(
            own,
            sums=[f"sums_{k}{g}" for g in gates],
            loops=[f"loops_{k}{g}" for g in gates],
            state=[f"state->units_{k}[n + {s * size}]" for s in range(own.variables)],
            result=f"{results}[n]",
            decay=f"decays_{k}[n]",
        )
        yield f"    for (int n = 0; n < {size}; n++) {{"
        yield from (f"        {x}" for x in lines)
        yield "    }"

    def _results(self, k: int, layer: Layer) -> str:
        return f"state->units_{k}" if isinstance(layer, GatedLayer) else f"units_{k}"


# ---- straight lines ------------------------------------------------------------------------------
# Synapses of weight zero vanish, and weights are numbers in the code, whose products are left to
# the compiler. The loop over time steps remains. Actions equal those of the form with loops.
MOST_SYNAPSES = 2000
"""Most synapses, without those of weight zero, that are written as straight lines."""

# A Cortex-M has an instruction for it, which compilers do not find.
_CLAMPED = "    return x > 32767 ? 32767 : (x < -32768 ? -32768 : x);\n"
SATURATING = SATURATED.replace(
    _CLAMPED,
    f"#ifdef __ARM_FEATURE_SAT\n    return __builtin_arm_ssat(x, 16);\n#else\n{_CLAMPED}#endif\n",
)
# Saturation that changes nothing: of a number that is named already, and of the distance to the
# threshold, whose sign alone is read.
_NEEDLESS = re.compile(
    r"(?<= = )saturated\((\w+_)\)(?=;$)|(?<=distance_ = )saturated\((.*)\)(?=;$)"
)

STANDARDISED = """\
/* A standardised value, to the nearest whole number, half to even: so the float sum rounds it. */
static inline int32_t standardised(float value, float mean, float deviation, float most,
                                   float unit) {
    const float x = (value - mean) / deviation;
    const float y = x < -most ? -most : (x > most ? most : x);
    const float rounded = unit * y + 12582912.0f;
    return (int32_t)(rounded - 12582912.0f);
}
"""


def straight_source(integer: IntegerProgram, name: str, title: str) -> Source:
    """Return the C source of an integer program as straight lines.

    Raises:
        ValueError: It has more than ``MOST_SYNAPSES`` synapses.
    """
    if integer.synapses > MOST_SYNAPSES:
        raise ValueError(
            f"straight lines are for at most {MOST_SYNAPSES:,} synapses, and the agent has "
            f"{integer.synapses:,}; leave straight_line out for the form with loops"
        )
    kind = StraightNeurons if integer.neurons else StraightUnits
    return kind(integer, name, title)


def _statement(target: str, bias: object, weights: Sequence[int], sources: Sequence[str]) -> str:
    """Return a C statement: a bias and the products of weights other than zero with sources."""
    terms = [
        f"{'+' if w > 0 else '-'} {x if abs(w) == 1 else f'{abs(w)} * {x}'}"
        for w, x in zip(weights, sources, strict=True)
        if w != 0
    ]
    return _wrapped(" ".join([f"{target} = {bias}", *terms]) + ";")


def _wrapped(statement: str) -> str:
    return textwrap.fill(
        statement, 96, initial_indent=" " * 4, subsequent_indent=" " * 8,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _added(
    condition: str, weights: Sequence[int], targets: Sequence[str], factor: str = ""
) -> Iterator[str]:
    """Yield a C statement that adds weights to targets if a condition holds; none for zeros."""
    pairs = [(w, x) for w, x in zip(weights, targets, strict=True) if w != 0]
    if pairs:
        sums = (f"{x} {'+' if w > 0 else '-'}= {abs(w)}{factor};" for w, x in pairs)
        yield textwrap.indent(_wrapped(f"if ({condition}) {{ {' '.join(sums)} }}"), "    ")


def _outputs(integer: IntegerProgram) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return weights (O, N) and biases (O,) of the outputs; of discrete actions, less the first."""
    weights, biases = (x.astype(np.int64) for x in (integer.head_weights, integer.head_biases))
    if integer.program.choice.discrete:
        return weights - weights[:1], biases - biases[:1]
    return weights, biases


def _used(integer: IntegerProgram, head: NDArray[np.int64]) -> tuple[list[list[int]], NDArray[Any]]:
    """Return the neurons or units of each layer on which an output depends.

    Also return the weights (D, N) of the inputs at those of the first layer.
    """
    onward: NDArray[Any] = head.T
    places: list[list[int]] = []
    for layer in integer.layers[::-1]:
        used = (onward != 0).any(1)
        if layer.recurrent is not None:
            loops = layer.recurrent.reshape(layer.size, -1, layer.size) != 0
            for _ in range(layer.size):  # those that drive a used one are used
                used = used | loops[:, :, used].any((1, 2))
        onward = layer.weights.reshape(len(layer.weights), -1, layer.size)[:, :, used]
        onward = onward.reshape(len(onward), -1)
        places.append(np.flatnonzero(used).tolist())
    return places[::-1], onward


class Straight(Fixed):
    """Parts of the C files of integer programs as straight lines, spiking or not."""

    filters = False

    def __init__(self, integer: IntegerProgram, name: str, title: str) -> None:
        super().__init__(integer, name, title)
        self._outputs = _outputs(integer)
        self._used, self._entering = _used(integer, self._outputs[0])
        # A spike counts the same at all time steps.
        self._counts = bool((integer.coefficients == 1).all())
        self._single_spikes = self.program.spike_input and self.program.rows_per_step == 1

    def _own_tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for name, values in super()._own_tables():
            kept = name == "tangents" or name.startswith("rest_")  # the latter for the reset
            if kept or (name == "coefficients" and not self._counts):
                yield name, values

    def _step(self) -> Iterator[str]:
        yield self._signature()
        yield "    (void)state;"
        yield from self._decided()
        yield from self._chosen()
        yield "}"

    @abstractmethod
    def _decided(self) -> Iterator[str]:
        """Yield the lines of a decision up to ``out_0``, ``out_1``, ..."""

    def _values(self) -> Iterator[str]:
        """Yield the lines of the rounded observations that have a weight other than zero."""
        if self.program.spike_input:
            yield from self._counts_of_spikes()
            return
        clip, unit = self.program.normalisers[0].clip, 2.0**self.integer.input_bits
        given = "observation[{0}], means_1[{0}], deviations_1[{0}]"
        value = f"standardised({given}, {number(clip)}, {number(unit)})"
        for d in np.flatnonzero((self._entering != 0).any(1)):
            yield f"    const int32_t x_{d} = {value.format(d)};"

    def _counts_of_spikes(self, first: str = "") -> Iterator[str]:
        """Yield the lines of the spikes that enter together, from the place ``first`` on."""
        inputs, rows = self.program.inputs, self.program.rows_per_step
        for d in np.flatnonzero((self._entering != 0).any(1)):
            seen = (f"(observation[{first}{r * inputs + d}] != 0.0f)" for r in range(rows))
            yield _wrapped(f"const int32_t x_{d} = {' + '.join(seen)};")

    def _chosen(self) -> Iterator[str]:
        """Yield the lines that choose the action from ``out_0``, ``out_1``, ..."""
        outputs = [f"out_{o}" for o in range(self.program.outputs)]
        if not self.program.choice.discrete:
            yield f"    const int32_t outputs[{len(outputs)}] = {{{', '.join(outputs)}}};"
            yield self._choose()
            return
        yield f"    int best = 0;\n    int32_t top = {outputs[0]};"
        for o, x in enumerate(outputs[1:], start=1):
            yield f"    if ({x} > top) {{\n        best = {o};\n        top = {x};\n    }}"
        yield "    (void)top;\n    *action = best;"


class StraightUnits(Straight, FixedUnitsSource):
    """C files of an ANN in integers, as straight lines."""

    shape = "fixed point, weights of 8 bits and activations of 16, in straight lines"
    helpers = (SATURATING, SCALED, STANDARDISED)

    def _decided(self) -> Iterator[str]:
        if not (self._single_spikes and self.integer.units):
            yield from self._values()
        features = [f"x_{d}" for d in range(self.program.inputs)]
        for k, layer in enumerate(self.integer.units, start=1):
            yield from self._straight_layer(k, layer, features, self._used[k - 1])
            prefix = "y" if layer.recurrent is None else "h"
            features = [f"{prefix}_{k}_{n}" for n in range(layer.size)]
        for o, (row, bias) in enumerate(zip(*(x.tolist() for x in self._outputs), strict=True)):
            yield _statement(f"const int32_t out_{o}", bias, row, features)

    def _straight_layer(
        self, k: int, layer: IntegerUnits, features: Sequence[str], used: Sequence[int]
    ) -> Iterator[str]:
        size, wide = layer.size, len(layer.biases)
        states = [f"{x}_{k}_{n}" for x in "hc"[: layer.variables] for n in range(size)]
        stored = [s * size + n for s in range(layer.variables) for n in used]
        for place in stored:
            yield f"    int32_t {states[place]} = state->units_{k}[{place}];"
        sums, loops = ([f"{x}_{k}_{j}" for j in range(wide)] for x in ("sum", "loop"))
        needed = [g * size + n for g in range(layer.gates) for n in used]
        parts = []
        if k == 1 and self._single_spikes:
            yield from _added_spikes({j: sums[j] for j in needed}, layer)
        else:
            parts.append((sums, layer.biases, layer.weights, features))
        if layer.recurrent is not None and layer.recurrent_biases is not None:
            parts.append((loops, layer.recurrent_biases, layer.recurrent, states[:size]))
        for names, biases, weights, sources in parts:
            for j in needed:
                column = weights[:, j].tolist()
                yield _statement(f"const int32_t {names[j]}", biases[j], column, sources)
        for n in used:
            result, decay = f"y_{k}_{n}", "" if layer.decays is None else str(layer.decays[n])
            places = sums[n::size], loops[n::size], states[n::size]
            if layer.recurrent is None:
                yield f"    int32_t {result};"
            yield "    {"
            yield from (f"        {x}" for x in unit_lines(layer, *places, result, decay))
            yield "    }"
        kind = self._type(self.program.layers[k - 1])
        for place in stored:
            yield f"    state->units_{k}[{place}] = ({kind}){states[place]};"


def _added_spikes(sums: Mapping[int, str], layer: IntegerUnits) -> Iterator[str]:
    """Yield the lines of sums to which input spikes add their weights, without products."""
    yield from (f"    int32_t {name} = {layer.biases[j]};" for j, name in sums.items())
    for d, row in enumerate(layer.weights[:, [*sums]].tolist()):
        yield from _added(f"observation[{d}] != 0.0f", row, [*sums.values()])


class StraightNeurons(Straight, FixedSource):
    """C files of a spiking program in integers, as straight lines."""

    shape = "fixed point, weights of 8 bits and potentials of 16, in straight lines"

    def _helpers(self) -> Iterator[str]:
        yield from (SATURATING, *((SCALED, STANDARDISED) if self.program.held else ()))

    def _decided(self) -> Iterator[str]:
        layers, stateful = self.integer.neurons, self.program.stateful
        weights, biases = self._outputs
        if self.program.held:
            yield from self._held_currents(layers[0])
        places = [x for k, layer in enumerate(layers, start=1) for x in self._places(k, layer)]
        for name, _, place, rest in places:
            yield f"    int32_t {name} = {place if stateful else rest};"
        targets = [f"out_{o}" for o in range(len(biases))]
        for target, bias in zip(targets, biases.tolist(), strict=True):
            yield f"    int32_t {target} = {bias};"
        yield f"    for (int t = 0; t < {self.program.time_steps}; t++) {{"
        for k, layer in enumerate(layers, start=1):
            yield from self._straight_layer(k, layer)
        factor = "" if self._counts else " * weight"
        if factor:
            yield "        const int32_t weight = coefficients[0][t];"
        for n, row in enumerate(weights.T.tolist()):
            yield from _added(f"z_{len(layers)}_{n}", row, targets, factor)
        yield "    }"
        for name, kind, place, _ in places if stateful else ():
            yield f"    {place} = ({kind}){name};"

    def _held_currents(self, layer: IntegerNeurons) -> Iterator[str]:
        """Yield the lines of the currents of an observation at all time steps."""
        yield from self._values()
        sources = [f"x_{d}" for d in range(self.program.inputs)]
        shift = self.integer.input_bits - layer.bits
        for n in self._used[0]:
            yield _statement(f"int32_t held_{n}", 0, layer.weights[:, n].tolist(), sources)
            yield f"    held_{n} = {layer.biases[n]} + scaled(held_{n}, {shift});"

    def _together(self, layer: IntegerNeurons, currents: Mapping[int, str]) -> Iterator[str]:
        """Yield the lines that add the weights of all spikes of a time step to currents."""
        wide = self.program.rows_per_step * self.program.inputs
        lines = [*self._counts_of_spikes(f"t * {wide} + ")]
        sources = [f"x_{d}" for d in range(self.program.inputs)]
        for n, current in currents.items():
            column = layer.weights[:, n].astype(np.int64) << layer.bits
            lines.append(_statement(current, current, column.tolist(), sources))
        yield textwrap.indent("\n".join(lines), "    ")

    def _places(self, k: int, layer: IntegerNeurons) -> Iterator[tuple[str, str, str, str]]:
        """Yield name, type, place and value at rest of a layer's state variables and spikes."""
        for s, row in enumerate(layer.rest.tolist()):
            for n in self._used[k - 1]:
                place = f"state->neurons_{k}[{s * layer.size + n}]"
                yield f"s_{k}_{s}_{n}", "int16_t", place, str(row[n])
        for n in self._used[k - 1]:
            yield f"z_{k}_{n}", "unsigned char", f"state->spikes_{k}[{n}]", "0"

    def _straight_layer(self, k: int, layer: IntegerNeurons) -> Iterator[str]:
        """Yield the lines of a layer's time step."""
        held, inputs = k == 1 and self.program.held, self.program.inputs
        currents = {n: f"c_{k}_{n}" for n in self._used[k - 1]}
        for n, current in currents.items():
            yield f"        int32_t {current} = {f'held_{n}' if held else layer.biases[n]};"
        fed = [] if layer.recurrent is None else [(f"z_{k}_{{}}", layer.recurrent)]
        if k == 1 and not held and not self._single_spikes:
            yield from self._together(layer, currents)
        elif not held:
            seen = f"observation[t * {inputs} + {{}}] != 0.0f" if k == 1 else f"z_{k - 1}_{{}}"
            fed.append((seen, layer.weights))
        # Spikes of the last time step are read before a neuron writes its own.
        for condition, weights in fed:
            whole = weights[:, [*currents]].astype(np.int64) << layer.bits
            for j, row in enumerate(whole.tolist()):
                yield from _added(condition.format(j), row, [*currents.values()])
        text = equations(layer.neuron)
        own_constants = np.broadcast_to(layer.constants.T, (layer.size, len(text.constants)))
        for n, current in currents.items():
            numbers = zip(text.constants, own_constants[n].tolist(), strict=True)
            constants = [f"const int32_t {own(label)} = {value};" for label, value in numbers]
            places = [f"s_{k}_{s}_{n}" for s in range(len(text.state))]
            body = advanced(layer.neuron, f"saturated({current})", places, f"z_{k}_{n}", fixed=True)
            yield "        {"
            yield from (_NEEDLESS.sub(r"\1\2", f"            {x}") for x in (*constants, *body))
            yield "        }"
