"""``Recording`` of a forward pass, for learners, metrics, plots and logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from snn_gym._base.markup import Markup, element, joined
from snn_gym.program.costs import Costs
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.convolution import dense_synapses
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
    """(T, B, N) membrane potential compared with the threshold, before the reset (of Norse cells,
    after it); None for the input and cells without potential."""
    fan_out: int
    """Synapses from each neuron, recurrent synapses included."""
    v_threshold: float | Tensor | None = None
    """Firing threshold, (T, B, N) where it adapts; None for the input and for cells without one."""
    zeros: Tensor | None = None
    """(N,) int64, synapses of weight zero from each neuron; None for none."""

    def spikes_per_decision(self) -> float:
        """Return the mean number of spikes of the layer in one decision."""
        return float(self.spikes.detach().sum(dtype=torch.float64)) / self.spikes.shape[1]

    def synops_per_decision(self) -> float:
        """Return the mean number of synaptic operations: spikes times non-zero synapses."""
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
    """(B, outputs) float32, output of the network."""
    dt_ms: float
    """Length of a time step (ms)."""
    costs: Costs = field(default_factory=Costs)
    """Costs of a decision, mean over the batch."""

    def _repr_html_(self) -> str:
        """Return a raster of each layer, and the costs as a table, for notebooks."""
        rasters = joined(_raster(layer, self.dt_ms) for layer in self.layers)
        return (rasters or "<p>No layer spikes.</p>") + self.costs._repr_html_()

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


_MOST_STEPS, _MOST_ROWS = 240, 128  # time steps and neurons of a raster


def _raster(layer: LayerRecording, dt_ms: float) -> Markup:
    """Return a drawing of a layer's spikes, decisions side by side and a row for each neuron."""
    time_steps, decisions, neurons = layer.spikes.shape
    shown = min(decisions, max(1, _MOST_STEPS // time_steps))
    spikes = layer.spikes[:, :shown, :: -(-neurons // _MOST_ROWS)].detach().cpu()
    rows = (spikes.transpose(0, 1).flatten(0, 1)[:_MOST_STEPS].T > 0).numpy()
    height, width = rows.shape  # drawn neurons and time steps
    # A line for each run of spikes, from its first time step to its last.
    edges = np.diff(np.pad(rows.astype(np.int8), ((0, 0), (1, 1))))
    spiking = (
        f"M{start} {n}.5h{end - start}"
        for (n, start), end in zip(
            np.argwhere(edges == 1), np.argwhere(edges == -1)[:, 1], strict=True
        )
    )
    words = (
        f"{layer.name}: {shown:,} of {decisions:,} decisions, {time_steps:,} time steps of "
        f"{dt_ms:g} ms each; {height:,} of {neurons:,} neurons; "
        f"{layer.spikes_per_decision():,.1f} spikes a decision"
    )
    return element(
        "figure",
        element("figcaption", words),
        element(
            "svg",
            element(
                "path",
                d="".join(f"M{x} 0v{height}" for x in range(time_steps, width, time_steps)),
                stroke_width="0.2",
                opacity="0.4",
            ),
            element("path", d="".join(spiking), stroke_width="0.8"),
            viewBox=f"0 0 {width} {height}",
            preserveAspectRatio="none",
            width=max(120, 3 * width),
            height=max(24, 2 * height),
            stroke="currentColor",
            fill="none",
            role="img",
            aria_label=f"Raster of {words}",
            style="display:block;max-width:100%;border:1px solid currentColor",
        ),
        style="margin:0.5em 0",
    )


# ---- counting ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Readout:
    """A decoder and the head behind it."""

    decoder: Decoder
    neurons: int
    """Neurons of the last layer."""
    head: nn.Linear | PopulationHead | None
    """Head that reads the decoder; None if unknown."""
    apart: bool
    """Whether the head belongs to a policy, not to the network, and reads the decoded values
    once."""

    @property
    def of_maxima(self) -> bool:
        """Whether the head reads the maximum of each neuron's voltage, not spikes."""
        return self.apart and self.decoder.takes_maximum

    @property
    def fan_out(self) -> int:
        """Synapses from each neuron to outputs; 0 without a head.

        It is 1 if a neuron has its own output (populations) or integrator (maxima).
        """
        outputs = 0 if self.head is None else self.head.out_features
        alone = self.of_maxima or isinstance(self.head, PopulationHead)
        return min(outputs, 1) if alone else outputs

    @property
    def zeros(self) -> Tensor:
        """Synapses of weight zero from each neuron, (N,) int64; an unread maximum counts as one."""
        if self.head is None:
            return self.decoder.coefficients.new_zeros(self.neurons, dtype=torch.int64)
        present = self.head.weight.detach() != 0
        if isinstance(self.head, PopulationHead):
            synapses = present.flatten().long()
        else:
            synapses = present.sum(0)
        return self.fan_out - (synapses.clamp_max(1) if self.of_maxima else synapses)


def layer_names(config: NetworkConfig, layers: Sequence[SpikingLayer]) -> list[str]:
    """Return the names of layers in recordings; ``output`` follows the hidden layers."""
    hidden = config.depth
    return [f"hidden_{k + 1}" if k < hidden else "output" for k in range(len(layers))]


def zeros_behind(layers: Sequence[SpikingLayer], readout: Readout) -> list[Tensor]:
    """Count synapses of weight zero per sender, (N,) int64: input channels, then each layer."""
    behind = [(dense_synapses(x.linear)[0] == 0).sum(0) for x in layers] + [readout.zeros]
    for k, layer in enumerate(layers, start=1):
        if layer.recurrent is not None:
            behind[k] = behind[k] + (layer.recurrent.weight == 0).sum(0)
    return behind


def record_layers(
    config: NetworkConfig,
    layers: Sequence[SpikingLayer],
    runs: Sequence[Run],
    signal: Tensor | None,
    readout: Readout,
) -> list[LayerRecording]:
    """Return the recordings of all layers, and of ``signal`` (T, B, channels) if it spikes."""
    names, zeros = layer_names(config, layers), zeros_behind(layers, readout)
    targets = [*(layer.size for layer in layers[1:]), readout.fan_out]
    recordings = []
    if signal is not None:
        recordings.append(LayerRecording("input", signal, None, layers[0].size, zeros=zeros[0]))
    for k, (layer, run) in enumerate(zip(layers, runs, strict=True)):
        recording = LayerRecording(
            name=names[k],
            spikes=run.spikes,
            voltages=run.voltages if layer.neuron.has_potential else None,
            fan_out=targets[k] + (0 if layer.recurrent is None else layer.size),
            v_threshold=layer.neuron.thresholds(run.spikes, run.entered),
            zeros=zeros[k + 1],
        )
        recordings.append(recording)
    return recordings
