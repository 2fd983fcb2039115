"""Environments: spiking tasks, classic control in batches, wrappers, networks in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.envs.spiking import (
        BatchedSpikingEnv,
        SpikeObservation,
        SpikingEnv,
        estimate_limits,
    )
    from snn_gym.envs.stable_baselines import StableBaselinesVecEnv

__all__ = [
    "BatchedSpikingEnv",
    "SpikeObservation",
    "SpikingEnv",
    "StableBaselinesVecEnv",
    "estimate_limits",
]

# Making an environment must not load Stable-Baselines3.

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BatchedSpikingEnv": "spiking",
        "SpikeObservation": "spiking",
        "SpikingEnv": "spiking",
        "StableBaselinesVecEnv": "stable_baselines",
        "estimate_limits": "spiking",
    },
)
