"""Rivals of relays in deep networks: residual spikes, and batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking.spiking_layer import SpikingLayer


class RivalNetwork(nn.Module):
    """Layers of a network of ours, run one after the other: (T, B, D) to spikes (T, B, N).

    Args:
        config: Sizes, neurons and initial weights.
        inputs: Values of an observation, D.
        residual: Whether each layer after the first adds its input to its spikes: SEW blocks of one
            layer with the function ADD (Fang et al. 2021, https://arxiv.org/abs/2102.04159).
        normalised: Whether currents are normalised over samples and time steps: tdBN (Zheng et al.
            2021, https://arxiv.org/abs/2011.05280). The initial standard deviation is the rheobase,
            not the threshold as in tdBN.
    """

    def __init__(
        self,
        config: NetworkConfig,
        inputs: int,
        *,
        residual: bool = False,
        normalised: bool = False,
    ) -> None:
        super().__init__()
        self._residual, self._time_steps = residual, config.time_steps
        self.layers = SpikingNetwork(config, inputs).layers
        layers: list[Any] = list(self.layers)  # a ModuleList forgets the type of its members
        self.norms = nn.ModuleList(
            _move_biases_to_norm(layer, config.time_steps) if normalised else nn.Identity()
            for layer in layers
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer's spikes (T, B, N) for inputs (T, B, D), residual ones summed."""
        layers: list[Any] = list(self.layers)
        for place, (layer, norm) in enumerate(zip(layers, self.norms, strict=True)):
            currents = layer.currents(x)
            currents = norm(currents.flatten(0, 1)).view_as(currents)
            state = layer.initial_state(x.shape[1], x[0])
            spikes = layer.driven(currents, state, self._time_steps).spikes
            x = spikes + x if self._residual and place > 0 else spikes
        return x


Rival = Callable[[NetworkConfig, int], nn.Module]
RESIDUAL: Rival = partial(RivalNetwork, residual=True)
NORMALISED: Rival = partial(RivalNetwork, normalised=True)


def _move_biases_to_norm(layer: SpikingLayer, time_steps: int) -> nn.Module:
    """Return a normalisation with the biases of a layer's synapses, which are set to 0."""
    norm = nn.BatchNorm1d(layer.size)
    with torch.no_grad():
        norm.weight.fill_(layer.neuron.rheobase(time_steps))
        norm.bias.copy_(layer.linear.bias)
        layer.linear.bias.zero_()
    layer.linear.bias.requires_grad_(False)
    return norm
