"""C source of integer programs: with loops, and as straight lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from snn_gym.export import c_text
from snn_gym.export.c_base import ANNSource, Source, number, standardised, within
from snn_gym.export.c_spiking import SpikingSource
from snn_gym.program.integer import TANH, IntegerProgram, IntegerUnits
from snn_gym.program.network import GatedLayer, Layer

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

    def __init__(self, integer: IntegerProgram, name: str, title: str) -> None:
        super().__init__(integer.program, name, title)
        self.integer, self.layers = integer, integer.layers
        self.head = integer.head_weights, integer.head_biases
        self.output = f"{number(integer.output_unit)} * (float)outputs[o]"

    def _rounded_values(self) -> str:
        """Return the lines that fill ``values`` with standardised observations in integers."""
        if self.program.spike_input:
            return c_text.SEEN_VALUES.format(inputs=self.program.inputs)
        return c_text.FIXED_VALUES.format(
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
        yield f"    int16_t values[{self.program.inputs}];\n    int32_t held[{size}];"
        yield self._rounded_values()
        shift = self.integer.input_bits - self.integer.neurons[0].bits
        yield c_text.FIXED_HELD.format(inputs=self.program.inputs, size=size, shift=shift)


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


# Texts of the C functions that units call, with the kinds of these units.
_CALLED = (
    (RESCALED, {"relu", "tanh", "leaky", "rnn", "gru", "lstm"}),
    (TANGENT, {"tanh", "rnn", "gru", "lstm"}),
    (LOGISTIC, {"gru", "lstm"}),
    (DECAYED, {"leaky"}),
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
        yield from (text for text, users in _CALLED if kinds & users)

    def _own_tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if any(layer.kind not in ("relu", "leaky") for layer in self.integer.units):
            yield "tangents", TANH
        yield from super()._own_tables()

    def _standardise(self) -> Iterator[str]:
        yield f"    int16_t values[{self.program.inputs}];"
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
