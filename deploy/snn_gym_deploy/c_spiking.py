"""C source of spiking programs: encoders, neurons printed from their texts, network."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.program import (
    DISTANCE,
    INPUT,
    INTEGRATED,
    INTENSITY_RANGE,
    Expression,
    LatencyEncoder,
    Neuron,
    NeuronLayer,
    PopulationEncoder,
    Program,
    RateEncoder,
    ReceptiveFields,
    SpikeEncoder,
    Style,
    encoder_name,
    equations,
    name_of,
    own,
    print_lines,
    walk,
)
from snn_gym_deploy import c_text
from snn_gym_deploy.c_base import Source, number, synapses_of
from snn_gym_deploy.fixed_point import GAIN_BITS
from snn_gym_deploy.integer import SILENT, SPIKED, Unit, stages, units_of

# ---- c encoder -----------------------------------------------------------------------------------
_REGULAR = "floorf((float)(t + 1) * activity[c]) > floorf((float)t * activity[c])"


def check_encoder(encoder: SpikeEncoder | ReceptiveFields) -> None:
    """Raise ValueError for an encoder that needs noise, compares observations or is a user's."""
    known = (RateEncoder, PopulationEncoder, LatencyEncoder, ReceptiveFields)
    drawn = isinstance(encoder, SpikeEncoder) and encoder.needs_noise
    if drawn or type(encoder) not in known:
        raise ValueError(
            f"encoder {encoder_name(encoder)!r}{' of Poisson timing' if drawn else ''} is not "
            "exported; train with encoder 'constant', or with 'population', 'rate' or 'latency' of "
            "regular timing"
        )


def encoder_tables(encoder: SpikeEncoder | ReceptiveFields) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the constant arrays of an encoder by name."""
    if isinstance(encoder, ReceptiveFields | PopulationEncoder):
        yield "centres", encoder.centres.reshape(-1)
    if isinstance(encoder, ReceptiveFields):
        yield "widths", encoder.widths.reshape(-1)


def encoded(
    encoder: SpikeEncoder | ReceptiveFields, inputs: int, channels: int, time_steps: int
) -> str:
    """Return the lines of C that compute ``activity`` from ``values``, once for a decision."""
    fields = channels // inputs
    if isinstance(encoder, ReceptiveFields):
        return c_text.LEARNED_FIELDS.format(channels=channels, fields=fields)
    if isinstance(encoder, PopulationEncoder):
        steepness = number(encoder.steepness)
        activity = c_text.FIELDS.format(fields=fields, steepness=steepness)
    elif isinstance(encoder, LatencyEncoder):
        last = number(float(time_steps - 1))
        activity = f"        activity[d] = floorf((1.0f - x) * {last} + 0.5f);"
    else:
        activity = "        activity[d] = x;"
    span = number(2.0 * INTENSITY_RANGE)
    return c_text.ACTIVITY.format(inputs=inputs, channels=channels, range=span, activity=activity)


def seen_at(encoder: SpikeEncoder | ReceptiveFields) -> str:
    """Return the lines of C of a channel's spike at time step ``t``, in ``seen[c]``."""
    if isinstance(encoder, ReceptiveFields):
        return c_text.SUMMED.format(limit=number(float(np.float32(INTEGRATED))))
    late = isinstance(encoder, LatencyEncoder)
    return f"    seen[c] = {'activity[c] == (float)t' if late else _REGULAR};"


# ---- c neuron ------------------------------------------------------------------------------------
FLOAT = Style(
    constant=number,
    assignment="const float {name} = {value};",
    where="({0} ? {1} : {2})",
    functions={
        "abs": "fabsf", "exp": "expf", "exp_of_negative": "expf", "log": "logf", "sqrt": "sqrtf",
        "tanh": "tanhf", "maximum": "fmaxf", "minimum": "fminf",
    },
)  # fmt: skip
_FIXED = Style(
    constant=lambda number: "0" if number == 0 else str(round(number * 2**GAIN_BITS)),
    assignment="const int32_t {name} = saturated({value});",
    where="({0} ? {1} : {2})",
    functions={"*": "share", "maximum": "larger", "minimum": "smaller"},
)


