"""Assembly of the parts that a configuration names, and names of what is saved of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import TypeVar

import torch
from torch import Tensor

from snn_gym.spiking.coding.parameters import PopulationDecoderParameters
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.initialisation import initialise, input_mean_square
from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.neurons.base import LayerNeurons
from snn_gym.spiking.neurons.norse_cells import CellFactory, NorseCell
from snn_gym.spiking.neurons.registered import make_neurons

ValueT = TypeVar("ValueT")

# The neuron of a layer and a network's constants were once both called so.
_OLD_NAMES = (
    (re.compile(r"(^|\.)dynamics$"), r"\1neuron_constants"),
    (re.compile(r"(^|\.)layers\.(\d+)\.dynamics\."), r"\1layers.\2.neuron."),
)


def configured_neuron(config: NetworkConfig, layer: int = 0) -> LayerNeurons:
    """Return the neuron that a configuration names, with its constants fixed.

    Args:
        config: Configuration of the network.
        layer: Place of the layer; one after the hidden ones has the neuron of the last of them.
    """
    neurons = config.layer_neurons
    name, parameters = neurons[min(layer, len(neurons) - 1)]
    return make_neurons(
        name, parameters, config.dt_ms, config.surrogate, config.surrogate_slope,
        by_norse=config.backend == "norse",
    )  # fmt: skip


def make_layers(
    config: NetworkConfig,
    channels: int,
    outputs: int | None,
    cell_factory: CellFactory | None,
) -> list[SpikingLayer]:
    """Return the spiking layers that a configuration names, input side first.

    Args:
        config: Configuration of the network.
        channels: Inputs of the first layer.
        outputs: Outputs of the network, None if not known. With the decoder ``population`` a layer
            of their populations follows the hidden ones, which is never recurrent.
        cell_factory: Makes a Norse cell in place of the configured neuron, or None.

    Raises:
        ValueError: The backend is ``fused`` and a layer's neurons have no kernels, or the number
            of outputs is needed and not known.
    """
    if cell_factory is not None and config.learnable:
        raise ValueError(
            "learnable names constants of the configured neuron, and a cell_factory makes others; "
            "give the cells nn.Parameters"
        )
    layers: list[SpikingLayer] = []
    inputs = channels
    for place, size in enumerate((*config.hidden_sizes, *_population_sizes(config, outputs))):
        # Neurons of its own: the slope of a layer's surrogate gradient may be controlled.
        neuron: LayerNeurons | NorseCell
        if cell_factory is None:
            neuron = configured_neuron(config, place)
            neuron.learn(config.learnable, size)
        else:
            neuron = NorseCell(cell_factory, size)
        recurrent = config.recurrent and place < len(config.hidden_sizes)
        layers.append(SpikingLayer(inputs, size, neuron, config.backend, recurrent=recurrent))
        inputs = size
    if config.backend == "fused" and not all(layer.fusable for layer in layers):
        raise ValueError(
            "backend 'fused' runs neurons that have a text, no cell; use backend='auto'"
        )
    return layers


def initialise_layers(
    config: NetworkConfig, layers: Sequence[SpikingLayer], *, spike_input: bool
) -> None:
    """Initialise layers in place for the neuron that a configuration names.

    Args:
        config: Configuration of the network.
        layers: What ``make_layers`` returned.
        spike_input: Whether the observation is a spike train, which no encoder touches.
    """
    encoder = None if spike_input else config.encoder_parameters
    mean_square = input_mean_square(encoder, config.time_steps)
    neurons = [configured_neuron(config, place) for place in range(len(layers))]
    initialise(layers, neurons, mean_square, config.time_steps)


def _population_sizes(config: NetworkConfig, outputs: int | None) -> tuple[int, ...]:
    parameters = config.decoder_parameters
    if not isinstance(parameters, PopulationDecoderParameters):
        return ()
    if outputs is None:
        raise ValueError(
            "decoder 'population' needs the number of outputs, got neither output_size nor "
            "population_outputs; give one"
        )
    return (outputs * parameters.neurons_per_output,)


def neuron_constants(config: NetworkConfig) -> Tensor:
    """Return the numbers that shape what neurons and decoder do, float64.

    They are saved with the weights: Norse keeps them out of ``state_dict``, and weights would load
    silently under other time constants.
    """
    numbers = [config.dt_ms, config.time_steps, config.surrogate_slope]
    neurons = config.neuron_parameters
    for parameters in (
        *(neurons if isinstance(neurons, tuple) else (neurons,)),
        config.decoder_parameters,
    ):
        numbers.extend(astuple(parameters))
    return torch.tensor(numbers, dtype=torch.float64)


def todays_names(tensors: Mapping[str, ValueT]) -> dict[str, ValueT]:
    """Return saved tensors under today's names, if they were saved under older ones.

    Args:
        tensors: Tensors of a ``state_dict``, by name.
    """
    named = {}
    for name, tensor in tensors.items():
        for old, today in _OLD_NAMES:
            name = old.sub(today, name)  # noqa: PLW2901
        named[name] = tensor
    return named
