"""Costs of a decision, counted by the same rules for every kind of network.

Costs are numbers of events, not energy: the energy of a synaptic operation or a multiply-accumulate
depends on the hardware. Spikes per synapse compare events with dense products: Davidson
and Furber 2021, https://doi.org/10.3389/fnins.2021.651141.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.program.encoders import ReceptiveFields, SpikeEncoder
from snn_gym.program.interpreter import decide, hidden_before, state_names
from snn_gym.program.layers import (
    GATE_PRODUCTS,
    Array,
    DenseLayer,
    GatedLayer,
    LeakyLayer,
    NeuronLayer,
)
from snn_gym.program.program import Program

# ---- costs ---------------------------------------------------------------------------------------
NUMBER_BYTES = 4  # of a float32


@dataclass(frozen=True)
class CostColumn:
    """A cost's heading and definition in tables."""

    heading: str
    definition: str


READOUT = "readout"
"""Name of the map to the outputs."""
NORMALISER = "normaliser"
"""Name of the standardisations of observations."""
ACTION = "action"
"""Name of the scaling of outputs to the range of actions."""
EXTRACTOR = "extractor"
"""Name of a policy's features extractor."""

NOT_COUNTED = "not counted"
"""Text in place of a total if a module of the acting path is not counted."""

OPERATIONS = ("synops_per_decision", "macs_per_decision", "neuron_updates_per_decision")
"""Costs whose sum is the operations of a decision."""

COST_COLUMNS: dict[str, CostColumn] = {
    "operations_per_decision": CostColumn(
        "Operations",
        "SynOps, MACs and neuron updates of one decision together, each counted as one; on most "
        "hardware a SynOp, which adds, takes less than a MAC, which multiplies, too",
    ),
    "synops_per_decision": CostColumn(
        "SynOps",
        "synaptic operations in one decision: every spike times its fan-out, summed over layers "
        "and time steps, whoever receives it (a spike that enters an ANN's layer counts as one "
        "that enters spiking neurons); recurrent synapses and those of the readout included, "
        "synapses of weight zero left out",
    ),
    "macs_per_decision": CostColumn(
        "MACs",
        "multiply-accumulates on analogue values in one decision. Products with weights count, for "
        "spiking networks and ANNs alike, only where value and weight are both not zero: of layers "
        "with analogue input (a constant current's once, not at every time step), of the gates of "
        "GRU and LSTM and of a features extractor. To them come "
        "a MAC for each value that is standardised, the arithmetic of the agent's own encoder, the "
        "3 products of the gates of a GRU or LSTM unit, and one for each action that is squashed",
    ),
    "neuron_updates_per_decision": CostColumn(
        "Neuron updates",
        "updates of a neuron's state in one decision: time steps times neurons, the leaky "
        "integrators of a readout included; a unit of an ANN is updated once; an update has the "
        "decay of the state",
    ),
    "spikes_per_decision": CostColumn(
        "Spikes",
        "spikes in one decision, those of an encoder or environment included, summed over layers "
        "and time steps",
    ),
    "messages_per_decision": CostColumn(
        "Messages",
        "spikes in one decision, each counted once for every layer that has synapses from its "
        "layer: the next one or the readout, and its own if it is recurrent",
    ),
    "parameter_bytes_per_decision": CostColumn(
        "Parameter bytes",
        "bytes of parameters read in one decision, 4 at every use, b / 8 of a weight of b bits: "
        "the weight of each SynOp and each MAC with a weight, biases that are not zero (of a "
        "neuron at each update, of ANNs and outputs once), decays of leaky integrators, at "
        "each update the constants of neurons that have constants of their own, "
        "and mean and standard deviation of each value that is standardised",
    ),
    "state_bytes_per_decision": CostColumn(
        "State bytes",
        "bytes of state read in one decision, and as many written: 4 for each state variable at "
        "each update of a neuron, a unit of a GRU or LSTM or a readout's integrator, also for the "
        "last spike of a recurrent neuron and values that an encoder keeps. "
        "Units of other ANNs have no state. Sums of SynOps and MACs, and spikes and activations on "
        "their way, are left out",
    ),
    "spikes_per_synapse": CostColumn(
        "Spikes per synapse",
        "SynOps divided by the synapses that spikes can pass: how often a synapse is used in one "
        "decision, where a dense product uses each once",
    ),
}
"""Every cost by its name in `Costs`."""

