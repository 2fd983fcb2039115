"""C source of exported agents: header, tables, standardisation, choice; and of whole ANNs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.program import DenseLayer, Filtered, GatedLayer, Layer, LeakyLayer, Program
from snn_gym_deploy import c_text

_LINE = 96
_TYPES = {"float32": "float", "int8": "int8_t", "int16": "int16_t", "int32": "int32_t"}
_FLAT = ("constants", "rest")
_ARRAYS = (*_FLAT, "weights", "biases", "recurrent", "recurrent_biases", "decay", "decays")
"""Constant arrays of a layer, by the names of its fields; those of `_FLAT` have one dimension."""


class Source(ABC):
    """Texts of an agent's C files, with functions, types and files named after ``name``."""

    shape = "float"  # number format, for the comment in the header
    filters = True  # whether convolutions are written as such
    types = "float", "float", "float"  # C types of values, weights and their sums
    output = "outputs[o]"  # in float

    def __init__(self, program: Program, name: str, title: str) -> None:
        self.program, self.name, self.title = program, name, title or "an agent"
        self.layers: Sequence[Any] = program.layers
        self.sizes = program.sizes  # neurons or units of each layer
        self.head: tuple[NDArray[Any], NDArray[Any]] = program.head.weights, program.head.biases

    @property
    @abstractmethod
    def state_bytes(self) -> int:
        """Memory of the state, in bytes."""

    def source(self) -> str:
        """Return the text of ``NAME.c``."""
        parts = [
            f"/* Weights and decisions of {self.title}; {self.name}.h says how to use it. */\n"
            f'#include "{self.name}.h"\n\n#include <math.h>\n#include <stdint.h>\n'
            "#include <string.h>",
            *(table(name, values) for name, values in self.tables.items()),
            *self._helpers(),
            "\n".join(self._reset()),
            "\n".join(self._step()),
        ]
        return "\n\n".join(part.rstrip() for part in parts) + "\n"

    @abstractmethod
    def _helpers(self) -> Iterator[str]:
        """Yield the texts of the C functions that a decision calls."""

    @abstractmethod
    def _reset(self) -> Iterator[str]:
        """Yield the lines of the C function that resets the state."""

    @abstractmethod
    def _step(self) -> Iterator[str]:
        """Yield the lines of the C function that decides."""

    @abstractmethod
    def _header(self) -> Mapping[str, str]:
        """Return the fields of ``c_text.HEADER`` that depend on the kind of agent."""

    @cached_property
    def tables(self) -> Mapping[str, NDArray[Any]]:
        """Constant arrays by name."""
        return dict(self._tables())

    def _tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for k, normaliser in enumerate(self.program.normalisers, start=1):
            yield f"means_{k}", normaliser.mean
            yield f"deviations_{k}", normaliser.std
        yield from self._own_tables()
        if not self.program.choice.discrete:
            yield "lows", self.program.choice.low
            yield "highs", self.program.choice.high

    def _own_tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the constant arrays between standardisation and choice by name."""
        yield from self._layer_tables()
        yield from zip(("head_weights", "head_biases"), self.head, strict=True)

    def _layer_tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for k, layer in enumerate(self.layers, start=1):
            operator = self._filtered(k)
            for name in _ARRAYS:
                values: Any = getattr(layer, name, None)
                if name == "weights" and operator is not None:
                    yield f"filters_{k}", np.ascontiguousarray(operator.shared(values).T)
                elif values is not None:
                    yield f"{name}_{k}", values.reshape(-1) if name in _FLAT else values

    def _filtered(self, k: int) -> Filtered | None:
        """Return the convolution that layer ``k``, from 1, is written as; None for a product."""
        operator = self.program.layers[k - 1].operator
        return operator if isinstance(operator, Filtered) and self.filters else None

    def _filter_functions(self, spikes_from: float = np.inf) -> Iterator[str]:
        """Yield the C functions of convolutions; layers from a number on receive spikes."""
        for k in range(1, len(self.layers) + 1):
            value, *types = self.types
            if (operator := self._filtered(k)) is not None:
                value = "unsigned char" if k >= spikes_from else value
                yield _filter_function(k, operator, value, *types)

    def _added(self, k: int, source: str, inputs: int, size: int, total: str) -> str:
        """Return the line that adds a layer's weights times the values in ``source`` to sums."""
        if self._filtered(k) is not None:
            return f"filter_{k}({source}, {total});"
        return c_text.PRODUCTS.format(k=k, inputs=inputs, size=size, source=source, total=total)

    @property
    def constant_bytes(self) -> int:
        """Memory of the constants, in bytes."""
        return sum(x.nbytes for x in self.tables.values())

    def header(self) -> str:
        """Return the text of ``NAME.h``."""
        program, discrete = self.program, self.program.choice.discrete
        count = 1 if discrete else program.outputs
        return c_text.HEADER.format(
            title=self.title, name=self.name, upper=self.name.upper(), shape=self.shape,
            inputs=program.inputs, actions=count, constant_bytes=f"{self.constant_bytes:,}",
            state_bytes=f"{self.state_bytes:,}",
            action_comment="its number" if discrete else f"{count} values within their limits",
            action_type="int" if discrete else f"struct {{ float values[{count}]; }}",
            **self._header(),
        )  # fmt: skip

    def main(self) -> str:
        """Return the text of ``main.c``."""
        upper, values = self.name.upper(), self.program.observation_size
        shown = c_text.PRINT_NUMBER if self.program.choice.discrete else c_text.PRINT_VALUES
        return c_text.MAIN.format(
            name=self.name, values=values, line_size=64 + 32 * values,
            print_action=shown.format(upper=upper),
        )  # fmt: skip

    def _signature(self) -> str:
        return (
            f"void {self.name}_step({self.name}_state *state, const float *observation,\n"
            f"{' ' * (len(self.name) + 11)}{self.name}_action *action) {{"
        )

    def _standardise(self) -> Iterator[str]:
        """Yield the lines that fill the float array ``values`` with standardised observations."""
        yield c_text.VALUES.format(inputs=self.program.inputs)
        for r in range(1, self.program.rows_per_step):
            yield f"        values[d] += observation[{r * self.program.inputs} + d];"
        for k, normaliser in enumerate(self.program.normalisers, start=1):
            yield f"        values[d] = {standardised('values[d]', k)};"
            yield f"        values[d] = {within('values[d]', normaliser.clip)};"
        yield "    }"

    def _read(self, features: str, size: int) -> str:
        """Return the lines that fill ``outputs`` from the array ``features`` by the head."""
        return c_text.READ.format(outputs=self.program.outputs, size=size, features=features)

    def _choose(self) -> str:
        """Return the lines that choose the action from ``outputs``."""
        choice, outputs = self.program.choice, self.program.outputs
        if choice.discrete:
            return c_text.ARGMAX.format(outputs=outputs)
        clipped = "x" if choice.limit is None else within("x", choice.limit)
        action = c_text.SQUASH.format(x=clipped) if choice.rule == "squash" else c_text.CLIP
        return c_text.SCALED.format(outputs=outputs, output=self.output, action=action)


