"""Assembly of the layers that a configuration names, their initial weights, and names in files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from snn_gym.program.builtin_neurons import NEURONS
from snn_gym.program.encoders import (
    ConstantEncoder,
    DeltaEncoder,
    LatencyEncoder,
    PopulationEncoder,
)
from snn_gym.spiking.layer_neurons import LayerNeurons
from snn_gym.spiking.network_config import (
    LearnablePopulationParameters,
    NetworkConfig,
    NetworkEncoder,
    PopulationDecoderParameters,
)
from snn_gym.spiking.spiking_layer import (
    SharedLinear,
    SpikingLayer,
    SynapticConvolution,
    SynapticLinear,
    learned_synapses,
)

# ---- initialisation ------------------------------------------------------------------------------
# With the usual initialisation of an ANN a spiking layer stays silent and never learns: its
# currents are small against the threshold. Here the scale follows from the **rheobase** ``I``, the
# least constant current that makes a resting neuron fire within T time steps. Each layer gets
#
# - biases spread evenly over [0, 2 I], so that about half of its neurons fire without any input
#   and their thresholds differ, as the kinks of a random ReLU layer do;
# - orthogonal weights, scaled so that the currents of typical inputs spread by I;
# - where it is recurrent, orthogonal weights whose currents spread by I / 2, so that the input
#   dominates at the start.
#
# Typical inputs are the encoder's output for standardised observations, and for later layers the
# rates of neurons with these currents, found by simulating one neuron over their distribution. That
# is layer-sequential unit variance (Mishkin & Matas 2016, https://arxiv.org/abs/1511.06422) with
# the response computed from the neuron instead of data.
#
# By that, near observations become as different as far ones within a few layers, because a spike
# that flips is a large change, and nothing of them reaches the last layer of a deep network. With
# ``initial_weights`` of ``relay``, each hidden layer after the first passes on the spikes of the
# layer before, so that distances between observations are kept at any depth. Neuron i gets a
# synapse from neuron i modulo their number, at whose weight it fires as often as that neuron, a
# bias of half the rheobase, which alone does not fire it, and orthogonal weights of a fifth of the
# usual scale. Layers of ANNs that start as the identity: Le et al. 2015,
# https://arxiv.org/abs/1504.00941, in time, and Zagoruyko & Komodakis 2017,
# https://arxiv.org/abs/1706.00388, in depth. To find the weight from the neuron's response is
# ours. A neuron that feels its input a step late, such as ``alif``, relays only where its state is
# carried or there are many more time steps than layers.
#
# Mean squared rate of spike trains of unknown source: a fifth of the channels active at half of the
# time steps.
_SPIKE_TRAIN_MEAN_SQUARE = 0.05

# Share of the rheobase by which the currents of a layer's own spikes spread.
_RECURRENT_SPREAD = 0.5

# Of relays: bias in units of the rheobase, scale of the orthogonal weights, largest difference of
# rates, and the widest range of weights, as a factor, whose middle is taken.
_RELAY_BIAS, _RELAY_NOISE, _RELAY_ERROR, _RELAY_RANGE = 0.5, 0.2, 0.01, 4.0


def mean_square_rate(neuron: LayerNeurons, time_steps: int) -> float:
    """Return the mean squared rate of neurons under the initial currents; 1 if none fires."""
    current = neuron.rheobase(time_steps)
    quantiles = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    spread = current * torch.special.ndtri(quantiles)
    biases = 2.0 * current * quantiles
    currents = (spread[:, None] + biases[None, :]).reshape(1, 1, -1)
    state = neuron.initial_state(1, currents.shape[-1], currents[0])
    spikes = neuron.run_stepped(currents, state, time_steps).spikes
    return float(spikes.mean(0).square().mean()) or 1.0


def relay_weight(neuron: LayerNeurons, time_steps: int) -> float:
    """Return the weight of a synapse by which a neuron fires as often as the one before it.

    Both rates are means over 64 random spike trains of rates from 0 to 1. Where a range of weights
    relays the spikes, it is the geometric middle of the range, or of its part up to four times the
    least; where none does, it is the weight of the nearest rate.
    """
    current = neuron.rheobase(time_steps)
    weights = current * torch.logspace(-1, 2, 256, dtype=torch.float64)
    draws = torch.Generator().manual_seed(0)
    rates = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    trains = (torch.rand(time_steps, 1, 64, generator=draws, dtype=torch.float64) < rates).double()
    currents = _RELAY_BIAS * current + weights[:, None] * trains
    state = neuron.initial_state(len(weights), 64, currents[0])
    spikes = neuron.run_stepped(currents, state, time_steps).spikes
    error = (spikes.mean((0, 2)) - trains.mean()).abs()
    good = weights[error <= max(_RELAY_ERROR, float(error.min()))]
    least, most = float(good[0]), float(good[-1])
    return math.sqrt(least * min(most, _RELAY_RANGE * least))


def input_mean_square(encoder: NetworkEncoder | None, time_steps: int) -> float:
    """Return the typical mean squared rate of channels; ``encoder`` None means spike trains."""
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


def initialise_layers(
    config: NetworkConfig, layers: Sequence[SpikingLayer], *, spike_input: bool
) -> None:
    """Set weights and biases of layers in place, from torch's global generator."""
    time_steps = config.time_steps
    flags = spike_input or config.planes is not None
    mean_square = input_mean_square(None if flags else config.encoder_parameters, time_steps)
    rates: dict[Any, float] = {}
    synapses: dict[Any, float] = {}  # of relays
    for place, layer in enumerate(layers):
        neuron = configured_neuron(config, place)
        current = neuron.rheobase(time_steps)
        kind = neuron.text, neuron.parameters
        if kind not in rates:  # most networks have one kind of neuron
            rates[kind] = mean_square_rate(neuron, time_steps)
        weight, bias = learned_synapses(layer.linear)
        # Not from the input or from planes, nor to the populations of a decoder.
        relays = config.initial_weights == "relay" and len(config.operators) < place < config.depth
        scale = _RELAY_NOISE if relays else 1.0
        _orthogonal(weight, scale * current / math.sqrt(mean_square))
        # Most places of planes are empty, and there a filter is to be silent.
        highest = current if isinstance(layer.linear, SharedLinear) else 2.0 * current
        nn.init.uniform_(bias, 0.0, highest)
        if relays:
            if kind not in synapses:
                synapses[kind] = relay_weight(neuron, time_steps)
            _relay(weight, synapses[kind])
            nn.init.constant_(bias, _RELAY_BIAS * current)
        mean_square = rates[kind]
        if layer.recurrent is not None:
            _orthogonal(
                layer.recurrent.weight, _RECURRENT_SPREAD * current / math.sqrt(mean_square)
            )


