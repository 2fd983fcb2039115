"""Smaller policies: neurons are left out on which no action depends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snn_gym.policies.base import SpikingPolicy
from snn_gym.program.compaction import neurons_with_effect
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.spiking.network import SpikingNetwork

Places = Sequence[NDArray[np.intp]]
"""Numbers of the neurons of each layer that stay."""


def needed_neurons(policy: SpikingPolicy) -> Places:
    """Return the neurons of each layer on which an action depends; of none, the first.

    Neurons of an output's population all stay.
    """
    masks = neurons_with_effect(policy.program())
    for mask in masks[len(policy.network.hidden_sizes) :]:
        mask[:] = True
    return [np.flatnonzero(mask) if mask.any() else np.array([0]) for mask in masks]


def smaller_arguments(policy: SpikingPolicy, places: Places) -> dict[str, Any]:
    """Return arguments that change in a policy with those neurons; its critic keeps its size."""
    sizes = policy.network.hidden_sizes
    kept = tuple(len(own) for own in places[: len(sizes)])
    arguments: dict[str, Any] = {"network": replace(policy.network, hidden_sizes=kept)}
    if policy.critic_key is not None:
        own = policy.critic_hidden_sizes
        arguments["critic_hidden_sizes"] = sizes if own is None else own
    return arguments


@torch.no_grad()
def take_over(small: SpikingPolicy, whole: SpikingPolicy, places: Places) -> None:
    """Give a smaller policy the weights of the whole one, without those of other neurons.

    Regulation begins to measure anew.
    """
    given, taken = full_state(whole), dict[str, Tensor]()
    sizes = [layer.size for layer in whole.acting_network().layers]
    own = [torch.from_numpy(x) for x in places]
    networks = {
        name: part
        for name, part in whole.named_modules(remove_duplicate=False)
        if isinstance(part, SpikingNetwork)
    }
    for name, expected in full_state(small).items():
        tensor = given[name]
        network = next((x for x in networks if name.startswith(f"{x}.layers.")), None)
        if ".regulation." in name:
            continue
        if tensor.shape == expected.shape:
            taken[name] = tensor
        elif network is not None:
            taken[name] = _of_layer(name.removeprefix(f"{network}.layers."), tensor, own)
        elif tensor.shape[-1] == sizes[-1]:  # a head
            taken[name] = tensor[..., own[-1]]
    small.load_state_dict({**small.state_dict(), **taken})


def _of_layer(name: str, tensor: Tensor, places: Sequence[Tensor]) -> Tensor:
    """Return the part of a layer's tensor that belongs to the neurons that stay."""
    layer, _, part = name.partition(".")
    k = int(layer)
    rows = tensor[places[k]]
    if part == "recurrent.weight":
        return rows[:, places[k]]
    if part == "linear.weight" and k > 0:
        return rows[:, places[k - 1]]
    return rows
