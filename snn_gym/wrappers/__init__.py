"""Spikes around gymnasium environments."""

from snn_gym.wrappers.spike_observation import SpikeObservation
from snn_gym.wrappers.spiking_env import SpikingEnv

__all__ = ["SpikeObservation", "SpikingEnv"]
