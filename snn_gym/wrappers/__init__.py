"""Wrappers that show environments through spikes, and batches for Stable-Baselines3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._lazy import lazy_names
from snn_gym.wrappers.limits import estimate_limits
from snn_gym.wrappers.spike_observation import SpikeObservation
from snn_gym.wrappers.spiking_env import SpikingEnv

if TYPE_CHECKING:
    from snn_gym.wrappers.batched_spiking_env import BatchedSpikingEnv
    from snn_gym.wrappers.stable_baselines import StableBaselinesVecEnv

__all__ = [
    "BatchedSpikingEnv",
    "SpikeObservation",
    "SpikingEnv",
    "StableBaselinesVecEnv",
    "estimate_limits",
]

# Making an environment must not load Stable-Baselines3, nor a single one the batched tasks.

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BatchedSpikingEnv": "batched_spiking_env",
        "StableBaselinesVecEnv": "stable_baselines",
    },
)