@torch.no_grad()
def _relay(weight: Tensor, synapse: float) -> None:
    """Add a synapse from one neuron of the layer before to each neuron of ``weight`` (out, in)."""
    outputs, inputs = weight.shape
    places = torch.arange(outputs)
    weight[places, places % inputs] += synapse


def _orthogonal(weight: Tensor, row_norm: float) -> None:
    """Fill ``weight`` (out, in) with an orthogonal matrix whose rows have this norm (RMS)."""
    outputs, inputs = weight.shape
    nn.init.orthogonal_(weight, gain=row_norm * math.sqrt(outputs / min(outputs, inputs)))


# ---- assembly ------------------------------------------------------------------------------------
ValueT = TypeVar("ValueT")

_OLD_CONSTANTS = re.compile(r"(^|\.)dynamics$")
"""Name of a network's constants in older files."""


def configured_neuron(config: NetworkConfig, layer: int = 0) -> LayerNeurons:
    """Return new neurons as configured for ``layer``; an output layer gets the last hidden kind."""
    neurons = config.layer_neurons
    name, parameters = neurons[min(layer, len(neurons) - 1)]
    return LayerNeurons(
        NEURONS[name], parameters, config.dt_ms, config.surrogate, config.surrogate_slope,
        by_norse=config.backend == "norse",
    )  # fmt: skip


def make_layers(
    config: NetworkConfig,
    channels: int,
    outputs: int | None,
) -> list[SpikingLayer]:
    """Return the spiking layers that a configuration names, input side first.

    With the decoder ``population`` a layer of the ``outputs``' populations follows the hidden ones.
    ``channels`` are the first layer's inputs.

    Raises:
        ValueError: There is no hidden layer, or ``population`` lacks ``outputs``.
    """
    if not config.depth:
        raise ValueError(
            "hidden_sizes must name at least one layer of spiking neurons, such as [64, 64], got "
            "none; for a linear policy, which does not spike, take agent ppo-linear"
        )
    operators = config.operators
    sizes = [*(math.prod(x.shape) for x in operators), *config.hidden_sizes]
    decoder = config.decoder_parameters
    if isinstance(decoder, PopulationDecoderParameters):
        if outputs is None:
            raise ValueError(
                "decoder 'population' needs the number of outputs, got neither output_size nor "
                "population_outputs; give one"
            )
        sizes.append(outputs * decoder.neurons_per_output)
    layers: list[SpikingLayer] = []
    inputs = channels
    for place, size in enumerate(sizes):
        neuron = configured_neuron(config, place)
        neuron.learn(config.learnable, size)
        linear: SynapticLinear | SynapticConvolution = (
            SynapticConvolution(operators[place])
            if place < len(operators)
            else SynapticLinear(inputs, size)
        )
        recurrent = config.recurrent and len(operators) <= place < config.depth
        layers.append(SpikingLayer(linear, neuron, config.backend, recurrent=recurrent))
        inputs = size
    return layers


def neuron_constants(config: NetworkConfig) -> Tensor:
    """Return the numbers that determine neurons and decoder, float64.

    They are saved with the weights: Norse keeps them out of ``state_dict``, and weights would load
    silently under other time constants.
    """
    given: Any = config.neuron_parameters
    neurons = given if isinstance(given, tuple) else (given,)
    parameters = chain.from_iterable(map(astuple, (*neurons, config.decoder_parameters)))
    numbers = [config.dt_ms, config.time_steps, config.surrogate_slope, *parameters]
    return torch.tensor(numbers, dtype=torch.float64)


def time_steps_in(tensors: Mapping[str, Tensor]) -> float | None:
    """Return the time steps of the network whose acting tensors these are; None without neurons.

    Of tensors that nobody has checked any number may come.
    """
    constants = [x for name, x in tensors.items() if name.endswith("neuron_constants")]
    return next((float(x.flatten()[1]) for x in constants if x.numel() > 1), None)


def todays_names(tensors: Mapping[str, ValueT]) -> dict[str, ValueT]:
    """Return saved tensors under the names that they have in this version.

    Older files name a network's ``neuron_constants`` ``dynamics``.
    """
    return {_OLD_CONSTANTS.sub(r"\1neuron_constants", name): x for name, x in tensors.items()}
