"""C source of spiking programs with execution ``events``, in float."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.export import c_text
from snn_gym.export.c_base import number
from snn_gym.export.c_spiking import FLOAT, SpikingSource
from snn_gym.program.events import Idling
from snn_gym.program.expressions import STEPS, Expression, names_in, own, print_lines
from snn_gym.program.network import NeuronLayer, Program
from snn_gym.program.neuron import Equations, Neuron, equations, idle_equations

# Closed forms cancel: they are computed in 64 bits.
_DOUBLE = replace(
    FLOAT,
    constant=lambda x: number(x).removesuffix("f"),
    assignment="const double {name} = {value};",
    functions={
        **{operator: call.removesuffix("f") for operator, call in FLOAT.functions.items()},
        "**": "power",
    },
)
_NEVER_IDLE = 1e30
_MOST_STEPS = 64  # up to which repeated time steps take fewer instructions than a closed form
_NEW, _HIGHEST = "new_", "new_highest"  # prefix and name that no state variable has


class EventSource(SpikingSource):
    """C files of a spiking program whose neurons are updated only when they receive."""

    helpers, currents = c_text.RECEIVE + "\n" + c_text.POWER, c_text.RECEIVED
    added, updated = c_text.RECEIVE_ROWS, c_text.EVENTS_UPDATED

    def __init__(self, program: Program, name: str, title: str) -> None:
        super().__init__(program, name, title)
        if program.held:
            raise ValueError(
                "the currents of encoder 'constant' arrive at every time step, and execution "
                "'events' is written in C for spikes; train on spikes, or leave 'events' out"
            )
        self._idling = [Idling(layer) for layer in program.neurons]

    @property
    def state_bytes(self) -> int:
        """Memory of the state, in bytes, with the time of each neuron's update."""
        return super().state_bytes + 5 * sum(self.sizes) + 4

    def _adds_rows(self) -> bool:
        return True

    def _header(self) -> Mapping[str, str]:
        found = super()._header()
        return {**found, "costs": f"by events, at most {found['costs']}"}

    def _neuron_text(self, neuron: type[Neuron], name: str, each: bool) -> str:
        # The functions get one neuron at a time, with its own constants gathered.
        text = equations(neuron)
        gathered = c_text.GATHERED.format(count=len(text.constants)) if each else ""
        update = c_text.UPDATE.format(
            name=name,
            count=len(text.state),
            gathered=gathered,
            p="p" if each else "constants",
            most=_MOST_STEPS,
        )
        return "\n".join(
            [super()._neuron_text(neuron, name, False), _idle_text(neuron, name), update]
        )

    def _tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield from super()._tables()
        for k, (layer, idling) in enumerate(
            zip(self.program.neurons, self._idling, strict=True), start=1
        ):
            yield f"shifts_{k}", idling.shift.reshape(-1).astype(np.float32)
            excess = np.minimum(idling.excess, _NEVER_IDLE)
            yield f"excess_{k}", excess.astype(np.float32)
            rest = dict(zip(layer.neuron.state, layer.rest[:, np.newaxis], strict=True))
            yield f"awake_{k}", idling.may_fire(rest)[0].astype(np.int8)

    def _state_fields(self) -> Iterator[str]:
        yield from super()._state_fields()
        for k, size in enumerate(self.sizes, start=1):
            yield c_text.EVENTS_STATE.format(k=k, size=size)
        yield "    uint32_t now; /* time steps of the episode */"

    def _reset(self) -> Iterator[str]:
        *lines, end = super()._reset()
        yield from lines
        yield from (c_text.EVENTS_RESTED.format(k=k + 1) for k in range(len(self.sizes)))
        yield "    state->now = 0;"
        yield end

    def _layer(self, k: int, layer: NeuronLayer) -> Iterator[str]:
        if k == 1:
            yield "state->now++;"
        yield from super()._layer(k, layer)


def _idle_text(neuron: type[Neuron], name: str) -> str:
    """Return the C functions of one neuron in time without input: its state, and if it may fire."""
    text, idle = equations(neuron), idle_equations(neuron)
    assert idle is not None  # of programs with execution events
    moved = dict(zip((_NEW + x for x in text.state), idle.state, strict=True))
    after = [
        f"state[{s}] = (float)({own(_NEW + x)} + (double)shifts[{s} * size]);"
        for s, x in enumerate(text.state)
    ]
    fires = [f"return {own(_HIGHEST)} + excess > 0.0f;"]
    return c_text.IDLE.format(
        name=name,
        idle=_body(text, moved, after, "double"),
        may_fire=_body(text, {_HIGHEST: idle.margin}, fires, "float"),
    )


def _body(
    text: Equations, targets: Mapping[str, Expression], after: Sequence[str], number: str
) -> str:
    """Return the lines of a C function that computes ``targets`` in a type of numbers."""
    used = names_in(*targets.values())
    given = {x: f"constants[{k}]" for k, x in enumerate(text.constants)}
    given |= {
        x: f"({number})state[{s}] - ({number})shifts[{s} * size]" for s, x in enumerate(text.state)
    }
    given[STEPS] = "steps"
    lines = [f"const {number} {own(x)} = {value};" for x, value in given.items() if x in used]
    style = _DOUBLE if number == "double" else FLOAT
    return "\n".join(f"    {x}" for x in [*lines, *print_lines(targets, style), *after])
