"""Export of an agent as C99: one header, one source and a program that reads observations.

A decision is computed event by event: weights of the neurons that fired are added, row by row, in
the order of the project's own kernels, so that spikes are theirs bit for bit (of one observation at
a time, compiled without fused multiply-adds, as ``-std=c99`` says to GCC). Nothing is allocated and
no library is called but ``math.h`` and ``string.h``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.export import c_text
from snn_gym.export.portable import PortableAgent, PortableLayer, portable
from snn_gym.storage import write_text_atomic

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_FLOAT_BYTES, _INT_BYTES = 4, 4
_LINE = 96


@dataclass(frozen=True)
class CFiles:
    """What ``to_c`` wrote."""

    header: Path
    source: Path
    program: Path
    """Reads observations from the standard input and writes actions."""
    constant_bytes: int
    """Memory of the constants."""
    state_bytes: int
    """Memory of the state."""


def to_c(
    model: BaseAlgorithm | BasePolicy,
    folder: str | os.PathLike[str],
    *,
    name: str = "agent",
    title: str = "",
) -> CFiles:
    """Write an agent as C source.

    Args:
        model: Algorithm with a spiking policy, or the policy.
        folder: Folder to write ``NAME.h``, ``NAME.c`` and ``main.c`` into; it is made.
        name: What functions, types and files are called after: lower-case letters, digits and
            underscores.
        title: What the header says that the agent is.

    Raises:
        ValueError: The name is none in C, or the agent has no form outside of the project.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"name {name!r} must be at most 32 lower-case letters, digits and underscores, a "
            "letter first; such as 'agent'"
        )
    source = _Source(portable(model), name, " ".join(title.replace("*/", "").split()))
    files = CFiles(
        *(Path(folder) / file for file in (f"{name}.h", f"{name}.c", "main.c")),
        constant_bytes=source.constant_bytes,
        state_bytes=source.state_bytes,
    )
    files.header.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(files.header, source.header())
    write_text_atomic(files.source, source.source())
    write_text_atomic(files.program, source.program())
    return files


