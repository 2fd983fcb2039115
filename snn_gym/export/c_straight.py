"""C source of integer programs as straight lines: no loops over neurons, units and synapses.

Synapses of weight zero vanish, and weights are numbers in the code, whose products are left to the
compiler. The loop over time steps remains. Actions equal those of the form with loops.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.export.c_base import Source, number
from snn_gym.export.c_integer import (
    SATURATED,
    SCALED,
    FixedSource,
    FixedUnitsSource,
    Names,
    unit_helpers,
    unit_lines,
    unit_tables,
)
from snn_gym.export.c_spiking import fixed_body
from snn_gym.program.expressions import own
from snn_gym.program.integer import IntegerNeurons, IntegerProgram, IntegerUnits
from snn_gym.program.neuron import equations

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
    synapses = int(np.count_nonzero(integer.head_weights))
    for layer in integer.layers:
        loop = 0 if layer.recurrent is None else np.count_nonzero(layer.recurrent)
        synapses += int(np.count_nonzero(layer.weights) + loop)
    if synapses > MOST_SYNAPSES:
        raise ValueError(
            f"straight lines are for at most {MOST_SYNAPSES:,} synapses, and the agent has "
            f"{synapses:,}; leave straight_line out for the form with loops"
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
    indents = {"initial_indent": "    ", "subsequent_indent": "        "}
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False, **indents}
    return "\n".join(textwrap.wrap(statement, 96, **options))


def _added(
    condition: str, weights: Sequence[int], targets: Sequence[str], factor: str = ""
) -> Iterator[str]:
    """Yield a C statement that adds weights to targets if a condition holds; none for zeros."""
    pairs = [(w, x) for w, x in zip(weights, targets, strict=True) if w != 0]
    if pairs:
        sums = (f"{x} {'+' if w > 0 else '-'}= {abs(w)}{factor};" for w, x in pairs)
        yield textwrap.indent(_wrapped(f"if ({condition}) {{ {' '.join(sums)} }}"), "    ")


def _head(integer: IntegerProgram) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return weights (O, N) and biases (O,) of the outputs; of discrete actions, less the first."""
    weights, biases = (x.astype(np.int64) for x in (integer.head_weights, integer.head_biases))
    if integer.program.choice.discrete:
        return weights - weights[:1], biases - biases[:1]
    return weights, biases


def _used(integer: IntegerProgram) -> list[list[int]]:
    """Return the neurons or units of each layer on which an output depends."""
    layers: list[IntegerNeurons | IntegerUnits] = [*integer.layers]
    onward: NDArray[Any] = _head(integer)[0].T
    places: list[list[int]] = []
    for layer in layers[::-1]:
        used = (onward != 0).any(1)
        if layer.recurrent is not None:
            loops = layer.recurrent.reshape(layer.size, -1, layer.size) != 0
            for _ in range(layer.size):  # those that drive a used one are used
                used = used | loops[:, :, used].any((1, 2))
        onward = layer.weights.reshape(len(layer.weights), -1, layer.size)[:, :, used]
        onward = onward.reshape(len(onward), -1)
        places.append(np.flatnonzero(used).tolist())
    return places[::-1]


def _values(integer: IntegerProgram, weights: NDArray[Any]) -> Iterator[str]:
    """Yield the lines of the rounded observations that have a weight (D, N) other than zero."""
    used = np.flatnonzero((weights != 0).any(1))
    if integer.program.spike_input:
        yield from (f"    const int32_t x_{d} = observation[{d}] != 0.0f;" for d in used)
        return
    most, unit = number(integer.program.normalisers[0].clip), number(2.0**integer.input_bits)
    for d in used:
        given = f"observation[{d}], means_1[{d}], deviations_1[{d}], {most}, {unit}"
        yield f"    const int32_t x_{d} = standardised({given});"


