"""Share of the hidden activations of rectified units that are zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_gym.spiking.recording import Recording


class ZeroCounting:
    """A policy whose hidden activations of zero are counted as it is evaluated.

    It acts by a ``DenseNetwork``, whose costs leave out products with these zeros.
    """

    def __init__(self, policy: Any) -> None:
        self._policy = policy
        self._zeros = 0
        self._activations = 0

    @property
    def zero_share(self) -> float:
        """Share of the recorded hidden activations that were zero."""
        if not self._activations:
            raise ValueError("no activations were recorded; evaluate the policy first")
        return self._zeros / self._activations

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Act as the policy does."""
        return self._policy.predict(*args, **kwargs)

    def record(self, obs: NDArray[Any], state: Any = None) -> Recording:
        """Record as the policy does, and count zeros."""
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
        self._zeros += sum(int(np.count_nonzero(x.numpy() == 0)) for x in hidden)
        self._activations += sum(x.numel() for x in hidden)
        return recording
