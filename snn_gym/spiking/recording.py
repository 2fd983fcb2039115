"""``Recording``: what learners, metrics, plots and logs read of a forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from snn_gym.program.costs import Costs
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.decoders import Decoder, PopulationHead
from snn_gym.spiking.layer_neurons import Run
from snn_gym.spiking.layers import SpikingLayer


# ---- recording -----------------------------------------------------------------------------------
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
    """Costs of a decision, mean over the batch."""

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


# ---- counting ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Readout:
    """A decoder and the head behind it."""

    decoder: Decoder
    neurons: int
    """Neurons of the last layer."""
    head: nn.Linear | PopulationHead | None
    """Head that reads the decoder; None where none is known."""
    apart: bool
    """Whether the head reads, once, what the decoder gives, not being the network's own."""

    @property
    def outputs(self) -> int:
        """Outputs of the head; 0 where none is known."""
        return 0 if self.head is None else self.head.out_features

    @property
    def of_maxima(self) -> bool:
        """Whether the head reads the maximum of each neuron's voltage, no spikes."""
        return self.apart and self.decoder.takes_maximum

    @property
    def fan_out(self) -> int:
        """Synapses from each neuron to the outputs, or to a leaky integrator of its own."""
        alone = self.of_maxima or isinstance(self.head, PopulationHead)
        return min(self.outputs, 1) if alone else self.outputs

    @property
    def synapses(self) -> Tensor:
        """Weights of the head that are not zero behind each value that it reads, (N,) int64."""
        if self.head is None:
            return self.decoder.coefficients.new_zeros(self.neurons, dtype=torch.int64)
        weight = self.head.weight.detach()
        if isinstance(self.head, PopulationHead):
            return (weight != 0).flatten().long()
        return synapses_behind(weight)

    @property
    def zeros(self) -> Tensor:
        """Synapses that a neuron lacks of its fan-out, (N,) int64; an unread integrator is one."""
        found = self.synapses
        return self.fan_out - (found.clamp_max(1) if self.of_maxima else found)


def layer_names(config: NetworkConfig, layers: Sequence[SpikingLayer]) -> list[str]:
    """Return the names of layers in recordings and counts, ``output`` for one after the hidden."""
    hidden = len(config.hidden_sizes)
    return [f"hidden_{k + 1}" if k < hidden else "output" for k in range(len(layers))]


def fan_outs(layers: Sequence[SpikingLayer], readout: Readout) -> list[int]:
    """Return the synapses that leave a neuron of each layer, recurrent ones included."""
    targets = [*(layer.size for layer in layers[1:]), readout.fan_out]
    return [
        target + (0 if layer.recurrent is None else layer.size)
        for layer, target in zip(layers, targets, strict=True)
    ]


def zeros_behind(layers: Sequence[SpikingLayer], readout: Readout) -> list[Tensor]:
    """Return how many synapses of weight zero leave each neuron, for the input and every layer.

    Args:
        layers: Spiking layers, each of which reads the one before.
        readout: Readout of the last layer.

    Returns:
        (N,) int64 of each, the input first.
    """
    behind = [*(_zeros(layer.linear.weight) for layer in layers), readout.zeros]
    for k, layer in enumerate(layers, start=1):
        if layer.recurrent is not None:
            behind[k] = behind[k] + _zeros(layer.recurrent.weight)
    return behind


def synapses_behind(weight: Tensor) -> Tensor:
    """Return how many weights that are not zero each sender has, (senders,) int64.

    Args:
        weight: (receivers, senders).
    """
    return (weight.detach() != 0).sum(0)


def _zeros(weight: Tensor) -> Tensor:
    """Return the zeros (senders,) among weights (receivers, senders)."""
    return len(weight) - synapses_behind(weight)


def record_layers(
    config: NetworkConfig,
    layers: Sequence[SpikingLayer],
    runs: Sequence[Run],
    signal: Tensor | None,
    readout: Readout,
) -> list[LayerRecording]:
    """Return what every layer that spikes leave did, an input's included.

    Args:
        config: Settings of the network.
        layers: Its spiking layers.
        runs: What each did.
        signal: (T, B, channels) spikes that entered the first; None for a constant current.
        readout: Readout of the last.
    """
    entering, *leaving = zeros_behind(layers, readout)
    recorded = [
        LayerRecording(
            name, done.spikes, done.voltages if layer.neuron.has_potential else None, fan_out,
            layer.neuron.thresholds(done.spikes, done.entered), zeros,
        )
        for name, layer, done, fan_out, zeros in zip(
            layer_names(config, layers), layers, runs, fan_outs(layers, readout), leaving,
            strict=True,
        )
    ]  # fmt: skip
    if signal is None:
        return recorded
    return [LayerRecording("input", signal, None, layers[0].size, zeros=entering), *recorded]
