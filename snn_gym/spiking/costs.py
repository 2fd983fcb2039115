"""Costs of a decision, counted by the same rules for every kind of network.

Events are counted and not energy: how much a synaptic operation or a multiply-accumulate takes
depends on the hardware. Spikes per synapse as the figure that compares events with dense products:
Davidson and Furber 2021, https://doi.org/10.3389/fnins.2021.651141.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # tables read the definitions without waiting for PyTorch
    from torch import Tensor, nn

PARAMETER_BYTES = 4
"""Bytes of a parameter, a float32."""


@dataclass(frozen=True)
class CostColumn:
    """How a cost is called in tables, and what it is."""

    heading: str
    """Heading of its column."""
    definition: str
    """What is counted."""


NOT_COUNTED = "not counted"
"""Text in the place of a total where a module of the acting path is not counted."""

OPERATIONS = ("synops_per_decision", "macs_per_decision", "neuron_updates_per_decision")
"""Names of the costs whose sum is the operations of a decision."""

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
        "synapses of weight zero left out; with the decoder `max_voltage` behind a head, a spike "
        "of the last layer has one synapse, to its neuron's own leaky integrator",
    ),
    "macs_per_decision": CostColumn(
        "MACs",
        "multiply-accumulates on analogue values in one decision, for spiking networks and ANNs "
        "alike only those whose value and weight are both not zero: products of layers with "
        "analogue input (a constant current's is made once, not at every time step), of the gates "
        "of GRU and LSTM and of a readout that reads voltages; and the arithmetic of the agent's "
        "own encoder; the standardisation of observations is left out",
    ),
    "neuron_updates_per_decision": CostColumn(
        "Neuron updates",
        "updates of a neuron's state in one decision: time steps times neurons, the leaky "
        "integrators of a readout included; a unit of an ANN is updated once",
    ),
    "spikes_per_decision": CostColumn(
        "Spikes",
        "spikes in one decision, those of an encoder or environment included, summed over layers "
        "and time steps",
    ),
    "parameter_bytes_per_decision": CostColumn(
        "Parameter bytes",
        "bytes of parameters read in one decision, each at most once and 4 bytes: the weights of "
        "synapses that a spike passes and of the MACs, none of them zero, and all other "
        "parameters that acting needs",
    ),
    "spikes_per_synapse": CostColumn(
        "Spikes per synapse",
        "SynOps divided by the synapses that spikes can pass: how often a synapse is used in one "
        "decision, where a dense product uses each once",
    ),
}
"""Every cost by the name that `Costs` has for it."""

_Counts = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of a decision by layer, means over decisions; `COST_COLUMNS` defines each.

    Spikes, synaptic operations and synapses stand under the layer that spikes leave, all else
    under the layer that does it.
    """

    spikes_per_decision: _Counts = field(default_factory=dict)
    """Spikes."""
    synops_per_decision: _Counts = field(default_factory=dict)
    """Synaptic operations."""
    macs_per_decision: _Counts = field(default_factory=dict)
    """Multiply-accumulates."""
    neuron_updates_per_decision: _Counts = field(default_factory=dict)
    """Updates of neurons."""
    parameter_bytes_per_decision: _Counts = field(default_factory=dict)
    """Parameters read (bytes)."""
    synapses: _Counts = field(default_factory=dict)
    """Synapses that spikes can pass."""
    uncounted: tuple[str, ...] = ()
    """Modules of the acting path whose arithmetic is not counted; with any, no total is known."""

    @property
    def operations_per_decision(self) -> float | None:
        """Operations of a decision; None where none is known or a module is not counted."""
        known = [total for name in OPERATIONS if (total := self.total(name)) is not None]
        return sum(known) if known else None

    @property
    def spikes_per_synapse(self) -> float | None:
        """Synaptic operations of a decision for each synapse; None where no spike is received."""
        synapses, synops = sum(self.synapses.values()), self.total("synops_per_decision")
        return synops / synapses if synapses and synops is not None else None

    @property
    def spiking_layers(self) -> tuple[str, ...]:
        """Layers of neurons that can spike; the input is none."""
        return tuple(name for name in self.spikes_per_decision if name != "input")

    @property
    def spikes_reach_outputs(self) -> bool:
        """Whether neurons spike and every layer of them has a synapse that leads on.

        Layers follow one another, so that without such a synapse no spike reaches an output. It is
        a fact of the weights, not of the spikes that were counted.
        """
        layers = self.spiking_layers
        return bool(layers) and all(self.synapses.get(name, 0.0) > 0 for name in layers)

    @property
    def reads_voltages(self) -> bool:
        """Whether outputs of a spiking network read voltages, by multiply-accumulates."""
        return bool(self.spiking_layers) and self.macs_per_decision.get("readout", 0.0) > 0

    @property
    def hidden_spikes(self) -> float:
        """Spikes of all neurons in a decision, without those of the input."""
        return sum(self.spikes_per_decision[name] for name in self.spiking_layers)

    @property
    def firing_rate(self) -> float | None:
        """Spikes of a neuron in a time step; None where none spikes or updates are not known."""
        updates = self.neuron_updates_per_decision
        known = sum(updates.get(name, 0.0) for name in self.spiking_layers)
        return self.hidden_spikes / known if known else None

    def total(self, name: str) -> float | None:
        """Return a cost of `COST_COLUMNS` summed over layers.

        Args:
            name: Name of the cost.

        Returns:
            The sum; None if no layer has the cost, or a module is not counted.
        """
        if self.uncounted:
            return None
        value: float | _Counts | None = getattr(self, name)
        if not isinstance(value, dict):
            return value
        return sum(value.values()) if value else None

    def in_words(self) -> str:
        """Return the operations of a decision as a phrase, and the SynOps and MACs among them."""
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