class _Source:
    """The text of an agent's files."""

    def __init__(self, agent: PortableAgent, name: str, title: str) -> None:
        self._agent, self._name, self._title = agent, name, title or "an agent"
        self._tables = dict(_tables(agent))
        self.constant_bytes = sum(x.size for x in self._tables.values()) * _FLOAT_BYTES
        spikes = sum(x.size for x in agent.layers)
        numbers = sum(x.rest.size for x in agent.layers) + agent.coefficients[1:].shape[0] * (
            agent.layers[-1].size
        )
        self.state_bytes = numbers * _FLOAT_BYTES + spikes

    def header(self) -> str:
        agent, name = self._agent, self._name
        discrete = agent.choice == "argmax"
        count = 1 if discrete else agent.outputs
        steps, sizes = agent.time_steps, [x.size for x in agent.layers]
        widest = max([agent.inputs, *sizes])
        return c_text.HEADER.format(
            title=self._title, name=name, upper=name.upper(), guard=f"{name.upper()}_H",
            time_steps=steps, inputs=agent.inputs, actions=count,
            macs=_macs(agent), updates=steps * sum(sizes), additions=_additions(agent),
            constant_bytes=self.constant_bytes, state_bytes=self.state_bytes,
            stack_bytes=_round_up(
                _FLOAT_BYTES * (agent.inputs + 3 * widest * (1 + len(agent.coefficients)))
                + _INT_BYTES * widest + 512
            ),
            lasting="" if agent.stateful else ": nothing, only room to decide in",
            state_fields="\n".join(_state_fields(agent)),
            action_comment="/* The action: " + (
                "its number. */" if discrete else f"{count} values within their limits. */"
            ),
            action_type="int" if discrete else f"struct {{ float values[{count}]; }}",
            observation_comment=_observation_comment(agent),
            action_written="the action is written",
        )  # fmt: skip

    def source(self) -> str:
        agent, name = self._agent, self._name
        kinds = sorted({layer.kind for layer in agent.layers})
        parts = [
            f"/* Weights and decisions of {self._title}; see {name}.h. Compile with -std=c99 -O3. "
            "*/",
            f'#include "{name}.h"\n\n#include <math.h>\n#include <string.h>',
            *(_table(key, values) for key, values in self._tables.items()),
            c_text.HELPERS.rstrip(),
            *([] if agent.spike_input else [c_text.ADD_PRODUCTS.rstrip()]),
            *(c_text.NEURONS[kind].rstrip() for kind in kinds),
            "\n".join(self._reset()),
            "\n".join(self._step()),
        ]
        return "\n\n".join(parts) + "\n"

    def program(self) -> str:
        agent, name = self._agent, self._name
        size = f"{name.upper()}_INPUTS"
        if agent.spike_input:
            size += f" * {name.upper()}_TIME_STEPS"
        if agent.choice == "argmax":
            shown = '        printf("%d\\n", action);'
        else:
            shown = (
                f"        for (int k = 0; k < {name.upper()}_ACTIONS; k++) {{\n"
                '            printf(k ? " %.9g" : "%.9g", (double)action.values[k]);\n'
                '        }\n        printf("\\n");'
            )
        values = agent.inputs * (agent.time_steps if agent.spike_input else 1)
        return c_text.MAIN.format(
            name=name, observation_size=size, print_action=shown, line_size=64 + 32 * values
        )

    def _reset(self) -> Iterator[str]:
        yield f"void {self._name}_reset({self._name}_state *state) {{"
        for k in range(1, len(self._agent.layers) + 1):
            yield f"    memcpy(state->neurons_{k}, rest_{k}, sizeof rest_{k});"
            yield f"    memset(state->spikes_{k}, 0, sizeof state->spikes_{k});"
        if _keeps_readout(self._agent):
            yield "    memset(state->readout, 0, sizeof state->readout);"
        yield "}"

    def _step(self) -> Iterator[str]:
        agent, name = self._agent, self._name
        last, widest = agent.layers[-1].size, max([agent.inputs, *(x.size for x in agent.layers)])
        yield (
            f"void {name}_step({name}_state *state, const float *observation, "
            f"{name}_action *action) {{"
        )
        yield f"    float decoded[{len(agent.coefficients)}][{last}] = {{{{0.0f}}}};"
        yield f"    float outputs[{agent.outputs}];"
        yield f"    int places[{widest}];"
        if not agent.stateful:
            yield f"    {name}_reset(state);"
        yield from self._held()
        yield f"    for (int t = 0; t < {agent.time_steps}; t++) {{"
        for k, layer in enumerate(agent.layers, start=1):
            yield from self._layer(k, layer)
        yield f"        const int fired = places_of(state->spikes_{len(agent.layers)}, {last}, places);"
        yield "        for (int k = 0; k < fired; k++) {"
        for r in range(len(agent.coefficients)):
            yield f"            decoded[{r}][places[k]] += coefficients[{r}][t];"
        yield "        }"
        yield "    }"
        yield from self._readout()
        yield from self._chosen()
        yield "}"

    def _held(self) -> Iterator[str]:
        """Give the currents of a held observation, which are the same at all time steps."""
        agent = self._agent
        if agent.spike_input:
            return
        size = agent.layers[0].size
        yield f"    float values[{agent.inputs}], held[{size}];"
        yield f"    for (int d = 0; d < {agent.inputs}; d++) {{"
        if agent.normaliser is None:
            yield "        values[d] = observation[d];"
        else:
            limit = _number(agent.normaliser.clip)
            yield "        const float x = (observation[d] - means[d]) / deviations[d];"
            yield f"        values[d] = x < -{limit} ? -{limit} : (x > {limit} ? {limit} : x);"
        yield "    }"
        yield "    memcpy(held, biases_1, sizeof held);"
        yield f"    add_products(&weights_1[0][0], {agent.inputs}, {size}, values, held);"

    def _layer(self, k: int, layer: PortableLayer) -> Iterator[str]:
        agent, size = self._agent, layer.size
        held = k == 1 and not agent.spike_input
        currents = "held" if held and layer.recurrent is None else f"currents_{k}"
        yield "        {"
        if currents != "held":
            yield f"            float currents_{k}[{size}];"
            start = "held" if held else f"biases_{k}"
            yield f"            memcpy(currents_{k}, {start}, sizeof currents_{k});"
        if not held:
            source = f"state->spikes_{k - 1}"
            inputs = layer.weights.shape[0]
            if k == 1:
                yield f"            unsigned char seen[{inputs}];"
                yield f"            for (int d = 0; d < {inputs}; d++) {{"
                yield f"                seen[d] = observation[t * {inputs} + d] != 0.0f;"
                yield "            }"
                source = "seen"
            yield f"            const int count = places_of({source}, {inputs}, places);"
            yield f"            add_rows(&weights_{k}[0][0], {size}, places, count, {currents});"
        if layer.recurrent is not None:
            yield (
                f"            const int looped = places_of(state->spikes_{k}, {size}, places);"
            )
            yield f"            add_rows(&recurrent_{k}[0][0], {size}, places, looped, {currents});"
        kind = c_text.NAMES[layer.kind]
        yield (
            f"            {kind}(constants_{k}, {currents}, state->neurons_{k}, {size}, "
            f"state->spikes_{k});"
        )
        yield "        }"

    def _readout(self) -> Iterator[str]:
        agent = self._agent
        last = agent.layers[-1].size
        if _keeps_readout(agent):
            rows = len(agent.coefficients)
            yield f"    for (int n = 0; n < {last}; n++) {{"
            yield f"        float before[{rows - 1}];"
            yield f"        for (int s = 0; s < {rows - 1}; s++) {{"
            yield "            before[s] = state->readout[s][n];"
            yield "        }"
            yield f"        for (int r = 0; r < {rows}; r++) {{"
            yield f"            for (int s = 0; s < {rows - 1}; s++) {{"
            yield "                decoded[r][n] += transition[r][s] * before[s];"
            yield "            }"
            yield "        }"
            yield f"        for (int s = 0; s < {rows - 1}; s++) {{"
            yield "            state->readout[s][n] = decoded[s + 1][n];"
            yield "        }"
            yield "    }"
        yield f"    for (int o = 0; o < {agent.outputs}; o++) {{"
        yield "        outputs[o] = head_biases[o];"
        yield f"        for (int n = 0; n < {last}; n++) {{"
        yield "            outputs[o] += head_weights[o][n] * decoded[0][n];"
        yield "        }"
        yield "    }"

    def _chosen(self) -> Iterator[str]:
        agent = self._agent
        if agent.choice == "argmax":
            yield "    int best = 0;"
            yield f"    for (int o = 1; o < {agent.outputs}; o++) {{"
            yield "        best = outputs[o] > outputs[best] ? o : best;"
            yield "    }"
            first = f" + {agent.first_action}" if agent.first_action else ""
            yield f"    *action = best{first};"
            return
        yield f"    for (int o = 0; o < {agent.outputs}; o++) {{"
        if agent.choice == "squash":
            yield "        const float share = 0.5f * (tanhf(outputs[o]) + 1.0f);"
            yield "        action->values[o] = lows[o] + share * (highs[o] - lows[o]);"
        else:
            yield "        const float x = outputs[o];"
            yield (
                "        action->values[o] = x < lows[o] ? lows[o] : (x > highs[o] ? highs[o] : x);"
            )
        yield "    }"


