"""Initial weights under which every layer fires at the start.

A layer with the usual initialisation of an ANN stays silent, passes no gradient and never learns:
its currents are small against the threshold. Here the scale follows from the neuron. The
**rheobase** ``I`` is the least constant current that makes a resting neuron fire within the T time
steps; it depends on threshold, decay and T. Each layer gets

- biases spread evenly over [0, 2 I], so that about half of its neurons fire without any input and
  their thresholds differ, as the kinks of a random ReLU layer do;
- orthogonal weights, scaled so that the currents of typical inputs spread by I;
- where it is recurrent, orthogonal weights onto itself whose currents spread by I / 2, so that the
  input rules at the start.

"Typical" for the first layer is the encoder's output for standardised observations, and for the
others the rates that neurons with these very currents fire at, found by simulating one neuron over
the distribution of currents. That is layer-sequential unit variance (Mishkin & Matas 2016,
https://arxiv.org/abs/1511.06422) with the response computed from the neuron instead of data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from snn_gym.program.encoders import (
    ConstantEncoder,
    DeltaEncoder,
    LatencyEncoder,
    PopulationEncoder,
)
from snn_gym.spiking.coding.parameters import LearnablePopulationParameters, NetworkEncoder
from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.neurons.base import LayerNeurons

# Mean squared rate assumed for spike trains whose source is unknown: a fifth of the channels
# active at half of the time steps.
_SPIKE_TRAIN_MEAN_SQUARE = 0.05

# Share of the rheobase by which the currents of a layer's own spikes spread.
_RECURRENT_SPREAD = 0.5


def mean_square_rate(neuron: LayerNeurons, time_steps: int) -> float:
    """Return the mean squared rate of neurons whose currents are as this module makes them.

    Where none fires within the time steps (``alif`` at one step), that of a spike at every step.

    Args:
        neuron: The neuron.
        time_steps: T.
    """
    current = neuron.rheobase(time_steps)
    quantiles = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    spread = current * torch.special.ndtri(quantiles)
    biases = 2.0 * current * quantiles
    currents = (spread[:, None] + biases[None, :]).reshape(1, 1, -1)
    state = neuron.initial_state(1, currents.shape[-1], currents[0])
    spikes = neuron.run_stepped(currents, state, time_steps).spikes
    return float(spikes.mean(0).square().mean()) or 1.0


def input_mean_square(encoder: NetworkEncoder | None, time_steps: int) -> float:
    """Return the mean square of what one input channel delivers per time step.

    Args:
        encoder: What encodes observations; None for spike trains, which no encoder touches.
        time_steps: T.
    """
    if encoder is None:
        return _SPIKE_TRAIN_MEAN_SQUARE
    if isinstance(encoder, ConstantEncoder):
        return 1.0  # standardised observations
    if isinstance(encoder, DeltaEncoder):
        return _SPIKE_TRAIN_MEAN_SQUARE  # depends on how fast the environment changes
    intensities = (torch.arange(256, dtype=torch.float32) + 0.5) / 256
    if isinstance(encoder, LatencyEncoder):
        return 1.0 / time_steps**2
    if isinstance(encoder, PopulationEncoder | LearnablePopulationParameters):
        regular = PopulationEncoder(encoder.neurons_per_dimension, encoder.width, timing="regular")
        spikes = regular.encode(intensities[:, None], time_steps)
        return max(float(spikes.mean(0).square().mean()), 1.0 / time_steps**2)
    return float(intensities.square().mean())


def initialise(
    layers: Sequence[SpikingLayer],
    neurons: Sequence[LayerNeurons],
    mean_square: float,
    time_steps: int,
) -> None:
    """Set weights and biases of the spiking layers in place, from torch's global generator.

    Args:
        layers: Spiking layers, input side first.
        neurons: The neuron that each layer is initialised for.
        mean_square: Mean square of what an input channel delivers (``input_mean_square``).
        time_steps: T.
    """
    rates: dict[Any, float] = {}
    for layer, neuron in zip(layers, neurons, strict=True):
        current = neuron.rheobase(time_steps)
        same = neuron.text, neuron.parameters  # as in most networks
        if same not in rates:
            rates[same] = mean_square_rate(neuron, time_steps)
        _orthogonal(layer.linear.weight, current / math.sqrt(mean_square))
        nn.init.uniform_(layer.linear.bias, 0.0, 2.0 * current)
        mean_square = rates[same]
        if layer.recurrent is not None:
            _orthogonal(
                layer.recurrent.weight, _RECURRENT_SPREAD * current / math.sqrt(mean_square)
            )


def _orthogonal(weight: Tensor, row_norm: float) -> None:
    """Fill ``weight`` (out, in) with an orthogonal matrix of that root-mean-square row norm."""
    outputs, inputs = weight.shape
    nn.init.orthogonal_(weight, gain=row_norm * math.sqrt(outputs / min(outputs, inputs)))