def neuron_function(
    neuron: type[Neuron], name: str, *, each: bool = False, fixed: bool = False
) -> str:
    """Return the text of the C function that advances a layer by a time step.

    In fixed point currents, state variables and shared results are saturated.
    """
    stored, given, inner = ("int16_t", "int32_t", "int32_t") if fixed else ("float",) * 3
    place = "{0} * size + n" if each else "{0}"
    constants = [
        f"const {inner} {own(x)} = constants[{place.format(k)}];"
        for k, x in enumerate(equations(neuron).constants)
    ]
    body = advanced(neuron, "saturated(currents[n])" if fixed else "currents[n]", fixed=fixed)
    first, body = ([], [*constants, *body]) if each else (constants, body)
    lines = [*first, "for (int n = 0; n < size; n++) {", *(f"    {x}" for x in body), "}"]
    indent = " " * (len("static inline void ") + len(name) + 1)
    return (
        f"static inline void {name}(const {stored} *constants, const {given} *currents,\n"
        f"{indent}{stored} *state, int size, unsigned char *spikes) {{\n"
        + "".join(f"    {x}\n" for x in lines)
        + "}\n"
    )


def advanced(
    neuron: type[Neuron],
    current: str,
    places: Sequence[str] = (),
    spike: str = "spikes[n]",
    *,
    fixed: bool = False,
) -> list[str]:
    """Return the lines of C that advance a neuron; ``places`` hold its state."""
    text, style, inner, stored = equations(neuron), FLOAT, "float", "float"
    step, left = stages(text)
    if fixed:
        style, inner, stored, units = _FIXED, "int32_t", "int16_t", units_of(neuron)
        step, left = _shares_first(step, units), _shares_first(left, units)
    places = places or [_place(s) for s in range(len(text.state))]
    lines = [
        *(f"const {inner} {own(x)} = {y};" for x, y in zip(text.state, places, strict=True)),
        f"const {inner} {own(INPUT)} = {current};",
        *print_lines(step, style),
        f"const int fired = {own(DISTANCE)} > 0;",
        *print_lines(left, style, "u"),
    ]
    for x, place in zip(text.state, places, strict=True):
        spiked = f"fired ? {own(SPIKED + x)} : " if SPIKED + x in left else ""
        lines.append(f"{place} = ({stored})({spiked}{own(SILENT + x)});")
    return [*lines, f"{spike} = (unsigned char)fired;"]


def _place(variable: int) -> str:
    return "state[n]" if variable == 0 else f"state[{variable} * size + n]"


def _shares_first(
    targets: Mapping[str, Expression], units: Mapping[str, Unit]
) -> dict[str, Expression]:
    """Return expressions with the share as the first factor of every product."""
    sorted_nodes: dict[int, Expression] = {}
    for node in walk(*targets.values()):
        inputs = tuple(sorted_nodes[id(x)] for x in node.inputs)
        if node.operator == "*" and not _is_share(node.inputs[0], units):
            inputs = inputs[::-1]
        sorted_nodes[id(node)] = replace(node, inputs=inputs) if inputs else node
    return {label: sorted_nodes[id(root)] for label, root in targets.items()}


def _is_share(node: Expression, units: Mapping[str, Unit]) -> bool:
    if node.operator == "name":
        return units[node.label] == "share"
    return node.operator == "constant" or (
        node.operator == "-x" and _is_share(node.inputs[0], units)
    )


