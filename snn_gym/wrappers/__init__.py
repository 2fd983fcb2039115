"""Spikes around gymnasium environments, and gymnasium's batches for Stable-Baselines3."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from snn_gym.wrappers.spike_observation import SpikeObservation
from snn_gym.wrappers.spiking_env import SpikingEnv

if TYPE_CHECKING:
    from snn_gym.wrappers.batched_spiking_env import BatchedSpikingEnv
    from snn_gym.wrappers.stable_baselines import StableBaselinesVecEnv

__all__ = ["BatchedSpikingEnv", "SpikeObservation", "SpikingEnv", "StableBaselinesVecEnv"]

# Making an environment must not load Stable-Baselines3, nor a single one the batched tasks.
_LAZY = {
    "BatchedSpikingEnv": "snn_gym.wrappers.batched_spiking_env",
    "StableBaselinesVecEnv": "snn_gym.wrappers.stable_baselines",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