_Counts = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of a decision by layer, means over decisions; `COST_COLUMNS` defines each.

    Spikes, messages, synaptic operations and synapses stand under the layer that sends the spikes,
    all other costs under the layer that computes. Other parts of the path have names of their own:
    ``NORMALISER``, "encoder", ``EXTRACTOR``, ``READOUT`` and ``ACTION``.
    """

    spikes_per_decision: _Counts = field(default_factory=dict)
    synops_per_decision: _Counts = field(default_factory=dict)
    macs_per_decision: _Counts = field(default_factory=dict)
    neuron_updates_per_decision: _Counts = field(default_factory=dict)
    messages_per_decision: _Counts = field(default_factory=dict)
    parameter_bytes_per_decision: _Counts = field(default_factory=dict)
    state_bytes_per_decision: _Counts = field(default_factory=dict)
    synapses: _Counts = field(default_factory=dict)
    """Synapses that spikes can pass."""
    uncounted: tuple[str, ...] = ()
    """Modules of the acting path that are not counted; with any, no total is known."""

    @property
    def operations_per_decision(self) -> float | None:
        """Operations of a decision; None if none is known or a module is not counted."""
        known = [total for name in OPERATIONS if (total := self.total(name)) is not None]
        return sum(known) if known else None

    @property
    def spikes_per_synapse(self) -> float | None:
        """Synaptic operations of a decision per synapse; None without synapses or if uncounted."""
        synapses, synops = sum(self.synapses.values()), self.total("synops_per_decision")
        return synops / synapses if synapses and synops is not None else None

    @property
    def spiking_layers(self) -> tuple[str, ...]:
        """Layers of spiking neurons, without the input."""
        return tuple(name for name in self.spikes_per_decision if name != "input")

    @property
    def spikes_reach_outputs(self) -> bool:
        """Whether each spiking layer, at least one, has synapses to pass, recurrent ones too."""
        layers = self.spiking_layers
        return bool(layers) and all(self.synapses.get(name, 0.0) > 0 for name in layers)

    @property
    def hidden_spikes(self) -> float:
        """Spikes of all neurons in a decision, without the input's."""
        return sum(self.spikes_per_decision[name] for name in self.spiking_layers)

    @property
    def firing_rate(self) -> float | None:
        """Spikes per neuron and time step; None without spiking neurons or known updates."""
        counts = self.neuron_updates_per_decision
        updates = sum(counts.get(name, 0.0) for name in self.spiking_layers)
        return self.hidden_spikes / updates if updates else None

    def total(self, name: str) -> float | None:
        """Return a cost summed over layers; None if no layer has it or a module is uncounted."""
        if self.uncounted:
            return None
        value: float | _Counts | None = getattr(self, name)
        if not isinstance(value, dict):
            return value
        return sum(value.values()) if value else None

    def in_words(self) -> str:
        """Return the operations of a decision as a phrase, with the SynOps and MACs among them."""
        operations = self.operations_per_decision
        if operations is None:
            left_out = ", ".join(self.uncounted)
            return f"operations {NOT_COUNTED}" + (f" ({left_out})" if left_out else "")
        parts = [
            f"{total:,.0f} {COST_COLUMNS[name].heading}"
            for name in ("synops_per_decision", "macs_per_decision")
            if (total := self.total(name)) is not None
        ]
        shown = f" ({' and '.join(parts)})" if parts else ""
        return f"{operations:,.0f} operations a decision{shown}"