# ---- c source ------------------------------------------------------------------------------------
class SpikingSource(Source):
    """C files of a spiking program, in float; ValueError for an encoder without a form in C."""

    number, sum = "float", "float"  # C types of neurons' numbers and of sums of weights
    places, helpers, products = c_text.PLACES, c_text.HELPERS, c_text.ADD_PRODUCTS
    currents = c_text.CURRENTS

    def __init__(self, program: Program, name: str, title: str) -> None:
        super().__init__(program, name, title)
        if program.coder is not None:
            check_encoder(program.coder)
        self.keeps_readout = program.stateful and program.readout.variables > 0
        self.coefficients: NDArray[Any] = program.readout.coefficients
        self.units = [1] * len(self.sizes)  # of a spike's weight in currents, for each layer

    @property
    def state_bytes(self) -> int:
        """Memory of the state, in bytes."""
        program = self.program
        values = sum(x.rest.size for x in program.neurons)
        values += program.readout.variables * self.sizes[-1] * self.keeps_readout
        return values * self.tables["rest_1"].itemsize + sum(self.sizes)

    def _helpers(self) -> Iterator[str]:
        yield self.places
        layers = self.program.neurons
        if not self.program.held or len(layers) > 1 or layers[0].recurrent is not None:
            yield self.helpers
        if self.program.held or self.program.rows_per_step > 1:
            yield self.products
        yield from self._filter_functions(spikes_from=2 if self.program.held else 1)
        kinds = ((layer.neuron, layer.each) for layer in layers)
        for neuron, each in dict.fromkeys(kinds):
            name, fixed = function_name(neuron, each), self.sum == "int32_t"
            yield neuron_function(neuron, name, each=each, fixed=fixed)

    def _header(self) -> Mapping[str, str]:
        program, widest = self.program, max(self.program.channels, *self.sizes)
        rows = (
            4
            + 2 * len(self.sizes)
            + len(program.readout.coefficients)
            + 3 * (program.coder is not None)
        )
        rows = program.time_steps * program.rows_per_step
        spikes = f"{rows} time steps of {program.inputs} values, 0 or 1"
        values = f"{program.inputs} values in the environment's units"
        return {
            "costs": (
                f"{program.time_steps} time steps; {_macs(program):,} multiply-accumulates, "
                f"{program.time_steps * sum(self.sizes):,} neuron updates,\n"
                f" *   {_additions(program):,} additions of weights if all neurons fire at each "
                "time step"
            ),
            "stack_bytes": f"{-(-4 * widest * rows // 1024) * 1024:,}",
            "lasting": "" if program.stateful else ": nothing, it is only room to decide in",
            "state_fields": "\n".join(self._state_fields()),
            "observation_comment": spikes if program.spike_input else values,
        }

    def _own_tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if self.program.coder is not None:
            yield from encoder_tables(self.program.coder)
        yield from self._layer_tables()
        yield "coefficients", self.coefficients
        if self.keeps_readout:
            yield "transition", self.program.readout.transition
        yield from zip(("head_weights", "head_biases"), self.head, strict=True)

    def _state_fields(self) -> Iterator[str]:
        for k, layer in enumerate(self.program.neurons, start=1):
            held = ", ".join(layer.neuron.state)
            yield f"    {self.number} neurons_{k}[{layer.rest.size}]; /* {held} */"
            yield f"    unsigned char spikes_{k}[{layer.size}]; /* of the last time step */"
        if self.keeps_readout:
            rows, last = self.program.readout.variables, self.sizes[-1]
            yield f"    float readout[{rows}][{last}];"

    def _reset(self) -> Iterator[str]:
        yield f"void {self.name}_reset({self.name}_state *state) {{"
        yield from (c_text.RESTED.format(k=k + 1) for k in range(len(self.sizes)))
        if self.keeps_readout:
            yield "    memset(state->readout, 0, sizeof state->readout);"
        yield "}"

    def _step(self) -> Iterator[str]:
        program, last = self.program, self.sizes[-1]
        decoder = program.readout
        rows = len(decoder.coefficients) if self.keeps_readout else 1
        yield c_text.STEP.format(
            signature=self._signature(), sum=self.sum, rows=rows, last=last,
            outputs=program.outputs, places=max(program.channels, *self.sizes),
        )  # fmt: skip
        if not program.stateful:
            yield f"    {self.name}_reset(state);"
        if program.held:
            yield from self._held(self.sizes[0])
        if program.coder is not None:
            yield from self._standardise()
            yield encoded(program.coder, program.inputs, program.channels, program.time_steps)
        yield f"    for (int t = 0; t < {program.time_steps}; t++) {{"
        for k, layer in enumerate(program.neurons, start=1):
            lines = textwrap.indent("\n".join(self._layer(k, layer)), " " * 12)
            yield f"        {{\n{lines}\n        }}"
        added = "            decoded[{0}][places[k]] += coefficients[{0}][t];"
        sums = "\n".join(added.format(r) for r in range(rows))
        yield c_text.DECODED.format(count=len(self.sizes), last=last, sums=sums)
        if self.keeps_readout:
            yield c_text.CARRY.format(rows=decoder.variables, values=1, size=last)
        yield self._read("decoded[0]", last)
        yield self._choose()
        yield "}"

    def _held(self, size: int) -> Iterator[str]:
        """Yield the lines that fill ``held``, the currents of an observation at all time steps."""
        yield from self._standardise()
        added = self._added(1, "values", self.program.inputs, size, "held")
        yield c_text.HELD.format(size=size, added=added)

    def _layer(self, k: int, layer: NeuronLayer) -> Iterator[str]:
        """Yield the lines of a layer's time step."""
        held = k == 1 and self.program.held
        base, size, source = "held" if held else f"biases_{k}", layer.size, "held"
        if not held or layer.recurrent is not None:
            driven, source = "\n".join(self._driven(k, layer, held)), "currents"
            given = {"base": base, "driven": driven, "unit": self.units[k - 1]}
            yield self.currents.format(k=k, size=size, **given)
        name = function_name(layer.neuron, layer.each)
        yield c_text.UPDATED.format(name=name, k=k, currents=source, size=size)

    def _driven(self, k: int, layer: NeuronLayer, held: bool) -> Iterator[str]:
        """Yield the lines that add the weights of spikes to ``currents``."""
        inputs, size = layer.weights.shape
        together = self.program.rows_per_step
        if k == 1 and together > 1:
            yield c_text.TOGETHER.format(
                type=self.types[0], name="entering", inputs=inputs, rows=together, t="t"
            )
            yield self._added(k, "entering", inputs, size, "currents")
        elif not held:
            source = f"state->spikes_{k - 1}"
            if k == 1:
                source, coder = "seen", self.program.coder
                spike = f"    seen[d] = observation[t * {inputs} + d] != 0.0f;"
                place, lines = ("d", spike) if coder is None else ("c", seen_at(coder))
                yield c_text.SEEN.format(channels=inputs, place=place, lines=lines)
            if self._filtered(k) is not None:
                yield f"filter_{k}({source}, currents);"
                return  # a convolution is not recurrent
            yield f"const int count = places_of({source}, {inputs}, places);"
            yield c_text.ADDED.format(weights=f"weights_{k}", size=size, count="count")
        if layer.recurrent is not None:
            yield f"const int looped = places_of(state->spikes_{k}, {size}, places);"
            yield c_text.ADDED.format(weights=f"recurrent_{k}", size=size, count="looped")


def function_name(neuron: type[Neuron], each: bool) -> str:
    """Return the name of the C function of a time step, of which ``each`` has own constants."""
    return f"advance_{name_of(neuron)}{'_each' if each else ''}"


def _macs(program: Program) -> int:
    """Return the multiply-accumulates of input or encoder and of the readout in a decision."""
    coder = program.coder
    entering = synapses_of(program.neurons[0]) if program.held else 0
    if coder is not None:
        entering = coder.macs(program.inputs, program.time_steps)
        entering += program.inputs * isinstance(coder, SpikeEncoder)  # for the intensities
    return entering + program.head.weights.size


def _additions(program: Program) -> int:
    """Return the additions of weights of a decision in which all neurons fire."""
    fed = program.neurons[1:] if program.held else program.neurons
    loops = [x.recurrent for x in program.neurons if x.recurrent is not None]
    return program.time_steps * (sum(map(synapses_of, fed)) + sum(x.size for x in loops))
