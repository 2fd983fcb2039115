"""Initial weights under which every layer fires at the start.

A layer with the usual initialisation of an ANN stays silent, passes no gradient and never learns:
its currents are small against the threshold. Here the scale follows from the neuron. The
**rheobase** ``I`` is the least constant current that makes a resting neuron fire within the T time
steps; it depends on threshold, decay and T. Each layer gets

- biases spread evenly over [0, 2 I], so that about half of its neurons fire without any input and
  their thresholds differ, as the kinks of a random ReLU layer do;
- orthogonal weights, scaled so that the currents of typical inputs spread by I.

"Typical" for the first layer is the encoder's output for standardised observations, and for the
others the rates that neurons with these very currents fire at, found by simulating one neuron over
the distribution of currents. That is layer-sequential unit variance (Mishkin & Matas 2016,
https://arxiv.org/abs/1511.06422) with the response computed from the neuron instead of data.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.encoders import PopulationEncoder
from snn_gym.spiking.neurons import Neuron

# Mean squared rate assumed for spike trains whose source is unknown: a fifth of the channels
# active at half of the time steps.
_SPIKE_TRAIN_MEAN_SQUARE = 0.05


def rheobase(neuron: Neuron, time_steps: int) -> float:
    """Return the least constant current that fires a resting neuron within ``time_steps``.

    The potential below threshold is linear in the current, so two integrations suffice.

    Args:
        neuron: The neuron.
        time_steps: T.
    """
    currents = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    state = neuron.initial_state(1, 2, currents)
    least = math.inf
    for _ in range(time_steps):
        state = neuron.integrate(currents, state)
        at_rest, driven = state[0][0].tolist()
        least = min(least, (neuron.parameters.v_threshold - at_rest) / (driven - at_rest))
    return least


def mean_square_rate(neuron: Neuron, time_steps: int) -> float:
    """Return the mean squared rate of neurons whose currents are as this module makes them.

    Args:
        neuron: The neuron.
        time_steps: T.
    """
    current = rheobase(neuron, time_steps)
    quantiles = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    spread = current * torch.special.ndtri(quantiles)
    biases = 2.0 * current * quantiles
    currents = (spread[:, None] + biases[None, :]).reshape(1, 1, -1)
    state = neuron.initial_state(1, currents.shape[-1], currents[0])
    spikes, _, _ = neuron.run_stepped(currents, state, time_steps)
    return float(spikes.mean(0).square().mean())


def input_mean_square(config: NetworkConfig, spike_input: bool) -> float:
    """Return the mean square of what one input channel delivers per time step.

    Args:
        config: Configuration of the network.
        spike_input: Whether the observation is a spike train, which no encoder touches.
    """
    if spike_input:
        return _SPIKE_TRAIN_MEAN_SQUARE
    if config.encoder == "constant":
        return 1.0  # standardised observations
    intensities = (torch.arange(256, dtype=torch.float32) + 0.5) / 256
    if config.encoder == "latency":
        return 1.0 / config.time_steps**2
    if isinstance(config.encoder_parameters, PopulationEncoder):
        encoder = PopulationEncoder(
            config.encoder_parameters.neurons_per_dimension,
            config.encoder_parameters.width,
            timing="regular",
        )
        spikes = encoder.encode(intensities[:, None], config.time_steps)
        return max(float(spikes.mean(0).square().mean()), 1.0 / config.time_steps**2)
    return float(intensities.square().mean())


def initialise(
    linears: list[nn.Linear], neuron: Neuron, config: NetworkConfig, *, spike_input: bool
) -> None:
    """Set weights and biases of the spiking layers in place, from torch's global generator.

    Args:
        linears: Synapses of each layer, input side first.
        neuron: The neuron of all layers.
        config: Configuration of the network.
        spike_input: Whether the observation is a spike train.
    """
    current = rheobase(neuron, config.time_steps)
    mean_square = input_mean_square(config, spike_input)
    hidden_mean_square = mean_square_rate(neuron, config.time_steps)
    for linear in linears:
        _orthogonal(linear.weight, current / math.sqrt(mean_square))
        nn.init.uniform_(linear.bias, 0.0, 2.0 * current)
        mean_square = hidden_mean_square


def _orthogonal(weight: Tensor, row_norm: float) -> None:
    """Fill ``weight`` (out, in) with an orthogonal matrix of that root-mean-square row norm."""
    outputs, inputs = weight.shape
    nn.init.orthogonal_(weight, gain=row_norm * math.sqrt(outputs / min(outputs, inputs)))
