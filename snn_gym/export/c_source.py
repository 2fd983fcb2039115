"""The text of an agent's C files, in float; ``c_fixed`` says what differs in fixed point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.export import c_text
from snn_gym.export.portable import PortableAgent, PortableLayer

_LINE = 96
_TYPES = {"float32": "float", "int8": "int8_t", "int16": "int16_t", "int32": "int32_t"}
_VARIABLES = ("potentials", "currents", "thresholds")


class CSource:
    """The files of an agent, in float.

    Args:
        agent: What is written.
        name: What functions, types and files are called after.
        title: What the header says that it is.
    """

    number, sum = "float", "float"
    """C types of weights' values and of what adds them up."""
    shape = "float"
    """What the header says of them."""
    common, helpers, products, neurons = (
        c_text.PLACES,
        c_text.HELPERS,
        c_text.ADD_PRODUCTS,
        c_text.NEURONS,
    )

    def __init__(self, agent: PortableAgent, name: str, title: str) -> None:
        self.agent, self.name, self.title = agent, name, title or "an agent"
        self.keeps_readout = agent.stateful and len(agent.coefficients) > 1

    @cached_property
    def tables(self) -> Mapping[str, NDArray[Any]]:
        """Constant arrays by name."""
        return dict(self._tables())

    @property
    def constant_bytes(self) -> int:
        """Memory of the constants."""
        return sum(x.nbytes for x in self.tables.values())

    @property
    def state_bytes(self) -> int:
        """Memory of the state."""
        agent = self.agent
        values = sum(x.rest.size for x in agent.layers)
        values += (len(agent.coefficients) - 1) * agent.layers[-1].size * self.keeps_readout
        width = self.tables["rest_1"].itemsize
        return values * width + sum(x.size for x in agent.layers)

    def header(self) -> str:
        """Return the text of ``NAME.h``."""
        agent, count = self.agent, 1 if self.agent.choice == "argmax" else self.agent.outputs
        sizes = [x.size for x in agent.layers]
        widest = max(agent.inputs, *sizes)
        rows = 4 + 2 * len(sizes) + len(agent.coefficients)
        discrete = agent.choice == "argmax"
        return c_text.HEADER.format(
            title=self.title, name=self.name, upper=self.name.upper(), shape=self.shape,
            time_steps=agent.time_steps, inputs=agent.inputs, actions=count, macs=_macs(agent),
            updates=agent.time_steps * sum(sizes), additions=_additions(agent),
            constant_bytes=f"{self.constant_bytes:,}", state_bytes=f"{self.state_bytes:,}",
            stack_bytes=f"{-(-4 * widest * rows // 1024) * 1024:,}",
            lasting="" if agent.stateful else ": nothing, it is only room to decide in",
            state_fields="\n".join(self._state_fields()),
            action_comment="its number" if discrete else f"{count} values within their limits",
            action_type="int" if discrete else f"struct {{ float values[{count}]; }}",
            observation_comment=_observation_comment(agent),
        )  # fmt: skip

    def source(self) -> str:
        """Return the text of ``NAME.c``."""
        agent = self.agent
        parts = [
            f"/* Weights and decisions of {self.title}; {self.name}.h says how to use it. */\n"
            f'#include "{self.name}.h"\n\n#include <math.h>\n#include <stdint.h>\n'
            "#include <string.h>",
            *(_table(key, values) for key, values in self.tables.items()),
            self.common,
            *([self.helpers] if agent.spike_input or self._adds_rows() else []),
            *([] if agent.spike_input else [self.products]),
            *(self.neurons[kind] for kind in sorted({layer.kind for layer in agent.layers})),
            "\n".join(self._reset()),
            "\n".join(self._step()),
        ]
        return "\n\n".join(part.rstrip() for part in parts) + "\n"

    def program(self) -> str:
        """Return the text of ``main.c``."""
        upper, agent = self.name.upper(), self.agent
        trains = f" * {upper}_TIME_STEPS" if agent.spike_input else ""
        shown = c_text.PRINT_NUMBER if agent.choice == "argmax" else c_text.PRINT_VALUES
        values = agent.inputs * (agent.time_steps if agent.spike_input else 1)
        return c_text.MAIN.format(
            name=self.name, observation_size=f"{upper}_INPUTS{trains}", line_size=64 + 32 * values,
            print_action=shown.format(upper=upper),
        )  # fmt: skip

    def _tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        agent = self.agent
        yield from self._input_tables()
        for k, layer in enumerate(agent.layers, start=1):
            yield f"constants_{k}", layer.constants
            yield f"rest_{k}", layer.rest.reshape(-1)
            yield f"weights_{k}", layer.weights
            yield f"biases_{k}", layer.biases
            if layer.recurrent is not None:
                yield f"recurrent_{k}", layer.recurrent
        yield "coefficients", agent.coefficients
        if self.keeps_readout:
            yield "transition", agent.transition
        yield "head_weights", agent.head_weights
        yield "head_biases", agent.head_biases
        yield from self._limit_tables()

    def _input_tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if self.agent.normaliser is not None:
            yield "means", self.agent.normaliser.mean
            yield "deviations", self.agent.normaliser.std

    def _limit_tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if self.agent.choice != "argmax":
            yield "lows", self.agent.low
            yield "highs", self.agent.high

    def _adds_rows(self) -> bool:
        """Tell whether a layer is driven by spikes, its own or another's."""
        layers = self.agent.layers
        return len(layers) > 1 or layers[0].recurrent is not None

    def _state_fields(self) -> Iterator[str]:
        for k, layer in enumerate(self.agent.layers, start=1):
            held = ", ".join(_VARIABLES[: len(layer.rest)])
            yield f"    {self.number} neurons_{k}[{layer.rest.size}]; /* {held} */"
            yield f"    unsigned char spikes_{k}[{layer.size}]; /* of the last time step */"
        if self.keeps_readout:
            rows, last = len(self.agent.coefficients) - 1, self.agent.layers[-1].size
            yield f"    float readout[{rows}][{last}];"

    def _reset(self) -> Iterator[str]:
        yield f"void {self.name}_reset({self.name}_state *state) {{"
        for k in range(1, len(self.agent.layers) + 1):
            yield f"    memcpy(state->neurons_{k}, rest_{k}, sizeof rest_{k});"
            yield f"    memset(state->spikes_{k}, 0, sizeof state->spikes_{k});"
        if self.keeps_readout:
            yield "    memset(state->readout, 0, sizeof state->readout);"
        yield "}"

    def _step(self) -> Iterator[str]:
        agent, name = self.agent, self.name
        widest = max(agent.inputs, *(x.size for x in agent.layers))
        last, count = agent.layers[-1].size, len(agent.layers)
        yield f"void {name}_step({name}_state *state, const float *observation,"
        yield f"{' ' * (len(name) + 11)}{name}_action *action) {{"
        yield f"    {self.sum} decoded[{self._readout_rows()}][{last}];"
        yield f"    {self.sum} outputs[{agent.outputs}];"
        yield f"    int places[{widest}];"
        yield "    memset(decoded, 0, sizeof decoded);"
        if not agent.stateful:
            yield f"    {name}_reset(state);"
        if not agent.spike_input:
            yield from self._held(agent.layers[0].size)
        yield f"    for (int t = 0; t < {agent.time_steps}; t++) {{"
        for k, layer in enumerate(agent.layers, start=1):
            yield "        {"
            yield from (f"            {line}" for line in self._layer(k, layer))
            yield "        }"
        yield f"        const int fired = places_of(state->spikes_{count}, {last}, places);"
        yield "        for (int k = 0; k < fired; k++) {"
        for r in range(self._readout_rows()):
            yield f"            decoded[{r}][places[k]] += coefficients[{r}][t];"
        yield "        }"
        yield "    }"
        if self.keeps_readout:
            yield c_text.CARRY.format(rows=len(agent.coefficients) - 1, size=last)
        yield c_text.READ.format(outputs=agent.outputs, size=last)
        yield from self._choose()
        yield "}"

    def _readout_rows(self) -> int:
        return len(self.agent.coefficients) if self.keeps_readout else 1

    def _held(self, size: int) -> Iterator[str]:
        """Give the currents of a held observation, which are the same at all time steps."""
        inputs = self.agent.inputs
        yield f"    float values[{inputs}], held[{size}];"
        yield f"    for (int d = 0; d < {inputs}; d++) {{"
        yield f"        values[d] = {self._standardised()};"
        if self.agent.normaliser is not None:
            yield f"        values[d] = {self._clipped('values[d]')};"
        yield "    }"
        yield "    memcpy(held, biases_1, sizeof held);"
        yield f"    add_products(&weights_1[0][0], {inputs}, {size}, values, held);"

    def _standardised(self) -> str:
        plain = self.agent.normaliser is None
        return "observation[d]" if plain else "(observation[d] - means[d]) / deviations[d]"

    def _clipped(self, value: str) -> str:
        assert self.agent.normaliser is not None  # as the caller has found
        limit = number(self.agent.normaliser.clip)
        return f"{value} < -{limit} ? -{limit} : ({value} > {limit} ? {limit} : {value})"

    def _layer(self, k: int, layer: PortableLayer) -> Iterator[str]:
        """Give what a layer does at a time step."""
        held = k == 1 and not self.agent.spike_input
        if held and layer.recurrent is None:
            currents = "held"
        else:
            currents = "currents"
            yield f"float currents[{layer.size}];"
            yield f"memcpy(currents, {'held' if held else f'biases_{k}'}, sizeof currents);"
            yield from self._driven(k, layer, currents, held=held)
        yield self._updated(k, layer, currents)

    def _driven(self, k: int, layer: PortableLayer, target: str, *, held: bool) -> Iterator[str]:
        """Give the addition of what spikes bring, the input's and the layer's own."""
        inputs, size = layer.weights.shape
        if not held:
            source = f"state->spikes_{k - 1}"
            if k == 1:
                source = "seen"
                yield f"unsigned char seen[{inputs}];"
                yield f"for (int d = 0; d < {inputs}; d++) {{"
                yield f"    seen[d] = observation[t * {inputs} + d] != 0.0f;"
                yield "}"
            yield f"const int count = places_of({source}, {inputs}, places);"
            yield f"add_rows(&weights_{k}[0][0], {size}, places, count, {target});"
        if layer.recurrent is not None:
            yield f"const int looped = places_of(state->spikes_{k}, {size}, places);"
            yield f"add_rows(&recurrent_{k}[0][0], {size}, places, looped, {target});"

    def _updated(self, k: int, layer: PortableLayer, currents: str) -> str:
        kind = c_text.NAMES[layer.kind]
        return (
            f"{kind}(constants_{k}, {currents}, state->neurons_{k}, {layer.size}, "
            f"state->spikes_{k});"
        )

    def _choose(self) -> Iterator[str]:
        agent = self.agent
        if agent.choice == "argmax":
            yield c_text.ARGMAX.format(outputs=agent.outputs)
            return
        yield f"    for (int o = 0; o < {agent.outputs}; o++) {{"
        yield f"        const float x = {self._output()};"
        yield c_text.SQUASH if agent.choice == "squash" else c_text.CLIP
        yield "    }"

    def _output(self) -> str:
        return "outputs[o]"


def number(value: float) -> str:
    """Return a float32 as C text that is read as the same number."""
    text = f"{value:.9g}"
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"


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


def _observation_comment(agent: PortableAgent) -> str:
    if agent.spike_input:
        return f"{agent.time_steps} time steps of {agent.inputs} values, 0 or 1"
    return f"{agent.inputs} values in the environment's units"


def _macs(agent: PortableAgent) -> int:
    """Return the multiply-accumulates of a decision: the held input's and the readout's."""
    held = 0 if agent.spike_input else agent.layers[0].weights.size
    return held + agent.head_weights.size


def _additions(agent: PortableAgent) -> int:
    """Return the additions of weights of a decision in which all neurons fire."""
    fed = agent.layers if agent.spike_input else agent.layers[1:]
    synapses = sum(x.weights.size for x in fed)
    synapses += sum(x.recurrent.size for x in agent.layers if x.recurrent is not None)
    return agent.time_steps * synapses
