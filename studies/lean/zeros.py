"""Costs of networks of rectified units, whose zeros need not be multiplied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_gym.spiking.recording import Recording


class ZeroSkipping:
    """A policy whose costs leave out the multiply-accumulates with hidden activations of zero.

    It is evaluated as the policy itself is, which acts by a ``DenseNetwork``.

    Args:
        policy: The policy.
    """

    def __init__(self, policy: Any) -> None:
        self._policy = policy
        self._zeros = 0
        self._activations = 0

    @property
    def zero_share(self) -> float:
        """Share of the recorded hidden activations that were zero.

        Raises:
            ValueError: None was recorded.
        """
        if not self._activations:
            raise ValueError("no activations were recorded; evaluate the policy first")
        return self._zeros / self._activations

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Act as the policy does."""
        return self._policy.predict(*args, **kwargs)

    def record(self, obs: NDArray[Any], state: Any = None) -> Recording:
        """Record as the policy does, and skip zeros.

        Args:
            obs: Batch of observations.
            state: As in the policy.
        """
        hidden: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> None:
            hidden.append(output)

        units = [x for x in self._policy.mlp_extractor.actor if not isinstance(x, nn.Linear)]
        hooks = [unit.register_forward_hook(keep) for unit in units]
        try:
            recording: Recording = self._policy.record(obs, state)
        finally:
            for hook in hooks:
                hook.remove()
        return self._skipped(recording, hidden)

    def _skipped(self, recording: Recording, hidden: list[Tensor]) -> Recording:
        """Return a recording less the products with zeros among hidden activations (B, units)."""
        macs = dict(recording.costs.macs_per_decision)
        readers = [*(f"dense_{number}" for number in range(2, len(hidden) + 1)), "readout"]
        for reader, values in zip(readers, hidden, strict=True):
            zeros = int(np.count_nonzero(values.numpy() == 0))
            # Every activation is multiplied as often as any other one of its layer.
            macs[reader] *= 1.0 - zeros / values.numel()
            self._zeros += zeros
            self._activations += values.numel()
        return replace(recording, costs=replace(recording.costs, macs_per_decision=macs))
