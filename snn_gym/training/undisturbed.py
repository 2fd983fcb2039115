"""Looking at a policy while it learns, so that it learns as if nobody had looked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from snn_gym.spiking import SpikingNetwork


@contextmanager
def undisturbed(policy: nn.Module) -> Iterator[None]:
    """Leave a policy as it was found: its modes, and the streams of noisy encoders.

    Args:
        policy: Policy that is played or recorded meanwhile.
    """
    modes = [(module, module.training) for module in policy.modules()]
    networks = [module for module, _ in modes if isinstance(module, SpikingNetwork)]
    states = [getattr(network, "noise_state", None) for network in networks]
    kept = [None if state is None else state.clone() for state in states]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for state, before in zip(states, kept, strict=True):
            if state is not None:
                state.copy_(before)
