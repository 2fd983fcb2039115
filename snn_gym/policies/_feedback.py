"""A linear readout whose error reaches the neurons below by weights of its own, fixed at random."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class BroadcastLinear(nn.Linear):
    """A linear layer whose gradient goes down by fixed random weights, not by its own.

    Feedback alignment (Lillicrap et al. 2016, https://doi.org/10.1038/ncomms13276), with which
    e-prop is called random (Bellec et al. 2020, https://doi.org/10.1038/s41467-020-17236-y). What
    it computes, and the gradients of its own weights, are those of ``nn.Linear``. The feedback
    weights are normal, with a variance of one over the inputs.

    Args:
        inputs: Inputs.
        outputs: Outputs.
    """

    feedback: Tensor
    """(outputs, inputs), fixed."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer("feedback", torch.randn(outputs, inputs) / math.sqrt(inputs))

    def forward(self, features: Tensor) -> Tensor:
        """Return the outputs (..., outputs) for features (..., inputs)."""
        output = super().forward(features.detach())
        if not features.requires_grad:
            return output
        carried = nn.functional.linear(features, self.feedback)
        return output + (carried - carried.detach())


def broadcast_head(head: nn.Module) -> BroadcastLinear:
    """Return a readout with the parameters of a linear one, and random feedback.

    Args:
        head: The linear readout; an optimiser of its parameters goes on with them.

    Raises:
        ValueError: It is another kind of readout.
    """
    if not isinstance(head, nn.Linear):
        raise ValueError(
            f"feedback='random' needs a linear readout, got {type(head).__name__}; use another "
            "decoder than 'population', or feedback='symmetric'"
        )
    made = BroadcastLinear(head.in_features, head.out_features)
    made.weight, made.bias = head.weight, head.bias
    return made
