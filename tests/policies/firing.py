"""Policies with random weights and active neurons."""

import torch


@torch.no_grad()
def made_to_fire(policy):
    """Enlarge the weights, set normaliser statistics, and act once; return the policy."""
    for parameter in policy.parameters():
        parameter.mul_(3.0)
    if policy.normaliser is not None:
        policy.normaliser.mean.normal_()
        policy.normaliser.std.uniform_(0.5, 2.0)
    policy.set_training_mode(False)
    return policy