def mean_costs(parts: Iterable[tuple[int, Costs]]) -> Costs:
    """Return the mean of costs over all decisions.

    Args:
        parts: Number of decisions and their mean costs, of each part.
    """
    # Summed before the division, so that means of whole numbers stay whole.
    totals: dict[str, _Counts] = {name: {} for name in _NAMES}
    decisions = 0
    uncounted: dict[str, None] = {}
    for count, costs in parts:
        decisions += count
        uncounted |= dict.fromkeys(costs.uncounted)
        for name, total in totals.items():
            for layer, value in getattr(costs, name).items():
                total[layer] = total.get(layer, 0.0) + count * value
    means = {
        name: {layer: value / decisions for layer, value in total.items()}
        for name, total in totals.items()
    }
    return Costs(**means, uncounted=tuple(uncounted))


_NAMES = tuple(item.name for item in fields(Costs) if item.name != "uncounted")


def synapses_behind(weight: Tensor) -> Tensor:
    """Return how many weights that are not zero each sender has, (senders,) int64.

    Args:
        weight: (receivers, senders).
    """
    return (weight.detach() != 0).sum(0)


class CostCounter:
    """Add up the costs of one decision, layer by layer."""

    def __init__(self) -> None:
        self._counts: dict[str, _Counts] = {name: {} for name in _NAMES}
        self._uncounted: dict[str, None] = {}

    def spikes(
        self, source: str, spikes: Tensor, fan_out: int, zeros: Tensor | None = None
    ) -> None:
        """Count spikes and what they do to the synapses behind them.

        A synapse of weight zero does nothing and need not be stored, as in the effective synaptic
        operations of NeuroBench (Yik et al. 2025, https://doi.org/10.1038/s41467-025-56739-4).

        Args:
            source: Layer that they leave.
            spikes: (T, B, N), 0 or 1.
            fan_out: Synapses that leave each neuron, recurrent ones included.
            zeros: (N,) how many of them have the weight zero; None for none.
        """
        of_neurons = spikes.detach().sum(0)  # (B, N)
        batch, neurons = of_neurons.shape
        count = float(of_neurons.double().sum()) / batch
        fired = int((of_neurons > 0).sum()) / batch
        synops, synapses, read = count * fan_out, neurons * fan_out, fired * fan_out
        if zeros is not None:
            synops -= float((of_neurons.double() * zeros).sum()) / batch
            synapses -= int(zeros.sum())
            read -= int(((of_neurons > 0) * zeros).sum()) / batch
        self._add("spikes_per_decision", source, count)
        self._add("synops_per_decision", source, synops)
        self._add("synapses", source, synapses)
        self.parameters(source, read)

    def product(self, layer: str, inputs: Tensor, synapses: Tensor) -> None:
        """Count a product of analogue values with weights, zeros of either left out.

        Args:
            layer: Layer that makes it.
            inputs: Values (B, inputs).
            synapses: (inputs,) how many weights that are not zero each of them meets, as
                ``synapses_behind`` returns.
        """
        used = (inputs.detach() != 0).sum(0)  # (inputs,), decisions in which a value is not zero
        count = int((used * synapses).sum()) / len(inputs)
        self._add("macs_per_decision", layer, count)
        self.parameters(layer, count)

    def linear(self, layer: str, inputs: Tensor, module: nn.Linear) -> None:
        """Count a linear layer with biases on analogue values (B, inputs)."""
        self.product(layer, inputs, synapses_behind(module.weight))
        self.parameters(layer, module.out_features)

    def macs(self, layer: str, count: float) -> None:
        """Count multiply-accumulates that read no parameters; none leave no trace."""
        if count:
            self._add("macs_per_decision", layer, count)

    def updates(self, layer: str, count: int) -> None:
        """Count updates of neurons, or of an ANN's units."""
        self._add("neuron_updates_per_decision", layer, count)

    def parameters(self, layer: str, count: float) -> None:
        """Count parameters that are read; none leave no trace."""
        if count:
            self._add("parameter_bytes_per_decision", layer, PARAMETER_BYTES * count)

    def leave_out(self, module: str) -> None:
        """Note a module whose arithmetic is not counted, so that no total is known."""
        self._uncounted[module] = None

    def costs(self) -> Costs:
        """Return what was counted."""
        return Costs(**self._counts, uncounted=tuple(self._uncounted))

    def _add(self, cost: str, layer: str, count: float) -> None:
        counts = self._counts[cost]
        counts[layer] = counts.get(layer, 0.0) + count
