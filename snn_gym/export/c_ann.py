"""The C files of an ANN in float, with gated units or without: a spiking agent's rival."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from snn_gym.export import c_text
from snn_gym.export.c_base import Source
from snn_gym.program.network import DenseLayer, GatedLayer, Layer

_CALLS = {"tanh": "tanhf({0})", "relu": "{0} > 0.0f ? {0} : 0.0f"}
_GATES = {"gru": c_text.GRU, "lstm": c_text.LSTM}


class ANNSource(Source):
    """The files of an ANN. Products with units that are zero are left out."""

    @property
    def state_bytes(self) -> int:
        """Memory of the state: that of gated units, or none, but C has no empty struct."""
        return 4 * sum(len(x.state) * x.size for x in self.program.gated) or 1

    def _helpers(self) -> Iterator[str]:
        yield c_text.ADD_PRODUCTS
        if self.program.gated:
            yield c_text.LOGISTIC
        for gates in dict.fromkeys(layer.gates for layer in self.program.gated):
            yield _GATES[gates]

    def _header(self) -> Mapping[str, str]:
        loops = sum(layer.recurrent.size for layer in self.program.gated)
        macs = sum(layer.weights.size for layer in self.program.layers) + loops
        wide = sum(2 * len(layer.biases) for layer in self.program.layers)
        floats = self.program.inputs + wide + self.program.outputs
        return {
            "costs": (
                f"{macs + self.program.head.weights.size:,} multiply-accumulates, "
                f"{sum(self.sizes):,} units"
            ),
            "stack_bytes": f"{-(-4 * (floats + 64) // 1024) * 1024:,}",
            "lasting": "" if self.program.gated else ": nothing",
            "state_fields": "\n".join(self._state_fields()),
            "observation_comment": f"{self.program.inputs} values in the environment's units",
        }

    def _state_fields(self) -> Iterator[str]:
        for k, layer in enumerate(self.program.gated, start=1):
            yield f"    float units_{k}[{len(layer.state) * layer.size}];"
        if not self.program.gated:
            yield "    char unused;"

    def _reset(self) -> Iterator[str]:
        yield f"void {self.name}_reset({self.name}_state *state) {{"
        yield "    memset(state, 0, sizeof *state);"
        yield "}"

    def _tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield from self._input_tables()
        for k, layer in enumerate(self.program.layers, start=1):
            yield f"weights_{k}", layer.weights
            yield f"biases_{k}", layer.biases
            if isinstance(layer, GatedLayer):
                yield f"recurrent_{k}", layer.recurrent
                yield f"recurrent_biases_{k}", layer.recurrent_biases
        yield "head_weights", self.program.head.weights
        yield "head_biases", self.program.head.biases
        yield from self._limit_tables()

    def _step(self) -> Iterator[str]:
        yield from self._signature()
        yield f"    float outputs[{self.program.outputs}];"
        if not self.program.stateful:
            yield f"    {self.name}_reset(state);"
        yield from self._standardise()
        source, inputs = "values", self.program.inputs
        for k, layer in enumerate(self.program.layers, start=1):
            yield from self._layer(k, layer, source, inputs)
            source = f"state->units_{k}" if isinstance(layer, GatedLayer) else f"sums_{k}"
            inputs = layer.size
        yield self._read(source, inputs)
        yield from self._choose()
        yield "}"

    def _layer(self, k: int, layer: Layer, source: str, inputs: int) -> Iterator[str]:
        """Give what a layer makes of ``inputs`` values in ``source``."""
        own, wide = f"sums_{k}", len(layer.biases)
        yield f"    float {own}[{wide}];"
        yield f"    memcpy({own}, biases_{k}, sizeof {own});"
        yield f"    add_products(&weights_{k}[0][0], {inputs}, {wide}, {source}, {own});"
        if isinstance(layer, GatedLayer):
            units, loops = f"state->units_{k}", f"loops_{k}"
            yield f"    float {loops}[{wide}];"
            yield f"    memcpy({loops}, recurrent_biases_{k}, sizeof {loops});"
            yield f"    add_products(&recurrent_{k}[0][0], {layer.size}, {wide}, {units}, {loops});"
            yield f"    pass_{layer.gates}({own}, {loops}, {units}, {layer.size});"
            return
        assert isinstance(layer, DenseLayer)  # of an ANN
        yield f"    for (int n = 0; n < {wide}; n++) {{"
        yield f"        {own}[n] = {_CALLS[layer.activation].format(f'{own}[n]')};"
        yield "    }"
