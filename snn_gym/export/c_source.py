"""The C files of a spiking program, in float; ``c_fixed`` says what differs in fixed point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from snn_gym.export import c_text
from snn_gym.export.c_base import Source
from snn_gym.export.c_encoder import check_encoder, encoded, encoder_tables, seen_at
from snn_gym.export.c_neuron import float_neuron
from snn_gym.program.encoders import SpikeEncoder
from snn_gym.program.network import NeuronLayer, Program
from snn_gym.program.neuron import Neuron
from snn_gym.program.neurons import name_of


class SpikingSource(Source):
    """The files of a spiking program, in float.

    Args:
        program: What is written.
        name: What functions, types and files are called after.
        title: What the header says that it is.
    """

    number, sum = "float", "float"
    """C types of neurons' numbers and of what adds weights up."""
    places, helpers, products = c_text.PLACES, c_text.HELPERS, c_text.ADD_PRODUCTS

    def __init__(self, program: Program, name: str, title: str) -> None:
        super().__init__(program, name, title)
        if program.coder is not None:
            check_encoder(program.coder)
        self.keeps_readout = program.stateful and program.readout.variables > 0

    @property
    def state_bytes(self) -> int:
        """Memory of the state."""
        program = self.program
        values = sum(x.rest.size for x in program.neurons)
        values += program.readout.variables * self.sizes[-1] * self.keeps_readout
        return values * self.tables["rest_1"].itemsize + sum(self.sizes)

    def _helpers(self) -> Iterator[str]:
        yield self.places
        if not self.program.held or self._adds_rows():
            yield self.helpers
        if self.program.held:
            yield self.products
        yield from self._neuron_texts()

    def _neuron_texts(self) -> Iterator[str]:
        """Give the functions of the layers' neurons, each once."""
        kinds = ((layer.neuron, layer.each) for layer in self.program.neurons)
        for neuron, each in dict.fromkeys(kinds):
            yield self._neuron_text(neuron, _function_name(neuron, each), each)

    def _neuron_text(self, neuron: type[Neuron], name: str, each: bool) -> str:
        return float_neuron(neuron, name, each=each)

    def _header(self) -> Mapping[str, str]:
        program, widest = self.program, max(self.program.channels, *self.sizes)
        rows = 4 + 2 * len(self.sizes) + len(program.readout.coefficients)
        rows += 3 * (program.coder is not None)
        spikes = f"{program.time_steps} time steps of {program.inputs} values, 0 or 1"
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

    def _tables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        program = self.program
        yield from self._input_tables()
        if program.coder is not None:
            yield from encoder_tables(program.coder)
        for k, layer in enumerate(program.neurons, start=1):
            yield f"constants_{k}", layer.constants.reshape(-1)
            yield f"rest_{k}", layer.rest.reshape(-1)
            yield f"weights_{k}", layer.weights
            yield f"biases_{k}", layer.biases
            if layer.recurrent is not None:
                yield f"recurrent_{k}", layer.recurrent
        yield "coefficients", program.readout.coefficients
        if self.keeps_readout:
            yield "transition", program.readout.transition
        yield "head_weights", program.head.weights
        yield "head_biases", program.head.biases
        yield from self._limit_tables()

    def _adds_rows(self) -> bool:
        """Tell whether a layer is driven by spikes, its own or another's."""
        layers = self.program.neurons
        return len(layers) > 1 or layers[0].recurrent is not None

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
        for k in range(1, len(self.program.neurons) + 1):
            yield f"    memcpy(state->neurons_{k}, rest_{k}, sizeof rest_{k});"
            yield f"    memset(state->spikes_{k}, 0, sizeof state->spikes_{k});"
        if self.keeps_readout:
            yield "    memset(state->readout, 0, sizeof state->readout);"
        yield "}"

    def _step(self) -> Iterator[str]:
        program, last, count = self.program, self.sizes[-1], len(self.sizes)
        yield from self._signature()
        yield f"    {self.sum} decoded[{self._readout_rows()}][{last}];"
        yield f"    {self.sum} outputs[{program.outputs}];"
        yield f"    int places[{max(program.channels, *self.sizes)}];"
        yield "    memset(decoded, 0, sizeof decoded);"
        if not program.stateful:
            yield f"    {self.name}_reset(state);"
        if program.held:
            yield from self._held(self.sizes[0])
        if program.coder is not None:
            yield from self._standardise()
            coded = program.inputs, program.channels, program.time_steps
            yield from encoded(program.coder, *coded)
        yield f"    for (int t = 0; t < {program.time_steps}; t++) {{"
        for k, layer in enumerate(program.neurons, start=1):
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
            yield c_text.CARRY.format(
                rows=program.readout.variables, values=program.readout.values, size=last
            )
        yield from self._read_decoded(last)
        yield from self._choose()
        yield "}"

    def _readout_rows(self) -> int:
        decoder = self.program.readout
        return len(decoder.coefficients) if self.keeps_readout else decoder.values

    def _read_decoded(self, size: int) -> Iterator[str]:
        """Give the outputs of the values that were decoded, or of their maximum."""
        decoder, outputs = self.program.readout, self.program.outputs
        if decoder.values > 1 and decoder.maximum == "outputs":
            yield c_text.READ_MAXIMA.format(outputs=outputs, size=size, values=decoder.values)
            return
        if decoder.values > 1:
            yield c_text.MAXIMA.format(size=size, values=decoder.values)
        yield self._read("decoded[0]", size)

    def _held(self, size: int) -> Iterator[str]:
        """Give the currents of a held observation, which are the same at all time steps."""
        yield from self._standardise()
        yield f"    float held[{size}];"
        yield "    memcpy(held, biases_1, sizeof held);"
        yield f"    add_products(&weights_1[0][0], {self.program.inputs}, {size}, values, held);"

    def _layer(self, k: int, layer: NeuronLayer) -> Iterator[str]:
        """Give what a layer does at a time step."""
        held = k == 1 and self.program.held
        if held and layer.recurrent is None:
            currents = "held"
        else:
            currents = "currents"
            yield f"float currents[{layer.size}];"
            yield f"memcpy(currents, {'held' if held else f'biases_{k}'}, sizeof currents);"
            yield from self._driven(k, layer, held=held)
        yield self._updated(k, layer, currents)

    def _driven(self, k: int, layer: NeuronLayer, *, held: bool) -> Iterator[str]:
        """Give the addition to ``currents`` of what spikes bring, the input's and the layer's."""
        inputs, size = layer.weights.shape
        if not held:
            source = f"state->spikes_{k - 1}"
            if k == 1:
                source = "seen"
                yield f"unsigned char seen[{inputs}];"
                yield from self._seen(inputs)
            yield f"const int count = places_of({source}, {inputs}, places);"
            yield f"add_rows(&weights_{k}[0][0], {size}, places, count, currents);"
        if layer.recurrent is not None:
            yield f"const int looped = places_of(state->spikes_{k}, {size}, places);"
            yield f"add_rows(&recurrent_{k}[0][0], {size}, places, looped, currents);"

    def _seen(self, channels: int) -> Iterator[str]:
        """Give the spikes that enter at a time step."""
        if self.program.coder is not None:
            yield from seen_at(self.program.coder, channels)
            return
        yield f"for (int d = 0; d < {channels}; d++) {{"
        yield f"    seen[d] = observation[t * {channels} + d] != 0.0f;"
        yield "}"

    def _updated(self, k: int, layer: NeuronLayer, currents: str) -> str:
        name = _function_name(layer.neuron, layer.each)
        return (
            f"{name}(constants_{k}, {currents}, state->neurons_{k}, {layer.size}, "
            f"state->spikes_{k});"
        )


def _function_name(neuron: type[Neuron], each: bool) -> str:
    return f"advance_{name_of(neuron)}{'_each' if each else ''}"


def _macs(program: Program) -> int:
    """Return the multiply-accumulates of a decision: of input or encoder, and of the readout."""
    coder = program.coder
    entering = program.neurons[0].weights.size if program.held else 0
    if coder is not None:
        entering = coder.macs(program.inputs, program.time_steps)
        entering += program.inputs * isinstance(coder, SpikeEncoder)  # to an intensity
    return entering + program.head.weights.size


def _additions(program: Program) -> int:
    """Return the additions of weights of a decision in which all neurons fire."""
    fed = program.neurons[1:] if program.held else program.neurons
    synapses = sum(x.weights.size for x in fed)
    synapses += sum(x.recurrent.size for x in program.neurons if x.recurrent is not None)
    return program.time_steps * synapses
