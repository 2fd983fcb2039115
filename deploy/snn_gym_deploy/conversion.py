"""Conversion of ANNs with rectified units to networks of integrate-and-fire neurons.

A unit becomes a neuron whose spikes in T time steps count its activation in steps of ``theta / T``,
``theta`` being the unit's largest activation in the states that the agent visits (per-neuron
thresholds, as in the release of CRPI, https://github.com/xuzijie32/ANN2SNN-CRPI; balancing by the
largest activation is Diehl et al. 2015's, https://doi.org/10.1109/IJCNN.2015.7280696). Potentials
start at half the threshold, which rounds to the nearest (Bu et al. 2022,
https://arxiv.org/abs/2303.04347). We put ``theta`` into the weights, so that every neuron has the
threshold 1, and reset the state at every decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from snn_gym.policies import SpikingPolicy, bare_policy, program_of, unrolled
from snn_gym_deploy.visits import FIRST_SEED, observations_of

DECISIONS = 10_000  # states for the choice of thresholds


def convert(
    model: BaseAlgorithm | BasePolicy,
    env_id: str,
    time_steps: int = 16,
    *,
    decisions: int = DECISIONS,
    env_kwargs: Mapping[str, Any] | None = None,
) -> BasePolicy:
    """Convert an ANN of rectified units to a spiking network that approximates it.

    Args:
        model: Algorithm with a policy of snn_gym whose acting network is an ANN of ReLU units, such
            as ``dqn-mlp`` or ``sac-mlp``; or the policy.
        env_id: Environment whose states choose the thresholds; its seeds differ from those of
            evaluations.
        time_steps: Time steps of a decision, T.
        decisions: Least number of visited states.
        env_kwargs: Arguments of the environment.

    Returns:
        A policy of the same class, which can be evaluated, recorded and exported.

    Raises:
        ValueError: The acting network is no ANN of ReLU units, or has no ``Program``.
    """
    policy: SpikingPolicy = bare_policy(model, "converted")
    units = program_of(policy).layers
    if not units or any(getattr(layer, "activation", "") != "relu" for layer in units):
        raise ValueError(
            "only ANNs of ReLU units are converted; train dqn-mlp, sac-mlp or another policy with "
            "activation_fn=torch.nn.ReLU, PPO with actor_activation='relu'"
        )
    if policy.network.convolutions:
        policy = unrolled(policy)  # every place has a largest activation of its own
    network = policy.acting_network()
    observations = _visited(policy, env_id, decisions, env_kwargs)
    thresholds = largest_activations(policy, network, observations)
    converted = _spiking(policy, time_steps)
    if converted.normaliser is not None and policy.normaliser is not None:
        converted.normaliser.load_state_dict(policy.normaliser.state_dict())
    _load(converted, policy, network, thresholds)
    converted.train(False)
    return converted


def _spiking(policy: SpikingPolicy, time_steps: int) -> SpikingPolicy:
    """Return a policy of the same class whose acting network spikes."""
    arguments = policy._get_constructor_parameters()
    arguments["network"] = replace(
        policy.network, time_steps=time_steps, neuron="iaf_soft", neuron_parameters=None,
        encoder="constant", encoder_parameters=None, decoder="mean_rate", decoder_parameters=None,
        recurrent=False, learnable=(), regulation=None,
    )  # fmt: skip
    flag = "spiking_actor" if "spiking_actor" in arguments else "spiking"
    if "actor_activation" in arguments:
        arguments["actor_activation"] = None
    return type(policy)(**{**arguments, flag: True})


def _visited(
    policy: SpikingPolicy, env_id: str, decisions: int, env_kwargs: Mapping[str, Any] | None
) -> NDArray[Any]:
    """Return at least ``decisions`` observations (B, ...) of whole episodes."""
    observations, seed = list[NDArray[Any]](), FIRST_SEED
    while sum(map(len, observations)) < decisions:
        observations.append(observations_of(policy, env_id, range(seed, seed + 10), env_kwargs))
        seed += 10
    return np.concatenate(observations)


@torch.no_grad()
def largest_activations(
    policy: SpikingPolicy, network: nn.Sequential, observations: NDArray[Any]
) -> list[Tensor]:
    """Return the largest activation (N,) of hidden ReLU units, layer by layer; 1 if always 0."""
    tensor, _ = policy.obs_to_tensor(observations)
    signal, activations = policy.network_inputs(tensor), []
    for module in network:
        signal = module(signal)
        if isinstance(module, nn.ReLU):
            largest = signal.amax(0)
            activations.append(torch.where(largest > 0, largest, 1.0))
    return activations


@torch.no_grad()
def _load(
    converted: SpikingPolicy,
    policy: SpikingPolicy,
    network: nn.Sequential,
    thresholds: list[Tensor],
) -> None:
    """Copy weights into the converted network, scaled by the thresholds of units."""
    spiking = converted.acting_network()
    linears = [x for x in network if isinstance(x, nn.Linear)]
    scales = [torch.ones(linears[0].in_features), *thresholds]
    for layer, linear, (before, own) in zip(
        spiking.layers, linears, pairwise(scales), strict=False
    ):
        layer.linear.weight.copy_(linear.weight * before / own.unsqueeze(1))
        layer.linear.bias.copy_(linear.bias / own)
    # The head belongs to the network or to the policy.
    source = linears[-1] if len(linears) > len(thresholds) else policy.readout()
    head = spiking.head if spiking.head is not None else converted.readout()
    assert isinstance(source, nn.Linear)  # a program's head is linear
    assert isinstance(head, nn.Linear)
    head.weight.copy_(source.weight * thresholds[-1])
    head.bias.copy_(source.bias)