def synapses_of(layer: Layer) -> int:
    """Return the number of a layer's weights; of a convolution those that its filters reach."""
    operator = layer.operator
    return operator.synapses if isinstance(operator, Filtered) else layer.weights.size


def _filter_function(k: int, operator: Filtered, value: str, weight: str, total: str) -> str:
    """Return the C function of a convolution, for the C types of values, weights and sums."""
    layer, (count, height, width) = operator.layer, operator.planes
    filters, rows, columns = operator.shape
    side = layer.kernel * layer.pool
    # In the order of the flattened planes.
    order, at = [("c", count), ("i", side), ("j", side)], f"(c * {height} + y) * {width} + x"
    if operator.channels_last:
        order, at = [*order[1:], order[0]], f"(y * {width} + x) * {count} + c"
    loops = [f"        for (int {x} = 0; {x} < {n}; {x}++)" for x, n in order]
    return c_text.FILTERED.format(
        k=k, value=value, weight=weight, sum=total, inputs=count * height * width,
        places=rows * columns, columns=columns, stride=layer.stride, padding=layer.padding,
        pool=layer.pool, kernel=layer.kernel, filters=filters, at=at,
        height=height // layer.pool * layer.pool, width=width // layer.pool * layer.pool,
        loops="\n".join(loops) + " {",
    )  # fmt: skip


def number(value: float) -> str:
    """Return a float32 as C text that is read as the same number."""
    text = f"{value:.9g}"
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"


def standardised(value: str, k: int) -> str:
    """Return the C expression of a value at place ``d``, standardised by normaliser ``k``."""
    return f"({value} - means_{k}[d]) / deviations_{k}[d]"


def within(value: str, limit: float) -> str:
    """Return a C expression that limits ``value`` to [-limit, limit]."""
    most = number(limit)
    return f"{value} < -{most} ? -{most} : ({value} > {most} ? {most} : {value})"


def table(name: str, values: NDArray[Any]) -> str:
    """Return the definition of a constant array."""
    sizes = "".join(f"[{x}]" for x in values.shape)
    return f"static const {_TYPES[values.dtype.name]} {name}{sizes} = {{\n{_lines(values)}\n}};"


def _lines(values: NDArray[Any]) -> str:
    """Return numbers as C text, each row of a matrix in braces."""
    if values.ndim == 2:
        return ",\n".join(f"    {{\n{_lines(row)}\n    }}" for row in values)
    shown = number if np.issubdtype(values.dtype, np.floating) else str
    lines = [""]
    for text in (shown(x) for x in values.tolist()):
        if len(lines[-1]) + len(text) + 2 > _LINE:
            lines.append("")
        lines[-1] += f"{text}, "
    return "\n".join(f"    {line.rstrip(' ')}" for line in lines).rstrip(",")


