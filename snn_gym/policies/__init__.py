"""Stable-Baselines3 policies on spiking networks."""

from snn_gym.policies.actor_critic import SpikingActorCriticPolicy
from snn_gym.policies.dqn import SpikingDQNPolicy
from snn_gym.policies.sac import SpikingSACPolicy
from snn_gym.policies.td3 import SpikingTD3Policy

__all__ = [
    "SpikingActorCriticPolicy",
    "SpikingDQNPolicy",
    "SpikingSACPolicy",
    "SpikingTD3Policy",
]
