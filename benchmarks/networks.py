"""Networks of chosen size, length and activity."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.peers import hidden_linears
from snn_gym.spiking import NetworkConfig, SpikingNetwork

INPUTS = 4
"""Values of an observation."""
_LEAST_BIAS, _MOST_BIAS = -20.0, 20.0
"""Between these a neuron goes from silent to firing at every time step."""
_HALVINGS = 24


def with_time_steps(network: SpikingNetwork, time_steps: int) -> SpikingNetwork:
    """Return a network with the same weights and another number of time steps."""
    config = replace(network.config, time_steps=time_steps, regulation=None)
    copy = SpikingNetwork(config, network.input_size)
    for own, given in zip(hidden_linears(copy), hidden_linears(network), strict=True):
        own.load_state_dict(given.state_dict())
    return copy


def at_activity(
    sizes: tuple[int, ...], time_steps: int, batch: int, share: float
) -> tuple[SpikingNetwork, Tensor]:
    """Return a network and inputs of which a given share of its neurons fires at a time step.

    The weights are fresh ones, and all biases of a layer the same.
    """
    torch.manual_seed(0)
    network = SpikingNetwork(NetworkConfig(hidden_sizes=sizes, time_steps=time_steps), INPUTS)
    x = torch.randn(batch, INPUTS)
    for index, linear in enumerate(hidden_linears(network)):
        low, high = _LEAST_BIAS, _MOST_BIAS
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            torch.nn.init.constant_(linear.bias, middle)
            low, high = (low, middle) if _share(network, x, index) >= share else (middle, high)
        torch.nn.init.constant_(linear.bias, high)
        reached, spike = _share(network, x, index), 1.0 / (sizes[index] * time_steps * batch)
        # A whole layer of equal neurons would fire at once; theirs differ by their weights.
        if abs(reached - share) > max(0.1 * share, 2 * spike):
            raise ValueError(
                f"layer {index + 1} of {sizes} fires at {reached:.4f} of its time steps, wanted "
                f"{share:.4f}; take more neurons or rows"
            )
    return network, x


def _share(network: SpikingNetwork, x: Tensor, layer: int) -> float:
    with torch.no_grad():
        return float(network.record(x).layers[layer].spikes.mean())
