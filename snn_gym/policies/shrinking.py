"""Policies made over: without neurons on which no action depends, or without shared weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import Tensor

from snn_gym.policies.base import ProgramPolicy, SpikingPolicy
from snn_gym.policies.observations import with_planes
from snn_gym.program.program import neurons_with_effect
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.spiking_layer import SharedLinear

PolicyT = TypeVar("PolicyT", bound=SpikingPolicy)
CopyT = TypeVar("CopyT", bound=ProgramPolicy)
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
    """Copy the weights of a policy into a smaller one that keeps only the neurons in ``places``.

    ``small`` is changed in place. Its regulation begins to measure anew.
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


def unrolled_config(config: NetworkConfig, observed: spaces.Space[Any]) -> NetworkConfig:
    """Return a configuration with dense layers in place of convolutions over what is observed.

    Each neuron of a filter has its own weights there, so that it may be shed alone.
    """
    shapes = with_planes(config, observed, FlattenExtractor).shapes
    sizes = (*map(math.prod, shapes[1:]), *config.hidden_sizes)
    return replace(config, convolutions=(), hidden_sizes=sizes)


def unrolled(policy: PolicyT) -> PolicyT:
    """Return a copy of a policy that decides alike, with dense layers for its convolutions."""
    tensors = policy.acting_state_dict()
    for prefix, module in policy.acting_modules().items():
        for name, part in module.named_modules(prefix=prefix):
            if isinstance(part, SharedLinear):
                del tensors[f"{name}.filters"], tensors[f"{name}.filter_biases"]
                tensors[f"{name}.weight"] = part.weight.detach().clone()
                tensors[f"{name}.bias"] = part.bias.detach().clone()
    network = unrolled_config(policy.network, policy.observation_space)
    return made_anew(policy, tensors, network=network)


def made_anew(policy: CopyT, tensors: Mapping[str, Tensor], **changes: Any) -> CopyT:
    """Return a policy of changed arguments with given acting tensors; other parts are new."""
    # Its random first weights are overwritten, and training draws the same numbers.
    with torch.random.fork_rng():
        made = type(policy)(**{**policy._get_constructor_parameters(), **changes})
    made.to(policy.device)
    made.load_acting_state_dict(tensors)
    made.set_training_mode(False)
    return made


def _of_layer(name: str, tensor: Tensor, places: Sequence[Tensor]) -> Tensor:
    """Return tensor ``name``, such as ``0.linear.weight``, for the neurons in ``places`` alone."""
    layer, _, part = name.partition(".")
    k = int(layer)
    rows = tensor[places[k]]
    if part == "recurrent.weight":
        return rows[:, places[k]]
    if part == "linear.weight" and k > 0:
        return rows[:, places[k - 1]]
    return rows
