"""Distance between the behaviours of two policies, with a gradient."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax


def scaled_actions(actions: Tensor, space: spaces.Box) -> Tensor:
    """Return actions (B, A) clipped to their Box, whose range becomes [-1, 1].

    Values without two finite limits keep their units.
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
    """Return the divisor that makes values of actions (B, A) like log-odds.

    It is the mean over B of the largest value minus the mean value, at least 1e-6.
    """
    return max(float((values.max(1).values - values.mean(1)).mean()), 1e-6)


def divergence(space: spaces.Space[Any], reference: Tensor, behaviour: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence KL(reference || behaviour), nat, (B,) for (B, A).

    It is summed over the parts of an action. A Box's is that of Gaussians whose standard
    deviation is a quarter of the action's range: twice the squared distance in units of half of it.

    Raises:
        ValueError: The action space is neither a Box nor discrete.
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
