"""A fast forward pass for acting, where nothing is differentiated, carried or recorded.

At the batch sizes of acting a decision costs what its operations cost to call, not what they
compute. This path calls the same products and the same kernels on the same numbers as the general
one, hence gives the same bits, and leaves out the rest: no autograd function, no states to split
and join, no voltages to keep.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.neurons.base import FusedNeuron
from snn_gym.spiking.neurons.forward_kernels import Array, forward, recurrent_forward


def last_spikes(signal: Tensor, layers: Sequence[SpikingLayer], time_steps: int) -> Tensor:
    """Run fused layers from rest.

    Args:
        signal: (T, B, inputs), or (1, B, inputs) for the same input at every time step; float32
            on the CPU.
        layers: Fusable layers, input side first; at least one.
        time_steps: T.

    Returns:
        Spikes (T, B, N) of the last layer, without gradient.
    """
    for layer in layers:
        linear = layer.linear
        steps, batch, channels = signal.shape
        flat = nn.functional.linear(
            signal.reshape(steps * batch, channels), linear.weight, linear.bias
        )
        spikes = np.empty((time_steps, batch * layer.size), dtype=np.float32)
        _run(layer, flat.numpy().reshape(steps, -1), spikes)
        signal = torch.from_numpy(spikes.reshape(time_steps, batch, layer.size))
    return signal


def _run(layer: SpikingLayer, currents: Array, spikes: Array) -> None:
    """Fill ``spikes`` (T, M) of a fusable layer that starts from rest."""
    neuron = layer.neuron
    assert isinstance(neuron, FusedNeuron)  # of a fusable layer
    elements = spikes.shape[1]
    voltages = np.empty_like(spikes)
    state = np.repeat(neuron.rest32, elements, axis=1)
    if layer.recurrent is None:
        forward(neuron.kind, neuron.constants, currents, state, voltages, spikes)
        return
    recurrent_forward(
        neuron.kind, neuron.constants, layer.recurrent.weight.t().contiguous().numpy(),
        currents, np.zeros(elements, dtype=np.float32), state, voltages, spikes,
    )  # fmt: skip
