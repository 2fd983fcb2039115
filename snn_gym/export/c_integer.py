"""C source of integer programs: with loops, and as straight lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from snn_gym.export import c_text
from snn_gym.export.c_base import number, standardised, within
from snn_gym.export.c_spiking import SpikingSource, fixed_neuron
from snn_gym.program.integer import IntegerProgram
from snn_gym.program.network import NeuronLayer
from snn_gym.program.neuron import Neuron

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
/* Add the rows of weights times the values. */
static inline void add_products(const int8_t *weights, int inputs, int size, const int16_t *values,
                                int32_t *total) {
    for (int d = 0; d < inputs; d++) {
        for (int n = 0; n < size; n++) {
            total[n] += values[d] * weights[d * size + n];
        }
    }
}

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


class FixedSource(SpikingSource):
    """C files of a spiking program in integers."""

    number, sum = "int16_t", "int32_t"
    shape = "fixed point, weights of 8 bits and potentials of 16"
    places = c_text.PLACES + "\n" + SATURATED
    helpers, products = HELPERS, ADD_PRODUCTS

    def __init__(self, integer: IntegerProgram, name: str, title: str) -> None:
        super().__init__(integer.program, name, title)
        self.integer = integer

    def _neuron_text(self, neuron: type[Neuron], name: str, each: bool) -> str:
        assert not each  # scales are those of a layer's constants
        return fixed_neuron(neuron, name)

    def _tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield from self._input_tables()
        for k, layer in enumerate(self.integer.neurons, start=1):
            yield f"constants_{k}", layer.constants
            yield f"rest_{k}", layer.rest.reshape(-1)
            yield f"weights_{k}", layer.weights
            yield f"biases_{k}", layer.biases
            if layer.recurrent is not None:
                yield f"recurrent_{k}", layer.recurrent
        yield "coefficients", self.integer.coefficients
        yield "head_weights", self.integer.head_weights
        yield "head_biases", self.integer.head_biases
        yield from self._limit_tables()

    def _held(self, size: int) -> Iterator[str]:
        bits = self.integer.input_bits
        yield c_text.FIXED_HELD.format(
            inputs=self.program.inputs,
            size=size,
            value=standardised("observation[d]", 1),
            unit=number(float(2**bits)),
            clipped=within("x", self.program.normalisers[0].clip),
            shift=bits - self.integer.neurons[0].bits,
        )

    def _layer(self, k: int, layer: NeuronLayer) -> Iterator[str]:
        held = k == 1 and self.program.held
        if held and layer.recurrent is None:
            yield self._updated(k, layer, "held")
            return
        yield f"int32_t currents[{layer.size}];"
        yield "memset(currents, 0, sizeof currents);"
        yield from self._driven(k, layer, held=held)
        yield f"for (int n = 0; n < {layer.size}; n++) {{"
        base, unit = "held" if held else f"biases_{k}", 2 ** self.integer.neurons[k - 1].bits
        yield f"    currents[n] = {base}[n] + currents[n] * {unit};"
        yield "}"
        yield self._updated(k, layer, "currents")

    def _output(self) -> str:
        return f"{number(self.integer.output_unit)} * (float)outputs[o]"
