"""Costs of networks of which synapses were pruned: a spike costs those that are left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.recording import Recording


class PrunedCounting:
    """A policy whose synaptic operations leave out synapses of weight zero.

    It is evaluated as the policy itself is. Synapses into spiking layers count, from the input,
    other layers and the layer itself; those of the readout are never pruned.

    Args:
        policy: The policy, which acts by a ``SpikingNetwork``.
    """

    def __init__(self, policy: Any) -> None:
        self._policy = policy

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Act as the policy does."""
        return self._policy.predict(*args, **kwargs)

    def reseed_noise(self, seed: int) -> None:
        """Restart the noise of the policy's encoder."""
        self._policy.reseed_noise(seed)

    def record(self, obs: NDArray[Any], state: Any = None) -> Recording:
        """Record as the policy does, and leave out synapses of weight zero.

        Args:
            obs: Batch of observations.
            state: As in the policy.
        """
        recording: Recording = self._policy.record(obs, state)
        layers = list(self._policy._acting_network().layers)
        zeros = zeros_behind(layers, with_input=len(recording.layers) > len(layers))
        synops = dict(recording.costs.synops_per_decision)
        for layer, missing in zip(recording.layers, zeros, strict=True):
            of_neurons = layer.spikes.detach().sum((0, 1), dtype=torch.float64)  # (N,)
            unused = float((of_neurons * missing).sum()) / layer.spikes.shape[1]
            synops[layer.name] -= unused
        return replace(recording, costs=replace(recording.costs, synops_per_decision=synops))


def zeros_behind(layers: Sequence[SpikingLayer], *, with_input: bool) -> list[Tensor]:
    """Return the synapses of weight zero that leave each neuron (N,), layer by layer.

    Args:
        layers: Spiking layers, each of which reads the one before.
        with_input: Whether spikes enter the first one, whose senders then come first.
    """
    into = [_zeros(layer.linear.weight) for layer in layers]
    behind = [*into[1:], into[0].new_zeros(layers[-1].size)]
    for k, layer in enumerate(layers):
        if layer.recurrent is not None:
            behind[k] = behind[k] + _zeros(layer.recurrent.weight)
    return [into[0], *behind] if with_input else behind


def _zeros(weight: Tensor) -> Tensor:
    """Return the zeros (senders,) among weights (receivers, senders)."""
    return (weight.detach() == 0).sum(0)
