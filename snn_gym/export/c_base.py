"""What the C files of all exported agents share: header, tables, standardising, the choice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.export import c_text
from snn_gym.program.network import Program

_LINE = 96
_TYPES = {"float32": "float", "int8": "int8_t", "int16": "int16_t", "int32": "int32_t"}


class Source(ABC):
    """The files of an agent.

    Args:
        program: What is written.
        name: What functions, types and files are called after.
        title: What the header says that it is.
    """

    shape = "float"
    """What the header says of the numbers."""

    def __init__(self, program: Program, name: str, title: str) -> None:
        self.program, self.name, self.title = program, name, title or "an agent"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons or units of each layer."""
        return self.program.sizes

    @property
    @abstractmethod
    def state_bytes(self) -> int:
        """Memory of the state."""

    def source(self) -> str:
        """Return the text of ``NAME.c``."""
        parts = [
            self._opening(),
            *self._table_texts(),
            *self._helpers(),
            "\n".join(self._reset()),
            "\n".join(self._step()),
        ]
        return "\n\n".join(part.rstrip() for part in parts) + "\n"

    @abstractmethod
    def _helpers(self) -> Iterator[str]:
        """Give the functions that a decision calls."""

    @abstractmethod
    def _reset(self) -> Iterator[str]:
        """Give the lines of the function that puts the state to rest."""

    @abstractmethod
    def _step(self) -> Iterator[str]:
        """Give the lines of the function that decides."""

    @abstractmethod
    def _tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Give the constant arrays by name."""

    @abstractmethod
    def _header(self) -> Mapping[str, str]:
        """Return what the header says of this kind of agent."""

    @cached_property
    def tables(self) -> Mapping[str, NDArray[Any]]:
        """Constant arrays by name."""
        return dict(self._tables())

    @property
    def constant_bytes(self) -> int:
        """Memory of the constants."""
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

    def _opening(self) -> str:
        return (
            f"/* Weights and decisions of {self.title}; {self.name}.h says how to use it. */\n"
            f'#include "{self.name}.h"\n\n#include <math.h>\n#include <stdint.h>\n'
            "#include <string.h>"
        )

    def _table_texts(self) -> Iterator[str]:
        for name, values in self.tables.items():
            yield _table(name, values)

    def _input_tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for k, normaliser in enumerate(self.program.normalisers, start=1):
            yield f"means_{k}", normaliser.mean
            yield f"deviations_{k}", normaliser.std

    def _limit_tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if not self.program.choice.discrete:
            yield "lows", self.program.choice.low
            yield "highs", self.program.choice.high

    def _signature(self) -> Iterator[str]:
        yield f"void {self.name}_step({self.name}_state *state, const float *observation,"
        yield f"{' ' * (len(self.name) + 11)}{self.name}_action *action) {{"

    def _standardise(self) -> Iterator[str]:
        """Give the float array ``values``: observations, standardised."""
        inputs = self.program.inputs
        yield f"    float values[{inputs}];"
        yield f"    for (int d = 0; d < {inputs}; d++) {{"
        yield "        values[d] = observation[d];"
        for k, normaliser in enumerate(self.program.normalisers, start=1):
            yield f"        values[d] = {standardised('values[d]', k)};"
            yield f"        values[d] = {within('values[d]', normaliser.clip)};"
        yield "    }"

    def _read(self, features: str, size: int) -> str:
        """Return the head's product with features."""
        return c_text.READ.format(outputs=self.program.outputs, size=size, features=features)

    def _choose(self) -> Iterator[str]:
        if self.program.choice.discrete:
            yield c_text.ARGMAX.format(outputs=self.program.outputs)
            return
        yield f"    for (int o = 0; o < {self.program.outputs}; o++) {{"
        yield f"        const float x = {self._output()};"
        limit = self.program.choice.limit
        clipped = "x" if limit is None else within("x", limit)
        squashed = self.program.choice.rule == "squash"
        yield c_text.SQUASH.format(x=clipped) if squashed else c_text.CLIP
        yield "    }"

    def _output(self) -> str:
        return "outputs[o]"


def number(value: float) -> str:
    """Return a float32 as C text that is read as the same number."""
    text = f"{value:.9g}"
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"


def standardised(value: str, k: int) -> str:
    """Return a C value of place ``d``, standardised by normaliser ``k``, counted from 1."""
    return f"({value} - means_{k}[d]) / deviations_{k}[d]"


def within(value: str, limit: float) -> str:
    """Return a C value within [-limit, limit]."""
    most = number(limit)
    return f"{value} < -{most} ? -{most} : ({value} > {most} ? {most} : {value})"


def _table(name: str, values: NDArray[Any]) -> str:
    sizes = "".join(f"[{x}]" for x in values.shape)
    return f"static const {_TYPES[values.dtype.name]} {name}{sizes} = {{\n{_lines(values)}\n}};"


def _lines(values: NDArray[Any]) -> str:
    """Return numbers as C text, a row of a matrix in braces of its own."""
    if values.ndim == 2:
        return ",\n".join(f"    {{\n{_lines(row)}\n    }}" for row in values)
    shown = number if np.issubdtype(values.dtype, np.floating) else str
    lines = [""]
    for text in (shown(x) for x in values.tolist()):
        if len(lines[-1]) + len(text) + 2 > _LINE:
            lines.append("")
        lines[-1] += f"{text}, "
    return "\n".join(f"    {line.rstrip(' ')}" for line in lines).rstrip(",")