def _tables(agent: PortableAgent) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Give the constant arrays by name."""
    if agent.normaliser is not None:
        yield "means", agent.normaliser.mean
        yield "deviations", agent.normaliser.std
    for k, layer in enumerate(agent.layers, start=1):
        yield f"constants_{k}", layer.constants
        yield f"rest_{k}", layer.rest.reshape(-1)
        yield f"weights_{k}", layer.weights
        yield f"biases_{k}", layer.biases
        if layer.recurrent is not None:
            yield f"recurrent_{k}", layer.recurrent
    yield "coefficients", agent.coefficients
    if _keeps_readout(agent):
        yield "transition", agent.transition
    yield "head_weights", agent.head_weights
    yield "head_biases", agent.head_biases
    if agent.choice != "argmax":
        yield "lows", agent.low
        yield "highs", agent.high


def _table(name: str, values: NDArray[np.float32]) -> str:
    sizes = "".join(f"[{x}]" for x in values.shape)
    return f"static const float {name}{sizes} = {{\n{_lines(values)}\n}};"


def _lines(values: NDArray[np.float32]) -> str:
    """Return numbers as C text, a row of a matrix in braces of its own."""
    if values.ndim == 2:
        return ",\n".join(f"    {{\n{_lines(row)}\n    }}" for row in values)
    lines = [""]
    for text in (_number(x) for x in values):
        if len(lines[-1]) + len(text) + 2 > _LINE:
            lines.append("")
        lines[-1] += f"{text}, "
    return "\n".join(f"    {line.rstrip(' ')}" for line in lines).rstrip(",")


def _number(value: float) -> str:
    """Return a float32 as C text that is read as the same number."""
    text = f"{value:.9g}"
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"


def _state_fields(agent: PortableAgent) -> Iterator[str]:
    for k, layer in enumerate(agent.layers, start=1):
        yield f"    float neurons_{k}[{layer.rest.size}]; /* {', '.join(_variables(layer))} */"
        yield f"    unsigned char spikes_{k}[{layer.size}]; /* of the last time step */"
    if _keeps_readout(agent):
        rows, last = len(agent.coefficients) - 1, agent.layers[-1].size
        yield f"    float readout[{rows}][{last}];"


def _variables(layer: PortableLayer) -> Sequence[str]:
    return ("potentials", "currents", "thresholds")[: len(layer.rest)]


def _keeps_readout(agent: PortableAgent) -> bool:
    return agent.stateful and len(agent.coefficients) > 1


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


def _round_up(size: int) -> int:
    return -(-size // 256) * 256