# ---- c ann ---------------------------------------------------------------------------------------
_CALLS = {
    "tanh": "tanhf({0})",
    "relu": "{0} > 0.0f ? {0} : 0.0f",
    "threshold": "{0} > 0.0f ? 1.0f : 0.0f",
}
_LIMITED = {"tanh": "tanhf({0})", "relu": "fminf(fmaxf({0}, 0.0f), 1.0f)"}  # before rounding
_BYTES = {"float": 4, "int16_t": 2, "int32_t": 4}
_GATES = {
    "gru": c_text.GRU,
    "lstm": c_text.LSTM,
    "rnn": c_text.RNN.format(gates="rnn", value="tanhf(x[n] + h[n])"),
    "rnn_relu": c_text.RNN.format(gates="rnn_relu", value="fmaxf(x[n] + h[n], 0.0f)"),
}


class ANNSource(Source):
    """C files of an ANN, whose code skips products with values of 0."""

    sum, leaky, gated = "float", "float", "float"  # C types of sums of weights, and of states

    @property
    def state_bytes(self) -> int:
        """Memory of the state of units; at least 1, as C has no empty struct."""
        return (
            sum(_BYTES[self._type(x)] * len(x.state) * x.size for x in self.program.remembering)
            or 1
        )

    def _type(self, layer: Layer) -> str:
        return self.leaky if isinstance(layer, LeakyLayer) else self.gated

    def _helpers(self) -> Iterator[str]:
        yield c_text.ADD_PRODUCTS
        yield from self._filter_functions()
        kinds = dict.fromkeys(x.gates for x in self.layers if isinstance(x, GatedLayer))
        if kinds.keys() & {"gru", "lstm"}:
            yield c_text.LOGISTIC
        for gates in kinds:
            yield _GATES[gates]

    def _header(self) -> Mapping[str, str]:
        loops = sum(
            x.recurrent.size if isinstance(x, GatedLayer) else x.size
            for x in self.program.remembering
        )
        macs = sum(map(synapses_of, self.program.layers)) + self.program.head.weights.size + loops
        wide = sum(2 * len(layer.biases) for layer in self.program.layers)
        floats = self.program.inputs + wide + self.program.outputs
        return {
            "costs": f"{macs:,} multiply-accumulates, {sum(self.sizes):,} units",
            "stack_bytes": f"{-(-4 * (floats + 64) // 1024) * 1024:,}",
            "lasting": "" if self.program.stateful else ": nothing",
            "state_fields": "\n".join(self._state_fields()),
            "observation_comment": f"{self.program.inputs} values in the environment's units",
        }

    def _state_fields(self) -> Iterator[str]:
        for k, layer in enumerate(self.program.layers, start=1):
            if isinstance(layer, GatedLayer | LeakyLayer):
                yield f"    {self._type(layer)} units_{k}[{len(layer.state) * layer.size}];"
        if not self.program.stateful:
            yield "    char unused;"

    def _reset(self) -> Iterator[str]:
        yield c_text.RESET.format(name=self.name)

    def _step(self) -> Iterator[str]:
        yield self._signature()
        yield f"    {self.sum} outputs[{self.program.outputs}];"
        if not self.program.stateful:
            yield f"    {self.name}_reset(state);"
        yield from self._standardise()
        source, inputs = "values", self.program.inputs
        for k, layer in enumerate(self.program.layers, start=1):
            yield from self._layer(k, layer, source, inputs)
            source = self._results(k, layer)
            inputs = layer.size
        yield self._read(source, inputs)
        yield self._choose()
        yield "}"

    def _layer(self, k: int, layer: Layer, source: str, inputs: int) -> Iterator[str]:
        """Yield the lines of a layer for ``inputs`` values in ``source``."""
        yield self._summed(k, layer, source, inputs)
        if isinstance(layer, GatedLayer):
            yield c_text.GATED.format(k=k, size=layer.size, gates=layer.gates)
        elif isinstance(layer, LeakyLayer):
            text = c_text.RECTIFIED if layer.rectified else c_text.LEAKY
            yield text.format(k=k, wide=layer.size)
        else:
            assert isinstance(layer, DenseLayer)  # of an ANN
            calls = _CALLS if layer.levels is None else _LIMITED
            value = calls[layer.activation].format(f"sums_{k}[n]")
            if layer.levels is not None:
                levels = number(layer.levels)
                value = f"rintf({value} * {levels}) / {levels}"
            yield c_text.ACTIVATED.format(k=k, wide=layer.size, value=value)

    def _summed(self, k: int, layer: Layer, source: str, inputs: int) -> str:
        """Return the lines that fill ``sums_K``, and ``loops_K`` of gated units."""
        kind = {"k": k, "wide": len(layer.biases), "size": layer.size, "type": self.sum}
        added = self._added(k, source, inputs, len(layer.biases), f"sums_{k}")
        sums = c_text.DENSE.format(added=added, **kind)
        loops = c_text.LOOPS.format(**kind)
        return f"{sums}\n{loops}" if isinstance(layer, GatedLayer) else sums

    def _results(self, k: int, layer: Layer) -> str:
        """Return the array of a layer's results."""
        rectified = isinstance(layer, LeakyLayer) and layer.rectified
        return f"sums_{k}" if rectified or isinstance(layer, DenseLayer) else f"state->units_{k}"
