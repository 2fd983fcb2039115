"""Export of an agent as C99, in float and in fixed point."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym._base.names import safe_title
from snn_gym._base.storage import write_text_atomic
from snn_gym.export import c_text
from snn_gym.export.c_base import ANNSource, Source, number, standardised, within
from snn_gym.export.c_spiking import GAIN_BITS, SpikingSource, fixed_neuron, units_of
from snn_gym.export.visits import Visits
from snn_gym.policies.frozen import program_of
from snn_gym.program.compaction import compact
from snn_gym.program.network import NeuronLayer, Program
from snn_gym.program.neuron import Neuron

# ---- fixed point ---------------------------------------------------------------------------------
# Weights of 8 bits, potentials of 16, scales from visited states.
#
# Weights ``w`` of a layer are ``q * s``, with ``s`` such that the largest is 127. Potentials,
# currents and thresholds are whole numbers of ``s / 2**f``, where ``f`` lets the visited potentials
# fill half of the range; beyond the range they saturate. Decays are products with a number of 14
# bits, rounded to the nearest. Observations are standardised in float and then rounded to whole
# numbers of ``2**-k``.
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


_WEIGHT_LIMIT, _LIMIT, _SUM_LIMIT = 2**7 - 1, 2**15 - 1, 2**31 - 1
_MOST_BITS = 12
_SPARE = 2.0  # range of potentials, over the visited ones


@dataclass(frozen=True)
class _Scale:
    """Units of a layer: ``weight`` is ``s``, ``bits`` the fraction ``f`` of potentials."""

    weight: float
    bits: int

    @property
    def potential(self) -> float:
        """Unit of potentials and currents."""
        return float(self.weight / 2**self.bits)


class FixedSource(SpikingSource):
    """C files of a program in fixed point; ``peaks``: largest absolute potential of each layer."""

    number, sum = "int16_t", "int32_t"
    shape = "fixed point, weights of 8 bits and potentials of 16"
    places = c_text.PLACES + "\n" + SATURATED
    helpers, products = HELPERS, ADD_PRODUCTS

    def __init__(self, program: Program, name: str, title: str, peaks: Sequence[float]) -> None:
        super().__init__(program, name, title)
        if self.keeps_readout:
            raise ValueError(
                "a decoder that carries a state is not written in fixed point; train with decoder "
                "'mean_rate', or export in float"
            )
        if program.coder is not None or program.readout.values > 1:
            part = "decoder" if program.coder is None else "encoder"
            raise ValueError(
                f"this {part} is not written in fixed point; train with encoder 'constant' and "
                "decoder 'mean_rate', or export in float"
            )
        pairs = zip(program.neurons, peaks, strict=True)
        self._scales = [_scale(layer, peak) for layer, peak in pairs]
        self._head = _unit(program.head.weights)
        coefficients = program.readout.coefficients[:1]
        # One share of a mean rate is a unit, so that spikes are counted.
        first = float(coefficients[0, 0])
        self._coefficient = first if np.all(coefficients == first) else _unit(coefficients)

    def _neuron_text(self, neuron: type[Neuron], name: str, each: bool) -> str:
        assert not each  # scales are those of a layer's constants
        return fixed_neuron(neuron, name)

    @cached_property
    def _input_bits(self) -> int:
        """Fraction of standardised observations, in bits."""
        inputs = self.program.inputs
        if len(self.program.normalisers) != 1:
            raise ValueError(
                "observations that are not standardised, once, have no scale in fixed point; train "
                "with normalise_observations=True and without VecNormalize, or export in float"
            )
        # Neither a value nor a sum over all of them may overflow.
        most = min(_LIMIT, _SUM_LIMIT // (2 * _WEIGHT_LIMIT * inputs))
        clip = self.program.normalisers[0].clip
        return max(self._scales[0].bits, math.floor(math.log2(most / clip)))

    def _tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        program = self.program
        yield from self._input_tables()
        pairs = zip(program.neurons, self._scales, strict=True)
        for k, (layer, scale) in enumerate(pairs, start=1):
            yield f"constants_{k}", _constants(layer, scale)
            yield f"rest_{k}", _rounded(layer.rest.reshape(-1) / scale.potential, np.int16)
            yield f"weights_{k}", _rounded(layer.weights / scale.weight, np.int8)
            yield f"biases_{k}", _rounded(layer.biases / scale.potential, np.int16)
            if layer.recurrent is not None:
                yield f"recurrent_{k}", _rounded(layer.recurrent / scale.weight, np.int8)
        coefficients = program.readout.coefficients[:1] / self._coefficient
        yield "coefficients", _rounded(coefficients, np.int8)
        yield "head_weights", _rounded(program.head.weights / self._head, np.int8)
        yield "head_biases", _rounded(program.head.biases / self._output_unit, np.int32)
        yield from self._limit_tables()

    @property
    def _output_unit(self) -> float:
        return self._head * self._coefficient

    def _held(self, size: int) -> Iterator[str]:
        bits = self._input_bits
        yield c_text.FIXED_HELD.format(
            inputs=self.program.inputs,
            size=size,
            value=standardised("observation[d]", 1),
            unit=number(float(2**bits)),
            clipped=within("x", self.program.normalisers[0].clip),
            shift=bits - self._scales[0].bits,
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
        base = "held" if held else f"biases_{k}"
        yield f"    currents[n] = {base}[n] + currents[n] * {2 ** self._scales[k - 1].bits};"
        yield "}"
        yield self._updated(k, layer, "currents")

    def _output(self) -> str:
        return f"{number(self._output_unit)} * (float)outputs[o]"


def _scale(layer: NeuronLayer, peak: float) -> _Scale:
    """Return a layer's units, so that twice ``peak`` and its constants fit 16 bits if possible."""
    weight = _unit(layer.weights, *([] if layer.recurrent is None else [layer.recurrent]))
    units = units_of(layer.neuron)
    potentials = [abs(x) for name, x in layer.numbers.items() if units[name] == "potential"]
    largest = max(peak, *potentials) * _SPARE / weight
    return _Scale(weight, min(_MOST_BITS, max(0, math.floor(math.log2(_LIMIT / largest)))))