def _chosen(source: Source) -> Iterator[str]:
    """Yield the lines that choose the action from ``out_0``, ``out_1``, ..."""
    outputs = [f"out_{o}" for o in range(source.program.outputs)]
    if not source.program.choice.discrete:
        yield f"    const int32_t outputs[{len(outputs)}] = {{{', '.join(outputs)}}};"
        yield from source._choose()
        return
    yield f"    int best = 0;\n    int32_t top = {outputs[0]};"
    for o, output in enumerate(outputs[1:], start=1):
        yield f"    if ({output} > top) {{\n        best = {o};\n        top = {output};\n    }}"
    yield "    (void)top;\n    *action = best;"


class StraightUnits(FixedUnitsSource):
    """C files of an ANN in integers, as straight lines."""

    shape = "fixed point, weights of 8 bits and activations of 16, in straight lines"

    def _helpers(self) -> Iterator[str]:
        yield SATURATING
        yield SCALED
        yield STANDARDISED
        yield from unit_helpers(self.integer)

    def _tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield from self._input_tables()
        yield from unit_tables(self.integer)
        yield from self._limit_tables()

    def _step(self) -> Iterator[str]:
        integer = self.integer
        weights, biases = _head(integer)
        yield self._signature()
        yield "    (void)state;"
        used = _used(integer)
        wide: NDArray[Any] = weights.T
        if integer.units:
            first = integer.units[0]
            wide = first.weights.reshape(len(first.weights), -1, first.size)[:, :, used[0]]
        yield from _values(integer, wide.reshape(len(wide), -1))
        features = [f"x_{d}" for d in range(self.program.inputs)]
        for k, layer in enumerate(integer.units, start=1):
            yield from self._straight_layer(k, layer, features, used[k - 1])
            prefix = "y" if layer.recurrent is None else "h"
            features = [f"{prefix}_{k}_{n}" for n in range(layer.size)]
        for o, (row, bias) in enumerate(zip(weights.tolist(), biases.tolist(), strict=True)):
            yield _statement(f"const int32_t out_{o}", bias, row, features)
        yield from _chosen(self)
        yield "}"

    def _straight_layer(
        self, k: int, layer: IntegerUnits, features: Sequence[str], used: Sequence[int]
    ) -> Iterator[str]:
        size, wide = layer.size, len(layer.biases)
        states = [f"{x}_{k}_{n}" for x in "hc"[: layer.variables] for n in range(size)]
        stored = [s * size + n for s in range(layer.variables) for n in used]
        for place in stored:
            yield f"    int32_t {states[place]} = state->units_{k}[{place}];"
        sums, loops = ([f"{x}_{k}_{j}" for j in range(wide)] for x in ("sum", "loop"))
        parts = [(sums, layer.biases, layer.weights, features)]
        if layer.recurrent is not None and layer.recurrent_biases is not None:
            parts.append((loops, layer.recurrent_biases, layer.recurrent, states[:size]))
        for names, biases, weights, sources in parts:
            for j in (g * size + n for g in range(layer.gates) for n in used):
                column = weights[:, j].tolist()
                yield _statement(f"const int32_t {names[j]}", biases[j], column, sources)
        for n in used:
            if layer.recurrent is None:
                yield f"    int32_t y_{k}_{n};"
            unit = Names(
                sums[n::size],
                loops[n::size],
                states[n::size],
                f"y_{k}_{n}",
                "" if layer.decay is None else str(layer.decay[n]),
            )
            yield "    {"
            yield from (f"        {x}" for x in unit_lines(layer, unit))
            yield "    }"
        for place in stored:
            kind = "int16_t" if layer.decay is None else "int32_t"
            yield f"    state->units_{k}[{place}] = ({kind}){states[place]};"


