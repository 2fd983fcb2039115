"""The C files of an ANN without a state, in float: what a spiking agent is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from snn_gym.export import c_text
from snn_gym.export.c_base import Source

_CALLS = {"tanh": "tanhf({0})", "relu": "{0} > 0.0f ? {0} : 0.0f"}


class ANNSource(Source):
    """The files of an ANN. Products with units that are zero are left out."""

    @property
    def state_bytes(self) -> int:
        """Memory of the state: none is needed, and C has no empty struct."""
        return 1

    def source(self) -> str:
        """Return the text of ``NAME.c``."""
        reset = f"void {self.name}_reset({self.name}_state *state) {{\n    state->unused = 0;\n}}"
        parts = [self._opening(), *self._table_texts(), c_text.ADD_PRODUCTS, reset]
        return "\n\n".join(part.rstrip() for part in (*parts, "\n".join(self._step()))) + "\n"

    def _header(self) -> Mapping[str, str]:
        hidden = sum(layer.weights.size for layer in self.program.dense)
        macs = hidden + self.program.head.weights.size
        floats = self.program.inputs + sum(self.sizes) + self.program.outputs
        return {
            "costs": f"{macs:,} multiply-accumulates, {sum(self.sizes):,} activations",
            "stack_bytes": f"{-(-4 * (floats + 64) // 1024) * 1024:,}",
            "lasting": ": nothing",
            "state_fields": "    char unused;",
            "observation_comment": f"{self.program.inputs} values in the environment's units",
        }

    def _tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield from self._input_tables()
        for k, layer in enumerate(self.program.dense, start=1):
            yield f"weights_{k}", layer.weights
            yield f"biases_{k}", layer.biases
        yield "head_weights", self.program.head.weights
        yield "head_biases", self.program.head.biases
        yield from self._limit_tables()

    def _step(self) -> Iterator[str]:
        yield from self._signature()
        yield f"    float outputs[{self.program.outputs}];"
        yield f"    {self.name}_reset(state);"
        yield from self._standardise()
        source, inputs = "values", self.program.inputs
        for k, layer in enumerate(self.program.dense, start=1):
            own, size = f"units_{k}", layer.size
            yield f"    float {own}[{size}];"
            yield f"    memcpy({own}, biases_{k}, sizeof {own});"
            yield f"    add_products(&weights_{k}[0][0], {inputs}, {size}, {source}, {own});"
            yield f"    for (int n = 0; n < {size}; n++) {{"
            yield f"        {own}[n] = {_CALLS[layer.activation].format(f'{own}[n]')};"
            yield "    }"
            source, inputs = own, size
        yield self._read(source, inputs)
        yield from self._choose()
        yield "}"
