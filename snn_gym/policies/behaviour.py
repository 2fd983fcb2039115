"""Behaviour of a policy: numbers whose distance from another policy's has a gradient."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

from snn_gym.spiking.execution import NetworkRun, spikes_of


class Behaviour(BasePolicy):
    """A policy whose acting network can be watched and compared."""

    rates_actions: bool = False
    """Whether its behaviour are values of actions, which have a scale of their own, and no
    log-odds."""

    @abstractmethod
    def acting_network(self) -> Any:
        """Return the network that chooses actions."""

    @abstractmethod
    def network_inputs(self, observation: PyTorchObs) -> Tensor:
        """Return what the acting network sees of a batch of observations."""

    @abstractmethod
    def behaviour(self, output: Tensor) -> Tensor:
        """Return what an output of the acting network makes the policy do.

        Args:
            output: (B, O).

        Returns:
            (B, A): log-odds or values of discrete actions; the best continuous action, in units of
            half the range of the action space, the middle of which is 0.
        """

    def watched(self, observations: Any) -> tuple[Tensor, list[Tensor]]:
        """Decide on observations; gradients can be taken of all that is returned.

        Args:
            observations: Batch of B; of a policy that carries a state a ``SequenceBatch``.

        Returns:
            Behaviour (B, A), and the spikes (T, B, N) of every spiking layer.
        """
        inputs = self.network_inputs(observations)
        runs: list[NetworkRun] = []
        output, _ = self.acting_network()(inputs, optimised=False, observer=runs.append)
        return self.behaviour(output), spikes_of(runs)


def scaled_actions(actions: Tensor, space: spaces.Box) -> Tensor:
    """Return actions (B, ...) as (B, A) in units of half the range of their space, clipped to it.

    Where the space has no limits an action is in units of its own.
    """
    low, high = (
        torch.as_tensor(x, device=actions.device).flatten() for x in (space.low, space.high)
    )
    limited = torch.isfinite(low) & torch.isfinite(high)
    middle = torch.where(limited, (low + high) / 2, 0.0)
    half = torch.where(limited, (high - low) / 2, 1.0)
    flat = actions.flatten(1)
    return (torch.minimum(torch.maximum(flat, low), high) - middle) / half


def value_scale(values: Tensor) -> float:
    """Return what values of actions (B, A) are divided by, so that they are like log-odds.

    It is the mean gap between the best and the mean action, at least 1e-6.
    """
    return max(float((values.max(1).values - values.mean(1)).mean()), 1e-6)


def divergence(space: spaces.Space[Any], reference: Tensor, behaviour: Tensor) -> Tensor:
    """Return how far a policy's behaviour is from another's, at each decision.

    Args:
        space: Action space.
        reference: Behaviour (B, A) that is to be kept.
        behaviour: Behaviour (B, A) of the other policy.

    Returns:
        (B,) the Kullback-Leibler divergence of the behaviour from the reference (nat), summed over
        parts of the action; of a Box that of Gaussians whose standard deviation is a quarter of
        the action's range: twice the squared distance in units of half of it.

    Raises:
        ValueError: Actions are of another kind.
    """
    if isinstance(space, spaces.Box):
        return 2 * (behaviour - reference).square().sum(1)
    if isinstance(space, spaces.MultiBinary):
        odds = torch.sigmoid(reference)
        cross = binary_cross_entropy_with_logits(behaviour, odds, reduction="none")
        entropy = binary_cross_entropy_with_logits(reference, odds, reduction="none")
        return (cross - entropy).sum(1)
    if isinstance(space, spaces.MultiDiscrete):
        sizes = [int(n) for n in space.nvec.flatten()]
    elif isinstance(space, spaces.Discrete):
        sizes = [int(space.n)]
    else:
        raise ValueError(f"behaviour is compared on Box and discrete actions, got {space}")
    pairs = zip(torch.split(reference, sizes, 1), torch.split(behaviour, sizes, 1), strict=True)
    parts = [(log_softmax(a, 1), log_softmax(b, 1)) for a, b in pairs]
    return torch.stack([(a.exp() * (a - b)).sum(1) for a, b in parts]).sum(0)
