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
    from torch import Tensor

PARAMETER_BYTES = 4
"""Bytes of a parameter, a float32."""


@dataclass(frozen=True)
class CostColumn:
    """How a cost is called in tables, and what it is."""

    heading: str
    """Heading of its column."""
    definition: str
    """What is counted."""


COST_COLUMNS: dict[str, CostColumn] = {
    "spikes_per_decision": CostColumn(
        "Spikes",
        "spikes in one decision, those of an encoder or environment included, summed over layers "
        "and time steps",
    ),
    "synops_per_decision": CostColumn(
        "SynOps",
        "synaptic operations in one decision: every spike times its fan-out, summed over layers "
        "and time steps, whoever receives it (a spike that enters an ANN's layer counts as one "
        "that enters spiking neurons); recurrent synapses and those of the readout included, "
        "synapses of weight zero into spiking neurons left out",
    ),
    "macs_per_decision": CostColumn(
        "MACs",
        "multiply-accumulates on analogue values in one decision: arithmetic of the agent's own "
        "encoder, products of layers with analogue input (a constant current's is made once, not "
        "at every time step), of the gates of GRU and LSTM, of a readout of analogue values, and "
        "the leak of a spiking network's readout, one for each time step, state variable and "
        "output; the standardisation of observations is left out, and no zero is skipped",
    ),
    "neuron_updates_per_decision": CostColumn(
        "Neuron updates",
        "updates of a neuron's state in one decision: time steps times neurons; a unit of an ANN "
        "is updated once",
    ),
    "parameter_bytes_per_decision": CostColumn(
        "Parameter bytes",
        "bytes of parameters read in one decision, each at most once and 4 bytes: the weights of "
        "synapses that a spike passes, and all other parameters that acting needs",
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

    @property
    def spikes_per_synapse(self) -> float | None:
        """Synaptic operations of a decision for each synapse; None where no spike is received."""
        synapses = sum(self.synapses.values())
        return sum(self.synops_per_decision.values()) / synapses if synapses else None

    @property
    def spiking_layers(self) -> tuple[str, ...]:
        """Layers of neurons that can spike; the input is none."""
        return tuple(name for name in self.spikes_per_decision if name != "input")

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
        """Return a cost of `COST_COLUMNS` summed over layers; None if no layer has it."""
        value: float | _Counts | None = getattr(self, name)
        if not isinstance(value, dict):
            return value
        return sum(value.values()) if value else None


def mean_costs(parts: Iterable[tuple[int, Costs]]) -> Costs:
    """Return the mean of costs over all decisions.

    Args:
        parts: Number of decisions and their mean costs, of each part.
    """
    # Summed before the division, so that means of whole numbers stay whole.
    totals: dict[str, _Counts] = {name: {} for name in _NAMES}
    decisions = 0
    for count, costs in parts:
        decisions += count
        for name, total in totals.items():
            for layer, value in getattr(costs, name).items():
                total[layer] = total.get(layer, 0.0) + count * value
    return Costs(
        **{
            name: {layer: value / decisions for layer, value in total.items()}
            for name, total in totals.items()
        }
    )


_NAMES = tuple(item.name for item in fields(Costs))


class CostCounter:
    """Add up what a network does in one decision; the network tells it layer by layer."""

    def __init__(self) -> None:
        self._counts: dict[str, _Counts] = {name: {} for name in _NAMES}

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

    def product(self, layer: str, inputs: int, outputs: int) -> None:
        """Count a product of analogue values (inputs,) with weights (outputs, inputs)."""
        self.macs(layer, inputs * outputs)
        self.parameters(layer, inputs * outputs)

    def linear(self, layer: str, inputs: int, outputs: int) -> None:
        """Count a linear layer with biases on analogue values."""
        self.product(layer, inputs, outputs)
        self.parameters(layer, outputs)

    def macs(self, layer: str, count: int) -> None:
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

    def costs(self) -> Costs:
        """Return what was counted."""
        return Costs(**self._counts)

    def _add(self, cost: str, layer: str, count: float) -> None:
        counts = self._counts[cost]
        counts[layer] = counts.get(layer, 0.0) + count