def shown_cost(value: float | None) -> str:
    """Return a cost as text, "–" if it is None."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"


def mean_costs(parts: Iterable[tuple[int, Costs]], decisions: int | None = None) -> Costs:
    """Return mean costs over all decisions, from each part's number of decisions and means.

    ``decisions`` divides in place of the sum of these numbers.
    """
    known, totals = list(parts), {name: _Counts() for name in _NAMES}
    divisor = sum(count for count, _ in known) if decisions is None else decisions
    # Sums before the division keep means of whole numbers whole.
    for count, costs in known:
        for name, total in totals.items():
            for layer, value in getattr(costs, name).items():
                total[layer] = total.get(layer, 0.0) + count * value
    means = {
        name: {layer: value / divisor for layer, value in total.items()}
        for name, total in totals.items()
    }
    uncounted = dict.fromkeys(name for _, costs in known for name in costs.uncounted)
    return Costs(**means, uncounted=tuple(uncounted))


def sum_costs(*parts: Costs) -> Costs:
    """Return the costs of a decision from those of its parts, such as extractor and network."""
    return mean_costs([(1, part) for part in parts], decisions=1)


_NAMES = tuple(item.name for item in fields(Costs) if item.name != "uncounted")


# ---- counting ------------------------------------------------------------------------------------
Synapses = NDArray[np.int64]
_KINDS: Mapping[type, str] = {NeuronLayer: "hidden", DenseLayer: "dense", LeakyLayer: "leaky"}


def costs_of(
    program: Program,
    entered: Array,
    outputs: Sequence[Array],
    before: Array | None = None,
    names: Sequence[str] | None = None,
) -> Costs:
    """Return the costs of a decision, mean over a batch, from weights and recorded signals.

    ``entered`` (K, B, channels) and ``outputs`` (its ``layers``) are as in ``Decision``, the state
    ``before`` (B, F) is the one that it began with; None for rest. ``names`` are those of layers
    and readout; None for ``layer_names``. Synapses of weight zero do not count, as in the
    effective synaptic operations of NeuroBench (Yik et al. 2025,
    https://doi.org/10.1038/s41467-025-56739-4).
    """
    *layers, readout = layer_names(program) if names is None else names
    if program.spiking:
        return _of_neurons(program, entered, outputs, layers, readout)
    return _of_units(program, entered, outputs, before, layers, readout)


def count_costs(
    program: Program,
    observations: NDArray[Any],
    state: Array | None = None,
    noise: Array | None = None,
) -> Costs:
    """Return the mean costs of decisions on a batch of observations, by the interpreter.

    Args:
        program: The program.
        observations: As in ``decide``.
        state: As in ``decide``.
        noise: As in ``decide``.
    """
    decision = decide(program, observations, state, noise)
    return costs_of(program, decision.entered, decision.layers, state)


def layer_names(program: Program) -> tuple[str, ...]:
    """Return the names of layers in costs and recordings, such as ``hidden_1``, and ``READOUT``."""
    kinds = [x.gates if isinstance(x, GatedLayer) else _KINDS[type(x)] for x in program.layers]
    return (*(f"{kind}_{k}" for k, kind in enumerate(kinds, start=1)), READOUT)


def _of_neurons(
    program: Program,
    entered: Array,
    outputs: Sequence[Array],
    names: Sequence[str],
    readout: str,
) -> Costs:
    """Return the costs of a spiking program, as ``costs_of``."""
    layers, counter = program.neurons, _begun(program, entered)
    entering, *onward = (_not_zero(x.weights) for x in layers)
    if program.held:
        counter.product(names[0], entered[0], entering)
    else:
        counter.spikes("input", entered, entering)
    _count_encoder(counter, program)
    read = _not_zero(program.head.weights.T)
    parts = zip(layers, names, outputs, [*onward, read], strict=True)
    for layer, name, spikes, reached in parts:
        looped = () if layer.recurrent is None else (_not_zero(layer.recurrent),)
        counter.spikes(name, spikes, reached, *looped)
        counter.updates(name, program.time_steps * layer.size, len(state_names(layer)))
        own = (layer.biases != 0) + (len(layer.constants) if layer.each else 0)
        counter.parameters(name, program.time_steps * own.sum())
    if program.readout.variables and program.outputs:
        # A leak commutes with the weights behind it: one integrator for each output is enough.
        integrations = program.time_steps * program.outputs
        counter.updates(readout, integrations, program.readout.variables)
    counter.parameters(readout, np.count_nonzero(program.head.biases))
    return counter.costs()


def _begun(program: Program, entered: Array) -> Counter:
    """Return a counter with the costs that spiking networks and ANNs share."""
    weight = NUMBER_BYTES if program.bits is None else program.bits / 8
    counter = Counter(entered.shape[1], weight)
    for _ in program.normalisers:
        counter.scaling(NORMALISER, program.observation_size)
    if program.choice.rule == "squash":
        counter.scaling(ACTION, program.outputs)
    return counter


def _count_encoder(counter: Counter, program: Program) -> None:
    """Count the arithmetic from standardised observations to spikes, and what it keeps."""
    encoder, kept = program.coder, program.inputs * program.compares
    if encoder is None:
        return
    macs = encoder.macs(program.inputs, program.time_steps)
    # From a standardised observation to an intensity.
    macs += program.inputs * isinstance(encoder, SpikeEncoder)
    if macs:
        counter.add("macs_per_decision", "encoder", macs)
    if isinstance(encoder, ReceptiveFields):
        counter.parameters("encoder", encoder.centres.size + encoder.widths.size)
        kept = program.time_steps * encoder.centres.size  # the activity that adds up
    if kept:
        counter.add("state_bytes_per_decision", "encoder", NUMBER_BYTES * kept)


def _of_units(
    program: Program,
    entered: Array,
    outputs: Sequence[Array],
    before: Array | None,
    names: Sequence[str],
    readout: str,
) -> Costs:
    """Return the costs of an ANN, as ``costs_of``."""
    counter = _begun(program, entered)
    hidden = hidden_before(program, before, entered.shape[1])
    signals = [entered[0], *outputs]
    maps = [
        *((x.weights, x.biases) for x in program.layers),
        (program.head.weights.T, program.head.biases),
    ]
    for k, (name, (weights, biases)) in enumerate(zip((*names, readout), maps, strict=True)):
        if not weights.size:
            continue  # a network without a head
        if k == 0 and program.spike_input:
            # Flattened: every time step of a channel is an input with its own synapses.
            counter.spikes("input", entered, _not_zero(weights))
        else:
            counter.product(name, signals[k], _not_zero(weights))
        counter.parameters(name, np.count_nonzero(biases))
    for k, (name, layer) in enumerate(zip(names, program.layers, strict=True)):
        if isinstance(layer, GatedLayer):
            counter.product(name, hidden[k], _not_zero(layer.recurrent))
            gated = GATE_PRODUCTS[layer.gates] * layer.size
            counter.add("macs_per_decision", name, gated)
            counter.parameters(name, np.count_nonzero(layer.recurrent_biases))
        elif isinstance(layer, LeakyLayer):  # whose update has the decay, as a neuron's has
            counter.parameters(name, np.count_nonzero(layer.decay))
        counter.updates(name, layer.size, len(state_names(layer)))
    return counter.costs()


def _not_zero(weights: Array) -> Synapses:
    """Return the number (D,) of weights (D, N) of each sender that are not zero."""
    counts: Synapses = (weights != 0).sum(1)
    return counts


class Counter:
    """Sums of the costs of B decisions, layer by layer; a layer without a cost is left out."""

    def __init__(self, batch: int, weight_bytes: float = NUMBER_BYTES) -> None:
        self.batch, self._weight_bytes = batch, weight_bytes
        self._counts: dict[str, _Counts] = {name: {} for name in _NAMES}

    def spikes(self, source: str, spikes: Array, *receivers: Synapses) -> None:
        """Count spikes (T, B, N) at their synapses (N,) in each layer that receives them."""
        counts = spikes.sum((0, 1), dtype=np.float64)  # (N,)
        behind = np.sum(receivers, axis=0)
        synops = (counts * behind).sum() / self.batch
        self.add("spikes_per_decision", source, counts.sum() / self.batch)
        self.add("synops_per_decision", source, synops)
        reached = sum(bool(synapses.any()) for synapses in receivers)
        self.add("messages_per_decision", source, reached * counts.sum() / self.batch)
        self.add("synapses", source, float(behind.sum()))
        self.weights(source, synops)

    def product(self, layer: str, values: Array, synapses: Synapses) -> None:
        """Count MACs and weights of values (B, D), each at ``synapses`` (D,) weights not 0."""
        self.macs(layer, ((values != 0).sum(0) * synapses).sum())

    def macs(self, layer: str, number: float) -> None:
        """Count MACs of all B decisions, each with a weight."""
        self.add("macs_per_decision", layer, number / self.batch)
        self.weights(layer, number / self.batch)

    def scaling(self, layer: str, values: float) -> None:
        """Count a MAC for each value, with two parameters, such as mean and deviation."""
        self.add("macs_per_decision", layer, values)
        self.parameters(layer, 2 * values)

    def updates(self, layer: str, number: float, variables: int) -> None:
        """Count updates, each of so many state variables."""
        self.add("neuron_updates_per_decision", layer, number)
        if variables:
            self.add("state_bytes_per_decision", layer, NUMBER_BYTES * variables * number)

    def weights(self, layer: str, number: float) -> None:
        """Add the bytes of a number of weights to a layer's cost."""
        if number:
            self.add("parameter_bytes_per_decision", layer, self._weight_bytes * number)

    def parameters(self, layer: str, number: float | np.signedinteger[Any]) -> None:
        """Add the bytes of a number of parameters that are no weights to a layer's cost."""
        if number:
            self.add("parameter_bytes_per_decision", layer, NUMBER_BYTES * float(number))

    def add(self, cost: str, layer: str, number: float) -> None:
        """Add a number to a layer's cost."""
        counts = self._counts[cost]
        counts[layer] = counts.get(layer, 0.0) + float(number)

    def costs(self, uncounted: tuple[str, ...] = ()) -> Costs:
        """Return the sums as ``Costs``, with the names of modules that are not counted."""
        return Costs(**self._counts, uncounted=uncounted)
