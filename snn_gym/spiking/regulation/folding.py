"""Folding: neurons that fire at nearly every time step become biases of what they drive.

A neuron that fires at every time step tells those after it the same in every state, as a bias does,
at the price of all its synapses. Its weights can be added to their biases and the neuron be
silenced, and nothing else changes: constant folding, as compilers do it with expressions (Aho et
al. 2006, Compilers, section 9.4). A gradient does not find this way: such a neuron's potential lies
far above the threshold, where the surrogate gradient is next to nothing, and halfway down it says
something else in every state. Of a neuron that fires at nearly every time step the mean is added.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from snn_gym.spiking.layers import SpikingLayer

FOLDED_RATES = 0.95, 0.98, 1.0
"""Rates (spikes per time step) from which on neurons are folded, the first that behaviour bears."""
REPAIRED = 10.0
"""Divergence that folding may make, in units of the bound: the updates after it undo as much."""


@torch.no_grad()
def fold(
    layers: Sequence[SpikingLayer],
    rates: Sequence[Tensor],
    least: float,
    head: nn.Linear | None,
    gain: float,
) -> int:
    """Fold neurons that fire at nearly every time step, in place.

    Exact for neurons that always fire, but for the first step of a recurrent layer's episode,
    before which nothing has fired.

    Args:
        layers: Spiking layers, from the input side.
        rates: (N,) spikes per time step of each neuron of a layer, 0 to 1.
        least: Rate from which on a neuron is folded.
        head: Linear readout of the last layer, None where it is not linear: none of that layer is
            folded.
        gain: What the head's decoder makes of a neuron that fires at every time step.

    Returns:
        The number of neurons that were folded.
    """
    readers = [*(layer.linear for layer in layers[1:]), head]
    gains = [*(1.0 for _ in layers[1:]), gain]
    count = 0
    for layer, rate, reader, share in zip(layers, rates, readers, gains, strict=True):
        folded = rate >= least
        if reader is None or not folded.any():
            continue
        count += int(folded.sum())
        mean = torch.where(folded, rate, torch.zeros_like(rate))
        reader.bias.add_(reader.weight @ (share * mean))
        if layer.recurrent is not None:
            layer.linear.bias.add_(layer.recurrent.weight @ mean)
        _silence(layer, folded)
    return count


def _silence(layer: SpikingLayer, neurons: Tensor) -> None:
    """Take all input from some neurons (N,) of a layer, so that they rest."""
    layer.linear.bias[neurons] = 0.0
    for synapses in (layer.linear, layer.recurrent):
        if synapses is not None:
            synapses.weight[neurons] = 0.0
