"""``Recording``: what learners, metrics, plots and logs read of a forward pass."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from snn_gym.program.costs import Costs


@dataclass(frozen=True)
class LayerRecording:
    """One layer over the time steps of a decision."""

    name: str
    """``input`` for an encoder's or environment's spikes, else ``hidden_1``, ``hidden_2``, ...,
    and ``output`` for the populations of the decoder ``population``."""
    spikes: Tensor
    """(T, B, N) float32, 0 or 1."""
    voltages: Tensor | None
    """(T, B, N) membrane potential compared with the threshold, before the reset; None for the
    input, which has no membrane."""
    fan_out: int
    """Synapses that leave each neuron, recurrent ones included."""
    v_threshold: float | Tensor | None = None
    """Firing threshold of the layer, (T, B, N) where it adapts; None for the input and for cells
    that state none."""
    zeros: Tensor | None = None
    """(N,) int64, how many of the synapses that leave each neuron have the weight zero; None for
    none."""

    def spikes_per_decision(self) -> float:
        """Return the mean number of spikes of the layer in one decision."""
        return float(self.spikes.detach().sum(dtype=torch.float64)) / self.spikes.shape[1]

    def synops_per_decision(self) -> float:
        """Return the mean number of synaptic operations: every spike times its fan-out.

        Synapses of weight zero are left out.
        """
        whole = self.spikes_per_decision() * self.fan_out
        if self.zeros is None:
            return whole
        of_neurons = self.spikes.detach().sum((0, 1), dtype=torch.float64)
        return whole - float((of_neurons * self.zeros).sum()) / self.spikes.shape[1]


@dataclass(frozen=True)
class Recording:
    """A forward pass of a network on a batch of observations."""

    layers: tuple[LayerRecording, ...]
    """Spiking layers from the input side; empty for a network that does not spike."""
    output: Tensor
    """(B, outputs) float32, what the network returned."""
    dt_ms: float
    """Length of a time step (ms)."""
    costs: Costs = field(default_factory=Costs)
    """What a decision cost, mean over the batch."""

    def __getitem__(self, name: str) -> LayerRecording:
        """Return the layer of that name.

        Raises:
            KeyError: There is no such layer.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in self.layers) or "none: the network does not spike"
        raise KeyError(f"no layer {name!r}; recorded layers: {known}")

    def spikes_per_decision(self) -> dict[str, float]:
        """Return the mean number of spikes in one decision, by layer."""
        return self.costs.spikes_per_decision

    def synops_per_decision(self) -> dict[str, float]:
        """Return the mean number of synaptic operations in one decision, by layer."""
        return self.costs.synops_per_decision

    def macs_per_decision(self) -> dict[str, float]:
        """Return the multiply-accumulates of one decision, by layer."""
        return self.costs.macs_per_decision
