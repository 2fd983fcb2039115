"""The short way through a network when nothing is differentiated, carried or recorded.

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
from snn_gym.spiking.neuron_base import FusedNeuron


def last_spikes(signal: Tensor, layers: Sequence[SpikingLayer], time_steps: int) -> Tensor:
    """Run fused layers from rest.

    Args:
        signal: (T, B, inputs), or (1, B, inputs) for the same input at every time step; float32
            on the CPU.
        layers: Fusable layers without recurrence, input side first; at least one.
        time_steps: T.

    Returns:
        Spikes (T, B, N) of the last layer, without gradient.
    """
    for layer in layers:
        linear, neuron = layer.linear, layer.dynamics
        assert isinstance(neuron, FusedNeuron)  # of a fusable layer
        steps, batch, channels = signal.shape
        flat = nn.functional.linear(
            signal.reshape(steps * batch, channels), linear.weight, linear.bias
        )
        size = flat.shape[1]
        elements = batch * size
        state = [np.full(elements, value, dtype=np.float32) for value in neuron.rest]
        spikes = np.empty((time_steps, elements), dtype=np.float32)
        voltages = np.empty((time_steps, elements), dtype=np.float32)
        currents = flat.numpy().reshape(steps, elements)
        neuron.kernel_forward(currents, state, voltages, spikes)
        signal = torch.from_numpy(spikes.reshape(time_steps, batch, size))
    return signal