class StraightNeurons(FixedSource):
    """C files of a spiking program in integers, as straight lines."""

    shape = "fixed point, weights of 8 bits and potentials of 16, in straight lines"

    def _helpers(self) -> Iterator[str]:
        yield SATURATING
        if self.program.held:
            yield SCALED
            yield STANDARDISED

    def _tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield from self._input_tables()
        for k, layer in enumerate(self.integer.neurons, start=1):
            yield f"rest_{k}", layer.rest.reshape(-1)  # for the reset
        if not self._counts:
            yield "coefficients", self.integer.coefficients
        yield from self._limit_tables()

    @property
    def _counts(self) -> bool:
        """Whether a spike counts the same at all time steps."""
        return bool((self.integer.coefficients == 1).all())

    def _step(self) -> Iterator[str]:
        layers, steps = self.integer.neurons, self.program.time_steps
        weights, biases = _head(self.integer)
        yield self._signature()
        yield "    (void)state;"
        if self.program.held:
            yield from self._held_currents(layers[0])
        for k, layer in enumerate(layers, start=1):
            for name, place, rest in self._places(k, layer):
                yield f"    int32_t {name} = {place if self.program.stateful else rest};"
        for o, bias in enumerate(biases.tolist()):
            yield f"    int32_t out_{o} = {bias};"
        yield f"    for (int t = 0; t < {steps}; t++) {{"
        for k, layer in enumerate(layers, start=1):
            yield from self._straight_layer(k, layer)
        factor = "" if self._counts else " * weight"
        if factor:
            yield "        const int32_t weight = coefficients[0][t];"
        targets = [f"out_{o}" for o in range(len(biases))]
        for n, row in enumerate(weights.T.tolist()):
            yield from _added(f"z_{len(layers)}_{n}", row, targets, factor)
        yield "    }"
        for k, layer in enumerate(layers if self.program.stateful else (), start=1):
            for name, place, _ in self._places(k, layer):
                yield f"    {place} = ({'unsigned char' if name[0] == 'z' else 'int16_t'}){name};"
        yield from _chosen(self)
        yield "}"

    def _held_currents(self, layer: IntegerNeurons) -> Iterator[str]:
        """Yield the lines of the currents of an observation at all time steps."""
        yield from _values(self.integer, layer.weights[:, self._used[0]])
        sources = [f"x_{d}" for d in range(self.program.inputs)]
        shift = self.integer.input_bits - layer.bits
        for n in self._used[0]:
            yield _statement(f"int32_t held_{n}", 0, layer.weights[:, n].tolist(), sources)
            yield f"    held_{n} = {layer.biases[n]} + scaled(held_{n}, {shift});"

    def _places(self, k: int, layer: IntegerNeurons) -> Iterator[tuple[str, str, str]]:
        """Yield name, place in the state, and value at rest of a layer's state and spikes."""
        for s, row in enumerate(layer.rest.tolist()):
            for n in self._used[k - 1]:
                place = f"state->neurons_{k}[{s * layer.size + n}]"
                yield f"s_{k}_{s}_{n}", place, str(row[n])
        for n in self._used[k - 1]:
            yield f"z_{k}_{n}", f"state->spikes_{k}[{n}]", "0"

    @cached_property
    def _used(self) -> list[list[int]]:
        return _used(self.integer)

    def _straight_layer(self, k: int, layer: IntegerNeurons) -> Iterator[str]:
        """Yield the lines of a layer's time step."""
        held = k == 1 and self.program.held
        used = self._used[k - 1]
        currents = [f"c_{k}_{n}" for n in used]
        for n, current in zip(used, currents, strict=True):
            yield f"        int32_t {current} = {f'held_{n}' if held else layer.biases[n]};"
        fed = [] if layer.recurrent is None else [(f"z_{k}_{{}}", layer.recurrent)]
        if not held:
            inputs = self.program.inputs
            seen = f"observation[t * {inputs} + {{}}] != 0.0f" if k == 1 else f"z_{k - 1}_{{}}"
            fed.append((seen, layer.weights))
        # Spikes of the last time step are read before a neuron writes its own.
        for condition, weights in fed:
            whole = weights[:, used].astype(np.int64) << layer.bits
            for j, row in enumerate(whole.tolist()):
                yield from _added(condition.format(j), row, currents)
        text = equations(layer.neuron)
        numbers = dict(zip(text.constants, layer.constants.tolist(), strict=True))
        for n, current in zip(used, currents, strict=True):
            places = [f"s_{k}_{s}_{n}" for s in range(len(text.state))]
            yield "        {"
            for label, value in numbers.items():
                yield f"            const int32_t {own(label)} = {value};"
            body = fixed_body(layer.neuron, f"saturated({current})", places, f"z_{k}_{n}")
            yield from (_NEEDLESS.sub(r"\1\2", f"            {line}") for line in body)
            yield "        }"
