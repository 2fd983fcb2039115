"""Rivals of relays in deep networks: spikes added over every layer, and normalised currents."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking.spiking_layer import SpikingLayer


@dataclass(frozen=True)
class Rival:
    """What a deep network has beside orthogonal weights."""

    residual: bool = False
    """Whether the input of each layer after the first is added to its spikes: SEW blocks of one
    layer with the function ADD (Fang et al. 2021, https://arxiv.org/abs/2102.04159)."""
    normalised: bool = False
    """Whether the currents of each layer are normalised over samples and time steps: tdBN (Zheng et
    al. 2021, https://arxiv.org/abs/2011.05280). Their standard deviation starts at the rheobase,
    where theirs starts at the threshold, for our synapses filter currents."""

    def __call__(self, config: NetworkConfig, inputs: int) -> nn.Module:
        """Return the network."""
        return _Network(self, config, inputs)


class _Network(nn.Module):
    """Layers of a network of ours, run one after the other: (T, B, D) to spikes (T, B, N)."""

    def __init__(self, rival: Rival, config: NetworkConfig, inputs: int) -> None:
        super().__init__()
        self._residual, self._time_steps = rival.residual, config.time_steps
        self.layers = SpikingNetwork(config, inputs).layers
        self.norms = nn.ModuleList(
            _norm(layer, config.time_steps) if rival.normalised else nn.Identity()
            for layer in self.layers
            if isinstance(layer, SpikingLayer)
        )

    def forward(self, x: Tensor) -> Tensor:
        for place, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            assert isinstance(layer, SpikingLayer)
            currents = layer.currents(x)
            currents = norm(currents.flatten(0, 1)).view_as(currents)
            state = layer.initial_state(x.shape[1], x[0])
            spikes = layer.driven(currents, state, self._time_steps).spikes
            x = spikes + x if self._residual and place > 0 else spikes
        return x


def _norm(layer: SpikingLayer, time_steps: int) -> nn.Module:
    """Return a normalisation that takes over the biases of a layer's synapses."""
    norm = nn.BatchNorm1d(layer.size)
    with torch.no_grad():
        norm.weight.fill_(layer.neuron.rheobase(time_steps))
        norm.bias.copy_(layer.linear.bias)
        layer.linear.bias.zero_()
    layer.linear.bias.requires_grad_(False)
    return norm