def _unit(*weights: NDArray[np.float32]) -> float:
    """Return the unit in which the largest absolute weight is 127; 1 if all weights are 0."""
    return max(float(np.abs(x).max()) for x in weights) / _WEIGHT_LIMIT or 1.0


def _constants(layer: NeuronLayer, scale: _Scale) -> NDArray[np.int16]:
    """Return a layer's constants: potentials in its unit, shares in units of 2**-14."""
    units = units_of(layer.neuron)
    numbers = [
        x / scale.potential if units[name] == "potential" else x * 2**GAIN_BITS
        for name, x in layer.numbers.items()
    ]
    return _rounded(np.array(numbers), np.int16)


def _rounded(values: NDArray[Any], kind: type[np.signedinteger[Any]]) -> NDArray[Any]:
    """Return the nearest whole numbers of the integer type ``kind``, within its limits."""
    limits = np.iinfo(kind)
    rounded: NDArray[Any] = np.clip(np.rint(values), limits.min, limits.max).astype(kind)
    return rounded


# ---- c -------------------------------------------------------------------------------------------
# A decision is computed by events: the weights of neurons that fired are added row by row, in the
# order of our kernels, so that spikes in float equal theirs bit for bit (for one observation at a
# time, compiled without fused multiply-adds, as GCC does with ``-std=c99``). Nothing is allocated,
# and the only libraries are ``math.h`` and ``string.h``.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True)
class CFiles:
    """Files that ``to_c`` wrote."""

    header: Path
    source: Path
    program: Path
    """Reads observations from the standard input and writes actions."""
    constant_bytes: int
    """Memory of the constants, in bytes."""
    state_bytes: int
    """Memory of the state, in bytes."""
    sizes: tuple[int, ...]
    """Neurons or units of each layer."""


def to_c(
    model: BaseAlgorithm | BasePolicy,
    folder: str | os.PathLike[str],
    *,
    visits: Visits | None = None,
    fixed_point: bool = False,
    drop_silent: bool = False,
    name: str = "agent",
    title: str = "",
) -> CFiles:
    """Write an agent as C source.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy.
        folder: Folder to write ``NAME.h``, ``NAME.c`` and ``main.c`` into; it is made.
        visits: Result of ``visit``; fixed point and ``drop_silent`` need it.
        fixed_point: Whether weights have 8 bits and potentials 16, instead of float.
        drop_silent: Whether neurons that never fired in the visited states are left out, and those
            on which no output depends. In other states they might fire.
        name: Prefix of functions, types and files: lower-case letters, digits and underscores.
        title: Description of the agent in the header; unsafe characters become underscores.

    Raises:
        ValueError: The name is not allowed, visits are missing, an ANN is to be in fixed point or
            without silent neurons, or a part of the agent has no form in C.
    """
    if not _NAME.fullmatch(name) or name == "main":
        raise ValueError(
            f"name {name!r} must be at most 32 lower-case letters, digits and underscores, a "
            "letter first, and not 'main'; such as 'agent'"
        )
    if visits is None and (fixed_point or drop_silent):
        raise ValueError(
            "fixed_point and drop_silent need the network's activity in the states that the agent "
            "visits: pass visits=visit(model, env_id)"
        )
    title = safe_title(title)
    program = program_of(model)
    if not program.spiking:
        if fixed_point or drop_silent:
            raise ValueError(
                "fixed_point and drop_silent are for spiking agents, and this is an ANN; leave "
                "them out"
            )
        return _write(ANNSource(program, name, title), Path(folder))
    if drop_silent and visits is not None:
        program = compact(program, visits.fired)
    if fixed_point and visits is not None:
        return _write(FixedSource(program, name, title, visits.peaks), Path(folder))
    return _write(SpikingSource(program, name, title), Path(folder))


def _write(source: Source, folder: Path) -> CFiles:
    """Write ``NAME.h``, ``NAME.c`` and ``main.c`` into a folder, which is made."""
    header, code = (folder / f"{source.name}.{suffix}" for suffix in "hc")
    program = folder / "main.c"
    texts = {header: source.header(), code: source.source(), program: source.main()}
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        write_text_atomic(path, text)
    memory = source.constant_bytes, source.state_bytes
    return CFiles(header, code, program, *memory, source.sizes)
